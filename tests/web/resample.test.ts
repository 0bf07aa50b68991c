import { expect, test } from 'vitest'
import { resample } from '../../src/web/resample.ts'

const tone = (hertz: number, rate: number, n: number) =>
  Float64Array.from({ length: n }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate))

/** The largest difference away from the ends, where the filter has all its neighbours. */
const apart = (a: Float64Array, b: Float64Array) =>
  Math.max(...Array.from(a.subarray(100, a.length - 100), (x, i) => Math.abs(x - b[i + 100])))

test.each([
  [8000, 16000],
  [44100, 16000],
  [48000, 16000],
  [16000, 44100],
  [11025, 8000],
])('a tone at %i Hz is the same tone at %i Hz', (from, to) => {
  const heard = resample(tone(1000, from, from / 4), from, to)
  expect(heard).toHaveLength(Math.ceil(((from / 4) * to) / from))
  expect(apart(heard, tone(1000, to, heard.length))).toBeLessThan(2e-3)
})

test('a tone above half of the new rate is not heard', () => {
  expect(apart(resample(tone(7000, 48000, 12000), 48000, 8000), new Float64Array(2000))).toBeLessThan(1e-2)
})

test('a constant stays constant up to both ends', () => {
  for (const to of [3000, 8000, 11025])
    for (const x of resample(new Float64Array(50).fill(0.5), 8000, to)) expect(x).toBeCloseTo(0.5, 12)
})

test('the same rate gives the samples, and only as many as are wanted are made', () => {
  const samples = tone(440, 8000, 64)
  const again = resample(samples, 8000, 8000)
  expect(apart(again, samples)).toBeLessThan(1e-12)
  for (const [i, x] of again.entries()) expect(x).toBeCloseTo(samples[i], 12)
  expect(resample(samples, 1, 1e6, 5)).toHaveLength(5)
  expect(resample(new Float64Array(0), 8000, 16000)).toHaveLength(0)
})
