/// <reference types="vite/client" />
// Runs the operators' cases: the inputs worth trying, the meaning of each node, and the same node's kernel on arrays, so
// that runners can be compared bit for bit.

import { bytesOf, elemOf, type Graph, type Node, type TensorType, type Value, valuesOf } from '../../src/ir/graph.ts'
import type { Arg } from '../../src/ir/op.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { f32ToF16 } from '../../src/loops/float.ts'
import { count, type Data, elemBytes, elemOfData, type Kernel, newData } from '../../src/loops/ir.ts'
import type { OpCase } from '../../src/ops/case.ts'
import { rangeOf } from '../../src/ops/quant.ts'
import { viewOf } from '../../src/run/interpreter.ts'

export interface Fill {
  readonly name: string
  make(type: TensorType, random: Xorshift32): Data
}

const LARGEST = 3.4028234663852886e38
const SMALLEST = 2 ** -149

/** The largest and the smallest float32 numbers become those of binary16. */
function halfOf(x: number): number {
  return f32ToF16(Math.abs(x) < 2 ** -140 ? x * 2 ** 125 : Math.max(-65504, Math.min(65504, x)))
}

/** Integers that are not quantised activations (indices, shapes) keep to the generator's small values. */
function filled(f: { float: (r: Xorshift32) => number; integer: (t: TensorType, r: Xorshift32) => number }) {
  return (type: TensorType, random: Xorshift32): Data => {
    const data = random.fill(type)
    if (data instanceof BigInt64Array || data instanceof Int32Array) return data
    for (let i = 0; i < data.length; i++)
      data[i] =
        type.dtype === 'f32' || type.dtype === 'f64'
          ? f.float(random)
          : type.dtype === 'f16'
            ? halfOf(f.float(random))
            : type.dtype === 'bool'
              ? f.integer(type, random) & 1
              : f.integer(type, random)
    return data
  }
}

const zeroOf = (t: TensorType) => t.quant?.zero[0] ?? 0

export const FILLS: readonly Fill[] = [
  ...[1, 2, 3].map((seed) => ({
    name: `random ${seed}`,
    make: (type: TensorType, random: Xorshift32) => random.fill(type),
  })),
  { name: 'least', make: filled({ float: () => -LARGEST, integer: (t) => rangeOf(t.dtype).min }) },
  { name: 'greatest', make: filled({ float: () => LARGEST, integer: (t) => rangeOf(t.dtype).max }) },
  { name: 'zero point', make: filled({ float: (r) => (r.next() & 8 ? 0 : -0), integer: zeroOf }) },
  {
    name: 'extremes',
    make: filled({
      float: (r) => [LARGEST, -LARGEST, 1e30, -1e30][r.between(0, 3)],
      integer: (t, r) => (r.next() & 8 ? rangeOf(t.dtype).max : rangeOf(t.dtype).min),
    }),
  },
  {
    name: 'around the zero point',
    make: filled({
      float: (r) => SMALLEST * r.between(-9, 9),
      integer: (t, r) => Math.max(rangeOf(t.dtype).min, Math.min(rangeOf(t.dtype).max, zeroOf(t) + r.between(-2, 2))),
    }),
  },
  {
    name: 'many magnitudes',
    make: filled({
      float: (r) => Math.fround((r.between(-1000, 1000) / 1000) * 2 ** r.between(-60, 40)),
      integer: (t, r) => [rangeOf(t.dtype).min, zeroOf(t), rangeOf(t.dtype).max][r.between(0, 2)],
    }),
  },
]

export function inputsOfGraph(graph: Graph, fill: Fill): Data[] {
  const random = new Xorshift32(1 + FILLS.indexOf(fill))
  return graph.inputs.map((v) => fill.make(v.type, random))
}

const modules = import.meta.glob<{ cases: readonly OpCase[] }>('../../src/ops/*/cases.ts', { eager: true })

/** All cases of all operator families. */
export const CASES: readonly OpCase[] = Object.values(modules).flatMap((m) => m.cases)

/** Families that have an operator but no cases. */
export const WITHOUT_CASES: readonly string[] = Object.keys(import.meta.glob('../../src/ops/*/op.ts')).filter(
  (path) => !(path.replace(/op\.ts$/, 'cases.ts') in modules),
)

