import type { DType, TensorType } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { expand } from './op.ts'

const TYPES: readonly (readonly [string, (shape: readonly number[]) => TensorType])[] = [
  ['int8', (shape) => i8(shape, 0.1, -7)],
  ['f32', f32],
  ...(['i16', 'i32', 'i64', 'u8', 'bool'] as const).map(
    (dtype: DType) => [dtype, (shape: readonly number[]): TensorType => ({ dtype, shape })] as const,
  ),
]

const SHAPES: Record<string, [number[], number[]]> = {
  'a scalar': [[], [2, 3]],
  'a row': [[3], [2, 2, 3]],
  'a column': [
    [3, 1],
    [3, 4],
  ],
  'apart axes': [
    [2, 1, 3, 1],
    [2, 4, 3, 2],
  ],
  'neighbouring axes': [
    [1, 1, 3],
    [2, 2, 3],
  ],
  nothing: [
    [2, 3],
    [2, 3],
  ],
}

export const cases: readonly OpCase[] = [
  ...TYPES.flatMap(([type, of]) =>
    Object.entries(SHAPES).map(([name, [from, shape]]) =>
      opCase(`expand ${type}: ${name}`, (b) => b.one(expand, [b.input('x', of(from))], { shape })),
    ),
  ),
  opCase('expand f32: no elements', (b) => b.one(expand, [b.input('x', f32([1, 3]))], { shape: [0, 3] })),
]
