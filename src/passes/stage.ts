// Chooses which layers go piece by piece, and how, so that the least memory is needed: runs of layers between whole images,
// each by rows, in strips of columns or in patches (see `pieces`). Which runs is found exactly for a peak that no step may
// exceed, by dynamic programming over the nodes; the least such peak by bisection. What it costs is compared by a price:
// multiply-accumulates, bytes that kernels gather, calls.

import type { Graph, Node, Value } from '../ir/graph.ts'
import { bytesOf, inputsOf, isPacked, valuesRead } from '../ir/graph.ts'
import { liveBytes } from '../ir/live.ts'
import { verify } from '../ir/verify.ts'
import { inPlaceByChannel } from './in_place.ts'
import { type Form, type InputMode, isImage, resultsOf, type Segment, unroll } from './pieces.ts'

/** A run of layers that goes piece by piece: the `layers` nodes from `first` on. */
export interface Stage {
  /** `rows`: nothing is computed twice. `strips` of columns, by rows in each; `patches`: rectangles. */
  readonly kind: 'rows' | 'strips' | 'patches'
  readonly first: number
  readonly layers: number
  /** Strips or patches; blocks of rows of its last layer. */
  readonly count: number
  /** Multiply-accumulates that are computed again. */
  readonly extraMacs: number
}

/** A staged graph. */
export interface Staged {
  readonly graph: Graph
  readonly stages: readonly Stage[]
}

export interface StageOptions {
  readonly input?: InputMode
  /** `patches`: only these, of `grid` [down, across] where that is given; `any` (default): what needs the least memory. */
  readonly kind?: 'any' | 'rows' | 'patches'
  readonly grid?: readonly [number, number]
  /** Bytes of memory to fit; the cheapest way that fits them is taken. */
  readonly sram?: number
  /** Multiply-accumulates of a staged program, as a multiple of the model's. Default 1.1. */
  readonly maxRecompute?: number
  /** Places a graph's buffers and says what they need. Default: the largest sum of live bytes. */
  readonly bytesNeeded?: (graph: Graph) => number
}

const ROWS: Form = { across: 1, down: 0 }
/** What is tried beside rows, where these alone do not reach the peak. */
const OTHERS: readonly Form[] = [
  ...[2, 3, 4, 6].map((across) => ({ across, down: 0 })),
  ...[2, 3, 4].map((n) => ({ across: n, down: n })),
]
/** Nodes of a run that does not begin at the model's input. */
const LENGTH = 8
/** Blocks of so many rows are tried where a layer gathers its rows again and again. */
const BLOCKS = [2, 4]
/** A staged program costs so much at most, where that can be had. */
const LIMIT = 1.04
/** Steps by which the peak is raised to reach the limit. */
const STEP = 1.03
const TRIES = 6
/** What is computed again must save so much. */
const CLEAR = 0.97

/** About the instructions of a node: gathering a byte takes two, a call and its checks sixty; tiles have four pixels. */
function priceOf(node: Node): number {
  const gathered = inputsOf(node).reduce((n, v) => n + (v.storage === 'const' ? 0 : bytesOf(v.type)), 0)
  const { macs } = node.op.cost(node)
  if (node.outputs.length === 0) return macs + 2 * gathered + 60
  if (node.gathers || node.receives) return 0
  const [, H, W] = node.outputs[0].type.shape
  const pixels = isImage(node.outputs[0]) ? H * W : 1
  const rest = pixels > 1 ? (4 - (pixels % 4)) % 4 : 0
  return macs * (1 + rest / (2 * pixels)) + 2 * gathered + 60
}

function macsOf(nodes: readonly Node[]): number {
  return nodes.reduce((n, node) => n + node.op.cost(node).macs, 0)
}

const sum = (nodes: readonly Node[]) => nodes.reduce((n, node) => n + priceOf(node), 0)

