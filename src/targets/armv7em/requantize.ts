// The cheapest form of TensorFlow Lite's requantisation that Armv7E-M has, where it is proved equal. The accumulator holds
// 256 * A; SMMLA and SSAT give sat8((offset + floor(256 * A * multiplier / 2^32)) >> shift). That and the specification are
// monotone in A, so they are equal for every A if the outputs step at the same A: at most 255 thresholds are compared.

import { highProduct } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import type { Expr } from '../../loops/ir.ts'

/** One output channel: the accumulator's range, Q31 multiplier and shift as TensorFlow Lite defines them. */
export interface Channel {
  readonly low: number
  readonly high: number
  readonly multiplier: number
  readonly shift: number
}

/** The range of stored outputs and their zero point. */
export interface Output {
  readonly zero: number
  readonly low: number
  readonly high: number
}

/** A quotient this near to an integer is computed again without error. */
const NEAR = 2 ** -10

/** ceil(n / d) of integers that float64 holds; d > 0. */
function ceilQuotient(n: number, d: number): number {
  const quotient = n / d
  if (Math.abs(quotient) < 2 ** 40 && Math.abs(quotient - Math.round(quotient)) > NEAR) return Math.ceil(quotient)
  const [p, q] = [BigInt(n), BigInt(d)]
  const floor = p / q
  return Number(p % q > 0n ? floor + 1n : floor)
}

/** The least A whose output is `level` or more: srdhm rounds halves up, rdivpot halves away from zero. */
function threshold(level: number, { zero }: Output, { multiplier, shift }: Channel): number {
  if (multiplier === 0) return level <= zero ? -Infinity : Infinity
  const left = Math.max(shift, 0)
  const right = Math.max(-shift, 0)
  const steps = level - zero
  // rdivpot(v, right) >= steps
  let v = steps * 2 ** right
  if (right > 0) v += (steps > 0 ? 0 : 1) - 2 ** (right - 1)
  // floor((A * 2^left * multiplier + 2^30) / 2^31) >= v
  return ceilQuotient(2 ** 30 * (2 * v - 1), multiplier * 2 ** left)
}

/** The numbers of a channel's short form. */
export interface Short {
  readonly multiplier: number
  readonly offset: number
  readonly shift: number
  /** Taken from the sum where the accumulator is negative: 0 where no channel of the layer needs it. */
  readonly negative: number
}

/**
 * How a layer requantises: SMMLA and SSAT (2 instructions); one more where each channel has its own shift; two more where
 * negative accumulators round down.
 */
export interface Form {
  /** Of all channels, where it is one. */
  readonly shift?: number
  readonly signed: boolean
  readonly channels: readonly Short[]
}

/** Of a shift: with 8 bits above it every sum fits. */
const LONGEST = 22

interface Step {
  readonly level: number
  /** The least accumulator of this level; the channel's range ends just before it where no accumulator has it. */
  readonly least: number
}

/** The levels that an accumulator of this channel may or may not reach; `beyond` the limits too, which masks tell apart. */
function stepsOf(channel: Channel, output: Output, beyond: boolean): Step[] {
  const { low, high } = output
  const steps: Step[] = []
  for (let level = beyond ? low : low + 1; level <= (beyond ? high + 1 : high); level++)
    steps.push({ level, least: Math.min(Math.max(threshold(level, output, channel), channel.low), channel.high + 1) })
  return steps
}

/** Two steps in front of the others. */
function toFront(steps: Step[], a: number, b: number): void {
  const [p, q] = [steps[a], steps[b]]
  steps[a] = steps[0]
  steps[0] = p
  if (a === b) return
  steps[b === 0 ? a : b] = steps[1]
  steps[1] = q
}

/**
 * A multiplier near the real one, and an offset with which every step is where it should be. Two steps that contradict each other
 * come first from then on, since they will for most multipliers.
 */
function short(channel: Channel, steps: Step[], shift: number, signed: boolean, gain: number): Short | undefined {
  const middle = Math.round((channel.multiplier * 2 ** (shift + channel.shift + 1)) / gain)
  const negative = signed ? 2 ** Math.max(0, shift + channel.shift) : 0
  for (const delta of [0, 1, -1, 2, -2, 3, -3, 4, -4]) {
    const multiplier = middle + delta
    if (multiplier <= 0 || multiplier >= 2 ** 31) continue
    const scaled = (a: number) => highProduct(gain * a, multiplier) - (a < 0 ? negative : 0)
    let [from, to] = [-(2 ** 31), 2 ** 31 - 1]
    let [fromAt, toAt] = [0, 0]
    for (let i = 0; i < steps.length && from <= to; i++) {
      const { level, least } = steps[i]
      const at = level * 2 ** shift
      const lower = least <= channel.high ? at - scaled(least) : from
      const upper = least > channel.low ? at - scaled(least - 1) - 1 : to
      if (lower > from) [from, fromAt] = [lower, i]
      if (upper < to) [to, toAt] = [upper, i]
    }
    if (from > to) toFront(steps, fromAt, toAt)
    // no sum leaves 32 bits
    const offset = Math.max(from, Math.min(to, 0))
    if (from <= to && Math.abs(offset) < 2 ** 30) return { multiplier, offset, shift, negative }
  }
  return undefined
}

/** A form, and the channels that it is not proved for. */
export interface Proof {
  readonly form: Form
  readonly failed: readonly number[]
}

