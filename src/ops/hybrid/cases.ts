import { f32, type OpCase, opCase } from '../case.ts'
import { dynamicQuantize } from './dynamic.ts'
import { hybrid, hybridFullyConnected } from './op.ts'

const plain = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], clamp: {} }

export const cases: readonly OpCase[] = [
  ...[false, true].flatMap((asymmetric) => {
    const kind = asymmetric ? 'asymmetric' : 'symmetric'
    return [
      opCase(`dynamic_quantize ${kind}: rows`, (b) =>
        b.add(dynamicQuantize, [b.input('x', f32([3, 7]))], { asymmetric }),
      ),
      opCase(`hybrid_conv2d ${kind}: 3x3, padded, ReLU6`, (b) => {
        const inputs = [
          b.input('x', f32([2, 5, 4, 3])),
          b.weights('w', [4, 3, 3, 3], 0.01, 0),
          b.floats('b', [4]),
        ] as const
        const attrs = { ...plain, stride: [2, 1], pad: [1, 1, 1, 1], clamp: { min: 0, max: 6 } }
        return hybrid(b, inputs, attrs, asymmetric, {})
      }),
      opCase(`hybrid_conv2d ${kind}: fully connected, one scale, no bias`, (b) => {
        const inputs = [b.input('x', f32([3, 10])), b.weights('w', [5, 10], 0.01), undefined] as const
        return hybridFullyConnected(b, inputs, {}, asymmetric, {})
      }),
    ]
  }),
]
