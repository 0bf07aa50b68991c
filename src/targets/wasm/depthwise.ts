// Sums of products with a window of its own for each channel (depthwise convolutions), four channels in lanes. A few rows of
// the input, with the padding around them, are zipped into one, so that one instruction takes as many taps of a column.
// Where neighbouring rows of outputs need the same rows, a tile has two of them. How rows are zipped and multiplied is what
// `Zip` says.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Stmt } from '../../loops/ir.ts'
import { type Axis, type Depthwise, depthwiseOf } from '../armv7em/depthwise.ts'
import { type SumOfProducts, sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { panelsOf } from './finish.ts'

/** Bytes of zipped rows at once, about: half of a first-level cache. */
const AT_ONCE = 16384

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** What one pass over an image's rows does. */
export interface Plane {
  readonly row: Axis
  readonly column: Axis
  readonly channels: number
  /** Rows and columns of outputs in a tile. */
  readonly rows: number
  readonly columns: number
  /** Zipped rows that a tile reads. */
  readonly zips: number
  /** Columns of a zipped row. */
  readonly width: number
  /** First channels of what a tile takes. */
  readonly panels: readonly number[]
}

/** Names that no other has. */
export type Name = (base: string) => string

/** How rows become one, and what is made of it. */
export interface Zip {
  /** Rows in one. */
  readonly taps: number
  readonly z: 'i8' | 'i16'
  /** Elements of a row that are zipped at once. */
  readonly step: number
  /** Weights are asked for by the number of their zipped row, not in a loop over these. */
  readonly unrolled?: true
  readonly head: readonly Stmt[]
  readonly bufs: readonly (readonly [Buf, Arg])[]
  /** What four elements outside become. */
  readonly zeros: Expr
  /** `step` elements of a row of x that begins at `at`, from the i-th on; those of a row that is not `inside` are zero points. */
  line(x: Buf, at: Expr, inside: Expr, named: (base: string, value: Expr) => Expr): (i: L.E) => Expr
  /** What is stored for `step` elements of each row, in order. */
  zip(rows: readonly Expr[], named: (base: string, value: Expr) => Expr): readonly Expr[]
  /** What the sums of panel's channels start from. */
  start(panel: Expr): Expr
  /** The weights of zipped row `zip`, which are zero where undefined: by column of the window and row of outputs. */
  weights(panel: Expr, zip: L.E, named: (base: string, value: Expr) => Expr): readonly (readonly (Expr | undefined)[])[]
  /** More taps, each with a weight for every row of outputs, and where its column begins in z for one. */
  readonly more?: {
    readonly count: number
    place(tap: Expr, row: number): Expr
    weight(panel: Expr, tap: Expr, row: number): Expr
  }
  /** Four channels of z. */
  load(z: Buf, at: Expr): Expr
  product(sum: Expr, weights: Expr, input: Expr): Expr
  /** Stores the outputs of `sums[row][column]`; `place` gives the first element of one's channels. */
  finish(
    panel: Expr,
    sums: readonly (readonly Expr[])[],
    y: Buf,
    place: (row: number, column: L.E) => Expr,
    name: Name,
  ): Stmt
}

/** What the two ways differ in. */
export interface Way {
  readonly name: string
  /** Rows in one. */
  readonly taps: number
  /** Rows of outputs in a tile. */
  rows(row: Axis): number
  /** Columns of outputs that a tile has at most, for so many rows; the first that computes fewest of them twice. */
  readonly columns: Readonly<Record<number, readonly number[]>>
  zip(d: Depthwise, plane: Plane): Zip | undefined
}

function planeOf({ row, column, channels }: Depthwise, way: Way): Plane {
  const rows = row.output > 1 ? way.rows(row) : 1
  const [first, ...others] = way.columns[rows].map((most) => Math.ceil(column.output / Math.ceil(column.output / most)))
  const computed = (columns: number) => columns * Math.ceil(column.output / columns)
  const columns = others.reduce((best, n) => (computed(n) < computed(best) ? n : best), first)
  const zips = Math.ceil((row.taps + (rows - 1) * row.stride) / way.taps)
  const width = (column.output - 1) * column.stride + column.taps
  return { row, column, channels, rows, columns, zips, width, panels: panelsOf(channels, 4) }
}

/** Elements of a row of the input that are read. */
function copiedOf({ column, channels, width }: Plane): number {
  return Math.min(column.input, width - column.before) * channels
}

/** Declarations that the statements after them need. */
function declarations(name: Name) {
  const declared: Stmt[] = []
  const named = (base: string, value: Expr): Expr => {
    const [declare, register] = L.declare(name(base), value)
    declared.push(declare)
    return register
  }
  return { declared, named }
}

/** Zipped row `to` from rows of the input, `above` and those below it, which are zero points outside. */
function fill(plane: Plane, zip: Zip, x: Buf, image: Expr, above: Expr, z: Buf, to: Expr, name: Name): Stmt {
  const { row, column, channels, width } = plane
  const copied = copiedOf(plane)
  const before = column.before * channels
  const { declared, named } = declarations(name)
  // where there is none, what comes after is written later
  const pad = (from: number, elements: number) =>
    L.loop(name('i'), Math.max(1, Math.ceil(elements / 4)), (i) =>
      L.store(z, [L.add(to, L.add(L.mul(i, 4 * zip.taps), zip.taps * from))], zip.zeros),
    )
  const lines = range(zip.taps).map((t) => {
    const h = L.add(above, t)
    const inside = named('inside', L.and(L.ge(h, 0), L.lt(h, row.input)))
    const at = named('line', L.add(image, L.mul(L.clamp(h, 0, row.input - 1), column.input * channels)))
    return zip.line(x, at, inside, named)
  })
  const some = (i: L.E): Stmt[] => {
    const { declared, named } = declarations(name)
    const at = L.add(to, L.add(L.mul(i, zip.taps), zip.taps * before))
    const rows = lines.map((line) => named('row', line(i)))
    const stored = zip.zip(rows, named)
    const apart = (zip.taps * zip.step) / stored.length
    return [...declared, ...stored.map((value, k) => L.store(z, [L.add(at, apart * k)], value))]
  }
  const whole = Math.floor(copied / zip.step)
  return L.block(
    ...declared,
    pad(0, before),
    L.loop(name('i'), whole, (i) => some(L.mul(i, zip.step))),
    ...some(copied - zip.step),
    pad(before + copied, width * channels - before - copied),
  )
}

function shaped(call: Call, way: Way): Call | undefined {
  const s = sumOfProducts(call, { zeroW: true, scale: true })
  const d = s && depthwiseOf(s)
  if (!d || d.channels < 4) return undefined
  const plane = planeOf(d, way)
  const zip = way.zip(d, plane)
  if (!zip || copiedOf(plane) < zip.step) return undefined
  const { row, column, channels, rows, columns, zips, width, panels } = plane
  const { taps } = zip

  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const x = L.buffer('x', 'i8', [count(s.x.buf.shape)])
  const y = L.buffer('y', 'i8', [count(s.y.buf.shape)], 'write')
  const line = taps * width * channels
  // rows of tiles at once
  const down = (rows * row.stride) / taps
  const all = Math.ceil(row.output / rows)
  const bytes = zip.z === 'i8' ? 1 : 2
  const most = Math.floor((AT_ONCE / (bytes * line) - zips) / Math.max(1, down)) + 1
  const blocks = Math.ceil(all / Math.min(all, Math.max(1, most)))
  const some = Math.ceil(all / blocks)
  // zipped rows of one row of tiles follow those of another where these are so many rows apart
  const shared = Number.isInteger(down)
  const lines = shared ? (some - 1) * down + zips : some * zips
  const z = L.buffer('zipped', zip.z, [lines * line + 4 * taps], 'scratch')

  const image = (n: Expr): Stmt => {
    const from = L.mul(n, row.input * column.input * channels)
    const out = L.mul(n, row.output * column.output * channels)
    return L.loop(name('b'), blocks, (b) => {
      const [declareFirst, first] = L.declare(name('first'), L.op('min', L.mul(b, some), L.int(all - some)))
      // rows of tiles that share none may overlap, so that the last one ends with the last line
      const lineOf = (t: Expr) => {
        const own = L.mul(L.add(first, t), rows)
        return shared ? own : L.op('min', own, L.int(row.output - rows))
      }
      const top = (t: Expr) => L.sub(L.mul(lineOf(t), row.stride), row.before)
      const fillLine = (to: Expr, above: Expr) => fill(plane, zip, x, from, above, z, L.mul(to, line), name)
      const fillLines = shared
        ? L.loop(name('j'), lines, (j) => fillLine(j, L.add(top(L.int(0)), L.mul(j, taps))))
        : L.loop(name('t'), some, (t) =>
            L.loop(name('j'), zips, (j) => fillLine(L.add(L.mul(t, zips), j), L.add(top(t), L.mul(j, taps)))),
          )
      const tiles = L.loop(name('p'), panels.length, (panel) => {
        const own = L.mul(panel, 4)
        const [declareChannel, channel] = L.declare(name('c'), L.op('min', own, L.int(channels - 4)))
        const lineTiles = L.loop(name('t'), some, (t) =>
          L.loop(name('u'), Math.ceil(column.output / columns), (u) => {
            const at = L.mul(u, columns)
            const [declareColumn, ow] = L.declare(name('ow'), L.op('min', at, L.int(column.output - columns)))
            const readAt = L.add(
              L.mul(t, (shared ? down : zips) * line),
              L.add(L.mul(ow, taps * column.stride * channels), L.mul(channel, taps)),
            )
            const oh = lineOf(t)
            const to = L.add(out, L.add(L.mul(L.add(L.mul(oh, column.output), ow), channels), channel))
            return [declareColumn, tile(readAt, panel, oh, to)]
          }),
        )
        return [declareChannel, lineTiles]
      })
      return [declareFirst, fillLines, tiles]
    })
  }
  const tile = (from: Expr, panel: Expr, oh: Expr, to: Expr): Stmt => {
    const [declareStart, start] = L.declare(name('start'), zip.start(panel))
    const acc = range(rows).map(() => range(columns).map(() => L.declare(name('acc'), start)))
    const step = (k: L.E): Stmt[] => {
      const { declared, named } = declarations(name)
      const weights = zip.weights(panel, k, named)
      const inputs = range((columns - 1) * column.stride + column.taps).flatMap((i) => {
        const at = L.add(L.add(from, L.mul(k, line)), taps * i * channels)
        const [declare, input] = L.declare(name('z'), zip.load(z, at))
        const products = range(columns).flatMap((u) =>
          acc.flatMap((sums, r) => {
            const weight = weights[i - u * column.stride]?.[r]
            return weight ? [L.set(sums[u][1], zip.product(sums[u][1], weight, input))] : []
          }),
        )
        return products.length ? [declare, ...products] : []
      })
      return [...declared, ...inputs]
    }
    const { more } = zip
    const beyond = (e: Expr) =>
      acc.flatMap((sums, r) => {
        const { declared, named } = declarations(name)
        const weight = named('w', more!.weight(panel, e, r))
        const place = named('place', L.add(from, more!.place(e, r)))
        const products = sums.map(([, sum], u) =>
          L.set(sum, zip.product(sum, weight, zip.load(z, L.add(place, u * taps * column.stride * channels)))),
        )
        return [...declared, ...products]
      })
    const rest = more ? [L.loop(name('e'), more.count, beyond)] : []
    const sums = acc.map((row) => row.map(([, sum]) => sum))
    const place = (r: number, u: L.E) => L.add(to, L.add(L.mul(u, channels), r * column.output * channels))
    const stores = shared
      ? sums.map((row, r) => {
          const stored = zip.finish(panel, [row], y, (_, u) => place(r, u), name)
          return r > 0 ? L.when(L.lt(L.add(oh, r), plane.row.output), stored) : stored
        })
      : [zip.finish(panel, sums, y, place, name)]
    const steps = zip.unrolled ? range(zips).flatMap(step) : [L.loop(name('k'), zips, step)]
    return L.block(declareStart, ...acc.flat().map(([declare]) => declare), ...steps, ...rest, ...stores)
  }
  const body = d.batch ? L.loop('n', d.batch.extent, image) : image(L.int(0))
  const bufs: (readonly [Buf, Arg])[] = [[x, s.x.arg], ...zip.bufs, [y, s.y.arg], [z, { scratch: true }]]
  return {
    kernel: L.kernel(
      call.kernel.name,
      bufs.map(([buf]) => buf),
      ...zip.head,
      body,
    ),
    args: bufs.map(([, arg]) => arg),
  }
}

/** The weights of each channel less their zero point, row by row. */
export function channelWeights({ s, row, column, channels, weight }: Depthwise<SumOfProducts>): number[][] {
  return range(channels).map((c) =>
    range(row.taps).flatMap((kh) => range(column.taps).map((kw) => weight(c, kh, kw) - s.zeroW)),
  )
}

export function depthwiseBy(way: Way): Recipe {
  return { name: way.name, uniform: true, apply: (call) => shaped(call, way) }
}
