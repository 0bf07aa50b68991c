// Requantisation of layers that learn, where nothing is known of weights and biases off-line but their limits. Beyond some value every
// result of a channel is beyond int8: sums, or biases, are cut off there, which changes neither result nor mask, and have room.
// Channels for which that or the short form is not proved are named, and computed by plain loops.

import type { Access, LiveSum } from '../sum_of_products.ts'
import { beyondLimits, type Channel, type Form, shortMaskedForm } from './requantize.ts'

/** Biases that begin within this stay there while they learn, so that no sum leaves 32 bits (`qas_sgd`). */
export const BIAS = 2 ** 30

/** The least and the greatest sum of products of each channel. */
export type SumRange = readonly [number, number]

/** Where biases are cut off, and the form for the channels that this is right for. */
export interface LiveForm {
  readonly form: Form
  /** Sums times 2^gain. */
  readonly gain: number
  readonly low: number
  readonly high: number
  /** Channels that plain loops compute. */
  readonly failed: readonly number[]
}

/** What is in a buffer of biases or weights before anything learns; undefined where that is not known. */
export function initial({ arg }: Pick<Access, 'arg'>): Int8Array | Int32Array | undefined {
  const data = 'value' in arg ? arg.value.data : 'data' in arg ? arg.data : undefined
  return data instanceof Int8Array || data instanceof Int32Array ? data : undefined
}

export function liveForm(s: LiveSum, sums: readonly SumRange[]): LiveForm | undefined {
  const biases = initial(s.bias)
  if (!biases) return undefined
  const output = { zero: s.zeroY, low: s.low, high: s.high }
  const least = Math.min(...sums.map(([a]) => a))
  const most = Math.max(...sums.map(([, b]) => b))
  for (const gain of [8, 7, 6]) {
    const room = 2 ** (31 - gain) - 1
    const [low, high] = [-room - least, room - most]
    if (low >= 0 || high <= 0) continue
    const channels = sums.map(([from, to], c): Channel => {
      const own = { multiplier: s.multiplier[c], shift: s.shift[c] }
      const [under, over] = beyondLimits({ low: 0, high: 0, ...own }, output)
      const cut = high + from >= over && low + to <= under && Math.abs(biases[c]) <= BIAS
      return cut ? { low: low + from, high: high + to, ...own } : { low: -Infinity, high: Infinity, ...own }
    })
    const proof = shortMaskedForm(channels, output, 2 ** gain)
    if (proof && !(proof.form.signed && proof.form.shift === undefined))
      return { form: proof.form, gain, low, high, failed: proof.failed }
  }
  return undefined
}

/** The form for sums that are cut off, whatever weights and biases are: 2^23 is beyond the limits, and so is all that is larger. */
export function cutForm(s: LiveSum): Pick<LiveForm, 'form' | 'gain' | 'failed'> | undefined {
  const biases = initial(s.bias)
  if (!biases) return undefined
  const output = { zero: s.zeroY, low: s.low, high: s.high }
  const gain = 8
  const [low, high] = [-(2 ** (31 - gain)) + 1, 2 ** (31 - gain) - 1]
  const channels = Array.from(s.multiplier, (multiplier, c): Channel => {
    const own = { multiplier, shift: s.shift[c] }
    const [under, over] = beyondLimits({ low, high, ...own }, output)
    const cut = low <= under && high >= over && Math.abs(biases[c]) <= BIAS
    return cut ? { low, high, ...own } : { low: -Infinity, high: Infinity, ...own }
  })
  const proof = shortMaskedForm(channels, output, 2 ** gain)
  return proof && !(proof.form.signed && proof.form.shift === undefined) ? { ...proof, gain } : undefined
}

/** The sums of products that a channel with these weights can have, and of any weights that learn. */
export function sumRange(weights: Iterable<number>, zero: number): SumRange {
  let [low, high] = [0, 0]
  for (const w of weights) {
    const [p, q] = [(-128 - zero) * w, (127 - zero) * w]
    low += Math.min(p, q)
    high += Math.max(p, q)
  }
  return [low, high]
}

export function anySum(products: number, zero: number): SumRange {
  const most = products * 127 * Math.max(128 + zero, 127 - zero)
  return [-most, most]
}

/** Numbers of all channels as the routines read them. */
export function formNumbers({ form }: Pick<LiveForm, 'form'>): Int32Array {
  return Int32Array.from(
    form.channels.flatMap(({ multiplier, offset, shift, negative }) => [
      multiplier,
      offset,
      ...(form.signed ? [negative] : []),
      ...(form.shift === undefined ? [shift] : []),
    ]),
  )
}
