// What quantising does to a model, layer by layer: the signal to quantisation noise ratio of each layer's output, and models
// in which one layer alone is quantised.

import { elemOf, type Graph, type Node, sameQuant, type TensorType, type Value } from '../../ir/graph.ts'
import { type Data, newData } from '../../loops/ir.ts'
import { quantizeReal, rangeOf } from '../../ops/quant.ts'
import type { Quantized } from './quantize.ts'
import { formOf, toIntegers } from './rewrite.ts'
import { forEachSample, type Samples, tap } from './run.ts'
import { realWeights } from './weights.ts'

/** Elements of float32 as a model with another input type takes them. */
export function storedAs(type: TensorType, data: Data): Data {
  if (!type.quant || !(data instanceof Float32Array)) return data
  const { min, max } = rangeOf(type.dtype)
  const [scale, zero] = [type.quant.scale[0], type.quant.zero[0]]
  const out = newData(elemOf(type.dtype)!, data.length) as Int8Array | Int16Array
  for (let i = 0; i < data.length; i++) out[i] = Math.min(max, Math.max(min, quantizeReal(data[i], scale, zero)))
  return out
}

/** The same samples for a model whose inputs have other types. */
export function samplesFor(graph: Graph, { count, inputs }: Samples): Samples {
  return { count, inputs: (i) => inputs(i).map((data, k) => storedAs(graph.inputs[k].type, data)) }
}

/** The reals that the elements of a tensor stand for. */
export function realsOf({ quant }: TensorType, data: Data): Float32Array | Float64Array {
  if (data instanceof Float32Array) return data
  const scale = quant?.scale[0] ?? 1
  const zero = quant?.zero[0] ?? 0
  const reals = new Float64Array(data.length)
  for (let i = 0; i < reals.length; i++) reals[i] = scale * (Number(data[i]) - zero)
  return reals
}

/** 10 log10(signal / noise), in decibels. */
function decibels(signal: number, noise: number): number {
  return noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise)
}

export interface LayerNoise {
  readonly node: Node
  /** Of the layer's output in the quantised model, against the float32 model's; Infinity where they are equal. */
  readonly sqnr: number
  /** Of its weights. */
  readonly weightSqnr?: number
}

/** Runs both models side by side. Layers that stay float32 are among those measured. */
export async function layerNoise(q: Quantized, samples: Samples, tell?: (done: number) => void): Promise<LayerNoise[]> {
  const layers = q.float.nodes.filter((node) => node.outputs[0].type.dtype === 'f32')
  const before = layers.map((node) => node.outputs[0])
  const after = before.map((v) => q.became.get(v)!)
  const [float, integer] = [await tap(q.float, before), await tap(q.graph, after)]
  const own = samplesFor(q.graph, samples)
  const signal = new Float64Array(layers.length)
  const noise = new Float64Array(layers.length)
  await forEachSample(
    samples,
    float,
    (reals, i) => {
      integer.run(own.inputs(i)).forEach((data, l) => {
        const [x, y] = [reals[l] as Float32Array, realsOf(after[l].type, data)]
        for (let k = 0; k < x.length; k++) {
          signal[l] += x[k] * x[k]
          noise[l] += (x[k] - y[k]) ** 2
        }
      })
    },
    tell,
  )
  return layers.map((node, l) => {
    const weightSqnr = noiseOfWeights(q, node)
    return { node, sqnr: decibels(signal[l], noise[l]), ...(weightSqnr !== undefined && { weightSqnr }) }
  })
}

function noiseOfWeights({ decisions }: Quantized, node: Node): number | undefined {
  const stored = decisions.weights.get(node)
  const sums = formOf(node)?.weights
  if (!stored || !sums) return undefined
  const w = node.inputs[sums.input]!
  const real = realWeights(stored, w.type.shape, sums.axis)
  let [signal, noise] = [0, 0]
  ;(w.data as Float32Array).forEach((x, i) => {
    signal += x * x
    noise += (x - real[i]) ** 2
  })
  return decibels(signal, noise)
}

/** The layers that quantising changes by themselves: those that only move elements keep their input's scale. */
export function ownLayers(q: Quantized): Node[] {
  const stays = new Set(q.floats.map(({ node }) => node))
  const moves = (node: Node, [x]: readonly (Value | undefined)[]) =>
    formOf(node)?.output === 'shared' &&
    sameQuant(x && q.decisions.quants.get(x), q.decisions.quants.get(node.outputs[0]))
  return q.float.nodes.filter((node) => formOf(node) && !stays.has(node) && !moves(node, node.inputs))
}

/** The model with this layer alone quantised: its input, weights and output; what comes in and goes out is float32. */
export function aloneQuantized(q: Quantized, layer: Node): Graph {
  return toIntegers(q.float, { ...q.decisions, io: 'float' }, (node) => node === layer).graph
}
