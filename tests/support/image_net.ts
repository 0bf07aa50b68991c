// A net whose layers take long enough for threads to share them: odd extents, strides, a residual sum, a branch, pools.

import type { Graph, TensorType, Value } from '../../src/ir/graph.ts'
import { quantOf } from '../../src/ir/graph.ts'
import { add } from '../../src/ops/binary/op.ts'
import { CaseBuilder, f32, i8 } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { averagePool2d, maxPool2d } from '../../src/ops/pool/op.ts'
import { concat } from '../../src/ops/shape/concat.ts'
import { assign } from '../../src/ops/state/op.ts'

/** In int8 or float32; the last output adds up the first over runs. */
export function imageNet(kind: 'int8' | 'float32'): Graph {
  const b = new CaseBuilder(`image ${kind}`, 23)
  const int8 = kind === 'int8'
  const type = (shape: number[]): TensorType => (int8 ? i8(shape, 0.05, -3) : f32(shape))
  const how = (from: string, zero = -128) => ({ from, ...(int8 && { quant: quantOf(0.09, zero) }) })
  const filters = (from: string, shape: number[], axis: number) =>
    int8 ? b.weights(`${from}/weight`, shape, 0.01, axis) : b.floats(`${from}/weight`, shape)
  const offsets = (from: string, n: number) => (int8 ? b.bias(`${from}/bias`, n, 2000) : b.floats(`${from}/bias`, [n]))
  const conv = (from: string, x: Value, channels: number, k: number, stride = 1) => {
    const w = filters(from, [channels, k, k, x.type.shape[3]], 0)
    const p = (k - 1) / 2
    const attrs = { stride: [stride, stride], dilation: [1, 1], pad: [p, p, p, p], groups: 1, clamp: { min: 0 } }
    return b.one(conv2d, [x, w, offsets(from, channels)], attrs, how(from))
  }
  const depthwise = (from: string, x: Value, stride: number) => {
    const channels = x.type.shape[3]
    const attrs = { stride: [stride, stride], dilation: [1, 1], pad: [1, 1, 1, 1], clamp: { min: 0 } }
    const w = filters(from, [1, 3, 3, channels], 3)
    return b.one(depthwiseConv2d, [x, w, offsets(from, channels)], attrs, how(from))
  }
  const x = b.input('picture', type([1, 45, 40, 3]))
  const stem = conv('stem', x, 16, 3, 2)
  const wide = conv('wide', stem, 24, 1)
  const deep = conv('narrow', depthwise('deep', wide, 1), 16, 1)
  const sum = b.one(add, [stem, deep], { clamp: {} }, how('sum', 4))
  const small = conv('small', sum, 32, 1, 2)
  const pool = { kernel: [3, 3], stride: [2, 2], pad: [1, 0, 1, 1], clamp: {} }
  const pooled = b.one(maxPool2d, [sum], pool, { from: 'pooled', quant: sum.type.quant })
  const both = b.one(concat, [small, conv('like', pooled, 16, 3)], { axis: 3 }, how('both'))
  const last = conv('last', both, 40, 3)
  const all = { kernel: [12, 10], stride: [12, 10], pad: [0, 0, 0, 0], clamp: {} }
  const mean = b.one(averagePool2d, [last], all, { from: 'mean', quant: last.type.quant })
  const scores = b.one(
    fullyConnected,
    [mean, int8 ? b.weights('classes', [6, 40], 0.01) : b.floats('classes', [6, 40])],
    { keepDims: false, clamp: {} },
    how('scores', 4),
  )
  const total = b.state('total', scores.type, int8 ? new Int8Array(6) : new Float32Array(6))
  const next = b.one(add, [total, scores], { clamp: {} }, how('next', 0))
  b.add(
    assign,
    [total, int8 ? b.one(add, [total, scores], { clamp: {} }, { from: 'kept', quant: scores.type.quant }) : next],
    {},
    { from: 'keep' },
  )
  return b.graph([scores, next])
}
