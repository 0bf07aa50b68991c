import { f32, i8, i16, type OpCase, opCase } from '../case.ts'
import { logistic, tanh } from './op.ts'

const SCALES: readonly (readonly [number, number])[] = [
  [0.05, -3],
  [1 / 16, 0],
  [0.25, 127],
  [0.003, -128],
  [2, 10],
]

export const cases: readonly OpCase[] = [logistic, tanh].flatMap((op) => [
  ...SCALES.map(([scale, zero]) =>
    opCase(`${op.name} int8: every input, scale ${scale}, zero point ${zero}`, (b) => {
      const type = i8([1, 256], scale, zero)
      const all = b.const(
        'x',
        type,
        Int8Array.from({ length: 256 }, (_, i) => i - 128),
      )
      return [b.one(op, [all], {}), b.one(op, [b.input('z', i8([3, 5], scale, zero))], {})]
    }),
  ),
  ...[2 ** -12, 2 ** -11, 0.0003, 0.9, 1e-7].map((scale) =>
    opCase(`${op.name} int16: scale ${scale}`, (b) => {
      const edge = b.const('x', i16([9], scale), Int16Array.of(0, 1, -1, 127, -128, 32767, -32768, 4096, -4096))
      return [b.one(op, [edge], {}), b.one(op, [b.input('z', i16([7, 11], scale))], {})]
    }),
  ),
  opCase(`${op.name} f32`, (b) => b.one(op, [b.input('x', f32([3, 17]))], {})),
  opCase(`${op.name} f32: extremes`, (b) => {
    const edge = [
      0,
      1e-45,
      1e-20,
      0.1,
      0.54999,
      0.55,
      0.55001,
      1,
      4.5,
      9,
      17,
      44,
      87,
      89,
      104,
      1e30,
      Number.POSITIVE_INFINITY,
    ]
    const x = Float32Array.from(edge.flatMap((v) => [v, -v]))
    return b.one(op, [b.const('x', f32([x.length]), x)], {})
  }),
])
