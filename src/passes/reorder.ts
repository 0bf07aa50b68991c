// Chooses the order of nodes with the least peak memory: exact recursion over the sets of executed nodes (Liberis & Lane
// 2019, arXiv:1910.05110). The search raises its limit from a lower bound until an order fits, so the first order found is
// optimal. A node that fits under the limit and leaves no more memory live than before is always run at once: any order
// that runs it later stays as good with it in front. The peak meant is the one after `inPlace`, which comes next.

import { bytesOf, type Graph, inputsOf, type Node, type Pass, type Value } from '../ir/graph.ts'
import { candidates, inPlace } from './in_place.ts'

/** Sets of nodes are bit masks: bit i is the node at place i of the given order. */
interface Work {
  readonly bit: bigint
  /** The nodes that must have run. */
  readonly needs: bigint
  readonly successors: readonly number[]
  /** Inputs that occupy the arena and are freed by their last reader: bytes and all readers. */
  readonly frees: readonly { readonly bytes: number; readonly readers: bigint }[]
  /** Bytes that appear while the node runs, scratch included, and those that stay afterwards. */
  readonly during: number
  readonly stays: number
  /** Output 0 costs `saves` bytes less where all readers of one of `takes` but this node have run. */
  readonly saves: number
  readonly takes: readonly bigint[]
}

interface Problem {
  readonly work: readonly Work[]
  readonly startBytes: number
  readonly all: bigint
  /** No order has a lower peak. */
  readonly bound: number
}

/** Nodes that must precede each node: producers of its inputs, and for state earlier readers before a writer before later ones. */
function predecessors(graph: Graph): Set<number>[] {
  const producer = new Map<Value, number>()
  const writer = new Map<Value, number>()
  const readersSince = new Map<Value, number[]>()
  return graph.nodes.map((node, i) => {
    const before = new Set<number>()
    for (const v of inputsOf(node)) {
      const from = producer.get(v) ?? writer.get(v)
      if (from !== undefined) before.add(from)
      readersSince.set(v, [...(readersSince.get(v) ?? []), i])
    }
    const target = node.op.writesState ? node.inputs[0] : undefined
    if (target) {
      for (const reader of readersSince.get(target) ?? []) if (reader !== i) before.add(reader)
      writer.set(target, i)
      readersSince.set(target, [])
    }
    for (const v of node.outputs) producer.set(v, i)
    return before
  })
}

function problemOf(graph: Graph, scratchBytes: (node: Node) => number): Problem {
  const bits = graph.nodes.map((_, i) => 1n << BigInt(i))
  const outputs = new Set(graph.outputs)
  const readers = new Map<Value, bigint>()
  graph.nodes.forEach((node, i) => {
    for (const v of inputsOf(node)) readers.set(v, (readers.get(v) ?? 0n) | bits[i])
  })
  const moving = new Set<Value>([...graph.inputs, ...graph.nodes.flatMap((node) => node.outputs)])
  const bytes = (values: Iterable<Value>) => [...values].reduce((sum, v) => sum + bytesOf(v.type), 0)
  const isKept = (v: Value) => outputs.has(v) || readers.has(v)

  const before = predecessors(graph)
  const successors: number[][] = graph.nodes.map(() => [])
  before.forEach((set, i) => {
    for (const p of set) successors[p].push(i)
  })

  let bound = bytes(new Set(graph.inputs))
  const work = graph.nodes.map((node, i): Work => {
    const inputs = [...new Set(inputsOf(node))].filter((v) => moving.has(v))
    const takes = candidates(node, outputs).map((k) => readers.get(node.inputs[k]!)! & ~bits[i])
    const during = bytes(node.outputs) + scratchBytes(node)
    const saves = takes.length > 0 ? bytesOf(node.outputs[0].type) : 0
    bound = Math.max(bound, bytes(inputs) + during - saves)
    return {
      bit: bits[i],
      needs: [...before[i]].reduce((mask, p) => mask | bits[p], 0n),
      successors: successors[i],
      frees: inputs
        .filter((v) => !outputs.has(v))
        .map((v) => ({ bytes: bytesOf(v.type), readers: readers.get(v)! })),
      during,
      stays: bytes(node.outputs.filter(isKept)),
      saves,
      takes,
    }
  })
  return {
    work,
    startBytes: bytes([...new Set(graph.inputs)].filter(isKept)),
    all: bits.reduce((mask, b) => mask | b, 0n),
    bound,
  }
}

/** Live bytes while a node runs, and afterwards. */
interface Cost {
  readonly during: number
  readonly after: number
}

/** The cost of running a node when the nodes `done` have run and `live` bytes are in use. */
function costOf(w: Work, done: bigint, live: number): Cost {
  const rest = ~(done | w.bit)
  let after = live + w.stays
  for (const v of w.frees) if ((v.readers & rest) === 0n) after -= v.bytes
  const taken = w.takes.some((others) => (others & ~done) === 0n)
  return { during: live + w.during - (taken ? w.saves : 0), after }
}

