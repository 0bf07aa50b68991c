// What is done to pictures and sound, in numbers and in words.

import { expect, test } from 'vitest'
import { InputError } from '../../src/errors.ts'
import { pictureInput } from '../../src/io/pictures.ts'
import { soundInput } from '../../src/io/sound.ts'
import type { TensorType } from '../../src/ir/graph.ts'
import { f32, i8 } from '../../src/ops/case.ts'
import type { PictureOptions } from '../../src/web/image.ts'
import type { Image } from '../../src/web/resize.ts'
import { wav } from './wav_file.ts'

const picture: Image = { width: 4, height: 2, channels: 3, data: Uint8Array.from({ length: 24 }, (_, i) => 10 * i) }
const made = (type: TensorType, options?: PictureOptions) => {
  const { data, steps } = pictureInput(picture, type, options, 'photo.png')
  return { data: [...(data as Float32Array)], said: steps.join(' → ') }
}

test('by default the middle is cut out, and black and white are the ends of an 8-bit type', () => {
  const { data, said } = made(i8([1, 2, 2, 3], 1 / 255, -128))
  expect(data).toEqual([30, 40, 50, 60, 70, 80, 150, 160, 170, 180, 190, 200].map((p) => p - 128))
  expect(said).toBe('4×2 → centre crop 2×2 → x − 128 → int8 for 0 to 1')
  expect(made({ dtype: 'u8', shape: [1, 1, 1, 1] }).said).toBe(
    '4×2 → grey → centre crop 2×2 → 1×1 bilinear → x → uint8',
  )
})

test('without a crop the proportions go', () => {
  const { data, said } = made({ dtype: 'u8', shape: [1, 1, 1, 3] }, { crop: 'none', resize: 'area' })
  expect(data).toEqual([105, 115, 125])
  expect(said).toBe('4×2 → 1×1 area → x → uint8')
})

test.each<[PictureOptions, (p: number, c: number) => number, string]>([
  [{ range: [0, 1] }, (p) => p / 255, 'x/255'],
  [{ range: [-1, 1] }, (p) => p / 127.5 - 1, 'x/127.5 − 1'],
  [{ range: [0, 255] }, (p) => p, 'x'],
  [{ range: [1, 0] }, (p) => 1 - p / 255, 'x/−255 + 1'],
  [{ range: [0, 510] }, (p) => 2 * p, 'x·2'],
  [{ mean: [128], std: [127] }, (p) => (p - 128) / 127, '(x − 128)/127'],
  [{ mean: [0.5] }, (p) => p / 255 - 0.5, 'x/255 − 0.5'],
  [{ std: [255] }, (p) => p / 255, 'x/255'],
  [{ range: [0, 255], mean: [1], std: [0.5] }, (p) => (p - 1) / 0.5, '(x − 1)/0.5'],
  [
    { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] },
    (p, c) => (p / 255 - (c + 1) / 10) / ((c + 4) / 10),
    '(x/255 − (0.1, 0.2, 0.3))/(0.4, 0.5, 0.6)',
  ],
])('%j', (options, real, said) => {
  const last = made(f32([1, 2, 4, 3]), options)
  const first = made(f32([1, 3, 2, 4]), options)
  expect(last.said).toBe(`4×2 → ${said} → float32`)
  for (let i = 0; i < 24; i++) {
    expect(last.data[i]).toBeCloseTo(real(10 * i, i % 3), 5)
    expect(first.data[(i % 3) * 8 + Math.floor(i / 3)]).toBe(last.data[i])
  }
})

test('scaled numbers are quantised by the scale of the model', () => {
  const { data, said } = made(i8([1, 2, 4, 3], 0.1, -5), { mean: [120], std: [100] })
  expect(data).toEqual(Array.from({ length: 24 }, (_, i) => Math.round((10 * i - 120) / 10) - 5))
  expect(said).toBe('4×2 → (x − 120)/100 → int8 for −12.3 to 13.2')
})

test.each<[string, TensorType, PictureOptions, RegExp]>([
  ['floats that nothing is said of', f32([1, 2, 4, 3]), {}, /takes f32/],
  ['two means for three channels', f32([1, 2, 4, 3]), { mean: [1, 2] }, /mean has 2 numbers, the model takes 3/],
  ['a deviation of nothing', f32([1, 2, 4, 3]), { std: [0] }, /std is 0/],
  ['integers without a scale', { dtype: 'u8', shape: [1, 2, 4, 3] }, { range: [0, 1] }, /takes u8/],
  ['vectors', f32([24]), { range: [0, 1] }, /is a picture, the model takes f32\[24\]/],
])('%s are refused', (_, type, options, says) => {
  expect(() => made(type, options)).toThrow(InputError)
  expect(() => made(type, options)).toThrow(says)
})

/** Samples of a quarter of full scale, 16-bit mono at 8000 Hz. */
const quarter = (n: number) => wav(1, 16, 1, Array(n).fill([0, 32]).flat(), 8000)

test('sound is cut to the length of the input or zeros are put behind, and both are said', () => {
  const heard = (n: number, rate?: number) => {
    const { data, steps } = soundInput(quarter(3), { dtype: 'i16', shape: [1, n, 1] }, rate, 'a.wav')
    return [[...(data as Int16Array)], steps.join(' → ')]
  }
  const taken = "3 samples at 8000 Hz → taken for the model's rate (--rate says another)"
  expect(heard(3, 8000)).toEqual([[8192, 8192, 8192], '3 samples at 8000 Hz'])
  expect(heard(3)).toEqual([[8192, 8192, 8192], taken])
  expect(heard(2)).toEqual([[8192, 8192], `${taken} → the first 2`])
  expect(heard(5)).toEqual([[8192, 8192, 8192, 0, 0], `${taken} → zeros up to 5`])
  expect(heard(7, 16000)).toEqual([[...Array(6).fill(8192), 0], '3 samples at 8000 Hz → 6 at 16000 Hz → zeros up to 7'])
})

test('sound is refused where an input has several dimensions or one number', () => {
  for (const shape of [[1, 49, 10], [1, 1], []])
    expect(() => soundInput(quarter(1), { dtype: 'f32', shape }, undefined, 'a.wav')).toThrow(/^a\.wav: is sound.*f32/)
})
