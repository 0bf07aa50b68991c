// Graphs as files: magic, version, hash, a JSON header and the tensors' bytes. Layout, little-endian: 8 bytes magic,
// u32 version, u32 FNV-1a of everything after these 16 bytes, u32 header length, u32 zero, the header in UTF-8, then the
// blobs, each at a multiple of 8. Loading checks every bound and hands back only graphs that `verify` accepts.

import { ModelError, MoteError } from '../errors.ts'
import { type Data, type Elem, elemBytes, elemOfData } from '../loops/ir.ts'
import {
  type DType,
  type Graph,
  type Learns,
  type Node,
  type Quant,
  type Storage,
  type Value,
  valuesOf,
} from './graph.ts'
import { fnv1a } from './hash.ts'
import type { Attrs, AttrValue, Op } from './op.ts'
import { verify } from './verify.ts'

const MAGIC = 'motegrph'
const VERSION = 1
const PRELUDE = 24

const FLOATS = ['f64', 'f32', 'f16'] as const satisfies DType[]
const DTYPES = [
  ...FLOATS,
  'i64',
  'i32',
  'i16',
  'i8',
  'u64',
  'u32',
  'u8',
  'i4',
  'i2',
  'u4',
  'u2',
  'bool',
  'bit',
] as const satisfies DType[]
const STORAGES = ['const', 'temp', 'state', 'param', 'slow'] as const satisfies Storage[]
const ELEMS = ['i8', 'u8', 'i16', 'i32', 'i64', 'f16', 'f32', 'f64'] as const satisfies Elem[]

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** JSON has no undefined, infinities, NaN or -0: they become strings that begin with '#'; a string with '#' in front gets one more. */
function encode(value: AttrValue): Json {
  if (value === undefined) return '#undefined'
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? value : Object.is(value, -0) ? '#-0' : `#${value}`
  if (typeof value === 'string') return value.startsWith('#') ? `#${value}` : value
  if (typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.map(encode)
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, encode(v)]))
}

const SPECIAL: ReadonlyMap<string, AttrValue> = new Map([
  ['#undefined', undefined],
  ['#Infinity', Number.POSITIVE_INFINITY],
  ['#-Infinity', Number.NEGATIVE_INFINITY],
  ['#NaN', Number.NaN],
  ['#-0', -0],
])

function decode(value: Json, where: string): AttrValue {
  if (value === null) return fail(where, 'holds null')
  if (typeof value === 'string') {
    if (!value.startsWith('#')) return value
    if (SPECIAL.has(value)) return SPECIAL.get(value)
    return value.startsWith('##') ? value.slice(1) : fail(where, `holds the unknown mark "${value}"`)
  }
  if (typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((v) => decode(v, where))
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, decode(v, `${where}.${k}`)]))
}

function fail(where: string, what: string): never {
  throw new ModelError(where, what, 'the file is damaged or was not written by mote: write it again')
}

const align8 = (n: number) => Math.ceil(n / 8) * 8

/** The graph as bytes, attributes, quantisation and data included. Operators are written by name. */
export function saveGraph(graph: Graph): Uint8Array<ArrayBuffer> {
  const values = valuesOf(graph)
  const numberOf = new Map(values.map((v, i) => [v, i]))
  const blobs = new Map<Data, number>()
  let size = 0
  const blobOf = (data: Data): Json => {
    let at = blobs.get(data)
    if (at === undefined) {
      at = size
      blobs.set(data, at)
      size = align8(at + data.byteLength)
    }
    return { elem: elemOfData(data), at, length: data.length }
  }
  const header: Json = {
    name: encode(graph.name),
    values: values.map((v) => ({
      name: encode(v.name),
      dtype: v.type.dtype,
      shape: [...v.type.shape],
      storage: v.storage,
      ...(v.type.quant && {
        quant: {
          scale: [...v.type.quant.scale].map(encode),
          zero: [...v.type.quant.zero],
          ...(v.type.quant.axis !== undefined && { axis: v.type.quant.axis }),
          ...(v.type.quant.bits !== undefined && { bits: v.type.quant.bits }),
        },
      }),
      ...(v.index !== undefined && { index: v.index }),
      ...(v.data && { data: blobOf(v.data) }),
    })),
    inputs: graph.inputs.map((v) => numberOf.get(v)!),
    nodes: graph.nodes.map((node) => ({
      op: node.op.name,
      attrs: encode(node.attrs),
      inputs: node.inputs.map((v) => (v ? numberOf.get(v)! : null)),
      outputs: node.outputs.map((v) => numberOf.get(v)!),
      from: encode(node.from),
      ...(node.inPlace !== undefined && { inPlace: node.inPlace }),
    })),
    outputs: graph.outputs.map((v) => numberOf.get(v)!),
    ...(graph.learns && { learns: { ...graph.learns } }),
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const base = align8(PRELUDE + text.length)
  const bytes = new Uint8Array(base + size)
  bytes.set(new TextEncoder().encode(MAGIC))
  bytes.set(text, PRELUDE)
  for (const [data, at] of blobs) bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), base + at)
  const words = new DataView(bytes.buffer)
  words.setUint32(8, VERSION, true)
  words.setUint32(16, text.length, true)
  words.setUint32(12, fnv1a(bytes.subarray(16)), true)
  return bytes
}

