import { quantOf } from '../../ir/graph.ts'
import { f32, i8, i16, type OpCase, opCase } from '../case.ts'
import { type Conv2d, conv2d } from './op.ts'

interface Shape {
  input: number[]
  output: number
  kernel: [number, number]
  attrs?: Partial<Conv2d>
  bias?: boolean
  perTensor?: boolean
}

const plain: Conv2d = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {} }

const SHAPES: Record<string, Shape> = {
  'pointwise, channels divisible by 8': { input: [1, 3, 4, 16], output: 8, kernel: [1, 1] },
  'pointwise, odd channels': { input: [1, 3, 5, 7], output: 5, kernel: [1, 1] },
  '3x3 SAME': { input: [1, 5, 6, 4], output: 3, kernel: [3, 3], attrs: { pad: [1, 1, 1, 1] } },
  'stride 2, odd padding, ReLU6': {
    input: [1, 8, 9, 3],
    output: 8,
    kernel: [3, 3],
    attrs: { stride: [2, 2], pad: [0, 0, 1, 1], clamp: { min: 0, max: 6 } },
  },
  'first layer, 10x4 on one channel': {
    input: [1, 13, 10, 1],
    output: 8,
    kernel: [10, 4],
    attrs: { stride: [2, 2], pad: [4, 1, 5, 1], clamp: { min: 0 } },
  },
  'dilation 2': { input: [1, 7, 8, 8], output: 4, kernel: [3, 2], attrs: { dilation: [2, 2], pad: [2, 1, 2, 1] } },
  'two groups': { input: [1, 4, 4, 16], output: 6, kernel: [2, 2], attrs: { groups: 2 } },
  'batch 2, no bias': { input: [2, 3, 3, 8], output: 4, kernel: [2, 2], bias: false },
  'one weight scale': { input: [1, 3, 3, 8], output: 4, kernel: [1, 3], perTensor: true },
  'kernel larger than the image': { input: [1, 2, 2, 8], output: 4, kernel: [5, 5], attrs: { pad: [2, 2, 2, 2] } },
}

export const cases: readonly OpCase[] = Object.entries(SHAPES).flatMap(([name, s]) => {
  const attrs = { ...plain, ...s.attrs }
  const filter = [s.output, ...s.kernel, s.input[3] / attrs.groups]
  return [
    opCase(`conv2d int8: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.weights('w', filter, 0.01, s.perTensor ? undefined : 0)
      const bias = s.bias === false ? undefined : b.bias('b', s.output)
      return b.one(conv2d, [x, w, bias], attrs, { quant: quantOf(0.11, 5) })
    }),
    opCase(`conv2d int16: ${name}`, (b) => {
      const x = b.input('x', i16(s.input, 0.001))
      const w = b.weights('w', filter, 0.01, s.perTensor ? undefined : 0)
      const bias = s.bias === false ? undefined : b.longBias('b', s.output)
      return b.one(conv2d, [x, w, bias], attrs, { quant: quantOf(0.002, 0) })
    }),
    opCase(`conv2d int16 with int32 sums: ${name}`, (b) => {
      const x = b.input('x', i16(s.input, 0.001))
      const w = b.weights('w', filter, 0.01, s.perTensor ? undefined : 0)
      return b.one(conv2d, [x, w, b.bias('b', s.output)], attrs, { quant: quantOf(0.002, 0) })
    }),
    opCase(`conv2d int8, weights with a zero point: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.asymmetricWeights('w', filter, 0.01, -45)
      const bias = s.bias === false ? undefined : b.bias('b', s.output)
      return b.one(conv2d, [x, w, bias], attrs, { quant: quantOf(0.11, 5) })
    }),
    opCase(`conv2d int8, weights of 4 bits: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.shortWeights('w', filter, 0.1, 4, 0)
      return b.one(conv2d, [x, w, b.bias('b', s.output, 2000)], attrs, { quant: quantOf(0.11, 5) })
    }),
    opCase(`conv2d int8, scaled in float: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.weights('w', filter, 0.01, s.perTensor ? undefined : 0)
      const bias = s.bias === false ? undefined : b.bias('b', s.output)
      return b.one(conv2d, [x, w, bias], { ...attrs, scaling: 'float' }, { quant: quantOf(0.11, 5) })
    }),
    opCase(`conv2d int8, the sums themselves: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 1, -3))
      const w = b.asymmetricWeights('w', filter, 1, 45)
      return b.one(conv2d, [x, w], { ...attrs, clamp: {}, scaling: 'none' })
    }),
    opCase(`conv2d f32: ${name}`, (b) => {
      const x = b.input('x', f32(s.input))
      const bias = s.bias === false ? undefined : b.floats('b', [s.output])
      return b.one(conv2d, [x, b.floats('w', filter), bias], attrs)
    }),
  ]
})
