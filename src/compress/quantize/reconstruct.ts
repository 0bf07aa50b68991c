// Layer by layer, in the order of execution: what the quantised model so far gives a layer, and what the float32 model makes of
// it, decide how its weights are rounded and by how much its bias is off. Later layers so make up for earlier ones.

import type { Graph, Node, Value } from '../../ir/graph.ts'
import { Xorshift32 } from '../../ir/random.ts'
import type { Data } from '../../loops/ir.ts'
import { clamp } from '../../ops/clamp/op.ts'
import { Frontier } from './frontier.ts'
import { groupsOf, Moments, positions } from './moments.ts'
import { type Decisions, formOf } from './rewrite.ts'
import { roundChannel } from './round.ts'
import { forEachSample, type Samples, type Tell, tap } from './run.ts'
import { largest, type Stored, smallest } from './weights.ts'

/** Positions of a layer's output that are looked at, in all samples together. */
const POSITIONS = 4096

export interface Reconstruction {
  readonly rounding: 'nearest' | 'adaround'
  readonly correctBias: boolean
  readonly seed: number
}

/** Sums as values of their own: activations that are fused become nodes behind them. */
function withoutActivations(graph: Graph): { graph: Graph; sums: ReadonlyMap<Node, Value> } {
  const sums = new Map<Node, Value>()
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const form = formOf(node)?.weights
    if (!form) return [node]
    const { min, max } = form.clamp
    if (min === undefined && max === undefined) {
      sums.set(node, node.outputs[0])
      return [node]
    }
    const [y] = node.outputs
    const sum: Value = { name: `${y.name}/sum`, type: y.type, storage: 'temp' }
    sums.set(node, sum)
    const limit = { op: clamp, attrs: form.clamp, inputs: [sum], outputs: [y], from: node.from } as unknown as Node
    return [{ ...node, attrs: { ...node.attrs, clamp: {} }, outputs: [sum] }, limit]
  })
  return { graph: { ...graph, nodes }, sums }
}

/** The wanted sums, without bias, at the positions of each layer: [layer][sample]. */
async function wantedSums(
  float: Graph,
  layers: readonly Node[],
  places: ReadonlyMap<Node, readonly Int32Array[]>,
  samples: Samples,
  tell: (done: number) => void,
): Promise<Map<Node, Float32Array[]>> {
  const { graph, sums } = withoutActivations(float)
  const tapped = await tap(
    graph,
    layers.map((node) => sums.get(node)!),
  )
  const wanted = new Map(layers.map((node) => [node, [] as Float32Array[]]))
  await forEachSample(
    samples,
    tapped,
    (values, i) => {
      layers.forEach((node, l) => {
        const O = node.outputs[0].type.shape.at(-1)!
        const bias = node.inputs[formOf(node)!.weights!.input + 1]?.data as Float32Array | undefined
        const y = values[l] as Float32Array
        const rows = places.get(node)![i]
        const out = new Float32Array(rows.length * O)
        rows.forEach((row, r) => {
          for (let o = 0; o < O; o++) out[r * O + o] = y[row * O + o] - (bias?.[o] ?? 0)
        })
        wanted.get(node)!.push(out)
      })
    },
    tell,
  )
  return wanted
}

/** Decisions with weights rounded and biases corrected as asked. */
export async function reconstruct(
  float: Graph,
  decisions: Decisions,
  samples: Samples,
  how: Reconstruction,
  tell: Tell,
): Promise<Decisions> {
  const layers = float.nodes.filter((node) => formOf(node)?.weights?.products && decisions.weights.has(node))
  const random = new Xorshift32(how.seed)
  const places = new Map(layers.map((node) => [node, positions(node, samples.count, POSITIONS, random)]))
  const wanted = await wantedSums(float, layers, places, samples, (done) => tell('float32 sums', done, samples.count))
  const weights = new Map(decisions.weights)
  const biases = new Map(decisions.biases)
  const frontier = new Frontier(float, samples)
  for (const [l, node] of layers.entries()) {
    tell(how.rounding === 'adaround' ? 'round layer' : 'correct layer', l, layers.length)
    const sofar = { ...decisions, weights, biases }
    const moments = await momentsOf(frontier, node, sofar, places.get(node)!, wanted.get(node)!, how)
    const form = formOf(node)!.weights!
    const stored = weights.get(node)!
    const chosen = how.rounding === 'adaround' ? rounded(node, stored, moments, how.correctBias) : stored
    weights.set(node, chosen)
    if (how.correctBias) biases.set(node, corrected(node, chosen, moments, form.input))
  }
  tell('layers', layers.length, layers.length)
  return { ...decisions, weights, biases }
}

