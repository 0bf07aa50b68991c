// The end of a backward pass by strips of rows: of the first layers, whose images are the largest, a part of the rows at a time
// is computed again and goes back, and gradients of weights are added up from strip to strip until the last one updates. Rows that
// a strip needs around its own are computed in both.

import type { Graph, Node, Value } from '../ir/graph.ts'
import type { Range } from '../ir/op.ts'
import { count } from '../loops/ir.ts'
import { add } from '../ops/binary/op.ts'
import { convInputGradient, convWeightGradient, imagesOf, type WindowGradient } from '../ops/gradients/window.ts'
import { qasSgd } from '../ops/optimizer/qas.ts'
import { type QasSgdWindow, qasSgdWindow } from '../ops/optimizer/qas_window.ts'
import { indexCopy } from '../ops/partial/index_copy.ts'
import { maskGradient } from '../ops/qas/mask_gradient.ts'
import { maskType, plainOf } from '../ops/qas/masked.ts'
import { sum } from '../ops/reduce/op.ts'
import { slice } from '../ops/slice/op.ts'
import { resized } from './channels.ts'
import { isImage } from './pieces.ts'

const is = (node: Node, op: object) => node.op === op
const tall = (v: Value | undefined): v is Value => v !== undefined && isImage(v) && v.type.shape[1] > 1
const hull = (a: Range | undefined, b: Range): Range =>
  a ? { from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) } : b
/** Weights, which have no rows. */
const isPart = (node: Node) => is(node, slice) || is(node, indexCopy)
const size = ({ from, to }: Range) => to - from

/** Rows of the inputs that rows of the output need, and the attributes of the node on these; undefined where it has none. */
function rowsOf(
  node: Node,
  out: Range,
): { readonly inputs: readonly (Range | undefined)[]; readonly attrs: Node['attrs'] } | undefined {
  const [, H, W] = node.outputs[0].type.shape
  if (is(node, maskGradient)) return { inputs: [out, out, undefined], attrs: node.attrs }
  if (is(node, convInputGradient)) {
    const a = node.attrs as WindowGradient
    const [g, w] = node.inputs as Value[]
    const [s, d, p, reach] = [a.stride[0], a.dilation[0], a.pad[0], (imagesOf(w.type.shape)[1] - 1) * a.dilation[0]]
    if (d !== 1) return undefined
    const from = Math.max(0, Math.ceil((out.from + p - reach) / s))
    const to = Math.min(g.type.shape[1], Math.floor((out.to - 1 + p) / s) + 1)
    const attrs = { ...a, pad: [out.from + p - from * s, ...a.pad.slice(1)], shape: resized(a.shape, 1, size(out)) }
    return to > from ? { inputs: [{ from, to }, undefined, out], attrs } : undefined
  }
  if (is(node, add))
    return node.inputs.every((v) => tall(v) && v.type.shape[1] === H)
      ? { inputs: [out, out], attrs: node.attrs }
      : undefined
  const op = plainOf(node.op) ?? node.op
  const part = op.region?.(node, { rows: out, columns: { from: 0, to: W } })
  return part && { inputs: part.inputs.map((r) => r?.rows), attrs: part.attrs }
}

/** The same of the gradient of weights: rows of the image for rows of the result's gradient. */
function rowsOfWeights(
  { attrs, inputs }: Node<QasSgdWindow>,
  out: Range,
): { readonly x: Range; readonly pad: readonly number[] } {
  const { stride, dilation, pad, shape } = attrs
  const H = inputs[1]!.type.shape[1]
  const reach = (imagesOf(shape)[1] - 1) * dilation[0]
  const from = Math.max(0, out.from * stride[0] - pad[0])
  const to = Math.min(H, (out.to - 1) * stride[0] - pad[0] + reach + 1)
  return { x: { from, to }, pad: [pad[0] - out.from * stride[0] + from, ...pad.slice(1)] }
}

/** The gradient of its result that a node adds up over all rows. */
const summed = (node: Node) =>
  is(node, qasSgdWindow) ? node.inputs[2]! : is(node, sum) && tall(node.inputs[0]) ? node.inputs[0] : undefined

class Strips {
  private readonly nodes: readonly Node[]
  private readonly strips: number
  private readonly maskOf = new Map<Value, Node>()
  /** Rows of each value in each strip, and those that are added up there. */
  private readonly need: Map<Value, Range>[]
  private readonly counted: Map<Value, Range>[]
  private readonly out: Node[] = []
  /** What a value is in the strip at hand, and which rows of it that are. */
  private here = new Map<Value, { readonly value: Value; readonly rows: Range }>()
  private readonly once = new Map<Value, Value>()
  private readonly totals = new Map<Node, Value>()

