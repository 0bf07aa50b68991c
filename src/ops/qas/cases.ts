import { quantOf } from '../../ir/graph.ts'
import { type CaseBuilder, f32, i8, type OpCase, opCase } from '../case.ts'
import { maskGradient } from './mask_gradient.ts'
import { maskedAdd, maskedConv2d, maskedDepthwiseConv2d, maskedFullyConnected, maskedQuantize } from './masked.ts'

/** A scale that leaves part of the results outside the limits. */
const NARROW = { quant: quantOf(0.05, 5) }
const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1] }

const image = (b: CaseBuilder) => b.input('x', i8([1, 5, 5, 3], 0.05, -3))

export const cases: readonly OpCase[] = [
  ...[{}, { min: 0, max: 4 }].flatMap((clamp) => [
    opCase(`masked convolution within ${JSON.stringify(clamp)}`, (b) =>
      b.add(
        maskedConv2d,
        [image(b), b.weights('w', [4, 3, 3, 3], 0.02, 0), b.bias('b', 4, 4000)],
        { ...window, groups: 1, clamp },
        NARROW,
      ),
    ),
    opCase(`masked depthwise convolution within ${JSON.stringify(clamp)}`, (b) =>
      b.add(
        maskedDepthwiseConv2d,
        [image(b), b.weights('w', [1, 3, 3, 6], 0.02, 3), b.bias('b', 6, 4000)],
        { ...window, clamp },
        NARROW,
      ),
    ),
    opCase(`masked fully connected within ${JSON.stringify(clamp)}`, (b) =>
      b.add(
        maskedFullyConnected,
        [b.input('x', i8([3, 8], 0.05, -3)), b.weights('w', [5, 8], 0.02), b.bias('b', 5, 4000)],
        { clamp, keepDims: false },
        NARROW,
      ),
    ),
    opCase(`masked addition within ${JSON.stringify(clamp)}`, (b) =>
      b.add(
        maskedAdd,
        [b.input('x', i8([2, 3, 7], 0.05, -3)), b.input('z', i8([3, 7], 0.03, 4))],
        { clamp },
        { quant: quantOf(0.04, 5) },
      ),
    ),
  ]),
  opCase('masked convolution to bytes of bits', (b) =>
    b.add(
      maskedConv2d,
      [b.input('x', i8([1, 5, 4, 4], 0.05, -3)), b.weights('w', [16, 3, 3, 4], 0.02, 0), b.bias('b', 16, 4000)],
      { ...window, groups: 1, clamp: {} },
      NARROW,
    ),
  ),
  opCase('masked depthwise convolution to bytes of bits', (b) =>
    b.add(
      maskedDepthwiseConv2d,
      [b.input('x', i8([2, 5, 4, 8], 0.05, -3)), b.weights('w', [1, 3, 3, 8], 0.02, 3), b.bias('b', 8, 4000)],
      { ...window, clamp: {} },
      NARROW,
    ),
  ),
  opCase('masked addition to bytes of bits', (b) =>
    b.add(
      maskedAdd,
      [b.input('x', i8([2, 2, 8], 0.03, 11)), b.input('z', i8([2, 2, 8], 0.07, -20))],
      { clamp: {} },
      { quant: quantOf(0.05, 1) },
    ),
  ),
  opCase('masked requantisation', (b) =>
    b.add(maskedQuantize, [b.input('x', i8([2, 3, 7], 0.05, -3))], { dtype: 'i8' }, { quant: quantOf(0.03, 5) }),
  ),
  opCase('gradient through a mask, a factor for each channel', (b) =>
    b.one(
      maskGradient,
      [b.input('g', f32([3, 2, 3])), b.input('m', { dtype: 'u8', shape: [3] }), b.floats('f', [3])],
      {},
    ),
  ),
  opCase('gradient through a mask, one factor', (b) =>
    b.one(maskGradient, [b.input('g', f32([16])), b.input('m', { dtype: 'u8', shape: [2] }), b.floats('f', [1])], {}),
  ),
]
