// Tensors of .onnx files: element types, and the four ways in which a file may store the elements (raw bytes, typed
// lists, half floats as integers, another file). Source: TensorProto in onnx.proto.

import { ModelError } from '../errors.ts'
import { bytesOf, type DType, elemOf, type TensorType } from '../ir/graph.ts'
import { MAX_BYTES, MAX_RANK } from '../ir/limits.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import { DAMAGED } from './fault.ts'
import type { OnnxTensor } from './onnx_schema.ts'

/** Element types by their number in the standard. */
export const ELEMENT_TYPES: ReadonlyMap<number, DType> = new Map([
  [1, 'f32'],
  [2, 'u8'],
  [3, 'i8'],
  [5, 'i16'],
  [6, 'i32'],
  [7, 'i64'],
  [9, 'bool'],
  [10, 'f16'],
  [11, 'f64'],
])

/** The dtype with a number of the standard. Throws ModelError for those that are not supported. */
export function dtypeOfElement(number: number | undefined, where: string): DType {
  const dtype = ELEMENT_TYPES.get(number ?? 0)
  if (dtype) return dtype
  const names: Readonly<Record<number, string>> = {
    0: 'undefined',
    4: 'uint16',
    8: 'string',
    12: 'uint32',
    13: 'uint64',
    14: 'complex64',
    15: 'complex128',
    16: 'bfloat16',
    21: 'uint4',
    22: 'int4',
  }
  throw new ModelError(
    where,
    `has elements of type ${names[number ?? 0] ?? `number ${number}`}; supported are ${[...ELEMENT_TYPES.values()].join(', ')}`,
  )
}

/** The bytes of another file, by the path that the model gives. */
export type External = (path: string) => Uint8Array

/** A shape of the file as numbers. Throws ModelError where it is none that a tensor can have. */
export function checkShape(dtype: DType, dims: readonly bigint[], where: string): number[] {
  if (dims.length > MAX_RANK)
    throw new ModelError(where, `has ${dims.length} dimensions, supported are up to ${MAX_RANK}`)
  const shape = dims.map(Number)
  if (shape.some((d) => !(d >= 0))) throw new ModelError(where, `has shape [${shape}]`, DAMAGED)
  if (!(bytesOf({ dtype, shape }) <= MAX_BYTES))
    throw new ModelError(where, `has shape [${shape}], that is more than ${MAX_BYTES} bytes`)
  return shape
}

/** Type and data of a tensor. Throws ModelError where its parts do not agree. */
export function readTensor(t: OnnxTensor, where: string, external?: External): { type: TensorType; data: Data } {
  const dtype = dtypeOfElement(t.type, where)
  const shape = checkShape(dtype, t.dims, where)
  if (t.segment) throw new ModelError(where, 'is stored in segments', 'convert the model into one piece')
  const type: TensorType = { dtype, shape }
  const raw = t.location === 1 ? externalBytes(t, where, external) : t.raw
  return { type, data: raw ? fromRaw(raw, type, where) : fromLists(t, type, where) }
}

function fromRaw(raw: Uint8Array, type: TensorType, where: string): Data {
  if (raw.length !== bytesOf(type))
    throw new ModelError(
      where,
      `is ${type.dtype}[${type.shape}], that is ${bytesOf(type)} bytes, its data has ${raw.length}`,
      DAMAGED,
    )
  const data = newData(elemOf(type.dtype)!, count(type.shape))
  const bytes = new Uint8Array(data.buffer)
  bytes.set(raw)
  if (type.dtype === 'bool') for (let i = 0; i < bytes.length; i++) bytes[i] = bytes[i] ? 1 : 0
  return data
}

function fromLists(t: OnnxTensor, { dtype, shape }: TensorType, where: string): Data {
  const n = count(shape)
  const list = dtype === 'f32' ? t.floats : dtype === 'f64' ? t.doubles : dtype === 'i64' ? t.int64s : t.int32s
  if (list.length !== n)
    throw new ModelError(where, `is ${dtype}[${shape}], that is ${n} elements, its data has ${list.length}`, DAMAGED)
  const data = newData(elemOf(dtype)!, n)
  if (data instanceof BigInt64Array) for (let i = 0; i < n; i++) data[i] = list[i] as bigint
  else if (dtype === 'bool') for (let i = 0; i < n; i++) data[i] = list[i] ? 1 : 0
  else for (let i = 0; i < n; i++) data[i] = list[i] as number
  return data
}

function externalBytes(t: OnnxTensor, where: string, external: External | undefined): Uint8Array {
  const entry = (key: string) => t.external.find((e) => e.key === key)?.value
  const path = entry('location')
  if (!path) throw new ModelError(where, 'has its data in another file without saying which', DAMAGED)
  if (!external)
    throw new ModelError(
      where,
      `has its data in another file, "${path}"`,
      'give a reader of such files, or store them inside',
    )
  const bytes = external(path)
  const offset = Number(entry('offset') ?? 0)
  const length = Number(entry('length') ?? bytes.length - offset)
  const ok = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0
  if (!ok || offset + length > bytes.length)
    throw new ModelError(
      where,
      `is bytes ${offset} to ${offset + length} of "${path}", which has ${bytes.length}`,
      DAMAGED,
    )
  return bytes.subarray(offset, offset + length)
}