function peakOf(problem: Problem, order: readonly number[]): number {
  let [done, live, peak] = [0n, problem.startBytes, problem.bound]
  for (const i of order) {
    const cost = costOf(problem.work[i], done, live)
    peak = Math.max(peak, cost.during)
    live = cost.after
    done |= problem.work[i].bit
  }
  return peak
}

function readyAfter(problem: Problem, ready: readonly number[], done: bigint, i: number): number[] {
  const next = ready.filter((r) => r !== i)
  for (const s of problem.work[i].successors) if ((problem.work[s].needs & ~done) === 0n) next.push(s)
  return next.sort((a, b) => a - b)
}

function firstReady(problem: Problem): number[] {
  return problem.work.flatMap((w, i) => (w.needs === 0n ? [i] : []))
}

/** A list schedule: of the nodes that may run, always the cheapest; the earlier one on ties. */
function greedy(problem: Problem, compare: (a: Cost, b: Cost) => number): number[] {
  const order: number[] = []
  let [done, live, ready] = [0n, problem.startBytes, firstReady(problem)]
  while (ready.length > 0) {
    const costs = ready.map((i) => costOf(problem.work[i], done, live))
    const k = costs.reduce((best, c, j) => (compare(c, costs[best]) < 0 ? j : best), 0)
    const i = ready[k]
    live = costs[k].after
    done |= problem.work[i].bit
    ready = readyAfter(problem, ready, done, i)
    order.push(i)
  }
  return order
}

interface State {
  readonly done: bigint
  readonly live: number
  readonly ready: readonly number[]
  readonly ran?: number
  readonly parent?: State
}

function orderOf(state: State): number[] {
  const order: number[] = []
  for (let s: State | undefined = state; s?.ran !== undefined; s = s.parent) order.push(s.ran)
  return order.reverse()
}

/** The best order with a peak below `upper`; undefined where there is none, or none was found within `maxStates`. */
function search(problem: Problem, upper: number, maxStates: number): number[] | undefined {
  type Move = { readonly from: State; readonly node: number; readonly after: number }
  const seen = new Set<bigint>()
  const deferred = new Map<number, Move[]>()
  let limit = problem.bound
  const stack: State[] = [{ done: 0n, live: problem.startBytes, ready: firstReady(problem) }]

  const run = ({ from, node, after }: Move) => {
    const done = from.done | problem.work[node].bit
    if (seen.has(done)) return
    seen.add(done)
    stack.push({ done, live: after, ready: readyAfter(problem, from.ready, done, node), ran: node, parent: from })
  }

  while (seen.size <= maxStates) {
    const state = stack.pop()
    if (!state) {
      if (deferred.size === 0) return undefined
      limit = [...deferred.keys()].reduce((least, c) => Math.min(least, c))
      const moves = deferred.get(limit)!
      deferred.delete(limit)
      for (const move of moves.reverse()) run(move)
      continue
    }
    if (state.done === problem.all) return orderOf(state)
    const costs = state.ready.map((i) => costOf(problem.work[i], state.done, state.live))
    const safe = costs.findIndex((c) => c.during <= limit && c.after <= state.live)
    if (safe >= 0) {
      run({ from: state, node: state.ready[safe], after: costs[safe].after })
      continue
    }
    for (let k = costs.length - 1; k >= 0; k--) {
      const { during, after } = costs[k]
      const move = { from: state, node: state.ready[k], after }
      if (during <= limit) run(move)
      else if (during < upper) {
        const later = deferred.get(during)
        if (later) later.push(move)
        else deferred.set(during, [move])
      }
    }
  }
  return undefined
}

/** `reorder` for nodes that also need working space while they run. `maxStates` bounds the exact search. */
export function reorderWith(scratchBytes: (node: Node) => number, maxStates = 50_000): Pass {
  return (graph: Graph): Graph => {
    const problem = problemOf(graph, scratchBytes)
    const given = graph.nodes.map((_, i) => i)
    const givenPeak = peakOf(problem, given)
    let [best, bestPeak] = [given, givenPeak]
    const byAfter = (a: Cost, b: Cost) => a.after - b.after || a.during - b.during
    const byDuring = (a: Cost, b: Cost) => a.during - b.during || a.after - b.after
    for (const compare of [byAfter, byDuring]) {
      if (bestPeak === problem.bound) break
      const order = greedy(problem, compare)
      const peak = peakOf(problem, order)
      if (peak < bestPeak) [best, bestPeak] = [order, peak]
    }
    if (bestPeak > problem.bound) best = search(problem, bestPeak, maxStates) ?? best
    if (best === given) return graph
    const nodes = best.map((i): Node => ({ ...graph.nodes[i], inPlace: undefined }))
    const reordered = { ...graph, nodes }
    return graph.nodes.some((node) => node.inPlace !== undefined) ? inPlace(reordered) : reordered
  }
}

/** The order with the least peak; the given one where none is better. Works on graphs before or after `inPlace`. */
export const reorder: Pass = reorderWith(() => 0)
