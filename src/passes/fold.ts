// Computes at compile time what depends on constants alone.

import type { Graph, Node, Pass, Value } from '../ir/graph.ts'
import { bytesOf, inputsOf } from '../ir/graph.ts'
import { FOLD_BYTES, FOLD_MACS } from '../ir/limits.ts'

/**
 * Replaces nodes whose inputs are all `const` by their results, as long as these stay within the limits of what may be
 * computed while compiling. Params and state are not constants, whatever they start from.
 */
export const fold: Pass = (graph: Graph): Graph => {
  const to = new Map<Value, Value>()
  const nodes: Node[] = []
  let left = FOLD_BYTES
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((v) => (v ? (to.get(v) ?? v) : undefined))
    const present = inputsOf({ ...node, inputs })
    const constant = !node.op.writesState && present.length > 0 && present.every((v) => v.storage === 'const')
    const bytes = node.outputs.reduce((sum, v) => sum + bytesOf(v.type), 0)
    if (!constant || bytes > left || node.op.cost(node).macs > FOLD_MACS) {
      nodes.push(inputs.every((v, i) => v === node.inputs[i]) ? node : { ...node, inputs })
      continue
    }
    left -= bytes
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