/** Whether a node can go by pieces of any size. */
export function divisible(node: Node): boolean {
  const [y] = node.outputs
  if (node.outputs.length !== 1 || !isImage(y) || node.op.writesState || !node.op.region) return false
  // a row of packed elements may begin within a byte
  if ([...inputsOf(node), y].some((v) => isPacked(v.type))) return false
  const [, H, W] = y.type.shape
  const some = (rows: number, columns: number, of: (i: number) => { from: number; to: number }[]) =>
    Array.from({ length: Math.max(rows, columns) }, (_, i) => of(i)).every(
      ([r, c]) => node.op.region!(node, { rows: r, columns: c }) !== undefined,
    )
  const one = (i: number) => ({ from: i, to: i + 1 })
  return some(H, 1, (i) => [one(i), { from: 0, to: W }]) && some(1, W, (i) => [{ from: 0, to: H }, one(i)])
}

/** A run and what it takes. */
interface Run {
  readonly segment: Segment
  readonly peak: number
  readonly price: number
  readonly macs: number
}

class Planner {
  readonly graph: Graph
  readonly input: InputMode
  readonly plain: readonly number[]
  private readonly divisible: readonly boolean[]
  private readonly forms: readonly Form[]
  private readonly allowance: number
  private readonly runs = new Map<string, Run>()
  /** Where a form computes too much again. */
  private readonly tooFar = new Map<Form, number>()

  constructor(graph: Graph, forms: readonly Form[], { input = 'held', maxRecompute = 1.1 }: StageOptions) {
    this.graph = graph
    this.input = input
    this.forms = forms
    this.plain = liveBytes(inPlaceByChannel(graph)).slice(1)
    this.divisible = graph.nodes.map(divisible)
    this.allowance = (maxRecompute - 1) * macsOf(graph.nodes)
  }

  /** Nodes `from` to `to` - 1 as a graph of their own; what passes by stays alive. */
  private part(from: number, to: number): Graph {
    const { nodes, inputs, outputs } = this.graph
    const before = new Set<Value>([...inputs, ...nodes.slice(0, from).flatMap((n) => n.outputs)])
    const later = new Set<Value>([...nodes.slice(to).flatMap(valuesRead), ...outputs])
    const read = new Set(nodes.slice(from, to).flatMap(valuesRead))
    const held = [...before].filter((v) => v.storage === 'temp' && (later.has(v) || read.has(v)))
    return {
      name: this.graph.name,
      inputs: held,
      nodes: nodes.slice(from, to),
      outputs: [...held.filter((v) => later.has(v)), ...resultsOf(this.graph, from, to)],
    }
  }

  measure(segment: Segment): Run {
    const { from, to } = segment
    const part = this.part(from, to)
    const input = from === 0 ? this.input : 'held'
    const { nodes, ...rest } = unroll(part, [{ ...segment, from: 0, to: to - from }], input)
    const whole = part.nodes
    return {
      segment,
      peak: Math.max(...liveBytes({ nodes, ...rest })),
      price: sum(nodes) - sum(whole),
      macs: macsOf(nodes) - macsOf(whole),
    }
  }

  private run(from: number, to: number, form: Form): Run {
    const key = `${from} ${to} ${form.across} ${form.down}`
    const known = this.runs.get(key)
    if (known) return known
    const run = this.measure({ from, to, ...form })
    this.runs.set(key, run)
    return run
  }

  private endOf(form: Form): number {
    return this.tooFar.get(form) ?? Number.POSITIVE_INFINITY
  }

  /** Bytes alive while the last piece of nodes 0 to `to` - 1 is computed: the input, and what comes out. */
  private ends(to: number): number {
    const { inputs } = this.graph
    return [...inputs, ...resultsOf(this.graph, 0, to)].reduce((n, v) => n + bytesOf(v.type), 0)
  }

