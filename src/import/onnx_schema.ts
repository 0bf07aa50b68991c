// The messages of an .onnx file as far as they are read, a writer of them, and a reader that a hostile file cannot surprise: fields
// that nobody asks for are skipped, every fault is a ModelError, and the number of messages, list elements and texts is
// bounded by the file's size, so that what is read takes a small multiple of the file's own memory. Source: onnx.proto
// of the ONNX standard and the Protocol Buffers wire format.

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { ModelError } from '../errors.ts'

export interface OnnxModel {
  readonly irVersion?: bigint
  readonly opsets: readonly { readonly domain?: string; readonly version?: bigint }[]
  readonly graph?: OnnxGraph
  readonly functions: readonly OnnxFunction[]
}

export interface OnnxFunction {
  readonly name?: string
  readonly domain?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Names of attributes, and those that have a default. */
  readonly attributes: readonly string[]
  readonly defaults: readonly OnnxAttribute[]
  readonly nodes: readonly OnnxProtoNode[]
  readonly opsets: OnnxModel['opsets']
  readonly overload?: string
}

export interface OnnxGraph {
  readonly name?: string
  readonly nodes: readonly OnnxProtoNode[]
  readonly initializers: readonly OnnxTensor[]
  readonly sparse: readonly unknown[]
  readonly inputs: readonly OnnxValueInfo[]
  readonly outputs: readonly OnnxValueInfo[]
}

export interface OnnxProtoNode {
  readonly name?: string
  readonly opType?: string
  readonly domain?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: readonly OnnxAttribute[]
  readonly overload?: string
}

export interface OnnxAttribute {
  readonly name?: string
  readonly ref?: string
  readonly type?: number
  readonly f?: number
  readonly i?: bigint
  readonly s?: Uint8Array
  readonly t?: OnnxTensor
  readonly g?: OnnxGraph
  readonly floats: readonly number[]
  readonly ints: readonly bigint[]
  readonly strings: readonly Uint8Array[]
}

export interface OnnxTensor {
  readonly name?: string
  readonly type?: number
  readonly dims: readonly bigint[]
  readonly raw?: Uint8Array
  readonly floats: readonly number[]
  readonly int32s: readonly number[]
  readonly int64s: readonly bigint[]
  readonly doubles: readonly number[]
  readonly external: readonly { readonly key?: string; readonly value?: string }[]
  /** 1 where the data is in another file. */
  readonly location?: number
  readonly segment?: unknown
}

export interface OnnxValueInfo {
  readonly name?: string
  readonly type?: { readonly tensor?: { readonly elem?: number; readonly shape?: OnnxShape } }
}

export interface OnnxShape {
  readonly dims: readonly { readonly value?: bigint; readonly param?: string }[]
}

type Scalar = 'int32' | 'int64' | 'float' | 'double' | 'string' | 'bytes'
/** Field number, type, and whether there are many. Messages inside messages are looked up late: they are recursive. */
interface Field {
  readonly no: number
  readonly as: Scalar | (() => Fields)
  readonly many?: true
}
type Fields = Readonly<Record<string, Field>>

const one = (no: number, as: Field['as']): Field => ({ no, as })
const many = (no: number, as: Field['as']): Field => ({ no, as, many: true })

const SEGMENT: Fields = {}
const ENTRY: Fields = { key: one(1, 'string'), value: one(2, 'string') }
const TENSOR: Fields = {
  dims: many(1, 'int64'),
  type: one(2, 'int32'),
  segment: one(3, () => SEGMENT),
  floats: many(4, 'float'),
  int32s: many(5, 'int32'),
  int64s: many(7, 'int64'),
  name: one(8, 'string'),
  raw: one(9, 'bytes'),
  doubles: many(10, 'double'),
  external: many(13, () => ENTRY),
  location: one(14, 'int32'),
}
const DIM: Fields = { value: one(1, 'int64'), param: one(2, 'string') }
const SHAPE: Fields = { dims: many(1, () => DIM) }
const TENSOR_TYPE: Fields = { elem: one(1, 'int32'), shape: one(2, () => SHAPE) }
const TYPE: Fields = { tensor: one(1, () => TENSOR_TYPE) }
const VALUE_INFO: Fields = { name: one(1, 'string'), type: one(2, () => TYPE) }
const ATTRIBUTE: Fields = {
  name: one(1, 'string'),
  f: one(2, 'float'),
  i: one(3, 'int64'),
  s: one(4, 'bytes'),
  t: one(5, () => TENSOR),
  g: one(6, () => GRAPH),
  floats: many(7, 'float'),
  ints: many(8, 'int64'),
  strings: many(9, 'bytes'),
  type: one(20, 'int32'),
  ref: one(21, 'string'),
}
const NODE: Fields = {
  inputs: many(1, 'string'),
  outputs: many(2, 'string'),
  name: one(3, 'string'),
  opType: one(4, 'string'),
  attributes: many(5, () => ATTRIBUTE),
  domain: one(7, 'string'),
  overload: one(8, 'string'),
}
const GRAPH: Fields = {
  nodes: many(1, () => NODE),
  name: one(2, 'string'),
  initializers: many(5, () => TENSOR),
  inputs: many(11, () => VALUE_INFO),
  outputs: many(12, () => VALUE_INFO),
  sparse: many(15, () => SEGMENT),
}
const OPSET: Fields = { domain: one(1, 'string'), version: one(2, 'int64') }
const FUNCTION: Fields = {
  name: one(1, 'string'),
  inputs: many(4, 'string'),
  outputs: many(5, 'string'),
  attributes: many(6, 'string'),
  nodes: many(7, () => NODE),
  opsets: many(9, () => OPSET),
  domain: one(10, 'string'),
  defaults: many(11, () => ATTRIBUTE),
  overload: one(13, 'string'),
}
const MODEL: Fields = {
  irVersion: one(1, 'int64'),
  graph: one(7, () => GRAPH),
  opsets: many(8, () => OPSET),
  functions: many(25, () => FUNCTION),
}

