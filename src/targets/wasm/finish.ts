// The ends of sums, four channels in lanes: what each starts from, and how it becomes an output. Panels with a channel for
// which no float form is proved are requantised as specified.

import type { Arg } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, type Expr, I32X4, type Stmt } from '../../loops/ir.ts'
import type { Channel } from '../armv7em/requantize.ts'
import type { SumOfProducts } from '../sum_of_products.ts'
import { MAGIC } from './codes.ts'
import { type Ends, endsOf } from './ends.ts'
import { eight, type Form, formOf, nearestForm, requantized } from './requantize.ts'

/** How the sums of a layer become outputs. */
export interface Finish {
  readonly s: SumOfProducts
  readonly form: Form
  /** What each channel's sum starts from: the bias, without the zero point's products. */
  readonly starts: readonly number[]
}

/** What sums start from, and the ranges of whole sums. `weights` are those of each channel, less their zero point. */
export function sumsOf(s: SumOfProducts, weights: readonly ArrayLike<number>[]) {
  const starts: number[] = []
  const ranges = weights.map((row, c): Channel => {
    let [low, high, start] = [s.bias[c], s.bias[c], s.bias[c]]
    for (let i = 0; i < row.length; i++) {
      const [p, q] = [(-128 - s.zeroX) * row[i], (127 - s.zeroX) * row[i]]
      low += Math.min(p, q)
      high += Math.max(p, q)
      start -= s.zeroX * row[i]
    }
    starts.push(start)
    return { low, high, multiplier: s.multiplier[c], shift: s.shift[c] }
  })
  return { starts, ranges }
}

/** `weights` are those of each channel, less their zero point. Undefined where no form is proved. */
export function finishOf(s: SumOfProducts, weights: readonly ArrayLike<number>[]): Finish | undefined {
  const { starts, ranges } = sumsOf(s, weights)
  const form = s.scale
    ? nearestForm(ranges, s.scale, s.zeroY)
    : formOf(ranges, { zero: s.zeroY, low: s.low, high: s.high })
  return form && { s, form, starts }
}

/** Where the channels of each panel begin: panels that fit, and one more that ends with the last channel. */
export function panelsOf(channels: number, size: number): number[] {
  const whole = Math.floor(channels / size)
  const starts = Array.from({ length: whole }, (_, p) => p * size)
  return channels % size === 0 ? starts : [...starts, channels - size]
}

/** What a kernel needs to turn sums into outputs, channel by channel of each panel. */
export interface Packed {
  readonly bound: readonly (readonly [Buf, Arg])[]
  readonly ends: Ends
  /** The sums' first values of channel `at` (of all panels), lanes. */
  start(at: Expr): Expr
  /** Stores the outputs of `sums[pixel][vector]`; `place` gives the first element of a pixel's channels. */
  finish(
    panel: Expr,
    sums: readonly (readonly Expr[])[],
    y: Buf,
    place: (pixel: L.E) => Expr,
    name: (base: string) => string,
  ): Stmt
}

