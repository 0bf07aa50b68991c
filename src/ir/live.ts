// When each value occupies memory, for a graph in its order: which buffers there are (a value that takes over another's
// buffer shares it), from which step to which they live, and how many bytes that makes at the fullest step.

import { bytesOf, type Graph, inputsOf, type Node, type Value, valuesRead } from './graph.ts'

/** From step `first` on the bytes `from` to `to` - 1 of a buffer are in use. */
export interface Span {
  readonly first: number
  readonly from: number
  readonly to: number
}

/** One buffer of the moving part of memory. Step -1 is before the first node, step `nodes.length` after the last. */
export interface Lifetime {
  /** The values that use it one after the other: each but the first takes over in place. */
  readonly values: readonly Value[]
  readonly bytes: number
  readonly first: number
  /** Inclusive. */
  readonly last: number
  /**
   * What is in use of it, each until the next, the first from step `first` on: what is gathered grows by its parts, an image
   * that is read by rows goes from its start, a value that takes over may be smaller.
   */
  readonly spans: readonly Span[]
  /** Values that are parts of it before the first of `values` is whole, and where they begin. */
  readonly parts: readonly { readonly value: Value; readonly offset: number }[]
}

export interface Peak {
  readonly bytes: number
  /** The step at which they are live, and its node; no node before the first and after the last. */
  readonly step: number
  readonly node: Node | undefined
}

/** Buffers of graph inputs and intermediate values, by their first step. Constants and state do not move and are not among them. */
export function lifetimes(graph: Graph): Lifetime[] {
  const end = graph.nodes.length
  const first = new Map<Value, number>()
  const last = new Map<Value, number>()
  const arriving = new Set(graph.nodes.flatMap((n) => (n.receives ? inputsOf(n) : [])))
  for (const v of graph.inputs) if (!arriving.has(v)) first.set(v, -1)
  graph.nodes.forEach((node, i) => {
    for (const v of valuesRead(node)) if (!arriving.has(v)) last.set(v, i)
    for (const v of node.outputs) first.set(v, i)
  })
  for (const v of graph.outputs) last.set(v, end)

  const chainOf = new Map<Value, Value[]>()
  for (const v of first.keys()) chainOf.set(v, [v])
  for (const node of graph.nodes) {
    const v = node.inPlace === undefined ? undefined : node.inputs[node.inPlace]
    const chain = v && chainOf.get(v)
    if (!chain) continue
    chain.push(node.outputs[0])
    chainOf.set(node.outputs[0], chain)
  }

  const partsOf = new Map<Value, Lifetime['parts']>()
  const gathered = new Set<Value>()
  for (const node of graph.nodes) {
    if (!node.gathers) continue
    let offset = 0
    const parts = inputsOf(node).map((value) => {
      const part = { value, offset }
      offset += bytesOf(value.type)
      gathered.add(value)
      return part
    })
    partsOf.set(node.outputs[0], parts)
  }

  const rows = rowsLeft(graph)
  return [...new Set(chainOf.values())].flatMap((values): Lifetime[] => {
    const [head] = values
    if (gathered.has(head)) return []
    const parts = partsOf.get(head) ?? []
    const bytes = bytesOf(head.type)
    const from = Math.min(first.get(head)!, ...parts.map((p) => first.get(p.value)!))
    const spans: Span[] = [{ first: from, from: 0, to: parts.length > 0 ? 0 : bytes }]
    const next = (step: number, from: number, to: number) => {
      if (spans[spans.length - 1].first === step) spans.pop()
      spans.push({ first: step, from, to })
    }
    for (const { value, offset } of [...parts].sort((p, q) => p.offset - q.offset))
      next(Math.max(first.get(value)!, spans[spans.length - 1].first), 0, offset + bytesOf(value.type))
    for (const v of values.slice(1)) {
      const { to } = spans[spans.length - 1]
      if (bytesOf(v.type) < to) next(first.get(v)! + 1, 0, bytesOf(v.type))
    }
    const tail = values[values.length - 1]
    for (const { step, from } of rows.get(tail) ?? []) next(step, from, spans[spans.length - 1].to)
    return [{ values, bytes, first: from, last: Math.max(last.get(tail) ?? -1, first.get(tail)!), spans, parts }]
  })
}

/**
 * For images that are only read by rows: from which steps on how many bytes of their start are no longer read, in order.
 */
function rowsLeft({ nodes, outputs }: Graph): Map<Value, { readonly step: number; readonly from: number }[]> {
  const whole = new Set<Value>([...outputs, ...nodes.flatMap(inputsOf)])
  const lowest = new Map<Value, number>()
  const left = new Map<Value, { step: number; from: number }[]>()
  for (let i = nodes.length - 1; i >= 0; i--) {
    const parts = inputsOf(nodes[i]).flatMap((v) => v.parts ?? [])
    for (const v of new Set(parts.map((p) => p.value))) {
      const from = parts.reduce(
        (least, p) => (p.value === v ? Math.min(least, p.from) : least),
        Number.POSITIVE_INFINITY,
      )
      const known = lowest.get(v)
      if (whole.has(v) || (known !== undefined && from >= known)) continue
      lowest.set(v, from)
      const steps = left.get(v) ?? []
      left.set(v, steps)
      if (known !== undefined) steps.push({ step: i + 1, from: (known * bytesOf(v.type)) / v.type.shape[1] })
    }
  }
  for (const steps of left.values()) steps.reverse()
  return left
}

/** Live bytes at each step, step -1 first. `sizeOf` may round sizes up; `scratchBytes` is working space that lives during its node. */
export function liveBytes(
  graph: Graph,
  scratchBytes: (node: Node) => number = () => 0,
  sizeOf: (bytes: number) => number = (bytes) => bytes,
): number[] {
  const change = new Array<number>(graph.nodes.length + 3).fill(0)
  for (const { spans, last } of lifetimes(graph))
    spans.forEach((s, k) => {
      const bytes = sizeOf(s.to - s.from)
      change[s.first + 1] += bytes
      change[(spans[k + 1]?.first ?? last + 1) + 1] -= bytes
    })
  let live = 0
  return change.slice(0, -1).map((d, k) => {
    live += d
    const node = graph.nodes[k - 1]
    return live + (node ? sizeOf(scratchBytes(node)) : 0)
  })
}

/** The fullest step: no placement of this graph in this order needs less. The first one where several are equal. */
export function peak(graph: Graph, scratchBytes?: (node: Node) => number): Peak {
  const live = liveBytes(graph, scratchBytes)
  const k = live.reduce((best, bytes, i) => (bytes > live[best] ? i : best), 0)
  return { bytes: live[k], step: k - 1, node: graph.nodes[k - 1] }
}

/** Without the nodes whose results nobody reads, from the end backwards. Nodes that write state are read by the next run. */
export function withoutUnread(graph: Graph): Graph {
  const needed = new Set<Value>(graph.outputs)
  const kept = [...graph.nodes].reverse().filter((node) => {
    if (!node.op.writesState && !node.outputs.some((v) => needed.has(v))) return false
    for (const v of valuesRead(node)) needed.add(v)
    return true
  })
  return kept.length === graph.nodes.length ? graph : { ...graph, nodes: kept.reverse() }
}
