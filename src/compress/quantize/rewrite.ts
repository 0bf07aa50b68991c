// From a float32 graph and its decisions (scales, stored weights) to the graph on integers. An operator says how it computes
// on them (`quantize`); one that does not stays float32, between dequantising and quantising.

import { ModelError } from '../../errors.ts'
import { isWritable } from '../../export/onnx.ts'
import { Builder } from '../../ir/build.ts'
import {
  type DType,
  type Graph,
  type Node,
  type Quant,
  sameQuant,
  type TensorType,
  type Value,
} from '../../ir/graph.ts'
import type { Attrs, Quantising } from '../../ir/op.ts'
import { count, type Data } from '../../loops/ir.ts'
import { quantizeReal, rangeOf } from '../../ops/quant.ts'
import { dequantize, type Quantize, quantize } from '../../ops/quantize/op.ts'
import { quantOfRange, type Range } from './range.ts'
import type { Widths } from './scales.ts'
import { type Stored, storeBias } from './weights.ts'

export type Activations = 'i8' | 'i16'

/** What was decided for a graph. */
export interface Decisions {
  readonly activations: Activations
  /** Of each float32 tensor that may be stored. */
  readonly quants: ReadonlyMap<Value, Quant>
  /** Of those that have less than 8 bits. */
  readonly widths?: Widths
  /** Of each node that has weights. */
  readonly weights: ReadonlyMap<Node, Stored>
  /** Biases other than the node's own, one real for each output channel. */
  readonly biases: ReadonlyMap<Node, ArrayLike<number>>
  /** Whose rounding: TensorFlow Lite's fixed point, or ONNX Runtime's float32. */
  readonly arithmetic: 'tflite' | 'onnx'
  /** Whether the model's inputs and outputs are integers, or float32. */
  readonly io: 'integers' | 'float'
}

export interface Rewritten {
  readonly graph: Graph
  /** Nodes that stay float32, with the reason where the operator gave one. */
  readonly floats: readonly { readonly node: Node; readonly reason: string }[]
  /** What became of the float32 tensors: their stored form, or themselves. */
  readonly became: ReadonlyMap<Value, Value>
}

/** The form of a node that may become integers: constants beside its weights are float32. */
export function formOf(node: Node): Quantising | undefined {
  const form = node.op.quantize?.(node)
  if (!form || node.outputs.some((v) => v.type.dtype !== 'f32')) return undefined
  const w = form.weights && node.inputs[form.weights.input]
  return w && (w.storage !== 'const' || w.type.dtype !== 'f32') ? undefined : form
}

/** Rewrites the nodes that `may` admits; the others stay float32. */
export function toIntegers(graph: Graph, decisions: Decisions, may: (node: Node) => boolean = () => true): Rewritten {
  return new Rewriter(graph, decisions, may).run()
}

class Rewriter {
  private readonly graph: Graph
  private readonly decisions: Decisions
  private readonly may: (node: Node) => boolean
  private readonly build: Builder
  private readonly floats: { node: Node; reason: string }[] = []
  /** Each tensor of the old graph in the new one: as float32 (or another plain type), and as integers. */
  private readonly plain = new Map<Value, Value>()
  private readonly stored = new Map<Value, Value>()

  constructor(graph: Graph, decisions: Decisions, may: (node: Node) => boolean) {
    this.graph = graph
    this.decisions = decisions
    this.may = may
    this.build = new Builder(graph.name)
  }

  run(): Rewritten {
    const { graph, build, decisions } = this
    for (const v of graph.inputs) {
      const quant = decisions.quants.get(v)
      if (decisions.io === 'integers' && quant && v.type.dtype === 'f32')
        this.stored.set(v, build.input(v.name, this.storedType(v, quant), v.index))
      else this.plain.set(v, build.input(v.name, v.type, v.index))
    }
    for (const node of graph.nodes) this.node(node)
    const outputs = graph.outputs.map((v) => {
      const q = this.stored.get(v)
      return q && decisions.io === 'integers' ? q : this.real(v)
    })
    return {
      graph: build.graph(outputs),
      floats: this.floats,
      became: new Map([...this.plain, ...this.stored]),
    }
  }

  private storedType(v: Value, quant: Quant, like = v): TensorType {
    return { dtype: this.dtypeOf(like), shape: v.type.shape, quant }
  }

  private dtypeOf(v: Value): DType {
    return this.decisions.widths?.get(v) ?? this.decisions.activations
  }

  private node(node: Node): void {
    const form = formOf(node)
    // What only moves elements is left where these are.
    const moves = form?.output === 'shared' && !node.inputs.some((v) => v && this.stored.has(v))
    if (!form || moves || !this.may(node)) {
      if (!form && this.may(node) && node.outputs.some((v) => v.type.dtype === 'f32'))
        this.floats.push({ node, reason: 'has no integer form' })
      this.keep(node)
      return
    }
    try {
      this.rewrite(node, form)
    } catch (error) {
      if (!(error instanceof ModelError)) throw error
      this.floats.push({ node, reason: error.message })
      this.keep(node)
    }
  }

