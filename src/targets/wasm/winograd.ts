// Float32 convolutions of 3x3 with stride 1 in 4/9 of the products: 2x2 outputs at once from 4x4 inputs, which are transformed before
// and after a matrix product for each of 16 places (Winograd 1980; F(2x2, 3x3) of Lavin & Gray 2016). Sums are taken in another
// order and of other terms than the plain loops do, so this is for targets that are fast and not exact.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, F32X4, type Stmt } from '../../loops/ir.ts'
import { flat, type Windows, windowsOf } from '../armv7em/dense.ts'
import { type FloatSum, floatSum } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { panelsOf } from './finish.ts'
import { fillRow, SLACK, shapeOf } from './float.ts'
import { floatEnd } from './float_end.ts'

/** Fewer input channels are not worth the transforms. */
const LEAST = 16
/** Tiles of 2x2 in one block, at most but for those of a line. */
const TILES = 16
/** Weights before and inputs before the products, and products after, by rows and by columns. */
const WEIGHTS = [
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
]
/** Of four inputs: one, and another that is added or subtracted. */
const INPUTS = [
  [0, 'sub', 2],
  [1, 'add', 2],
  [2, 'sub', 1],
  [1, 'sub', 3],
] as const

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

interface Convolution {
  readonly images: number
  readonly height: number
  readonly width: number
  readonly depth: number
  readonly channels: number
  /** Rows and columns of outputs, and where the first window begins. */
  readonly outputs: readonly [number, number]
  readonly before: readonly [number, number]
  weight(o: number, kh: number, kw: number, c: number): number
}

/** The convolution that windows are, where it is one of 3x3 with stride 1 and an even number of rows and columns. */
function convolutionOf({ s, channels, rows, channelLoop, depth }: Windows<FloatSum>): Convolution | undefined {
  const { data } = s.w
  if (!data || s.x.buf.shape.length !== 4 || channels % 4 !== 0 || depth % 4 !== 0 || depth < LEAST) return undefined
  const [, h, w, last] = s.x.at
  const alone = (terms: ReadonlyMap<string, number>) => [...terms.values()].every((c) => c === 1)
  const [kh, kw, c] = [h, w, last].map(({ terms }) => s.window.find((l) => terms.has(l.v)))
  const [oh, ow] = [h, w].map(({ terms }) => s.outputs.find((l) => terms.has(l.v)))
  if (kh !== rows || kh?.extent !== 3 || kw?.extent !== 3 || !c || !oh || !ow || !channelLoop) return undefined
  if ([h, w].some((a) => a.terms.size !== 2 || !alone(a.terms)) || oh.extent % 2 !== 0 || ow.extent % 2 !== 0)
    return undefined
  const n = s.outputs.find((l) => ![oh, ow, channelLoop].includes(l))
  const y = flat(s.y)
  const places = [1, channels, ow.extent * channels, oh.extent * ow.extent * channels]
  const loops = [channelLoop, ow, oh, n]
  if (y.base !== 0 || loops.some((l, i) => l && y.terms.get(l.v) !== places[i])) return undefined
  if (s.padded.length > 0 && !data.every(Number.isFinite)) return undefined
  const at = flat(s.w)
  const along = [channelLoop, kh, kw, c].map((l) => at.terms.get(l.v) ?? 0)
  return {
    ...{ images: n?.extent ?? 1, height: s.x.buf.shape[1], width: s.x.buf.shape[2], depth, channels },
    outputs: [oh.extent, ow.extent],
    before: [-h.base, -w.base],
    weight: (...i) => data[i.reduce((sum, k, d) => sum + k * along[d], at.base)],
  }
}

