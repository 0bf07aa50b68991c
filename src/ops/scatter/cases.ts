import type { DType, TensorType } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { scatterElements } from './elements.ts'
import { scatterNd } from './nd.ts'

const TYPES: readonly (readonly [string, (shape: readonly number[]) => TensorType])[] = [
  ['int8', (shape) => i8(shape, 0.1, -7)],
  ['f32', f32],
  ...(['i16', 'i32', 'i64', 'u8', 'bool', 'f64'] as const).map(
    (dtype: DType) => [dtype, (shape: readonly number[]): TensorType => ({ dtype, shape })] as const,
  ),
]
const i32 = (shape: readonly number[]): TensorType => ({ dtype: 'i32', shape })
const i64 = (shape: readonly number[]): TensorType => ({ dtype: 'i64', shape })

export const cases: readonly OpCase[] = [
  ...TYPES.flatMap(([type, of]) => [
    opCase(`scatter_nd ${type}: elements`, (b) =>
      b.one(scatterNd, [b.input('x', of([3, 4])), b.input('i', i32([5, 2])), b.input('u', of([5]))], {
        reduction: 'none',
      }),
    ),
    opCase(`scatter_nd ${type}: rows`, (b) =>
      b.one(scatterNd, [b.input('x', of([4, 3])), b.input('i', i64([2, 1])), b.input('u', of([2, 3]))], {
        reduction: 'none',
      }),
    ),
    opCase(`scatter_elements ${type}: columns`, (b) =>
      b.one(scatterElements, [b.input('x', of([3, 4])), b.input('i', i64([2, 5])), b.input('u', of([2, 5]))], {
        axis: 1,
        reduction: 'none',
      }),
    ),
  ]),
  ...(['add', 'mul', 'min', 'max'] as const).flatMap((reduction) =>
    (['f32', 'i32', 'i64', 'f64'] as const).flatMap((dtype) => [
      opCase(`scatter_nd ${dtype}: ${reduction}`, (b) => {
        const inputs = [
          b.input('x', { dtype, shape: [4, 2] }),
          b.input('i', i32([3, 1])),
          b.input('u', { dtype, shape: [3, 2] }),
        ]
        return b.one(scatterNd, inputs, { reduction })
      }),
      opCase(`scatter_elements ${dtype}: ${reduction}`, (b) => {
        const inputs = [
          b.input('x', { dtype, shape: [4, 2] }),
          b.input('i', i32([3, 2])),
          b.input('u', { dtype, shape: [3, 2] }),
        ]
        return b.one(scatterElements, inputs, { axis: 0, reduction })
      }),
    ]),
  ),
]