  /** The cheapest runs with which no step has more than `limit` bytes alive, or undefined. */
  choose(limit: number): Run[] | undefined {
    const { nodes, inputs } = this.graph
    const streamed = this.input === 'streamed'
    const best: ({ readonly price: number; readonly macs: number; readonly runs: readonly Run[] } | undefined)[] = [
      { price: 0, macs: 0, runs: [] },
    ]
    const better = (to: number, price: number, macs: number, runs: readonly Run[]) => {
      if (macs <= this.allowance && price < (best[to]?.price ?? Number.POSITIVE_INFINITY))
        best[to] = { price, macs, runs }
    }
    for (let from = 0; from < nodes.length; from++) {
      const at = best[from]
      if (!at) continue
      if (this.plain[from] <= limit && !(streamed && from === 0)) better(from + 1, at.price, at.macs, at.runs)
      let needed = streamed && from === 0
      const end = from === 0 ? nodes.length : Math.min(nodes.length, from + LENGTH)
      for (let to = from + 1; to <= end && this.divisible[to - 1]; to++) {
        needed ||= this.plain[to - 1] > limit
        if (!needed || (streamed && from === 0 && nodes.slice(to).some((n) => n.inputs.includes(inputs[0])))) continue
        for (const form of this.forms) {
          // rows first: what else there is is tried at the image's side
          const again = form !== ROWS
          if (again && this.forms[0] === ROWS && (from > 0 || streamed)) continue
          if (again && from === 0 && (to > this.endOf(form) || this.ends(to) > limit)) continue
          const run = this.run(from, to, form)
          if (again && from === 0 && run.macs > this.allowance) this.tooFar.set(form, to)
          if (run.peak > limit || run.macs > this.allowance) continue
          better(to, at.price + run.price, at.macs + run.macs, [...at.runs, run])
          break
        }
      }
    }
    return best[nodes.length] && [...best[nodes.length]!.runs]
  }

  /** The runs with larger blocks where these make them cheaper and `limit` allows it: first what saves the most. */
  enlarge(runs: readonly Run[], limit: number, price: number): Run[] {
    let left = runs.reduce((n, r) => n + r.price, 0) - price
    return runs.map((run) => {
      const { segment } = run
      if (segment.down > 0) return run
      const rows = new Map<Value, number>()
      let now = run
      const tried = new Set<string>()
      for (;;) {
        if (left <= 0) return now
        let best: { readonly v: Value; readonly size: number; readonly run: Run } | undefined
        for (const node of this.graph.nodes.slice(segment.from, segment.to)) {
          const [v] = node.outputs
          const size = BLOCKS.find((b) => b > (rows.get(v) ?? 1))
          if (!size || tried.has(`${v.name} ${size}`) || !gains(node, size)) continue
          const sizes = new Map(rows).set(v, size)
          const larger = this.measure({ ...segment, rows: (x) => sizes.get(x) ?? 1 })
          if (larger.peak > limit || larger.price >= now.price) tried.add(`${v.name} ${size}`)
          else if (!best || larger.price < best.run.price) best = { v, size, run: larger }
        }
        if (!best) return now
        left -= now.price - best.run.price
        rows.set(best.v, best.size)
        now = best.run
      }
    })
  }
}

/** Whether a block of `rows` rows reads fewer rows than so many blocks of one, or makes whole tiles. */
function gains(node: Node, rows: number): boolean {
  const [, H, W] = node.outputs[0].type.shape
  const middle = Math.floor((H - rows) / 2)
  if (middle < 0) return false
  if (W % 4 !== 0) return true
  const read = (n: number) =>
    node.op.region!(node, { rows: { from: middle, to: middle + n }, columns: { from: 0, to: W } })!.inputs.reduce(
      (all, r) => all + (r ? r.rows.to - r.rows.from : 0),
      0,
    )
  return read(rows) < rows * read(1)
}

/** Whether the model's input is one image that is no result; a training step has other inputs besides. */
function canStream({ inputs, outputs, learns }: Graph): boolean {
  const [image] = inputs
  return (learns?.inputs ?? inputs.length) === 1 && isImage(image) && !outputs.includes(image)
}

