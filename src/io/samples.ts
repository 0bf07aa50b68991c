// Inputs of a run from files: raw bytes, .npy arrays and JSON numbers, each checked against the type the model asks for.

import { readFileSync } from 'node:fs'
import { InputError } from '../errors.ts'
import { bytesOf, elemOf, printTensorType, sameShape, type TensorType } from '../ir/graph.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import { quantizeReal, rangeOf } from '../ops/quant.ts'
import { isNpy, readNpy } from './npy.ts'

/**
 * One input tensor, from a file's path or its bytes. Told apart by content: .npy (its shape must be the model's, leading
 * ones aside), raw little-endian elements of exactly the tensor's size, or JSON (numbers as stored, flat or nested).
 * The element types must agree, with two exceptions for .npy: int32 and int64 whole numbers that fit, and float32 or
 * float64 for a quantised input, which are quantised by the model's own scale and zero point. Throws InputError.
 */
export function readInput(source: string | Uint8Array, type: TensorType): Data {
  const where = typeof source === 'string' ? `input ${source}` : 'input'
  const bytes = typeof source === 'string' ? readBytes(source, where) : source
  if (isNpy(bytes)) return fromNpy(bytes, type, where)
  const json = typeof source === 'string' && source.toLowerCase().endsWith('.json')
  if (!json && bytes.length === bytesOf(type)) return fromRaw(bytes, type)
  if (json || /^\s*\[/.test(new TextDecoder('latin1').decode(bytes.subarray(0, 64))))
    return fromJson(bytes, type, where)
  throw new InputError(
    where,
    `the model takes ${printTensorType(type)}, that is ${bytesOf(type)} bytes, this has ${bytes.length}`,
    'give raw elements, a .npy array or JSON numbers',
  )
}

function readBytes(path: string, where: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (e) {
    throw new InputError(where, `cannot be read (${e instanceof Error ? e.message : e})`)
  }
}

function fromRaw(bytes: Uint8Array, type: TensorType): Data {
  const elem = elemOf(type.dtype)
  const data = newData(elem ?? 'u8', elem ? count(type.shape) : bytes.length)
  new Uint8Array(data.buffer).set(bytes)
  return data
}

function fromNpy(bytes: Uint8Array, type: TensorType, where: string): Data {
  const array = readNpy(bytes, where)
  if (!sameShape(significant(array.shape), significant(type.shape)))
    throw new InputError(where, `has shape [${array.shape}], the model takes [${type.shape}]`)
  if (array.dtype === type.dtype) return array.data
  if (array.data instanceof Float32Array && type.quant) return quantized(array.data, type, where)
  if (array.data instanceof Int32Array || array.data instanceof BigInt64Array)
    return stored(Array.from<number | bigint>(array.data), type, where)
  throw new InputError(
    where,
    `holds ${array.dtype}, the model takes ${printTensorType(type)}`,
    type.quant ? 'give stored values of that type, or real numbers as float32' : "convert it with numpy's astype",
  )
}

/** Real numbers in stored units, those out of range saturated. */
function quantized(reals: Float32Array, type: TensorType, where: string): Data {
  const { scale, zero } = type.quant!
  if (scale.length !== 1 || elemOf(type.dtype) === undefined || type.dtype === 'i64')
    throw new InputError(where, `holds f32, the model takes ${printTensorType(type)}`)
  if (reals.some((x) => Number.isNaN(x))) throw new InputError(where, 'holds NaN, which cannot be quantised')
  const { min, max } = rangeOf(type.dtype)
  const data = newData(elemOf(type.dtype)!, reals.length) as Exclude<Data, BigInt64Array>
  reals.forEach((x, i) => {
    data[i] = Math.min(max, Math.max(min, quantizeReal(x, scale[0], zero[0])))
  })
  return data
}

/** Numbers as the elements of `type`; those that such an element cannot hold are an error. */
function stored(numbers: readonly (number | bigint)[], type: TensorType, where: string): Data {
  const elem = elemOf(type.dtype)
  if (!elem) throw new InputError(where, `the model takes packed ${type.dtype}`, 'give its raw bytes')
  const data = newData(elem, numbers.length)
  const { min, max } = type.dtype === 'bool' ? { min: 0, max: 1 } : rangeOf(type.dtype)
  numbers.forEach((x, i) => {
    if (data instanceof Float32Array) data[i] = Number(x)
    else if (typeof x === 'number' && !Number.isSafeInteger(x))
      throw new InputError(
        where,
        `element ${i} is ${x}, the model takes ${type.dtype}`,
        type.quant ? 'give stored values, or real numbers as a float32 .npy array' : 'give whole numbers',
      )
    else if (data instanceof BigInt64Array) data[i] = BigInt(x)
    else if (x < min || x > max)
      throw new InputError(where, `element ${i} is ${x}, those of ${type.dtype} lie in [${min}, ${max}]`)
    else data[i] = Number(x)
  })
  return data
}

function fromJson(bytes: Uint8Array, type: TensorType, where: string): Data {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(bytes))
  } catch (e) {
    throw new InputError(where, `is not valid JSON (${e instanceof Error ? e.message : e})`)
  }
  const { shape, numbers } = flattened(json, where)
  const flat = shape.length === 1 && numbers.length === count(type.shape)
  if (!flat && !sameShape(significant(shape), significant(type.shape)))
    throw new InputError(where, `has shape [${shape}], the model takes [${type.shape}]`)
  return stored(numbers, type, where)
}

/** The numbers of nested lists in order, and the lists' shape. */
function flattened(json: unknown, where: string): { shape: number[]; numbers: number[] } {
  const shape: number[] = []
  for (let level = json; Array.isArray(level); level = level[0]) shape.push(level.length)
  let items: unknown[] = [json]
  for (const d of shape)
    items = items.flatMap((item) => {
      if (Array.isArray(item) && item.length === d) return item
      throw new InputError(where, `has lists of different lengths where ${d} are expected`)
    })
  const numbers = items.map((item, i) => {
    if (typeof item === 'number' || typeof item === 'boolean') return Number(item)
    throw new InputError(where, `element ${i} is ${JSON.stringify(item)}, not a number`)
  })
  return { shape, numbers }
}

/** A shape without its leading ones. */
function significant(shape: readonly number[]): readonly number[] {
  return shape.slice(shape.findIndex((d) => d !== 1) >>> 0)
}
