// What learning takes beyond inference, by the counting of Lin et al. 2022: the weights and biases that learn, the inputs of layers
// whose weights learn, as they are kept for the way back, and one bit for each element of the layers that gradients pass.

import { bytesOf, inputsOf, type Value } from '../ir/graph.ts'
import { count } from '../loops/ir.ts'
import type { Applied } from './applied.ts'
import { type Chosen, learners } from './scheme.ts'

/** Bytes. Of the last layer, which learns in every scheme, only what it reads is counted. */
export interface ExtraMemory {
  readonly weights: number
  readonly biases: number
  /** Kept inputs of layers whose weights learn, of those channels that do. */
  readonly inputs: number
  readonly masks: number
  readonly total: number
}

/** The share of a layer's channels whose weights learn. */
function share({ learns, weights }: Chosen): number {
  return learns === 'all' ? 1 : learns.length / weights.type.shape[weights.type.shape.length - 1]
}

/** The extra memory of a scheme that was applied to a graph whose last layer is the classifier. */
export function extraMemory({ graph, layers, others }: Applied): ExtraMemory {
  const added = new Set(others)
  const all = learners(graph).filter((l) => !added.has(l.weights))
  const [inner, last] = [all.slice(0, -1), all[all.length - 1]]
  const chosen = layers.filter((c) => inner.some((l) => l.node === c.node))
  const sum = (of: (c: Chosen) => number) => chosen.reduce((bytes, c) => bytes + of(c), 0)
  const bytes = (v: Value | undefined) => (v ? bytesOf(v.type) : 0)
  const weights = sum((c) => bytes(c.weights) * share(c)) + others.reduce((n, v) => n + bytes(v), 0)
  const biases = sum((c) => (c.biasLearns ? bytes(c.bias) : 0))
  const readers = graph.nodes.filter((n) => n.inputs.some((v) => v && added.has(v)))
  const read = new Set(readers.flatMap((n) => inputsOf(n)).filter((v) => v.storage === 'temp'))
  const element = all.some((l) => l.weights.type.dtype === 'i8') ? 1 : 4
  const classifier = layers.some((c) => c.node === last?.node) ? element * count(last.node.inputs[0]!.type.shape) : 0
  const kept = [...read].reduce((n, v) => n + bytes(v), 0)
  const inputs = sum((c) => bytes(c.node.inputs[0]) * share(c)) + kept + classifier
  const first = inner.findIndex((l) => chosen.some((c) => c.node === l.node))
  const passed = first < 0 ? [] : inner.slice(first)
  const masks = passed.reduce((n, { node }) => n + count(node.outputs[0].type.shape) / 8, 0)
  return { weights, biases, inputs, masks, total: weights + biases + inputs + masks }
}
