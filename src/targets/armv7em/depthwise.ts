// Sums of products with a window of its own for each channel (depthwise convolutions). Four channels at a time become planes
// with the padding around them; a routine walks one plane. Weights hold 256 * w, so that sums are as `requantize` wants them,
// or 128 * w where those have no room in 16 bits or their sums in 32.

import type { Arg, Call } from '../../ir/op.ts'
import type { Affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr, type Stmt } from '../../loops/ir.ts'
import type { For } from '../../loops/walk.ts'
import { type Products, type SumOfProducts, sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { flat } from './dense.ts'
import { fillMeans, fillRoutine } from './gather.ts'
import {
  isResident,
  lanesOf,
  type Plane,
  planeMeans,
  planeOf,
  planeRoutine,
  planesMeans,
  planesRoutine,
} from './plane.ts'
import { epilogueWords, type Form, shortForm } from './requantize.ts'

/** One axis of the window. */
export interface Axis {
  readonly input: number
  readonly output: number
  readonly taps: number
  readonly stride: number
  readonly before: number
}

export interface Depthwise<S extends Products = SumOfProducts> {
  readonly s: S
  readonly batch?: For
  readonly channels: number
  readonly row: Axis
  readonly column: Axis
  /** The weight of tap (row, column) of a channel, where weights are constant. */
  weight(channel: number, kh: number, kw: number): number
  /** Where the first weight stands, and elements to the next channel, row and column. */
  readonly stored: { readonly base: number; readonly channel: number; readonly row: number; readonly column: number }
  /** Where the first output stands, and elements to the next image, row and column. */
  readonly placed: { readonly base: number; readonly image: number; readonly row: number; readonly column: number }
}

const ONE: Axis = { input: 1, output: 1, taps: 1, stride: 1, before: 0 }

/** `apart`: outputs of an axis need not be neighbours. */
export function depthwiseOf<S extends Products>(s: S, apart = false): Depthwise<S> | undefined {
  const { shape } = s.x.buf
  if (shape.length !== 4 || s.y.buf.shape.length !== 4) return undefined
  const [n, , , c] = s.x.at
  const loopOf = (a: Affine, loops: readonly For[]) => loops.find((l) => a.terms.has(l.v))
  const channel = loopOf(s.channel, s.outputs)
  const channels = shape[3]
  const only = (a: Affine, ...allowed: (For | undefined)[]) =>
    [...a.terms.keys()].every((v) => allowed.some((l) => l?.v === v))
  if (!channel || channel.extent !== channels || s.y.buf.shape[3] !== channels || !only(c, channel)) return undefined
  if (c.terms.get(channel.v) !== 1 || c.base !== 0 || s.channel.base !== 0) return undefined
  const axis = (d: number): (Axis & { out?: For; tap?: For }) | undefined => {
    const at = s.x.at[d]
    const out = loopOf(s.y.at[d], s.outputs)
    const tap = loopOf(at, s.window)
    if (!only(at, out, tap) || (tap && at.terms.get(tap.v) !== 1) || (!apart && s.y.at[d].base !== 0)) return undefined
    if (out && !apart && s.y.at[d].terms.get(out.v) !== 1) return undefined
    const stride = (out && at.terms.get(out.v)) ?? 1
    if (stride < 1) return undefined
    return { input: shape[d], output: out?.extent ?? 1, taps: tap?.extent ?? 1, stride, before: -at.base, out, tap }
  }
  const [rows, columns] = [axis(1), axis(2)]
  if (!rows || !columns || rows.before < 0 || columns.before < 0) return undefined
  const batch = loopOf(n, s.outputs)
  const known = new Set([batch, channel, rows.out, columns.out])
  if (s.outputs.some((l) => !known.has(l)) || s.window.some((l) => l !== rows.tap && l !== columns.tap))
    return undefined
  if (batch && (s.y.at[0].terms.get(batch.v) !== 1 || n.terms.get(batch.v) !== 1)) return undefined
  const strides = s.w.buf.shape.map((_, d) => count(s.w.buf.shape.slice(d + 1)))
  const along = (l: For | undefined) =>
    s.w.at.reduce((sum, a, d) => sum + ((l && a.terms.get(l.v)) ?? 0) * strides[d], 0)
  const base = s.w.at.reduce((sum, a, d) => sum + a.base * strides[d], 0)
  const [byChannel, byRow, byColumn] = [along(channel), along(rows.tap), along(columns.tap)]
  if (s.w.at.some((a) => !only(a, channel, rows.tap, columns.tap))) return undefined
  const weight = (ch: number, kh: number, kw: number) => s.w.data![base + ch * byChannel + kh * byRow + kw * byColumn]
  const stored = { base, channel: byChannel, row: byRow, column: byColumn }
  const y = flat(s.y)
  const [image, toRow, toColumn] = [batch, rows.out, columns.out].map((l) => (l && y.terms.get(l.v)) ?? 0)
  const placed = { base: y.base, image, row: toRow, column: toColumn }
  // a line of one column is a column of one line
  if (columns.input === 1 && columns.output === 1 && columns.taps === 1)
    return {
      ...{ s, batch, channels, row: ONE, column: rows, weight: (ch, _, kw) => weight(ch, kw, 0) },
      stored: { ...stored, row: 0, column: byRow },
      placed: { ...placed, row: 0, column: toRow },
    }
  return { s, batch, channels, row: rows, column: columns, weight, stored, placed }
}

/** Start, requantisation and weights of every channel. */
export function pack({ s, channels, weight }: Depthwise, plane: Plane, { form, gain }: Proved) {
  const own = epilogueWords(form)
  const { lanes, words } = lanesOf(plane, isResident(plane))
  const size = 1 + own + words
  const data = new Int32Array(channels * size)
  for (let c = 0; c < channels; c++) {
    const at = c * size
    let sum = 0
    for (const { kh, kw, word, top } of lanes) {
      const w = weight(c, kh, kw) - s.zeroW
      sum += w
      data[at + 1 + own + word] |= top ? (gain * w) << 16 : (gain * w) & 0xffff
    }
    const { multiplier, offset, shift, negative } = form.channels[c]
    data[at] = (gain * (s.bias[c] - s.zeroX * sum)) | 0
    data.set(
      [multiplier, offset, ...(form.signed ? [negative] : []), ...(form.shift === undefined ? [shift] : [])],
      at + 1,
    )
  }
  return { data, size }
}

/** A form, and by how much weights and sums are multiplied. */
interface Proved {
  readonly form: Form
  readonly gain: number
}

export function formOf({ s, channels, row, column, weight }: Depthwise): Proved | undefined {
  let most = 0
  const rows = Array.from({ length: channels }, (_, c) => {
    let [low, high] = [s.bias[c], s.bias[c]]
    for (let kh = 0; kh < row.taps; kh++)
      for (let kw = 0; kw < column.taps; kw++) {
        const w = weight(c, kh, kw) - s.zeroW
        const [p, q] = [(-128 - s.zeroX) * w, (127 - s.zeroX) * w]
        most = Math.max(most, Math.abs(w + 0.5))
        low += Math.min(p, q)
        high += Math.max(p, q)
      }
    return { low, high, multiplier: s.multiplier[c], shift: s.shift[c] }
  })
  for (const gain of most < 128 ? [256, 128] : [128]) {
    const form = shortForm(rows, { zero: s.zeroY, low: s.low, high: s.high }, gain)
    if (form && !(form.signed && form.shift === undefined)) return { form, gain }
  }
  return undefined
}

/** The first `rows` rows of an image as runs [first, rows] that stand together. */
export function rowsApart(arg: Arg, rows: number): [number, number][] {
  if (!('value' in arg) || !arg.value.parts) return [[0, rows]]
  const runs: [number, number][] = []
  let first = 0
  for (const part of arg.value.parts) {
    if (first < rows) runs.push([first, Math.min(part.rows, rows - first)])
    first += part.rows
  }
  return runs
}

function shaped(call: Call): Call | undefined {
  const s = sumOfProducts(call, { zeroW: true })
  const d = s && depthwiseOf(s)
  if (!d || d.channels < 4 || s.low !== -128 || s.high !== 127) return undefined
  const proved = formOf(d)
  const plane = proved && planeOf(d, proved.form)
  if (!plane) return undefined
  const { row, column, channels, width, height } = plane
  const size = width * height
  const rows = Math.min(row.input, height - row.before)
  if (rows < 1) return undefined
  const packed = pack(d, plane, proved)
  let names = 0
  const name = (base: string) => `${base}${names++}`
  const x = L.buffer('x', 'i8', [count(s.x.buf.shape)])
  const w = L.buffer('w', 'i32', [channels, packed.size])
  const zero = L.buffer('zero', 'i32', [1])
  const y = L.buffer('y', 'i8', [count(s.y.buf.shape)], 'write')
  const planes = L.buffer('planes', 'i8', [4 * size], 'scratch')
  const bytes = L.op('wmul', L.op('and', L.load(zero, 0), 255), 0x01010101)
  const fill: Stmt = {
    s: 'asm',
    means: fillMeans(planes, L.int(0), 4 * size, L.load(zero, 0), name),
    routine: fillRoutine(4 * size, true),
    args: [L.load(planes, 0), L.int(0), bytes],
  }
  const inside = row.before * width + column.before
  const apart = rowsApart(s.x.arg, rows)
  /** Of four channels those from `skip` on: the others are done, and may be overwritten. */
  const quad = (n: Expr, first: Expr, skip = 0): Stmt[] => {
    const from = L.add(L.mul(n, row.input * column.input * channels), first)
    const gather = apart.map(([first, some]): Stmt => {
      const start = L.add(from, first * column.input * channels)
      const to = inside + first * width
      return {
        s: 'asm',
        means: planesMeans(plane, some, size, x, start, planes, to, name),
        routine: planesRoutine(plane, some, size),
        args: [L.load(x, start), L.load(planes, to)],
      }
    })
    const each = L.loop(name('k'), 4 - skip, (i) => {
      const k = L.add(i, skip)
      const [c, at] = [L.add(first, k), L.mul(k, size)]
      const to = L.add(L.mul(n, row.output * column.output * channels), c)
      return {
        s: 'asm',
        means: planeMeans(plane, planes, at, (k) => L.load(w, c, k), y, to, name),
        routine: planeRoutine(plane),
        args: [L.load(planes, at), L.load(w, c, 0), L.load(y, to)],
      }
    })
    return [...gather, each]
  }
  const image = (n: Expr): Stmt[] => [
    L.loop(name('q'), channels >> 2, (q) => quad(n, L.mul(q, 4))),
    ...(channels % 4 === 0 ? [] : quad(n, L.int(channels - 4), 4 - (channels % 4))),
  ]
  const body = d.batch ? L.loop('n', d.batch.extent, image) : L.block(...image(L.int(0)))
  const bordered = size !== rows * column.input
  const bufs = [x, w, ...(bordered ? [zero] : []), y, planes]
  const zeroArg: Arg[] = bordered ? [{ data: Int32Array.of(s.zeroX) }] : []
  const args = [s.x.arg, { data: packed.data }, ...zeroArg, s.y.arg, { scratch: true } as const]
  return { kernel: L.kernel(call.kernel.name, bufs, ...(bordered ? [fill] : []), body), args }
}

/** Four channels as planes, a few outputs of a row at once. */
export const depthwise: Recipe = { name: 'planes of smlad', byChannel: true, apply: shaped }
