// Unrolls runs of layers into nodes of the same operators on pieces of their images. By rows: each layer in blocks of rows,
// as soon as the rows under them are there; rows that nobody needs any more are gone, and nothing is computed twice
// (Fused-layer CNN; Alwani et al. 2016). By patches: a rectangle of the results at a time, its layers one after the other,
// with what surrounds it computed anew (MCUNetV2; Lin et al. 2021). Between the two, strips of columns go by rows. The order
// is decided by need, so that residual connections, branches and several results are no special cases.

import { bug } from '../errors.ts'
import { bytesOf, type Graph, inputsOf, type Node, type Pass, type Value } from '../ir/graph.ts'
import type { Range, Region } from '../ir/op.ts'
import { paste } from '../ops/shape/paste.ts'
import { splice } from '../ops/shape/splice.ts'
import { slice } from '../ops/slice/op.ts'
import { inPlaceByChannel } from './in_place.ts'

/** Where the input is: held in memory as a whole, or given row by row while the program runs. */
export type InputMode = 'held' | 'streamed'

/** How layers go: in `across` strips of columns; each by blocks of rows, or in `down` patches where that is not 0. */
export interface Form {
  readonly across: number
  readonly down: number
  /** Rows of a block of each layer's output, 1 where nothing is said. */
  readonly rows?: (v: Value) => number
}

/** Nodes `from` to `to` - 1 of a graph, and how they go. */
export interface Segment extends Form {
  readonly from: number
  readonly to: number
}

interface Block {
  readonly value: Value
  readonly rows: Range
}

export function isImage(v: Value): boolean {
  return v.type.shape.length === 4 && v.type.shape[0] === 1
}

function whole({ type: { shape } }: Value): Region {
  return { rows: { from: 0, to: shape[1] }, columns: { from: 0, to: shape[2] } }
}

const size = ({ from, to }: Range) => to - from
const same = (a: Range, b: Range) => a.from === b.from && a.to === b.to
const hull = (a: Range, b: Range): Range => ({ from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) })
const common = (a: Range, b: Range): Range => ({ from: Math.max(a.from, b.from), to: Math.min(a.to, b.to) })
/** The part `i` of `n` about equal ones. */
const share = (extent: number, i: number, n: number): Range => ({
  from: Math.floor((i * extent) / n),
  to: Math.floor(((i + 1) * extent) / n),
})

/** The values of some nodes that are read elsewhere, or results of the graph. */
export function resultsOf({ nodes, outputs }: Graph, from: number, to: number): Value[] {
  const wanted = new Set<Value>([...nodes.slice(0, from), ...nodes.slice(to)].flatMap(inputsOf))
  for (const v of outputs) wanted.add(v)
  return nodes.slice(from, to).flatMap((n) => n.outputs.filter((v) => wanted.has(v)))
}

/** One rectangle of the results, with what it takes of each value. */
class Piece {
  private readonly form: Form
  private readonly name: string
  private readonly producer: ReadonlyMap<Value, Node>
  private readonly arriving: Value | undefined
  private readonly need = new Map<Value, Region>()
  private readonly blocks = new Map<Value, Block[]>()
  private readonly crops = new Map<string, Block[]>()
  private readonly nodes: Node[]

  /** `own`: what is wanted of the results. Nodes are appended to `nodes`. */
  constructor(
    form: Form,
    name: string,
    producer: ReadonlyMap<Value, Node>,
    own: ReadonlyMap<Value, Region>,
    arriving: Value | undefined,
    nodes: Node[],
  ) {
    this.form = form
    this.name = name
    this.producer = producer
    this.arriving = arriving
    this.nodes = nodes
    const want = (v: Value, r: Region) => {
      const all = this.need.get(v) ?? r
      this.need.set(v, { rows: hull(all.rows, r.rows), columns: hull(all.columns, r.columns) })
    }
    for (const [v, r] of own) want(v, r)
    for (const node of [...producer.values()].reverse()) {
      const out = this.need.get(node.outputs[0])
      const part = out && this.partOf(node, out)
      for (const [i, x] of node.inputs.entries())
        if (part && x && x.storage !== 'const' && isImage(x)) want(x, part.inputs[i] ?? whole(x))
    }
  }

  private partOf(node: Node, out: Region) {
    const { rows, columns } = out
    const part = node.op.region!(node, out)
    return (
      part ?? bug(`${node.op.name} "${node.from}" has no rows ${rows.from} to ${rows.to}, columns ${columns.from} on`)
    )
  }

  private named(v: Value, what: string, { rows, columns }: Region): Value {
    const [N, , , C] = v.type.shape
    const type = { ...v.type, shape: [N, size(rows), size(columns), C] }
    return { name: `${v.name}/${this.name}${what} ${rows.from}`, type, storage: 'temp' }
  }

