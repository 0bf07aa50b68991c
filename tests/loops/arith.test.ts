import fc from 'fast-check'
import { expect, test } from 'vitest'
import { clz, rdivpot, requant, srdhm, toI32 } from '../../src/loops/arith.ts'

const MIN = -(2 ** 31)
const MAX = 2 ** 31 - 1
const EXTREMES = [
  MIN,
  MIN + 1,
  -(2 ** 30),
  -65537,
  -65536,
  -32768,
  -1,
  0,
  1,
  32767,
  65535,
  65536,
  2 ** 30,
  MAX - 1,
  MAX,
]
const i32 = fc.oneof(
  fc.constantFrom(...EXTREMES),
  fc.integer({ min: MIN, max: MAX }),
  fc.integer({ min: -70000, max: 70000 }),
)
const RUNS = { numRuns: 20_000 }

function exactSrdhm(a: number, b: number): number {
  const r = (BigInt(a) * BigInt(b) + (1n << 30n)) >> 31n
  return Number(r > BigInt(MAX) ? BigInt(MAX) : r)
}

function exactRdivpot(x: number, n: number): number {
  const d = 1n << BigInt(n)
  const twice = 2n * BigInt(Math.abs(x))
  const magnitude = (twice + d) / (2n * d)
  return Math.sign(x) * Number(magnitude) + 0
}

function exactRequant(x: number, multiplier: number, shift: number): number {
  const shifted = Number(BigInt.asIntN(32, BigInt(x) << BigInt(Math.max(shift, 0))))
  return exactRdivpot(exactSrdhm(shifted, multiplier), Math.max(-shift, 0))
}

test('srdhm is the 64-bit product rounded half up and saturated, at every pair of extremes and at random', () => {
  for (const a of EXTREMES) for (const b of EXTREMES) expect(srdhm(a, b), `${a}, ${b}`).toBe(exactSrdhm(a, b))
  fc.assert(
    fc.property(i32, i32, (a, b) => Object.is(srdhm(a, b), exactSrdhm(a, b))),
    RUNS,
  )
})

test('srdhm saturates only for the square of the least integer', () => {
  expect(srdhm(MIN, MIN)).toBe(MAX)
  expect(srdhm(MIN, MAX)).toBe(-MAX)
  expect(srdhm(MIN, MIN + 1)).toBe(MAX)
})

test('rdivpot rounds halves away from zero, for every exponent', () => {
  expect(rdivpot(5, 1)).toBe(3)
  expect(rdivpot(-5, 1)).toBe(-3)
  expect(rdivpot(-1, 1)).toBe(-1)
  for (const x of EXTREMES) for (let n = 0; n < 32; n++) expect(rdivpot(x, n), `${x}, ${n}`).toBe(exactRdivpot(x, n))
  fc.assert(
    fc.property(i32, fc.integer({ min: 0, max: 31 }), (x, n) => Object.is(rdivpot(x, n), exactRdivpot(x, n))),
    RUNS,
  )
})

test('rdivpot and requant refuse exponents out of range', () => {
  expect(() => rdivpot(1, 32)).toThrow(/0\.\.31/)
  expect(() => rdivpot(1, -1)).toThrow(/0\.\.31/)
  expect(() => requant(1, 1, 32)).toThrow(/-31\.\.31/)
  expect(() => requant(1, 1, -32)).toThrow(/-31\.\.31/)
})

test('requant rounds twice: shift left, srdhm, rdivpot', () => {
  const shift = fc.integer({ min: -31, max: 31 })
  for (const x of EXTREMES)
    for (const s of [-31, -30, -1, 0, 1, 7, 31]) expect(requant(x, MAX, s)).toBe(exactRequant(x, MAX, s))
  fc.assert(
    fc.property(i32, i32, shift, (x, m, s) => Object.is(requant(x, m, s), exactRequant(x, m, s))),
    RUNS,
  )
})

test('clz counts 32 for 0 and 0 for negatives', () => {
  expect([0, 1, 255, 65536, MAX, -1, MIN].map(clz)).toEqual([32, 31, 24, 15, 1, 0, 0])
})

test('toI32 truncates toward zero, saturates, and gives 0 for NaN', () => {
  expect([1.9, -1.9, 0.5, -0.5, 3e9, -3e9, Infinity, -Infinity, NaN].map(toI32)).toEqual([
    1,
    -1,
    0,
    0,
    MAX,
    MIN,
    MAX,
    MIN,
    0,
  ])
})
