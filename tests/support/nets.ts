// Small nets of real operators, for tests of whole roads: goldens, the command line, the library.

import { Builder } from '../../src/ir/build.ts'
import { type Graph, quantOf, type Value } from '../../src/ir/graph.ts'
import { add } from '../../src/ops/binary/op.ts'
import { CaseBuilder, f32, i8 } from '../../src/ops/case.ts'
import { clamp } from '../../src/ops/clamp/op.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { averagePool2d, maxPool2d } from '../../src/ops/pool/op.ts'
import { pad } from '../../src/ops/shape/pad.ts'
import { reshape } from '../../src/ops/shape/reshape.ts'
import { tanh } from '../../src/ops/sigmoid/op.ts'
import { softmax } from '../../src/ops/softmax/op.ts'
import { assign } from '../../src/ops/state/op.ts'

const window = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {} }
const same = { ...window, pad: [1, 1, 1, 1] }

/** int8: convolution, two depthwise-separable layers of one shape, average pool, fully connected. */
export function separable(): Graph {
  const b = new CaseBuilder('separable', 7)
  let v: Value = b.input('picture', i8([1, 8, 8, 3], 0.05, -3))
  const conv = (from: string, filter: number[], attrs: typeof window, quant = quantOf(0.09, -128)) => {
    const w = b.weights(`${from}/weight`, filter, 0.01, 0)
    v = b.one(conv2d, [v, w, b.bias(`${from}/bias`, filter[0], 2000)], attrs, { quant, from })
  }
  const depthwise = (from: string, channels: number) => {
    const w = b.weights(`${from}/weight`, [1, 3, 3, channels], 0.02, 3)
    const attrs = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], clamp: { min: 0 } }
    v = b.one(depthwiseConv2d, [v, w, b.bias(`${from}/bias`, channels, 2000)], attrs, {
      quant: quantOf(0.05, -128),
      from,
    })
  }
  const relu = { clamp: { min: 0 } }
  conv('stem', [8, 3, 3, 3], { ...same, ...relu, stride: [2, 2], pad: [0, 0, 1, 1] })
  for (const block of ['block_1', 'block_2']) {
    depthwise(`${block}/depthwise`, 8)
    conv(`${block}/pointwise`, [8, 1, 1, 8], { ...window, ...relu })
  }
  v = b.one(
    averagePool2d,
    [v],
    { kernel: [4, 4], stride: [4, 4], pad: [0, 0, 0, 0], clamp: {} },
    { from: 'pool', quant: v.type.quant },
  )
  const w = b.weights('scores/weight', [5, 8], 0.01)
  return b.graph([
    b.one(
      fullyConnected,
      [v, w, b.bias('scores/bias', 5, 500)],
      { keepDims: false, clamp: {} },
      { from: 'scores', quant: quantOf(0.1, 4) },
    ),
  ])
}

/** f32: two inputs of different shape, convolution, maximum pool, fully connected, two outputs. */
export function twoInputs(): Graph {
  const b = new CaseBuilder('two-inputs', 3)
  const x = b.input('image', f32([1, 6, 6, 2]))
  const y = b.input('features', f32([1, 4]))
  const conv = b.one(
    conv2d,
    [x, b.floats('conv/weight', [3, 3, 3, 2]), b.floats('conv/bias', [3])],
    { ...same, clamp: { min: 0 } },
    { from: 'conv' },
  )
  const pool = b.one(
    maxPool2d,
    [conv],
    { kernel: [2, 2], stride: [2, 2], pad: [0, 0, 0, 0], clamp: {} },
    { from: 'pool' },
  )
  const fc = b.one(
    fullyConnected,
    [y, b.floats('dense/weight', [3, 4])],
    { keepDims: false, clamp: {} },
    { from: 'dense' },
  )
  return b.graph([pool, fc])
}

/** int8: an explicit pad, an inverted bottleneck around a residual sum, clamps of their own, reshape, softmax. */
export function residual(): Graph {
  const b = new CaseBuilder('residual', 11)
  const x = b.input('picture', i8([1, 6, 6, 4], 0.04, 2))
  const convolve = (from: string, v: Value, output: number, quant = quantOf(0.05, -10)) => {
    const w = b.weights(`${from}/weight`, [output, 1, 1, v.type.shape[3]], 0.02, 0)
    return b.one(conv2d, [v, w, b.bias(`${from}/bias`, output, 1000)], window, { quant, from })
  }
  const wide = b.one(clamp, [convolve('expand', x, 12)], { min: 0, max: 6 }, { from: 'expand/relu6' })
  const padding = { low: [0, 1, 1, 0], high: [0, 1, 1, 0], value: -10 }
  const padded = b.one(pad, [wide], padding, { from: 'pad', quant: wide.type.quant })
  const w = b.weights('depthwise/weight', [1, 3, 3, 12], 0.02, 3)
  const attrs = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], clamp: {} }
  const bias = b.bias('depthwise/bias', 12, 1000)
  const deep = b.one(depthwiseConv2d, [padded, w, bias], attrs, { quant: quantOf(0.05, -10), from: 'depthwise' })
  const narrow = convolve('project', deep, 4, quantOf(0.06, 1))
  const sum = b.one(add, [x, narrow], { clamp: {} }, { quant: quantOf(0.08, 0), from: 'sum' })
  const pool = { kernel: [6, 6], stride: [6, 6], pad: [0, 0, 0, 0], clamp: {} }
  const pooled = b.one(averagePool2d, [sum], pool, { from: 'pool', quant: sum.type.quant })
  const flat = b.one(reshape, [pooled], { shape: [1, 4] }, { from: 'flat', quant: sum.type.quant })
  return b.graph([b.one(softmax, [flat], { beta: 1 }, { from: 'softmax' })])
}

/** f32: a cell whose state is the last output. */
export function recurrent(): Graph {
  const b = new CaseBuilder('recurrent', 5)
  const x = b.input('sample', f32([1, 3]))
  const h = b.state('hidden', f32([1, 4]), new Float32Array(4))
  const dense = (from: string, v: Value, inputs: number) =>
    b.one(fullyConnected, [v, b.floats(`${from}/weight`, [4, inputs])], { keepDims: false, clamp: {} }, { from })
  const sum = b.one(add, [dense('from_input', x, 3), dense('from_hidden', h, 4)], { clamp: {} }, { from: 'sum' })
  const next = b.one(tanh, [sum], {}, { from: 'next' })
  b.add(assign, [h, next], {}, { from: 'keep' })
  return b.graph([next])
}

/** A graph without a single node: the output is the input. */
export function nothing(): Graph {
  const b = new Builder('nothing')
  return b.graph([b.input('x', f32([2]))])
}
