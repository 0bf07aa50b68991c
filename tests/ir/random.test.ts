import { expect, test } from 'vitest'
import { Xorshift32 } from '../../src/ir/random.ts'
import { f16ToF32 } from '../../src/loops/float.ts'

test('one seed gives floats of every width the same numbers, each to its own precision', () => {
  const of = (dtype: 'f64' | 'f32' | 'f16') => new Xorshift32(42).fill({ dtype, shape: [100] })
  const [doubles, floats, halves] = [of('f64') as Float64Array, of('f32') as Float32Array, of('f16') as Uint16Array]
  expect(doubles.every((x) => x * 2 ** 31 === Math.round(x * 2 ** 31) && Math.abs(x) <= 1)).toBe(true)
  expect(new Set(doubles).size).toBe(100)
  doubles.forEach((x, i) => {
    expect(floats[i]).toBe(Math.fround(x))
    expect(Math.abs(f16ToF32(halves[i]) - floats[i])).toBeLessThanOrEqual(2 ** -12)
  })
})
