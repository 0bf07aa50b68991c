import { describe, expect, test } from 'vitest'
import { type DType, quantOf, type TensorType } from '../../src/ir/graph.ts'
import type { Op } from '../../src/ir/op.ts'
import type { Data } from '../../src/loops/ir.ts'
import { f32, i8 } from '../../src/ops/case.ts'
import { cast } from '../../src/ops/cast/op.ts'
import { equal, floorDiv, floorMod, less, pow, prelu, squaredDifference } from '../../src/ops/pairwise/op.ts'
import { select } from '../../src/ops/select/op.ts'
import { abs, elu, exp, gelu, leakyRelu, rsqrt, softplus, type UnaryAttrs } from '../../src/ops/unary/op.ts'
import { bothResults, one } from './run_one.ts'
import { EVERY_INT8 } from './tflm_rows.ts'

const real = (t: TensorType, q: number) => t.quant!.scale[0] * (q - t.quant!.zero[0])

describe('int8 results follow the real numbers', () => {
  const x = i8([256], 0.05, -20)
  test.each<[Op<UnaryAttrs>, UnaryAttrs, (v: number) => number, number]>([
    [abs, {}, Math.abs, 0.52],
    [leakyRelu, { alpha: 0.3 }, (v) => (v < 0 ? 0.3 * v : v), 0.751],
    [leakyRelu, { alpha: -0.3 }, (v) => (v < 0 ? -0.3 * v : v), 0.751],
    [elu, { alpha: 1 }, (v) => (v < 0 ? Math.expm1(v) : v), 0.501],
    [exp, {}, Math.exp, 0.501],
    [rsqrt, {}, (v) => 1 / Math.sqrt(v), 0.52],
  ])('$name of every element is the nearest step, but for what double rounding costs', (op, attrs, of, most) => {
    const y = quantOf(0.041, -7)
    const results = bothResults(one(op, [x], attrs, { quant: y }), [EVERY_INT8])
    EVERY_INT8.forEach((q, i) => {
      const v = real(x, q)
      if (op === rsqrt && v <= 0) return
      const exact = Math.min(127, Math.max(-128, of(v) / y.scale[0] + y.zero[0]))
      expect(Math.abs(Number(results.eval[i]) - exact), `${op.name}(${v})`).toBeLessThan(most)
    })
    expect(results.kernel).toEqual(results.eval)
  })

  const all = Int8Array.from({ length: 65536 }, (_, i) => (i >> 8) - 128)
  const each = Int8Array.from({ length: 65536 }, (_, i) => (i & 255) - 128)
  const [a, b] = [i8([65536], 0.05, -3), i8([65536], 0.02, 9)]
  test.each([
    [prelu, (p: number, q: number) => (p < 0 ? p * q : p), 0.04, 0.52],
    [squaredDifference, (p: number, q: number) => (p - q) ** 2, 0.3, 0.8],
  ] as const)('%o of every pair', (op, of, scale, most) => {
    const { eval: got } = bothResults(one(op, [a, b], {}, { quant: quantOf(scale, -11) }), [all, each])
    let worst = 0
    for (let i = 0; i < all.length; i++) {
      const exact = Math.min(127, Math.max(-128, of(real(a, all[i]), real(b, each[i])) / scale - 11))
      worst = Math.max(worst, Math.abs(Number(got[i]) - exact))
    }
    expect(worst).toBeLessThan(most)
  })

  test('comparisons are those of the real numbers wherever these are not close', () => {
    const { eval: got } = bothResults(one(less, [a, b], {}), [all, each])
    for (let i = 0; i < all.length; i++) {
      const d = real(a, all[i]) - real(b, each[i])
      if (Math.abs(d) > 0.01) expect(got[i]).toBe(d < 0 ? 1 : 0)
    }
  })
})

describe('float functions are close to the real ones', () => {
  const values = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 160)
  test.each<[Op<UnaryAttrs>, UnaryAttrs, (v: number) => number]>([
    [elu, { alpha: 1 }, (v) => (v < 0 ? Math.expm1(v) : v)],
    [softplus, {}, (v) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)))],
  ])('%o to a few units in the last place', (op, attrs, of) => {
    const { eval: got } = bothResults(one(op, [f32([values.length])], attrs), [values])
    values.forEach((v, i) => {
      expect(Math.abs(Number(got[i]) - of(v)), `${op.name}(${v})`).toBeLessThanOrEqual(
        4 * 2 ** -24 * Math.abs(of(v)) + 1e-45,
      )
    })
  })

  test('gelu has its known values', () => {
    const { eval: got } = bothResults(one(gelu, [f32([5])], {}), [Float32Array.of(-1, 0, 0.5, 1, 3)])
    const wanted = [-0.158655254, 0, 0.345731231, 0.841344746, 2.995950306]
    wanted.forEach((v, i) => {
      expect(Number(got[i])).toBeCloseTo(v, 6)
    })
  })
})

test('quotients and remainders of whole numbers are rounded down, and zero does not trap', () => {
  const type: TensorType = { dtype: 'i32', shape: [6] }
  const [a, b] = [Int32Array.of(7, -7, 7, -7, 5, -(2 ** 31)), Int32Array.of(2, 2, -2, -2, 0, -1)]
  expect(bothResults(one(floorDiv, [type, type], {}), [a, b]).kernel).toEqual(
    Int32Array.of(3, -4, -4, 3, 0, -(2 ** 31)),
  )
  expect(bothResults(one(floorMod, [type, type], {}), [a, b]).kernel).toEqual(Int32Array.of(1, 1, -1, -1, 5, 0))
})

test('powers of whole numbers are exact and wrap', () => {
  const type: TensorType = { dtype: 'i64', shape: [4] }
  const results = bothResults(one(pow, [type, type], {}), [
    BigInt64Array.of(3n, 2n, -1n, 2n),
    BigInt64Array.of(39n, 64n, -3n, -1n),
  ])
  expect(results.kernel).toEqual(BigInt64Array.of(3n ** 39n, 0n, -1n, 0n))
})

test.each<[DType, DType, Data, Data]>([
  ['f32', 'i32', Float32Array.of(1.9, -1.9, 3e10, Number.NaN), Int32Array.of(1, -1, 2 ** 31 - 1, 0)],
  ['f32', 'bool', Float32Array.of(0, -0, 0.1, Number.NaN), Uint8Array.of(0, 0, 1, 1)],
  ['i64', 'i32', BigInt64Array.of(2n ** 32n + 5n), Int32Array.of(5)],
  ['f64', 'f16', Float64Array.of(1 + 2 ** -11 + 2 ** -40, 65520), Uint16Array.of(0x3c01, 0x7c00)],
])('a cast of %s to %s', (from, to, x, y) => {
  const { eval: got, kernel } = bothResults(one(cast, [{ dtype: from, shape: [x.length] }], { to }), [x])
  expect(got).toEqual(y)
  expect(kernel).toEqual(y)
})

test('operands of different types and scales are refused with both', () => {
  expect(() => one(equal, [f32([2]), i8([2], 1, 0)], {})).toThrow(/f32 and i8/)
  expect(() => one(select, [f32([2]), f32([2]), f32([2])], {})).toThrow(/condition is f32/)
  expect(() => one(select, [{ dtype: 'bool', shape: [2] }, i8([2], 0.5, 0), i8([2], 0.25, 0)], {})).toThrow(/scales/)
})
