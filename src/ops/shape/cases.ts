import type { DType } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { concat } from './concat.ts'
import { pad } from './pad.ts'
import { paste } from './paste.ts'
import { reshape } from './reshape.ts'
import { splice } from './splice.ts'
import { transpose } from './transpose.ts'

type Types = readonly (readonly [string, (shape: readonly number[]) => ReturnType<typeof f32>])[]
const BOTH: Types = [
  ['int8', (shape) => i8(shape, 0.1, -7)],
  ['f32', f32],
]
const OTHERS: Types = (['i16', 'i32', 'i64', 'u8', 'bool'] as const).map((dtype: DType) => [
  dtype,
  (shape) => ({ dtype, shape }),
])

const PADS: Record<string, [number[], number[], number[]]> = {
  'SAME of a picture': [
    [1, 4, 5, 3],
    [0, 1, 1, 0],
    [0, 1, 2, 0],
  ],
  'top only': [
    [2, 3, 3, 2],
    [0, 2, 0, 0],
    [0, 0, 0, 0],
  ],
  channels: [
    [1, 3, 2, 3],
    [0, 0, 0, 2],
    [0, 0, 0, 3],
  ],
  'every axis': [
    [2, 1, 3],
    [1, 2, 0],
    [1, 0, 3],
  ],
  'five dimensions': [
    [1, 2, 2, 2, 2],
    [0, 1, 0, 0, 1],
    [0, 0, 0, 1, 0],
  ],
  'rank 1': [[5], [3], [0]],
  nothing: [
    [2, 3],
    [0, 0],
    [0, 0],
  ],
}

const PERMS: Record<string, [number[], number[]]> = {
  'channels first': [
    [1, 4, 5, 3],
    [0, 3, 1, 2],
  ],
  'channels last': [
    [2, 3, 4, 5],
    [0, 2, 3, 1],
  ],
  'of a matrix': [
    [4, 7],
    [1, 0],
  ],
  'all axes reversed': [
    [2, 3, 4, 5],
    [3, 2, 1, 0],
  ],
  'only axes of one element': [
    [1, 6, 1, 4],
    [1, 0, 3, 2],
  ],
  'five dimensions': [
    [2, 2, 3, 2, 3],
    [4, 2, 3, 0, 1],
  ],
  identity: [
    [3, 4],
    [0, 1],
  ],
  'one element': [
    [1, 1],
    [1, 0],
  ],
}

const CONCATS: Record<string, [number[][], number]> = {
  channels: [
    [
      [1, 2, 3, 4],
      [1, 2, 3, 1],
      [1, 2, 3, 5],
    ],
    3,
  ],
  'first axis': [
    [
      [2, 3],
      [1, 3],
    ],
    0,
  ],
  'middle axis': [
    [
      [2, 1, 3],
      [2, 4, 3],
    ],
    1,
  ],
  'one tensor': [[[2, 3]], 1],
  'rank 1': [[[3], [1], [4]], 0],
}

const RESHAPES: Record<string, [number[], number[]]> = {
  flatten: [
    [1, 3, 4, 5],
    [1, 60],
  ],
  'inferred dimension': [
    [6, 4],
    [3, -1, 2],
  ],
  'to a scalar': [[1, 1], []],
}

const EMPTY: readonly OpCase[] = [
  opCase('reshape f32: no elements', (b) => b.one(reshape, [b.input('x', f32([0, 3, 4]))], { shape: [3, 4, 0] })),
  opCase('transpose f32: no elements', (b) => b.one(transpose, [b.input('x', f32([2, 0, 3]))], { perm: [2, 1, 0] })),
  opCase('concat f32: a part without elements', (b) =>
    b.one(concat, [b.input('x', f32([2, 3])), b.input('y', f32([2, 0])), b.input('z', f32([2, 2]))], { axis: 1 }),
  ),
  opCase('concat f32: no elements', (b) =>
    b.one(concat, [b.input('x', f32([0, 3])), b.input('y', f32([0, 2]))], { axis: 1 }),
  ),
]

export const cases: readonly OpCase[] = [
  ...EMPTY,
  ...[...BOTH, ...OTHERS].flatMap(([type, of]) => [
    ...Object.entries(PADS).flatMap(([name, [shape, low, high]]) => {
      const x = of(shape)
      const zero = x.quant?.zero[0] ?? 0
      return [
        opCase(`pad ${type}: ${name}`, (b) => b.one(pad, [b.input('x', x)], { low, high, value: zero })),
        opCase(`pad ${type} with ones: ${name}`, (b) => b.one(pad, [b.input('x', x)], { low, high, value: 1 })),
      ]
    }),
    ...Object.entries(PERMS).map(([name, [shape, perm]]) =>
      opCase(`transpose ${type}: ${name}`, (b) => b.one(transpose, [b.input('x', of(shape))], { perm })),
    ),
    ...Object.entries(CONCATS).map(([name, [shapes, axis]]) =>
      opCase(`concat ${type}: ${name}`, (b) => {
        const inputs = shapes.map((shape, i) => b.input(`x${i}`, of(shape)))
        return b.one(concat, inputs, { axis })
      }),
    ),
    opCase(`splice ${type}: rows of two images and one of them again`, (b) => {
      const [x, y] = [b.input('x', of([2, 4, 3, 2])), b.input('y', of([2, 2, 3, 2]))]
      return b.one(splice, [x, y, x], { from: [1, 0, 3], rows: [2, 2, 1] })
    }),
    ...[true, false].map((onto) =>
      opCase(`paste ${type}: a rectangle ${onto ? 'into an image' : 'alone'}`, (b) => {
        const part = b.input('part', of([1, 3, 4, 2]))
        const attrs = { from: [1, 0], to: [2, 3], size: [2, 3], shape: [1, 5, 6, 2] }
        return b.one(paste, onto ? [part, b.input('x', of([1, 5, 6, 2]))] : [part], attrs)
      }),
    ),
    ...Object.entries(RESHAPES).map(([name, [from, shape]]) =>
      opCase(`reshape ${type}: ${name}`, (b) => b.one(reshape, [b.input('x', of(from))], { shape })),
    ),
  ]),
  opCase('concat of a value with itself', (b) => {
    const x = b.input('x', i8([2, 3], 0.1, 4))
    return b.one(concat, [x, x], { axis: 1 })
  }),
]
