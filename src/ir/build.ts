// The builder: appends checked nodes to a graph under construction. Importers, passes and users write graphs with it.

import { ModelError } from '../errors.ts'
import { count, type Data, elemOfData } from '../loops/ir.ts'
import { bytesOf, elemOf, type Graph, type Node, type Quant, type TensorType, type Value, valuesOf } from './graph.ts'
import { checkType, FOLD_MACS, MAX_BYTES } from './limits.ts'
import type { Attrs, Op } from './op.ts'

/** What the caller knows of a new node's outputs; `op.infer` gives the rest. */
export interface NodeOptions {
  /** Full output types (as files give them). */
  readonly types?: readonly TensorType[]
  /** Quantisation of output 0, where only that is missing. */
  readonly quant?: Quant
  /** Names of the outputs, and their numbers in the file. */
  readonly names?: readonly string[]
  readonly indices?: readonly number[]
  /** The layer's name in the user's file. */
  readonly from?: string
}

/** What a builder does beyond appending. */
export interface BuilderOptions {
  /** Nodes whose inputs are all constants become constants at once, up to so many bytes of results in all. */
  readonly fold?: number
  /** Bytes of all constants together, those that share their data counted once. */
  readonly constants?: number
}

/**
 * Appends checked nodes to a graph: `input`, `const` and `state` make tensors, `add` and `one` a node of an operator
 * (`ops`), `graph` ends it. Names that are taken get a number. Throws ModelError for what an operator or the limits of
 * sizes refuse.
 */
export class Builder {
  readonly name: string
  /** The layer's name given to nodes that do not say their own. */
  from = ''
  private readonly inputs: Value[] = []
  private readonly nodes: Node[] = []
  private readonly names = new Set<string>()

  private foldable: number
  private readonly most: number
  private readonly counted = new Set<ArrayBufferLike>()
  private constantBytes = 0

  constructor(name = 'model', options: BuilderOptions = {}) {
    this.name = name
    this.foldable = options.fold ?? 0
    this.most = options.constants ?? MAX_BYTES
  }

  /** A builder that goes on where `graph` ends: its inputs, nodes and names are there already. */
  static after(graph: Graph): Builder {
    const build = new Builder(graph.name)
    build.inputs.push(...graph.inputs)
    build.nodes.push(...graph.nodes)
    for (const v of valuesOf(graph)) build.names.add(v.name)
    return build
  }

  private unique(wanted: string): string {
    let name = wanted || 'value'
    for (let i = 1; this.names.has(name); i++) name = `${wanted || 'value'}#${i}`
    this.names.add(name)
    return name
  }

  /** A graph input. */
  input(name: string, type: TensorType, index?: number): Value {
    checkType(type, `input "${name}"`)
    const v: Value = { name: this.unique(name), type, storage: 'temp', index }
    this.inputs.push(v)
    return v
  }

  /** A constant of `type` (weights, shapes, tables); `data` in row-major order. */
  const(name: string, type: TensorType, data: Data, index?: number): Value {
    return this.stored('const', name, type, data, index)
  }

  /** A tensor that lives between runs and starts as `data`. */
  state(name: string, type: TensorType, data: Data, index?: number): Value {
    return this.stored('state', name, type, data, index)
  }

  /** A tensor that learns: it lives between runs, starts as `data`, and nothing derived from it is computed beforehand. */
  param(name: string, type: TensorType, data: Data, index?: number): Value {
    return this.stored('param', name, type, data, index)
  }

  private stored(
    storage: 'const' | 'state' | 'param',
    name: string,
    type: TensorType,
    data: Data,
    index?: number,
  ): Value {
    checkType(type, `${storage} "${name}"`)
    const elem = elemOf(type.dtype)
    if (elem && elem !== elemOfData(data))
      throw new ModelError(`${storage} "${name}"`, `type is ${type.dtype}, data is ${elemOfData(data)}`)
    if (elem && data.length !== count(type.shape))
      throw new ModelError(
        `${storage} "${name}"`,
        `shape [${type.shape}] has ${count(type.shape)} elements, data has ${data.length}`,
      )
    if (!this.counted.has(data.buffer)) {
      this.counted.add(data.buffer)
      this.constantBytes += data.byteLength
    }
    if (this.constantBytes > this.most)
      throw new ModelError(`${storage} "${name}"`, `takes the constants beyond ${this.most} bytes`)
    return { name: this.unique(name), type, storage, data, index }
  }

  /** Appends a node and returns its outputs; absent inputs at the end are dropped. Throws ModelError where `op.check` refuses it. */
  add<A extends Attrs>(op: Op<A>, given: readonly (Value | undefined)[], attrs: A, options: NodeOptions = {}): Value[] {
    const inputs = given.slice(0, given.findLastIndex((v) => v !== undefined) + 1)
    const from = options.from ?? this.from
    let types =
      options.types ??
      op.infer(
        inputs.map((v) => v?.type),
        attrs,
      )
    if (options.quant) types = types.map((t, i) => (i === 0 ? { ...t, quant: options.quant } : t))
    const outputs = types.map((type, i): Value => {
      const name = this.unique(options.names?.[i] ?? (i === 0 ? from || op.name : `${from || op.name}:${i}`))
      return { name, type, storage: 'temp', index: options.indices?.[i] }
    })
    const node: Node<A> = { op, attrs, inputs, outputs, from: from || outputs[0]?.name || op.name }
    op.check(node)
    for (const v of outputs) checkType(v.type, `${layer(node)}, output "${v.name}"`)
    const constants = this.folded(node)
    if (constants) return constants
    this.nodes.push(node as Node)
    return outputs
  }

  private folded<A extends Attrs>(node: Node<A>): Value[] | undefined {
    const { op, inputs, outputs } = node
    const constant = inputs.some((v) => v) && inputs.every((v) => !v || v.storage === 'const')
    if (this.foldable === 0 || !constant || op.writesState) return undefined
    const bytes = outputs.reduce((sum, v) => sum + bytesOf(v.type), 0)
    if (bytes > this.foldable || op.cost(node).macs > FOLD_MACS) return undefined
    this.foldable -= bytes
    const results = op.eval(
      node,
      inputs.map((v) => v?.data),
    )
    return outputs.map((v, i) => ({ ...v, storage: 'const', data: results[i] }))
  }

  /** `add` for a node with one output. */
  one<A extends Attrs>(op: Op<A>, inputs: readonly (Value | undefined)[], attrs: A, options?: NodeOptions): Value {
    return this.add(op, inputs, attrs, options)[0]
  }

  /** The graph so far, with these outputs. */
  graph(outputs: readonly Value[]): Graph {
    return { name: this.name, inputs: [...this.inputs], nodes: [...this.nodes], outputs: [...outputs] }
  }
}

/** `conv2d "block_3/expand"`: how errors name a layer. */
export function layer(node: Node): string {
  return `${node.op.name} "${node.from}"`
}
