// Lets output 0 of a node take over the buffer of an input that dies there, where the operator reads each element before
// it writes it. Graph inputs may be overwritten: every run copies them into the arena.

import { bytesOf, type Graph, inputsOf, type Node, type Pass, type Value } from '../ir/graph.ts'

/** The inputs that output 0 may overwrite if nothing reads them afterwards, best first. `outputs` are the graph's. */
export function candidates(node: Node, outputs: ReadonlySet<Value>): number[] {
  const offered = node.op.inPlace?.(node) ?? []
  const out = node.outputs[0]
  if (!out) return []
  return offered.filter((i) => {
    const v = node.inputs[i]
    if (!v || v.storage !== 'temp' || outputs.has(v) || bytesOf(out.type) > bytesOf(v.type)) return false
    return node.inputs.every((other, j) => other !== v || offered.includes(j))
  })
}

export const inPlace: Pass = (graph: Graph): Graph => {
  const outputs = new Set(graph.outputs)
  const last = new Map<Value, Node>()
  for (const node of graph.nodes) for (const v of inputsOf(node)) last.set(v, node)
  const nodes = graph.nodes.map((node): Node => {
    const chosen = candidates(node, outputs).find((i) => last.get(node.inputs[i]!) === node)
    return chosen === node.inPlace ? node : { ...node, inPlace: chosen }
  })
  return nodes.every((node, i) => node === graph.nodes[i]) ? graph : { ...graph, nodes }
}
