// TensorFlow Lite's requantisation in four lanes of float32, where it is proved equal. A sum a with eight more bits below it
// gives a' = 256 * a + offset, which is exact in int32, and float(a') * scale + (1.5 * 2^23 + level) has the output in its
// low bits, rounded. That and the specification are monotone in a, so they are equal for every a if the outputs step at
// the same a: at most 255 thresholds are compared. Scale (by units in the last place), level and offset are searched.

import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import { type Expr, I16X8 } from '../../loops/ir.ts'
import type { Channel, Output } from '../armv7em/requantize.ts'
import { type Coding, MAGIC, MAGIC_BITS, mostOf, type Numbers, outward, suggested } from './codes.ts'

export interface Form {
  /** A power of two: how much sums are scaled up. */
  readonly gain: number
  readonly signed: boolean
  /** Choices take 32 bits for each channel: so that there are as few as possible for which nothing is proved. */
  readonly wide: boolean
  /** Taken from the bits of the float in place of MAGIC's, where sums are scaled by float32 from the start. */
  readonly base?: number
  /** Undefined where nothing is proved: the channel is requantised as specified. */
  readonly channels: readonly (Numbers | undefined)[]
}

/** Beyond it a float32 sum with MAGIC is no whole number of these bits. */
const REACH = 2 ** 22
/** One of so many channels for which nothing is proved slows a layer down. */
const MANY = 80
const GAINS = [256, 128, 64, 32, 16, 8, 4, 2, 1]
function scaled(a: number, scale: number, magic: number): number {
  return Math.fround(Math.fround(Math.fround(a) * scale) + magic) - MAGIC
}

/** The least a' that gives `level` or more. */
function least(level: number, scale: number, magic: number): number {
  let a = Math.ceil((level - (magic - MAGIC) - 0.5) / scale)
  if (scaled(a, scale, magic) < level) {
    while (scaled(++a, scale, magic) < level);
    return a
  }
  while (scaled(a - 1, scale, magic) >= level) a--
  return a
}

/** The sums of a channel at which its output steps: `least[i]` is the least with an output of `first + i` or more. */
export interface Steps {
  readonly first: number
  readonly least: Float64Array
}

/** Undefined where the output is not monotone in the sum: one that is scaled up wraps beyond 32 bits. */
export function stepsOf(channel: Channel, output: Output): Steps | undefined {
  const { low, high, multiplier, shift } = channel
  const scale = 2 ** Math.max(0, shift)
  if (low * scale < -(2 ** 31) || high * scale >= 2 ** 31) return undefined
  return stepsOfScaled(channel, output, (a) => requant(a, multiplier, shift), multiplier * 2 ** (shift - 31))
}

/** The same for outputs that are `scaled(a)`, near `real` * a, and the zero point. */
export function stepsOfScaled(
  { low, high }: Pick<Channel, 'low' | 'high'>,
  output: Output,
  scaled: (a: number) => number,
  real: number,
): Steps {
  const level = (a: number) => Math.max(output.low, Math.min(output.high, scaled(a) + output.zero))
  const [first, last] = [level(low) + 1, level(high)]
  return {
    first,
    least: Float64Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => {
      let a = Math.max(low + 1, Math.min(high, Math.round((first + i - output.zero - 0.5) / real)))
      while (level(a) < first + i) a++
      while (level(a - 1) >= first + i) a--
      return a
    }),
  }
}

/** The steps to levels from `from` to `to`. */
function part({ first, least }: Steps, from: number, to: number): Steps {
  const [start, end] = [from, to + 1].map((level) => Math.max(0, Math.min(least.length, level - first)))
  return { first: first + start, least: least.subarray(start, end) }
}

/** From the least to the greatest of the offsets with which the output steps where it should. */
type Window = readonly [number, number]

function windowOf(steps: Steps, gain: number, scale: number, magic: number): Window | undefined {
  let from = -(2 ** 31)
  let to = 2 ** 31
  for (let i = 0; i < steps.least.length; i++) {
    const a = least(steps.first + i, scale, magic) - gain * steps.least[i]
    if (a > from) from = a
    if (a + gain - 1 < to) to = a + gain - 1
    if (from > to) return undefined
  }
  return [from, to]
}

/** What, added to `suggestion`, lies in the window and is at most `most` from 0. */
function within([from, to]: Window, suggestion: number, most: number): number | undefined {
  const nearest = Math.max(from, Math.min(to, suggestion)) - suggestion
  return Math.abs(nearest) <= most ? nearest : undefined
}

/** Whether nothing leaves its range. */
function fits({ low, high }: Channel, gain: number, { offset, negative, scale }: Numbers): boolean {
  return [low, high].every((a) => {
    const sum = gain * a + offset
    return Math.abs(sum) - negative < 2 ** 31 && Math.abs((Math.abs(sum) - negative) * scale) + 256 < REACH
  })
}

/** Whether outputs, of which some number steps where it should, step no more at either end of the sums. */
export function endsRight(
  { low, high }: Pick<Channel, 'low' | 'high'>,
  output: Output,
  { first, least }: Steps,
  outputOf: (a: number) => number,
): boolean {
  const last = first + least.length - 1
  return (first - 1 === output.low || outputOf(low) >= first - 1) && (last === output.high || outputOf(high) <= last)
}

function outputOf(a: number, gain: number, { offset, negative, scale, magic }: Numbers): number {
  const sum = gain * a + offset
  return scaled(sum < 0 ? sum + negative : sum, scale, magic)
}

