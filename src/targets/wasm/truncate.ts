// Requantisation for engines that multiply and add four floats with one rounding, and truncate them, by one instruction each:
// float(a) * scale + shift, truncated and saturated to a byte without a sign, is the output and 128. Both that and the specification are monotone in the sum a, so that
// they are equal if they step at the same sums; scale (by units in the last place) and shift are searched for that.
// Where negative sums round the other way, their shift is another one.

import type { Arg } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { fma, roundEven } from '../../loops/float.ts'
import { type Buf, type Expr, I32X4, type Stmt } from '../../loops/ir.ts'
import type { Channel, Output } from '../armv7em/requantize.ts'
import type { SumOfProducts } from '../sum_of_products.ts'
import { bitsOf, floatOf, outward } from './codes.ts'
import { sumsOf } from './finish.ts'
import { eight, endsRight, type Steps, stepsOf, stepsOfScaled } from './requantize.ts'
import { truncationEnds } from './truncate_ends.ts'

/** The numbers of a channel. */
export interface Truncated {
  /** Added to the sum first: moves the shift to where there are float32 numbers for it. */
  readonly start: number
  readonly scale: number
  /** What a float32 scale lacks, where that counts. */
  readonly fine: number
  readonly shift: number
  /** In its place where the sum is negative. */
  readonly below: number
}

/** From int8 to numbers without a sign, four at a time. */
export const TOP = 0x80808080 | 0

const RAISED = 128
const ULPS = 12
const STARTS = 64
const TRIES = 32
const BEYOND = 2 ** 31

/** The output and 128 before it is saturated. */
export function truncated(a: number, { start, scale, fine, shift, below }: Truncated): number {
  const x = Math.fround(a + start)
  const by = x < 0 ? below : shift
  return Math.trunc(fma(x, scale, fine === 0 ? by : fma(x, fine, by)))
}

/** The least number that is rounded to a level, which a byte without a sign counts. */
const ROUNDED = Float64Array.from({ length: 257 }, (_, n) => n - 2 ** (Math.ceil(Math.log2(n)) - 25))

/** From where to where shifts may be for sums of one sign. */
type Window = readonly [number, number]

function windowOf({ first, least }: Steps, slope: number, sign: -1 | 0 | 1): Window | undefined {
  let [from, to] = [-BEYOND, BEYOND]
  const counts = (a: number) => sign === 0 || a < 0 === sign < 0
  for (let i = 0; i < least.length; i++) {
    const [a, level] = [least[i], ROUNDED[first + i + RAISED]]
    if (counts(a)) from = Math.max(from, level - a * slope)
    if (counts(a - 1)) to = Math.min(to, level - (a - 1) * slope)
    if (from >= to) return undefined
  }
  return [from === -BEYOND ? to - slope : from, to === BEYOND ? from + slope : to]
}

/** A float32 in the window, by `moved` lower. */
function within([from, to]: Window, moved: number): number | undefined {
  const x = Math.fround((from + to) / 2 - moved)
  return x >= from - moved && x < to - moved ? x : undefined
}

function search(channel: Channel, output: Output, steps: Steps, real: number): Truncated | undefined {
  const right = (numbers: Truncated) =>
    [channel.low, channel.high].every((a) => Math.abs(a + numbers.start) * (1 + numbers.scale) + 2 * RAISED < BEYOND) &&
    steps.least.every((a, i) => {
      const level = steps.first + i + RAISED
      return truncated(a, numbers) >= level && truncated(a - 1, numbers) < level
    }) &&
    endsRight(channel, output, steps, (a) => truncated(a, numbers) - RAISED)
  let tries = TRIES
  const [first, last] = [steps.least[0], steps.least[steps.least.length - 1]]
  // of larger sums float32 knows only some
  const middle = Math.max(-first, last) < 2 ** 24 ? 0 : Math.round((first + last) / 2)
  const starts = outward(STARTS).map((n) => n - middle)
  const nearest = Math.fround(real)
  const plain = outward(ULPS).map((n) => [floatOf(bitsOf(nearest) + n), 0] as const)
  const finer = outward(ULPS).map((n) => [nearest, Math.fround(real * (1 + n * 2 ** -27) - nearest)] as const)
  for (const scales of [plain, finer])
    for (const signed of [false, true])
      for (const [scale, fine] of scales) {
        const above = windowOf(steps, scale + fine, signed ? 1 : 0)
        const under = above && signed ? windowOf(steps, scale + fine, -1) : above
        if (!above || !under) continue
        for (const start of starts) {
          const [shift, below] = [above, under].map((window) => within(window, start * (scale + fine)))
          if (shift === undefined || below === undefined) continue
          const numbers = { start, scale, fine, shift, below }
          if (right(numbers)) return numbers
          if (--tries === 0) return undefined
        }
      }
  return undefined
}

/** The numbers of a channel, whose outputs are scaled by a float32 or as TensorFlow Lite does; undefined where none are proved. */
export function truncatedOf(channel: Channel, output: Output, scale?: number): Truncated | undefined {
  if (channel.low < -BEYOND || channel.high >= BEYOND) return undefined
  const steps =
    scale === undefined
      ? stepsOf(channel, output)
      : stepsOfScaled(channel, output, (a) => roundEven(Math.fround(Math.fround(a) * scale)), scale)
  if (steps?.least.length === 0) {
    const level = steps.first - 1 + RAISED
    return { start: 0, scale: 0, fine: 0, shift: level, below: level }
  }
  return steps && search(channel, output, steps, scale ?? channel.multiplier * 2 ** (channel.shift - 31))
}