  constructor(nodes: readonly Node[], strips: number) {
    this.nodes = nodes
    this.strips = strips
    for (const n of nodes) if (plainOf(n.op) && n.outputs[1]) this.maskOf.set(n.outputs[1], n)
    this.need = Array.from({ length: strips }, () => new Map())
    this.counted = Array.from({ length: strips }, () => new Map())
  }

  private want(t: number, v: Value | undefined, rows: Range | undefined): void {
    if (!v || !rows) return
    const image = this.maskOf.get(v)?.outputs[0] ?? v
    this.need[t].set(image, hull(this.need[t].get(image), rows))
  }

  /** Backwards through the nodes: what each needs of what it reads; false where one does not go by rows. */
  private through(t: number, adding: (node: Node, g: Value) => boolean): boolean {
    return [...this.nodes].reverse().every((node) => {
      const g = summed(node)
      if (g) return adding(node, g)
      if (isPart(node)) return true
      if (!tall(node.outputs[0])) return !node.inputs.some((v) => tall(v))
      const out = this.need[t].get(node.outputs[0])
      const part = out && rowsOf(node, out)
      if (out && !part) return false
      for (const [i, v] of node.inputs.entries()) if (v?.storage !== 'const') this.want(t, v, part?.inputs[i])
      return true
    })
  }

  /** Whether all nodes go by rows. */
  plan(): boolean {
    const gradients = new Set(this.nodes.flatMap((n) => summed(n) ?? []))
    const read = new Set(this.nodes.flatMap((n) => (summed(n) ? [] : n.inputs)))
    for (let t = 0; t < this.strips; t++) {
      for (const g of gradients) {
        const H = g.type.shape[1]
        const row = (k: number) => Math.floor((k * H) / this.strips)
        if (!read.has(g)) this.want(t, g, { from: row(t), to: row(t + 1) })
      }
      if (!this.through(t, () => true)) return false
      for (const g of gradients) {
        const from = t === 0 ? 0 : this.counted[t - 1].get(g)!.to
        const to = t === this.strips - 1 ? g.type.shape[1] : (this.need[t].get(g)?.to ?? from)
        this.counted[t].set(g, { from, to: Math.max(from, to) })
      }
      const adds = (node: Node, g: Value) => {
        const rows = this.counted[t].get(g)!
        if (size(rows) === 0) return true
        this.want(t, g, rows)
        if (is(node, qasSgdWindow))
          this.want(t, node.inputs[1], rowsOfWeights(node as unknown as Node<QasSgdWindow>, rows).x)
        return true
      }
      if (!this.through(t, adds)) return false
    }
    return this.masksAlign()
  }

  /** Rows of masks begin at whole bytes. */
  private masksAlign(): boolean {
    return this.nodes.every((n) => {
      if (!is(n, maskGradient)) return true
      const [, , W, C] = n.outputs[0].type.shape
      return (W * C) % 8 === 0
    })
  }

  /** Some rows of a value, without a place of its own. */
  private view(v: Value, rows: Range, t: number, reader: Node): Value {
    const { value, rows: all } = this.here.get(v) ?? { value: v, rows: { from: 0, to: v.type.shape[1] } }
    if (all.from === rows.from && all.to === rows.to) return value
    const type = { ...v.type, shape: resized(v.type.shape, 1, size(rows)) }
    const name = `${v.name}/strip ${t} for ${reader.outputs[0]?.name ?? reader.from} ${rows.from}`
    return { name, type, storage: 'temp', parts: [{ value, from: rows.from - all.from, rows: size(rows) }] }
  }

  /** The same of a mask: a copy. */
  private bits(mask: Value, rows: Range, t: number, reader: Node): Value {
    const [, H, W, C] = reader.outputs[0].type.shape
    const { value, rows: all } = this.here.get(mask) ?? { value: mask, rows: { from: 0, to: H } }
    if (all.from === rows.from && all.to === rows.to) return value
    const bytes = (r: number) => (r * W * C) / 8
    const part: Value = {
      name: `${mask.name}/strip ${t}`,
      type: { ...mask.type, shape: [bytes(size(rows))] },
      storage: 'temp',
    }
    const attrs = { begin: [bytes(rows.from - all.from)], step: [1], size: part.type.shape }
    this.out.push({ op: slice, attrs, inputs: [value], outputs: [part], from: reader.from } as unknown as Node)
    return part
  }

