import { f32, i8, type OpCase, opCase } from '../case.ts'
import { logSoftmax } from './op.ts'

export const cases: readonly OpCase[] = [
  ...[[1, 12], [3, 1], [2, 3, 7], [19]].map((shape) =>
    opCase(`log_softmax f32: [${shape}]`, (b) => b.one(logSoftmax, [b.input('x', f32(shape))], {})),
  ),
  ...(
    [
      ['12 classes', [3, 12], 0.17, 14],
      ['one class', [3, 1], 0.1, 0],
      ['extreme scale', [2, 5], 3.1, -1],
      ['tiny scale', [2, 33], 0.0005, 127],
      ['600 classes', [1, 600], 0.02, 3],
    ] as const
  ).map(([name, shape, scale, zero]) =>
    opCase(`log_softmax int8: ${name}`, (b) => b.one(logSoftmax, [b.input('x', i8(shape, scale, zero))], {})),
  ),
  opCase('log_softmax f32: large and tiny values', (b) => {
    const x = Float32Array.of(1e30, 1, -1e30, 80, 1e-30, -80, 88, -104, 3e38)
    return b.one(logSoftmax, [b.const('x', f32([3, 3]), x)], {})
  }),
]
