// int8 logistic and tanh: the 256 results, one for each stored input, in TensorFlow Lite Micro's fixed point (inputs with
// 4 integer bits, results saturated beyond 15/16 of that range).

import type { TensorType } from '../../ir/graph.ts'
import { rdivpot, requant } from '../../loops/arith.ts'
import { logistic, tanh } from '../fixed_point.ts'
import { quantizeMultiplier } from '../quant.ts'

const INTEGER_BITS = 4

export type Curve = 'logistic' | 'tanh'

/** Result bits below the binary point, and the output's zero point. */
export const OUTPUT: Record<Curve, { bits: number; zero: number }> = {
  logistic: { bits: 8, zero: -128 },
  tanh: { bits: 7, zero: 0 },
}

/** The stored result for stored input `q` of type `x`. */
export function evalStored(curve: Curve, x: TensorType): (q: number) => number {
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