interface Proving {
  /** What the accumulator holds is this times the sum. */
  readonly gain: number
  readonly beyond: boolean
  /** Channels that need not be proved. */
  readonly failures: number
}

/** The shortest form that is proved for all but so many channels. */
function prove(channels: readonly Channel[], output: Output, { gain, beyond, failures }: Proving): Proof | undefined {
  const most = 2 ** 31 / gain
  const rows = channels.map((channel): Row => {
    const steps = stepsOf(channel, output, beyond)
    const level = (beyond ? output.low - 1 : output.low) + steps.filter((s) => s.least <= channel.low).length
    const constant = steps.every((s) => s.least <= channel.low || s.least > channel.high)
    // a sum that leaves 32 bits wraps, and is monotone no more
    const wraps = channel.low < -(2 ** 31) || channel.high >= 2 ** 31
    const wide = wraps || (!constant && (channel.low <= -most || channel.high >= most))
    const own = Math.min(Math.max(Math.log2(gain) - 1 - channel.shift, 1), LONGEST)
    return { channel, steps, level, constant, wide, own }
  })
  if (rows.filter((r) => r.wide).length > failures) return undefined
  const common = Math.min(LONGEST, ...rows.filter((r) => !r.constant && !r.wide).map((r) => r.own))
  const wide = rows.filter((r) => r.wide).length
  let best: Proof | undefined
  for (const signed of [false, true])
    for (const one of [common, undefined]) {
      if (best?.failed.length === wide) return best
      const proof = proved(rows, signed, one, gain, best ? best.failed.length - 1 : failures)
      best = proof ?? best
    }
  return best
}

interface Row {
  readonly channel: Channel
  readonly steps: Step[]
  readonly level: number
  readonly constant: boolean
  readonly wide: boolean
  readonly own: number
}

/** One form for all channels but at most `failures`. */
function proved(
  rows: readonly Row[],
  signed: boolean,
  one: number | undefined,
  gain: number,
  failures: number,
): Proof | undefined {
  const failed: number[] = []
  const channels: Short[] = []
  for (const [c, { channel, steps, level, constant, wide, own }] of rows.entries()) {
    const shift = one ?? (constant ? 1 : own)
    // a product with 0 is 0 whatever the accumulator is
    const fixed = constant && !wide && { multiplier: 0, offset: level * 2 ** shift, shift, negative: 0 }
    const found = fixed || (wide ? undefined : short(channel, steps, shift, signed, gain))
    if (!found) failed.push(c)
    if (failed.length > failures) return undefined
    channels.push(found ?? { multiplier: 0, offset: 0, shift, negative: 0 })
  }
  return { form: { ...(one !== undefined && { shift: one }), signed, channels }, failed }
}

/**
 * The shortest form that is proved for every channel, or undefined; always where a changing sum times `gain`, which is what
 * the accumulator holds, may not fit it.
 */
export function shortForm(channels: readonly Channel[], output: Output, gain = 256): Form | undefined {
  return prove(channels, output, { gain, beyond: false, failures: 0 })?.form
}

/** How many channels may be left to plain loops. */
const FAILURES = 1 / 4

/**
 * The same for layers with masks: values beyond the limits are told from values at them. Biases and weights may be any with which
 * the sums are within the channels' ranges.
 */
export function shortMaskedForm(channels: readonly Channel[], output: Output, gain: number): Proof | undefined {
  return prove(channels, output, { gain, beyond: true, failures: Math.floor(channels.length * FAILURES) })
}

/** The greatest sum of which the value before it is clamped is below the limits, and the least of which it is above. */
export function beyondLimits(channel: Channel, output: Output): readonly [number, number] {
  return [threshold(output.low, output, channel) - 1, threshold(output.high + 1, output, channel)]
}

/** Numbers of a channel in packed data: multiplier, offset, then what is taken from negative sums and the shift, as needed. */
export function epilogueWords({ shift, signed }: Pick<Form, 'shift' | 'signed'>): number {
  return 2 + (signed ? 1 : 0) + (shift === undefined ? 1 : 0)
}

/** The value of a sum before it is saturated; `number` gives the channel's packed numbers. */
export function requantized(
  { shift, signed }: Pick<Form, 'shift' | 'signed'>,
  acc: Expr,
  number: (k: number) => Expr,
): Expr {
  const high = L.op('smmla', acc, number(0), number(1))
  const lowered = signed ? L.op('wsub', high, L.op('wmul', L.op('ushr', acc, 31), number(2))) : high
  return L.op('shr', lowered, shift ?? number(signed ? 3 : 2))
}

/** The stored output of a sum, signed with 8 `bits`, unsigned with fewer. */
export function requantizeMeans(
  form: Pick<Form, 'shift' | 'signed'>,
  acc: Expr,
  number: (k: number) => Expr,
  bits: 8 | 4 | 2 = 8,
): Expr {
  const [low, high] = bits === 8 ? [-128, 127] : [0, 2 ** bits - 1]
  return L.clamp(requantized(form, acc, number), low, high)
}

/** Saturates and moves right: what follows the operands' register. */
export function saturate(r: string, bits: 8 | 4 | 2, shift: string): string {
  return bits === 8 ? `ssat ${r}, #8, ${r}${shift}` : `usat ${r}, #${bits}, ${r}${shift}`
}
