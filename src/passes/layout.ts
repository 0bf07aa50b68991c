// Lets transpositions meet and cancel: they move from a node's inputs to its output as long as operators can work on the
// axes in their earlier order (`permute`), and a transposition is made only where an operator cannot. Networks of
// channels-first files, whose convolutions here are channels-last, keep a few at their ends. Bits stay the same.

import { bug } from '../errors.ts'
import { type Graph, type Node, type Pass, sameShape, type Value } from '../ir/graph.ts'
import { peak } from '../ir/live.ts'
import type { Attrs } from '../ir/op.ts'
import { reshape } from '../ops/shape/reshape.ts'
import { transpose } from '../ops/shape/transpose.ts'

/** A value as a transposition of another: axis d is axis perm[d] of `base`. */
interface Form {
  readonly base: Value
  readonly perm: readonly number[]
}

const isIdentity = (perm: readonly number[]) => perm.every((p, d) => p === d)
const inverse = (perm: readonly number[]) => perm.map((_, d) => perm.indexOf(d))

/** Whether a transposition keeps all elements in their order: only axes of extent 1 move past others. */
function keepsOrder(shape: readonly number[], perm: readonly number[]): boolean {
  const moved = perm.filter((p) => shape[p] !== 1)
  return moved.every((p, i) => i === 0 || p > moved[i - 1])
}

class Layout {
  private readonly graph: Graph
  private readonly nodes: Node[] = []
  private readonly forms = new Map<Value, Form>()
  /** Values that nodes of the new graph compute, and what replaces those that are gone. */
  private readonly made = new Map<Value, Value>()
  private readonly names: Set<string>

  constructor(graph: Graph) {
    this.graph = graph
    this.names = new Set(
      graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs]).flatMap((v) => (v ? [v.name] : [])),
    )
    for (const v of graph.inputs) this.names.add(v.name)
  }

  run(): Graph {
    for (const node of this.graph.nodes) this.node(node)
    const outputs = this.graph.outputs.map((v) => this.plain(v, true))
    return { ...this.graph, nodes: this.nodes, outputs }
  }

  private node(node: Node): void {
    const effect = node.op.effect?.(node)
    const perm = effect && 'perm' in effect ? effect.perm : undefined
    const x = node.inputs[0]
    if (perm && x?.storage === 'temp') {
      const { base, perm: before } = this.formOf(x)
      this.forms.set(node.outputs[0], { base, perm: perm.map((p) => before[p]) })
      return
    }
    if (this.moved(node)) return
    this.nodes.push({ ...node, inputs: node.inputs.map((v) => v && this.plain(v)), inPlace: undefined })
  }

  private formOf(v: Value): Form {
    return this.forms.get(v) ?? { base: v, perm: v.type.shape.map((_, d) => d) }
  }

  /** The node on the bases of its inputs, where they share a transposition and it can take that. */
  private moved(node: Node): boolean {
    if (!node.op.permute || node.outputs.length !== 1) return false
    const forms = node.inputs.flatMap((v) => (v && this.forms.has(v) ? [this.forms.get(v)!] : []))
    const perm = forms[0]?.perm
    if (!perm || isIdentity(perm) || forms.some((f) => !sameShape(f.perm, perm))) return false
    const answer = node.op.permute(node, perm)
    if (!answer) return false
    const inputs = node.inputs.map((v) => v && this.before(v, perm))
    if (inputs.some((v, i) => !v && node.inputs[i])) return false
    const [old] = node.outputs
    const shape: number[] = []
    answer.perm.forEach((p, d) => {
      shape[p] = old.type.shape[d]
    })
    const same = isIdentity(answer.perm)
    const out: Value = same
      ? old
      : { ...old, name: this.unique(old.name, answer.perm), type: { ...old.type, shape }, index: undefined }
    this.nodes.push({
      ...node,
      attrs: answer.attrs as Attrs,
      inputs: inputs.map((v) => v?.()),
      outputs: [out],
      inPlace: undefined,
    })
    if (!same) this.forms.set(old, { base: out, perm: answer.perm })
    return true
  }

  /** How to get what `v` is a transposition of by `perm`; undefined where that costs a transposition. */
  private before(v: Value, perm: readonly number[]): (() => Value) | undefined {
    const form = this.forms.get(v)
    if (form) return () => this.plain(form.base)
    if (v.type.shape.every((d) => d === 1) && v.type.shape.length < perm.length) return () => v
    const wide = [...new Array<number>(Math.max(0, perm.length - v.type.shape.length)).fill(1), ...v.type.shape]
    if (wide.length !== perm.length) return undefined
    const back = inverse(perm)
    const shape = back.map((p) => wide[p])
    if (v.storage === 'const' && v.data) {
      const full: Value = { ...v, type: { ...v.type, shape: wide } }
      const out: Value = { ...v, type: { ...v.type, shape }, index: undefined }
      return () => {
        const [data] = transpose.eval(
          { op: transpose, attrs: { perm: back }, inputs: [full], outputs: [out], from: v.name },
          [v.data],
        )
        return { ...out, name: this.unique(v.name, perm), data }
      }
    }
    if (v.storage !== 'temp' || wide.length !== v.type.shape.length || !keepsOrder(v.type.shape, back)) return undefined
    return () => {
      const out: Value = { ...v, name: this.unique(v.name, perm), type: { ...v.type, shape }, index: undefined }
      this.nodes.push(this.copy(this.plain(v), out, v.name))
      return out
    }
  }

  private copy(x: Value, y: Value, from: string): Node {
    return { op: reshape, attrs: { shape: y.type.shape }, inputs: [x], outputs: [y], from } as unknown as Node
  }

  /** The value itself: computed from its form where nobody has done that yet. `named`: under its own name. */
  private plain(v: Value, named = false): Value {
    const form = this.forms.get(v)
    const known = this.made.get(v)
    if (known || !form) return known ?? v
    const { perm } = form
    if (form.base === v) return bug(`"${v.name}" is a transposition of itself`)
    const base = this.plain(form.base)
    if (isIdentity(perm) && !named) return base
    const node = keepsOrder(base.type.shape, perm)
      ? this.copy(base, v, v.name)
      : ({ op: transpose, attrs: { perm }, inputs: [base], outputs: [v], from: v.name } as unknown as Node)
    this.nodes.push(node)
    this.made.set(v, v)
    return v
  }

  private unique(name: string, perm: readonly number[]): string {
    const wanted = `${name}/as_${inverse(perm).join('')}`
    let out = wanted
    for (let i = 1; this.names.has(out); i++) out = `${wanted}#${i}`
    this.names.add(out)
    return out
  }
}

/** The graph as it was where fewer transpositions would cost a higher peak. */
export const layout: Pass = (graph: Graph): Graph => {
  const transposes = graph.nodes.some((node) => {
    const effect = node.op.effect?.(node)
    return effect && 'perm' in effect
  })
  if (!transposes) return graph
  const moved = new Layout(graph).run()
  return peak(moved).bytes > peak(graph).bytes ? graph : moved
}
