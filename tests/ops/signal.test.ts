import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import type { TensorType, Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'
import { filterBankLog } from '../../src/ops/signal/log.ts'
import { rfft } from '../../src/ops/signal/rfft.ts'
import { filterBankSquareRoot } from '../../src/ops/signal/square_root.ts'
import { reference } from '../../src/run/reference.ts'

function run(make: (b: Builder) => Value, ...inputs: Data[]): Data {
  const b = new Builder()
  const y = make(b)
  return reference(b.graph([y])).run(inputs)[0]
}

/** The discrete Fourier transform by its definition: real and imaginary parts in turn. */
function spectrum(x: ArrayLike<number>, length: number): number[] {
  return Array.from({ length: length / 2 + 1 }, (_, k) => {
    const phases = Array.from(x, (_, i) => (-2 * Math.PI * k * i) / length)
    return [Math.cos, Math.sin].map((f) => phases.reduce((sum, phase, i) => sum + x[i] * f(phase), 0))
  }).flat()
}

const transformed = (dtype: TensorType['dtype'], x: Data, fft_length: number) =>
  Array.from(run((b) => b.one(rfft, [b.input('x', { dtype, shape: [x.length] })], { fft_length }), x) as Float32Array)

describe.each([8, 20, 48, 250, 512])('rfft of length %i', (length) => {
  const random = new Xorshift32(length)
  const n = length - 3

  test('f32 is the spectrum', () => {
    const x = Float32Array.from({ length: n }, () => random.between(-1000, 1000) / 1000)
    const y = transformed('f32', x, length)
    spectrum(x, length).forEach((v, i) => {
      expect(Math.abs(y[i] - v)).toBeLessThan(1e-4)
    })
  })

  test('i16 and i32 are the spectrum divided by the length', () => {
    for (const [dtype, most, error] of [
      ['i16', 2 ** 15 - 1, 6],
      ['i32', 2 ** 31 - 1, 64],
    ] as const) {
      const values = Array.from({ length: n }, () => Math.trunc((most * random.between(-1000, 1000)) / 1000))
      const y = transformed(dtype, dtype === 'i16' ? Int16Array.from(values) : Int32Array.from(values), length)
      spectrum(values, length).forEach((v, i) => {
        expect(Math.abs(y[i] - v / length)).toBeLessThan(error)
      })
    }
  })
})

test('rfft refuses lengths that have other factors than 2, 3 and 5', () => {
  expect(() => transformed('i16', new Int16Array(14), 14)).toThrow(/fft_length is 14, supported are even products/)
})

test('filter_bank_log is the scaled logarithm', () => {
  const x = Int32Array.from({ length: 31 }, (_, i) => 3 * 2 ** i + 1)
  const y = run(
    (b) =>
      b.one(filterBankLog, [b.input('x', { dtype: 'u32', shape: [31] })], {
        input_correction_bits: 0,
        output_scale: 1000,
      }),
    x,
  )
  x.forEach((v, i) => {
    expect(Math.abs(Number(y[i]) - 1000 * Math.log(v >>> 0))).toBeLessThan(3)
  })
})

test('filter_bank_square_root rounds the root to nearest', () => {
  const x = BigInt64Array.of(0n, 2n, 3n, 6n, 7n, 10n ** 18n, 2n ** 40n + 2n ** 20n, 2n ** 40n + 2n ** 20n + 1n)
  const bits = (b: Builder) => b.const('bits', { dtype: 'i32', shape: [] }, Int32Array.of(0))
  const y = run((b) => b.one(filterBankSquareRoot, [b.input('x', { dtype: 'u64', shape: [8] }), bits(b)], {}), x)
  expect([...y]).toEqual([0, 1, 2, 2, 3, 1e9, 2 ** 20, 2 ** 20 + 1])
})
