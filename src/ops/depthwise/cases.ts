import { quantOf } from '../../ir/graph.ts'
import { f32, i8, i16, type OpCase, opCase } from '../case.ts'
import { type DepthwiseConv2d, depthwiseConv2d } from './op.ts'

interface Shape {
  input: number[]
  kernel: [number, number]
  multiplier?: number
  attrs?: Partial<DepthwiseConv2d>
  bias?: boolean
  perTensor?: boolean
}

const plain: DepthwiseConv2d = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], clamp: {} }

const SHAPES: Record<string, Shape> = {
  '3x3 SAME, channels divisible by 8': { input: [1, 5, 6, 16], kernel: [3, 3], attrs: { pad: [1, 1, 1, 1] } },
  'odd channels, batch 2': { input: [2, 4, 5, 7], kernel: [2, 3], attrs: { pad: [0, 1, 0, 1] } },
  'stride 2, odd padding, ReLU6': {
    input: [1, 8, 9, 8],
    kernel: [3, 3],
    attrs: { stride: [2, 2], pad: [0, 0, 1, 1], clamp: { min: 0, max: 6 } },
  },
  'strides differ, ReLU': {
    input: [1, 9, 7, 4],
    kernel: [3, 2],
    attrs: { stride: [3, 1], pad: [1, 0, 1, 1], clamp: { min: 0 } },
  },
  'multiplier 8 on one channel': {
    input: [1, 12, 10, 1],
    kernel: [10, 8],
    multiplier: 8,
    attrs: { stride: [2, 2], pad: [4, 3, 5, 3], clamp: { min: 0 } },
  },
  'multiplier 3 on three channels': { input: [1, 4, 4, 3], kernel: [3, 3], multiplier: 3 },
  'dilation 2x3': { input: [1, 7, 8, 4], kernel: [3, 2], attrs: { dilation: [2, 3], pad: [2, 1, 2, 2] } },
  '1x1': { input: [1, 3, 3, 8], kernel: [1, 1] },
  'no bias, one weight scale': { input: [1, 4, 4, 8], kernel: [3, 3], bias: false, perTensor: true },
  'kernel larger than the image': { input: [1, 2, 2, 8], kernel: [5, 5], attrs: { pad: [2, 2, 2, 2] } },
}

export const cases: readonly OpCase[] = Object.entries(SHAPES).flatMap(([name, s]) => {
  const attrs = { ...plain, ...s.attrs }
  const channels = s.input[3] * (s.multiplier ?? 1)
  const filter = [1, ...s.kernel, channels]
  return [
    opCase(`depthwise_conv2d int8: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.weights('w', filter, 0.01, s.perTensor ? undefined : 3)
      const bias = s.bias === false ? undefined : b.bias('b', channels, 5000)
      return b.one(depthwiseConv2d, [x, w, bias], attrs, { quant: quantOf(0.06, 5) })
    }),
    opCase(`depthwise_conv2d int16: ${name}`, (b) => {
      const x = b.input('x', i16(s.input, 0.001))
      const w = b.weights('w', filter, 0.01, s.perTensor ? undefined : 3)
      const bias = s.bias === false ? undefined : b.longBias('b', channels)
      return b.one(depthwiseConv2d, [x, w, bias], attrs, { quant: quantOf(0.002, 0) })
    }),
    opCase(`depthwise_conv2d int16 with int32 sums: ${name}`, (b) => {
      const x = b.input('x', i16(s.input, 0.001))
      const w = b.weights('w', filter, 0.01, s.perTensor ? undefined : 3)
      return b.one(depthwiseConv2d, [x, w, b.bias('b', channels)], attrs, { quant: quantOf(0.002, 0) })
    }),
    opCase(`depthwise_conv2d int8, weights with a zero point: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.asymmetricWeights('w', filter, 0.01, -45)
      const bias = s.bias === false ? undefined : b.bias('b', channels)
      return b.one(depthwiseConv2d, [x, w, bias], attrs, { quant: quantOf(0.11, 5) })
    }),
    opCase(`depthwise_conv2d int8, weights of 2 bits: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.shortWeights('w', filter, 0.1, 2, 3)
      return b.one(depthwiseConv2d, [x, w, b.bias('b', channels, 200)], attrs, { quant: quantOf(0.06, 5) })
    }),
    opCase(`depthwise_conv2d int8, scaled in float: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.weights('w', filter, 0.01, s.perTensor ? undefined : 3)
      const bias = s.bias === false ? undefined : b.bias('b', channels, 5000)
      return b.one(depthwiseConv2d, [x, w, bias], { ...attrs, scaling: 'float' }, { quant: quantOf(0.06, 5) })
    }),
    opCase(`depthwise_conv2d int8, the sums themselves: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 1, -3))
      const w = b.asymmetricWeights('w', filter, 1, 45)
      return b.one(depthwiseConv2d, [x, w], { ...attrs, clamp: {}, scaling: 'none' })
    }),
    opCase(`depthwise_conv2d f32: ${name}`, (b) => {
      const x = b.input('x', f32(s.input))
      const bias = s.bias === false ? undefined : b.floats('b', [channels])
      return b.one(depthwiseConv2d, [x, b.floats('w', filter), bias], attrs)
    }),
  ]
})
