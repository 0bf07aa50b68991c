// Inputs of a run from files: raw bytes, .npy arrays, JSON numbers and pictures, each checked against the type the model asks for.

import { readFileSync } from 'node:fs'
import { InputError } from '../errors.ts'
import { bytesOf, elemOf, printTensorType, sameShape, type TensorType } from '../ir/graph.ts'
import { f16ToF32, f32ToF16 } from '../loops/float.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import { quantizeReal, rangeOf } from '../ops/quant.ts'
import { cropResize, decodeImage, type Image, imageFormat, withChannels } from './images.ts'
import { isNpy, readNpy } from './npy.ts'
import { isWav, readWav } from './wav.ts'

/**
 * One input tensor, from a file's path or its bytes. Told apart by content: .npy (its shape must be the model's, leading
 * ones aside), raw little-endian elements of exactly the tensor's size, or JSON (numbers as stored, flat or nested).
 * The element types must agree, with these exceptions for .npy: int32 and int64 whole numbers that fit; floats of another
 * width, which are rounded; and floats for a quantised input, which are quantised by the model's own scale and zero point.
 * A PNG, JPEG or BMP picture is for an input of shape [1, H, W, C] or [1, C, H, W], C 1 or 3: the largest part from its
 * middle that has the proportions of the input is resized to it (bilinear, filtered), then `imageInput` makes the elements.
 * A .wav file is for an input of as many samples: full scale is 1, or 32768 for whole 16-bit numbers.
 * Throws InputError.
 */
export function readInput(source: string | Uint8Array, type: TensorType, pixels?: PixelRange): Data {
  const where = typeof source === 'string' ? `input ${source}` : 'input'
  const bytes = typeof source === 'string' ? readBytes(source, where) : source
  if (isNpy(bytes)) return fromNpy(bytes, type, where)
  if (imageFormat(bytes)) return fromImage(bytes, type, pixels, where)
  if (isWav(bytes)) return fromSound(bytes, type, where)
  const json = typeof source === 'string' && source.toLowerCase().endsWith('.json')
  if (!json && bytes.length === bytesOf(type)) return fromRaw(bytes, type)
  if (json || /^\s*\[/.test(new TextDecoder('latin1').decode(bytes.subarray(0, 64))))
    return fromJson(bytes, type, where)
  throw new InputError(
    where,
    `the model takes ${printTensorType(type)}, that is ${bytesOf(type)} bytes, this has ${bytes.length}`,
    'give raw elements, a .npy array, JSON numbers or a picture',
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

const isFloat = ({ dtype }: TensorType) => dtype === 'f16' || dtype === 'f32' || dtype === 'f64'

function realsOf(data: Data): Float32Array | Float64Array | undefined {
  if (data instanceof Uint16Array) return Float32Array.from(data, f16ToF32)
  return data instanceof Float32Array || data instanceof Float64Array ? data : undefined
}

/** Real numbers in stored units, those out of range saturated. */
function quantized(reals: Float32Array | Float64Array, type: TensorType, where: string): Data {
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
    if (data instanceof Float32Array || data instanceof Float64Array) data[i] = Number(x)
    else if (data instanceof Uint16Array) data[i] = f32ToF16(Number(x))
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

function fromSound(bytes: Uint8Array, type: TensorType, where: string): Data {
  const shape = significant(type.shape)
  const whole = type.dtype === 'i16' && !type.quant
  if (shape.length !== 1 || !(whole || type.quant || isFloat(type)))
    throw new InputError(
      where,
      `is sound, the model takes ${printTensorType(type)}`,
      'sound is for inputs of samples; compute the spectrogram that the model was trained on and give it as .npy',
    )
  const { rate, samples } = readWav(bytes, where)
  if (samples.length !== shape[0])
    throw new InputError(where, `has ${samples.length} samples at ${rate} Hz, the model takes ${shape[0]}`)
  if (type.quant) return quantized(samples, type, where)
  return stored(
    Array.from(samples, (x) => (whole ? Math.max(-32768, Math.min(32767, Math.round(x * 32768))) : x)),
    type,
    where,
  )
}

/** The real numbers that black and white stand for, in the units the model was trained on: [0, 1], [-1, 1], [0, 255]. */
export type PixelRange = readonly [black: number, white: number]

/** Height, width and channels of an input that takes pictures, and whether the channels are its first axis. */
function pictureOf({ shape }: TensorType): { size: number[]; first: boolean } | undefined {
  const isColour = (channels: number) => channels === 1 || channels === 3
  if (shape.length !== 4 || shape[0] !== 1) return undefined
  if (isColour(shape[3])) return { size: [shape[1], shape[2], shape[3]], first: false }
  return isColour(shape[1]) ? { size: [shape[2], shape[3], shape[1]], first: true } : undefined
}

function fromImage(bytes: Uint8Array, type: TensorType, pixels: PixelRange | undefined, where: string): Data {
  const picture = pictureOf(type)
  if (!picture)
    throw new InputError(
      where,
      `is a picture, the model takes ${printTensorType(type)}`,
      'pictures are for inputs of shape [1, height, width, channels] or [1, channels, height, width], 1 or 3 channels',
    )
  const [height, width, channels] = picture.size
  const image = withChannels(decodeImage(bytes, where), channels === 1 ? 1 : 3)
  return imageInput(cropResize(image, width, height), type, pixels, where)
}

/**
 * The elements of an input from a picture of its size. Without `pixels`, only for 8-bit inputs: black is the smallest stored
 * value and white the largest, as such models are calibrated. With `pixels`, the real numbers between, quantised by the
 * input's own scale and zero point where it has them. Throws InputError.
 */
export function imageInput(image: Image, type: TensorType, pixels?: PixelRange, where = 'picture'): Data {
  const picture = pictureOf(type)
  const size = [image.height, image.width, image.channels]
  if (!picture || !sameShape(picture.size, size))
    throw new InputError(where, `has size [${size}], the model takes ${printTensorType(type)}`)
  const pixel = picture.first ? channelsFirst(image) : image.data
  if (pixels) {
    const [black, white] = pixels
    const reals = Float64Array.from(pixel, (p) => black + (p / 255) * (white - black))
    return type.quant ? quantized(reals, type, where) : stored([...reals], type, where)
  }
  if (type.dtype === 'u8') return pixel.slice()
  if (type.dtype === 'i8') return Int8Array.from(pixel, (p) => p - 128)
  throw new InputError(
    where,
    `is a picture of 8 bits, the model takes ${printTensorType(type)}`,
    'say which numbers black and white stand for, such as 0,1 or -1,1 (mote run --pixels 0,1)',
  )
}

function channelsFirst({ width, height, channels, data }: Image): Uint8Array {
  const area = width * height
  return Uint8Array.from(data, (_, i) => data[(i % area) * channels + Math.floor(i / area)])
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
