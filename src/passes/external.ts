// Splits layers whose constants are too large for a window over their output channels: each piece is the same operator with
// some of the channels, as `narrow` makes it, and what the pieces compute is put together, where it stands if an output
// is one row of channels, else by a copy.

import { bytesOf, type Graph, type Node, type Value } from '../ir/graph.ts'
import { verify } from '../ir/verify.ts'
import { count } from '../loops/ir.ts'
import { concat } from '../ops/shape/concat.ts'
import { slice } from '../ops/slice/op.ts'

/** Channels of a piece are a multiple of this: kernels go over channels in fours, and pieces begin at words. */
const MULTIPLE = 4

/** Parts of constants by their channels: nodes that share the whole, as blocks of one layer do, share the parts. */
type Pieces = Map<Value, Map<string, Value>>

const marks = (channels: number, gone: (c: number) => boolean) => Array.from({ length: channels }, (_, c) => gone(c))

const channelsOf = (v: Value | undefined) => v?.type.shape.at(-1) ?? 0

/** Channels `from` to `to` - 1 of a node's output as nodes: the operator and, where it goes channel by channel, a slice of its input. */
function pieceOf(node: Node, from: number, to: number, known: Pieces): Node[] | undefined {
  const [[x], [y]] = [node.inputs, node.outputs]
  const channels = channelsOf(y)
  const unknown = { least: new Int32Array(channelsOf(x)).fill(-128), most: new Int32Array(channelsOf(x)).fill(127) }
  const rest = (c: number) => c < from || c >= to
  const these = `channels ${from} to ${to - 1}`
  const named = (v: Value) => `${v.name}/${these}`
  const part = (v: Value): Value => ({
    name: named(v),
    type: { ...v.type, shape: [...v.type.shape.slice(0, -1), to - from] },
    storage: 'temp',
  })
  for (const cut of channelsOf(x) === channels ? [false, true] : [false]) {
    const free = {
      inputs: node.inputs.map((v, i) => marks(channelsOf(v), (c) => cut && i === 0 && rest(c))),
      output: marks(channels, rest),
    }
    const narrowed = node.op.narrow?.(node, free, [unknown])
    const agreed = (marked: readonly boolean[], gone: readonly boolean[] = []) => marked.every((m, c) => m === gone[c])
    if (!narrowed || !agreed(free.output, narrowed.gone.output)) continue
    if (!agreed(free.inputs[0], narrowed.gone.inputs[0])) continue
    const given: Value = cut ? { ...part(x!), name: `${named(x!)} of ${y.name}` } : x!
    const made = narrowed.node([given, ...node.inputs.slice(1)], part(y))
    const own = made.inputs.map((v, i) => {
      const whole = node.inputs[i]
      if (!v || !whole || v === given || v === whole) return v
      const pieces = known.get(whole) ?? new Map<string, Value>()
      known.set(whole, pieces)
      const piece = pieces.get(these) ?? { ...v, name: named(whole) }
      pieces.set(these, piece)
      return piece
    })
    const name = `${node.from}/${these}`
    const begin = given.type.shape.map((_, d, { length }) => (d === length - 1 ? from : 0))
    const attrs = { begin, step: begin.map(() => 1), size: given.type.shape }
    const sliced: Node = { op: slice, attrs, inputs: [x], outputs: [given], from: name }
    return [...(cut ? [sliced] : []), { ...made, inputs: own, from: name, inPlace: undefined }]
  }
  return undefined
}

/** The node in pieces of `size` output channels; undefined where the operator cannot do without some of its channels. */
function piecesOf(node: Node, size: number, known: Pieces): Node[][] | undefined {
  const channels = channelsOf(node.outputs[0])
  const pieces: Node[][] = []
  for (let from = 0; from < channels; from += size) {
    const piece = pieceOf(node, from, Math.min(channels, from + size), known)
    if (!piece) return undefined
    pieces.push(piece)
  }
  return pieces
}

/** The largest pieces whose constants fit `window`, by `bytesOfNode`; undefined where no pieces do. */
function fitting(node: Node, bytesOfNode: (node: Node) => number, window: number, known: Pieces): Node[][] | undefined {
  const channels = channelsOf(node.outputs[0])
  const blocks = Math.ceil(channels / MULTIPLE)
  for (let n = Math.ceil(bytesOfNode(node) / window); n <= blocks; n++) {
    const size = Math.ceil(blocks / n) * MULTIPLE
    if (size >= channels) continue
    const pieces = piecesOf(node, size, known)
    if (!pieces) return undefined
    if (pieces.every((piece) => bytesOfNode(piece.at(-1)!) <= window)) return pieces
  }
  return undefined
}

/** The graph with each of the nodes `large` in pieces that fit `window`, where there are such pieces. */
export function splitChannels(
  graph: Graph,
  large: ReadonlySet<Node>,
  bytesOfNode: (node: Node) => number,
  window: number,
): Graph {
  const gathered = new Set(graph.nodes.flatMap((n) => (n.gathers ? n.inputs : [])))
  const known: Pieces = new Map()
  let split = false
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const pieces = large.has(node) && node.outputs.length === 1 ? fitting(node, bytesOfNode, window, known) : undefined
    if (!pieces) return [node]
    const [y] = node.outputs
    const { shape } = y.type
    const parts = pieces.map((piece) => piece.at(-1)!.outputs[0])
    const words = parts.every((v) => bytesOf(v.type) % 4 === 0 || v === parts.at(-1))
    const stand = count(shape.slice(0, -1)) === 1 && words && !gathered.has(y)
    split = true
    const attrs = { axis: shape.length - 1 }
    const whole: Node = {
      op: concat,
      attrs,
      inputs: parts,
      outputs: [y],
      from: node.from,
      ...(stand && { gathers: true }),
    }
    return [...pieces.flat(), whole]
  })
  return split ? verify({ ...graph, nodes }) : graph
}