async function momentsOf(
  frontier: Frontier,
  node: Node,
  decisions: Decisions,
  places: readonly Int32Array[],
  wanted: readonly Float32Array[],
  { rounding }: Reconstruction,
): Promise<Moments[]> {
  const groups = groupsOf(node)
  const moments = groups.map((group) => new Moments(node, group, rounding === 'adaround'))
  const { products } = formOf(node)!.weights!
  const O = node.outputs[0].type.shape.at(-1)!
  const buffers = groups.map((g) => ({
    x: new Float64Array(g.weights[0].length),
    y: new Float64Array(g.channels.length),
  }))
  await frontier.advance(node, decisions, (x, data, i) => {
    const X = data as Exclude<Data, BigInt64Array>
    const [scale, zero] = [x.type.quant?.scale[0] ?? 1, x.type.quant?.zero[0] ?? 0]
    places[i].forEach((row, r) => {
      groups.forEach(({ channels }, g) => {
        const { x: inputs, y } = buffers[g]
        let k = 0
        products!(row, channels[0], (_, __, at) => {
          inputs[k++] = at < 0 ? 0 : scale * (X[at] - zero)
        })
        for (let o = 0; o < y.length; o++) y[o] = wanted[i][r * O + channels[o]]
        moments[g].add(inputs, y)
      })
    })
  })
  return moments
}

const scaleOf = ({ quant: { scale } }: Stored, o: number) => scale[scale.length === 1 ? 0 : o]

/** Shares of a channel's scale that are tried below 8 bits, where a smaller step may be worth a clipped weight. */
const SHARES = [1, 0.92, 0.84, 0.76, 0.68, 0.6]

/** Weights rounded for the least error of each channel; below 8 bits with scales of each channel chosen so as well. */
function rounded(node: Node, stored: Stored, moments: readonly Moments[], centred: boolean): Stored {
  const W = node.inputs[formOf(node)!.weights!.input]!.data as Float32Array
  const { quant } = stored
  const bits = quant.bits ?? 8
  const data = stored.data.slice()
  const scale = quant.scale.slice()
  const shares = quant.bits && scale.length > 1 ? SHARES : [1]
  for (const m of moments) {
    const { C, R } = m.quadratic(centred)
    m.group.channels.forEach((o, i) => {
      const indices = m.group.weights[i]
      const real = Float64Array.from(indices, (k) => W[k])
      const tried = shares.map((share) => {
        const s = Math.fround(scaleOf(stored, o) * share)
        return { s, ...roundChannel(real, s, C, R[i], [smallest(bits), largest(bits)], m.n) }
      })
      const best = tried.reduce((a, b) => (b.loss < a.loss ? b : a))
      if (scale.length > 1) scale[o] = best.s
      indices.forEach((at, k) => {
        data[at] = best.integers[k]
      })
    })
  }
  return { data, quant: { ...quant, scale } }
}

/** Biases that take the mean error over. */
function corrected(node: Node, stored: Stored, moments: readonly Moments[], input: number): Float64Array {
  const W = node.inputs[input]!.data as Float32Array
  const bias = new Float64Array(node.outputs[0].type.shape.at(-1)!)
  ;(node.inputs[input + 1]?.data as Float32Array | undefined)?.forEach((b, c) => {
    bias[c] = b
  })
  for (const m of moments) {
    const off = m.group.channels.map((o, i) =>
      Float64Array.from(m.group.weights[i], (at) => stored.data[at] * scaleOf(stored, o) - W[at]),
    )
    m.meanError(off).forEach((e, i) => {
      bias[m.group.channels[i]] += e
    })
  }
  return bias
}
