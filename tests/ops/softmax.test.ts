import { describe, expect, test } from 'vitest'
import { quantOf } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { f32, i8 } from '../../src/ops/case.ts'
import { logistic, tanh } from '../../src/ops/sigmoid/op.ts'
import { softmax } from '../../src/ops/softmax/op.ts'
import { bothResults, one } from './run_one.ts'
import { EVERY_INT8, fnv1a, inputsOfRow, TFLM_ROWS } from './tflm_rows.ts'

describe('int8 results are those of TensorFlow Lite Micro', () => {
  for (const row of TFLM_ROWS) {
    test(`softmax, ${row.name}`, () => {
      const x = { ...row.a, shape: [3, row.n] }
      const results = bothResults(one(softmax, [x], { beta: row.beta }), [inputsOfRow(row).logits])
      expect(fnv1a(results.eval)).toBe(row.hash.softmax)
      expect(fnv1a(results.kernel)).toBe(row.hash.softmax)
    })
    test.each([logistic, tanh])(`$name of every input, ${row.name}`, (op) => {
      const results = bothResults(one(op, [row.a], {}), [EVERY_INT8])
      expect(fnv1a(results.eval)).toBe(row.hash[op.name as 'logistic' | 'tanh'])
      expect(fnv1a(results.kernel)).toBe(row.hash[op.name as 'logistic' | 'tanh'])
    })
  }
})

function exactSoftmax(x: readonly number[]): number[] {
  const max = Math.max(...x)
  const e = x.map((v) => Math.exp(v - max))
  const sum = e.reduce((s, v) => s + v, 0)
  return e.map((v) => v / sum)
}

describe('int8 softmax', () => {
  const random = new Xorshift32(7)
  for (const n of [1, 2, 3, 12, 100, 1001])
    for (const scale of [0.004, 0.05, 0.2, 1, 9])
      test(`of ${n} elements with scale ${scale} is within one step of the real numbers`, () => {
        const rows = 8
        const x = Int8Array.from({ length: rows * n }, (_, i) => (i < n ? 127 : random.between(-128, 127)))
        const { kernel } = bothResults(one(softmax, [i8([rows, n], scale, 3)], { beta: 1 }), [x])
        let worst = 0
        for (let r = 0; r < rows; r++) {
          const reals = Array.from(x.subarray(r * n, (r + 1) * n), (v) => Math.fround(scale) * v)
          exactSoftmax(reals).forEach((p, c) => {
            worst = Math.max(worst, Math.abs(Number(kernel[r * n + c]) + 128 - Math.min(255, 256 * p)))
          })
        }
        expect(worst).toBeLessThanOrEqual(1)
      })

  test('has a fixed output type and refuses another', () => {
    const { y } = one(softmax, [i8([1, 4], 0.1, 0)], { beta: 1 })
    expect(y.type.quant).toEqual(quantOf(1 / 256, -128))
    expect(() => one(softmax, [i8([1, 4], 0.1, 0)], { beta: 1 }, { quant: quantOf(0.01, -128) })).toThrow(/0.00390625/)
    expect(() => one(softmax, [i8([4096], 0.1, 0)], { beta: 1 })).toThrow(/4095/)
  })

  test('shares its kernel among layers of one shape', () => {
    const kernel = (scale: number, beta: number) => {
      const { node } = one(softmax, [i8([2, 9], scale, 4)], { beta })
      return node.op.lower(node).kernel
    }
    expect(kernel(0.1, 1)).toEqual(kernel(0.7, 2))
  })
})

test('f32 softmax is within 3e-7 of the real numbers and sums to 1', () => {
  const random = new Xorshift32(3)
  const n = 40
  const x = Float32Array.from({ length: 20 * n }, () => ((random.next() | 0) / 2 ** 31) * 15)
  const { kernel } = bothResults(one(softmax, [f32([20, n])], { beta: 0.75 }), [x])
  for (let r = 0; r < 20; r++) {
    const row = Array.from(kernel.subarray(r * n, (r + 1) * n), Number)
    exactSoftmax(Array.from(x.subarray(r * n, (r + 1) * n), (v) => 0.75 * v)).forEach((p, c) => {
      expect(Math.abs(row[c] - p)).toBeLessThan(3e-7)
    })
    expect(Math.abs(row.reduce((s, v) => s + v, 0) - 1)).toBeLessThan(1e-6)
  }
})

describe('int8 logistic and tanh', () => {
  const curves = { logistic: (x: number) => 256 / (1 + Math.exp(-x)) - 128, tanh: (x: number) => 128 * Math.tanh(x) }
  test.each([logistic, tanh])('$name is within one step of the real numbers for every input', (op) => {
    const curve = curves[op.name as keyof typeof curves]
    let worst = 0
    for (const scale of [0.002, 0.01, 1 / 32, 0.06, 0.11, 0.5])
      for (const zero of [-128, -5, 127]) {
        const { kernel } = bothResults(one(op, [i8([256], scale, zero)], {}), [EVERY_INT8])
        EVERY_INT8.forEach((q, i) => {
          const exact = Math.min(127, curve(Math.fround(scale) * (q - zero)))
          worst = Math.max(worst, Math.abs(Number(kernel[i]) - exact))
        })
      }
    expect(worst).toBeLessThanOrEqual(1)
  })

  test('never fall', () => {
    for (const op of [logistic, tanh])
      for (const scale of [0.003, 0.04, 0.3]) {
        const { kernel } = bothResults(one(op, [i8([256], scale, 0)], {}), [EVERY_INT8])
        for (let i = 1; i < 256; i++) expect(kernel[i]).toBeGreaterThanOrEqual(Number(kernel[i - 1]))
      }
  })

  test('have fixed output types and refuse others', () => {
    expect(one(tanh, [i8([4], 0.1, 0)], {}).y.type.quant).toEqual(quantOf(1 / 128, 0))
    expect(one(logistic, [i8([4], 0.1, 0)], {}).y.type.quant).toEqual(quantOf(1 / 256, -128))
    expect(() => one(logistic, [i8([4], 0.1, 0)], {}, { quant: quantOf(1 / 256, 0) })).toThrow(/-128/)
  })
})
