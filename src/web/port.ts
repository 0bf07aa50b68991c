// A tensor of an artefact as its constants describe it, and real numbers as its elements.

import { InputError } from '../errors.ts'
import { quantizeReal } from '../ops/quant.ts'

const RANGES = { int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767], int32: [-(2 ** 31), 2 ** 31 - 1] } as const

const ARRAYS = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const

/** Types of elements that real numbers can be written in. */
export type ElementType = keyof typeof ARRAYS

export type ElementArray<T extends ElementType> = InstanceType<(typeof ARRAYS)[T]>

/** What `inputs` and `outputs` of an artefact say about a tensor. */
export interface Port<T extends ElementType = ElementType> {
  readonly dtype: T
  readonly shape: readonly number[]
  /** A stored element means scale * (element - zero). */
  readonly scale?: number
  readonly zero?: number
}

export function newElements<T extends ElementType>(dtype: T, length: number): ElementArray<T> {
  return new ARRAYS[dtype](length) as ElementArray<T>
}

/**
 * Real numbers as elements of a port: quantised by its scale and zero point, rounded half away from zero and saturated.
 * Throws InputError for integers without a scale.
 */
export function elements<T extends ElementType>(
  { dtype, scale, zero = 0 }: Omit<Port<T>, 'shape'>,
  reals: ArrayLike<number>,
): ElementArray<T> {
  const array = newElements(dtype, reals.length)
  if (dtype === 'float32' || dtype === 'float64') {
    array.set(reals)
    return array
  }
  if (scale === undefined)
    throw new InputError(
      'input',
      `takes ${dtype} without a scale`,
      'real numbers mean nothing to it: write its elements',
    )
  const [min, max] = RANGES[dtype as keyof typeof RANGES]
  for (let i = 0; i < reals.length; i++) array[i] = Math.min(max, Math.max(min, quantizeReal(reals[i], scale, zero)))
  return array
}
