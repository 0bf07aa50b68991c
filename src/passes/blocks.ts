// The backward pass of inverted bottlenecks (expand, depthwise, project) by groups of channels: of a block only its input is kept;
// for each group of expanded channels these are computed again, gradients go back through them, updates follow at once, and all
// is dropped. The gradient of the block's input goes on from group to group. A rewrite of the training step's graph.

import { bug } from '../errors.ts'
import { type Graph, inputsOf, type Node, type TensorType, type Value } from '../ir/graph.ts'
import { add, type Binary } from '../ops/binary/op.ts'
import { conv2d } from '../ops/conv2d/op.ts'
import { depthwiseConv2d } from '../ops/depthwise/op.ts'
import { convInputGradient } from '../ops/gradients/window.ts'
import { partialConv2d } from '../ops/partial/conv2d.ts'
import { indexAdd } from '../ops/partial/index_add.ts'
import { indexCopy } from '../ops/partial/index_copy.ts'
import { maskedConv2d, maskType, plainOf } from '../ops/qas/masked.ts'
import { type Slice, slice } from '../ops/slice/op.ts'
import { type Cut, cutOf, resized } from './channels.ts'

/** The layers whose results are wide, and what of the backward pass goes by their channels. */
export interface Block {
  readonly channels: number
  /** What is computed again, and then the backward pass, in order. */
  readonly layers: readonly Node[]
  readonly backward: readonly Node[]
  readonly cuts: ReadonlyMap<Node, Cut>
  /** The nodes of the graph that it stands for, in order. */
  readonly insteadOf: readonly Node[]
}

const isA = ({ op }: Node, ...ops: object[]) => ops.includes(op) || ops.includes(plainOf(op) ?? op)

/** The first node after the loss, which is output 0. */
export function backwardFrom({ nodes, outputs }: Graph): number {
  return nodes.findIndex((n) => n.outputs.includes(outputs[0])) + 1
}

/** `layer` with all its weights as one tensor, where some are apart because they learn; and the backward pass with these. */
function together(layer: Node, backward: readonly Node[]): { layers: readonly Node[]; backward: readonly Node[] } {
  if (!isA(layer, partialConv2d)) return { layers: [layer], backward }
  const [x, rest, bias, , own] = layer.inputs as Value[]
  const { channels, ...attrs } = layer.attrs
  const all: Value = { name: `${own.name} and the rest`, type: rest.type, storage: 'temp' }
  const copy = { op: indexCopy, attrs: { channels }, inputs: [rest, own], outputs: [all], from: layer.from }
  const op = layer.op === (partialConv2d as unknown) ? conv2d : maskedConv2d
  const conv = { ...layer, op, attrs, inputs: [x, all, bias] }
  const through = (w: Value) => backward.find((n) => n.op === (convInputGradient as unknown) && n.inputs[1] === w)
  const [g, gOwn] = [through(rest), through(own)]
  const sum = g && backward.find((n) => n.op === (indexAdd as unknown) && n.inputs[0] === g.outputs[0])
  const one = sum && { ...g, inputs: [g.inputs[0], all], outputs: sum.outputs }
  return {
    layers: [copy as unknown as Node, conv as unknown as Node],
    backward: backward.flatMap((n) => (n === sum ? [one!] : n === g || n === gOwn ? [] : [n])),
  }
}

/** The nodes of `backward` that read or compute what has the channels of `wide`, which they add to; undefined where some cannot be cut. */
function touching(backward: readonly Node[], wide: Set<Value>): Node[] | undefined {
  const touched = new Set<Node>()
  for (let size = -1; size < wide.size; ) {
    size = wide.size
    for (const n of backward) {
      if (!inputsOf(n).some((v) => wide.has(v)) && !n.outputs.some((v) => wide.has(v))) continue
      const cut = cutOf(n, wide)
      if (!cut) return undefined
      touched.add(n)
      for (const [i, v] of n.inputs.entries()) if (v?.storage === 'temp' && cut.inputs[i] !== undefined) wide.add(v)
      for (const [i, v] of n.outputs.entries()) if (cut.outputs[i] !== 'sum') wide.add(v)
    }
  }
  return backward.filter((n) => touched.has(n))
}

