// Drops the nodes whose results nobody reads, from the end backwards. Nodes that write state are read by the next run.

import { type Graph, inputsOf, type Pass, type Value } from '../ir/graph.ts'

export const prune: Pass = (graph: Graph): Graph => {
  const needed = new Set<Value>(graph.outputs)
  const kept = [...graph.nodes].reverse().filter((node) => {
    if (!node.op.writesState && !node.outputs.some((v) => needed.has(v))) return false
    for (const v of inputsOf(node)) needed.add(v)
    return true
  })
  return kept.length === graph.nodes.length ? graph : { ...graph, nodes: kept.reverse() }
}
