// Logistic and tanh of stored elements. int8: the 256 results, one for each stored input, in TensorFlow Lite Micro's fixed
// point (inputs with 4 integer bits, results saturated beyond 15/16 of that range). int16: its interpolated table.

import type { TensorType } from '../../ir/graph.ts'
import { rdivpot, requant } from '../../loops/arith.ts'
import { type Argument, argumentOfScale, logistic16, tanh16 } from '../curve.ts'
import { logistic, tanh } from '../fixed_point.ts'
import { quantizeMultiplier } from '../quant.ts'

const INTEGER_BITS = 4

export type Curve = 'logistic' | 'tanh'

/** Result bits of int8 below the binary point, and the output's zero point; int16 has 15 and 0. */
export const OUTPUT: Record<Curve, { bits: number; zero: number }> = {
  logistic: { bits: 8, zero: -128 },
  tanh: { bits: 7, zero: 0 },
}
export const BITS16 = 15

/** How an int16 input of this type becomes the argument of its table. */
export function argument16(curve: Curve, x: TensorType): Argument {
  return argumentOfScale(x.quant!.scale[0], curve === 'logistic' ? [-12] : [-12, -11])
}

/** The stored result for stored input `q` of type `x`. */
export function evalStored(curve: Curve, x: TensorType): (q: number) => number {
  if (x.dtype === 'i16') {
    const argument = argument16(curve, x)
    const f = curve === 'logistic' ? logistic16 : tanh16
    return (q) => f(q, argument)
  }
  const [scale, zero] = [x.quant!.scale[0], x.quant!.zero[0]]
  const { multiplier, shift } = quantizeMultiplier(scale * 2 ** (31 - INTEGER_BITS))
  const radius = Math.floor(15 * 2 ** (31 - INTEGER_BITS - shift))
  const { bits, zero: zy } = OUTPUT[curve]
  const f = curve === 'logistic' ? logistic : tanh
  return (q) => {
    const v = q - zero
    if (v <= -radius) return -128
    if (v >= radius) return 127
    const y = rdivpot(f(requant(v, multiplier, shift), INTEGER_BITS), 31 - bits) + zy
    return Math.max(-128, Math.min(127, y))
  }
}
