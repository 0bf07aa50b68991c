// What a model does: an immutable list of nodes in execution order. The order is the schedule, so reordering is a pass.

import { count, type Data, type Elem } from '../loops/ir.ts'
import type { Attrs, Op } from './op.ts'

/**
 * Types of stored elements. Below 8 bits elements are packed, the first in the low bits. Data and kernels hold u32 and u64
 * as the i32 and i64 of the same bits.
 */
export type DType =
  | 'f64'
  | 'f32'
  | 'f16'
  | 'i64'
  | 'i32'
  | 'i16'
  | 'i8'
  | 'u64'
  | 'u32'
  | 'u8'
  | 'i4'
  | 'i2'
  | 'u4'
  | 'u2'
  | 'bool'
  | 'bit'

/** real = scale * (stored - zero), per tensor (one entry) or per slice of `axis`. Scales are exact float32 values. */
export interface Quant {
  readonly scale: Float64Array
  readonly zero: Int32Array
  readonly axis?: number
  /** Stored numbers fit in so many bits; files and weight segments keep them in no more. */
  readonly bits?: 4 | 2
}

/**
 * What a tensor holds: element type, extent of each axis (row-major, images as NHWC), and, of quantised numbers, what
 * they stand for.
 */
export interface TensorType {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly quant?: Quant
}

/**
 * Where a value lives: `const` in the weight segment, `temp` in the arena while it is needed, `state` in RAM between
 * runs, `param` in RAM and learning, `slow` in external memory. State and params have `data`: what they start from.
 */
export type Storage = 'const' | 'temp' | 'state' | 'param' | 'slow'

/** A tensor of the graph. Identity is the object; names are unique within a graph. */
export interface Value {
  readonly name: string
  readonly type: TensorType
  readonly storage: Storage
  readonly data?: Data
  /** The tensor's number in the user's file, where the file numbers its tensors. */
  readonly index?: number
  /** Rows of other images [1, H, W, C], one below the other: the value has no place of its own. */
  readonly parts?: readonly ValuePart[]
}

/** `rows` rows of an image from row `from` on. */
export interface ValuePart {
  readonly value: Value
  readonly from: number
  readonly rows: number
}

/** One operation: its operator, its attributes, what it reads and what it computes. */
export interface Node<A extends Attrs = Attrs> {
  readonly op: Op<A>
  readonly attrs: A
  /** An absent optional input is `undefined`. */
  readonly inputs: readonly (Value | undefined)[]
  readonly outputs: readonly Value[]
  /** The layer's name in the user's file. */
  readonly from: string
  /** Output 0 takes over the buffer of this input, which nothing reads afterwards. */
  readonly inPlace?: number
  /** The inputs are parts of output 0's buffer, one behind the other, from the start. */
  readonly gathers?: true
  /** The rows of the graph's input that output 0 is arrive from outside before the next node runs. */
  readonly receives?: true
  /** May run at the same time as the node before it, and with all that may run beside that. */
  readonly beside?: true
}

/** A model: tensors that come in, nodes in the order in which they run, tensors that go out. */
export interface Graph {
  readonly name: string
  readonly inputs: readonly Value[]
  readonly nodes: readonly Node[]
  readonly outputs: readonly Value[]
  /** Of a training step: which inputs and outputs are the model's own. */
  readonly learns?: Learns
}

/** A training step's inputs are the model's, then a label or target, then the learning rate; its outputs the loss, the model's, what learns. */
export interface Learns {
  /** How many inputs and outputs are the model's. */
  readonly inputs: number
  readonly outputs: number
  /** Labels are whole numbers from 0 to below `classes`; absent where they are targets. */
  readonly classes?: number
}

export type Pass = (graph: Graph) => Graph

/** A value's data together with its type: what goes into and comes out of a run. */
export interface Tensor {
  readonly type: TensorType
  readonly data: Data
}

/**
 * The element type in which kernels see a dtype: those of packed activations, u4 and u2, as bytes. Undefined for packed
 * types that no kernel reads.
 */
export function elemOf(dtype: DType): Elem | undefined {
  switch (dtype) {
    case 'bool':
    case 'u4':
    case 'u2':
      return 'u8'
    case 'u32':
      return 'i32'
    case 'u64':
      return 'i64'
    case 'i4':
    case 'i2':
    case 'bit':
      return undefined
    default:
      return dtype
  }
}

const BITS: Record<DType, number> = {
  f64: 64,
  f32: 32,
  f16: 16,
  i64: 64,
  i32: 32,
  i16: 16,
  i8: 8,
  u64: 64,
  u32: 32,
  u8: 8,
  i4: 4,
  i2: 2,
  u4: 4,
  u2: 2,
  bool: 8,
  bit: 1,
}

/** Bits of an element as stored. */
export function bitsOf(dtype: DType): number {
  return BITS[dtype]
}

/** Whether kernels see elements of which several stand in a byte. */
export function isPacked({ dtype }: TensorType): boolean {
  return elemOf(dtype) !== undefined && BITS[dtype] < 8
}

/** Bytes of a tensor as stored, packed types rounded up to a whole byte. */
export function bytesOf(type: TensorType): number {
  return Math.ceil((count(type.shape) * BITS[type.dtype]) / 8)
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i])
}

export function sameQuant(a: Quant | undefined, b: Quant | undefined): boolean {
  if (!a || !b) return a === b
  return (
    a.axis === b.axis &&
    a.scale.length === b.scale.length &&
    a.scale.every((s, i) => s === b.scale[i]) &&
    a.zero.length === b.zero.length &&
    a.zero.every((z, i) => z === b.zero[i])
  )
}

export function sameType(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape) && sameQuant(a.quant, b.quant)
}

/** Per-tensor quantisation; the scale is rounded to float32, as files store it. */
export function quantOf(scale: number, zero: number): Quant {
  return { scale: Float64Array.of(Math.fround(scale)), zero: Int32Array.of(zero) }
}

/** `i8[1, 49, 10, 8] s=0.5 z=-3`, or `s=[64] axis=0` for per-channel scales. */
export function printTensorType(t: TensorType): string {
  const q = t.quant
  const scales = !q
    ? ''
    : q.scale.length === 1
      ? ` s=${q.scale[0]} z=${q.zero[0]}`
      : ` s=[${q.scale.length}] axis=${q.axis}`
  return `${t.dtype}[${t.shape.join(', ')}]${scales}`
}

/** The present inputs of a node. */
export function inputsOf(node: Node): Value[] {
  return node.inputs.filter((v): v is Value => v !== undefined)
}

/** The values whose elements a node reads: its inputs, and what those are parts of. */
export function valuesRead(node: Node): Value[] {
  return inputsOf(node).flatMap((v) => v.parts?.map((p) => p.value) ?? [v])
}

/** For each value, the nodes that read it, in order. */
export function readers(graph: Graph): Map<Value, Node[]> {
  const out = new Map<Value, Node[]>()
  for (const node of graph.nodes)
    for (const v of new Set(inputsOf(node))) {
      const list = out.get(v)
      if (list) list.push(node)
      else out.set(v, [node])
    }
  return out
}

/** Every value of the graph, each once: inputs, then as nodes mention them. */
export function valuesOf(graph: Graph): Value[] {
  const all = new Set<Value>(graph.inputs)
  for (const node of graph.nodes) {
    for (const v of valuesRead(node)) all.add(v)
    for (const v of node.outputs) all.add(v)
  }
  for (const v of graph.outputs) all.add(v)
  return [...all]
}
