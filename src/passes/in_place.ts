// Lets output 0 of a node take over the buffer of an input that dies there, where the operator reads each element before
// it writes it, or each channel. Graph inputs may be overwritten: every run copies them into the arena.

import { bytesOf, type Graph, type Node, type Pass, type Value, valuesRead } from '../ir/graph.ts'
import { liveBytes } from '../ir/live.ts'

/** The inputs that output 0 may overwrite if nothing reads them afterwards, best first. `outputs` are the graph's. */
export function candidates(node: Node, outputs: ReadonlySet<Value>, offered = node.op.inPlace?.(node) ?? []): number[] {
  const out = node.outputs[0]
  if (!out) return []
  return offered.filter((i) => {
    const v = node.inputs[i]
    if (!v || v.parts || v.storage !== 'temp' || outputs.has(v) || bytesOf(out.type) > bytesOf(v.type)) return false
    return node.inputs.every((other, j) => other !== v || offered.includes(j))
  })
}

/** Takes over wherever it is legal, a buffer of the same size before a larger one. */
function takeOver(graph: Graph, byChannel: boolean): Graph {
  const outputs = new Set(graph.outputs)
  const last = new Map<Value, Node>()
  for (const node of graph.nodes) for (const v of valuesRead(node)) last.set(v, node)
  const nodes = graph.nodes.map((node): Node => {
    const offered = byChannel ? node.op.inPlaceByChannel?.(node) : undefined
    const legal = candidates(node, outputs, offered).filter((i) => last.get(node.inputs[i]!) === node)
    return { ...node, inPlace: legal.find((i) => shrinkage(node, i) === 0) ?? legal[0] }
  })
  return { ...graph, nodes }
}

function shrinkage(node: Node, i: number): number {
  return bytesOf(node.inputs[i]!.type) - bytesOf(node.outputs[0].type)
}

/** Into a larger buffer only where the peak asks for it: what stays at its start stands in the way of later buffers. */
function chosen(graph: Graph, byChannel: boolean): Graph {
  const taken = takeOver(graph, byChannel)
  const live = liveBytes(taken)
  const peak = Math.max(...live)
  const nodes = taken.nodes.map((node, i): Node => {
    const shrinks = node.inPlace !== undefined && shrinkage(node, node.inPlace) > 0 && !node.op.inPlaceByChannel
    const spare = shrinks && live[i + 1] + bytesOf(node.outputs[0].type) <= peak
    const input = spare ? undefined : node.inPlace
    return input === graph.nodes[i].inPlace ? graph.nodes[i] : { ...node, inPlace: input }
  })
  return nodes.every((node, i) => node === graph.nodes[i]) ? graph : { ...graph, nodes }
}

/** Element by element. */
export const inPlace: Pass = (graph) => chosen(graph, false)

/** Also channel by channel: such loops keep a channel in scratch. */
export const inPlaceByChannel: Pass = (graph) => chosen(graph, true)