/** Whether outputs step where they should though negative sums are lowered. */
function stepsRight({ first, least }: Steps, gain: number, numbers: Numbers): boolean {
  const output = (a: number) => outputOf(a, gain, numbers)
  return least.every((a, i) => output(a) >= first + i && output(a - 1) < first + i)
}

function search(channel: Channel, output: Output, steps: Steps, gain: number, coding: Coding) {
  const { signed } = coding
  const { multiplier, shift } = channel
  const { zero, low, high } = output
  const [upper, lower] = signed ? [part(steps, zero + 1, high), part(steps, low, zero)] : [steps, part(steps, 1, 0)]
  const most = mostOf(coding)
  for (const level of outward(most.level))
    for (const ulps of outward(most.ulps)) {
      const given = suggested(multiplier, shift, { ...output, gain, signed }, ulps, level)
      const { scale, magic } = given
      const above = windowOf(upper, gain, scale, magic)
      const below = above && windowOf(lower, gain, scale, magic)
      if (!above || !below) continue
      const more = within(above, given.offset, most.offset)
      if (more === undefined) continue
      const offset = given.offset + more
      const lowered = signed ? within([below[0] - offset, below[1] - offset], given.negative, most.negative) : 0
      if (lowered === undefined) continue
      const choice = { ulps, level, offset: more, negative: lowered }
      const negative = signed ? Math.min(0, given.negative + lowered) : 0
      const numbers: Numbers = { choice, offset, scale, magic, negative }
      const right = !signed || stepsRight(steps, gain, numbers)
      if (right && fits(channel, gain, numbers) && endsRight(channel, output, steps, (a) => outputOf(a, gain, numbers)))
        return numbers
    }
  return undefined
}

/** The form that is proved for the most channels; undefined where a sum may leave 32 bits, which is monotone no more. */
export function formOf(channels: readonly Channel[], output: Output): Form | undefined {
  if (channels.some((c) => c.low < -(2 ** 31) || c.high >= 2 ** 31)) return undefined
  const all = channels.map((channel) => stepsOf(channel, output))
  const changing = channels.filter((_, c) => all[c]?.least.length !== 0)
  const gainOf = (sums: readonly Channel[]) => {
    const most = sums.reduce((n, { low, high }) => Math.max(n, -low, high), 1)
    return GAINS.find((g) => g * most < 2 ** 31)
  }
  const formWith = (gain: number): Form => {
    const numbersOf = (c: number, coding: Coding): Numbers | undefined => {
      const steps = all[c]
      if (!steps) return undefined
      if (steps.least.length > 0) return search(channels[c], output, steps, gain, coding)
      return { offset: 0, scale: 0, magic: MAGIC + steps.first - 1, negative: 0 }
    }
    const forms = (output.zero > output.low ? [false, true] : [false]).map((signed): Form => {
      const coding = { signed, wide: false }
      return { gain, ...coding, channels: channels.map((_, c) => numbersOf(c, coding)) }
    })
    const narrow = forms.reduce((best, form) => (failing(form) < failing(best) ? form : best))
    if (failing(narrow) === 0 || failing(narrow) * MANY < channels.length) return narrow
    const wide = { ...narrow, wide: true }
    const form = { ...wide, channels: narrow.channels.map((own, c) => own ?? numbersOf(c, wide)) }
    return 2 * failing(form) <= failing(narrow) ? form : narrow
  }
  const failing = (form: Form) => form.channels.filter((c) => c === undefined).length
  const [gain, least] = [gainOf(changing), gainOf(channels)]
  if (gain === undefined || least === undefined) return undefined
  const form = formWith(gain)
  // beside a channel that is requantised as specified the sums of all are needed, also of those that never change
  return failing(form) > 0 && least < gain ? formWith(least) : form
}

/**
 * ONNX Runtime's form: zero + nearest(float(sum) * scale), which the sum with MAGIC is. Undefined where that may leave
 * MAGIC's reach.
 */
export function nearestForm(channels: readonly Channel[], scale: Float32Array, zero: number): Form | undefined {
  if (channels.some(({ low, high }, c) => Math.max(-low, high) * scale[c] + 256 > REACH)) return undefined
  const numbers = Array.from(scale, (s): Numbers => ({ offset: 0, scale: s, magic: MAGIC, negative: 0 }))
  return { gain: 1, signed: false, wide: false, base: MAGIC_BITS - zero, channels: numbers }
}

/** i16x8 of one number. */
export function eight(value: L.E): Expr {
  return { k: 'op', op: 'splat', args: [L.expr(value)], type: I16X8 }
}

/** Outputs, not yet saturated, from sums a'. */
export function requantized(
  sums: Expr,
  {
    scale,
    magic,
    negative,
    base = splatted(MAGIC_BITS, sums.type.lanes),
  }: { readonly scale: Expr; readonly magic: Expr; readonly negative?: Expr; readonly base?: Expr },
): Expr {
  const below = negative && L.op('and', L.op('shr', sums, splatted(31, sums.type.lanes)), negative)
  const whole = below ? L.op('wadd', sums, below) : sums
  return L.op('wsub', L.op('bits', L.op('add', L.op('mul', L.op('toF32', whole), scale), magic)), base)
}

const splatted = (value: number, lanes: number) => (lanes === 1 ? L.int(value) : L.splat(value, lanes))