/** What sums of a layer start from, and the numbers by which they become outputs. */
export interface Truncation {
  readonly s: SumOfProducts
  readonly starts: readonly number[]
  readonly channels: readonly Truncated[]
}

/** `weights` are those of each channel, less their zero point. Undefined where a channel has no such numbers. */
export function truncationOf(s: SumOfProducts, weights: readonly ArrayLike<number>[]): Truncation | undefined {
  const { starts, ranges } = sumsOf(s, weights)
  const output = { zero: s.zeroY, low: s.low, high: s.high }
  const channels: Truncated[] = []
  for (const [c, range] of ranges.entries()) {
    const numbers = truncatedOf(range, output, s.scale?.[c])
    if (!numbers) return undefined
    channels.push(numbers)
  }
  return { s, starts, channels }
}

/** What a kernel needs to turn sums into outputs, channel by channel of each panel. */
export interface PackedTruncation {
  readonly bufs: readonly (readonly [Buf, Arg])[]
  /** The sums' first values of channel `at` (of all panels), lanes. */
  start(at: Expr): Expr
  /** Stores the outputs of `sums[pixel][vector]`; `place` gives the first element of a pixel's channels. */
  finish(
    panel: Expr,
    sums: readonly (readonly Expr[])[],
    y: Buf,
    place: (pixel: number) => Expr,
    name: (base: string) => string,
  ): Stmt
}

/** `lower` is taken off each channel's first value. */
export function packTruncation(
  { s, starts, channels }: Truncation,
  lower: (channel: number) => number,
  panels: readonly number[],
  vectors: number,
): PackedTruncation {
  const size = 4 * vectors
  const firsts = starts.map((start, c) => (start + channels[c].start - lower(c)) | 0)
  const { buf, arg, rows } = truncationEnds(s, firsts, channels, panels, size)
  const limits = s.low > -128 || s.high < 127
  const limited = (e: Expr) => (limits ? L.clamp(e, eight(L.load(buf, 0)), eight(L.load(buf, 1))) : e)
  const lanesOf = (row: number, at: Expr) => L.loadLanes(buf, I32X4, L.add(at, row))
  return {
    bufs: [[buf, arg]],
    start: (at) => lanesOf(rows.start!, at),
    finish(panel, sums, y, place, name) {
      const declared: Stmt[] = []
      const named = (base: string, value: Expr): Expr => {
        const [declare, register] = L.declare(name(base), value)
        declared.push(declare)
        return register
      }
      const numbers = Array.from({ length: vectors }, (_, v) => {
        const of = (row: number) => lanesOf(row, L.add(L.mul(panel, size), 4 * v))
        const float = (base: string, row: number) => named(base, L.op('fromBits', of(row)))
        return {
          scale: float('scale', rows.scale!),
          shift: float('shift', rows.shift!),
          fine: rows.fine === undefined ? undefined : float('fine', rows.fine),
          signed: rows.signed === undefined ? undefined : named('signed', of(rows.signed)),
        }
      })
      const whole = (sum: Expr, { scale, shift, fine, signed }: (typeof numbers)[number]): Expr => {
        const by = signed
          ? L.op('fromBits', L.op('xor', L.op('bits', shift), L.op('and', L.op('shr', sum, L.splat(31, 4)), signed)))
          : shift
        const real = L.op('toF32', sum)
        return L.op('whole', L.op('fma', real, scale, fine ? L.op('fma', real, fine, by) : by))
      }
      const all = sums.flatMap((row, p) => row.map((sum, v) => ({ p, v, value: whole(sum, numbers[v]) })))
      const stores: Stmt[] = []
      for (let first = 0; first < all.length; first += 4) {
        const group = all.slice(first, first + 4)
        const values = group.map(({ value }) => L.declare(name('whole'), value))
        const pair = (i: number) => limited(L.op('narrow', values[i][1], values[Math.min(i + 1, group.length - 1)][1]))
        const [declareLow, low] = L.declare(name('pair'), pair(0))
        const both = L.op('narrowU', low, group.length > 2 ? pair(2) : low)
        const [declare, out] = L.declare(name('bytes'), L.op('bytes', raise(L.op('bits', both))))
        stores.push(...values.map(([declare]) => declare), declareLow, declare)
        for (let i = 0; i < group.length; ) {
          const { p, v } = group[i]
          const together = [4, 2].find(
            (n) => i % n === 0 && i + n <= group.length && group.slice(i, i + n).every((other) => other.p === p),
          )
          const value = together === 4 ? out : together === 2 ? L.part(out, 8, i / 2) : L.part(out, 4, i)
          stores.push(L.store(y, [L.add(place(p), 4 * v)], value))
          i += together ?? 1
        }
      }
      return L.block(...declared, ...stores)
    },
  }
}

/** Bytes that are 128 higher or lower, four a lane. */
export const raise = (e: Expr) => L.op('xor', e, L.splat(TOP, 4))

/** A zero point and 128, four times. */
export function raisedWord(zero: number): number {
  return (((zero + RAISED) & 255) * 0x01010101) | 0
}
