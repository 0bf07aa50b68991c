// Layers that learn put into a graph beside its own. What they have of their own starts so that the model computes what it did.

import { Builder } from '../ir/build.ts'
import type { Graph, Node, TensorType, Value } from '../ir/graph.ts'
import { Xorshift32 } from '../ir/random.ts'
import { count } from '../loops/ir.ts'

/** A graph with layers of its own, and the constants that are to learn of them. */
export interface Extended {
  readonly graph: Graph
  readonly added: readonly Value[]
}

/** What appends layers: their nodes, and the constants that learn. */
export interface Inserting {
  readonly build: Builder
  /** Float32 constants that learn: uniform within 1 / sqrt(`fan`). */
  random(name: string, shape: readonly number[], fan: number): Value
  filled(name: string, shape: readonly number[], value: number): Value
}

/**
 * For each node that `at` knows: the node that stands in its place, and what readers of its output read then. Inputs of the nodes
 * that `at` is given are those of the graph being made.
 */
export function insert(
  graph: Graph,
  seed: number,
  at: (node: Node, ins: Inserting) => { readonly node: Node; readonly result: Value } | undefined,
): Extended {
  const build = Builder.after(graph)
  const random = new Xorshift32(seed)
  const added: Value[] = []
  const learning = (name: string, shape: readonly number[], of: () => number): Value => {
    const type: TensorType = { dtype: 'f32', shape }
    const value = build.const(name, type, Float32Array.from({ length: count(shape) }, of))
    added.push(value)
    return value
  }
  const ins: Inserting = {
    build,
    random: (name, shape, fan) => learning(name, shape, () => (random.next() / 2 ** 31 - 1) / Math.sqrt(fan)),
    filled: (name, shape, value) => learning(name, shape, () => value),
  }
  const to = new Map<Value, Value>()
  const now = (v: Value | undefined) => (v && to.get(v)) ?? v
  let known = graph.nodes.length
  const nodes = graph.nodes.flatMap((given) => {
    const node = { ...given, inputs: given.inputs.map(now) }
    const made = at(node, ins)
    if (!made) return [node]
    const all = build.graph([]).nodes
    const own = all.slice(known)
    known = all.length
    to.set(given.outputs[0], made.result)
    return [made.node, ...own]
  })
  return { graph: { ...graph, nodes, outputs: graph.outputs.map((v) => now(v)!) }, added }
}

/** An input image with what `make` makes of it in its place. */
export function insertAtInput(graph: Graph, make: (x: Value, ins: Inserting) => Value): Extended {
  const [x] = graph.inputs
  const build = Builder.after({ ...graph, nodes: [] })
  const added: Value[] = []
  const filled = (name: string, shape: readonly number[], value: number): Value => {
    const v = build.const(name, { dtype: 'f32', shape }, new Float32Array(count(shape)).fill(value))
    added.push(v)
    return v
  }
  const result = make(x, { build, filled, random: (name, shape) => filled(name, shape, 0) })
  const own = build.graph([]).nodes
  const to = (v: Value | undefined) => (v === x ? result : v)
  const nodes = graph.nodes.map((n) => ({ ...n, inputs: n.inputs.map(to) }))
  return { graph: { ...graph, nodes: [...own, ...nodes], outputs: graph.outputs.map((v) => to(v)!) }, added }
}
