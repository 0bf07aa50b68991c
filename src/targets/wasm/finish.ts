// The ends of sums, four channels in lanes: what each starts from, and how it becomes an output. Panels with a channel for
// which no float form is proved are requantised as specified.

import type { Arg } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, type Expr, F32X4, I32X4, type Stmt } from '../../loops/ir.ts'
import type { Channel } from '../armv7em/requantize.ts'
import type { SumOfProducts } from '../sum_of_products.ts'
import { eight, type Form, formOf, nearestForm, requantized } from './requantize.ts'

/** How the sums of a layer become outputs. */
export interface Finish {
  readonly s: SumOfProducts
  readonly form: Form
  /** What each channel's sum starts from: the bias, without the zero point's products. */
  readonly starts: readonly number[]
}

/** `weights` are those of each channel, less their zero point. Undefined where no form is proved. */
export function finishOf(s: SumOfProducts, weights: readonly ArrayLike<number>[]): Finish | undefined {
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
  readonly bufs: readonly Buf[]
  readonly data: readonly (Int32Array | Float32Array)[]
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

export function packFinish(
  { s: { zeroY, low, high, multiplier, shift }, form, starts }: Finish,
  panels: readonly number[],
  vectors: number,
  pixels: number,
): Packed {
  const size = 4 * vectors
  const slots = panels.flatMap((first) => Array.from({ length: size }, (_, i) => first + i))
  const exact = panels.map((first) =>
    Array.from({ length: size }, (_, i) => form.channels[first + i]).some((c) => c === undefined),
  )
  const isExact = (slot: number) => exact[Math.floor(slot / size)]
  const numbersOf = (slot: number) => (isExact(slot) ? undefined : form.channels[slots[slot]])
  const fill = <T extends Int32Array | Float32Array>(data: T, f: (slot: number) => number): T => {
    for (let i = 0; i < slots.length; i++) data[i] = f(i)
    return data
  }
  const n = slots.length
  const parts: { buf: Buf; data: Int32Array | Float32Array }[] = []
  const part = (name: string, elem: 'i32' | 'f32', data: Int32Array | Float32Array): Buf => {
    const buf = L.buffer(name, elem, [data.length])
    parts.push({ buf, data })
    return buf
  }
  const start = part(
    'start',
    'i32',
    fill(new Int32Array(n), (i) => (form.gain * starts[slots[i]] + (numbersOf(i)?.offset ?? 0)) | 0),
  )
  const scale = part(
    'scale',
    'f32',
    fill(new Float32Array(n), (i) => numbersOf(i)?.scale ?? 0),
  )
  const magic = part(
    'magic',
    'f32',
    fill(new Float32Array(n), (i) => numbersOf(i)?.magic ?? 0),
  )
  const negative = form.signed
    ? part(
        'negative',
        'i32',
        fill(new Int32Array(n), (i) => numbersOf(i)?.negative ?? 0),
      )
    : undefined
  const base = form.base === undefined ? undefined : part('base', 'i32', Int32Array.of(form.base))
  const clamped = low > -128 || high < 127
  const limits = clamped ? part('limits', 'i32', Int32Array.of(low, high)) : undefined
  const fall = exact.includes(true)
    ? {
        flags: part('exact', 'i32', Int32Array.from(exact, Number)),
        m: part(
          'm',
          'i32',
          fill(new Int32Array(n), (i) => multiplier[slots[i]]),
        ),
        s: part(
          's',
          'i32',
          fill(new Int32Array(n), (i) => shift[slots[i]]),
        ),
        zero: part('zero_y', 'i32', Int32Array.of(zeroY)),
        gain: part('gain_log2', 'i32', Int32Array.of(Math.log2(form.gain))),
        sums: L.buffer('sums', 'i32', [pixels, size], 'scratch'),
      }
    : undefined

  const bytes = (e: Expr): Expr => {
    const within = limits ? L.op('min', L.op('max', e, eight(L.load(limits, 0))), eight(L.load(limits, 1))) : e
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
    const [lo, hi] = limits ? [L.load(limits, 0), L.load(limits, 1)] : [L.int(-128), L.int(127)]
    return L.op('min', L.op('max', e, L.splat(lo, 4)), L.splat(hi, 4))
  }
  return {
    bufs: [...parts.map((p) => p.buf), ...(fall ? [fall.sums] : [])],
    data: parts.map((p) => p.data),
    start: (at) => L.loadLanes(start, I32X4, at),
    finish(panel, sums, y, place, name) {
      const at = (v: number) => L.add(L.mul(panel, size), 4 * v)
      const declared: Stmt[] = []
      const named = (base: string, value: Expr): Expr => {
        const [declare, register] = L.declare(name(base), value)
        declared.push(declare)
        return register
      }
      const numbers = Array.from({ length: vectors }, (_, v) => ({
        scale: named('scale', L.loadLanes(scale, F32X4, at(v))),
        magic: named('magic', L.loadLanes(magic, F32X4, at(v))),
        negative: negative && named('negative', L.loadLanes(negative, I32X4, at(v))),
        base: base && L.splat(L.load(base, 0), 4),
      }))
      const fast = L.block(
        ...declared,
        ...sums.flatMap((row, p) =>
          put(
            y,
            place(p),
            row.map((e, v) => requantized(e, numbers[v])),
          ),
        ),
      )
      if (!fall) return fast
      const { flags, m, s, zero: zeroY, gain, sums: saved } = fall
      const save = sums.flatMap((row, p) => row.map((e, v) => L.store(saved, [L.int(p), L.int(4 * v)], e)))
      const slow = L.loop(name('p'), sums.length, (p) =>
        L.loop(name('v'), vectors, (v) => {
          const slot = L.add(L.mul(panel, size), L.mul(v, 4))
          const sum = L.op('shr', L.loadLanes(saved, I32X4, p, L.mul(v, 4)), L.splat(L.load(gain, 0), 4))
          const scaled = L.requant(sum, L.loadLanes(m, I32X4, slot), L.loadLanes(s, I32X4, slot))
          return L.store(y, [L.add(place(p), L.mul(v, 4))], four(L.op('wadd', scaled, L.splat(L.load(zeroY, 0), 4))))
        }),
      )
      return L.when(L.op('ne', L.load(flags, panel), 0), [...save, slow], fast)
    },
  }
}

/** What inputs are scaled up by, and their zero point so scaled: one buffer, and registers for one and for eight inputs. */
export interface Inputs {
  readonly buf: readonly [Buf, Arg]
  readonly head: readonly Stmt[]
  readonly gain: Expr
  readonly zero: Expr
  readonly zeros: Expr
  /** Of eight inputs, scaled up. */
  scaled(e: Expr): Expr
}

export function inputsOf({ s: { zeroX }, form: { gain } }: Finish): Inputs {
  const buf = L.buffer('input', 'i32', [2])
  const [declareGain, one] = L.declare('gain', L.load(buf, 0))
  const [declareZero, zero] = L.declare('zero_x', L.load(buf, 1))
  const [declareGains, gains] = L.declare('gains', eight(one))
  const [declareZeros, zeros] = L.declare('zeros_x', eight(zero))
  return {
    buf: [buf, { data: Int32Array.of(gain, zeroX * gain) }],
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
