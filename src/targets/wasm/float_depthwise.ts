// Float32 sums of products with a window of its own for each channel (depthwise convolutions), four channels in lanes. A tile
// is a few neighbouring outputs of a line: what a row of their windows has in common is loaded once. Tiles whose windows reach
// into padding stand at known columns and leave those products out; rows outside are skipped. Each output is one sum in the
// order of the plain loops.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, F32X4, type Stmt } from '../../loops/ir.ts'
import { type Axis, depthwiseOf } from '../armv7em/depthwise.ts'
import { floatSum } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { panelsOf } from './finish.ts'
import { floatEnd } from './float_end.ts'

/** Registers for sums and the weights of a row. */
const REGISTERS = 12
/** Columns of a window, at most. */
const TAPS = 11
/** Columns of outputs at the edges, at most. */
const EDGES = 16

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** Neighbouring outputs of a line: tiles of `columns` from `first` on, the last one ends with the last. */
interface Part {
  readonly first: number
  readonly outputs: number
  readonly columns: number
}

/** The outputs of a line: those whose windows lie inside, and tiles of their own at the edges. */
function partsOf({ input, output, taps, stride, before }: Axis): Part[] | undefined {
  const most = Math.max(2, REGISTERS - taps)
  const left = Math.min(output, Math.ceil(before / stride))
  const inside = Math.max(0, Math.min(output, Math.floor((input + before - taps) / stride) + 1) - left)
  if (output <= most) return [{ first: 0, outputs: output, columns: output }]
  if (output - inside > EDGES) return undefined
  const edge = (first: number, outputs: number) =>
    range(Math.ceil(outputs / most)).map((i): Part => {
      const columns = Math.min(most, outputs - i * most)
      return { first: first + i * most, outputs: columns, columns }
    })
  const columns = Math.ceil(inside / Math.ceil(inside / most))
  return [
    ...edge(0, left),
    ...(inside > 0 ? [{ first: left, outputs: inside, columns }] : []),
    ...edge(left + inside, output - left - inside),
  ]
}

function shaped(call: Call): Call | undefined {
  const s = floatSum(call)
  const d = s && depthwiseOf(s, true)
  const parts = d && partsOf(d.column)
  if (!d || !parts || d.channels < 4 || d.column.taps > TAPS) return undefined
  const { channels, row, column, weight, stored, placed } = d
  // weights that are not constant are read where they stand
  if (!s.w.data && channels > 1 && stored.channel !== 1) return undefined
  const taps = s.window.map((l) => s.x.at.findIndex((a) => a.terms.has(l.v)))
  if (taps.length > 1 && taps[0] > taps[1]) return undefined
  let names = 0
  const name = (base: string) => `${base}_${names++}`

  const panels = panelsOf(channels, 4)
  const packed = () =>
    Float32Array.from(
      panels.flatMap((first) =>
        range(row.taps).flatMap((kh) =>
          range(column.taps).flatMap((kw) => range(4).map((c) => weight(first + c, kh, kw))),
        ),
      ),
    )
  const data = s.w.data && stored.channel !== 1 ? packed() : undefined
  const x = L.buffer('x', 'f32', [count(s.x.buf.shape)])
  const w = L.buffer('w', 'f32', [data?.length ?? count(s.w.buf.shape)])
  const weightAt = (panel: Expr, channel: Expr, kh: Expr, kw: number) =>
    data
      ? L.add(L.mul(L.add(L.mul(panel, row.taps), kh), 4 * column.taps), 4 * kw)
      : L.add(L.add(channel, L.mul(kh, stored.row)), stored.base + kw * stored.column)
  const y = L.buffer('y', 'f32', [count(s.y.buf.shape)], 'write')
  const end = floatEnd(s)
  const line = column.input * channels
  const padded = row.before > 0 || (row.output - 1) * row.stride - row.before + row.taps > row.input
  const last = (all: number, at: Expr, by: number) => (all % by === 0 ? at : L.op('min', at, L.int(all - by)))

  /** Outputs from column `ow` of line `oh` on, which is `first` where the tile is the only one of its part. */
  const tile = ({ first, outputs, columns }: Part, n: Expr, oh: Expr, ow: Expr, panel: Expr, channel: Expr): Stmt[] => {
    const from = L.add(L.mul(L.sub(L.mul(ow, column.stride), column.before), channels), channel)
    const to = L.add(
      L.add(L.add(L.mul(n, placed.image), L.mul(oh, placed.row)), L.mul(ow, placed.column)),
      L.add(channel, placed.base),
    )
    const sums = range(columns).map(() => L.declare(name('acc'), L.splat(L.float(0), 4)))
    const used = (i: number) => {
      const at = first * column.stride - column.before + i
      return outputs > columns || (at >= 0 && at < column.input)
    }
    const step = (kh: Expr): Stmt => {
      const weights = range(column.taps).map((kw) =>
        L.declare(name('w'), L.loadLanes(w, F32X4, weightAt(panel, channel, kh, kw))),
      )
      const h = L.add(L.sub(L.mul(oh, row.stride), row.before), kh)
      const start = L.add(L.mul(L.add(L.mul(n, row.input), h), line), from)
      const inputs = range((columns - 1) * column.stride + column.taps).filter(used)
      const products = inputs.flatMap((i): Stmt[] => {
        const [declare, value] = L.declare(name('x'), L.loadLanes(x, F32X4, L.add(start, i * channels)))
        const sets = sums.flatMap(([, acc], u) => {
          const kw = weights[i - u * column.stride]
          return kw ? [L.set(acc, L.op('add', acc, L.op('mul', value, kw[1])))] : []
        })
        return sets.length ? [declare, ...sets] : []
      })
      const body = [...weights.map(([declare]) => declare), ...products]
      return padded ? L.when(L.and(L.ge(h, 0), L.lt(h, row.input)), body) : L.block(...body)
    }
    const biases = end.bias(channel).map((b) => L.declare(name('bias'), b))
    return [
      ...sums.map(([declare]) => declare),
      L.loop(name('kh'), row.taps, step),
      ...biases.map(([declare]) => declare),
      ...sums.map(([, acc], u) => L.store(y, [L.add(to, u * placed.column)], end.finish(acc, biases[0]?.[1]))),
    ]
  }
  const image = (n: Expr): Stmt =>
    L.loop(name('oh'), row.output, (oh) =>
      parts.map((part) =>
        L.loop(name('t'), Math.ceil(part.outputs / part.columns), (t) => {
          const own = last(part.outputs, L.mul(t, part.columns), part.columns)
          const [declareColumn, ow] = L.declare(name('ow'), L.add(own, part.first))
          const across = L.loop(name('p'), panels.length, (panel) => {
            const [declareChannel, channel] = L.declare(name('c'), last(channels, L.mul(panel, 4), 4))
            return [declareChannel, ...tile(part, n, oh, ow, panel, channel)]
          })
          return [declareColumn, across]
        }),
      ),
    )
  const body = d.batch ? L.loop('n', d.batch.extent, image) : image(L.int(0))
  const bufs: (readonly [Buf, Arg])[] = [[x, s.x.arg], [w, data ? { data } : s.w.arg], ...end.bufs, [y, s.y.arg]]
  return {
    kernel: L.kernel(
      call.kernel.name,
      bufs.map(([buf]) => buf),
      ...end.head,
      body,
    ),
    args: bufs.map(([, arg]) => arg),
  }
}

/** Rows of windows, four channels at once. */
export const floatDepthwise: Recipe = { name: 'float rows', apply: shaped }
