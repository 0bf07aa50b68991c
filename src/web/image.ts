// Pixels as the input of a model: cut to its proportions, resized, in its channels, and turned into the numbers that it was
// trained on. In: what a canvas gives, and a constant of the artefact (`inputs.image`). Out: a typed array for `run`.

import { InputError } from '../errors.ts'
import { type ElementArray, type ElementType, elements, newElements, type Port } from './port.ts'
import { cropToProportions, type Image, type Resampling, resize, withChannels } from './resize.ts'

export type Crop = 'centre' | 'none'

export const CROPS: readonly Crop[] = ['centre', 'none']

/** The numbers that black and white stand for, in the units the model was trained on: [0, 1], [-1, 1], [0, 255]. */
export type PixelRange = readonly [black: number, white: number]

/** How a pixel becomes a real number: into `range`, then less `mean`, then divided by `std`. */
export interface Scaling {
  /** Default with `mean` or `std`: [0, 1] where all of these are at most 1, else [0, 255]. */
  readonly range?: PixelRange
  /** One for all channels or one for each. */
  readonly mean?: readonly number[]
  readonly std?: readonly number[]
}

export interface PictureOptions extends Scaling {
  /** Default: centre, the largest part from the middle that has the proportions of the input. */
  readonly crop?: Crop
  /** Default: bilinear. */
  readonly resize?: Resampling
}

/** What `getImageData` of a canvas gives: red, green, blue and alpha of each pixel, 8 bits each. */
export interface Rgba {
  readonly width: number
  readonly height: number
  readonly data: Uint8ClampedArray | Uint8Array
}

/** An input of pictures; `mean` and `std` are those of its model file, of pixels in [0, 255]. */
export interface PicturePort<T extends ElementType = ElementType> extends Port<T> {
  readonly mean?: readonly number[]
  readonly std?: readonly number[]
}

/**
 * A picture of any size as an input of shape [1, H, W, C] or [1, C, H, W], C 1 (grey) or 3. How pixels become numbers is said by
 * `options`, or else by the port; where neither says it, an 8-bit input takes black as its smallest value and white as its
 * largest. Throws InputError.
 */
export function imageInput<T extends ElementType>(
  picture: Rgba | Image,
  port: PicturePort<T>,
  options: PictureOptions = {},
): ElementArray<T> {
  const form = pictureOf(port.shape)
  if (!form)
    throw new InputError(
      'picture',
      `the model takes [${port.shape}]`,
      'pictures are for shapes [1, height, width, channels] or [1, channels, height, width], 1 or 3 channels',
    )
  const { sized } = fitted('channels' in picture ? picture : opaque(picture), form.size, options)
  const own: Scaling = port.mean ? { range: [0, 255], mean: port.mean, std: port.std } : {}
  const { range, mean, std } = options
  const real = realPixels(range || mean || std ? { range, mean, std } : own, sized.channels, 'picture')
  if (!real && port.dtype !== 'int8' && port.dtype !== 'uint8')
    throw new InputError(
      'picture',
      `is of 8 bits, the model takes ${port.dtype}`,
      'say which numbers black and white stand for: { range: [0, 1] }, with mean and std where there are any',
    )
  const low = port.dtype === 'int8' ? -128 : 0
  const bytes = Array.from({ length: 256 }, (_, p) => p)
  const tables = real ? real.map((f) => elements(port, bytes.map(f))) : [bytes.map((p) => p + low)]
  const pixels = form.first ? channelsFirst(sized) : sized.data
  const area = form.first ? sized.width * sized.height : 1
  const input = newElements(port.dtype, pixels.length)
  for (let i = 0; i < pixels.length; i++) input[i] = tables[Math.floor(i / area) % tables.length][pixels[i]]
  return input
}

/** The colours of a canvas, its alpha dropped. */
function opaque({ width, height, data }: Rgba): Image {
  if (data.length !== 4 * width * height)
    throw new InputError(
      'picture',
      `has ${data.length} bytes, ${width} x ${height} pixels of a canvas are ${4 * width * height}`,
    )
  const rgb = new Uint8Array(width * height * 3) // (height, width, 3)
  for (let i = 0, at = 0; at < rgb.length; i++) if (i % 4 < 3) rgb[at++] = data[i]
  return { width, height, channels: 3, data: rgb }
}

/** Height, width and channels of an input that takes pictures, and whether the channels are its first axis. */
export function pictureOf(shape: readonly number[]): { size: number[]; first: boolean } | undefined {
  const isColour = (channels: number) => channels === 1 || channels === 3
  if (shape.length !== 4 || shape[0] !== 1) return undefined
  if (isColour(shape[3])) return { size: [shape[1], shape[2], shape[3]], first: false }
  return isColour(shape[1]) ? { size: [shape[2], shape[3], shape[1]], first: true } : undefined
}

/** A picture in the channels of an input, the part of it that is used, and that at the size of the input. */
export function fitted(
  image: Image,
  size: readonly number[],
  { crop = 'centre', resize: by = 'bilinear' }: PictureOptions,
) {
  const [height, width, channels] = size
  const same = withChannels(image, channels === 1 ? 1 : 3)
  const cut = crop === 'centre' ? cropToProportions(same, width, height) : same
  return { cut, sized: resize(cut, width, height, by), by }
}

export function channelsFirst({ width, height, channels, data }: Image): Uint8Array {
  const area = width * height
  return Uint8Array.from(data, (_, i) => data[(i % area) * channels + Math.floor(i / area)])
}

/** The same scaling as `mean` and `std` of pixels in [0, 255]. Throws InputError. */
export function pixelScaling(scaling: Scaling, channels: number, where: string): { mean: number[]; std: number[] } {
  const real = realPixels(scaling, channels, where) ?? []
  const short = (x: number) => Number(x.toPrecision(9)) || 0
  const std = real.map((f) => 255 / (f(255) - f(0)))
  const same = std.every((s) => s === std[0]) && real.every((f) => f(0) === real[0](0))
  const each = <T>(list: T[]) => (same ? list.slice(0, 1) : list)
  return { mean: each(real.map((f, c) => short(-f(0) * std[c]))), std: each(std.map(short)) }
}

export function rangeFor({ range, mean = [], std = [] }: Scaling): PixelRange {
  return range ?? [0, [...mean, ...std].every((x) => Math.abs(x) <= 1) ? 1 : 255]
}

/** One function for each channel; undefined where pixels are taken as they are stored. */
export function realPixels(
  scaling: Scaling,
  channels: number,
  where: string,
): ((pixel: number) => number)[] | undefined {
  const { mean = [0], std = [1] } = scaling
  if (!scaling.range && !scaling.mean && !scaling.std) return undefined
  for (const [name, list] of Object.entries({ mean, std }))
    if (list.length !== 1 && list.length !== channels)
      throw new InputError(where, `${name} has ${list.length} numbers, the model takes ${channels} channels`)
  if (std.some((s) => !(s > 0))) throw new InputError(where, `std is ${std.join(',')}, it must be above 0`)
  const [black, white] = rangeFor(scaling)
  return Array.from({ length: channels }, (_, c) => {
    const [m, s] = [mean[c % mean.length], std[c % std.length]]
    return (p) => (black + (p / 255) * (white - black) - m) / s
  })
}