  /** Computes `v` up to row `to`: the next of its rows as one block where it goes by patches. */
  ensure(v: Value, to: number): void {
    const node = this.producer.get(v)
    const need = this.need.get(v)
    if (!need || (!node && v !== this.arriving)) return
    const blocks = this.blocksOf(v)
    const rows = this.form.down > 0 ? Number.POSITIVE_INFINITY : (this.form.rows?.(v) ?? 1)
    for (let from = blocks.at(-1)?.rows.to ?? need.rows.from; from < to; from = blocks.at(-1)!.rows.to) {
      if (!node) this.receive(v, blocks, from)
      else {
        // the first block makes up for where the reader's steps do not end at a block's end
        const first = blocks.length === 0 && rows < to - from ? (to - from) % rows || rows : rows
        this.block(v, node, blocks, { ...need, rows: { from, to: Math.min(from + first, need.rows.to) } })
      }
    }
  }

  /** The blocks of a value so far, of as many columns as the piece needs of it. */
  blocksOf(v: Value): Block[] {
    const known = this.blocks.get(v)
    if (known) return known
    const outside = !this.producer.has(v) && v !== this.arriving
    const blocks = outside ? [{ value: v, rows: whole(v).rows }] : []
    this.blocks.set(v, blocks)
    return blocks
  }

  columnsOf(v: Value): Range {
    return this.producer.has(v) ? this.need.get(v)!.columns : whole(v).columns
  }

  private block(v: Value, node: Node, blocks: Block[], out: Region): void {
    const part = this.partOf(node, out)
    const inputs = node.inputs.map((x, i) => {
      if (!x || x.storage === 'const' || !isImage(x)) return x
      const wanted = part.inputs[i] ?? whole(x)
      this.ensure(x, wanted.rows.to)
      return this.window(x, wanted)
    })
    const value = this.named(v, 'rows', out)
    this.nodes.push({ ...node, attrs: part.attrs, inputs, outputs: [value], inPlace: undefined })
    blocks.push({ value, rows: out.rows })
  }

  private receive(v: Value, blocks: Block[], row: number): void {
    const value = this.named(v, 'row', { ...whole(v), rows: { from: row, to: row + 1 } })
    const attrs = { from: [row], rows: [1] }
    this.nodes.push({ op: splice, attrs, inputs: [v], outputs: [value], from: v.name, receives: true })
    blocks.push({ value, rows: { from: row, to: row + 1 } })
  }

  /** Copies of some columns of a value's blocks, up to row `to`. */
  private cropped(v: Value, columns: Range, to: number): Block[] {
    const key = `${v.name} ${columns.from} ${columns.to}`
    const crops = this.crops.get(key) ?? []
    this.crops.set(key, crops)
    const left = columns.from - this.columnsOf(v).from
    for (const b of this.blocksOf(v)) {
      const at = crops.at(-1)?.rows.to ?? this.need.get(v)!.rows.from
      const rows = common(b.rows, { from: at, to })
      if (size(rows) <= 0) continue
      const value = this.named(v, `columns ${columns.from} to ${columns.to} rows`, { rows, columns })
      const begin = [0, rows.from - b.rows.from, left, 0]
      const attrs = { begin, step: [1, 1, 1, 1], size: value.type.shape }
      this.nodes.push({
        op: slice,
        attrs,
        inputs: [b.value],
        outputs: [value],
        from: this.producer.get(v)?.from ?? v.name,
      } as Node)
      crops.push({ value, rows })
    }
    return crops
  }

  /** A rectangle of a value as one tensor. */
  private window(v: Value, wanted: Region): Value {
    const { rows } = wanted
    // what no window reaches on the right need not be cut off where it stands anyway
    const stands = this.form.across === 1 && this.form.down === 0 && wanted.columns.from === 0 && !this.producer.has(v)
    const columns = stands ? whole(v).columns : wanted.columns
    const region = { rows, columns }
    const blocks = same(columns, this.columnsOf(v)) ? this.blocksOf(v) : this.cropped(v, columns, rows.to)
    const parts = blocks.filter((b) => size(common(b.rows, rows)) > 0)
    if (parts.length === 1 && same(parts[0].rows, rows)) return parts[0].value
    const views = parts.map((b) => {
      const cut = common(b.rows, rows)
      return { value: b.value, from: cut.from - b.rows.from, rows: size(cut) }
    })
    return { ...this.named(v, `columns ${columns.from} window`, region), parts: views }
  }
}