const MAX_DEPTH = 32
const WHERE = '.onnx file'
const DAMAGED = 'the file is damaged or truncated: download or convert it again'

function fail(what: string, hint = DAMAGED): never {
  throw new ModelError(WHERE, what, hint)
}

/** What may still be read: every message and text takes memory of its own, however few bytes it has in the file. */
interface Budget {
  parts: number
}

const WIRE: Record<Scalar, WireType> = {
  int32: WireType.Varint,
  int64: WireType.Varint,
  float: WireType.Bit32,
  double: WireType.Bit64,
  string: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
}

function scalar(reader: BinaryReader, as: Scalar): unknown {
  switch (as) {
    case 'int32':
      return reader.int32()
    case 'int64':
      return BigInt(reader.int64())
    case 'float':
      return reader.float()
    case 'double':
      return reader.double()
    case 'string':
      return reader.string()
    case 'bytes':
      return reader.bytes()
  }
}

function message(bytes: Uint8Array, fields: Fields, budget: Budget, depth: number): Record<string, unknown> {
  if (--budget.parts < 0) fail('has far more parts than a model of its size')
  if (depth > MAX_DEPTH)
    fail(`nests messages more than ${MAX_DEPTH} deep`, 'convert the model with fewer nested graphs')
  const out: Record<string, unknown> = {}
  const lists = new Map<string, unknown[]>()
  for (const [name, field] of Object.entries(fields))
    if (field.many) {
      const list: unknown[] = []
      lists.set(name, list)
      out[name] = list
    }
  const byNumber = numbersOf(fields)
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [no, wire] = reader.tag()
    const name = byNumber.get(no)
    if (name === undefined) {
      reader.skip(wire, no)
      continue
    }
    const { as } = fields[name]
    const keep = (value: unknown) => {
      const list = lists.get(name)
      if (list) list.push(value)
      else out[name] = value
    }
    if (typeof as !== 'string') {
      if (wire !== WireType.LengthDelimited) fail(`field ${no} is of wire type ${wire}, expected a message`)
      keep(message(reader.bytes(), as(), budget, depth + 1))
    } else if (wire === WIRE[as]) {
      if (as === 'string' || as === 'bytes') if (--budget.parts < 0) fail('has far more parts than a model of its size')
      keep(scalar(reader, as))
    } else if (wire === WireType.LengthDelimited && fields[name].many) {
      const packed = new BinaryReader(reader.bytes())
      while (packed.pos < packed.len) keep(scalar(packed, as))
    } else fail(`field ${no} is of wire type ${wire}, expected ${WIRE[as]}`)
  }
  return out
}

const NUMBERS = new Map<Fields, Map<number, string>>()
function numbersOf(fields: Fields): Map<number, string> {
  let known = NUMBERS.get(fields)
  if (!known) {
    known = new Map(Object.entries(fields).map(([name, { no }]) => [no, name]))
    NUMBERS.set(fields, known)
  }
  return known
}

function decode(bytes: Uint8Array, fields: Fields): unknown {
  try {
    return message(bytes, fields, { parts: 256 + bytes.length / 3 }, 0)
  } catch (error) {
    if (error instanceof ModelError) throw error
    return fail(`is no readable protobuf (${error instanceof Error ? error.message : error})`)
  }
}

/** The model that a file holds, unchecked but for its form. Throws ModelError. */
export function decodeModel(bytes: Uint8Array): OnnxModel {
  return decode(bytes, MODEL) as OnnxModel
}

/** A file with one tensor, as test data of ONNX models come. Throws ModelError. */
export function decodeTensor(bytes: Uint8Array): OnnxTensor {
  return decode(bytes, TENSOR) as OnnxTensor
}

function writeScalar(w: BinaryWriter, as: Scalar, value: unknown): void {
  switch (as) {
    case 'int32':
      w.int32(value as number)
      return
    case 'int64':
      w.int64(value as bigint)
      return
    case 'float':
      w.float(value as number)
      return
    case 'double':
      w.double(value as number)
      return
    case 'string':
      w.string(value as string)
      return
    case 'bytes':
      w.bytes(value as Uint8Array)
  }
}

function writeMessage(w: BinaryWriter, fields: Fields, values: Readonly<Record<string, unknown>>): void {
  for (const [name, { no, as, many }] of Object.entries(fields)) {
    const value = values[name]
    if (value === undefined) continue
    for (const item of many ? (value as readonly unknown[]) : [value]) {
      if (typeof as === 'string') writeScalar(w.tag(no, WIRE[as]), as, item)
      else {
        w.tag(no, WireType.LengthDelimited).fork()
        writeMessage(w, as(), item as Readonly<Record<string, unknown>>)
        w.join()
      }
    }
  }
}

/** The file that `decodeModel` reads as this model. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const w = new BinaryWriter()
  writeMessage(w, MODEL, { ...model })
  return w.finish()
}
