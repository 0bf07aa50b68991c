// Chooses the order of nodes with the least peak memory: exact recursion over the sets of executed nodes (Liberis & Lane
// 2019, arXiv:1910.05110). The search raises its limit from a lower bound until an order fits, so the first order found is
// optimal. A node that fits under the limit and leaves no more memory live than before is always run at once: any order
// that runs it later stays as good with it in front. A beam search comes first: its result bounds the exact one and stands
// where that takes too long. The peak meant is the one after `inPlace`, which comes next.

import { bytesOf, type Graph, inputsOf, type Learns, type Node, type Pass, type Value } from '../ir/graph.ts'
import { Xorshift32 } from '../ir/random.ts'
import { candidates, inPlace } from './in_place.ts'

const BEAM = 32

/** Sets of nodes are bit masks: bit i is the node at place i of the given order. */
interface Work {
  readonly bit: bigint
  readonly hash: number
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
  const all = graph.nodes.map((node, i) => {
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
  if (graph.learns) judgedFirst(graph, graph.learns, all, producer)
  return all
}

/** A training step: the model's outputs and its own memory are there before the loss, and updates come after it. */
function judgedFirst(graph: Graph, learns: Learns, before: Set<number>[], producer: ReadonlyMap<Value, number>): void {
  const [loss, ...others] = graph.outputs.map((v) => producer.get(v))
  if (loss === undefined) return
  const backward = new Set<number>()
  const updated = new Set<Value>()
  graph.nodes.forEach((node, i) => {
    if (i !== loss && ![...before[i]].some((p) => p === loss || backward.has(p))) return
    backward.add(i)
    if (i !== loss) for (const v of inputsOf(node)) updated.add(v)
  })
  const own = new Set<number>()
  const include = (i: number) => {
    if (own.has(i)) return
    own.add(i)
    before[i].forEach(include)
  }
  for (const i of others.slice(0, learns.outputs)) if (i !== undefined) include(i)
  const leading = new Set<number>()
  const lead = (i: number) => {
    if (leading.has(i)) return
    leading.add(i)
    before[i].forEach(lead)
  }
  lead(loss)
  graph.nodes.forEach(({ op, inputs }, i) => {
    if (!op.writesState || backward.has(i)) return
    if (updated.has(inputs[0]!) && !leading.has(i)) before[i].add(loss)
    else include(i)
  })
  for (const i of own) if (i !== loss) before[loss].add(i)
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

  const random = new Xorshift32(1)
  let bound = bytes(new Set(graph.inputs))
  const work = graph.nodes.map((node, i): Work => {
    const inputs = [...new Set(inputsOf(node))].filter((v) => moving.has(v))
    const takes = candidates(node, outputs).map((k) => readers.get(node.inputs[k]!)! & ~bits[i])
    const during = bytes(node.outputs) + scratchBytes(node)
    const saves = takes.length > 0 ? bytesOf(node.outputs[0].type) : 0
    bound = Math.max(bound, bytes(inputs) + during - saves)
    return {
      bit: bits[i],
      hash: random.next(),
      needs: [...before[i]].reduce((mask, p) => mask | bits[p], 0n),
      successors: successors[i],
      frees: inputs.filter((v) => !outputs.has(v)).map((v) => ({ bytes: bytesOf(v.type), readers: readers.get(v)! })),
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

/** Of the given order. */
function peakOf(problem: Problem): number {
  let [done, live, peak] = [0n, problem.startBytes, problem.bound]
  for (const w of problem.work) {
    const cost = costOf(w, done, live)
    peak = Math.max(peak, cost.during)
    live = cost.after
    done |= w.bit
  }
  return peak
}

/** A set of executed nodes on the way of one order. */
interface State {
  readonly done: bigint
  /** Zobrist hash of `done`: engines hash only the low word of a bigint. */
  readonly hash: number
  readonly live: number
  readonly peak: number
  readonly ready: readonly number[]
  readonly ran?: number
  readonly parent?: State
}

/** One node run from a state; `done` and `hash` as they are then. */
interface Move {
  readonly from: State
  readonly node: number
  readonly cost: Cost
  readonly done: bigint
  readonly hash: number
}

function start(problem: Problem): State {
  const ready = problem.work.flatMap((w, i) => (w.needs === 0n ? [i] : []))
  return { done: 0n, hash: 0, live: problem.startBytes, peak: problem.bound, ready }
}

/** What may run next, in the given order; only the first node that is safe to run at once, if there is one. */
function movesFrom(problem: Problem, from: State, limit: number): Move[] {
  const moves = from.ready.map((node): Move => {
    const w = problem.work[node]
    const cost = costOf(w, from.done, from.live)
    return { from, node, cost, done: from.done | w.bit, hash: from.hash ^ w.hash }
  })
  const safe = moves.find(({ cost }) => cost.during <= limit && cost.after <= from.live)
  return safe ? [safe] : moves
}

function peakAfter({ from, cost }: Move): number {
  return Math.max(from.peak, cost.during)
}

function run(problem: Problem, move: Move): State {
  const { from, node, done, hash, cost } = move
  const ready = from.ready.filter((r) => r !== node)
  for (const s of problem.work[node].successors) if ((problem.work[s].needs & ~done) === 0n) ready.push(s)
  ready.sort((a, b) => a - b)
  return { done, hash, live: cost.after, peak: peakAfter(move), ready, ran: node, parent: from }
}

class NodeSets {
  private readonly byHash = new Map<number, bigint[]>()

  /** False if it is in the set already. */
  add({ done, hash }: Move): boolean {
    const alike = this.byHash.get(hash)
    if (!alike) this.byHash.set(hash, [done])
    else if (alike.includes(done)) return false
    else alike.push(done)
    return true
  }
}

function orderOf(state: State): number[] {
  const order: number[] = []
  for (let s: State | undefined = state; s?.ran !== undefined; s = s.parent) order.push(s.ran)
  return order.reverse()
}

/** A good order soon: keeps the `width` best sets of each size. */
function beam(problem: Problem, width: number): State {
  let level = [start(problem)]
  for (let n = 0; n < problem.work.length; n++) {
    const known = new NodeSets()
    level = level
      .flatMap((s) => movesFrom(problem, s, s.peak))
      .sort((a, b) => peakAfter(a) - peakAfter(b) || a.cost.after - b.cost.after)
      .filter((move) => known.add(move))
      .slice(0, width)
      .map((move) => run(problem, move))
  }
  return level[0]
}

/** The best order with a peak below `upper`; undefined where there is none, or none was found within `effort` moves. */
function search(problem: Problem, upper: number, effort: number): State | undefined {
  const seen = new NodeSets()
  const deferred = new Map<number, Move[]>()
  const stack = [start(problem)]
  let limit = problem.bound
  let looked = 0

  const enter = (move: Move) => {
    if (seen.add(move)) stack.push(run(problem, move))
  }
  while (looked < effort) {
    const state = stack.pop()
    if (!state) {
      if (deferred.size === 0) return undefined
      limit = [...deferred.keys()].reduce((least, c) => Math.min(least, c))
      const affordable = deferred.get(limit)!
      deferred.delete(limit)
      for (const move of affordable.reverse()) enter(move)
      continue
    }
    if (state.done === problem.all) return state
    const moves = movesFrom(problem, state, limit)
    looked += state.ready.length
    for (const move of moves.reverse()) {
      if (move.cost.during <= limit) enter(move)
      else if (move.cost.during < upper) {
        const later = deferred.get(move.cost.during)
        if (later) later.push(move)
        else deferred.set(move.cost.during, [move])
      }
    }
  }
  return undefined
}

/** `reorder` for nodes that also need working space while they run. `effort` bounds the exact search, in moves looked at. */
export function reorderWith(scratchBytes: (node: Node) => number, effort = 100_000): Pass {
  return (graph: Graph): Graph => {
    const problem = problemOf(graph, scratchBytes)
    const givenPeak = peakOf(problem)
    if (givenPeak === problem.bound) return graph
    const near = beam(problem, BEAM)
    const upper = Math.min(givenPeak, near.peak)
    const exact = upper > problem.bound ? search(problem, upper, effort) : undefined
    const best = exact ?? near
    if (best.peak >= givenPeak) return graph
    const nodes = orderOf(best).map((i): Node => {
      const node = graph.nodes[i]
      return node.inPlace === undefined ? node : { ...node, inPlace: undefined }
    })
    const reordered = { ...graph, nodes }
    return graph.nodes.some((node) => node.inPlace !== undefined) ? inPlace(reordered) : reordered
  }
}

/** The order with the least peak; the given one where none is better. Works on graphs before or after `inPlace`. */
export const reorder: Pass = reorderWith(() => 0)
