import { type DType, quantOf } from '../../ir/graph.ts'
import { i8, type OpCase, opCase } from '../case.ts'
import { type Matmul, matmul } from './op.ts'

const SHAPES: Record<string, { a: number[]; b: number[]; attrs?: Partial<Matmul> }> = {
  'two matrices': { a: [3, 5], b: [5, 8] },
  'batched, odd sizes': { a: [2, 3, 7], b: [2, 7, 5] },
  'second transposed': { a: [2, 4, 6], b: [2, 3, 6], attrs: { transB: true } },
  'first transposed': { a: [6, 4], b: [6, 3], attrs: { transA: true } },
  'both transposed': { a: [2, 6, 4], b: [2, 3, 6], attrs: { transA: true, transB: true } },
  'leading dimensions broadcast': { a: [2, 1, 3, 4], b: [3, 4, 2] },
  'a row times a column': { a: [1, 9], b: [9, 1] },
}

const PLAIN: readonly DType[] = ['f32', 'f64', 'f16', 'i32', 'i64']

export const cases: readonly OpCase[] = Object.entries(SHAPES).flatMap(([name, { a, b: second, attrs }], i) => {
  const trans = { transA: false, transB: false, ...attrs }
  return [
    ...PLAIN.filter((d, j) => i < 2 || d === 'f32' || j === i % 5).map((dtype) =>
      opCase(`matmul ${dtype}: ${name}`, (b) =>
        b.one(matmul, [b.input('a', { dtype, shape: a }), b.input('b', { dtype, shape: second })], trans),
      ),
    ),
    opCase(`matmul int8: ${name}`, (b) =>
      b.one(matmul, [b.input('a', i8(a, 0.05, -3)), b.input('b', i8(second, 0.02, 9))], trans, {
        quant: quantOf(0.03, 5),
      }),
    ),
    opCase(`matmul int8, scaled in float: ${name}`, (b) =>
      b.one(
        matmul,
        [b.input('a', i8(a, 0.05, -128)), b.input('b', i8(second, 0.02, 127))],
        { ...trans, scaling: 'float' },
        { quant: quantOf(0.03, 5) },
      ),
    ),
    opCase(`matmul int8, the sums themselves: ${name}`, (b) =>
      b.one(matmul, [b.input('a', i8(a, 1, -3)), b.input('b', i8(second, 1, 9))], { ...trans, scaling: 'none' }),
    ),
    opCase(`matmul int16: ${name}`, (b) => {
      const quant = quantOf(0.001, 0)
      const [p, q] = [a, second].map((shape, k) => b.input(`x${k}`, { dtype: 'i16', shape, quant }))
      return b.one(matmul, [p, q], trans, { quant: quantOf(i % 2 ? 0.004 : 2e-8, 0) })
    }),
  ]
})
