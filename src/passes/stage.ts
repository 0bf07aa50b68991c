// Runs the first layers row by row instead of one after the other: each is computed in blocks of rows, as soon as the rows
// under them are there, and rows that nobody needs any more are gone. Nothing is computed twice. A layer with a window reads
// its rows from a splice of blocks; what later layers need whole is gathered where its blocks stand. The order is decided
// by need, so that residual connections, branches and several outputs are no special cases (MCUNetV2's stage, over rows
// instead of patches, with what Fused-layer CNN calls reuse; Lin et al. 2021, Alwani et al. 2016).

import { bug } from '../errors.ts'
import { bytesOf, type Graph, inputsOf, type Node, type Value } from '../ir/graph.ts'
import { liveBytes } from '../ir/live.ts'
import type { Rows } from '../ir/op.ts'
import { verify } from '../ir/verify.ts'
import { splice } from '../ops/shape/splice.ts'
import { inPlace } from './in_place.ts'

/** Where the input is: held in memory as a whole, or given row by row while the program runs. */
export type InputMode = 'held' | 'streamed'

/** Rows of a block that are tried. */
const SIZES = [1, 2, 4]

/** A staged graph: its first `nodes` nodes go by blocks of at least `rows` rows. */
export interface Staged {
  readonly graph: Graph
  readonly nodes: number
  readonly rows: number
}

function rowsOf(v: Value): number {
  return v.type.shape[1]
}

function isImage(v: Value): boolean {
  return v.type.shape.length === 4 && v.type.shape[0] === 1
}

/** The nodes from the start on that can go by rows. */
export function stageable(graph: Graph): number {
  const fits = (node: Node) =>
    node.outputs.length === 1 &&
    isImage(node.outputs[0]) &&
    !node.op.writesState &&
    node.op.rows?.(node, { from: 0, to: rowsOf(node.outputs[0]) }) !== undefined
  const end = graph.nodes.findIndex((node) => !fits(node))
  return end < 0 ? graph.nodes.length : end
}

class Stager {
  private readonly size: number
  private readonly arriving: Value | undefined
  private readonly producer = new Map<Value, Node>()
  private readonly blocks = new Map<Value, { value: Value; rows: Rows }[]>()
  readonly nodes: Node[] = []

  /** Blocks have at most `size` rows. */
  constructor(graph: Graph, count: number, size: number, input: InputMode) {
    this.size = size
    this.arriving = input === 'streamed' ? graph.inputs[0] : undefined
    for (const node of graph.nodes.slice(0, count)) this.producer.set(node.outputs[0], node)
  }

  private named(v: Value, what: string, shapeRows: number): Value {
    const shape = v.type.shape.map((d, i) => (i === 1 ? shapeRows : d))
    return { name: `${v.name}/${what}`, type: { ...v.type, shape }, storage: 'temp' }
  }

  /** Computes `v` up to row `to`. */
  ensure(v: Value, to: number): void {
    const node = this.producer.get(v)
    if (!node && v !== this.arriving) return
    const blocks = this.blocks.get(v) ?? []
    this.blocks.set(v, blocks)
    if (!node) {
      for (let row = blocks.at(-1)?.rows.to ?? 0; row < to; row++) this.receive(v, blocks, row)
      return
    }
    for (let from = blocks.at(-1)?.rows.to ?? 0; from < to; from = blocks.at(-1)!.rows.to)
      this.block(v, node, blocks, { from, to: Math.min(from + this.size, to) })
  }

  private block(v: Value, node: Node, blocks: { value: Value; rows: Rows }[], rows: Rows): void {
    const { from, to } = rows
    const part = node.op.rows!(node, rows) ?? bug(`${node.op.name} "${node.from}" has no rows ${from} to ${to}`)
    const inputs = node.inputs.map((x, i) => {
      const wanted = part.inputs[i]
      if (!x || !wanted) {
        if (x) this.ensure(x, isImage(x) ? rowsOf(x) : 0)
        return x && this.producer.has(x) ? this.window(x, { from: 0, to: rowsOf(x) }) : x
      }
      this.ensure(x, wanted.to)
      return this.window(x, wanted)
    })
    const value = this.named(v, `rows ${from}`, to - from)
    this.nodes.push({ ...node, attrs: part.attrs, inputs, outputs: [value], inPlace: undefined })
    blocks.push({ value, rows })
  }

  private receive(v: Value, blocks: { value: Value; rows: Rows }[], row: number): void {
    const value = this.named(v, `row ${row}`, 1)
    const attrs = { from: [row], rows: [1] }
    this.nodes.push({ op: splice, attrs, inputs: [v], outputs: [value], from: v.name, receives: true })
    blocks.push({ value, rows: { from: row, to: row + 1 } })
  }