/** The blocks whose backward pass can go by channels, in the order of the layers. */
export function blocksOf(graph: Graph): Block[] {
  const { nodes, outputs } = graph
  const at = backwardFrom(graph)
  const producer = new Map(nodes.flatMap((n) => n.outputs.map((v) => [v, n] as const)))
  const after = nodes.slice(at)
  // an update between two blocks belongs to both; it goes by the channels of one
  const taken = new Set<Node>()
  return nodes.slice(0, at).flatMap((node): Block[] => {
    const before = producer.get(node.inputs[0]!)
    if (!isA(node, depthwiseConv2d) || !before || !isA(before, conv2d, partialConv2d)) return []
    const merged = together(before, after)
    const layers = [...merged.layers, node]
    const wide = new Set(layers.flatMap((n) => n.outputs))
    const backward = touching(merged.backward, wide)
    if (!backward?.length) return []
    const all = [...layers, ...backward]
    const cuts = new Map(all.map((n) => [n, cutOf(n, wide)]))
    const made = new Set(all.flatMap((n) => n.outputs))
    const alone = [...wide].every((v) => made.has(v) && !outputs.includes(v))
    if (!alone || [...cuts.values()].includes(undefined)) return []
    const insteadOf = after.filter((n) => backward.includes(n) || !merged.backward.includes(n))
    if (insteadOf.some((n) => taken.has(n))) return []
    for (const n of insteadOf) taken.add(n)
    const channels = node.outputs[0].type.shape[3]
    return [{ channels, layers, backward, cuts: cuts as Map<Node, Cut>, insteadOf }]
  })
}

/** Slices `from` to `to` - 1 of `axis`. */
function sliceOf({ shape }: TensorType, axis: number, from: number, to: number): Slice {
  const begin = shape.map((_, d) => (d === axis ? from : 0))
  return { begin, step: begin.map(() => 1), size: resized(shape, axis, to - from) }
}

const PARTS = new WeakMap<Value, Map<string, Value>>()

/** The part `name` of a constant: the same value each time, so that plans share what they derive from it. */
function partOfConstant(v: Value, name: string, make: () => Value): Value {
  const parts = PARTS.get(v) ?? new Map<string, Value>()
  PARTS.set(v, parts)
  const part = parts.get(name) ?? make()
  parts.set(name, part)
  return part
}

/** What learns in a node, which writes it. */
const written = (node: Node) => (node.op.writesState ? node.inputs[0] : undefined)

/**
 * The backward pass of `block` in groups of `size` channels. The sum over all channels is `total` in the end, and goes on from
 * `start` where that is given.
 */
function unrolled({ channels, layers, backward, cuts }: Block, size: number, total?: Value, start?: Value): Node[] {
  const out: Node[] = []
  let sum = start
  for (let from = 0; from < channels; from += size) {
    const to = Math.min(channels, from + size)
    const parts = new Map<Value, Value>()
    const ready = new Set<Value>()
    const named = (v: Value) => `${v.name}/channels ${from} to ${to - 1}`
    const typeOfPart = (type: TensorType, axis: number) => slice.infer([type], sliceOf(type, axis, from, to))[0]
    const partOf = (v: Value, axis: number): Value => {
      const known = parts.get(v)
      if (known) return known
      if (v.storage === 'temp') return bug(`"${v.name}" goes by channels and is computed elsewhere`)
      const part: Value = { name: named(v), type: typeOfPart(v.type, axis), storage: 'temp' }
      const attrs = sliceOf(v.type, axis, from, to)
      const node: Node<Slice> = { op: slice, attrs, inputs: [v], outputs: [part], from: v.name }
      if (v.storage === 'const') {
        const constant = partOfConstant(v, part.name, () => ({
          ...part,
          storage: 'const',
          data: slice.eval(node, [v.data])[0],
        }))
        parts.set(v, constant)
        return constant
      }
      parts.set(v, part)
      out.push(node as unknown as Node)
      return part
    }
    const all = [...layers, ...backward]
    // what learns is read before any of it is written
    for (const node of all)
      node.inputs.forEach((v, i) => {
        const axis = cuts.get(node)!.inputs[i]
        if (v && v.storage !== 'temp' && axis !== undefined && v !== written(node)) partOf(v, axis)
      })
    const emit = (node: Node) => {
      const cut = cuts.get(node)!
      const inputs = node.inputs.map((v, i) => (v && cut.inputs[i] !== undefined ? partOf(v, cut.inputs[i]) : v))
      const last = to === channels && total
      const outputs = node.outputs.map((v, i): Value => {
        const axis = cut.outputs[i]
        if (axis === 'sum') return last || { ...v, name: `${v.name}/channels to ${to - 1}` }
        const type = axis === 'mask' ? maskType(parts.get(node.outputs[0])!.type) : typeOfPart(v.type, axis)
        const part = { ...v, name: named(v), type }
        parts.set(v, part)
        return part
      })
      const summed = cut.outputs.includes('sum')
      const attrs = cut.attrs(from, to)
      out.push({
        ...node,
        attrs,
        inputs: summed && sum ? [...inputs, sum] : inputs,
        outputs,
        inPlace: undefined,
      })
      if (summed) sum = outputs[0]
      for (const v of node.outputs) ready.add(v)
    }
    const waiting = new Set(all)
    const made = new Set(all.flatMap((n) => n.outputs))
    const can = (n: Node) => inputsOf(n).every((v) => !made.has(v) || ready.has(v))
    for (const node of all) {
      for (const n of [node, ...backward.filter(written)])
        if (waiting.has(n) && can(n)) {
          emit(n)
          waiting.delete(n)
        }
    }
    if (waiting.size > 0) bug('nodes by channels wait for each other')
  }
  return out
}