  /** The node as it is, on float32. */
  private keep(node: Node): void {
    const inputs = node.inputs.map((v) => v && this.real(v))
    const names = node.outputs.map((v) => v.name)
    const indices = node.outputs.map((v) => v.index ?? -1)
    const types = node.outputs.map((v) => v.type)
    const options = { names, types, from: node.from, ...(indices.every((i) => i >= 0) && { indices }) }
    this.build.add(node.op, inputs, node.attrs, options).forEach((v, i) => {
      this.plain.set(node.outputs[i], v)
    })
  }

  private rewrite(node: Node, form: Quantising): void {
    const { activations, quants } = this.decisions
    const quantOf = (v: Value): Quant => {
      const q = quants.get(v)
      if (!q) throw new ModelError(node.from, `"${v.name}" has no scale`)
      return q
    }
    const y = quantOf(node.outputs[0])
    const kept = this.decisions.weights.get(node)
    const inputs =
      form.weights && kept
        ? this.summed(node, form.weights.input, kept, quantOf(node.inputs[0]!))
        : node.inputs.map((v) => {
            if (!v || v.type.dtype !== 'f32') return v && this.real(v)
            if (form.output === 'shared') return this.integers(v, y, node.outputs[0])
            return this.integers(v, v.storage === 'const' ? quantOfConstant(v, activations) : quantOf(v))
          })
    const onnx = this.decisions.arithmetic === 'onnx'
    const plain: Attrs = form.attrs?.(y) ?? node.attrs
    const stored = this.dtypeOf(node.outputs[0])
    const differs = form.subByte && form.output === 'own' && stored !== inputs[0]?.type.dtype
    const attrs: Attrs = {
      ...plain,
      ...(onnx && form.scaling && { scaling: 'float' }),
      ...(differs && { stored }),
    }
    const inferred = node.op.infer(
      inputs.map((v) => v?.type),
      attrs,
    )
    const types = inferred.map((t, i) => (form.output === 'fixed' ? t : { ...t, quant: quantOf(node.outputs[i]) }))
    const names = node.outputs.map((v) => v.name)
    if (onnx && !isWritable(trial(node, inputs, attrs, types)))
      throw new ModelError(node.from, 'ONNX has no integer form of it')
    const results = this.build.add(node.op, inputs, attrs, { names, types, from: node.from })
    results.forEach((v, i) => {
      this.stored.set(node.outputs[i], v)
    })
  }

  /** Input, stored weights and bias of a node of sums. */
  private summed(node: Node, input: number, stored: Stored, x: Quant): (Value | undefined)[] {
    const { activations, biases } = this.decisions
    const [w, b] = [node.inputs[input]!, node.inputs[input + 1]]
    const weights = this.build.const(w.name, { dtype: 'i8', shape: w.type.shape, quant: stored.quant }, stored.data)
    const reals = biases.get(node) ?? (b?.data as Float32Array | undefined)
    const bias = reals && storeBias(reals, x.scale[0], stored.quant.scale, activations)
    return [
      this.integers(node.inputs[0]!, x),
      weights,
      bias && this.build.const(b?.name ?? `${node.outputs[0].name}/bias`, bias.type, bias.data),
    ]
  }

  /** A tensor as integers with this quantisation, of the type of `like`. */
  private integers(v: Value, quant: Quant, like = v): Value {
    const type = this.storedType(v, quant, like)
    if (v.storage === 'const') return this.build.const(v.name, type, storedConstant(v, type))
    const known = this.stored.get(v)
    if (known && known.type.dtype === type.dtype && sameQuant(known.type.quant, quant)) return known
    const from = known ?? this.plain.get(v)!
    const names = [`${v.name}/${known ? 'rescaled' : 'stored'}`]
    const attrs: Quantize = { dtype: type.dtype, ...(this.decisions.arithmetic === 'onnx' && { ties: 'even' }) }
    const q = this.build.one(quantize, [from], attrs, { types: [type], names, from: v.name })
    if (!known) this.stored.set(v, q)
    return q
  }

  /** A tensor as float32, or of the plain type that it had. */
  private real(v: Value): Value {
    if (v.data && !this.graph.inputs.includes(v)) return v
    const known = this.plain.get(v)
    if (known) return known
    const real = this.build.one(dequantize, [this.stored.get(v)!], {}, { names: [`${v.name}/real`], from: v.name })
    this.plain.set(v, real)
    return real
  }
}

function trial(node: Node, inputs: Node['inputs'], attrs: Attrs, types: readonly TensorType[]): Node {
  const build = new Builder()
  build.add(node.op, inputs, attrs, { types, from: node.from })
  return build.graph([]).nodes[0]
}

function quantOfConstant(v: Value, dtype: Activations): Quant {
  const range = (v.data as Float32Array).reduce<Range>(
    ({ lo, hi }, x) => ({ lo: Math.min(lo, x), hi: Math.max(hi, x) }),
    { lo: 0, hi: 0 },
  )
  return quantOfRange(range, dtype)
}

function storedConstant(v: Value, { dtype, quant, shape }: TensorType): Data {
  const { min, max } = rangeOf(dtype)
  const [scale, zero] = [quant!.scale[0], quant!.zero[0]]
  const to = dtype === 'i8' ? Int8Array : Int16Array
  const data = new to(count(shape))
  ;(v.data as Float32Array).forEach((x, i) => {
    data[i] = Math.min(max, Math.max(min, quantizeReal(x, scale, zero)))
  })
  return data
}
