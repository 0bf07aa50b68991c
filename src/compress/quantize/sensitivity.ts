// What each choice of fewer bits does to a float32 model by itself: the noise that the weights of one layer, or one tensor, add to
// the model's output with 4 or 2 bits, as a share of the signal. Small noises of different layers add up, so that these numbers
// alone can be compared and summed.

import { type Graph, type Node, readers, type Value } from '../../ir/graph.ts'
import { dequantize, quantize } from '../../ops/quantize/op.ts'
import type { Calibrated, QuantizeOptions } from './quantize.ts'
import { nearestDecisions } from './quantize.ts'
import { formOf } from './rewrite.ts'
import { forEachSample, type Samples, type Tell, tap } from './run.ts'
import { narrowClasses, type Widths, weightedNodes } from './scales.ts'
import { type Bits, realWeights } from './weights.ts'

export type Fewer = 4 | 2
export const FEWER: readonly Fewer[] = [4, 2]

/** The noise of each choice; 8 bits add none worth counting. */
export interface Sensitivity {
  readonly weights: ReadonlyMap<Node, Readonly<Record<Fewer, number>>>
  /** Tensors that have one type. */
  readonly activations: ReadonlyMap<readonly Value[], Readonly<Record<Fewer, number>>>
}

/** The tensor whose noise counts: the model's first output, before an operator that brings scores into a fixed range. */
function watched({ nodes, outputs: [y] }: Graph): Value {
  const last = nodes.find((node) => node.outputs.includes(y))
  return last && formOf(last)?.output === 'fixed' ? last.inputs[0]! : y
}

/** As many samples, spread evenly. */
export function some({ count, inputs }: Samples, n: number): Samples {
  const taken = Math.min(n, count)
  return { count: taken, inputs: (i) => inputs(Math.floor((i * count) / taken)) }
}

function withWeights(graph: Graph, layer: Node, input: number, data: Float32Array): Graph {
  const change = (v: Value | undefined, i: number) => (v && i === input ? { ...v, data } : v)
  return { ...graph, nodes: graph.nodes.map((n) => (n === layer ? { ...n, inputs: n.inputs.map(change) } : n)) }
}

/** These tensors pass through their stored form. */
function stored(
  graph: Graph,
  members: readonly Value[],
  bits: Fewer,
  quants: ReadonlyMap<Value, Value['type']['quant']>,
) {
  const through = new Map<Value, Value>()
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const own: Node = { ...node, inputs: node.inputs.map((v) => v && (through.get(v) ?? v)) }
    const more = node.outputs.flatMap((v): Node[] => {
      const quant = quants.get(v)
      if (!members.includes(v) || !quant) return []
      const dtype = bits === 4 ? 'u4' : 'u2'
      const q: Value = { name: `${v.name}/stored`, storage: 'temp', type: { dtype, shape: v.type.shape, quant } }
      const real: Value = { name: `${v.name}/real`, storage: 'temp', type: v.type }
      through.set(v, real)
      const node = (op: typeof quantize | typeof dequantize, attrs: object, x: Value, y: Value) =>
        ({ op, attrs, inputs: [x], outputs: [y], from: v.name }) as unknown as Node
      return [node(quantize, { dtype }, v, q), node(dequantize, {}, q, real)]
    })
    return [own, ...more]
  })
  return { ...graph, nodes }
}

/** Runs the model once for each layer or tensor (those of `what`) and number of bits. */
export async function sensitivityOf(
  start: Calibrated,
  samples: Samples,
  options: QuantizeOptions,
  what: { readonly weights: boolean; readonly activations: boolean },
  tell: Tell,
): Promise<Sensitivity> {
  const { float } = start
  const layers = what.weights ? weightedNodes(float) : []
  const classes = what.activations ? narrowClasses(float) : []
  const end = watched(float)
  const clean: Float32Array[] = []
  const plain = await tap(float, [end])
  await forEachSample(samples, plain, ([y]) => clean.push((y as Float32Array).slice()))
  const noiseOf = async (graph: Graph): Promise<number> => {
    let [signal, noise] = [0, 0]
    const made = graph.nodes.flatMap((n) => n.outputs).find((v) => v.name === end.name)!
    await forEachSample(samples, await tap(graph, [made]), ([y], i) => {
      const [a, b] = [clean[i], y as Float32Array]
      for (let k = 0; k < a.length; k++) {
        signal += a[k] * a[k]
        noise += (a[k] - b[k]) ** 2
      }
    })
    return signal > 0 ? noise / signal : noise
  }
  const all = FEWER.length * (layers.length + classes.length)
  let done = 0
  const weights = new Map<Node, Record<Fewer, number>>(layers.map((n) => [n, { 4: 0, 2: 0 }]))
  const activations = new Map<readonly Value[], Record<Fewer, number>>(classes.map((c) => [c, { 4: 0, 2: 0 }]))
  for (const bits of FEWER) {
    const widths: Widths = new Map(classes.flat().map((v) => [v, bits === 4 ? 'u4' : 'u2']))
    const own = new Map<Node, Bits>(layers.map((n) => [n, bits]))
    const decisions = nearestDecisions(start, { ...options, bits: { weights: own, activations: widths } })
    for (const node of layers) {
      tell('layers and tensors with fewer bits', done++, all)
      const { input, axis } = formOf(node)!.weights!
      const real = realWeights(decisions.weights.get(node)!, node.inputs[input]!.type.shape, axis)
      weights.get(node)![bits] = await noiseOf(withWeights(float, node, input, Float32Array.from(real)))
    }
    for (const members of classes) {
      tell('layers and tensors with fewer bits', done++, all)
      activations.get(members)![bits] = await noiseOf(stored(float, members, bits, decisions.quants))
    }
  }
  tell('layers and tensors with fewer bits', all, all)
  return { weights, activations }
}

/** For each node, the bytes of tensors that are there while it runs, with 8 bits, by tensor. */
export interface Step {
  readonly node: Node
  readonly live: readonly Value[]
  /** An input whose place the output takes where both have one type. */
  readonly over?: Value
}

/** The tensors that are live at each step of a graph in its order. */
export function stepsOf(graph: Graph): Step[] {
  const reading = readers(graph)
  const at = new Map(graph.nodes.map((node, i) => [node, i]))
  const first = new Map<Value, number>(graph.inputs.map((v) => [v, -1]))
  graph.nodes.forEach((node, i) => {
    for (const v of node.outputs) first.set(v, i)
  })
  const last = (v: Value) =>
    graph.outputs.includes(v) ? graph.nodes.length : Math.max(-1, ...(reading.get(v) ?? []).map((n) => at.get(n)!))
  const ends = new Map([...first.keys()].map((v) => [v, last(v)]))
  return graph.nodes.map((node, i): Step => {
    const live = [...first].filter(([v, from]) => from <= i && ends.get(v)! >= i).map(([v]) => v)
    const offered = [...(node.op.inPlace?.(node) ?? []), ...(node.op.inPlaceByChannel?.(node) ?? [])]
    const over = offered.map((k) => node.inputs[k]!).find((v) => first.has(v) && ends.get(v) === i)
    return { node, live: [...new Set([...live, ...node.outputs])], ...(over && { over }) }
  })
}
