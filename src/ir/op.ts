// What the compiler asks about one operator. Passes ask; they never test which operator a node has.

import type { Data, Kernel } from '../loops/ir.ts'
import type { Builder, NodeOptions } from './build.ts'
import type { Node, Quant, TensorType, Value } from './graph.ts'

export type AttrValue =
  | number
  | string
  | boolean
  | undefined
  | readonly AttrValue[]
  | { readonly [key: string]: AttrValue }
/** Plain data, so that graphs can be saved, printed and compared. Declare an operator's attributes with `type`, not `interface`. */
export type Attrs = { readonly [key: string]: AttrValue }

/** Places `from` to `to` - 1 along an axis. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** A rectangle of an image [N, H, W, C]. */
export interface Region {
  readonly rows: Range
  readonly columns: Range
}

/** What one execution costs: multiply-accumulates, and the bytes of tensors read and written (weights included). */
export interface Cost {
  readonly macs: number
  readonly bytesRead: number
  readonly bytesWritten: number
}

/** What a kernel's buffer stands for: a value of the graph (its elements from `from` on), data derived from the node's constants, or working space. */
export type Arg =
  | { readonly value: Value; readonly from?: number }
  | { readonly data: Data; readonly made?: Made }
  | { readonly scratch: true }

/** How data follow from smaller ones: loops that read `from`, one buffer each, and write the last buffer, which is the data. */
export interface Made {
  readonly kernel: Kernel
  readonly from: readonly Data[]
}

/** A kernel and what each of its buffers is bound to: the work of one node. */
export interface Call {
  readonly kernel: Kernel
  readonly args: readonly Arg[]
}

/**
 * What a node does, in words that a neighbour may know how to take over: the vocabulary of the `fuse` pass.
 * `pad` widens its input by constant elements (`value` as stored); `clamp` limits real values and keeps the type;
 * `bias` adds `bias` along the last axis, `scale` multiplies by `factor` along it; `quantize` and `dequantize` change between f32 and a quantised type;
 * `copy` gives its input's bytes another shape; `transpose` brings axes into another order, axis d of the output being axis
 * `perm[d]` of the input (a copy with `perm` does both at once).
 */
export type Effect =
  | { readonly does: 'pad'; readonly low: readonly number[]; readonly high: readonly number[]; readonly value: number }
  | { readonly does: 'clamp'; readonly min: number; readonly max: number }
  | { readonly does: 'bias'; readonly bias: Value }
  | { readonly does: 'scale'; readonly factor: Value }
  | { readonly does: 'quantize' }
  | { readonly does: 'dequantize' }
  | { readonly does: 'copy'; readonly perm?: readonly number[] }
  | { readonly does: 'transpose'; readonly perm: readonly number[] }

/** The least and greatest stored value of each channel (slice of the last axis) of a tensor, whatever the model's inputs are. */
export interface Bounds {
  readonly least: Int32Array
  readonly most: Int32Array
}

/** Marks on the channels (slices of the last axis) of a node's inputs and of its output 0; none for an absent input. */
export interface Channels {
  readonly inputs: readonly (readonly boolean[])[]
  readonly output: readonly boolean[]
}

/** A node with fewer channels: those that go, and the node on values that lack them. */
export interface Narrowed {
  readonly gone: Channels
  node(inputs: readonly (Value | undefined)[], output: Value): Node
}

/** The sums of products of a node: weights, and the bias that follows them among the inputs. */
export interface Weighted {
  /** The input that holds the weights, and their axis that runs over the output's channels (slices of its last axis). */
  readonly input: number
  readonly axis: number
  /** The fused activation. */
  readonly clamp: { readonly min?: number; readonly max?: number }
  /**
   * The products that make element [row, channel] of the output: number of the weight, input channel, and number of the
   * element of input 0, -1 in the padding.
   */
  products?(row: number, channel: number, visit: (weight: number, channel: number, x: number) => void): void
  /** Appends the same work on float32 with int8 weights, activations quantised at run time. */
  dynamic?(build: Builder, inputs: readonly [Value, Value, Value | undefined], result: NodeOptions): readonly Value[]
}

