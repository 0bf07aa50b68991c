// Elementary functions on float32 numbers, every step rounded to float32: the oracle for the expressions of `math.ts`,
// equal to them bit by bit. Argument reduction with a two-part ln 2 (Cody & Waite 1980), then polynomials fitted by
// iteratively reweighted least squares (Lawson 1961). At most 2 ulp from the real value, subnormal results included.

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

const word = new DataView(new ArrayBuffer(4))

function fromBits(bits: number): number {
  word.setInt32(0, bits)
  return word.getFloat32(0)
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
