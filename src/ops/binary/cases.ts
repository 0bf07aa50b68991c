import { quantOf } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import type { Clamp } from '../quant.ts'
import { add, div, mul, sub } from './op.ts'

interface Shape {
  a: number[]
  b: number[]
  clamp?: Clamp
  /** Quantisation of b and of the output; a has scale 0.05 and zero point -3. */
  b8?: [number, number]
  y8?: [number, number]
  /** b is a constant. */
  constant?: boolean
}

const SHAPES: Record<string, Shape> = {
  'same shape': { a: [1, 3, 4, 5], b: [1, 3, 4, 5] },
  'same shape, ReLU': { a: [2, 7], b: [2, 7], clamp: { min: 0 } },
  'same shape, ReLU6': { a: [33], b: [33], clamp: { min: 0, max: 6 }, b8: [0.11, 17], y8: [0.08, -128] },
  'constant channels': { a: [1, 3, 4, 6], b: [6], constant: true },
  'constant [1, 1, 1, 8]': { a: [1, 2, 3, 8], b: [1, 1, 1, 8], constant: true, clamp: { min: -1, max: 1 } },
  'constant of one element': { a: [1, 1, 1, 24], b: [1], constant: true, b8: [0.004, -128], y8: [0.05, -3] },
  'scalar of rank 0': { a: [2, 3, 5], b: [] },
  'first operand broadcast': { a: [1, 3, 1], b: [4, 3, 5] },
  'both operands broadcast': { a: [2, 1, 5, 1], b: [3, 1, 7] },
  'one per row': { a: [4, 9], b: [4, 1] },
  'a gate for each channel': { a: [1, 3, 3, 9], b: [1, 1, 1, 9], b8: [0.004, -128], y8: [0.06, -128] },
  'per image and channel': { a: [2, 3, 3, 4], b: [2, 1, 1, 4] },
  'six dimensions': { a: [2, 1, 3, 1, 2, 3], b: [1, 2, 3, 2, 1, 3] },
  'one element': { a: [1], b: [1, 1] },
  'scales far apart, saturating': { a: [1, 40], b: [1, 40], b8: [0.0003, 127], y8: [0.011, 100] },
  'large output scale': { a: [30], b: [30], b8: [7, -128], y8: [900, 0] },
}

const OPS = { add, sub, mul }

