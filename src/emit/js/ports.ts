// The inputs and outputs of a program as JavaScript sees them: keys of objects, typed arrays, and what their elements mean.

import type { DescribedTensor, Description } from '../../import/tflite_metadata.ts'
import { bytesOf, type Graph, type Value } from '../../ir/graph.ts'
import { count } from '../../loops/ir.ts'
import { rangeOf } from '../../ops/quant.ts'

export interface JsPort {
  readonly key: string
  readonly value: Value
  /** The type's name, as WebNN has it. */
  readonly dtype: string
  readonly array: string
  readonly length: number
  /** Of its elements, where they are quantised. */
  readonly range?: { readonly min: number; readonly max: number }
  readonly scale?: number
  readonly zero?: number
  readonly mean?: readonly number[]
  readonly std?: readonly number[]
}

const TYPES = {
  i8: ['int8', 'Int8Array'],
  u8: ['uint8', 'Uint8Array'],
  i16: ['int16', 'Int16Array'],
  i32: ['int32', 'Int32Array'],
  u32: ['uint32', 'Uint32Array'],
  i64: ['int64', 'BigInt64Array'],
  u64: ['uint64', 'BigUint64Array'],
  f16: ['float16', 'Uint16Array'],
  f32: ['float32', 'Float32Array'],
  f64: ['float64', 'Float64Array'],
  bool: ['bool', 'Uint8Array'],
  i4: ['int4', 'Uint8Array'],
  i2: ['int2', 'Uint8Array'],
  u4: ['uint4', 'Uint8Array'],
  u2: ['uint2', 'Uint8Array'],
  bit: ['bit', 'Uint8Array'],
} as const

const PACKED = ['i4', 'i2', 'u4', 'u2', 'bit']
const QUANTISED = ['i8', 'u8', 'i16', 'i32']

/** What converters write where a tensor has no name of its own. */
const NO_NAME = /^((Stateful)?PartitionedCall|Identity)(_\d+)?$/

/** What `const { name } =` cannot say, and what the lines around it do. */
const RESERVED = new Set(
  (
    'arguments await break case catch class const continue debugger default delete do else enum eval export extends false ' +
    'finally for function if implements import in instanceof interface let load model new null package private protected ' +
    'public return static super switch this throw true try typeof var void while with yield __proto__'
  ).split(' '),
)

/** The tensor's name without what TensorFlow puts around it, if a program can say it: `image` of `serving_default_image:0`. */
function keyOf(name: string): string | undefined {
  const bare = name.replace(/^serving_default_/, '').replace(/:\d+$/, '')
  return /^[A-Za-z_]\w*$/.test(bare) && !NO_NAME.test(bare) && !RESERVED.has(bare) ? bare : undefined
}

/** Their own names where all have one; otherwise they are numbered. */
function keysOf(kind: 'input' | 'output', names: readonly string[], taken: readonly string[]): string[] {
  const keys = names.flatMap((name) => keyOf(name) ?? [])
  if (keys.length === names.length && new Set([...keys, ...taken]).size === keys.length + taken.length) return keys
  return names.length === 1 ? [kind] : names.map((_, i) => `${kind}${i}`)
}

function portsOf(keys: readonly string[], values: readonly Value[], described: readonly DescribedTensor[]): JsPort[] {
  return values.map((value, i) => {
    const { mean, std } = described[i] ?? {}
    const { type } = value
    const [dtype, array] = TYPES[type.dtype]
    const { scale, zero } = (QUANTISED.includes(type.dtype) && type.quant) || {}
    const packed = PACKED.includes(type.dtype)
    return {
      key: keys[i],
      value,
      dtype,
      array,
      length: packed ? bytesOf(type) : count(type.shape),
      ...(scale?.length === 1 && { scale: scale[0], zero: zero![0], range: rangeOf(type.dtype) }),
      ...(mean && std && { mean, std }),
    }
  })
}

export interface JsPorts {
  readonly inputs: readonly JsPort[]
  readonly outputs: readonly JsPort[]
}

/** Inputs and outputs, each by a key that no other has. */
export function jsPorts(
  { inputs, outputs }: Graph,
  { inputs: ins = [], outputs: outs = [] }: Description = {},
): JsPorts {
  const named = (values: readonly Value[], described: readonly DescribedTensor[]) =>
    values.map((v, i) => described[i]?.name ?? v.name)
  const keys = keysOf('input', named(inputs, ins), [])
  return {
    inputs: portsOf(keys, inputs, ins),
    outputs: portsOf(keysOf('output', named(outputs, outs), keys), outputs, outs),
  }
}

/** The shortest decimal that is the same float32. */
function shortest(scale: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(scale.toPrecision(digits))
    if (Math.fround(short) === scale) return short
  }
  return scale
}

/** What a program may read about a port: the fields of the exported constants, in order. */
export function facts({ value, dtype, length, scale, zero, mean, std }: JsPort) {
  return {
    dtype,
    shape: value.type.shape,
    length,
    ...(scale !== undefined && { scale: shortest(scale), zero }),
    ...(mean && { mean, std }),
  }
}