/** Reads one field of the header after the other; whatever is not of the form asked for is a ModelError. */
class Reader {
  readonly where: string
  private readonly fields: { [key: string]: Json }

  constructor(value: Json | undefined, where: string) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) fail(where, 'is not an object')
    this.fields = value
    this.where = where
  }

  get(key: string): Json | undefined {
    return Object.hasOwn(this.fields, key) ? this.fields[key] : undefined
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  text(key: string): string {
    const value = decode(this.get(key) ?? null, `${this.where}.${key}`)
    return typeof value === 'string' ? value : fail(`${this.where}.${key}`, 'is not a text')
  }

  oneOf<T extends string>(key: string, known: readonly T[]): T {
    const value = this.get(key)
    return known.find((k) => k === value) ?? fail(`${this.where}.${key}`, `is ${JSON.stringify(value)}`)
  }

  /** A whole number from 0 to below `end`. */
  natural(key: string, end = Number.MAX_SAFE_INTEGER): number {
    return natural(this.get(key), `${this.where}.${key}`, end)
  }

  list<T>(key: string, read: (value: Json, where: string) => T): T[] {
    const value = this.get(key)
    if (!Array.isArray(value)) return fail(`${this.where}.${key}`, 'is not a list')
    return value.map((v, i) => read(v, `${this.where}.${key}[${i}]`))
  }
}

function natural(value: Json | undefined, where: string, end = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= end)
    return fail(where, `is ${JSON.stringify(value)}, not a whole number${end < 2 ** 53 - 1 ? ` below ${end}` : ''}`)
  return value
}

function real(value: Json, where: string): number {
  const n = decode(value, where)
  return typeof n === 'number' ? n : fail(where, 'is not a number')
}

function int32(value: Json, where: string): number {
  const n = real(value, where)
  return (n | 0) === n ? n : fail(where, `is ${n}, not a 32-bit integer`)
}

function quantFrom(value: Json | undefined, where: string, rank: number): Quant | undefined {
  if (value === undefined) return undefined
  const r = new Reader(value, where)
  const scale = Float64Array.from(r.list('scale', real))
  const zero = Int32Array.from(r.list('zero', int32))
  if (scale.length !== zero.length) fail(where, `has ${scale.length} scales and ${zero.length} zero points`)
  const held = r.get('bits')
  const bits = held === 4 || held === 2 ? { bits: held as 4 | 2 } : {}
  return { scale, zero, ...(r.has('axis') && { axis: r.natural('axis', rank) }), ...bits }
}

function newView(elem: Elem, bytes: Uint8Array<ArrayBuffer>): Data {
  switch (elem) {
    case 'i8':
      return new Int8Array(bytes.buffer)
    case 'u8':
      return bytes
    case 'i16':
      return new Int16Array(bytes.buffer)
    case 'i32':
      return new Int32Array(bytes.buffer)
    case 'i64':
      return new BigInt64Array(bytes.buffer)
    case 'f16':
      return new Uint16Array(bytes.buffer)
    case 'f32':
      return new Float32Array(bytes.buffer)
    case 'f64':
      return new Float64Array(bytes.buffer)
  }
}

/** The part of the file behind the header; each array is read once, however many values share it. */
class Blobs {
  private readonly bytes: Uint8Array
  private readonly known = new Map<string, Data>()

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  read(value: Json | undefined, where: string): Data | undefined {
    if (value === undefined) return undefined
    const r = new Reader(value, where)
    const elem = r.oneOf('elem', ELEMS)
    const at = r.natural('at')
    const length = r.natural('length')
    if (at % 8 !== 0) fail(where, `begins at ${at}, which is not a multiple of 8`)
    if (at + length * elemBytes(elem) > this.bytes.length)
      fail(where, `ends at ${at + length * elemBytes(elem)}, the file has ${this.bytes.length} bytes of data`)
    const key = `${elem} ${at} ${length}`
    const data =
      this.known.get(key) ?? newView(elem, new Uint8Array(this.bytes.slice(at, at + length * elemBytes(elem))))
    this.known.set(key, data)
    return data
  }
}

