// A small net and pictures to learn: what the tests of training share.

import { quantizeGraph } from '../../src/compress/quantize/quantize.ts'
import { Builder } from '../../src/ir/build.ts'
import type { Graph, TensorType } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { count } from '../../src/loops/ir.ts'
import { add, averagePool2d, conv2d, depthwiseConv2d, fullyConnected, reshape, softmax } from '../../src/ops/all.ts'

const f32 = (...shape: number[]): TensorType => ({ dtype: 'f32', shape })

/** A separable net with a residual connection for images of 8 x 8 and three classes. */
export function net(batch = 1): Graph {
  const build = new Builder('net')
  const random = new Xorshift32(5)
  const weights = (name: string, fan: number, ...shape: number[]) =>
    build.const(
      name,
      f32(...shape),
      Float32Array.from({ length: count(shape) }, () => (random.next() / 2 ** 31 - 1) / Math.sqrt(fan)),
    )
  const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1] }
  const relu = { min: 0 }
  const x = build.input('image', f32(batch, 8, 8, 2))
  const a = build.one(
    conv2d,
    [x, weights('w1', 18, 8, 3, 3, 2), weights('b1', 8, 8)],
    { ...window, stride: [2, 2], pad: [0, 0, 1, 1], groups: 1, clamp: relu },
    { from: 'first' },
  )
  const d = build.one(
    depthwiseConv2d,
    [a, weights('w2', 9, 1, 3, 3, 8), weights('b2', 8, 8)],
    { ...window, clamp: relu },
    { from: 'depthwise' },
  )
  const p = build.one(
    conv2d,
    [d, weights('w3', 8, 8, 1, 1, 8), weights('b3', 8, 8)],
    { ...window, pad: [0, 0, 0, 0], groups: 1, clamp: {} },
    { from: 'pointwise' },
  )
  const sum = build.one(add, [a, p], { clamp: relu }, { from: 'residual' })
  const pooled = build.one(averagePool2d, [sum], { kernel: [4, 4], stride: [4, 4], pad: [0, 0, 0, 0], clamp: {} })
  const flat = build.one(reshape, [pooled], { shape: [batch, 8] })
  const logits = build.one(
    fullyConnected,
    [flat, weights('w4', 8, 3, 8), weights('b4', 8, 3)],
    { clamp: {}, keepDims: false },
    { from: 'classes' },
  )
  return build.graph([build.one(softmax, [logits], { beta: 1 })])
}

/** Stripes across, stripes down, or a blob, with noise. */
export function sample(random: Xorshift32): { image: Float32Array; label: number } {
  const label = random.between(0, 2)
  const image = Float32Array.from({ length: 128 }, (_, i) => {
    const [row, column] = [Math.floor(i / 16), Math.floor(i / 2) % 8]
    const bright = label === 0 ? row % 2 : label === 1 ? column % 2 : Math.hypot(row - 3.5, column - 3.5) < 2.5 ? 1 : 0
    return bright + (random.next() / 2 ** 32 - 0.5)
  })
  return { image, label }
}

/** The net in int8. */
export async function int8Net(): Promise<Graph> {
  const random = new Xorshift32(3)
  const pictures = Array.from({ length: 20 }, () => [sample(random).image])
  return (await quantizeGraph(net(), { count: 20, inputs: (i) => pictures[i] })).graph
}