  /** Some rows of a value as one tensor. */
  private window(v: Value, rows: Rows): Value {
    const blocks = this.blocks.get(v) ?? [{ value: v, rows: { from: 0, to: rowsOf(v) } }]
    const parts = blocks.filter((b) => b.rows.from < rows.to && b.rows.to > rows.from)
    const [first] = parts
    if (parts.length === 1 && first.rows.from === rows.from && first.rows.to === rows.to) return first.value
    const cut = parts.map((b) => ({ from: Math.max(b.rows.from, rows.from), to: Math.min(b.rows.to, rows.to) }))
    const views = cut.map((c, k) => ({
      value: parts[k].value,
      from: c.from - parts[k].rows.from,
      rows: c.to - c.from,
    }))
    return { ...this.named(v, `window ${rows.from}`, rows.to - rows.from), parts: views }
  }

  /** The whole value: where its blocks stand, if each begins at a word there, else a copy. */
  gather(v: Value): void {
    const blocks = this.blocks.get(v)!
    const words = blocks.every((b) => ((b.rows.from * bytesOf(v.type)) / rowsOf(v)) % 4 === 0)
    this.nodes.push({
      op: splice,
      attrs: { from: blocks.map(() => 0), rows: blocks.map((b) => b.rows.to - b.rows.from) },
      inputs: blocks.map((b) => b.value),
      outputs: [v],
      from: this.producer.get(v)!.from,
      ...(words && { gathers: true }),
    })
  }
}

/** The graph with its first `count` nodes by blocks of `rows` rows of what comes out of them. */
export function stageRows(graph: Graph, count: number, rows: number, input: InputMode = 'held'): Graph {
  const inside = new Set(graph.nodes.slice(0, count).flatMap((n) => n.outputs))
  const wanted = new Set<Value>(graph.nodes.slice(count).flatMap(inputsOf))
  for (const v of graph.outputs) wanted.add(v)
  const results = [...inside].filter((v) => wanted.has(v))
  const most = Math.max(...results.map(rowsOf))
  const stager = new Stager(graph, count, rows, input)
  const turns = Math.ceil(most / rows)
  for (let t = 1; t <= turns; t++)
    for (const v of results) stager.ensure(v, Math.min(rowsOf(v), Math.ceil((t * rows * rowsOf(v)) / most)))
  for (const v of results) stager.gather(v)
  const nodes = [...stager.nodes, ...graph.nodes.slice(count).map((n) => ({ ...n, inPlace: undefined }))]
  const whole = inPlace({ ...graph, nodes })
  // a block that will be gathered has its place already
  const placed = new Set(whole.nodes.flatMap((n) => (n.gathers ? inputsOf(n) : [])))
  return {
    ...whole,
    nodes: whole.nodes.map((n) =>
      n.inPlace !== undefined && (n.outputs.some((v) => placed.has(v)) || n.gathers) ? { ...n, inPlace: undefined } : n,
    ),
  }
}

/** Whether the graph's input is one image whose rows are whole words and no result. */
function canStream({ inputs, outputs }: Graph): boolean {
  const [image] = inputs
  return inputs.length === 1 && isImage(image) && !outputs.includes(image)
}

/** Stages that are nearly as good as the best by live bytes are compared by what they need in memory. */
const FINALISTS = 6

/**
 * Which of the first nodes to stage, and in blocks of how many rows, so that the least memory is needed: first by live bytes,
 * then by `bytesNeeded`, which places a graph's buffers. Undefined where no stage needs less than the graph as it is.
 */
export function stage(
  graph: Graph,
  input: InputMode = 'held',
  bytesNeeded: (graph: Graph) => number = (g) => Math.max(...liveBytes(g)),
): Staged | undefined {
  if (input === 'streamed' && !canStream(graph)) return undefined
  const found: (Staged & { readonly peak: number })[] = []
  const end = stageable(graph)
  for (let nodes = 1; nodes <= end; nodes++) {
    if (input === 'streamed' && graph.nodes.slice(nodes).some((n) => n.inputs.includes(graph.inputs[0]))) continue
    for (const rows of SIZES) {
      const staged = stageRows(graph, nodes, rows, input)
      found.push({ graph: staged, nodes, rows, peak: Math.max(...liveBytes(staged)) })
    }
  }
  const limit = input === 'held' ? Math.max(...liveBytes(graph)) : Number.POSITIVE_INFINITY
  const finalists = found
    .filter((f) => f.peak < limit)
    .sort((a, b) => a.peak - b.peak)
    .slice(0, FINALISTS)
  let best: { readonly staged: Staged; readonly bytes: number } | undefined
  for (const { peak: _, ...staged } of finalists) {
    const bytes = bytesNeeded(staged.graph)
    if (!best || bytes < best.bytes) best = { staged, bytes }
  }
  return best && { ...best.staged, graph: verify(best.staged.graph) }
}
