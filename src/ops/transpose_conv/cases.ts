import { quantOf } from '../../ir/graph.ts'
import { f32, i8, i16, type OpCase, opCase } from '../case.ts'
import { type TransposeConv, transposeConv } from './op.ts'

interface Shape {
  input: number[]
  weight: number[]
  attrs: Partial<TransposeConv> & { stride: number[]; low: number[]; size: number[] }
  bias?: boolean
}

const SHAPES: Record<string, Shape> = {
  'twice as large': { input: [1, 3, 4, 3], weight: [2, 3, 3, 3], attrs: { stride: [2, 2], low: [0, 0], size: [6, 8] } },
  'kernel smaller than the stride': {
    input: [2, 2, 3, 2],
    weight: [3, 1, 2, 2],
    attrs: { stride: [2, 3], low: [0, 0], size: [4, 9] },
    bias: false,
  },
  'cut off on both sides, ReLU': {
    input: [1, 4, 3, 2],
    weight: [3, 3, 3, 2],
    attrs: { stride: [1, 1], low: [1, 1], size: [4, 3], clamp: { min: 0 } },
  },
  'two groups, dilated': {
    input: [1, 3, 3, 4],
    weight: [4, 2, 2, 2],
    attrs: { stride: [1, 2], low: [0, 1], size: [5, 6], dilation: [2, 1], groups: 2 },
  },
  'one axis': { input: [1, 5, 3], weight: [2, 4, 3], attrs: { stride: [3], low: [1], size: [14] } },
}

export const cases: readonly OpCase[] = Object.entries(SHAPES).flatMap(([name, s]) => {
  const attrs: TransposeConv = { clamp: {}, groups: 1, dilation: s.attrs.stride.map(() => 1), ...s.attrs }
  const O = s.weight[0]
  return [
    opCase(`transpose_conv int8: ${name}`, (b) => {
      const inputs = [b.input('x', i8(s.input, 0.05, -3)), b.weights('w', s.weight, 0.01, 0)]
      return b.one(transposeConv, [...inputs, s.bias === false ? undefined : b.bias('b', O)], attrs, {
        quant: quantOf(0.09, 5),
      })
    }),
    opCase(`transpose_conv int16: ${name}`, (b) => {
      const inputs = [b.input('x', i16(s.input, 0.001)), b.weights('w', s.weight, 0.01, 0)]
      return b.one(transposeConv, [...inputs, s.bias === false ? undefined : b.longBias('b', O)], attrs, {
        quant: quantOf(0.002, 0),
      })
    }),
    opCase(`transpose_conv f32: ${name}`, (b) => {
      const inputs = [b.input('x', f32(s.input)), b.floats('w', s.weight)]
      return b.one(transposeConv, [...inputs, s.bias === false ? undefined : b.floats('b', [O])], attrs)
    }),
  ]
})