export function packFinish(finish: Finish, panels: readonly number[], vectors: number, pixels: number): Packed {
  const { s, form } = finish
  const size = 4 * vectors
  const ends = endsOf(finish, panels, size)
  const { rows, layer } = ends
  const lanesOf = (row: number, at: L.E) => L.loadLanes(ends.buf, I32X4, L.add(at, row))
  const floats = (row: number, at: L.E) => L.op('fromBits', lanesOf(row, at))
  const clamped = s.low > -128 || s.high < 127
  const saved = L.buffer('sums', 'i32', [pixels, size], 'scratch')

  const bytes = (e: Expr): Expr => {
    const within = clamped ? L.op('min', L.op('max', e, eight(layer('low'))), eight(layer('high'))) : e
    return L.op('min', L.op('max', within, eight(-128)), eight(127))
  }
  const put = (y: Buf, at: Expr, values: readonly Expr[]): Stmt[] => {
    const out: Stmt[] = []
    for (let v = 0; v < values.length; v += 2) {
      const pair = L.op('narrow', values[v], values[Math.min(v + 1, values.length - 1)])
      out.push(
        v + 1 < values.length
          ? L.store(y, [L.add(at, 4 * v)], bytes(pair))
          : L.store(y, [L.add(at, 4 * v)], four(values[v])),
      )
    }
    return out
  }
  const four = (e: Expr): Expr => {
    const [lo, hi] = clamped ? [layer('low'), layer('high')] : [L.int(-128), L.int(127)]
    return L.op('min', L.op('max', e, L.splat(lo, 4)), L.splat(hi, 4))
  }
  return {
    bound: [[ends.buf, ends.arg], ...(rows.magic === undefined ? [] : [[saved, { scratch: true }] as const])],
    ends,
    start: (at) => lanesOf(rows.start!, at),
    finish(panel, sums, y, place, name) {
      const at = (v: number) => L.add(L.mul(panel, size), 4 * v)
      const declared: Stmt[] = []
      const named = (base: string, value: Expr): Expr => {
        const [declare, register] = L.declare(name(base), value)
        declared.push(declare)
        return register
      }
      const channels = Array.from({ length: vectors }, (_, v) => ({
        scale: named('scale', floats(rows.scale!, at(v))),
        magic: named('magic', rows.magic === undefined ? L.splat(L.float(MAGIC), 4) : floats(rows.magic, at(v))),
        negative: rows.negative === undefined ? undefined : named('negative', lanesOf(rows.negative, at(v))),
        base: form.base === undefined ? undefined : L.splat(layer('base'), 4),
      }))
      const fast = L.block(
        ...declared,
        ...sums.flatMap((row, p) =>
          put(
            y,
            place(p),
            row.map((e, v) => requantized(e, channels[v])),
          ),
        ),
      )
      if (rows.magic === undefined) return fast
      const save = sums.flatMap((row, p) => row.map((e, v) => L.store(saved, [L.int(p), L.int(4 * v)], e)))
      const slow = L.loop(name('p'), sums.length, (p) =>
        L.loop(name('v'), vectors, (v) => {
          const slot = L.add(L.mul(panel, size), L.mul(v, 4))
          const sum = L.op('shr', L.loadLanes(saved, I32X4, p, L.mul(v, 4)), L.splat(layer('left'), 4))
          const scaled = L.requant(sum, lanesOf(rows.multiplier!, slot), lanesOf(rows.shift!, slot))
          return L.store(y, [L.add(place(p), L.mul(v, 4))], four(L.op('wadd', scaled, L.splat(layer('zero'), 4))))
        }),
      )
      // where nothing is proved there is no magic
      const exact = L.op('eq', L.load(ends.buf, L.add(L.mul(panel, size), rows.magic)), L.int(0))
      return L.when(exact, [...save, slow], fast)
    },
  }
}

/** What inputs are scaled up by, and their zero point so scaled: registers for one and for eight inputs. */
export interface Inputs {
  readonly head: readonly Stmt[]
  readonly gain: Expr
  readonly zero: Expr
  readonly zeros: Expr
  /** Of eight inputs, scaled up. */
  scaled(e: Expr): Expr
}

export function inputsOf({ ends: { layer } }: Packed): Inputs {
  const [declareGain, one] = L.declare('gain', layer('gain'))
  const [declareZero, zero] = L.declare('zero_x', layer('zeroX'))
  const [declareGains, gains] = L.declare('gains', eight(one))
  const [declareZeros, zeros] = L.declare('zeros_x', eight(zero))
  return {
    head: [declareGain, declareZero, declareGains, declareZeros],
    gain: one,
    zero,
    zeros,
    scaled: (e) => L.op('mul', e, gains),
  }
}

/** The zero point of weights: its buffer and registers, and what becomes of eight stored weights; nothing where it is 0. */
export function weightZero({ zeroW }: SumOfProducts): {
  readonly bufs: readonly [Buf, Arg][]
  readonly head: readonly Stmt[]
  readonly zero?: Expr
  of(stored: Expr): Expr
} {
  if (zeroW === 0) return { bufs: [], head: [], of: (stored) => stored }
  const buf = L.buffer('zero_w', 'i32', [1])
  const [declare, zero] = L.declare('zero_w1', L.load(buf, 0))
  const [declareLanes, lanes] = L.declare('zero_w8', eight(zero))
  return {
    bufs: [[buf, { data: Int32Array.of(zeroW) }]],
    head: [declare, declareLanes],
    zero,
    of: (stored) => L.op('sub', stored, lanes),
  }
}
