// How ONNX Runtime goes from integers to stored outputs, where TensorFlow Lite uses integer multipliers: in float32, every
// operation rounded, y = zero + clamp(nearest(x * scale), halves to even). Limits are applied before rounding, which
// gives the same, since they are whole numbers.

import * as L from '../loops/build.ts'
import { roundEven } from '../loops/float.ts'
import type { Expr } from '../loops/ir.ts'
import { type Parameters, parameters } from './parameters.ts'

/**
 * How an operator's integers become stored outputs. Absent: by Q31 multipliers (TFLite). `float`: by float32
 * multipliers, rounded to nearest, halves to even (ONNX). `none`: they are the output, int32 without a scale.
 */
export type Scaling = 'float' | 'none'

/** Adding it to |x| <= 2^22 rounds to nearest even; the sum's bits are then those of MAGIC plus the whole number. */
const MAGIC = 12582912
const MAGIC_BITS = 0x4b400000

/** (a * b) / y in float32. */
export function floatScale(a: number, b: number, y: number): number {
  return Math.fround(Math.fround(a * b) / y)
}

/** A whole number times a float32 multiplier, rounded to the nearest whole number. */
export function rescaled(x: number, multiplier: number): number {
  return roundEven(Math.fround(Math.fround(x) * multiplier))
}

/** Parameters of a store that rounds, and the stored value of a float32 register. */
export interface Rounding extends Pick<Parameters<string>, 'bufs' | 'args' | 'head'> {
  of(real: Expr): Expr
}

/** To stored values in [lo, hi], at most 2^21 from `zero`. */
export function rounding(zero: number, lo: number, hi: number): Rounding {
  const ends = parameters('limit', 'f32', { lo: lo - zero, hi: hi - zero })
  const q = parameters('to', 'i32', { zy: zero - MAGIC_BITS })
  return {
    bufs: [...ends.bufs, ...q.bufs],
    args: [...ends.args, ...q.args],
    head: [...ends.head, ...q.head],
    of: (real) => L.add(L.op('bits', L.add(L.clamp(real, ends.of.lo, ends.of.hi), L.float(MAGIC))), q.of.zy),
  }
}
