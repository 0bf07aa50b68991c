import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { quantOf, type TensorType } from '../../src/ir/graph.ts'
import { multipliers } from '../../src/ops/accumulate.ts'
import {
  bothClamps,
  type Clamp,
  clampOfTflite,
  clampRange,
  clampToTflite,
  quantizeMultiplier,
  quantizeReal,
  roundAway,
} from '../../src/ops/quant.ts'
import { padOfTflite, padToTflite, windowOutput } from '../../src/ops/window.ts'

const RUNS = { numRuns: 5000 }

/** m and e with value = m * 2^e exactly, from the bits of the float64. */
function exactly(value: number): { m: bigint; e: number } {
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, value)
  const word = bits.getBigUint64(0)
  const field = Number((word >> 52n) & 0x7ffn)
  const fraction = word & ((1n << 52n) - 1n)
  return field === 0 ? { m: fraction, e: -1074 } : { m: fraction | (1n << 52n), e: field - 1075 }
}

/** Rounds value * 2^31 / 2^shift, with shift such that value / 2^shift lies in [1/2, 1), on whole numbers. */
function exactMultiplier(value: number): { multiplier: number; shift: number } {
  const { m, e } = exactly(value)
  const length = m.toString(2).length
  let shift = length + e
  let multiplier = length > 31 ? ((m >> BigInt(length - 32)) + 1n) >> 1n : m << BigInt(31 - length)
  if (multiplier === 1n << 31n) {
    multiplier >>= 1n
    shift++
  }
  return shift < -31 ? { multiplier: 0, shift: 0 } : { multiplier: Number(multiplier), shift }
}

test('quantizeMultiplier splits powers of two, their neighbours and known values as frexp does', () => {
  expect(quantizeMultiplier(0)).toEqual({ multiplier: 0, shift: 0 })
  expect(quantizeMultiplier(1)).toEqual({ multiplier: 2 ** 30, shift: 1 })
  expect(quantizeMultiplier(0.5)).toEqual({ multiplier: 2 ** 30, shift: 0 })
  expect(quantizeMultiplier(0.75)).toEqual({ multiplier: 1610612736, shift: 0 })
  expect(quantizeMultiplier(1 / 3)).toEqual({ multiplier: 1431655765, shift: -1 })
  expect(quantizeMultiplier(10)).toEqual({ multiplier: 1342177280, shift: 4 })
  expect(quantizeMultiplier(1 - 2 ** -53)).toEqual({ multiplier: 2 ** 30, shift: 1 })
  expect(quantizeMultiplier(1 - 2 ** -31)).toEqual({ multiplier: 2 ** 31 - 1, shift: 0 })
  expect(quantizeMultiplier(2 ** -32)).toEqual({ multiplier: 2 ** 30, shift: -31 })
  expect(quantizeMultiplier(2 ** -33)).toEqual({ multiplier: 0, shift: 0 })
  expect(quantizeMultiplier(2 ** -32 - 2 ** -85)).toEqual({ multiplier: 2 ** 30, shift: -31 })
})

test('quantizeMultiplier rounds the fraction to nearest at every exponent, by whole-number arithmetic', () => {
  for (let e = -1074; e <= 30; e++)
    for (const x of [
      2 ** e,
      2 ** e * (1 + 2 ** -31),
      2 ** e * (1 + 3 * 2 ** -32),
      2 ** e * (2 - 2 ** -32),
      2 ** e * 1.7,
    ])
      if (exactMultiplier(x).shift <= 31) expect(quantizeMultiplier(x), `${x}`).toEqual(exactMultiplier(x))
      else expect(() => quantizeMultiplier(x)).toThrow(ModelError)
  for (const x of [2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY, Number.NaN])
    expect(() => quantizeMultiplier(x)).toThrow(ModelError)
  const scale = fc.double({ min: 2 ** -40, max: 2 ** 20, noNaN: true })
  fc.assert(
    fc.property(scale, (x) => {
      expect(quantizeMultiplier(x)).toEqual(exactMultiplier(x))
    }),
    RUNS,
  )
})