/** How a node computes on stored integers: what the rewrite of a float32 model asks. */
export interface Quantising<A extends Attrs = Attrs> {
  /**
   * Where the outputs' scales come from: their `own` range; `shared` by all float32 inputs and outputs; or `fixed` by the
   * operator (`infer` tells them).
   */
  readonly output: 'own' | 'shared' | 'fixed'
  readonly weights?: Weighted
  /** The operator computes int8 as ONNX Runtime does where its attribute `scaling` is `float`. */
  readonly scaling?: true
  /** Elements may have less than 8 bits; where the output is its `own`, the attribute `stored` is its type. */
  readonly subByte?: true
  /** The attributes on stored numbers, where they differ: from the outputs' quantisation. */
  attrs?(y: Quant): A
}

/** Values of a .tflite options table by field name: what the file says, or the schema's default. */
export type OptionValue = number | boolean | string | readonly number[] | undefined
/** One field of an options table: its slot in the flatbuffer table, its type, and the schema's default. */
export interface OptionField {
  readonly slot: number
  readonly type: 'i8' | 'u8' | 'i32' | 'u32' | 'i64' | 'f32' | 'bool' | 'string' | 'i32[]' | 'f32[]'
  readonly default?: number | boolean
}

/** One operator of a .tflite file as the importer found it: a one-node reading hands `result` on to `Builder.add`. */
export interface TfliteNode {
  readonly inputs: readonly (Value | undefined)[]
  readonly options: Readonly<Record<string, OptionValue>>
  /** Output 0 is uint8 in the file; it is read as int8, 128 lower. */
  readonly unsigned?: boolean
  /** Types, names and tensor numbers of the outputs, and the layer's name. */
  readonly result: NodeOptions & { readonly types: readonly TensorType[] }
}

/** One operator as the exporter is to write it. */
export interface TfliteRecord extends Pick<TfliteNode, 'inputs' | 'options'> {
  /** What it computes, where that is not the node's outputs. */
  readonly outputs?: readonly Value[]
  /** Other nodes whose work the operator does as well: they are not written, so nothing else may need what they compute. */
  readonly covers?: readonly Node[]
}

/** What surrounds a node that is written: the node that computes a value, and those that read it. */
export interface Surroundings {
  producer(value: Value): Node | undefined
  readers(value: Value): readonly Node[]
  /** Whether the value is an output of the model. */
  isOutput(value: Value): boolean
}

/** How one operator of the TFLite schema, builtin or custom, is read and written. */
export interface TfliteSpelling<A extends Attrs = Attrs> {
  /** Name and number in the schema's BuiltinOperator enum; a custom operator has the number of CUSTOM and its own name. */
  readonly name: string
  readonly code: number
  /** Number in the schema's BuiltinOptions union, and the table's fields; a custom operator's are those of a flexbuffer's map. */
  readonly options?: { readonly id: number; readonly fields: Readonly<Record<string, OptionField>> }
  /** The operator has no outputs. */
  readonly silent?: true
  /**
   * Appends the nodes that mean this operator and returns its outputs. Throws ModelError for what is not supported.
   * Absent where another spelling of the same operator reads it.
   */
  read?(build: Builder, node: TfliteNode): readonly Value[]
  /**
   * The operator as a file would hold it, or nodes that together compute the same and are written in its place;
   * undefined where this spelling cannot express the node.
   */
  write?(node: Node<A>, around: Surroundings): TfliteRecord | readonly Node[] | undefined
}

/** An attribute of an ONNX node; tensors come as constant values. */
export type OnnxAttr = number | string | readonly number[] | readonly string[] | Value | undefined

/** One node of an ONNX file. Its output types are inferred; a one-node reading hands `result` on to `Builder.add`. */
export interface OnnxNode {
  readonly inputs: readonly (Value | undefined)[]
  readonly attrs: Readonly<Record<string, OnnxAttr>>
  /** The version of the operator set that the file asks for. */
  readonly opset: number
  /** How many outputs the file names: 1 for most operators. */
  readonly outputs: number
  /** Names of the outputs, and the layer's name. */
  readonly result: NodeOptions
}

/** One node as the exporter is to write it. */
export interface OnnxRecord extends Pick<OnnxNode, 'inputs' | 'attrs'> {
  /** The operator's type and domain, where those are not the spelling's. */
  readonly name?: string
  readonly domain?: string
  /** What it computes, where that is not the node's outputs. */
  readonly outputs?: readonly Value[]
}

