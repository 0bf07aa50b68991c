import { quantOf, type TensorType } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { softmax } from './op.ts'

export const cases: readonly OpCase[] = [
  ...(
    [
      ['12 classes', [1, 12], 0.17, 14, 1],
      ['two classes, extreme scale', [1, 2], 3.1, -1, 1],
      ['one class', [3, 1], 0.1, 0, 1],
      ['rows of a picture', [1, 3, 5, 7], 0.05, -128, 1],
      ['tiny scale', [2, 33], 0.0005, 127, 1],
      ['beta', [2, 10], 0.1, 3, 0.25],
      ['rank 1', [19], 0.2, 3, 1],
      ['600 classes', [1, 600], 0.02, 3, 1],
    ] as const
  ).flatMap(([name, shape, scale, zero, beta]) => [
    opCase(`softmax int8: ${name}`, (b) => b.one(softmax, [b.input('x', i8(shape, scale, zero))], { beta })),
    opCase(`softmax int16: ${name}`, (b) =>
      b.one(softmax, [b.input('x', { dtype: 'i16', shape, quant: quantOf(scale / 300, 0) })], { beta }),
    ),
    opCase(`softmax f32: ${name}`, (b) => b.one(softmax, [b.input('x', f32(shape))], { beta })),
  ]),
  opCase('softmax int8: equal and extreme rows', (b) => {
    const rows = [
      [127, 127, 127],
      [-128, -128, -128],
      [127, -128, -128],
      [-128, 127, 126],
    ]
    return [0.004, 0.1, 60].map((s, i) =>
      b.one(softmax, [b.const(`x${i}`, i8([4, 3], s, 0), Int8Array.from(rows.flat()))], { beta: 1 }),
    )
  }),
  ...[2, 37].map((n) =>
    opCase(`softmax int8 to int16: ${n} classes`, (b) => {
      const y: TensorType = { dtype: 'i16', shape: [3, n], quant: quantOf(2 ** -16, -32768) }
      return b.one(softmax, [b.input('x', i8([3, n], 0.1, 3))], { beta: 1 }, { types: [y] })
    }),
  ),
  opCase('softmax int8: 700 equal elements', (b) =>
    b.one(softmax, [b.const('x', i8([700], 0.1, 0), new Int8Array(700).fill(5))], { beta: 1 }),
  ),
  opCase('softmax f32: large and tiny values', (b) => {
    const x = Float32Array.of(1e30, 1, -1e30, 80, 1e-30, -80, 88, -104, 3e38)
    return b.one(softmax, [b.const('x', f32([3, 3]), x)], { beta: 1 })
  }),
]
