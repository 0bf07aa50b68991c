import { describe, expect, test } from 'vitest'
import { pictureInput } from '../../src/io/pictures.ts'
import { quantOf, type TensorType } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { imageInput, pixelScaling } from '../../src/web/image.ts'
import type { ElementType } from '../../src/web/port.ts'
import type { Image } from '../../src/web/resize.ts'

/** What a canvas of that picture gives. */
function canvas({ width, height, data }: Image) {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255)
  for (let i = 0; i < width * height; i++) rgba.set(data.subarray(3 * i, 3 * i + 3), 4 * i)
  return { width, height, data: rgba }
}

const picture: Image = {
  width: 20,
  height: 13,
  channels: 3,
  data: new Xorshift32(4).fill({ dtype: 'u8', shape: [13, 20, 3] }) as Uint8Array,
}
const NAMES: Readonly<Record<string, ElementType>> = { i8: 'int8', u8: 'uint8', f32: 'float32', i16: 'int16' }
const portOf = ({ dtype, shape, quant }: TensorType) => ({
  dtype: NAMES[dtype],
  shape,
  ...(quant && { scale: quant.scale[0], zero: quant.zero[0] }),
})

describe('a canvas as an input is what the command line makes of the same picture', () => {
  const int8 = { dtype: 'i8', quant: quantOf(0.0078125, 3) } as const
  test.each([
    ['int8 as stored', { dtype: 'i8', shape: [1, 8, 8, 3] }, {}],
    ['uint8 as stored, grey', { dtype: 'u8', shape: [1, 6, 10, 1] }, {}],
    ['int8 in [0, 1]', { ...int8, shape: [1, 8, 8, 3] }, { range: [0, 1] }],
    ['int8 with mean and std, channels first', { ...int8, shape: [1, 3, 7, 9] }, { mean: [0.4, 0.5, 0.6], std: [0.2] }],
    [
      'int16 in [-1, 1], whole picture',
      { dtype: 'i16', quant: quantOf(0.0001, 0), shape: [1, 8, 8, 3] },
      { range: [-1, 1], crop: 'none' },
    ],
    [
      'float32 less 127 by 128, channels first',
      { dtype: 'f32', shape: [1, 3, 12, 16] },
      { mean: [127], std: [128], resize: 'nearest' },
    ],
    ['float32 of grey, area', { dtype: 'f32', shape: [1, 5, 5, 1] }, { range: [0, 255], resize: 'area' }],
  ] as const)('%s', (_, type: TensorType, options: object) => {
    const wanted = pictureInput(picture, type, options).data
    expect(imageInput(canvas(picture), portOf(type), options)).toEqual(wanted)
    expect(imageInput(picture, portOf(type), options)).toEqual(wanted)
  })
})

test('a port that knows its mean and std needs no options, and yields to them', () => {
  const shape = [1, 8, 8, 3]
  const port = { dtype: 'uint8', shape, scale: 0.0078125, zero: 128, mean: [127.5], std: [127.5] } as const
  const type: TensorType = { dtype: 'u8', shape, quant: quantOf(0.0078125, 128) }
  expect(imageInput(picture, port)).toEqual(pictureInput(picture, type, { range: [-1, 1] }).data)
  expect(imageInput(picture, port, { range: [0, 1] })).toEqual(pictureInput(picture, type, { range: [0, 1] }).data)
  // Mean 0 and std 1 are of pixels in [0, 255], whatever they look like.
  const plain = { dtype: 'float32', shape, mean: [0], std: [1] } as const
  expect(Math.max(...imageInput(picture, plain))).toBeGreaterThan(100)
})

test.each([
  [{ range: [0, 1] }, { mean: [0], std: [255] }],
  [{ range: [-1, 1] }, { mean: [127.5], std: [127.5] }],
  [
    { mean: [127], std: [128] },
    { mean: [127], std: [128] },
  ],
  [
    { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] },
  ],
] as const)('a port that carries the scaling %j does what the options do', (scaling, carried) => {
  expect(pixelScaling(scaling, 3, 'here')).toEqual(carried)
  const port = { dtype: 'float32', shape: [1, 8, 8, 3] } as const
  const [byOptions, byPort] = [imageInput(picture, port, scaling), imageInput(picture, { ...port, ...carried })]
  for (const [i, x] of byOptions.entries()) expect(byPort[i]).toBeCloseTo(x, 5)
})

test('what cannot be is said with both values', () => {
  const port = { dtype: 'float32', shape: [1, 8, 8, 3] } as const
  expect(() => imageInput(picture, port)).toThrow('picture: is of 8 bits, the model takes float32')
  expect(() => imageInput(picture, { ...port, shape: [1, 1960] })).toThrow('the model takes [1,1960]')
  expect(() => imageInput({ ...canvas(picture), width: 21 }, port, { range: [0, 1] })).toThrow(
    'has 1040 bytes, 21 x 13 pixels of a canvas are 1092',
  )
  expect(() => imageInput(picture, { dtype: 'int8', shape: port.shape }, { range: [0, 1] })).toThrow(
    'takes int8 without a scale',
  )
})