/** How one operator of the ONNX standard is read and written. */
export interface OnnxSpelling<A extends Attrs = Attrs> {
  /** The operator's type, and its domain where that is not the standard's. */
  readonly name: string
  readonly domain?: string
  /** Appends the nodes that mean this operator and returns its outputs. Throws ModelError for what is not supported. */
  read(build: Builder, node: OnnxNode): readonly Value[]
  /** The node as a file would hold it, in one record or several; undefined where this spelling cannot express it. */
  write?(node: Node<A>): OnnxRecord | readonly OnnxRecord[] | undefined
}

export interface Op<A extends Attrs = Attrs> {
  readonly name: string
  /** How each file format writes this operator; an operator may have several spellings, or none. */
  readonly spelled: { readonly tflite?: readonly TfliteSpelling<A>[]; readonly onnx?: readonly OnnxSpelling<A>[] }
  /** Shapes, types and quantisation agree; otherwise throws ModelError that names the layer and both values. */
  check(node: Node<A>): void
  /** Output types from input types, without output quantisation where the operator cannot know it. */
  infer(inputs: readonly (TensorType | undefined)[], attrs: A): TensorType[]
  /** The meaning, in plain loops: the oracle for every kernel. Inputs in the order of the node's; outputs freshly allocated. */
  eval(node: Node<A>, inputs: readonly (Data | undefined)[]): Data[]
  /** The same work in the loop language. Schedules make it fast, never different. */
  lower(node: Node<A>): Call
  cost(node: Node<A>): Cost
  /** The inputs whose buffer output 0 may overwrite, best first: each element is read before it is written. */
  inPlace?(node: Node<A>): readonly number[]
  /**
   * The same where the output may only be written channel by channel (slice of the last axis), each after all of that channel
   * is read: loops of a node with `inPlace` set keep a channel in scratch.
   */
  inPlaceByChannel?(node: Node<A>): readonly number[]
  /** What this node does, if a neighbour may take it over. */
  effect?(node: Node<A>): Effect | undefined
  /**
   * This node with `effect` of a neighbour taken over: `other` feeds input `input` (side `before`) or reads output 0
   * (side `after`). A node: replaces both. A value: both are gone and their result is that value. The outputs' bits stay the same.
   */
  absorb?(
    node: Node<A>,
    effect: Effect,
    other: Node,
    side: 'before' | 'after',
    input: number,
  ): Node<A> | Value | undefined
  /**
   * The inputs are transposed by `perm` (operands of fewer axes broadcast, as numpy's): the attributes with which this node
   * computes the same, bit for bit, from them as they were before, and the transposition that its output then needs.
   */
  permute?(node: Node<A>, perm: readonly number[]): { readonly attrs: A; readonly perm: readonly number[] } | undefined
  /** Bounds of output 0 from those of the inputs, where it has 8 bits; absent inputs and other types have none. */
  bounds?(node: Node<A>, inputs: readonly (Bounds | undefined)[]): Bounds | undefined
  /**
   * Of the channels that all others can do without (`free`), those that this node can do without too. What it computes of
   * the rest stays the same, bit for bit: it knows an input channel whose bounds meet, and what it never needs.
   */
  narrow?(node: Node<A>, free: Channels, inputs: readonly (Bounds | undefined)[]): Narrowed | undefined
  /**
   * For images [N, H, W, C]: a rectangle of output 0 as a node of its own. Which rectangle of each input it reads (undefined:
   * all of it), and its attributes.
   */
  region?(
    node: Node<A>,
    out: Region,
  ): { readonly inputs: readonly (Region | undefined)[]; readonly attrs: A } | undefined
  /** How this float32 node computes on stored integers; undefined where it does not. */
  quantize?(node: Node<A>): Quantising<A> | undefined
  /** The attributes of this node where the first axis of its inputs and of its outputs has `times` the extent, where they change. */
  rebatch?(node: Node<A>, times: number): A
  /** The same node in float32, where it computes on numbers that are quantised at run time. */
  real?(node: Node<A>, around: Surroundings): Node | undefined
  /** Takes tensors without elements (a 0 in their shape) and makes them; the others refuse them in `check`. */
  readonly empty?: true
  /** Writes to input 0, which is state or a param: `eval` changes that input's data, and later readers see the new content. */
  readonly writesState?: boolean
}