/** Layers without a mask where nobody reads it. */
function unmasked(nodes: readonly Node[]): Node[] {
  const read = new Set(nodes.flatMap(inputsOf))
  return nodes.map((node): Node => {
    const plain = plainOf(node.op)
    return plain && !read.has(node.outputs[1]) ? { ...node, op: plain, outputs: node.outputs.slice(0, 1) } : node
  })
}

/** The addition of `sum` to a gradient that was there before node `before`, and that gradient. */
function joined({ nodes }: Graph, sum: Value, before: number): { node: Node; start: Value } | undefined {
  const [node, ...others] = nodes.filter((n) => n.inputs.includes(sum))
  if (others.length > 0 || node?.op !== (add as unknown)) return undefined
  const start = node.inputs.find((v) => v !== sum)
  const made = nodes.findIndex((n) => start && n.outputs.includes(start))
  const plain = Object.values((node as Node<Binary>).attrs.clamp).length === 0
  return start && plain && made >= 0 && made < before ? { node, start } : undefined
}

/** The graph with the backward pass of some blocks in groups of so many channels. */
export function byChannels(graph: Graph, groups: ReadonlyMap<Block, number>): Graph {
  const gone = new Set<Node>()
  const made = new Map<Node, readonly Node[]>()
  for (const [block, size] of groups) {
    const { backward, cuts, insteadOf } = block
    const total = backward.find((n) => cuts.get(n)!.outputs.includes('sum'))?.outputs[0]
    const at = insteadOf.findLast((n) => (total ? n.outputs.includes(total) : !written(n)))!
    for (const n of insteadOf) gone.add(n)
    // what came past the block is what the sum goes on from
    const join = total && joined(graph, total, graph.nodes.indexOf(at))
    if (join) gone.add(join.node)
    made.set(at, join ? unrolled(block, size, join.node.outputs[0], join.start) : unrolled(block, size, total))
  }
  const nodes = graph.nodes.flatMap((n) => made.get(n) ?? (gone.has(n) ? [] : [n]))
  return { ...graph, nodes: unmasked(nodes) }
}

/** Updates as early as what they read is there and what reads the old content has run. */
export function updatesEarly(graph: Graph): Graph {
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const param = written(node)
    if (param?.storage !== 'param') {
      nodes.push(node)
      continue
    }
    const after = nodes.findLastIndex(
      (n) => inputsOf(n).includes(param) || n.outputs.some((v) => node.inputs.includes(v)),
    )
    const loss = nodes.findIndex((n) => n.outputs.includes(graph.outputs[0]))
    nodes.splice(Math.max(after, loss) + 1, 0, node)
  }
  return { ...graph, nodes }
}
