import { quantOf } from '../../ir/graph.ts'
import { type CaseBuilder, f32, i8, type OpCase, opCase } from '../case.ts'
import { maskedPartialConv2d, maskedPartialDepthwiseConv2d } from '../qas/masked.ts'
import { partialConv2d } from './conv2d.ts'
import { partialDepthwiseConv2d } from './depthwise.ts'
import { indexAdd } from './index_add.ts'
import { indexCopy } from './index_copy.ts'
import { partOfQuant } from './part.ts'

const window = { stride: [2, 1], dilation: [1, 1], pad: [1, 1, 1, 1], clamp: { min: 0 } }
const Y = { quant: quantOf(0.2, 5) }

function convOperands(b: CaseBuilder) {
  const w = b.weights('w', [4, 3, 3, 5], 0.02, 0)
  const own = { ...b.weights('own', [4, 3, 3, 2], 0.02, 0), storage: 'param' as const }
  const part = b.input('part', i8([1, 5, 4, 2], 0.05, -3))
  const x = b.input('x', i8([1, 5, 4, 5], 0.05, -3))
  return [x, w, b.bias('b', 4, 4000), part, { ...own, type: { ...own.type, quant: w.type.quant } }]
}

function depthwiseOperands(b: CaseBuilder) {
  const w = b.weights('w', [1, 3, 3, 6], 0.02, 3)
  const own = b.weights('own', [1, 3, 3, 2], 0.02, 3)
  const quant = partOfQuant(w.type.quant!, [4, 1])
  return [
    b.input('x', i8([1, 5, 5, 6], 0.05, -3)),
    w,
    b.bias('b', 6, 4000),
    b.input('part', i8([1, 5, 5, 2], 0.05, -3)),
    { ...own, storage: 'param' as const, type: { ...own.type, quant } },
  ]
}

const channels = [4, 1]

export const cases: readonly OpCase[] = [
  opCase('partial convolution', (b) => b.one(partialConv2d, convOperands(b), { ...window, groups: 1, channels }, Y)),
  opCase('partial convolution f32', (b) =>
    b.one(
      partialConv2d,
      [
        b.input('x', f32([1, 4, 4, 5])),
        b.floats('w', [3, 1, 1, 5]),
        b.floats('b', [3]),
        b.input('part', f32([1, 4, 4, 1])),
        b.floats('own', [3, 1, 1, 1]),
      ],
      { ...window, stride: [1, 1], pad: [0, 0, 0, 0], groups: 1, channels: [3] },
    ),
  ),
  opCase('masked partial convolution', (b) =>
    b.add(maskedPartialConv2d, convOperands(b), { ...window, groups: 1, channels }, Y),
  ),
  opCase('partial depthwise convolution', (b) =>
    b.one(partialDepthwiseConv2d, depthwiseOperands(b), { ...window, channels }, Y),
  ),
  opCase('masked partial depthwise convolution', (b) =>
    b.add(maskedPartialDepthwiseConv2d, depthwiseOperands(b), { ...window, channels }, Y),
  ),
  opCase('channels in place of others', (b) => {
    const [, w, , , own] = convOperands(b)
    return b.one(indexCopy, [w, own], { channels })
  }),
  opCase('channels in place of others, f32', (b) =>
    b.one(indexCopy, [b.input('x', f32([2, 3, 5])), b.input('part', f32([2, 3, 2]))], { channels }),
  ),
  opCase('addition to channels', (b) =>
    b.one(indexAdd, [b.input('x', f32([2, 3, 5])), b.input('part', f32([2, 3, 2]))], { channels }),
  ),
]