function headerOf(bytes: Uint8Array): { header: Json; blobs: Blobs } {
  const where = 'graph file'
  if (bytes.length < PRELUDE) fail(where, `has ${bytes.length} bytes, its first part alone has ${PRELUDE}`)
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const magic = String.fromCharCode(...bytes.subarray(0, 8))
  if (magic !== MAGIC) fail(where, `does not begin with "${MAGIC}"`)
  if (words.getUint32(8, true) !== VERSION)
    throw new ModelError(where, `has version ${words.getUint32(8, true)}, this mote reads version ${VERSION}`)
  if (words.getUint32(12, true) !== fnv1a(bytes.subarray(16))) fail(where, 'does not have the hash it was written with')
  const end = PRELUDE + words.getUint32(16, true)
  if (align8(end) > bytes.length) fail(where, `ends within its header (${end} bytes, the file has ${bytes.length})`)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(PRELUDE, end))
    return { header: JSON.parse(text) as Json, blobs: new Blobs(bytes.subarray(align8(end))) }
  } catch {
    return fail(where, 'has a header that is not JSON')
  }
}

/** The graph that `saveGraph` wrote. Throws ModelError for anything that is not a valid graph of the operators in `ops`. */
export function loadGraph(bytes: Uint8Array, ops: ReadonlyMap<string, Op>): Graph {
  const { header, blobs } = headerOf(bytes)
  const top = new Reader(header, 'graph')
  const values = top.list('values', (item, where): Value => {
    const r = new Reader(item, where)
    const shape = r.list('shape', (d, at) => natural(d, at))
    const quant = quantFrom(r.get('quant'), `${where}.quant`, shape.length)
    const data = blobs.read(r.get('data'), `${where}.data`)
    return {
      name: r.text('name'),
      type: { dtype: r.oneOf('dtype', DTYPES), shape, ...(quant && { quant }) },
      storage: r.oneOf('storage', STORAGES),
      ...(data && { data }),
      ...(r.has('index') && { index: r.natural('index') }),
    }
  })
  const valueAt = (n: Json, where: string): Value => values[natural(n, where, values.length)]
  const nodes = top.list('nodes', (item, where): Node => {
    const r = new Reader(item, where)
    const name = r.text('op')
    const op = ops.get(name) ?? fail(where, `has the operator "${name}", which is not known`)
    const attrs = decode(r.get('attrs') ?? null, `${where}.attrs`)
    if (typeof attrs !== 'object' || Array.isArray(attrs)) fail(`${where}.attrs`, 'is not an object')
    const inputs = r.list('inputs', (n, at) => (n === null ? undefined : valueAt(n, at)))
    return {
      op,
      attrs: attrs as Attrs,
      inputs,
      outputs: r.list('outputs', valueAt),
      from: r.text('from'),
      ...(r.has('inPlace') && { inPlace: r.natural('inPlace', inputs.length) }),
    }
  })
  const graph: Graph = {
    name: top.text('name'),
    inputs: top.list('inputs', valueAt),
    nodes,
    outputs: top.list('outputs', valueAt),
    ...(top.has('learns') && { learns: learnsFrom(new Reader(top.get('learns'), 'learns')) }),
  }
  return checked(graph)
}

function learnsFrom(r: Reader): Learns {
  const own = { inputs: r.natural('inputs'), outputs: r.natural('outputs') }
  return r.has('classes') ? { ...own, classes: r.natural('classes') } : own
}

/** Attributes and types come from the file, so an operator that stumbles over them says that the file is wrong. */
function checked(graph: Graph): Graph {
  for (const v of graph.inputs) if (v.storage !== 'temp') fail(`input "${v.name}"`, `is ${v.storage}`)
  for (const node of graph.nodes)
    for (const v of node.outputs)
      if (v.storage !== 'temp') fail(`output "${v.name}" of "${node.from}"`, `is ${v.storage}`)
  try {
    return verify(graph)
  } catch (e) {
    if (e instanceof MoteError) throw e
    return fail('graph', `has a node that its operator does not understand (${e instanceof Error ? e.message : e})`)
  }
}
