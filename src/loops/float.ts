// Elementary functions on float32 numbers, every step rounded as the loop language does: the oracle for the expressions of
// `math.ts`, equal to them bit by bit. Argument reduction with a two-part ln 2 (Cody & Waite 1980) or by as many bits of
// 2/pi as count (Payne & Hanek 1983), then polynomials fitted by iteratively reweighted least squares (Lawson 1961), in
// float64 Taylor's. At most 2 ulp from the real value for every argument, subnormal results included.

const f = Math.fround

/** exp(r) = 1 + r + r^2 * (c0 + c1 r + ...) for |r| <= ln(2) / 2; `low` and `high` are where results are surely 0 and infinite. */
export const EXP = {
  low: -104,
  high: 89,
  log2e: f(Math.LOG2E),
  /** 9 bits, so that its products with |n| <= 150 are exact. */
  ln2High: 0.693359375,
  ln2Low: f(Math.LN2 - 0.693359375),
  /** Adding it leaves a whole number in the low bits: 1.5 * 2^23, and its bits. */
  round: 12582912,
  roundBits: 0x4b400000,
  c: [
    0.4999999403953552, 0.1666652113199234, 0.04166838899254799, 0.00836874544620514, 0.0013814540579915047,
  ] as readonly number[],
} as const

/** tanh(x) = x + x * (z * (c0 + c1 z + ...)) with z = x^2, for |x| < limit. */
export const TANH = {
  limit: f(0.55),
  c: [
    -0.33333316445350647, 0.13332585990428925, -0.05385230854153633, 0.021071679890155792, -0.0062742396257817745,
  ] as readonly number[],
} as const

/** log(1 + f) = f - f^2/2 + f^3 * (c0 + c1 f + ...) for sqrt(1/2) <= 1 + f < sqrt(2). */
export const LOG = {
  /** The bits of sqrt(1/2). */
  sqrtHalf: 0x3f3504f3,
  c: [
    0.3333331346511841, -0.25000008940696716, 0.2000211924314499, -0.1666799634695053, 0.14219550788402557,
    -0.12405591458082199, 0.11888174712657928, -0.11675640940666199, 0.06746601313352585,
  ] as readonly number[],
} as const

/** For |r| <= pi/4 and z = r^2: sin r = r + r z (s0 + s1 z + ...), cos r = 1 - z/2 + z^2 (c0 + c1 z + ...). */
export const TRIG = {
  /** Below it there is nothing to reduce: just less than pi/4. */
  limit: f(0.785398),
  /** 32 zero bits and the first 224 bits of 2/pi, in words of 32. */
  twoOverPi: [
    0, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab,
  ] as readonly number[],
  /** pi/2 * 2^-62 */
  unit: (Math.PI / 2) * 2 ** -62,
  sin: [-0.16666655242443085, 0.008332177996635437, -0.00019517216423992068] as readonly number[],
  cos: [0.04166664555668831, -0.0013887366512790322, 2.443835728627164e-5] as readonly number[],
} as const

/** erf x = x + x * (c0 + c1 x^2 + ...) for |x| < limit, else 1 - exp(e0 + e1 |x| + ...), which is 1 from `one` on. */
export const ERF = {
  limit: f(0.9),
  one: 4,
  c: [
    0.12837916612625122, -0.37612634897232056, 0.11283719539642334, -0.026860753074288368, 0.005204435903578997,
    -0.0008181927260011435, 8.53883902891539e-5,
  ] as readonly number[],
  e: [
    -0.00011469545279396698, -1.1280155181884766, -0.6366015672683716, -0.1044480949640274, 0.022479010745882988,
    -0.003107188967987895, 0.00020252847752999514,
  ] as readonly number[],
} as const

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const factorial = (n: number): number => range(1, n).reduce((p, k) => p * k, 1)

