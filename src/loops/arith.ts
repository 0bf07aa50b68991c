// The scalar meaning of the loop language's integer operations on JavaScript numbers that hold i32 values. Fixed-point
// arithmetic follows gemmlowp and TensorFlow Lite (double rounding); 64-bit products are exact through 16-bit halves.

import { bug } from '../errors.ts'

const MIN = -(2 ** 31)
const MAX = 2 ** 31 - 1

/** Saturating rounding doubling high multiply: floor((a*b + 2^30) / 2^31), and 2^31 - 1 for the one product that does not fit. */
export function srdhm(a: number, b: number): number {
  if (a === MIN && b === MIN) return MAX
  const low = (a & 0xffff) * b + 0x40000000
  return Math.floor(((a >> 16) * b + Math.floor(low / 65536)) / 32768) | 0
}

/** floor(a * b / 2^32) of two i32. */
export function highProduct(a: number, b: number): number {
  return Math.floor(((a >> 16) * b + Math.floor(((a & 0xffff) * b) / 65536)) / 65536)
}

/** x / 2^n rounded to nearest, half away from zero; n in 0..31. */
export function rdivpot(x: number, n: number): number {
  if (n < 0 || n > 31) bug(`rdivpot by 2^${n}, expects an exponent in 0..31`)
  const mask = n === 31 ? MAX : (1 << n) - 1
  const threshold = (mask >> 1) + (x < 0 ? 1 : 0)
  return (x >> n) + ((x & mask) > threshold ? 1 : 0)
}

/** x * multiplier/2^31 * 2^shift in double rounding; shift in -31..31, and x << shift keeps its low 32 bits where shift > 0. */
export function requant(x: number, multiplier: number, shift: number): number {
  if (shift < -31 || shift > 31) bug(`requant by a shift of ${shift}, expects -31..31`)
  return shift > 0 ? srdhm(x << shift, multiplier) : rdivpot(srdhm(x, multiplier), -shift)
}

/** Leading zeros of an i32: 32 for 0. */
export function clz(x: number): number {
  return Math.clz32(x)
}

const MIN64 = -(2n ** 63n)

/** Floats to i64: truncated, saturating, 0 for NaN. */
export function toI64(x: number): bigint {
  if (Number.isNaN(x)) return 0n
  if (x >= 2 ** 63) return -1n - MIN64
  return x <= -(2 ** 63) ? MIN64 : BigInt(Math.trunc(x))
}

/** The float32 nearest to an i64, ties to even. */
export function longToF32(a: bigint): number {
  const size = a < 0n ? -a : a
  if (size < 2n ** 53n) return Math.fround(Number(a))
  // 11 low bits become one that only says whether they were 0, so that the way through float64 rounds once
  const short = Number((size >> 11n) | (size & 0x7ffn ? 1n : 0n))
  const nearest = Math.fround(short * 2048)
  return a < 0n ? -nearest : nearest
}

/** Floats to i32: truncated, saturating, 0 for NaN. */
export function toI32(x: number): number {
  if (x >= MAX) return MAX
  if (x <= MIN) return MIN
  return x | 0
}