/** One execution of a node: what it is given, and what its meaning makes of it. */
export interface Execution {
  readonly node: Node
  readonly inputs: readonly (Data | undefined)[]
  readonly outputs: readonly Data[]
  /** The inputs afterwards: changed only where the node writes state. */
  readonly after: readonly (Data | undefined)[]
}

/** Runs a graph by the meaning of its operators and lists what each node did. */
export function executions(graph: Graph, inputs: readonly Data[]): Execution[] {
  const data = new Map<Value, Data>(valuesOf(graph).flatMap((v) => (v.data ? [[v, v.data.slice()]] : [])))
  graph.inputs.forEach((v, i) => {
    data.set(v, inputs[i])
  })
  return graph.nodes.map((node) => {
    const given = node.inputs.map((v) => v && data.get(v))
    const before = given.map((d) => d?.slice())
    const outputs = node.op.eval(node, given)
    node.outputs.forEach((v, i) => {
      data.set(v, outputs[i])
    })
    return { node, inputs: before, outputs, after: given.map((d) => d?.slice()) }
  })
}

function reinterpret(data: Data, kernel: Kernel, k: number): Data {
  const buf = kernel.bufs[k]
  const n = count(buf.shape)
  if (data.byteLength !== n * elemBytes(buf.elem))
    throw new Error(
      `${kernel.name}: buffer ${buf.name} ${buf.elem}[${buf.shape}] is bound to ${elemOfData(data)} with ${data.length} elements`,
    )
  return viewOf(buf.elem, data.buffer, data.byteOffset, n)
}

/** A node's kernel with an array for each buffer, fresh ones for what it writes. `inPlace`: output 0 lies on this input. */
export interface Bound {
  readonly kernel: Kernel
  readonly args: readonly Data[]
  readonly inputs: readonly (Data | undefined)[]
  readonly outputs: readonly Data[]
}

export function bind(e: Execution, inPlace?: number): Bound {
  const { node } = e
  const { kernel, args } = node.op.lower(node)
  const arrays = new Map<Value, Data>()
  node.inputs.forEach((v, i) => {
    const d = e.inputs[i]
    if (v && d && !arrays.has(v)) arrays.set(v, d.slice())
  })
  node.outputs.forEach((v, i) => {
    const elem = elemOf(v.type.dtype) ?? 'u8'
    const n = bytesOf(v.type) / elemBytes(elem)
    if (i === 0 && inPlace !== undefined) {
      const under = arrays.get(node.inputs[inPlace]!)!
      arrays.set(v, viewOf(elem, under.buffer, under.byteOffset, n))
      return
    }
    const fresh = newData(elem, n)
    new Uint8Array(fresh.buffer).fill(0xa5)
    arrays.set(v, fresh)
  })
  const dataOf = (arg: Arg, k: number): Data => {
    const buf = kernel.bufs[k]
    if ('scratch' in arg) {
      const scratch = newData(buf.elem, count(buf.shape))
      new Uint8Array(scratch.buffer).fill(0xa5)
      return scratch
    }
    if ('data' in arg) return arg.data.slice()
    const whole = arrays.get(arg.value)!
    return arg.from === undefined ? whole : whole.subarray(arg.from, arg.from + count(buf.shape))
  }
  return {
    kernel,
    args: args.map((arg, k) => reinterpret(dataOf(arg, k), kernel, k)),
    inputs: node.inputs.map((v) => v && arrays.get(v)),
    outputs: node.outputs.map((v) => arrays.get(v)!),
  }
}

/** Where two arrays first differ in their bits; one NaN is as good as another. */
export function difference(expected: Data, got: Data): string | undefined {
  if (elemOfData(expected) !== elemOfData(got) || expected.length !== got.length)
    return `expected ${elemOfData(expected)} with ${expected.length} elements, got ${elemOfData(got)} with ${got.length}`
  for (let i = 0; i < expected.length; i++)
    if (!Object.is(expected[i], got[i])) return `element ${i}: expected ${expected[i]}, got ${got[i]}`
  return undefined
}
