// Float32 nets with generated weights, and samples for them.

import { realsOf, samplesFor } from '../../src/compress/quantize/measure.ts'
import { type Samples, tap } from '../../src/compress/quantize/run.ts'
import { Builder } from '../../src/ir/build.ts'
import type { Graph, TensorType, Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { count } from '../../src/loops/ir.ts'
import { add } from '../../src/ops/binary/op.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { averagePool2d } from '../../src/ops/pool/op.ts'
import type { Clamp } from '../../src/ops/quant.ts'
import { reshape } from '../../src/ops/shape/reshape.ts'
import { softmax } from '../../src/ops/softmax/op.ts'

export const real = (...shape: number[]): TensorType => ({ dtype: 'f32', shape })

/** A builder of float32 layers. `spread` > 1 makes weights of channels differ by up to that factor. */
export class FloatNet extends Builder {
  private readonly random: Xorshift32
  private readonly spread: number

  constructor(seed = 1, spread = 1) {
    super('net')
    this.random = new Xorshift32(seed)
    this.spread = spread
  }

  numbers(n: number, size: number): Float32Array {
    return Float32Array.from({ length: n }, () => ((this.random.next() | 0) / 2 ** 31) * size)
  }

  /** Weights of `shape`, the channels of `axis` of different size. */
  weights(name: string, shape: number[], axis: number, fan: number): Value {
    const data = this.numbers(count(shape), 1.7 / Math.sqrt(fan))
    const sizes = Array.from({ length: shape[axis] }, (_, c) => this.spread ** ((c % 5) / 4))
    const inner = count(shape.slice(axis + 1))
    return this.const(
      name,
      real(...shape),
      data.map((x, i) => x * sizes[Math.floor(i / inner) % shape[axis]]),
    )
  }

  bias(name: string, n: number): Value {
    return this.const(name, real(n), this.numbers(n, 0.2))
  }

  conv(name: string, x: Value, outputs: number, kernel: number, clamp: Clamp, stride = 1): Value {
    const C = x.type.shape[3]
    const pad = (kernel - 1) / 2
    const w = this.weights(`${name}/w`, [outputs, kernel, kernel, C], 0, kernel * kernel * C)
    const attrs = { stride: [stride, stride], dilation: [1, 1], pad: [pad, pad, pad, pad], groups: 1, clamp }
    return this.one(conv2d, [x, w, this.bias(`${name}/b`, outputs)], attrs, { from: name })
  }

  depthwise(name: string, x: Value, clamp: Clamp): Value {
    const C = x.type.shape[3]
    const w = this.weights(`${name}/w`, [1, 3, 3, C], 3, 9)
    const attrs = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], clamp }
    return this.one(depthwiseConv2d, [x, w, this.bias(`${name}/b`, C)], attrs, { from: name })
  }

  dense(name: string, x: Value, outputs: number): Value {
    const K = x.type.shape.at(-1)!
    const w = this.weights(`${name}/w`, [outputs, K], 0, K)
    return this.one(
      fullyConnected,
      [x, w, this.bias(`${name}/b`, outputs)],
      { clamp: {}, keepDims: false },
      { from: name },
    )
  }
}

/** Convolution, depthwise-separable layers, a residual sum, pool, fully connected, softmax. */
export function mobile({ seed = 1, spread = 1, clamp = { min: 0 } as Clamp, channels = 10 } = {}): Graph {
  const b = new FloatNet(seed, spread)
  const x = b.input('picture', real(1, 8, 8, 3))
  const stem = b.conv('stem', x, channels, 3, clamp)
  const wide = b.conv('point', b.depthwise('depth', stem, clamp), channels, 1, clamp)
  const sum = b.one(add, [wide, b.conv('skip', stem, channels, 1, {})], { clamp: { min: 0 } }, { from: 'sum' })
  const pool = { kernel: [8, 8], stride: [8, 8], pad: [0, 0, 0, 0], clamp: {} }
  const flat = b.one(
    reshape,
    [b.one(averagePool2d, [sum], pool, { from: 'pool' })],
    { shape: [1, channels] },
    { from: 'flat' },
  )
  return b.graph([b.one(softmax, [b.dense('dense', flat, 6)], { beta: 1 }, { from: 'scores' })])
}

/** Inputs in [-1, 1], of pictures whose brightness differs. */
export function samplesOf(graph: Graph, n: number, seed = 5): Samples {
  const random = new Xorshift32(seed)
  const all = Array.from({ length: n }, (_, i) =>
    graph.inputs.map(({ type }) => (random.fill(type) as Float32Array).map((x) => x * (0.3 + (0.7 * (i % 7)) / 6))),
  )
  return { count: n, inputs: (i) => all[i] }
}

/** Signal to noise of `values` of the second graph, against those of the first, in decibels. */
export async function noiseBetween(
  [before, a]: readonly [Graph, Value],
  [after, b]: readonly [Graph, Value],
  samples: Samples,
): Promise<number> {
  const [x, y] = [await tap(before, [a]), await tap(after, [b])]
  const own = samplesFor(after, samples)
  let [signal, noise] = [0, 0]
  for (let i = 0; i < samples.count; i++) {
    const wanted = realsOf(a.type, x.run(samples.inputs(i))[0])
    const got = realsOf(b.type, y.run(own.inputs(i))[0])
    wanted.forEach((v, k) => {
      signal += v * v
      noise += (v - got[k]) ** 2
    })
  }
  return 10 * Math.log10(signal / noise)
}
