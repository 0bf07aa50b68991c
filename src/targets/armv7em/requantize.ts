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

/** The least A whose output is `level` or more: srdhm rounds halves up, rdivpot halves away from zero. */
function threshold(level: number, { zero }: Output, { multiplier, shift }: Channel): number {
  if (multiplier === 0) return level <= zero ? -Infinity : Infinity
  const left = Math.max(shift, 0)
  const right = Math.max(-shift, 0)
  const steps = level - zero
  // rdivpot(v, right) >= steps
  let v = BigInt(steps) << BigInt(right)
  if (right > 0) v += (steps > 0 ? 0n : 1n) - (1n << BigInt(right - 1))
  // floor((A * 2^left * multiplier + 2^30) / 2^31) >= v
  const numerator = (v << 31n) - (1n << 30n)
  const denominator = BigInt(multiplier) << BigInt(left)
  const floor = numerator / denominator
  return Number(numerator % denominator > 0n ? floor + 1n : floor)
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

/** The levels that an accumulator of this channel may or may not reach. */
function stepsOf(channel: Channel, output: Output): Step[] {
  const steps: Step[] = []
  for (let level = output.low + 1; level <= output.high; level++)
    steps.push({ level, least: Math.min(Math.max(threshold(level, output, channel), channel.low), channel.high + 1) })
  return steps
}

/** A multiplier near the real one, and an offset with which every step is where it should be. */
function short(
  channel: Channel,
  steps: readonly Step[],
  shift: number,
  signed: boolean,
  gain: number,
): Short | undefined {
  const middle = Math.round((channel.multiplier * 2 ** (shift + channel.shift + 1)) / gain)
  const negative = signed ? 2 ** Math.max(0, shift + channel.shift) : 0
  for (const delta of [0, 1, -1, 2, -2, 3, -3, 4, -4]) {
    const multiplier = middle + delta
    if (multiplier <= 0 || multiplier >= 2 ** 31) continue
    const scaled = (a: number) => highProduct(gain * a, multiplier) - (a < 0 ? negative : 0)
    let [from, to] = [-(2 ** 31), 2 ** 31 - 1]
    for (const { level, least } of steps) {
      const at = level * 2 ** shift
      if (least <= channel.high) from = Math.max(from, at - scaled(least))
      if (least > channel.low) to = Math.min(to, at - scaled(least - 1) - 1)
      if (from > to) break
    }
    // no sum leaves 32 bits
    const offset = Math.max(from, Math.min(to, 0))
    if (from <= to && Math.abs(offset) < 2 ** 30) return { multiplier, offset, shift, negative }
  }
  return undefined
}

/**
 * The shortest form that is proved for every channel, or undefined; always where a changing sum times `gain`, which is what
 * the accumulator holds, may not fit it.
 */
export function shortForm(channels: readonly Channel[], output: Output, gain = 256): Form | undefined {
  // a sum that leaves 32 bits wraps, and is monotone no more
  if (channels.some((c) => c.low < -(2 ** 31) || c.high >= 2 ** 31)) return undefined
  const rows = channels.map((channel) => {
    const steps = stepsOf(channel, output)
    const level = output.low + steps.filter((s) => s.least <= channel.low).length
    const constant = steps.every((s) => s.least <= channel.low || s.least > channel.high)
    return { channel, steps, level, constant, own: Math.min(Math.max(Math.log2(gain) - 1 - channel.shift, 1), LONGEST) }
  })
  const changing = rows.filter((r) => !r.constant)
  const most = 2 ** 31 / gain
  if (changing.some(({ channel: { low, high } }) => low <= -most || high >= most)) return undefined
  const common = Math.min(LONGEST, ...changing.map((r) => r.own))
  for (const signed of [false, true])
    for (const one of [common, undefined]) {
      const found = rows.map(({ channel, steps, level, constant, own }) => {
        const shift = one ?? (constant ? 1 : own)
        // a product with 0 is 0 whatever the accumulator is
        if (constant) return { multiplier: 0, offset: level * 2 ** shift, shift, negative: 0 }
        return short(channel, steps, shift, signed, gain)
      })
      if (found.every((s) => s !== undefined))
        return { ...(one !== undefined && { shift: one }), signed, channels: found }
    }
  return undefined
}

/** Numbers of a channel in packed data: multiplier, offset, then what is taken from negative sums and the shift, as needed. */
export function epilogueWords({ shift, signed }: Pick<Form, 'shift' | 'signed'>): number {
  return 2 + (signed ? 1 : 0) + (shift === undefined ? 1 : 0)
}

/** The stored output of a sum; `number` gives the channel's packed numbers. */
export function requantizeMeans(
  { shift, signed }: Pick<Form, 'shift' | 'signed'>,
  acc: Expr,
  number: (k: number) => Expr,
): Expr {
  const high = L.op('smmla', acc, number(0), number(1))
  const lowered = signed ? L.op('wsub', high, L.op('wmul', L.op('ushr', acc, 31), number(2))) : high
  return L.clamp(L.op('shr', lowered, shift ?? number(signed ? 3 : 2)), -128, 127)
}