/** Of every place, panel and input channel the transformed weights of a panel's channels. */
function transformed({ depth, weight }: Convolution, panels: readonly number[], size: number): Float32Array {
  const data = new Float32Array(16 * panels.length * depth * size)
  let at = 0
  for (const i of WEIGHTS)
    for (const j of WEIGHTS)
      for (const first of panels)
        for (let c = 0; c < depth; c++)
          for (let o = first; o < first + size; o++, at++)
            for (let kh = 0; kh < 3; kh++)
              for (let kw = 0; kw < 3; kw++) data[at] += i[kh] * j[kw] * weight(o, kh, kw, c)
  return data
}

function shaped(call: Call): Call | undefined {
  const s = floatSum(call)
  const windows = s && windowsOf(s)
  const conv = windows && convolutionOf(windows)
  if (!s || !conv) return undefined
  const { images, height, width, depth, channels, outputs, before } = conv
  const [down, across] = outputs.map((n) => n / 2)
  const lines = Math.max(...range(down + 1).filter((n) => n > 0 && down % n === 0 && (n === 1 || n * across <= TILES)))
  const tiles = lines * across
  const { pixels, vectors } = shapeOf(tiles, channels, depth)
  const size = 4 * vectors
  const panels = panelsOf(channels, size)
  const [tall, wide] = [outputs[0] + 2, outputs[1] + 2]
  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const x = L.buffer('x', 'f32', [count(s.x.buf.shape)])
  const data = transformed(conv, panels, size)
  const w = L.buffer('w', 'f32', [data.length])
  const y = L.buffer('y', 'f32', [count(s.y.buf.shape)], 'write')
  const rows = L.buffer('rows', 'f32', [tall * wide * depth + SLACK], 'scratch')
  const v = L.buffer('v', 'f32', [16, tiles, depth], 'scratch')
  const m = L.buffer('m', 'f32', [16, tiles, channels], 'scratch')
  const end = floatEnd(s)
  const load = (buf: Buf, ...at: Expr[]) => L.loadLanes(buf, F32X4, ...at)

  const copy = (n: Expr): Stmt =>
    L.loop(name('h'), tall, (r) => {
      const [first, behind] = [Math.max(0, before[1]), Math.max(0, wide - before[1] - width)]
      const copied = wide - first - behind
      const h = L.sub(r, before[0])
      const from = L.mul(L.add(L.mul(L.add(L.mul(n, height), h), width), Math.max(0, -before[1])), depth)
      const inside = L.and(L.ge(h, 0), L.lt(h, height))
      const row = { before: first * depth, copied: copied * depth, behind: behind * depth }
      return fillRow(row, rows, L.mul(r, wide * depth), x, from, inside, name)
    })
  /** Every tile of a block by its line and its number in it. */
  const each = (body: (line: Expr, column: Expr, tile: Expr) => Stmt[]): Stmt =>
    L.loop(name('line'), lines, (i) => L.loop(name('column'), across, (j) => body(i, j, L.add(L.mul(i, across), j))))
  const before16 = (block: Expr): Stmt =>
    each((line, column, tile) => {
      const top = L.mul(L.add(L.mul(block, lines), line), 2)
      const corner = L.mul(L.add(L.mul(top, wide), L.mul(column, 2)), depth)
      return [
        L.loop(name('c'), depth / 4, (four) => {
          const c = L.mul(four, 4)
          const at = (i: number, j: number) => load(rows, L.add(L.add(corner, c), (i * wide + j) * depth))
          return INPUTS.flatMap(([p, op, q], i) => {
            const line = range(4).map((j) => L.declare(name('d'), L.op(op, at(p, j), at(q, j))))
            const values = INPUTS.map(([p, op, q]) => L.op(op, line[p][1], line[q][1]))
            return [
              ...line.map(([declare]) => declare),
              ...values.map((value, j) => L.store(v, [4 * i + j, tile, c], value)),
            ]
          })
        }),
      ]
    })
  const last = (all: number, at: Expr, by: number) => (all % by === 0 ? at : L.op('min', at, L.int(all - by)))
  const products = L.loop(name('place'), 16, (place) =>
    L.loop(name('p'), panels.length, (panel) => {
      const [declareChannel, channel] = L.declare(name('o'), last(channels, L.mul(panel, size), size))
      return [
        declareChannel,
        L.loop(name('t'), Math.ceil(tiles / pixels), (t) => {
          const [declareTile, tile] = L.declare(name('tile'), last(tiles, L.mul(t, pixels), pixels))
          const sums = range(pixels).map(() => range(vectors).map(() => L.declare(name('acc'), L.splat(L.float(0), 4))))
          const step = (c: Expr): Stmt[] => {
            const at = L.mul(L.add(L.mul(L.add(L.mul(place, panels.length), panel), depth), c), size)
            const weights = range(vectors).map((k) => L.declare(name('w'), load(w, L.add(at, 4 * k))))
            return [
              ...weights.map(([declare]) => declare),
              ...sums.flatMap((row, p) => {
                const [declare, four] = L.declare(name('v'), L.splat(L.load(v, place, L.add(tile, p), c), 4))
                return [declare, ...row.map(([, acc], k) => L.set(acc, L.add(acc, L.mul(four, weights[k][1]))))]
              }),
            ]
          }
          return [
            declareTile,
            ...sums.flat().map(([declare]) => declare),
            L.loop(name('k'), depth, step),
            ...sums.flatMap((row, p) =>
              row.map(([, acc], k) => L.store(m, [place, L.add(tile, p), L.add(channel, 4 * k)], acc)),
            ),
          ]
        }),
      ]
    }),
  )
  const after = (n: Expr, block: Expr): Stmt =>
    each((line, column, tile) => {
      const top = L.mul(L.add(L.mul(block, lines), line), 2)
      const pixel = L.add(L.mul(L.add(L.mul(n, outputs[0]), top), outputs[1]), L.mul(column, 2))
      return [
        L.loop(name('o'), channels / 4, (four) => {
          const o = L.mul(four, 4)
          const at = (i: number, j: number) => load(m, L.int(4 * i + j), tile, o)
          const biases = end.bias(o).map((b) => L.declare(name('bias'), b))
          // rows 0 + 1 + 2 and 1 - 2 - 3, then columns alike
          const sums = range(2).map((i) =>
            range(4).map((j) => {
              const [a, b, c] = i === 0 ? [at(0, j), at(1, j), at(2, j)] : [at(1, j), at(2, j), at(3, j)]
              const op = i === 0 ? 'add' : 'sub'
              return L.declare(name('s'), L.op(op, L.op(op, a, b), c))
            }),
          )
          const stores = sums.flatMap((row, i) => {
            const [a, b, c, d] = row.map(([, value]) => value)
            const values = [L.add(L.add(a, b), c), L.op('sub', L.op('sub', b, c), d)]
            return values.map((value, j) =>
              L.store(
                y,
                [L.add(L.mul(L.add(pixel, i * outputs[1] + j), channels), o)],
                end.finish(value, biases[0]?.[1]),
              ),
            )
          })
          return [...biases.map(([declare]) => declare), ...sums.flat().map(([declare]) => declare), ...stores]
        }),
      ]
    })
  const image = (n: Expr): Stmt[] => [
    copy(n),
    L.loop(name('block'), down / lines, (block) => [before16(block), products, after(n, block)]),
  ]
  const bufs: (readonly [Buf, Arg])[] = [
    [x, s.x.arg],
    [w, { data }],
    ...end.bufs,
    [y, s.y.arg],
    ...[rows, v, m].map((buf) => [buf, { scratch: true }] as const),
  ]
  return {
    kernel: L.kernel(
      call.kernel.name,
      bufs.map(([buf]) => buf),
      ...end.head,
      L.loop(name('n'), images, image),
    ),
    args: bufs.map(([, arg]) => arg),
  }
}

/** 2x2 outputs at once by Winograd's transforms: close, but not the bits of the plain loops. */
export const winograd: Recipe = { name: 'Winograd 2x2', apply: shaped }
