// All orders in which a graph's nodes may run, found without the pass under test: the oracle for reordering.

import { type Graph, inputsOf, type Node } from '../../src/ir/graph.ts'

function mustPrecede(a: Node, b: Node): boolean {
  if (a.outputs.some((v) => inputsOf(b).includes(v))) return true
  const touches = (n: Node, of: Node) => of.op.writesState === true && inputsOf(n).includes(of.inputs[0]!)
  return touches(a, b) || touches(b, a)
}

/** Whether `order` has the nodes of `graph` and respects data and state. */
export function isOrderOf(graph: Graph, order: readonly Node[]): boolean {
  const place = new Map(order.map((n, i) => [n.outputs, i]))
  const at = (n: Node) => place.get(n.outputs) ?? -1
  return (
    place.size === graph.nodes.length &&
    graph.nodes.every(
      (a, i) => at(a) >= 0 && graph.nodes.slice(i + 1).every((b) => !mustPrecede(a, b) || at(a) < at(b)),
    )
  )
}

export function* ordersOf(graph: Graph): Generator<Graph> {
  const { nodes } = graph
  const before = nodes.map((b, j) => nodes.flatMap((a, i) => (i < j && mustPrecede(a, b) ? [i] : [])))
  const order: number[] = []
  function* extend(): Generator<Graph> {
    if (order.length === nodes.length) yield { ...graph, nodes: order.map((i) => nodes[i]) }
    for (let i = 0; i < nodes.length; i++) {
      if (order.includes(i) || !before[i].every((p) => order.includes(p))) continue
      order.push(i)
      yield* extend()
      order.pop()
    }
  }
  yield* extend()
}