  private image(node: Node, t: number): void {
    const [y, mask] = node.outputs
    const rows = this.need[t].get(y)
    if (!rows) return
    const part = rowsOf(node, rows)!
    const inputs = node.inputs.map((v, i) => {
      const r = part.inputs[i]
      if (!v || !r) return v && (this.once.get(v) ?? v)
      return is(node, maskGradient) && i === 1 ? this.bits(v, r, t, node) : this.view(v, r, t, node)
    })
    const value: Value = {
      ...y,
      name: `${y.name}/strip ${t}`,
      type: { ...y.type, shape: resized(y.type.shape, 1, size(rows)) },
    }
    const bits = mask && { ...mask, name: `${mask.name}/strip ${t} of all`, type: maskType(value.type) }
    this.out.push({ ...node, attrs: part.attrs, inputs, outputs: bits ? [value, bits] : [value], inPlace: undefined })
    this.here.set(y, { value, rows })
    if (bits) this.here.set(mask, { value: bits, rows })
  }

  /** Adds the strip's rows to what a node adds up. */
  private adding(node: Node, g: Value, t: number): void {
    const rows = this.counted[t].get(g)!
    const before = this.totals.get(node)
    const last = t === this.strips - 1
    if (is(node, sum)) {
      const [y] = node.outputs
      const some = size(rows) > 0
      const own: Value =
        before && some
          ? { ...y, name: `${y.name}/strip ${t} alone` }
          : { ...y, name: last ? y.name : `${y.name}/strip ${t}` }
      if (some) this.out.push({ ...node, inputs: [this.view(g, rows, t, node)], outputs: [own], inPlace: undefined })
      if (!before || !some) {
        if (some) this.totals.set(node, own)
      } else {
        const total = { ...y, name: last ? y.name : `${y.name}/strip ${t}` }
        const attrs = { clamp: {} }
        this.out.push({ op: add, attrs, inputs: [before, own], outputs: [total], from: node.from } as unknown as Node)
        this.totals.set(node, total)
      }
      if (last) this.once.set(y, this.totals.get(node)!)
      return
    }
    const update = node as unknown as Node<QasSgdWindow>
    const [param, x, , rate, step] = update.inputs as Value[]
    const { scale, axis, rounding, seed, tensor, part, ...window } = update.attrs
    if (size(rows) > 0) {
      const { x: read, pad } = rowsOfWeights(update, rows)
      const own = part ? `${part.axis} ${part.from}` : ''
      const total: Value = {
        name: `${param.name}/gradient ${own} strip ${t}`,
        type: { dtype: 'f32', shape: window.shape },
        storage: 'temp',
      }
      const inputs = [this.view(x, read, t, node), this.view(g, rows, t, node), ...(before ? [before] : [])]
      this.out.push({
        op: convWeightGradient as unknown as Node['op'],
        attrs: { ...window, pad },
        inputs,
        outputs: [total],
        from: node.from,
      })
      this.totals.set(node, total)
    }
    if (!last) return
    this.out.push({
      ...node,
      op: qasSgd as unknown as Node['op'],
      attrs: { scale, axis, rounding, seed, tensor, ...(part && { part }) },
      inputs: [param, this.totals.get(node), rate, step],
    })
  }

  unrolled(): Node[] {
    const late = new Set<Value>(this.nodes.flatMap((n) => (is(n, sum) ? n.outputs : [])))
    for (const n of this.nodes) {
      const waits = n.op.writesState || n.inputs.some((v) => v && late.has(v))
      if (waits && !summed(n)) for (const v of n.outputs) late.add(v)
    }
    for (let t = 0; t < this.strips; t++) {
      this.here = new Map()
      for (const node of this.nodes) {
        const g = summed(node)
        if (g) this.adding(node, g, t)
        else if (!isPart(node) && tall(node.outputs[0])) this.image(node, t)
        else {
          const waits = node.op.writesState || node.outputs.some((v) => late.has(v))
          if (t === (waits ? this.strips - 1 : 0))
            this.out.push({ ...node, inputs: node.inputs.map((v) => v && (this.once.get(v) ?? v)) })
        }
      }
    }
    return this.out
  }
}

/** The graph with its nodes from `from` on in so many strips of rows; undefined where not all of them go by rows. */
export function byStrips(graph: Graph, from: number, strips: number): Graph | undefined {
  const tail = graph.nodes.slice(from)
  const outputs = new Set(graph.outputs)
  if (tail.some((n) => n.outputs.some((v) => outputs.has(v) && count(v.type.shape) > 1))) return undefined
  const plan = new Strips(tail, strips)
  return plan.plan() ? { ...graph, nodes: [...graph.nodes.slice(0, from), ...plan.unrolled()] } : undefined
}
