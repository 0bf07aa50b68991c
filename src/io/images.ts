// Pictures from files: PNG, JPEG and BMP to 8-bit pixels, and the crop and resize before a model. PNG by pngjs, JPEG by
// jpeg-js. The bilinear resize is the one of Pillow's Image.resize(BILINEAR): a triangle filter that widens as the picture
// shrinks, rows first, 8 bits between the two passes; equal pixels in give equal bytes out.

import jpeg from 'jpeg-js'
import { PNG } from 'pngjs'
import { InputError } from '../errors.ts'

/** 8-bit pixels, row-major (height, width, channels); three channels are red, green, blue. */
export interface Image {
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3
  readonly data: Uint8Array
}

const MAX_PIXELS = 100e6
const PNG_MAGIC = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const JPEG_MAGIC = [0xff, 0xd8, 0xff]
const BMP_MAGIC = [0x42, 0x4d]

type Format = 'PNG' | 'JPEG' | 'BMP'

/** The format that the first bytes tell, if it is one that `decodeImage` reads. */
export function imageFormat(bytes: Uint8Array): Format | undefined {
  const opens = (magic: readonly number[]) => magic.every((b, i) => bytes[i] === b)
  if (opens(PNG_MAGIC)) return 'PNG'
  if (opens(JPEG_MAGIC)) return 'JPEG'
  if (opens(BMP_MAGIC) && bytes.length >= 54 && viewOf(bytes).getUint32(2, true) === bytes.length) return 'BMP'
  return undefined
}

/**
 * The picture in a PNG, JPEG or uncompressed BMP file of at most 100 megapixels, as RGB. Alpha is dropped, 16-bit samples
 * are rounded to 8, an orientation beside the pixels (Exif) is not applied. Throws InputError, which names `where`.
 */
export function decodeImage(bytes: Uint8Array, where = 'image'): Image {
  const format = imageFormat(bytes)
  if (!format) throw new InputError(where, 'is not a PNG, JPEG or BMP file')
  try {
    return { PNG: decodePng, JPEG: decodeJpeg, BMP: decodeBmp }[format](bytes, where)
  } catch (e) {
    if (e instanceof InputError) throw e
    throw new InputError(where, `is not a valid ${format} file (${e instanceof Error ? e.message : e})`)
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function checkSize(width: number, height: number, where: string): void {
  if (width < 1 || height < 1 || width * height > MAX_PIXELS)
    throw new InputError(where, `has ${width} x ${height} pixels, supported are 1 to ${MAX_PIXELS / 1e6} million`)
}

function decodePng(bytes: Uint8Array, where: string): Image {
  const view = viewOf(bytes)
  if (bytes.length < 24) throw new InputError(where, `ends within its header (${bytes.length} bytes)`)
  checkSize(view.getUint32(16), view.getUint32(20), where)
  const { width, height, data } = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  return rgbOf(width, height, (i, c) => data[4 * i + c])
}

function decodeJpeg(bytes: Uint8Array, where: string): Image {
  const { width, height, data } = jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    tolerantDecoding: false,
    maxResolutionInMP: MAX_PIXELS / 1e6,
    maxMemoryUsageInMB: 2048,
  })
  checkSize(width, height, where)
  return { width, height, channels: 3, data }
}

/** Rows run from the bottom up unless the height is negative, each padded to four bytes; colours are blue, green, red. */
function decodeBmp(bytes: Uint8Array, where: string): Image {
  const view = viewOf(bytes)
  const [start, header] = [view.getUint32(10, true), view.getUint32(14, true)]
  const [width, rows] = [view.getInt32(18, true), view.getInt32(22, true)]
  const [bits, compression] = [view.getUint16(28, true), view.getUint32(30, true)]
  const height = Math.abs(rows)
  checkSize(width, height, where)
  if (![8, 24, 32].includes(bits) || compression !== 0)
    throw new InputError(
      where,
      `is a BMP of ${bits} bits a pixel, compression ${compression}; supported are 8, 24 and 32 bits, uncompressed`,
      'save it as PNG',
    )
  const palette = 14 + header
  const stride = 4 * Math.ceil((width * bits) / 32)
  const end = start + stride * height
  if (end > bytes.length)
    throw new InputError(where, `needs ${end} bytes for ${width} x ${height}, has ${bytes.length}`)
  return rgbOf(width, height, (i, c) => {
    const y = Math.floor(i / width)
    const at = start + (rows < 0 ? y : height - 1 - y) * stride + ((i % width) * bits) / 8
    return bytes[(bits === 8 ? palette + 4 * bytes[at] : at) + 2 - c]
  })
}

function rgbOf(width: number, height: number, sample: (pixel: number, channel: number) => number): Image {
  const data = new Uint8Array(width * height * 3) // (height, width, 3)
  for (let i = 0, at = 0; i < width * height; i++) for (let c = 0; c < 3; c++) data[at++] = sample(i, c)
  return { width, height, channels: 3, data }
}

/** In grey (luma of ITU-R 601, rounded) or, a grey one repeated, in colour. */
export function withChannels(image: Image, channels: 1 | 3): Image {
  if (image.channels === channels) return image
  const { width, height, data: from } = image
  if (channels === 3) return rgbOf(width, height, (i) => from[i])
  const data = new Uint8Array(width * height) // (height, width)
  for (let i = 0; i < data.length; i++)
    data[i] = (from[3 * i] * 19595 + from[3 * i + 1] * 38470 + from[3 * i + 2] * 7471 + 0x8000) >> 16
  return { width, height, channels, data }
}

