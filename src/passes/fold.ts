// Computes at compile time what depends on constants alone.

import type { Graph, Node, Pass, Value } from '../ir/graph.ts'
import { inputsOf } from '../ir/graph.ts'

/** Replaces nodes whose inputs are all `const` by their results. Params and state are not constants, whatever they start from. */
export const fold: Pass = (graph: Graph): Graph => {
  const to = new Map<Value, Value>()
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((v) => (v ? (to.get(v) ?? v) : undefined))
    const present = inputsOf({ ...node, inputs })
    if (node.op.writesState || present.length === 0 || !present.every((v) => v.storage === 'const')) {
      nodes.push(inputs.every((v, i) => v === node.inputs[i]) ? node : { ...node, inputs })
      continue
    }
    const results = node.op.eval(
      node,
      inputs.map((v) => v?.data),
    )
    node.outputs.forEach((v, i) => {
      to.set(v, { ...v, storage: 'const', data: results[i] })
    })
  }
  return { ...graph, nodes, outputs: graph.outputs.map((v) => to.get(v) ?? v) }
}
