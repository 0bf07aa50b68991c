// Drops channels that the outputs do not depend on: whose value is the same whatever the model's inputs are, proved by
// interval arithmetic through the requantisations and taken over by the next bias, or that nobody needs. Operators say
// what bounds their outputs have (`bounds`) and which channels they can do without (`narrow`); this pass finds the largest
// set on which all of them agree, by asking until nobody objects. The outputs' bits stay the same.

import { type Graph, type Node, type Pass, readers, type Value, valuesOf } from '../ir/graph.ts'
import type { Bounds, Channels, Narrowed } from '../ir/op.ts'

/** A tensor of more channels keeps them all: it is a long vector, and each takes memory to think about. */
const MOST = 2 ** 16

/** How many channels of `v` to think about. */
function channelsOf(v: Value): number {
  const channels = v.type.shape.at(-1) ?? 1
  return channels > MOST ? 0 : channels
}

/** Forwards from the model's inputs, of which only the type is known. */
function boundsOf(graph: Graph): Map<Value, Bounds> {
  const known = new Map<Value, Bounds>()
  for (const v of valuesOf(graph)) {
    const all = (limit: number) => new Int32Array(channelsOf(v)).fill(limit)
    if (v.type.dtype === 'i8' && channelsOf(v) > 0) known.set(v, { least: all(-128), most: all(127) })
  }
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((v) => v && known.get(v))
    const found = node.outputs.every((v) => channelsOf(v) > 0) ? node.op.bounds?.(node, inputs) : undefined
    if (found) known.set(node.outputs[0], found)
  }
  return known
}

class Agreement {
  private readonly graph: Graph
  private readonly bounds: Map<Value, Bounds>
  /** The nodes that read or compute a value. */
  private readonly around: Map<Value, Node[]>
  /** Per value and channel, whether nobody has objected yet. */
  private readonly free = new Map<Value, boolean[]>()

  constructor(graph: Graph) {
    this.graph = graph
    this.bounds = boundsOf(graph)
    this.around = readers(graph)
    for (const node of graph.nodes)
      for (const v of node.outputs) this.around.set(v, [...(this.around.get(v) ?? []), node])
    const ends = new Set([...graph.inputs, ...graph.outputs])
    for (const v of valuesOf(graph)) {
      const inside = v.storage === 'temp' && !ends.has(v) && v.type.shape.length > 0
      this.free.set(v, new Array<boolean>(channelsOf(v)).fill(inside))
    }
  }

  private ask(node: Node): Narrowed | undefined {
    const marks = (v: Value | undefined) => (v ? this.free.get(v)! : [])
    const free: Channels = { inputs: node.inputs.map(marks), output: marks(node.outputs[0]) }
    const wanted = [...free.inputs, free.output].some((f) => f.includes(true))
    return wanted && node.outputs.length === 1
      ? node.op.narrow?.(
          node,
          free,
          node.inputs.map((v) => v && this.bounds.get(v)),
        )
      : undefined
  }

  /** Keeps what `gone` does not mark; whether that is news. */
  private keep(v: Value | undefined, gone: readonly boolean[] | undefined): boolean {
    const free = v ? this.free.get(v)! : []
    let news = false
    free.forEach((f, c) => {
      if (!f || gone?.[c]) return
      free[c] = false
      news = true
    })
    return news
  }

  /** Asks nodes, readers before producers, until nobody objects: all that an objection concerns once more. */
  private settle(): void {
    const settled = new Set<Node>()
    while (settled.size < this.graph.nodes.length)
      for (const node of [...this.graph.nodes].reverse()) {
        if (settled.has(node)) continue
        settled.add(node)
        const gone = this.ask(node)?.gone
        const objections = [
          ...node.inputs.filter((v, i) => this.keep(v, gone?.inputs[i])),
          ...node.outputs.filter((v) => this.keep(v, gone?.output)),
        ]
        for (const v of objections) for (const other of this.around.get(v!) ?? []) settled.delete(other)
      }
  }

  /** Gives back channels where the rest would be none, or no multiple of `multiple`. Whether it gave any. */
  private giveBack(multiple: number): boolean {
    let gave = false
    for (const free of this.free.values()) {
      const gone = free.filter((f) => f).length
      const left = free.length - gone
      if (gone === 0 || (left > 0 && left % multiple === 0)) continue
      for (let n = multiple - (left % multiple); n > 0 && free.includes(true); n--) free[free.indexOf(true)] = false
      gave = true
    }
    return gave
  }

  settled(multiple: number): Graph {
    do this.settle()
    while (this.giveBack(multiple))
    return this.apply()
  }

  private apply(): Graph {
    const names = new Set(valuesOf(this.graph).map((v) => v.name))
    const unique = (v: Value): Value => {
      let name = `${v.name}/live`
      for (let i = 1; names.has(name); i++) name = `${v.name}/live#${i}`
      names.add(name)
      return { ...v, name, index: undefined }
    }
    const live = new Map<Value, Value>()
    for (const [v, free] of this.free) {
      if (!free.includes(true)) continue
      const shape = [...v.type.shape.slice(0, -1), free.filter((f) => !f).length]
      live.set(v, unique({ ...v, type: { ...v.type, shape } }))
    }
    const nodes = this.graph.nodes.map((node): Node => {
      const narrowed = this.ask(node)
      if (!narrowed) return node
      const given = node.inputs.map((v) => v && (live.get(v) ?? v))
      const made = narrowed.node(given, live.get(node.outputs[0]) ?? node.outputs[0])
      const inputs = made.inputs.map((v) => (v?.storage === 'const' && !node.inputs.includes(v) ? unique(v) : v))
      return { ...made, inputs, inPlace: undefined }
    })
    return { ...this.graph, nodes }
  }
}

/**
 * The pass, leaving in each tensor it narrows at least one channel and a multiple of `multiple`, where so many are
 * there. What goes depends on the weights: other weights may give another program and another layout of its segment.
 */
export function narrowTo(multiple: number): Pass {
  return (graph) => new Agreement(graph).settled(multiple)
}

/**
 * In fours, as kernels go over channels: that is as fast as the exact set or faster (8% for mcunet_vww1 in WebAssembly,
 * where the exact set is slower than all channels), and its kernels are fewer.
 */
export const deadChannels: Pass = narrowTo(4)
