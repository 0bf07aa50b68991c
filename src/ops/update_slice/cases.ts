import type { DType } from '../../ir/graph.ts'
import { i8, type OpCase, opCase } from '../case.ts'
import { updateSlice } from './op.ts'

const DTYPES: readonly DType[] = ['f32', 'f64', 'f16', 'i8', 'u8', 'i16', 'i32', 'i64', 'bool']

export const cases: readonly OpCase[] = [
  ...DTYPES.map((dtype) =>
    opCase(`update_slice ${dtype}`, (b) => {
      const inputs = [b.input('x', { dtype, shape: [4, 5] }), b.input('u', { dtype, shape: [2, 3] })]
      return b.one(updateSlice, [...inputs, b.input('at', { dtype: 'i32', shape: [2] })], {})
    }),
  ),
  opCase('update_slice int8: places outside, 64 bits', (b) => {
    const inputs = [b.input('x', i8([3, 4, 2], 0.1, 3)), b.input('u', i8([1, 4, 1], 0.1, 3))]
    return [
      [0n, 0n, 0n],
      [-7n, 3n, 1n],
      [2n ** 40n, -(2n ** 40n), 9n],
    ].map((at, i) => {
      const place = b.const(`at${i}`, { dtype: 'i64', shape: [3] }, BigInt64Array.from(at))
      return b.one(updateSlice, [...inputs, place], {})
    })
  }),
]
