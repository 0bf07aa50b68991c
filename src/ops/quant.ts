// Integer arithmetic that operators share: real multipliers as Q31 and a shift, activation ranges in stored units, and
// the checks on quantised types. Source: TensorFlow Lite's int8 specification; the order of operations on scales is
// that of TensorFlow Lite's Prepare steps, since one ulp of a multiplier moves outputs.

import { ModelError } from '../errors.ts'
import type { DType, TensorType } from '../ir/graph.ts'

/** Limits on real values; an absent side is unlimited. ReLU is `{ min: 0 }`, ReLU6 `{ min: 0, max: 6 }`. */
export type Clamp = { readonly min?: number; readonly max?: number }

/**
 * A positive real multiplier as m * 2^(shift - 31) with 2^30 <= m < 2^31; (0, 0) for zero and for less than about 2^-32.
 * Throws ModelError from 2^31 on, where no shift of 32 bits is left.
 */
export function quantizeMultiplier(real: number): { multiplier: number; shift: number } {
  if (real === 0) return { multiplier: 0, shift: 0 }
  const beyond = () => new ModelError('scales', `give the multiplier ${real}, supported are those below 2^31`)
  if (!(real < 2 ** 31)) throw beyond()
  let shift = Math.floor(Math.log2(real)) + 1
  let fraction = real / 2 ** shift
  while (fraction >= 1) fraction = real / 2 ** ++shift
  while (fraction < 0.5) fraction = real / 2 ** --shift
  let multiplier = Math.round(fraction * 2 ** 31)
  if (multiplier === 2 ** 31) {
    multiplier = 2 ** 30
    shift++
  }
  if (shift > 31) throw beyond()
  return shift < -31 ? { multiplier: 0, shift: 0 } : { multiplier, shift }
}

/** Rounds half away from zero, as C's `round`. */
export function roundAway(x: number): number {
  return x < 0 ? -Math.round(-x) : Math.round(x)
}

/** Smallest and largest stored value of an integer type. */
export function rangeOf(dtype: DType): { min: number; max: number } {
  switch (dtype) {
    case 'i8':
      return { min: -128, max: 127 }
    case 'u8':
      return { min: 0, max: 255 }
    case 'u4':
      return { min: 0, max: 15 }
    case 'u2':
      return { min: 0, max: 3 }
    case 'i16':
      return { min: -32768, max: 32767 }
    default:
      return { min: -(2 ** 31), max: 2 ** 31 - 1 }
  }
}

/** The stored value of a real one: zero + round(real / scale), the quotient in float32. */
export function quantizeReal(real: number, scale: number, zero: number): number {
  return zero + roundAway(Math.fround(Math.fround(real) / Math.fround(scale)))
}

/** The activation range: in stored units for a quantised type, in reals (possibly infinite) for a float one. */
export function clampRange(type: TensorType, clamp: Clamp): { lo: number; hi: number } {
  if (!type.quant) return { lo: clamp.min ?? Number.NEGATIVE_INFINITY, hi: clamp.max ?? Number.POSITIVE_INFINITY }
  const { min, max } = rangeOf(type.dtype)
  const [scale, zero] = [type.quant.scale[0], type.quant.zero[0]]
  return {
    lo: clamp.min === undefined ? min : Math.min(max, Math.max(min, quantizeReal(clamp.min, scale, zero))),
    hi: clamp.max === undefined ? max : Math.max(min, Math.min(max, quantizeReal(clamp.max, scale, zero))),
  }
}

/** Both limits at once: what applying `a`, then `b`, does, also where the two have nothing in common. */
export function bothClamps(a: Clamp, b: Clamp): Clamp {
  const lo = b.min ?? Number.NEGATIVE_INFINITY
  const hi = b.max ?? Number.POSITIVE_INFINITY
  const min = Math.min(hi, Math.max(lo, a.min ?? Number.NEGATIVE_INFINITY))
  const max = Math.min(hi, Math.max(lo, a.max ?? Number.POSITIVE_INFINITY))
  return { ...(min > Number.NEGATIVE_INFINITY && { min }), ...(max < Number.POSITIVE_INFINITY && { max }) }
}

/** ActivationFunctionType of the TFLite schema -> limits. Throws where the activation is no clamp. */
export function clampOfTflite(activation: unknown, where: string): Clamp {
  switch (activation) {
    case 0:
      return {}
    case 1:
      return { min: 0 }
    case 2:
      return { min: -1, max: 1 }
    case 3:
      return { min: 0, max: 6 }
    default:
      throw new ModelError(
        where,
        `fused activation ${activation} is not supported; supported are NONE, RELU, RELU_N1_TO_1 and RELU6`,
        'convert the model with the activation as an operator of its own',
      )
  }
}

/** The inverse: undefined where no fused activation of the schema has these limits. */
export function clampToTflite(clamp: Clamp): number | undefined {
  const known: Clamp[] = [{}, { min: 0 }, { min: -1, max: 1 }, { min: 0, max: 6 }]
  const i = known.findIndex((k) => k.min === clamp.min && k.max === clamp.max)
  return i < 0 ? undefined : i
}

/** Scale and zero point of a per-tensor quantised type. */
export function perTensor(type: TensorType, what: string, where: string): { scale: number; zero: number } {
  const q = type.quant
  if (!q) throw new ModelError(where, `${what} is ${type.dtype} without scale and zero point`)
  if (q.scale.length !== 1)
    throw new ModelError(where, `${what} has ${q.scale.length} scales, this operator needs one for the whole tensor`)
  return { scale: q.scale[0], zero: q.zero[0] ?? 0 }
}

/** Refuses a type that is not one of `allowed`. */
export function expectDtype(type: TensorType, allowed: readonly DType[], what: string, where: string): void {
  if (!allowed.includes(type.dtype))
    throw new ModelError(
      where,
      `${what} is ${type.dtype}, supported ${allowed.length > 1 ? 'are' : 'is'} ${allowed.join(', ')}`,
    )
}
