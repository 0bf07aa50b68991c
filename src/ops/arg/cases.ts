import type { DType, TensorType } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { argmax, argmin } from './op.ts'

const TYPES: readonly (readonly [string, (shape: readonly number[]) => TensorType])[] = [
  ['int8', (shape) => i8(shape, 0.1, -7)],
  ['f32', f32],
  ...(['i16', 'i32', 'i64', 'u8'] as const).map(
    (dtype: DType) => [dtype, (shape: readonly number[]): TensorType => ({ dtype, shape })] as const,
  ),
]

export const cases: readonly OpCase[] = [argmax, argmin].flatMap((op) =>
  TYPES.flatMap(([type, of]) => [
    opCase(`${op.name} ${type}: last axis`, (b) =>
      b.one(op, [b.input('x', of([3, 7]))], { axis: 1, keepDims: false, last: false, dtype: 'i32' }),
    ),
    opCase(`${op.name} ${type}: middle axis, kept, the last of equal ones`, (b) =>
      b.one(op, [b.input('x', of([2, 5, 3]))], { axis: 1, keepDims: true, last: true, dtype: 'i64' }),
    ),
  ]),
)