/** In float64: e^r - 1 - r = r^2 (c0 + c1 r + ...) for |r| <= ln(2) / 2. */
export const EXP64 = {
  low: -746,
  high: 710,
  /** 32 bits, so that its products with |n| <= 1100 are exact. */
  ln2High: 0.6931471803691238,
  ln2Low: 1.9082149292705877e-10,
  c: range(2, 13).map((k) => 1 / factorial(k)),
} as const

/** In float64, with s = f / (2 + f): log(1 + f) = 2 (s + s^3/3 + ...) = 2s + s z (c0 + c1 z + ...), z = s^2. */
export const LOG64 = {
  /** The bits of a little less than sqrt(1/2). */
  sqrtHalf: 0x3fe6a09e * 2 ** 32,
  c: range(1, 10).map((k) => 2 / (2 * k + 1)),
} as const

/** In float64: log2(1 + f) = s (l0 + l1 z + ...), and 2^g = e0 + e1 g + ... for |g| <= 1/2. */
export const POW = {
  log2: range(0, 8).map((k) => 2 / Math.LN2 / (2 * k + 1)),
  exp2: range(0, 10).map((k) => Math.LN2 ** k / factorial(k)),
  /** Where every float32 is surely infinite or zero. */
  limit: 200,
} as const

const floatCell = new Float32Array(1)
const intCell = new Int32Array(floatCell.buffer)
const doubleCell = new Float64Array(1)
const longCell = new BigInt64Array(doubleCell.buffer)
const HALF_NAN = 0x7e00

/** The number that the 16 bits of an IEEE binary16 stand for. */
export function f16ToF32(bits: number): number {
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  const sign = bits & 0x8000 ? -1 : 1
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (fraction + 1024) * 2 ** (exponent - 25))
}

/** The bits of the binary16 nearest to `value` rounded to float32, ties to even; 0x7e00 for NaN. */
export function f32ToF16(value: number): number {
  floatCell[0] = value
  const bits = intCell[0]
  const size = bits & 0x7fffffff
  if (size > 0x7f800000) return HALF_NAN
  const sign = (bits >>> 16) & 0x8000
  if (size < 0x38800000) {
    // Sums in [0.5, 1) are spaced as the subnormal numbers are
    floatCell[0] = Math.abs(floatCell[0]) + 0.5
    return sign | (intCell[0] - 0x3f000000)
  }
  const rounded = (size + 0xfff + ((size >> 13) & 1)) >> 13
  return sign | Math.min(rounded - (112 << 10), 0x7c00)
}

/** To the nearest whole number, halves to even. */
export function roundEven(x: number): number {
  if (!(Math.abs(x) < 2 ** 52)) return x
  const whole = Math.abs(x) + 2 ** 52 - 2 ** 52
  return x < 0 || Object.is(x, -0) ? -whole : whole
}

/** a * b + c of float32 numbers, rounded once to float32. */
export function fma(a: number, b: number, c: number): number {
  const product = a * b
  const sum = product + c
  const added = sum - product
  const rest = product - (sum - added) + (c - added)
  if (rest === 0 || !Number.isFinite(sum)) return f(sum)
  // a sum of 53 bits that is not exact is rounded to an odd one, so that its own rounding does not count (Boldo & Melquiond 2008)
  const bits = bits64(sum)
  return f(bits % 2n !== 0n ? sum : fromBits64(bits + (rest > 0 === sum > 0 ? 1n : -1n)))
}

function fromBits(bits: number): number {
  intCell[0] = bits
  return floatCell[0]
}

function bitsOf(x: number): number {
  floatCell[0] = x
  return intCell[0]
}

function fromBits64(bits: bigint): number {
  longCell[0] = bits
  return doubleCell[0]
}

function bits64(x: number): bigint {
  doubleCell[0] = x
  return longCell[0]
}

function polynomial(c: readonly number[], x: number): number {
  return c.reduceRight((p, ci, i) => (i === c.length - 1 ? ci : f(f(p * x) + ci)), 0)
}

