// Lets nodes take over what their neighbours do: a pad before, a clamp or bias after, a quantise/dequantise pair. Which
// operators can is theirs to say (`effect`, `absorb`); this pass finds the places where nobody else needs the tensor
// between them, and repeats until nothing changes.

import { type Graph, type Node, type Pass, readers, type Value } from '../ir/graph.ts'

interface Fusion {
  /** The node that goes. */
  readonly gone: Node
  /** The node that absorbs it. */
  readonly node: Node
  readonly result: Node | Value
}

function isNode(x: Node | Value): x is Node {
  return 'op' in x
}

/** Whether running the node later could see other data: its state may be written in between. */
function rereadsState(node: Node): boolean {
  return node.inputs.some((v) => v?.storage === 'state' || v?.storage === 'param')
}

/** The first fusion across an edge that only one node reads, in execution order. */
function find(graph: Graph): Fusion | undefined {
  const readBy = readers(graph)
  const outputs = new Set(graph.outputs)
  const alone = (v: Value) => !outputs.has(v) && readBy.get(v)?.length === 1

  for (const producer of graph.nodes) {
    if (producer.outputs.length !== 1 || rereadsState(producer)) continue
    const [between] = producer.outputs
    if (!alone(between)) continue
    const reader = readBy.get(between)![0]
    if (reader.inputs.filter((v) => v === between).length !== 1) continue
    const input = reader.inputs.indexOf(between)

    const before = producer.op.effect?.(producer)
    if (before) {
      const result = reader.op.absorb?.(reader, before, producer, 'before', input)
      if (result && (isNode(result) || !outputs.has(reader.outputs[0]))) return { gone: producer, node: reader, result }
    }
    const after = reader.op.effect?.(reader)
    if (after && reader.outputs.length === 1) {
      const result = producer.op.absorb?.(producer, after, reader, 'after', input)
      if (result && isNode(result)) return { gone: reader, node: producer, result }
    }
  }
  return undefined
}

function apply(graph: Graph, { gone, node, result }: Fusion): Graph {
  if (isNode(result)) {
    // The merged node stands where the later of the two stood: its inputs are all computed there.
    const late = graph.nodes.indexOf(gone) > graph.nodes.indexOf(node) ? gone : node
    const early = late === gone ? node : gone
    return { ...graph, nodes: graph.nodes.flatMap((n) => (n === early ? [] : n === late ? [result] : [n])) }
  }
  const replaced = node.outputs[0]
  const nodes = graph.nodes
    .filter((n) => n !== gone && n !== node)
    .map((n) =>
      n.inputs.includes(replaced) ? { ...n, inputs: n.inputs.map((v) => (v === replaced ? result : v)) } : n,
    )
  return { ...graph, nodes }
}

export const fuse: Pass = (graph: Graph): Graph => {
  let g = graph
  for (let next = find(g); next; next = find(g)) g = apply(g, next)
  return g
}
