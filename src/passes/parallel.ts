// Cuts layers into blocks of output rows that may run at the same time, one for each thread. Each block reads the rows that
// its operator asks for (`region`) where they stand, and its result stands in the layer's. What is computed is the same
// whoever runs a block, so the bits do not depend on how many threads there are.

import { bytesOf, type Graph, inputsOf, type Node } from '../ir/graph.ts'
import { verify } from '../ir/verify.ts'
import { inPlace } from './in_place.ts'
import { type Segment, unroll } from './pieces.ts'
import { divisible } from './stage.ts'

/** What a thread does in a microsecond, about: multiply-accumulates, and bytes read and written beside weights. */
const MACS = 16_000
const BYTES = 4_000
/** Bytes of constants that a layer may have in two forms. */
const TWICE = 8192
/** Microseconds below which a block is not worth a meeting of the threads. */
const LEAST = 2

/** About the microseconds of a node. */
function timeOf(node: Node): number {
  const moved = [...inputsOf(node).filter((v) => v.storage !== 'const'), ...node.outputs]
  return node.op.cost(node).macs / MACS + moved.reduce((n, v) => n + bytesOf(v.type), 0) / BYTES
}

/**
 * Rows of a block, each of which begins at a word, so that none of `threads` has more to do than it must. Blocks of two
 * sizes may want their constants in two forms: a layer with many of these is cut into equal blocks.
 */
function rowsOf(node: Node, threads: number): number {
  const { type } = node.outputs[0]
  const rows = type.shape[1]
  const word = (n: number) => (n * (bytesOf(type) / rows)) % 4 === 0
  const constants = inputsOf(node).reduce((n, v) => n + (v.storage === 'const' ? bytesOf(v.type) : 0), 0)
  const even = constants > TWICE
  const sizes = Array.from({ length: rows }, (_, i) => rows - i).filter((n) => word(n) && (!even || rows % n === 0))
  const share = (n: number) => Math.ceil(Math.ceil(rows / n) / threads) * n
  const fits = even ? sizes : sizes.filter((n) => n * threads >= rows)
  return fits.reduce((best, n) => (share(n) < share(best) ? n : best), rows)
}

/** The graph with layers in blocks of rows for up to `threads` threads, each of which has `least` microseconds to do or more. */
export function parallel(graph: Graph, threads: number, least = LEAST): Graph {
  const segments = graph.nodes.flatMap((node, i): Segment[] => {
    if (!divisible(node)) return []
    const most = Math.min(threads, Math.floor(timeOf(node) / least))
    const rows = most > 1 ? rowsOf(node, most) : node.outputs[0].type.shape[1]
    return rows < node.outputs[0].type.shape[1] ? [{ from: i, to: i + 1, across: 1, down: 0, rows: () => rows }] : []
  })
  const cut = new Set(segments.map((s) => graph.nodes[s.from].outputs[0]))
  const { nodes, ...rest } = unroll(graph, segments, 'held', inPlace)
  const blocks = nodes.filter((n) => cut.has(n.outputs[0])).map(inputsOf)
  const [all, later] = [new Set(blocks.flat()), new Set(blocks.flatMap((b) => b.slice(1)))]
  return verify({
    ...rest,
    nodes: nodes.map((node) => {
      const [v] = node.outputs
      return all.has(v) ? { ...node, inPlace: undefined, ...(later.has(v) && { beside: true }) } : node
    }),
  })
}
