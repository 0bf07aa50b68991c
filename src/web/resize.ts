// Pictures of 8-bit pixels at another size: crops and resizes before a model. The bilinear resize is the one of Pillow's
// Image.resize(BILINEAR): a triangle filter that widens as the picture shrinks, rows first, 8 bits between the two passes;
// equal pixels in give equal bytes out.

import { InputError } from '../errors.ts'

/** 8-bit pixels, row-major (height, width, channels); three channels are red, green, blue. */
export interface Image {
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3
  readonly data: Uint8Array
}

/** A picture in colour from the sample of each pixel's channels. */
export function rgbOf(width: number, height: number, sample: (pixel: number, channel: number) => number): Image {
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
