import type { DType, TensorType } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { slice } from './op.ts'

const TYPES: readonly (readonly [string, (shape: readonly number[]) => TensorType])[] = [
  ['int8', (shape) => i8(shape, 0.1, -7)],
  ['f32', f32],
  ...(['i16', 'i32', 'i64', 'u8', 'bool'] as const).map(
    (dtype: DType) => [dtype, (shape: readonly number[]): TensorType => ({ dtype, shape })] as const,
  ),
]

/** Shape, begin, step, size. */
const SLICES: Record<string, [number[], number[], number[], number[]]> = {
  'rows of a picture': [
    [1, 5, 4, 3],
    [0, 1, 0, 0],
    [1, 1, 1, 1],
    [1, 3, 4, 3],
  ],
  'every other channel': [
    [2, 3, 7],
    [0, 0, 1],
    [1, 1, 2],
    [2, 3, 3],
  ],
  backwards: [
    [4, 5],
    [3, 4],
    [-1, -2],
    [4, 3],
  ],
  'one element': [
    [3, 3],
    [2, 1],
    [1, -1],
    [1, 1],
  ],
  'everything, five dimensions': [
    [1, 2, 2, 3, 2],
    [0, 0, 0, 0, 0],
    [1, 1, 1, 1, 1],
    [1, 2, 2, 3, 2],
  ],
  'a column of rank 3': [
    [2, 4, 3],
    [0, 1, 2],
    [1, 2, 1],
    [2, 2, 1],
  ],
}

export const cases: readonly OpCase[] = [
  ...TYPES.flatMap(([type, of]) =>
    Object.entries(SLICES).map(([name, [shape, begin, step, size]]) =>
      opCase(`slice ${type}: ${name}`, (b) => b.one(slice, [b.input('x', of(shape))], { begin, step, size })),
    ),
  ),
  opCase('slice f32: no elements', (b) =>
    b.one(slice, [b.input('x', f32([3, 4]))], { begin: [1, 4], step: [1, 1], size: [2, 0] }),
  ),
]