test('a product of scales rounded to float32 moves the multiplier, as one weight scale of a fully connected layer does', () => {
  const type = (scale: number): TensorType => ({ dtype: 'i8', shape: [1], quant: quantOf(scale, 0) })
  const [x, w, y] = [type(0.1), type(0.07), type(0.3)]
  const [sx, sw, sy] = [0.1, 0.07, 0.3].map(Math.fround)
  const exact = multipliers(x, w, y, 1, 'f64')
  const rounded = multipliers(x, w, y, 1, 'f32')
  expect(exact.multiplier[0]).toBe(exactMultiplier((sx * sw) / sy).multiplier)
  expect(rounded.multiplier[0]).toBe(exactMultiplier(Math.fround(sx * sw) / sy).multiplier)
  expect(rounded.multiplier[0]).not.toBe(exact.multiplier[0])
})

test('roundAway takes halves away from zero', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49, -0.51].map(roundAway)).toEqual([1, 2, 3, -1, -2, -3, 0, -1])
})

test('quantizeReal divides in float32 and rounds half away from zero', () => {
  expect(quantizeReal(6, Math.fround(0.0235294122248888), -128)).toBe(127)
  expect(quantizeReal(0.5, 1, 3)).toBe(4)
  expect(quantizeReal(-0.5, 1, 3)).toBe(2)
})

test('an activation range stays within the stored type', () => {
  const type: TensorType = { dtype: 'i8', shape: [1], quant: quantOf(0.05, -3) }
  expect(clampRange(type, {})).toEqual({ lo: -128, hi: 127 })
  expect(clampRange(type, { min: 0 })).toEqual({ lo: -3, hi: 127 })
  expect(clampRange(type, { min: 0, max: 6 })).toEqual({ lo: -3, hi: 117 })
  expect(clampRange(type, { min: -100, max: 100 })).toEqual({ lo: -128, hi: 127 })
  expect(clampRange({ dtype: 'f32', shape: [1] }, { min: 0 })).toEqual({ lo: 0, hi: Number.POSITIVE_INFINITY })
})

test('two clamps in one do what one after the other does', () => {
  const limit = fc.option(fc.integer({ min: -4, max: 4 }), { nil: undefined })
  const clamps = fc
    .tuple(limit, limit)
    .filter(([min, max]) => min === undefined || max === undefined || min <= max)
    .map(([min, max]): Clamp => ({ ...(min !== undefined && { min }), ...(max !== undefined && { max }) }))
  const apply = (c: Clamp, x: number) =>
    Math.min(Math.max(x, c.min ?? Number.NEGATIVE_INFINITY), c.max ?? Number.POSITIVE_INFINITY)
  fc.assert(
    fc.property(clamps, clamps, fc.integer({ min: -6, max: 6 }), (a, b, x) => {
      expect(apply(bothClamps(a, b), x)).toBe(apply(b, apply(a, x)))
    }),
    RUNS,
  )
})

test('fused activations survive the way to limits and back, and others are refused by name of the layer', () => {
  for (const code of [0, 1, 2, 3]) expect(clampToTflite(clampOfTflite(code, 'here'))).toBe(code)
  expect(clampToTflite({ min: 0, max: 5 })).toBeUndefined()
  expect(() => clampOfTflite(4, 'conv2d "a"')).toThrow(/^conv2d "a": fused activation 4/)
})

test('SAME padding gives ceil(input / stride) outputs, VALID only whole windows, and both are recognised again', () => {
  const size = fc.integer({ min: 1, max: 30 })
  const small = fc.integer({ min: 1, max: 5 })
  fc.assert(
    fc.property(fc.tuple(size, size), fc.tuple(small, small), fc.tuple(small, small), (input, kernel, stride) => {
      const window = { stride, dilation: [1, 1], pad: padOfTflite(0, input, kernel, stride, [1, 1]) }
      expect(windowOutput(input, kernel, window)).toEqual(input.map((d, i) => Math.ceil(d / stride[i])))
      const valid = { ...window, pad: padOfTflite(1, input, kernel, stride, [1, 1]) }
      expect(valid.pad).toEqual([0, 0, 0, 0])
      const code = padToTflite(window, input, kernel)
      expect(code).toBe(window.pad.every((p) => p === 0) ? 1 : 0)
    }),
    RUNS,
  )
  expect(padToTflite({ stride: [1, 1], dilation: [1, 1], pad: [2, 0, 0, 0] }, [5, 5], [3, 3])).toBeUndefined()
})
