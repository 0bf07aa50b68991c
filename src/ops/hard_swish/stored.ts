// int8 HardSwish in the 16-bit fixed point of TensorFlow Lite's reference: the input with 7 more bits, once on the output's
// scale and once, saturated, as a position between -3 and 3; their product rounds toward zero.

import type { TensorType } from '../../ir/graph.ts'
import { rdivpot } from '../../loops/arith.ts'
import { quantizeMultiplier } from '../quant.ts'

const saturate16 = (x: number) => Math.max(-32768, Math.min(32767, x))

/** A multiplier in Q15 and a shift. */
function short(real: number): { multiplier: number; shift: number } {
  const { multiplier, shift } = quantizeMultiplier(real)
  return { multiplier: saturate16(Math.floor((multiplier + 2 ** 15) / 2 ** 16)), shift }
}

/** What takes the input, with 7 more bits, to the output's scale, and to [-1, 1] for [-3, 3]. */
export function multipliersOf(x: TensorType, y: TensorType) {
  const fine = Math.fround(Math.fround(1 / 128) * x.quant!.scale[0])
  return {
    output: short(Math.fround(fine / y.quant!.scale[0])),
    position: short(Math.fround(fine / Math.fround(3 / 32768))),
  }
}

/** Rounding doubling high multiply of 16 bits; multipliers are never -32768, so it cannot overflow. */
function high(a: number, b: number): number {
  return (a * b + 2 ** 14) >> 15
}

/** The stored result for stored input `q`. */
export function stored(x: TensorType, y: TensorType): (q: number) => number {
  const { output, position } = multipliersOf(x, y)
  const [zx, zy] = [x.quant!.zero[0], y.quant!.zero[0]]
  return (q) => {
    const fine = (q - zx) * 128
    const onOutput = high(fine, output.multiplier)
    let at = fine
    if (position.shift > 0) at = saturate16(at * 2 ** (position.shift - 1))
    at = high(at, position.multiplier)
    if (position.shift > 0) at = saturate16(at * 2)
    if (position.shift < 0) at = rdivpot(at, -position.shift)
    const product = Math.trunc((((at + 32768) >> 1) * onOutput) / 32768)
    return Math.max(-128, Math.min(127, rdivpot(product, -output.shift) + zy))
  }
}
