import type { DType, TensorType } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { gatherElements } from './elements.ts'
import { gatherNd } from './nd.ts'
import { gather } from './op.ts'

const TYPES: readonly (readonly [string, (shape: readonly number[]) => TensorType])[] = [
  ['int8', (shape) => i8(shape, 0.1, -7)],
  ['f32', f32],
  ...(['i16', 'i32', 'i64', 'u8', 'bool'] as const).map(
    (dtype: DType) => [dtype, (shape: readonly number[]): TensorType => ({ dtype, shape })] as const,
  ),
]
const i32 = (shape: readonly number[]): TensorType => ({ dtype: 'i32', shape })
const i64 = (shape: readonly number[]): TensorType => ({ dtype: 'i64', shape })

export const cases: readonly OpCase[] = [
  ...TYPES.flatMap(([type, of]) => [
    opCase(`gather ${type}: rows`, (b) =>
      b.one(gather, [b.input('x', of([5, 3])), b.input('i', i32([4]))], { axis: 0, batchDims: 0 }),
    ),
    opCase(`gather ${type}: columns, too few for some indices`, (b) =>
      b.one(gather, [b.input('x', of([2, 3, 2])), b.input('i', i64([2, 2]))], { axis: 1, batchDims: 0 }),
    ),
    opCase(`gather ${type}: one element for each batch`, (b) =>
      b.one(gather, [b.input('x', of([2, 3, 4])), b.input('i', i32([2]))], { axis: 2, batchDims: 1 }),
    ),
    opCase(`gather_nd ${type}: elements`, (b) =>
      b.one(gatherNd, [b.input('x', of([3, 4])), b.input('i', i32([5, 2]))], { batchDims: 0 }),
    ),
    opCase(`gather_nd ${type}: slices of batches`, (b) =>
      b.one(gatherNd, [b.input('x', of([2, 4, 3])), b.input('i', i64([2, 3, 1]))], { batchDims: 1 }),
    ),
    opCase(`gather_elements ${type}: longer than the axis`, (b) =>
      b.one(gatherElements, [b.input('x', of([3, 4])), b.input('i', i64([2, 6]))], { axis: 1 }),
    ),
  ]),
  opCase('gather f32: indices outside', (b) => {
    const i = b.const('i', i32([5]), Int32Array.of(-1, -3, 7, -(2 ** 31), 2 ** 31 - 1))
    return b.one(gather, [b.input('x', f32([3, 2])), i], { axis: 0, batchDims: 0 })
  }),
  opCase('gather f32: long indices outside', (b) => {
    const i = b.const('i', i64([4]), BigInt64Array.of(-1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 32n))
    return b.one(gather, [b.input('x', f32([3, 2])), i], { axis: 0, batchDims: 0 })
  }),
]