/** e^x */
export function expf(x: number): number {
  if (Number.isNaN(x)) return x
  const y = Math.min(Math.max(x, EXP.low), EXP.high)
  const n = f(f(y * EXP.log2e) + EXP.round) - EXP.round
  const high = f(y - f(n * EXP.ln2High))
  const low = f(n * EXP.ln2Low)
  const r = f(high - low)
  const one = f(r + 1)
  const lost = f(f(f(1 - one) + r) + f(f(high - r) - low))
  const p = f(one + f(lost + f(f(r * r) * polynomial(EXP.c, r))))
  const half = n >> 1
  return f(f(p * fromBits((half + 127) << 23)) * fromBits((n - half + 127) << 23))
}

/** 1 / (1 + e^-x), as q = e^-|x| / (1 + e^-|x|) or 1 - q. */
export function logisticf(x: number): number {
  const e = expf(-Math.abs(x))
  const d = f(e + 1)
  const lost = f(f(1 - d) + e)
  const q = f(e / d)
  const exact = f(q - f(f(q * lost) * f(1 - q)))
  return x < 0 ? exact : f(1 - exact)
}

/** (e^2x - 1) / (e^2x + 1); of a zero, +0. */
export function tanhf(x: number): number {
  const a = Math.abs(x)
  const z = f(x * x)
  if (a < TANH.limit) return f(x + f(x * f(z * polynomial(TANH.c, z))))
  const big = f(1 - f(2 / f(expf(f(a + a)) + 1)))
  return x < 0 ? -big : big
}

/** The natural logarithm; NaN below zero. */
export function logf(x: number): number {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return x > 0 ? x : x === 0 ? Number.NEGATIVE_INFINITY : Number.NaN
  const tiny = x < 2 ** -126
  const bits = bitsOf(tiny ? x * 2 ** 23 : x)
  const k = (bits - LOG.sqrtHalf) >> 23
  const r = f(fromBits(bits - (k << 23)) - 1)
  const z = f(r * r)
  const n = tiny ? k - 23 : k
  const tail = f(f(f(z * r) * polynomial(LOG.c, r)) + f(n * EXP.ln2Low))
  return f(f(r + f(tail - f(z / 2))) + f(n * EXP.ln2High))
}

/** log(1 + x), exact also where 1 + x is not. */
export function log1pf(x: number): number {
  const u = f(1 + x)
  const log = logf(u)
  if (!(u > 0 && u < Number.POSITIVE_INFINITY)) return log
  if (u === 1) return x
  const b = f(u - 1)
  const lost = f(f(1 - f(u - b)) + f(x - b))
  return f(log + f(lost / u))
}

const TWO_OVER_PI = TRIG.twoOverPi.reduce((n, w) => (n << 32n) | BigInt(w), 0n)

/** |x| less n * pi/2 for the nearest n, which is given modulo 4. */
function reduce(x: number): { r: number; n: number } {
  const a = Math.abs(x)
  if (a < TRIG.limit) return { r: a, n: 0 }
  const bits = bitsOf(a)
  const start = BigInt((bits >> 23) - 120)
  const window = (TWO_OVER_PI >> (160n - start)) & (2n ** 96n - 1n)
  const turns = BigInt.asIntN(64, (BigInt((bits & 0x7fffff) | 0x800000) * window) >> 32n)
  const n = (turns + 2n ** 61n) >> 62n
  return { r: f(Number(turns - (n << 62n)) * TRIG.unit), n: Number(n & 3n) }
}

function sinOf(r: number): number {
  const z = f(r * r)
  return f(r + f(f(r * z) * polynomial(TRIG.sin, z)))
}

function cosOf(r: number): number {
  const z = f(r * r)
  return f(f(1 - f(z / 2)) + f(f(z * z) * polynomial(TRIG.cos, z)))
}

