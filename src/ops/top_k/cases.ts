import type { DType, TensorType } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { topK } from './op.ts'

const TYPES: readonly (readonly [string, (shape: readonly number[]) => TensorType])[] = [
  ['int8', (shape) => i8(shape, 0.1, -7)],
  ['f32', f32],
  ...(['f64', 'i16', 'i32', 'i64', 'u8'] as const).map(
    (dtype: DType) => [dtype, (shape: readonly number[]): TensorType => ({ dtype, shape })] as const,
  ),
]

export const cases: readonly OpCase[] = TYPES.flatMap(([type, of]) => [
  opCase(`top_k ${type}: three of seven`, (b) =>
    b.add(topK, [b.input('x', of([2, 7]))], { axis: 1, k: 3, largest: true, dtype: 'i32' }),
  ),
  opCase(`top_k ${type}: all, the least first, first axis`, (b) =>
    b.add(topK, [b.input('x', of([4, 3]))], { axis: 0, k: 4, largest: false, dtype: 'i64' }),
  ),
])
