// A small int8 net: what the tests of training share.

import { Builder } from '../../src/ir/build.ts'
import { type Graph, type Quant, quantOf } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { count } from '../../src/loops/ir.ts'
import { add, averagePool2d, conv2d, depthwiseConv2d, fullyConnected, reshape } from '../../src/ops/all.ts'

const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1] }

/** One scale for each slice of `axis`, from 0.01 up. */
export const perChannel = (channels: number, axis: number): Quant => ({
  scale: Float64Array.from({ length: channels }, (_, c) => Math.fround(0.01 * (1 + c / 3))),
  zero: new Int32Array(channels),
  axis,
})

/** Random int8 layers with a residual connection, one dead channel in the second. */
export function int8Net(): Graph {
  const build = new Builder('int8')
  const random = new Xorshift32(23)
  const weights = (name: string, shape: number[], axis: number, dead?: number) => {
    const quant = perChannel(shape[axis], axis)
    if (dead !== undefined) quant.scale[dead] = Math.fround(3.9e-9)
    const data = Int8Array.from({ length: count(shape) }, () => random.between(-127, 127))
    return build.const(name, { dtype: 'i8', shape, quant }, data)
  }
  const bias = (name: string, n: number) =>
    build.const(
      name,
      { dtype: 'i32', shape: [n] },
      Int32Array.from({ length: n }, () => random.between(-500, 500)),
    )
  const x = build.input('image', { dtype: 'i8', shape: [1, 6, 6, 2], quant: quantOf(0.02, -5) })
  const conv = { ...window, groups: 1, clamp: { min: 0 } }
  const a = build.one(conv2d, [x, weights('w1', [6, 3, 3, 2], 0), bias('b1', 6)], conv, { quant: quantOf(0.03, -128) })
  const d = build.one(
    depthwiseConv2d,
    [a, weights('w2', [1, 3, 3, 6], 3, 2), bias('b2', 6)],
    { ...window, clamp: { min: 0, max: 6 } },
    { quant: quantOf(6 / 255, -128) },
  )
  const p = build.one(
    conv2d,
    [d, weights('w3', [6, 1, 1, 6], 0), bias('b3', 6)],
    { ...conv, pad: [0, 0, 0, 0], clamp: {} },
    {
      quant: quantOf(0.05, 3),
    },
  )
  const sum = build.one(add, [a, p], { clamp: {} }, { quant: quantOf(0.06, -4) })
  const pooled = build.one(
    averagePool2d,
    [sum],
    { kernel: [6, 6], stride: [6, 6], pad: [0, 0, 0, 0], clamp: {} },
    {
      quant: sum.type.quant,
    },
  )
  const flat = build.one(reshape, [pooled], { shape: [1, 6] }, { quant: sum.type.quant })
  return build.graph([
    build.one(
      fullyConnected,
      [flat, weights('w4', [3, 6], 0), bias('b4', 3)],
      { clamp: {}, keepDims: false },
      {
        quant: quantOf(0.1, 1),
      },
    ),
  ])
}
