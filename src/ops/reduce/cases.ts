import { type DType, quantOf } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import {
  mean,
  type Reduce,
  reduceL1,
  reduceL2,
  reduceLogSum,
  reduceLogSumExp,
  reduceMax,
  reduceMin,
  reduceProd,
  reduceSumSquare,
  sum,
} from './op.ts'

interface Shape {
  input: number[]
  attrs: Reduce
  /** Scale and zero point of the int8 output where they are not the input's. */
  output?: [number, number]
}

const SHAPES: Record<string, Shape> = {
  'height and width, dimensions kept': { input: [2, 3, 5, 8], attrs: { axes: [1, 2], keepDims: true } },
  'height and width': { input: [1, 7, 7, 5], attrs: { axes: [1, 2], keepDims: false } },
  'height and width, other scale': {
    input: [1, 4, 3, 8],
    attrs: { axes: [1, 2], keepDims: true },
    output: [0.021, 17],
  },
  'last axis': { input: [3, 4, 6], attrs: { axes: [2], keepDims: false } },
  'first axis, larger scale': { input: [9, 8], attrs: { axes: [0], keepDims: true }, output: [0.2, -100] },
  'axes apart': { input: [3, 2, 5, 4], attrs: { axes: [0, 2], keepDims: false }, output: [0.013, 1] },
  'every axis': { input: [2, 3, 4], attrs: { axes: [0, 1, 2], keepDims: false } },
  'no axis': { input: [4, 3], attrs: { axes: [], keepDims: false }, output: [0.04, 0] },
  'axes of one element': { input: [1, 1, 6], attrs: { axes: [0, 1], keepDims: false }, output: [0.06, 3] },
  'multiplier near 2^-31': { input: [5, 4], attrs: { axes: [0], keepDims: false }, output: [9e7, 2] },
}

const REQUANTISED: readonly OpCase[] = Object.entries(SHAPES).flatMap(([name, { input, attrs, output }]) =>
  [mean, sum].flatMap((op) => [
    opCase(`${op.name} int8: ${name}`, (b) =>
      b.one(op, [b.input('x', i8(input, 0.05, -3))], attrs, output && { quant: quantOf(...output) }),
    ),
    opCase(`${op.name} f32: ${name}`, (b) => b.one(op, [b.input('x', f32(input))], attrs)),
  ]),
)

const PLAIN = [mean, sum, reduceProd, reduceL1, reduceL2, reduceSumSquare, reduceMax, reduceMin]
const ARITHMETIC: readonly DType[] = ['f32', 'f64', 'f16', 'i32', 'i64']
const SMALL: readonly DType[] = ['i16', 'i8', 'u8', 'bool']

const plain = (op: (typeof PLAIN)[number], dtype: DType): readonly OpCase[] =>
  (
    [
      [[3, 5, 4], { axes: [1], keepDims: true }],
      [[2, 3, 7], { axes: [0, 2], keepDims: false }],
    ] as const
  ).map(([shape, attrs]) =>
    opCase(`${op.name} ${dtype}: axes ${attrs.axes} of [${shape}]`, (b) =>
      b.one(op, [b.input('x', { dtype, shape })], attrs),
    ),
  )

export const cases: readonly OpCase[] = [
  ...REQUANTISED,
  ...PLAIN.flatMap((op) =>
    ARITHMETIC.filter((d) => op !== reduceL2 || d.startsWith('f')).flatMap((dtype) => plain(op, dtype)),
  ),
  ...[reduceLogSum, reduceLogSumExp].flatMap((op) =>
    (['f32', 'f16', 'f64'] as const).flatMap((dtype) => plain(op, dtype)),
  ),
  ...[reduceMax, reduceMin].flatMap((op) => [
    ...SMALL.flatMap((dtype) => plain(op, dtype)),
    opCase(`${op.name} int8`, (b) =>
      b.one(op, [b.input('x', i8([4, 5, 3], 0.05, -3))], { axes: [1], keepDims: false }),
    ),
  ]),
  ...[mean, sum].map((op) =>
    opCase(`${op.name} int16`, (b) =>
      b.one(
        op,
        [b.input('x', { dtype: 'i16', shape: [4, 6, 3], quant: quantOf(0.001, 0) })],
        { axes: [1], keepDims: false },
        { quant: quantOf(0.0015, 0) },
      ),
    ),
  ),
  ...[sum, reduceProd, reduceL2, reduceLogSum, reduceLogSumExp, reduceMax, reduceMin].map((op) =>
    opCase(`${op.name} f32: over no elements`, (b) =>
      b.one(op, [b.input('x', f32([2, 0, 3]))], { axes: [1], keepDims: true }),
    ),
  ),
  ...[sum, reduceProd, reduceMax, reduceMin].flatMap((op) =>
    (['i32', 'i64'] as const).map((dtype) =>
      opCase(`${op.name} ${dtype}: over no elements`, (b) =>
        b.one(op, [b.input('x', { dtype, shape: [2, 0, 3] })], { axes: [1], keepDims: true }),
      ),
    ),
  ),
  ...[reduceMax, reduceMin].flatMap((op) =>
    (['i16', 'i8', 'u8'] as const).map((dtype) =>
      opCase(`${op.name} ${dtype}: over no elements`, (b) =>
        b.one(op, [b.input('x', { dtype, shape: [2, 0, 3] })], { axes: [1], keepDims: true }),
      ),
    ),
  ),
  opCase('sum f32: no elements, before and after', (b) =>
    b.one(sum, [b.input('x', f32([2, 0, 3]))], { axes: [2], keepDims: false }),
  ),
]