/** The whole value: where its blocks stand, if each begins at a word there, else a copy. */
function gather(v: Value, blocks: readonly Block[], from: string): Node {
  const words = blocks.every((b) => ((b.rows.from * bytesOf(v.type)) / v.type.shape[1]) % 4 === 0)
  return {
    op: splice,
    attrs: { from: blocks.map(() => 0), rows: blocks.map((b) => size(b.rows)) },
    inputs: blocks.map((b) => b.value),
    outputs: [v],
    from,
    ...(words && { gathers: true }),
  }
}

/** An image that is put together of rectangles. */
class Canvas {
  private readonly v: Value
  private readonly from: string
  private readonly nodes: Node[]
  private last: Value | undefined
  private at = -1

  constructor(v: Value, from: string, nodes: Node[]) {
    this.v = v
    this.from = from
    this.nodes = nodes
  }

  /** Writes what `block`, of columns `columns`, has of `own`. */
  add({ value, rows }: Block, columns: Range, own: Region): void {
    const [r, c] = [common(rows, own.rows), common(columns, own.columns)]
    if (size(r) <= 0) return
    const attrs = {
      from: [r.from - rows.from, c.from - columns.from],
      to: [r.from, c.from],
      size: [size(r), size(c)],
      shape: this.v.type.shape,
    }
    const next: Value = { ...this.v, name: `${this.v.name}/to ${r.from} ${c.from}` }
    this.at = this.nodes.length
    this.nodes.push({
      op: paste,
      attrs,
      inputs: this.last ? [value, this.last] : [value],
      outputs: [next],
      from: this.from,
    } as Node)
    this.last = next
  }

  finish(): void {
    this.nodes[this.at] = { ...this.nodes[this.at], outputs: [this.v] }
  }
}

function unrollSegment(graph: Graph, { from, to, ...form }: Segment, input: InputMode): Node[] {
  const producer = new Map(graph.nodes.slice(from, to).map((node) => [node.outputs[0], node]))
  const results = resultsOf(graph, from, to)
  const arriving = input === 'streamed' ? graph.inputs[0] : undefined
  const nodes: Node[] = []
  const alone = form.across === 1 && form.down === 0
  const canvases = new Map(results.map((v) => [v, new Canvas(v, producer.get(v)!.from, nodes)]))
  for (let i = 0; i < Math.max(1, form.down); i++)
    for (let j = 0; j < form.across; j++) {
      const own = new Map(
        results.map((v) => {
          const [, H, W] = v.type.shape
          return [v, { rows: share(H, i, Math.max(1, form.down)), columns: share(W, j, form.across) }]
        }),
      )
      for (const [v, r] of own) if (size(r.rows) === 0 || size(r.columns) === 0) own.delete(v)
      const piece = new Piece(form, alone ? '' : `${i} ${j} `, producer, own, arriving, nodes)
      const done = new Map<Value, number>()
      const step = (v: Value) => (form.down > 0 ? v.type.shape[1] : (form.rows?.(v) ?? 1))
      const turns = Math.max(...[...own].map(([v, r]) => Math.ceil(size(r.rows) / step(v))))
      for (let t = 1; t <= turns; t++)
        for (const [v, r] of own) {
          piece.ensure(v, r.rows.from + Math.ceil((t * size(r.rows)) / turns))
          const blocks = piece.blocksOf(v)
          if (!alone) for (const b of blocks.slice(done.get(v) ?? 0)) canvases.get(v)!.add(b, piece.columnsOf(v), r)
          done.set(v, blocks.length)
        }
      if (alone) for (const v of results) nodes.push(gather(v, piece.blocksOf(v), producer.get(v)!.from))
    }
  if (!alone) for (const canvas of canvases.values()) canvas.finish()
  return nodes
}

/**
 * The graph with `segments`, which are in order and apart, unrolled; the first takes the rows of a streamed input. `takeOver`
 * chooses what is in place.
 */
export function unroll(
  graph: Graph,
  segments: readonly Segment[],
  input: InputMode = 'held',
  takeOver: Pass = inPlaceByChannel,
): Graph {
  const nodes: Node[] = []
  let at = 0
  for (const [k, s] of segments.entries()) {
    nodes.push(...graph.nodes.slice(at, s.from), ...unrollSegment(graph, s, k === 0 ? input : 'held'))
    at = s.to
  }
  nodes.push(...graph.nodes.slice(at))
  const chosen = takeOver({ ...graph, nodes: nodes.map((n) => ({ ...n, inPlace: undefined })) })
  // a block that will be gathered has its place already
  const placed = new Set(chosen.nodes.flatMap((n) => (n.gathers ? inputsOf(n) : [])))
  return {
    ...chosen,
    nodes: chosen.nodes.map((n) =>
      n.inPlace !== undefined && (n.outputs.some((v) => placed.has(v)) || n.gathers) ? { ...n, inPlace: undefined } : n,
    ),
  }
}