export const cases: readonly OpCase[] = [
  ...Object.entries(OPS).flatMap(([op, operator]) =>
    Object.entries(SHAPES).flatMap(([name, s]) => {
      const attrs = { clamp: s.clamp ?? {} }
      return [
        opCase(`${op} int8: ${name}`, (b) => {
          const type = i8(s.b, ...(s.b8 ?? [0.07, 9]))
          const x = b.input('a', i8(s.a, 0.05, -3))
          const y = s.constant ? b.const('b', type, b.random.fill(type)) : b.input('b', type)
          return b.one(operator, [x, y], attrs, { quant: quantOf(...(s.y8 ?? [0.09, 5])) })
        }),
        opCase(`${op} int8, scaled in float: ${name}`, (b) => {
          const type = i8(s.b, ...(s.b8 ?? [0.07, 9]))
          const x = b.input('a', i8(s.a, 0.05, -3))
          const y = s.constant ? b.const('b', type, b.random.fill(type)) : b.input('b', type)
          return b.one(operator, [x, y], { ...attrs, scaling: 'float' }, { quant: quantOf(...(s.y8 ?? [0.09, 5])) })
        }),
        opCase(`${op} f32: ${name}`, (b) => {
          const x = b.input('a', f32(s.a))
          const y = s.constant ? b.floats('b', s.b) : b.input('b', f32(s.b))
          return b.one(operator, [x, y], attrs)
        }),
      ]
    }),
  ),
  ...Object.entries(OPS).flatMap(([op, operator]) => [
    opCase(`${op} int8: a value with itself`, (b) => {
      const x = b.input('a', i8([3, 5], 0.05, -128))
      return b.one(operator, [x, x], { clamp: {} }, { quant: quantOf(0.1, -128) })
    }),
    opCase(`${op} int8, scaled in float: halves`, (b) => {
      const all = b.const(
        'a',
        i8([256], 1, 0),
        Int8Array.from({ length: 256 }, (_, i) => i - 128),
      )
      const other = b.input('b', i8([1], 1, 0))
      return b.one(operator, [all, other], { clamp: {}, scaling: 'float' }, { quant: quantOf(2, -1) })
    }),
    opCase(`${op} int16`, (b) => {
      const [x, y] = [0.0003, 0.0001].map((s, i) =>
        b.input(`x${i}`, { dtype: 'i16', shape: [3, 7], quant: quantOf(s, 0) }),
      )
      return b.one(operator, [x, y], { clamp: { min: 0 } }, { quant: quantOf(0.0005, 0) })
    }),
    ...(['f64', 'f16', 'i8', 'u8', 'i16', 'i64'] as const).map((dtype) =>
      opCase(`${op} plain ${dtype}`, (b) =>
        b.one(operator, [b.input('a', { dtype, shape: [3, 5] }), b.input('b', { dtype, shape: [5] })], { clamp: {} }),
      ),
    ),
    opCase(`${op} int32, wrapping`, (b) => {
      const x = b.input('a', { dtype: 'i32', shape: [2, 4] })
      const edge = Int32Array.of(2 ** 31 - 1, -(2 ** 31), 65537, 3)
      return b.one(operator, [x, b.const('b', { dtype: 'i32', shape: [4] }, edge)], { clamp: {} })
    }),
  ]),
  ...(
    [
      ['every divisor', 0.05, -3, 0.07, 9, 0.02, 5],
      ['every divisor, small results', 0.001, 127, 3, -128, 9, 0],
      ['every divisor, large results', 20, -128, 0.002, 127, 0.5, -7],
    ] as const
  ).map(([name, sa, za, sb, zb, sy, zy], i) =>
    opCase(`div int8: ${name}`, (b) => {
      const every = Int8Array.from({ length: 256 }, (_, k) => k - 128)
      const some = Int8Array.from({ length: 33 }, (_, k) => Math.min(127, 8 * k - 128))
      const [x, y] = [b.const('a', i8([33, 1], sa, za), some), b.const('b', i8([256], sb, zb), every)]
      const limits = [{}, { min: 0 }, { min: 0, max: 6 }][i]
      return b.one(div, [x, y], { clamp: limits }, { quant: quantOf(sy, zy) })
    }),
  ),
  ...(['f32', 'f64', 'f16', 'i8', 'u8', 'i16', 'i32', 'i64'] as const).map((dtype) =>
    opCase(`div ${dtype}`, (b) =>
      b.one(div, [b.input('a', { dtype, shape: [3, 5] }), b.input('b', { dtype, shape: [5] })], { clamp: {} }),
    ),
  ),
  opCase('div int32: the ends of the range, zero and minus one', (b) => {
    const type = { dtype: 'i32', shape: [6] } as const
    const a = b.const('a', type, Int32Array.of(-(2 ** 31), 2 ** 31 - 1, -7, 7, 5, -(2 ** 31)))
    return b.one(div, [a, b.const('b', type, Int32Array.of(-1, -1, 2, -2, 0, 0))], { clamp: {} })
  }),
  opCase('add f32: no elements, one of them repeated', (b) =>
    b.one(add, [b.input('a', f32([2, 0, 3])), b.input('b', f32([1, 3]))], { clamp: {} }),
  ),
  opCase('div f32: one per row, ReLU6', (b) =>
    b.one(div, [b.input('a', f32([4, 9])), b.input('b', f32([4, 1]))], { clamp: { min: 0, max: 6 } }),
  ),
]
