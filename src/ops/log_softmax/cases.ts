import { f32, type OpCase, opCase } from '../case.ts'
import { logSoftmax } from './op.ts'

export const cases: readonly OpCase[] = [
  ...[[1, 12], [3, 1], [2, 3, 7], [19]].map((shape) =>
    opCase(`log_softmax f32: [${shape}]`, (b) => b.one(logSoftmax, [b.input('x', f32(shape))], {})),
  ),
  opCase('log_softmax f32: large and tiny values', (b) => {
    const x = Float32Array.of(1e30, 1, -1e30, 80, 1e-30, -80, 88, -104, 3e38)
    return b.one(logSoftmax, [b.const('x', f32([3, 3]), x)], {})
  }),
]
