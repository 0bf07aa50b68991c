// Nets of one layer whose input, weights and output have 8, 4 or 2 bits, between requantisations from and to int8.

import { type Graph, quantOf, type TensorType, type Value } from '../../src/ir/graph.ts'
import { count } from '../../src/loops/ir.ts'
import { add } from '../../src/ops/binary/op.ts'
import { CaseBuilder, i8 } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { averagePool2d, maxPool2d } from '../../src/ops/pool/op.ts'
import { quantize } from '../../src/ops/quantize/op.ts'

export type Bits = 8 | 4 | 2

export const LAYERS = ['pointwise', 'dense', 'strided', 'depthwise', 'fully connected'] as const
export type Layer = (typeof LAYERS)[number]

export interface Net {
  readonly layer: Layer
  readonly x: Bits
  readonly w: Bits
  readonly y: Bits
  readonly size?: number
  readonly channels?: number
  readonly outputs?: number
}

const dtypeOf = (bits: Bits) => (({ 8: 'i8', 4: 'u4', 2: 'u2' }) as const)[bits]

/** A tensor of so many bits over the reals from -low * range to (1 - low) * range. */
export function stored(bits: Bits, shape: readonly number[], range: number, low: number): TensorType {
  const levels = 2 ** bits - 1
  const zero = Math.round(low * levels) - (bits === 8 ? 128 : 0)
  return { dtype: dtypeOf(bits), shape, quant: quantOf(range / levels, zero) }
}

export function weightsOf(b: CaseBuilder, bits: Bits, shape: readonly number[], axis: number): Value {
  const most = 2 ** (bits - 1) - 1
  const data = Int8Array.from({ length: count(shape) }, () => b.random.between(-most, most))
  const scale = Float64Array.from({ length: shape[axis] }, () =>
    Math.fround((0.5 + b.random.next() / 2 ** 33) / (most * Math.sqrt(count(shape) / shape[axis]))),
  )
  const quant = { scale, zero: new Int32Array(scale.length), axis, ...(bits < 8 && { bits: bits as 4 | 2 }) }
  return b.const('w', { dtype: 'i8', shape, quant }, data)
}

function requantized(b: CaseBuilder, v: Value, type: TensorType): Value {
  return type.dtype === v.type.dtype ? v : b.one(quantize, [v], { dtype: type.dtype }, { types: [type] })
}

export function layerNet({ layer, x, w, y, size = 7, channels = 8, outputs = 12 }: Net): Graph {
  const b = new CaseBuilder(`${layer} ${x}x${w} to ${y}`)
  const shape = [1, size, size, channels]
  const input = b.input('x', i8(shape, 2 / 255, -30))
  const X = requantized(b, input, stored(x, shape, 2, 0.4))
  const clamp = {}
  const finish = (v: Value) => [requantized(b, v, stored(8, v.type.shape, 4, 0.3))]
  const same = { stride: [1, 1], dilation: [1, 1], clamp, ...(y !== x && { stored: dtypeOf(y) }) }
  const to = (out: readonly number[]) => ({ types: [stored(y, out, 4, 0.25)], from: 'layer' })
  const bias = (n: number) => b.bias('b', n, 4)
  const end = (n: number) => [1, size, size, n]
  switch (layer) {
    case 'pointwise': {
      const weights = weightsOf(b, w, [outputs, 1, 1, channels], 0)
      const attrs = { ...same, pad: [0, 0, 0, 0], groups: 1 }
      return b.graph(finish(b.one(conv2d, [X, weights, bias(outputs)], attrs, to(end(outputs)))))
    }
    case 'dense': {
      const weights = weightsOf(b, w, [outputs, 3, 3, channels], 0)
      const attrs = { ...same, pad: [1, 1, 1, 1], groups: 1 }
      return b.graph(finish(b.one(conv2d, [X, weights, bias(outputs)], attrs, to(end(outputs)))))
    }
    case 'strided': {
      const weights = weightsOf(b, w, [outputs, 3, 3, channels], 0)
      const attrs = { ...same, stride: [2, 2], pad: [0, 0, 1, 1], groups: 1 }
      const half = Math.floor((size + 1 - 3) / 2) + 1
      return b.graph(finish(b.one(conv2d, [X, weights, bias(outputs)], attrs, to([1, half, half, outputs]))))
    }
    case 'depthwise': {
      const weights = weightsOf(b, w, [1, 3, 3, channels], 3)
      const attrs = { ...same, pad: [1, 1, 1, 1] }
      return b.graph(finish(b.one(depthwiseConv2d, [X, weights, bias(channels)], attrs, to(end(channels)))))
    }
    case 'fully connected': {
      const weights = weightsOf(b, w, [outputs, count(shape)], 0)
      const attrs = { clamp, keepDims: false, ...(y !== x && { stored: dtypeOf(y) }) }
      return b.graph(finish(b.one(fullyConnected, [X, weights, bias(outputs)], attrs, to([1, outputs]))))
    }
  }
}

/** All nets as one, so that one program runs them. */
export function together(graphs: readonly Graph[]): Graph {
  const named = graphs.map((graph, i) => {
    const known = new Map<Value, Value>()
    const of = (v: Value): Value => {
      const own = known.get(v) ?? { ...v, name: `${i}/${v.name}` }
      known.set(v, own)
      return own
    }
    return {
      inputs: graph.inputs.map(of),
      nodes: graph.nodes.map((n) => ({ ...n, inputs: n.inputs.map((v) => v && of(v)), outputs: n.outputs.map(of) })),
      outputs: graph.outputs.map(of),
    }
  })
  return {
    name: 'together',
    inputs: named.flatMap((g) => g.inputs),
    nodes: named.flatMap((g) => g.nodes),
    outputs: named.flatMap((g) => g.outputs),
  }
}

/** Sums of operands of different types, and pools of each. */
export function mixedNet(): Graph {
  const b = new CaseBuilder('mixed')
  const shape = [1, 6, 5, 6]
  const x = b.input('x', i8(shape, 2 / 255, -30))
  const four = requantized(b, x, stored(4, shape, 2, 0.4))
  const two = requantized(b, x, stored(2, shape, 2, 0.3))
  const types = (bits: Bits) => ({ types: [stored(bits, shape, 4, 0.4)] })
  const sum = b.one(add, [four, x], { clamp: { min: 0 }, stored: 'u4' }, types(4))
  const less = b.one(add, [sum, two], { clamp: {}, stored: 'u2' }, types(2))
  const window = { kernel: [2, 3], stride: [2, 1], pad: [0, 1, 0, 1], clamp: {} }
  const pooled = b.one(maxPool2d, [less], window)
  const mean = b.one(averagePool2d, [sum], window)
  return b.graph([pooled, mean].map((v) => requantized(b, v, stored(8, v.type.shape, 4, 0.3))))
}