/** The sine of every finite number, however large. */
export function sinf(x: number): number {
  if (!Number.isFinite(x)) return Number.NaN
  const { r, n } = reduce(x)
  const size = n & 1 ? cosOf(r) : sinOf(r)
  return ((n & 2) !== 0) !== (x < 0 || Object.is(x, -0)) ? -size : size
}

/** The cosine of every finite number, however large. */
export function cosf(x: number): number {
  if (!Number.isFinite(x)) return Number.NaN
  const { r, n } = reduce(x)
  const size = n & 1 ? sinOf(r) : cosOf(r)
  return (n + 1) & 2 ? -size : size
}

/** The error function. */
export function erff(x: number): number {
  const a = Math.abs(x)
  const z = f(x * x)
  if (a < ERF.limit) return f(x + f(x * polynomial(ERF.c, z)))
  const big = f(1 - expf(polynomial(ERF.e, Math.min(a, ERF.one))))
  return x < 0 ? -big : big
}

/** 1 / sqrt(x), of a zero an infinity of its sign. */
export function rsqrtf(x: number): number {
  return f(1 / f(Math.sqrt(x)))
}

/** A positive float64 as m * 2^k, sqrt(1/2) <= m < sqrt(2). */
function split64(x: number): { m: number; k: number } {
  const bits = bits64(x)
  const k = (bits - BigInt(LOG64.sqrtHalf)) >> 52n
  return { m: fromBits64(bits - (k << 52n)), k: Number(k) }
}

function polynomial64(c: readonly number[], x: number): number {
  return c.reduceRight((p, ci, i) => (i === c.length - 1 ? ci : p * x + ci), 0)
}

function powerOfTwo64(k: number): number {
  return fromBits64(BigInt(k + 1023) << 52n)
}

/** x^y with the special cases of C, within float64 and rounded once. */
export function powf(x: number, y: number): number {
  if (x === 1 || y === 0) return 1
  const a = Math.abs(x)
  const { m, k } = split64(a)
  const s = (m - 1) / (m + 1)
  const finite = k + s * polynomial64(POW.log2, s * s)
  const log2 = a === 0 ? Number.NEGATIVE_INFINITY : a < Number.POSITIVE_INFINITY ? finite : a
  const t = Math.min(Math.max(y * log2, -POW.limit), POW.limit)
  const n = roundEven(t)
  const p = polynomial64(POW.exp2, t - n) * powerOfTwo64(Number.isNaN(n) ? 0 : n)
  const size = a === 1 ? 1 : f(p)
  const whole = Math.trunc(y) === y
  const odd = whole && Math.trunc(y / 2) !== y / 2
  if (Number.isNaN(y) || (x < 0 && x > Number.NEGATIVE_INFINITY && !whole)) return Number.NaN
  return odd && (x < 0 || Object.is(x, -0)) ? -size : size
}

/** e^x in float64. */
export function exp(x: number): number {
  const y = Math.min(Math.max(x, EXP64.low), EXP64.high)
  const n = roundEven(y * Math.LOG2E)
  const r = y - n * EXP64.ln2High - n * EXP64.ln2Low
  const p = 1 + (r + r * r * polynomial64(EXP64.c, r))
  const k = Number.isNaN(n) ? 0 : n
  const half = k >> 1
  return p * powerOfTwo64(half) * powerOfTwo64(k - half)
}

/** The natural logarithm in float64; NaN below zero. */
export function log(x: number): number {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return x > 0 ? x : x === 0 ? Number.NEGATIVE_INFINITY : Number.NaN
  const tiny = x < 2 ** -1022
  const { m, k } = split64(tiny ? x * 2 ** 54 : x)
  const n = tiny ? k - 54 : k
  const r = m - 1
  const s = r / (r + 2)
  const z = s * s
  const half = r * r * 0.5
  const tail = s * (half + z * polynomial64(LOG64.c, z)) + n * EXP64.ln2Low
  return n * EXP64.ln2High - (half - tail - r)
}