/** The first nodes that can go by pieces. */
export function stageable(graph: Graph): number {
  const end = graph.nodes.findIndex((node) => !divisible(node))
  return end < 0 ? graph.nodes.length : end
}

function stageOf(graph: Graph, { segment, macs }: Run): Stage {
  const { from, to, across, down } = segment
  const last = graph.nodes[to - 1].outputs[0]
  const kind = down > 0 ? 'patches' : across > 1 ? 'strips' : 'rows'
  const rows = Math.ceil(last.type.shape[1] / (segment.rows?.(last) ?? 1))
  return {
    kind,
    first: from,
    layers: to - from,
    count: kind === 'rows' ? rows : across * Math.max(1, down),
    extraMacs: macs,
  }
}

interface Candidate extends Staged {
  readonly bytes: number
  /** As a multiple of the graph's as it is. */
  readonly price: number
}

/** The smallest number from `above` + 1 to `below` that will do, within 0.4%, if `below` does. */
function least(above: number, below: number, does: (limit: number) => boolean): number | undefined {
  if (!does(below)) return undefined
  let [low, high] = [above, below]
  while (high - low > Math.max(1, high / 256)) {
    const middle = Math.floor((low + high) / 2)
    if (does(middle)) high = middle
    else low = middle
  }
  return high
}

/**
 * The graph with layers piece by piece where that takes the least memory, or the cheapest way that fits `sram`; rows before
 * what is computed again. Undefined where nothing needs less than the graph as it is, or a streamed input cannot be taken
 * by rows.
 */
export function stage(graph: Graph, options: StageOptions = {}): Staged | undefined {
  const { input = 'held', kind = 'any', grid, sram } = options
  const bytesNeeded = options.bytesNeeded ?? ((g: Graph) => Math.max(...liveBytes(g)))
  if (input === 'streamed' && !canStream(graph)) return undefined
  const patches = grid ? [{ down: grid[0], across: grid[1] }] : OTHERS.filter((f) => f.down > 0)
  const stands = { rows: [[ROWS]], patches: [patches], any: [[ROWS], [ROWS, ...OTHERS]] }[kind]
  const price = sum(graph.nodes)

  const attempt = (planner: Planner, limit: number): Candidate | undefined => {
    const chosen = planner.choose(limit)
    if (!chosen?.length) return undefined
    const runs = planner.enlarge(chosen, limit, (LIMIT - 1) * price)
    const unrolled = unroll(
      graph,
      runs.map((r) => r.segment),
      input,
    )
    return {
      graph: unrolled,
      stages: runs.map((r) => stageOf(graph, r)),
      bytes: bytesNeeded(unrolled),
      price: runs.reduce((n, r) => n + r.price, price) / price,
    }
  }
  const fits = (c: Candidate | undefined) => c !== undefined && sram !== undefined && c.bytes <= sram

  let best: Candidate | undefined
  for (const forms of stands) {
    const planner = new Planner(graph, forms, options)
    const whole = Math.max(...planner.plain)
    for (let k = 0, limit = sram ?? 0; k < TRIES && limit > 0 && !fits(best); k++, limit = Math.floor(limit / STEP)) {
      const found = attempt(planner, limit)
      if (fits(found)) best = found
    }
    if (fits(best)) break
    const below = best ? Math.floor(best.bytes * CLEAR) : input === 'streamed' ? 4 * whole : whole - 1
    let own: Candidate | undefined
    let limit = least(0, below, (n) => planner.choose(n) !== undefined)
    for (let k = 0; k < TRIES && limit !== undefined; k++, limit = Math.floor(limit * STEP)) {
      const found = attempt(planner, limit)
      if (found && (!own || found.price < own.price)) own = found
      if (!own || own.price <= LIMIT) break
    }
    if (own && (!best || own.bytes < best.bytes * CLEAR)) best = own
  }
  return best && { graph: verify(best.graph), stages: best.stages }
}