/** `width` x `height` pixels from the middle; half a pixel goes to the even side. Throws InputError where they are not there. */
export function centreCrop(image: Image, width: number, height: number): Image {
  if (width > image.width || height > image.height)
    throw new InputError('crop', `takes ${width} x ${height} pixels of ${image.width} x ${image.height}`)
  const [left, top] = [halfToEven(image.width - width), halfToEven(image.height - height)]
  const bytes = width * image.channels
  const data = new Uint8Array(height * bytes) // (height, width, channels)
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * image.channels
    data.set(image.data.subarray(from, from + bytes), y * bytes)
  }
  return { ...image, width, height, data }
}

function halfToEven(twice: number): number {
  const half = Math.floor(twice / 2)
  return twice % 2 === 1 && half % 2 === 1 ? half + 1 : half
}

/** Resized with its proportions kept, so that the shorter side has `side` pixels; the longer one is rounded down. */
export function resizeShortSide(image: Image, side: number): Image {
  const { width, height } = image
  const long = (of: number, by: number) => Math.floor((side * of) / by)
  return width <= height ? resize(image, side, long(height, width)) : resize(image, long(width, height), side)
}

/** The largest part from the middle that has the proportions of `width` x `height`. */
export function cropToProportions(image: Image, width: number, height: number): Image {
  const ratio = Math.min(image.width / width, image.height / height)
  const part = (length: number) => Math.max(1, Math.round(length * ratio))
  return centreCrop(image, part(width), part(height))
}

const WEIGHT_BITS = 22

/** Output `i` is the sum of weights[i * taps + k] * input[first[i] + k] over the first `length[i]` of the taps. */
interface Filter {
  readonly taps: number
  readonly first: Int32Array
  readonly length: Int32Array
  readonly weights: Int32Array // (out, taps), units of 2^-22
}

/** How a resize makes a pixel: of the neighbours' mean by distance, the nearest, or the mean of the area it covers. */
export type Resampling = 'bilinear' | 'nearest' | 'area'

export const RESAMPLINGS: readonly Resampling[] = ['bilinear', 'nearest', 'area']

/** The pixels [start, end) that output `i` is made of, and the weight of each before they are scaled to sum to 1. */
const SUPPORT: Readonly<
  Record<Resampling, (i: number, scale: number) => { start: number; end: number; weight(at: number): number }>
> = {
  bilinear(i, scale) {
    const centre = (i + 0.5) * scale
    const radius = Math.max(scale, 1)
    return {
      start: Math.trunc(centre - radius + 0.5),
      end: Math.trunc(centre + radius + 0.5),
      weight: (at) => Math.max(0, 1 - Math.abs((at - centre + 0.5) * (1 / radius))),
    }
  },
  nearest(i, scale) {
    const start = Math.floor((i + 0.5) * scale)
    return { start, end: start + 1, weight: () => 1 }
  },
  area(i, scale) {
    const [from, to] = [i * scale, (i + 1) * scale]
    return {
      start: Math.floor(from),
      end: Math.ceil(to),
      weight: (at) => Math.max(0, Math.min(to, at + 1) - Math.max(from, at)),
    }
  },
}

function filterOf(by: Resampling, from: number, to: number): Filter {
  const scale = from / to
  const taps = 2 * Math.ceil(Math.max(scale, 1)) + 1
  const first = new Int32Array(to)
  const length = new Int32Array(to)
  const weights = new Int32Array(to * taps)
  for (let i = 0; i < to; i++) {
    const support = SUPPORT[by](i, scale)
    const start = Math.max(0, support.start)
    const end = Math.min(from, support.end)
    const real = Array.from({ length: end - start }, (_, k) => support.weight(start + k))
    const sum = real.reduce((a, b) => a + b, 0)
    first[i] = start
    length[i] = end - start
    for (const [k, w] of real.entries()) weights[i * taps + k] = Math.trunc(0.5 + (w / sum) * 2 ** WEIGHT_BITS)
  }
  return { taps, first, length, weights }
}

/** Filters the middle axis of (outer, from, inner). */
function filterAxis(
  data: Uint8Array,
  by: Resampling,
  [outer, from, inner]: readonly [number, number, number],
  to: number,
): Uint8Array {
  if (from === to) return data
  const { taps, first, length, weights } = filterOf(by, from, to)
  const result = new Uint8Array(outer * to * inner) // (outer, to, inner)
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < to; i++) {
      const [start, end] = [i * taps, i * taps + length[i]]
      const row = (o * from + first[i]) * inner
      const at = (o * to + i) * inner
      for (let c = 0; c < inner; c++) {
        let sum = 1 << (WEIGHT_BITS - 1)
        for (let k = start, pixel = row + c; k < end; k++, pixel += inner)
          sum = (sum + Math.imul(weights[k], data[pixel])) | 0
        result[at + c] = Math.min(255, sum >> WEIGHT_BITS)
      }
    }
  return result
}

/** Resized to `width` x `height`, proportions not kept. Bilinear is filtered over the area where the picture shrinks. */
export function resize(image: Image, width: number, height: number, by: Resampling = 'bilinear'): Image {
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0))
    throw new InputError('resize', `to ${width} x ${height} pixels, both must be whole and positive`)
  const { channels } = image
  const narrow = filterAxis(image.data, by, [image.height, image.width, channels], width)
  const data = filterAxis(narrow, by, [1, image.height, width * channels], height)
  return { width, height, channels, data }
}
