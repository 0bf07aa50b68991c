// Float32 sums of products that share inputs between channels (convolutions and the gradients of their inputs, fully connected
// layers, matrix products) as tiles of a few pixels by a few vectors of four channels. Each output is one sum in the order of
// the plain loops, rounded after every product and every addition, so lanes lie across channels only.

import type { Arg, Call } from '../../ir/op.ts'
import { type Affine, termsWhere, toExpr } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, F32X4, type Stmt } from '../../loops/ir.ts'
import { type For, substituteExpr } from '../../loops/walk.ts'
import { direct, strip, type Windows, windowsOf } from '../armv7em/dense.ts'
import { type FloatSum, floatSum } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { panelsOf } from './finish.ts'
import { floatEnd } from './float_end.ts'
import { asBefore, finite, packData, packLoops } from './float_weights.ts'

/** Vectors of four channels, and the most pixels that 15 registers have room for. */
const TILES = [
  [1, 8],
  [2, 5],
  [3, 3],
  [4, 2],
  [6, 1],
  [8, 1],
] as const

/** Instructions that pass before a sum can be added to again. */
const LATENCY = 20

/** Pixels at once, and vectors of four channels: what takes the fewest instructions. */
export function shapeOf(pixels: number, channels: number, length: number): { pixels: number; vectors: number } {
  let best = { pixels: 1, vectors: 1, cost: Number.POSITIVE_INFINITY }
  for (const [vectors, most] of TILES)
    for (let p = 1; p <= Math.min(most, pixels); p++) {
      if (4 * vectors > channels) continue
      const tiles = Math.ceil(pixels / p) * Math.ceil(channels / (4 * vectors))
      const step = Math.max(LATENCY, 2 * p * vectors + p + vectors + 4)
      const cost = tiles * (length * step + 4 * p * vectors + 12)
      if (cost < best.cost) best = { pixels: p, vectors, cost }
    }
  return best
}

/** Where the windows of a line of pixels are read, and what is copied before. */
interface Source {
  readonly around: readonly For[]
  readonly pixels: number
  readonly runs: number
  /** Elements from one run, and from one pixel, to the next. */
  readonly apart: number
  readonly stride: number
  /** Elements from one output to the next. */
  readonly to: number
  readonly first: Expr
  readonly read: Buf
  readonly fill?: Stmt
}

function ofAround(a: Affine, around: readonly For[]): Affine {
  const names = new Set(around.map((l) => l.v))
  return { ...termsWhere(a, (v) => names.has(v)), base: a.base }
}

/** Windows that lie inside the input. */
function inPlace(windows: Windows<FloatSum>, x: Buf): Source {
  const { around, pixels, stride, step, to } = direct(windows)
  const first = toExpr(ofAround(windows.x, around))
  return { around, pixels, runs: windows.rows?.extent ?? 1, apart: step, stride, to, first, read: x }
}

/** Elements that stores of four may reach beyond the last. */
export const SLACK = 4

/** Elements of a row that are zeros, the image's, and zeros. */
interface Row {
  readonly before: number
  readonly copied: number
  readonly behind: number
}

/**
 * Whether zeros may stand for what the loops leave out: times a finite weight they are +0 or -0, and neither changes a sum that
 * starts from +0, which never becomes -0. Weights that are not constant tell while the program runs.
 */
function maybePadded({ padded, w }: FloatSum): boolean {
  return padded.length === 0 || !w.data || w.data.every(Number.isFinite)
}

/** Writes a row at `to`, and up to SLACK zeros behind it; only zeros where `inside` does not hold. */
export function fillRow(
  { before, copied, behind }: Row,
  rows: Buf,
  to: Expr,
  x: Buf,
  from: Expr,
  inside: Expr | undefined,
  name: (base: string) => string,
): Stmt {
  const zeros = (start: number, n: number): Stmt =>
    n <= 0
      ? L.block()
      : L.loop(name('i'), Math.ceil(n / 4), (i) =>
          L.store(rows, [L.add(to, L.add(L.mul(i, 4), start))], L.splat(L.float(0), 4)),
        )
  const some = (i: Expr | number) => L.store(rows, [L.add(to, L.add(i, before))], L.loadLanes(x, F32X4, L.add(from, i)))
  const one = (i: number) => L.store(rows, [L.add(to, before + i)], L.load(x, L.add(from, i)))
  const whole = copied >> 2
  const rest = copied % 4
  const copy = L.block(
    zeros(0, before),
    ...(whole > 0 ? [L.loop(name('i'), whole, (i) => some(L.mul(i, 4)))] : []),
    ...(rest > 0 && whole > 0 ? [some(copied - 4)] : Array.from({ length: rest }, (_, i) => one(i))),
    zeros(before + copied, behind),
  )
  return inside ? L.when(inside, copy, zeros(0, before + copied + behind)) : copy
}

/** The rows that one line of outputs reads, with padding around them. */
function inRows(windows: Windows<FloatSum>, x: Buf, name: (base: string) => string): Source | undefined {
  const { around, pixels, stride, to, strip: strips } = strip(windows)
  if (!strips) return undefined
  const { rows, row } = windows
  const { width, row: copy } = strips
  const runs = rows?.extent ?? 1
  const read = L.buffer('rows', 'f32', [runs * width + SLACK], 'scratch')
  const own = rows ? [...around, rows] : around
  const fill = L.loop(name('r'), runs, (r) => {
    const at = (a: Affine) => {
      const sum = toExpr(ofAround(a, own))
      return rows ? substituteExpr(sum, new Map([[rows.v, r]])) : sum
    }
    const index = row && at(row.index)
    const inside = row && L.and(L.ge(index!, 0), L.lt(index!, row.extent))
    return fillRow(copy, read, L.mul(r, width), x, at(strips.start), inside, name)
  })
  return { around, pixels, runs, apart: width, stride, to, first: L.int(0), read, fill }
}

