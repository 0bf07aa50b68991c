// Cross-layer equalisation (Nagel et al. 2019): a channel between two layers is divided by a factor on one side and multiplied
// on the other, so that both layers' weights use their range in every channel; a ReLU between them lets factors pass. At a
// ReLU6 a channel that reaches the ceiling keeps its factor, the others stay below it: the model stays the same on what
// calibration has seen, and differs elsewhere only where a channel that never reached the ceiling does.

import { type Graph, type Node, readers, type Value } from '../../ir/graph.ts'
import type { Weighted } from '../../ir/op.ts'
import type { Calibration } from './calibrate.ts'
import { formOf } from './rewrite.ts'
import { channelOf } from './weights.ts'

/** A tensor that one layer makes and other layers alone read. */
interface Pair {
  readonly between: Value
  readonly from: Node
  readonly to: readonly Node[]
}

const ROUNDS = 40
/** A factor no nearer to 1 than this changes something. */
const STILL = 1e-3

function sumsOf(node: Node): Weighted | undefined {
  const sums = formOf(node)?.weights
  return sums?.products ? sums : undefined
}

function pairsOf(graph: Graph): Pair[] {
  const reading = readers(graph)
  return graph.nodes.flatMap((from): Pair[] => {
    const sums = sumsOf(from)
    const [between] = from.outputs
    const to = reading.get(between) ?? []
    const { min, max } = sums?.clamp ?? {}
    const passes = min === undefined ? max === undefined : min === 0
    const alone =
      to.length > 0 && to.every((n) => sumsOf(n) && n.inputs[0] === between) && !graph.outputs.includes(between)
    const padded = from.inputs[1]?.type.shape[sums?.axis ?? 0] === between.type.shape.at(-1)
    return sums && passes && alone && padded ? [{ between, from, to }] : []
  })
}

/** For each weight of a layer, the input channel that it is multiplied by. */
function inputChannels(node: Node, sums: Weighted): Int32Array {
  const channels = new Int32Array(node.inputs[sums.input]!.data!.length)
  const outputs = node.inputs[sums.input]!.type.shape[sums.axis]
  for (let o = 0; o < outputs; o++)
    sums.products!(0, o, (weight, channel) => {
      channels[weight] = channel
    })
  return channels
}

interface Layer {
  readonly weights: Float32Array
  readonly bias: Float32Array | undefined
  readonly outputs: Int32Array
  readonly inputs: Int32Array
}

function largestOf(weights: Float32Array, of: Int32Array, n: number): Float64Array {
  const most = new Float64Array(n)
  for (let i = 0; i < weights.length; i++) most[of[i]] = Math.max(most[of[i]], Math.abs(weights[i]))
  return most
}

/** The same model with other weights and biases; the graph's values are new where their data is. */
export function equalize(graph: Graph, calibration: Calibration): Graph {
  const layers = new Map<Node, Layer>()
  const layerOf = (node: Node): Layer => {
    const known = layers.get(node)
    if (known) return known
    const sums = sumsOf(node)!
    const w = node.inputs[sums.input]!
    const layer: Layer = {
      weights: (w.data as Float32Array).slice(),
      bias: (node.inputs[sums.input + 1]?.data as Float32Array | undefined)?.slice(),
      outputs: Int32Array.from(w.data!, (_: unknown, i: number) => channelOf(w.type.shape, sums.axis, i)),
      inputs: inputChannels(node, sums),
    }
    layers.set(node, layer)
    return layer
  }
  const pairs = pairsOf(graph)
  // How far each channel has been divided so far: what calibration saw is known in the first units.
  const divided = pairs.map(({ between }) => new Float64Array(between.type.shape.at(-1)!).fill(1))
  for (let round = 0; round < ROUNDS; round++) {
    let moved = 0
    pairs.forEach((pair, p) => {
      const C = divided[p].length
      const from = layerOf(pair.from)
      const before = largestOf(from.weights, from.outputs, C)
      const after = new Float64Array(C)
      for (const node of pair.to) {
        const { weights, inputs } = layerOf(node)
        largestOf(weights, inputs, C).forEach((m, c) => {
          after[c] = Math.max(after[c], m)
        })
      }
      const factors = Float64Array.from({ length: C }, (_, c) => {
        if (before[c] === 0 || after[c] === 0) return 1
        return limited(Math.sqrt(before[c] / after[c]), c, pair, divided[p][c], calibration)
      })
      for (const f of factors) moved = Math.max(moved, Math.abs(Math.log(f)))
      scale(from.weights, from.outputs, factors, -1)
      from.bias?.forEach((b, c) => {
        from.bias![c] = b / factors[c]
      })
      for (const node of pair.to) {
        const { weights, inputs } = layerOf(node)
        scale(weights, inputs, factors, 1)
      }
      factors.forEach((f, c) => {
        divided[p][c] *= f
      })
    })
    if (moved < STILL) break
  }
  return {
    ...graph,
    nodes: graph.nodes.map((node) => {
      const layer = layers.get(node)
      const sums = sumsOf(node)
      if (!layer || !sums) return node
      const inputs = node.inputs.map((v, i) => {
        if (v && i === sums.input) return { ...v, data: layer.weights }
        return v && i === sums.input + 1 && layer.bias ? { ...v, data: layer.bias } : v
      })
      return { ...node, inputs }
    }),
  }
}

function scale(weights: Float32Array, of: Int32Array, factors: Float64Array, power: 1 | -1): void {
  for (let i = 0; i < weights.length; i++)
    weights[i] = power === 1 ? weights[i] * factors[of[i]] : weights[i] / factors[of[i]]
}

/** A factor by which the channel may still be divided, `divided` being what it was divided by before. */
function limited(
  factor: number,
  c: number,
  { between, from }: Pair,
  divided: number,
  calibration: Calibration,
): number {
  const ceiling = sumsOf(from)!.clamp.max
  if (ceiling === undefined) return factor
  const seen = calibration.get(between)?.channelMost[c] ?? ceiling
  if (seen >= ceiling * (1 - 1e-6)) return 1
  // seen / (divided * factor) must stay below the ceiling.
  return Math.max(factor, (seen * (1 + MARGIN)) / ceiling / divided)
}

/** How much further than was seen a channel may reach before it meets the ceiling. */
const MARGIN = 0.25
