// int8 softmax's fixed point, bit-exact to TensorFlow Lite Micro's reference: differences to the row's maximum with 5
// integer bits, exponentials in Q0.31, their sum with 12 integer bits.

import { requant } from '../../loops/arith.ts'
import { expNegative } from '../fixed_point.ts'
import { quantizeMultiplier } from '../quant.ts'

const INTEGER_BITS = 5
export const SUM_BITS = 12
/** More elements could overflow the sum of exponentials. */
export const MOST_ELEMENTS = 2 ** SUM_BITS - 1

/** From stored differences to Q5.26 as multiplier and shift of `requant`, and the largest one that counts. */
export function differences(scale: number, beta: number): { multiplier: number; shift: number; most: number } {
  const real = Math.min(beta * scale * 2 ** (31 - INTEGER_BITS), 2 ** 31 - 1)
  const { multiplier, shift } = quantizeMultiplier(real)
  return { multiplier, shift, most: Math.floor((31 * 2 ** (31 - INTEGER_BITS)) / 2 ** shift) }
}

/** e^(-beta * scale * d) in Q0.31 for a stored difference d >= 0; 0 where it is too small to count. */
export function expOfDifference(scale: number, beta: number): (d: number) => number {
  const { multiplier, shift, most } = differences(scale, beta)
  return (d) => (d > most ? 0 : expNegative(requant(-d, multiplier, shift), INTEGER_BITS))
}
