// Weights by panels: of each panel, row by row, those of its channels. Where the last panel shares channels with the one before,
// programs hold the rows of all channels and make the panels when they start.

import { bug } from '../../errors.ts'
import type { Made } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr, elemOfData, F32X4, I16X8, I32X4, type Stmt } from '../../loops/ir.ts'
import { panelsOf } from './finish.ts'

/** `rows` of `channels` units each, by panels of `size`. */
export function byPanels<T extends Int16Array | Int32Array | Float32Array>(
  rows: T,
  channels: number,
  size: number,
): { readonly data: T; readonly made?: Made } {
  const panels = panelsOf(channels, size)
  const length = rows.length / channels
  const data = new (rows.constructor as new (n: number) => T)(panels.length * length * size)
  for (const [p, first] of panels.entries())
    for (let k = 0; k < length; k++)
      data.set(rows.subarray(k * channels + first, k * channels + first + size), (p * length + k) * size)
  return channels % size === 0 ? { data } : { data, made: madeFrom(rows, channels, size, panels) }
}

function madeFrom(
  rows: Int16Array | Int32Array | Float32Array,
  channels: number,
  size: number,
  panels: readonly number[],
): Made {
  const elem = elemOfData(rows)
  const length = rows.length / channels
  const from = L.buffer('rows', elem, [rows.length])
  const to = L.buffer('w', elem, [panels.length * length * size], 'write')
  const lanes = elem === 'i16' ? I16X8 : elem === 'i32' ? I32X4 : F32X4
  const step = size % lanes.lanes === 0 ? lanes.lanes : 1
  const body = L.loop('p', panels.length, (p) => {
    const [declare, first] = L.declare('first', L.op('min', L.mul(p, size), L.int(channels - size)))
    const copy = L.loop('k', length, (k) =>
      L.loop('i', size / step, (i) => {
        const at = L.add(L.add(L.mul(k, channels), first), L.mul(i, step))
        const value = step > 1 ? L.loadLanes(from, lanes, at) : L.load(from, at)
        return L.store(to, [L.add(L.mul(L.add(L.mul(p, length), k), size), L.mul(i, step))], value)
      }),
    )
    return [declare, copy]
  })
  return { kernel: L.kernel('panels', [from, to], body), from: [rows] }
}

/** The weights of a window of its own for each channel. */
export interface TapWeights {
  readonly channels: number
  readonly rows: number
  readonly columns: number
  /** Stands for rows outside. */
  readonly zero: number
  weight(channel: number, row: number, column: number): number
}

/**
 * By panels of four channels, and of each panel for every index within `extents` (in order, the last one fastest) `taps` weights of
 * each channel: those of column `kw` from row `kh` on. Programs hold the windows as they are.
 */
export function byTaps(
  { channels, rows, columns, zero, weight }: TapWeights,
  taps: number,
  extents: readonly number[],
  at: (...index: L.E[]) => { readonly kh: L.E; readonly kw: L.E },
): { readonly data: Int8Array; readonly made: Made } {
  const range = (n: number) => Array.from({ length: n }, (_, i) => i)
  const panels = panelsOf(channels, 4)
  const each = count(extents)
  const known = (e: L.E) => {
    const value = L.expr(e)
    return value.k === 'const' ? value.value : bug('rows and columns follow from indices')
  }
  const indices = extents.reduce((all, n) => all.flatMap((i) => range(n).map((k) => [...i, k])), [[] as number[]])
  const places = indices.map((i) => at(...i.map((k) => L.int(k)))).map(({ kh, kw }) => [known(kh), known(kw)])
  const data = new Int8Array(panels.length * each * 4 * taps)
  let n = 0
  for (const first of panels)
    for (const [kh, kw] of places)
      for (const c of range(4))
        for (const t of range(taps)) {
          const inside = kh + t >= 0 && kh + t < rows
          data[n++] = inside ? weight(first + c, kh + t, kw) : zero
        }

  const windows = Int8Array.from({ length: rows * columns * channels }, (_, i) => {
    const tap = Math.floor(i / channels)
    return weight(i % channels, Math.floor(tap / columns), tap % columns)
  })
  const from = L.buffer('windows', 'i8', [windows.length])
  const outside = L.buffer('outside', 'i32', [1])
  const to = L.buffer('w', 'i8', [data.length], 'write')
  const body = L.loop('p', panels.length, (p) => {
    const [declare, first] = L.declare('first', L.op('min', L.mul(p, 4), L.int(channels - 4)))
    const within = (index: readonly Expr[], j: Expr): Stmt => {
      const extent = extents[index.length]
      if (extent !== undefined)
        return L.loop(`j${index.length}`, extent, (k) => within([...index, k], L.add(L.mul(j, extent), k)))
      const { kh, kw } = at(...index)
      return L.loop('t', taps, (t) => {
        const [declareRow, row] = L.declare('row', L.add(kh, t))
        const put = (c: number, value: Expr) =>
          L.store(to, [L.add(L.add(L.mul(L.add(L.mul(p, each), j), 4 * taps), c * taps), t)], value)
        const one = (c: number) => L.load(from, L.add(L.add(L.mul(L.add(L.mul(row, columns), kw), channels), first), c))
        const none = zero === 0 ? L.int(0) : L.load(outside, 0)
        return [
          declareRow,
          L.when(
            L.and(L.ge(row, 0), L.lt(row, rows)),
            range(4).map((c) => put(c, one(c))),
            range(4).map((c) => put(c, none)),
          ),
        ]
      })
    }
    return [declare, within([], L.int(0))]
  })
  const bufs = zero === 0 ? [from, to] : [from, outside, to]
  const sources = zero === 0 ? [windows] : [windows, Int32Array.of(zero)]
  return { data, made: { kernel: L.kernel('taps', bufs, body), from: sources } }
}
