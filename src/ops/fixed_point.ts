// Transcendental functions in 32-bit fixed point, bit-exact to gemmlowp's, which TensorFlow Lite Micro's int8 softmax,
// logistic and tanh are made of. A number with k integer bits is raw * 2^(k - 31); products are `srdhm`.

import { clz, rdivpot, srdhm } from '../loops/arith.ts'

/** 1, saturated, with no integer bits. */
export const ONE = 2 ** 31 - 1

/** exp(-2^e) in Q0.31 for e = -2, -1, ... 4. */
const POWERS = [1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242]
const EXP_MINUS_EIGHTH = 1895147668
const THIRD = 715827883
/** 48/17 and -32/17 in Q2.29: the first guess of Newton's division (1/d for d in [1/2, 1]). */
export const GUESS = { constant: 1515870810, slope: -1010580540 }

function saturate(x: number): number {
  return Math.max(-(2 ** 31), Math.min(ONE, x))
}

/** e^a for a in [-1/4, 0), Q0.31: a Taylor polynomial around -1/8. */
function expOfQuarter(a: number): number {
  const x = a + 2 ** 28
  const x2 = srdhm(x, x)
  const x3 = srdhm(x2, x)
  const x4 = srdhm(x2, x2)
  const tail = rdivpot(srdhm(rdivpot(x4, 2) + x3, THIRD) + x2, 1)
  return EXP_MINUS_EIGHTH + srdhm(EXP_MINUS_EIGHTH, x + tail)
}

/** e^a in Q0.31 for a <= 0 with `integerBits` (at most 5) integer bits. */
export function expNegative(a: number, integerBits: number): number {
  if (a === 0) return ONE
  const fraction = 31 - integerBits
  const quarter = 1 << (fraction - 2)
  const inQuarter = (a & (quarter - 1)) - quarter
  const quarters = inQuarter - a
  let result = expOfQuarter(inQuarter * 2 ** integerBits)
  for (let e = -2; e < integerBits; e++) if (quarters & (1 << (fraction + e))) result = srdhm(result, POWERS[e + 2])
  return result
}

/** 1 / d in Q2.29 for d in [1/2, 1], Q0.31, by three Newton steps. */
function reciprocal(d: number): number {
  let x = GUESS.constant + srdhm(d, GUESS.slope)
  for (let i = 0; i < 3; i++) {
    const error = 2 ** 29 - srdhm(d, x)
    x += saturate(srdhm(x, error) * 4)
  }
  return x
}

/** (1 + a) / 2 rounded, Q0.31. */
function halfOfOnePlus(a: number): number {
  return Math.floor((a + 2 ** 31) / 2)
}

/** 1 / (1 + a) in Q0.31 for a in [0, 1]. */
export function oneOverOnePlus(a: number): number {
  return saturate(reciprocal(halfOfOnePlus(a)) * 2)
}

/** 1 / (1 + e^-a) in Q0.31 for a with `integerBits` integer bits. */
export function logistic(a: number, integerBits: number): number {
  if (a === 0) return 2 ** 30
  const positive = oneOverOnePlus(expNegative(-Math.abs(a), integerBits))
  return a > 0 ? positive : ONE - positive
}

/** tanh a in Q0.31 for a with `integerBits` (at most 4) integer bits. */
export function tanh(a: number, integerBits: number): number {
  if (a === 0) return 0
  const e = expNegative(-Math.abs(a), integerBits + 1)
  const t = saturate((reciprocal(halfOfOnePlus(e)) - 2 ** 29) * 4)
  return a > 0 ? t : -t
}

const SQRT_HALF = 1518500250

/** 1 / sqrt(x) of a whole number x as multiplier and shift of `requant`, 0 as if it were 1: five Newton steps from 1 in Q3.28. */
export function inverseRoot(x: number): { multiplier: number; shift: number } {
  if (x <= 1) return { multiplier: ONE, shift: 0 }
  let [v, right] = [x, 11]
  while (v >= 2 ** 29) {
    v = Math.trunc(v / 4)
    right++
  }
  const pairs = ((clz(v) - 1) >> 1) - 1
  right -= pairs
  const half = (((v << (2 * pairs)) >> 1) + 1) >> 1
  let y = 2 ** 28
  for (let i = 0; i < 5; i++) {
    const cube = saturate(srdhm(srdhm(y, y), y) * 2 ** 6)
    y = saturate(((srdhm(2 ** 28 + 2 ** 27, y) - srdhm(half, cube)) | 0) * 2 ** 3)
  }
  const multiplier = srdhm(y, SQRT_HALF)
  return right < 0 ? { multiplier: multiplier << -right, shift: 0 } : { multiplier, shift: -right }
}

/** Constants of `logarithm`, Q0.31 where nothing else is said; `quarter` in Q6.25. */
export const LOG = {
  two: 1488522236,
  sqrtHalf: SQRT_HALF,
  fourthRootOfHalf: 1805811301,
  numerator: 117049297,
  denominator: [1057819769, 127690142, 638450708],
  quarter: 2 ** 23,
} as const

/** ln x in Q5.26 for x >= 1 in Q12.19: the nearer of x and x / sqrt 2 to a power of two, then a rational function. */
export function logarithm(x: number): number {
  const lead = clz(x)
  const above = saturate(srdhm(x * 2 ** (lead - 1), LOG.sqrtHalf) * 2)
  const leadBelow = clz(srdhm(x, LOG.sqrtHalf)) - 1
  const r = Math.min(above, saturate(x * 2 ** leadBelow))
  const power = Math.max((12 - lead) * 2 ** 25 + LOG.quarter, (12 - leadBelow) * 2 ** 25 - LOG.quarter)
  const p = Math.floor((r + LOG.fourthRootOfHalf + 1) / 2)
  const q = 2 * (r - LOG.fourthRootOfHalf)
  const square = srdhm(q, q)
  const numerator = srdhm(q, r) + srdhm(srdhm(q, square), LOG.numerator)
  const [d0, d2, d1] = LOG.denominator
  const denominator = srdhm(p, d0 + q + srdhm(d2, square)) + srdhm(d1, q)
  const fraction = srdhm(rdivpot(numerator, 6), oneOverOnePlus(denominator))
  return saturate((srdhm(power, LOG.two) + fraction) * 2)
}
