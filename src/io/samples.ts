// Inputs of a run from files: raw bytes, .npy arrays, JSON numbers, pictures and sound, each checked against the type the
// model asks for.

import { readFileSync } from 'node:fs'
import { InputError } from '../errors.ts'
import { bytesOf, elemOf, printTensorType, sameShape, type TensorType } from '../ir/graph.ts'
import { f16ToF32 } from '../loops/float.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import type { PictureOptions } from '../web/image.ts'
import type { Image } from '../web/resize.ts'
import { isWav } from '../web/wav.ts'
import { isFloat, quantized, stored } from './elements.ts'
import { decodeImage, imageFormat } from './images.ts'
import { isNpy, readNpy } from './npy.ts'
import { pictureInput, type Steps } from './pictures.ts'
import { soundInput } from './sound.ts'

/** A file's path, its bytes, or a picture. */
export type Source = string | Uint8Array | Image

export interface InputOptions extends PictureOptions {
  /** Samples a second that the model was trained on. Default: what the file says. */
  readonly rate?: number
  /** Told what is done to a picture or sound. */
  tell?(steps: Steps): void
}

/**
 * One input tensor. Told apart by content: .npy (its shape must be the model's, leading ones aside), raw little-endian
 * elements of exactly the tensor's size, or JSON (numbers as stored, flat or nested). The element types must agree, with
 * these exceptions for .npy: int32 and int64 whole numbers that fit; floats of another width, which are rounded; and floats
 * for a quantised input, which are quantised by the model's own scale and zero point. PNG, JPEG and BMP are pictures
 * (`pictureInput`), .wav is sound (`soundInput`). Throws InputError, which names `where`.
 */
export function readInput(
  source: Source,
  type: TensorType,
  options: InputOptions = {},
  where = typeof source === 'string' ? `input ${source}` : 'input',
): Data {
  const told = ({ data, steps }: { data: Data; steps: Steps }) => {
    options.tell?.(steps)
    return data
  }
  if (typeof source !== 'string' && 'channels' in source) return told(pictureInput(source, type, options, where))
  const bytes = typeof source === 'string' ? readBytes(source, where) : source
  if (isNpy(bytes)) return fromNpy(bytes, type, where)
  if (imageFormat(bytes)) return told(pictureInput(decodeImage(bytes, where), type, options, where))
  if (isWav(bytes)) return told(soundInput(bytes, type, options.rate, where))
  const json = typeof source === 'string' && source.toLowerCase().endsWith('.json')
  if (!json && bytes.length === bytesOf(type)) return fromRaw(bytes, type)
  if (json || /^\s*\[/.test(new TextDecoder('latin1').decode(bytes.subarray(0, 64))))
    return fromJson(bytes, type, where)
  throw new InputError(
    where,
    `the model takes ${printTensorType(type)}, that is ${bytesOf(type)} bytes, this has ${bytes.length}`,
    'give raw elements, a .npy array, JSON numbers, a picture or sound',
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
  const reals = realsOf(array.data)
  if (reals && type.quant) return quantized(reals, type, where)
  if (reals && isFloat(type)) return stored([...reals], type, where)
  if (array.data instanceof Int32Array || array.data instanceof BigInt64Array)
    return stored(Array.from<number | bigint>(array.data), type, where)
  throw new InputError(
    where,
    `holds ${array.dtype}, the model takes ${printTensorType(type)}`,
    type.quant ? 'give stored values of that type, or real numbers as float32' : "convert it with numpy's astype",
  )
}

function realsOf(data: Data): Float32Array | Float64Array | undefined {
  if (data instanceof Uint16Array) return Float32Array.from(data, f16ToF32)
  return data instanceof Float32Array || data instanceof Float64Array ? data : undefined
}

function fromJson(bytes: Uint8Array, type: TensorType, where: string): Data {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(bytes))
  } catch (e) {
    throw new InputError(where, `is not valid JSON (${e instanceof Error ? e.message : e})`)
  }
  const { shape, numbers } = flattened(json, where)
  const flat = (shape.length === 1 || numbers.length === 0) && numbers.length === count(type.shape)
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