/** Whether the loops add products up row by row, column by column, channel by channel. */
function inOrder({ s, rows, x }: Windows<FloatSum>): boolean {
  const inner = s.window.filter((l) => l !== rows).map((l) => x.terms.get(l.v) ?? 0)
  return (!rows || s.window[0] === rows) && inner.every((step, i) => i === 0 || step < inner[i - 1])
}

function shaped(call: Call): Call | undefined {
  const s = floatSum(call)
  const windows = s && windowsOf(s, true)
  if (!windows || windows.channels < 4 || !inOrder(windows) || !maybePadded(s)) return undefined
  const { channels, length, columns = { extent: 1, step: 0 } } = windows
  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const x = L.buffer('x', 'f32', [count(s.x.buf.shape)])
  const source = s.padded.length === 0 ? inPlace(windows, x) : inRows(windows, x, name)
  if (!source) return undefined
  const { runs, apart, stride, to, read } = source
  const elements = runs * columns.extent * length
  const { pixels, vectors } = shapeOf(source.pixels, channels, elements)
  const size = 4 * vectors
  const panels = { first: panelsOf(channels, size), size, elements }
  const data = s.w.data && packData(windows, s.w.data, panels)
  const w = L.buffer('w', 'f32', [panels.first.length * elements * size], data ? 'read' : 'scratch')
  const stored = L.buffer('stored', 'f32', [count(s.w.buf.shape)])
  const y = L.buffer('y', 'f32', [count(s.y.buf.shape)], 'write')
  const end = floatEnd(s)
  const range = (n: number) => Array.from({ length: n }, (_, i) => i)
  const start = toExpr(ofAround(windows.y, source.around))

  const tile = (panel: Expr, channel: Expr, pixel: Expr): Stmt[] => {
    const sums = range(pixels).map(() => range(vectors).map(() => L.declare(name('acc'), L.splat(L.float(0), 4))))
    const from = L.add(source.first, L.mul(pixel, stride))
    const step = (r: Expr, column: Expr, k: Expr): Stmt[] => {
      const run = L.add(L.mul(r, columns.extent), column)
      const weight = L.mul(L.add(L.add(L.mul(panel, elements), L.mul(run, length)), k), size)
      const input = L.add(L.add(L.mul(r, apart), L.mul(column, columns.step)), k)
      const loaded = range(vectors).map((v) => L.declare(name('w'), L.loadLanes(w, F32X4, L.add(weight, 4 * v))))
      return [
        ...loaded.map(([declare]) => declare),
        ...sums.flatMap((row, p) => {
          const at = L.add(L.add(from, input), p * stride)
          const [declare, four] = L.declare(name('x'), L.splat(L.load(read, at), 4))
          return [declare, ...row.map(([, acc], v) => L.set(acc, L.op('add', acc, L.op('mul', four, loaded[v][1]))))]
        }),
      ]
    }
    const biases = range(vectors).flatMap((v) => end.bias(L.add(channel, 4 * v)).map((b) => L.declare(name('bias'), b)))
    const at = L.add(L.add(start, L.mul(pixel, to)), channel)
    const stores = sums.flatMap((row, p) =>
      row.map(([, acc], v) => L.store(y, [L.add(at, p * to + 4 * v)], end.finish(acc, biases[v]?.[1]))),
    )
    return [
      ...sums.flatMap((row) => row.map(([declare]) => declare)),
      L.loop(name('r'), runs, (r) =>
        L.loop(name('kw'), columns.extent, (column) => L.loop(name('k'), length, (k) => step(r, column, k))),
      ),
      ...biases.map(([declare]) => declare),
      ...stores,
    ]
  }
  const last = (all: number, at: Expr, by: number) => (all % by === 0 ? at : L.op('min', at, L.int(all - by)))
  const body = L.loop(name('p'), panels.first.length, (panel) => {
    const [declareChannel, channel] = L.declare(name('c'), last(channels, L.mul(panel, size), size))
    const tiles = L.loop(name('t'), Math.ceil(source.pixels / pixels), (t) => {
      const [declarePixel, pixel] = L.declare(name('pixel'), last(source.pixels, L.mul(t, pixels), pixels))
      return [declarePixel, ...tile(panel, channel, pixel)]
    })
    return [declareChannel, tiles]
  })
  const all = L.block(...(source.fill ? [source.fill] : []), body)
  const nest = source.around.reduceRight<Stmt>((inner, { v, extent }) => ({ s: 'for', v, extent, body: inner }), all)
  const given = new Map([
    [s.x.buf.name, x],
    [s.w.buf.name, stored],
    [s.y.buf.name, y],
  ])
  const unsure = !data && s.padded.length > 0 ? finite(stored, name) : undefined
  const before = unsure && asBefore(call, given, name)
  const bufs: (readonly [Buf, Arg])[] = [
    [x, s.x.arg],
    ...(data ? [] : [[stored, s.w.arg] as const]),
    [w, data ?? { scratch: true }],
    ...end.bufs,
    ...(before?.bufs ?? []),
    [y, s.y.arg],
    ...(source.fill ? [[read, { scratch: true }] as const] : []),
  ]
  const tiles = L.block(...(data ? [] : [packLoops(windows, panels, stored, w, name)]), ...end.head, nest)
  return {
    kernel: L.kernel(
      call.kernel.name,
      bufs.map(([buf]) => buf),
      ...(unsure ? [...unsure.statements, L.when(unsure.flag, tiles, before!.body)] : [tiles]),
    ),
    args: bufs.map(([, arg]) => arg),
  }
}

/** Tiles of pixels by channels. */
export const floats: Recipe = { name: 'float tiles', apply: shaped }
