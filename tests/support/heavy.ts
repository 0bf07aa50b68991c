// A net whose layers have more constants than activations: what slow memory is for.

import { type Graph, quantOf, type Value } from '../../src/ir/graph.ts'
import { CaseBuilder, i8 } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { averagePool2d } from '../../src/ops/pool/op.ts'

/** int8: a stem, two blocks of depthwise and pointwise convolutions, average pool, two fully connected layers. */
export function heavy(): Graph {
  const b = new CaseBuilder('heavy', 11)
  const plain = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0] }
  const relu = { clamp: { min: 0 } }
  let v: Value = b.input('picture', i8([1, 12, 6, 3], 0.05, -3))
  const conv = (from: string, filter: number[], stride = 1, pad = 0) => {
    const w = b.weights(`${from}/w`, filter, 0.01, 0)
    const attrs = { ...plain, ...relu, groups: 1, stride: [stride, stride], pad: [pad, pad, pad, pad] }
    v = b.one(conv2d, [v, w, b.bias(`${from}/b`, filter[0], 2000)], attrs, { quant: quantOf(0.09, -128), from })
  }
  const depthwise = (from: string, channels: number) => {
    const w = b.weights(`${from}/w`, [1, 5, 5, channels], 0.02, 3)
    const attrs = { ...plain, ...relu, pad: [2, 2, 2, 2] }
    v = b.one(depthwiseConv2d, [v, w, b.bias(`${from}/b`, channels, 2000)], attrs, {
      quant: quantOf(0.05, -128),
      from,
    })
  }
  const dense = (from: string, from_: number, to: number) => {
    const w = b.weights(`${from}/w`, [to, from_], 0.01)
    const attrs = { keepDims: false, clamp: {} }
    v = b.one(fullyConnected, [v, w, b.bias(`${from}/b`, to, 500)], attrs, { quant: quantOf(0.1, 4), from })
  }
  conv('stem', [24, 3, 3, 3], 2, 1)
  for (const block of ['block_1', 'block_2']) {
    depthwise(`${block}/depthwise`, 24)
    conv(`${block}/pointwise`, [24, 1, 1, 24])
  }
  v = b.one(averagePool2d, [v], { ...plain, kernel: [6, 3], ...{ clamp: {} } }, { from: 'pool', quant: v.type.quant })
  dense('hidden', 24, 40)
  dense('scores', 40, 10)
  return b.graph([v])
}
