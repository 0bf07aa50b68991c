// Nodes that compute on numbers quantised at run time (dynamic range, hybrid) become float32, by the weights' real values.

import { type Pass, readers } from '../ir/graph.ts'
import type { Surroundings } from '../ir/op.ts'

export const real: Pass = (graph) => {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((v) => [v, node])))
  const reading = readers(graph)
  const around: Surroundings = {
    producer: (v) => producers.get(v),
    readers: (v) => reading.get(v) ?? [],
    isOutput: (v) => graph.outputs.includes(v),
  }
  return { ...graph, nodes: graph.nodes.map((node) => node.op.real?.(node, around) ?? node) }
}
