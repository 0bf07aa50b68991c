// Pictures as inputs: cut, resized, and 8-bit pixels turned into the numbers that a model was trained on. Each step is said.

import { InputError } from '../errors.ts'
import { printTensorType, sameShape, type TensorType } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'
import { rangeOf } from '../ops/quant.ts'
import {
  channelsFirst,
  fitted,
  type PictureOptions,
  pictureOf,
  rangeFor,
  realPixels,
  type Scaling,
} from '../web/image.ts'
import type { Image } from '../web/resize.ts'
import { fromReals, isFloat } from './elements.ts'

/** What went in and what was done to it, one entry a step. */
export type Steps = readonly string[]

/** A picture of any size as an input of shape [1, H, W, C] or [1, C, H, W], C 1 or 3. Throws InputError. */
export function pictureInput(
  image: Image,
  type: TensorType,
  options: PictureOptions = {},
  where = 'picture',
): { data: Data; steps: Steps } {
  const picture = pictureOf(type.shape)
  if (!picture)
    throw new InputError(
      where,
      `is a picture, the model takes ${printTensorType(type)}`,
      'pictures are for inputs of shape [1, height, width, channels] or [1, channels, height, width], 1 or 3 channels',
    )
  const { cut, sized, by } = fitted(image, picture.size, options)
  const size = (i: { width: number; height: number }) => `${i.width}×${i.height}`
  const grey = image.channels !== sized.channels && sized.channels === 1
  return {
    data: imageInput(sized, type, options, where),
    steps: [
      size(image),
      ...(grey ? ['grey'] : []),
      ...(size(cut) !== size(image) ? [`centre crop ${size(cut)}`] : []),
      ...(size(cut) !== size(sized) ? [`${size(sized)} ${by}`] : []),
      scalingText(options, type),
      typeText(type),
    ],
  }
}

/**
 * The elements of an input from a picture of its size. Without scaling, only for 8-bit inputs: black is the smallest stored
 * value and white the largest, as such models are calibrated. With it, real numbers, quantised by the input's own scale
 * and zero point where it has them. Throws InputError.
 */
export function imageInput(image: Image, type: TensorType, scaling: Scaling = {}, where = 'picture'): Data {
  const picture = pictureOf(type.shape)
  const size = [image.height, image.width, image.channels]
  if (!picture || !sameShape(picture.size, size))
    throw new InputError(where, `has size [${size}], the model takes ${printTensorType(type)}`)
  const pixel = picture.first ? channelsFirst(image) : image.data
  const { channels } = image
  const area = image.width * image.height
  const real = realPixels(scaling, channels, where)
  if (real && (type.quant || isFloat(type)))
    return fromReals(
      Float64Array.from(pixel, (p, i) => real[picture.first ? Math.floor(i / area) : i % channels](p)),
      type,
      where,
    )
  if (!real && type.dtype === 'u8') return pixel.slice()
  if (!real && type.dtype === 'i8') return Int8Array.from(pixel, (p) => p - 128)
  throw new InputError(
    where,
    `is a picture of 8 bits, the model takes ${printTensorType(type)}`,
    real
      ? 'its integers have no scale, so that real numbers mean nothing to it'
      : 'say which numbers black and white stand for (mote run --range 0..1), and --mean and --std where there are any',
  )
}

const figure = (x: number) => String(Number(x.toPrecision(6))).replace('-', '−')
const plus = (x: number) => (x === 0 ? '' : x < 0 ? ` − ${figure(-x)}` : ` + ${figure(x)}`)

/** The formula from a pixel x in [0, 255] to the number that the model gets. */
function scalingText(scaling: Scaling, type: TensorType): string {
  if (!scaling.range && !scaling.mean && !scaling.std) return type.dtype === 'i8' ? 'x − 128' : 'x'
  const [black, white] = rangeFor(scaling)
  const step = (white - black) / 255
  const times = step === 1 ? 'x' : Math.abs(step) < 1 ? `x/${figure(1 / step)}` : `x·${figure(step)}`
  const list = (numbers: readonly number[]) =>
    numbers.length === 1 ? figure(numbers[0]) : `(${numbers.map(figure).join(', ')})`
  const { mean, std } = scaling
  const less =
    mean === undefined
      ? times + plus(black)
      : mean.length === 1
        ? times + plus(black - mean[0])
        : `${times}${plus(black)} − ${list(mean)}`
  if (std === undefined) return less
  return `${/ [−+] /.test(less) ? `(${less})` : less}/${list(std)}`
}

/** The element type in words; for quantised ones also the real numbers that it spans. */
function typeText({ dtype, quant }: TensorType): string {
  const name = dtype.replace(/^i/, 'int').replace(/^u/, 'uint').replace(/^f/, 'float')
  if (quant?.scale.length !== 1) return name
  const { min, max } = rangeOf(dtype)
  const real = (x: number) => figure(Number((quant.scale[0] * (x - quant.zero[0])).toPrecision(3)))
  return `${name} for ${real(min)} to ${real(max)}`
}
