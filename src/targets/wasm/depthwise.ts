// Sums of products with a window of its own for each channel (depthwise convolutions), four channels in lanes. Two rows of
// the input, with the padding around them, become one of pairs; a `dot` takes two taps of a column. Where neighbouring
// outputs are one row apart, two of them share the pairs: taps (0, 1) (2, -) of the first, (-, 0) (1, 2) of the second.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, I16X8, type Stmt } from '../../loops/ir.ts'
import { type Axis, type Depthwise, depthwiseOf } from '../armv7em/depthwise.ts'
import { sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { finishOf, type Inputs, inputsOf, packFinish, panelsOf, weightZero } from './finish.ts'
import { eight } from './requantize.ts'

/** Bytes of pairs at once, about: half of a first-level cache. */
const AT_ONCE = 16384
/** Columns of outputs that a tile of one row has at most, and one of two; the first that computes fewest of them twice. */
const COLUMNS = { 1: [8], 2: [4, 5] } as const

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** What one pass over an image's rows does. */
interface Plane {
  readonly row: Axis
  readonly column: Axis
  readonly channels: number
  /** Rows and columns of outputs in a tile. */
  readonly rows: number
  readonly columns: number
  /** Rows of pairs that a tile reads. */
  readonly pairs: number
  /** Columns of a row of pairs. */
  readonly width: number
}

function planeOf({ row, column, channels }: Depthwise): Plane {
  const rows = row.stride === 1 && row.output > 1 ? 2 : 1
  const [first, ...others] = COLUMNS[rows].map((most) => Math.ceil(column.output / Math.ceil(column.output / most)))
  const computed = (columns: number) => columns * Math.ceil(column.output / columns)
  const columns = others.reduce((best, n) => (computed(n) < computed(best) ? n : best), first)
  const pairs = Math.ceil((row.taps + (rows - 1) * row.stride) / 2)
  return { row, column, channels, rows, columns, pairs, width: (column.output - 1) * column.stride + column.taps }
}

/** Of each panel, row of pairs, tap of a row and row of outputs: two weights of each of four channels. */
function packWeights({ s, weight }: Depthwise, plane: Plane, panels: readonly number[]): Int8Array {
  const { row, column, rows, pairs } = plane
  const data: number[] = []
  for (const first of panels)
    for (const pair of range(pairs))
      for (const kw of range(column.taps))
        for (const r of range(rows))
          for (const c of range(4))
            for (const half of [0, 1]) {
              const kh = 2 * pair + half - r * row.stride
              data.push(kh >= 0 && kh < row.taps ? weight(first + c, kh, kw) : s.zeroW)
            }
  return Int8Array.from(data)
}

/** Elements of a row of the input that are read. */
function copiedOf({ column, channels, width }: Plane): number {
  return Math.min(column.input, width - column.before) * channels
}

/** Row `to` of pairs from two rows of the input, `above` and the one below it, which are zero points outside. */
function fillPairs(
  plane: Plane,
  x: Buf,
  image: Expr,
  above: Expr,
  z: Buf,
  to: Expr,
  inputs: Inputs,
  name: (base: string) => string,
): Stmt {
  const { row, column, channels, width } = plane
  const copied = copiedOf(plane)
  const before = column.before * channels
  const declared: Stmt[] = []
  const named = (base: string, value: Expr): Expr => {
    const [declare, register] = L.declare(name(base), value)
    declared.push(declare)
    return register
  }
  const pad = (from: number, elements: number) =>
    elements > 0
      ? L.loop(name('i'), Math.ceil(elements / 4), (i) =>
          L.store(z, [L.add(to, L.add(L.mul(i, 8), 2 * from))], inputs.zeros),
        )
      : L.block()
  // outside, any row times 0 and the zero point
  const line = (h: Expr) => {
    const inside = named('inside', L.and(L.ge(h, 0), L.lt(h, row.input)))
    const at = named('line', L.add(image, L.mul(L.clamp(h, 0, row.input - 1), column.input * channels)))
    const factor = named('factor', eight(L.select(inside, inputs.gain, 0)))
    const outside = named('outside', eight(L.select(inside, 0, inputs.zero)))
    return (i: L.E) => L.op('add', L.op('mul', L.loadLanes(x, I16X8, L.add(at, i)), factor), outside)
  }
  const [a, b] = [line(above), line(L.add(above, 1))]
  const some = (i: L.E): Stmt[] => {
    const at = L.add(to, L.add(L.mul(i, 2), 2 * before))
    const [declareA, upper] = L.declare(name('a'), a(i))
    const [declareB, lower] = L.declare(name('b'), b(i))
    return [
      declareA,
      declareB,
      L.store(z, [at], L.op('zipLow', upper, lower)),
      L.store(z, [L.add(at, 8)], L.op('zipHigh', upper, lower)),
    ]
  }
  return L.block(
    ...declared,
    pad(0, before),
    L.loop(name('i'), copied >> 3, (i) => some(L.mul(i, 8))),
    ...(copied % 8 ? some(copied - 8) : []),
    pad(before + copied, width * channels - before - copied),
  )
}

function shaped(call: Call): Call | undefined {
  const s = sumOfProducts(call, { zeroW: true, scale: true })
  const d = s && depthwiseOf(s)
  if (!d || d.channels < 4) return undefined
  const { channels } = d
  const finish = finishOf(
    s,
    range(channels).map((c) =>
      range(d.row.taps).flatMap((kh) => range(d.column.taps).map((kw) => d.weight(c, kh, kw) - s.zeroW)),
    ),
  )
  if (!finish) return undefined
  const plane = planeOf(d)
  if (copiedOf(plane) < 8) return undefined
  const { row, column, rows, columns, pairs, width } = plane
  const panels = panelsOf(channels, 4)
  const packed = packFinish(finish, panels, 1, columns)
  const recentre = weightZero(s)
  const inputs = inputsOf(finish)

  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const data = packWeights(d, plane, panels)
  const x = L.buffer('x', 'i8', [count(s.x.buf.shape)])
  const w = L.buffer('w', 'i8', [data.length])
  const y = L.buffer('y', 'i8', [count(s.y.buf.shape)], 'write')
  const line = 2 * width * channels
  // rows of tiles at once
  const down = (rows * row.stride) / 2
  const all = Math.ceil(row.output / rows)
  const atOnce = Math.min(all, Math.max(1, Math.floor((AT_ONCE / (2 * line) - pairs) / Math.max(1, down)) + 1))
  const blocks = Math.ceil(all / atOnce)
  const some = Math.ceil(all / blocks)
  // rows of pairs of one row of tiles follow those of another where these are a whole number of pairs apart
  const shared = Number.isInteger(down)
  const lines = shared ? (some - 1) * down + pairs : some * pairs
  const z = L.buffer('pairs', 'i16', [lines * line + 8], 'scratch')

  const image = (n: Expr): Stmt => {
    const from = L.mul(n, row.input * column.input * channels)
    const out = L.mul(n, row.output * column.output * channels)
    return L.loop(name('b'), blocks, (b) => {
      const [declareFirst, first] = L.declare(
        name('first'),
        all % some === 0 ? L.mul(b, some) : L.op('min', L.mul(b, some), L.int(all - some)),
      )
      const top = (t: Expr) => L.sub(L.mul(L.add(first, t), rows * row.stride), row.before)
      const fillLine = (to: Expr, above: Expr) => fillPairs(plane, x, from, above, z, L.mul(to, line), inputs, name)
      const fill = shared
        ? L.loop(name('j'), lines, (j) => fillLine(j, L.add(top(L.int(0)), L.mul(j, 2))))
        : L.loop(name('t'), some, (t) =>
            L.loop(name('j'), pairs, (j) => fillLine(L.add(L.mul(t, pairs), j), L.add(top(t), L.mul(j, 2)))),
          )
      const tiles = L.loop(name('p'), panels.length, (panel) => {
        const own = L.mul(panel, 4)
        const [declareChannel, channel] = L.declare(
          name('c'),
          channels % 4 === 0 ? own : L.op('min', own, L.int(channels - 4)),
        )
        const lineTiles = L.loop(name('t'), some, (t) =>
          L.loop(name('u'), Math.ceil(column.output / columns), (u) => {
            const at = L.mul(u, columns)
            const [declareColumn, ow] = L.declare(
              name('ow'),
              column.output % columns === 0 ? at : L.op('min', at, L.int(column.output - columns)),
            )
            const readAt = L.add(
              L.mul(t, (shared ? down : pairs) * line),
              L.add(L.mul(ow, 2 * column.stride * channels), L.mul(channel, 2)),
            )
            const oh = L.mul(L.add(first, t), rows)
            const to = L.add(out, L.add(L.mul(L.add(L.mul(oh, column.output), ow), channels), channel))
            return [declareColumn, tile(readAt, panel, oh, to)]
          }),
        )
        return [declareChannel, lineTiles]
      })
      return [declareFirst, fill, tiles]
    })
  }
  const tile = (from: Expr, panel: Expr, oh: Expr, to: Expr): Stmt => {
    const [declareStart, start] = L.declare(name('start'), packed.start(L.mul(panel, 4)))
    const acc = range(rows).map(() => range(columns).map(() => L.declare(name('acc'), start)))
    const step = (pair: Expr): Stmt[] => {
      const at = L.add(L.mul(panel, pairs), pair)
      const weights = range(column.taps).map((kw) =>
        range(rows).map((r) =>
          L.declare(
            name('w'),
            recentre.of(L.loadLanes(w, I16X8, L.add(L.mul(at, 8 * column.taps * rows), 8 * (kw * rows + r)))),
          ),
        ),
      )
      const inputs = range((columns - 1) * column.stride + column.taps).map((i) =>
        L.declare(name('z'), L.loadLanes(z, I16X8, L.add(L.add(from, L.mul(pair, line)), 2 * i * channels))),
      )
      return [
        ...weights.flat().map(([declare]) => declare),
        ...inputs.flatMap(([declare, input], i) => {
          const products: Stmt[] = []
          for (const u of range(columns)) {
            const kw = i - u * column.stride
            if (kw < 0 || kw >= column.taps) continue
            for (const r of range(rows)) {
              const [, sum] = acc[r][u]
              products.push(L.set(sum, L.op('wadd', sum, L.op('dot', input, weights[kw][r][1]))))
            }
          }
          return products.length ? [declare, ...products] : []
        }),
      ]
    }
    const stores = range(rows).map((r) => {
      const place = (u: L.E) => L.add(to, L.add(L.mul(u, channels), r * column.output * channels))
      const stored = packed.finish(
        panel,
        acc[r].map(([, sum]) => [sum]),
        y,
        place,
        name,
      )
      const over = r > 0 && row.output % rows !== 0
      return over ? L.when(L.lt(L.add(oh, r), row.output), stored) : stored
    })
    return L.block(declareStart, ...acc.flat().map(([declare]) => declare), L.loop(name('k'), pairs, step), ...stores)
  }
  const body = d.batch ? L.loop('n', d.batch.extent, image) : image(L.int(0))
  const bufs: (readonly [Buf, Arg])[] = [
    [x, s.x.arg],
    [w, { data }],
    ...recentre.bufs,
    inputs.buf,
    ...packed.data.map((values, i): [Buf, Arg] => [packed.bufs[i], { data: values }]),
    ...packed.bufs.slice(packed.data.length).map((buf): [Buf, Arg] => [buf, { scratch: true }]),
    [y, s.y.arg],
    [z, { scratch: true }],
  ]
  return {
    kernel: L.kernel(
      call.kernel.name,
      bufs.map(([buf]) => buf),
      ...recentre.head,
      ...inputs.head,
      body,
    ),
    args: bufs.map(([, arg]) => arg),
  }
}

/** Two taps of four channels at once. */
export const depthwise: Recipe = { name: 'pairs of taps', apply: shaped }
