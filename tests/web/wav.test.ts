import { expect, test } from 'vitest'
import { readInput } from '../../src/io/samples.ts'
import { readWav } from '../../src/web/wav.ts'
import { wav } from '../io/wav_file.ts'

test.each([
  [1, 8, [0, 128, 192], [-1, 0, 0.5]],
  [1, 16, [0, 128, 0, 0, 0, 64], [-1, 0, 0.5]],
  [1, 24, [0, 0, 128, 0, 0, 0, 0, 0, 64], [-1, 0, 0.5]],
  [1, 32, [0, 0, 0, 128, 0, 0, 0, 64], [-1, 0.5]],
  [3, 32, [0, 0, 128, 191, 0, 0, 0, 63], [-1, 0.5]],
])('code %i of %i bits is read at full scale', (code, bits, data, expected) => {
  expect([...readWav(wav(code, bits, 1, data), 'a').samples]).toEqual(expected)
})

test('channels are averaged', () => {
  expect([...readWav(wav(1, 8, 2, [0, 128, 192, 192]), 'a').samples]).toEqual([-0.5, 0.5])
})

test('a file cut anywhere is an InputError', () => {
  const whole = wav(1, 16, 1, [0, 128, 0, 64])
  for (let n = 12; n < whole.length; n++) expect(() => readWav(whole.slice(0, n), 'a'), `${n}`).toThrow(/^a: /)
})

test('codes that are not PCM, no channels and NaN are refused', () => {
  expect(() => readWav(wav(2, 4, 1, [0]), 'a')).toThrow(/code 2, 4 bits/)
  expect(() => readWav(wav(1, 16, 0, [0, 0]), 'a')).toThrow(/0 channels/)
  expect(() => readWav(wav(3, 32, 1, [0, 0, 192, 127]), 'a')).toThrow(/finite/)
})

test('an input of samples takes sound, other inputs say what they need', () => {
  const sound = wav(1, 16, 1, [0, 128, 0, 64])
  expect(readInput(sound, { dtype: 'f32', shape: [1, 2] })).toEqual(Float32Array.of(-1, 0.5))
  expect(readInput(sound, { dtype: 'i16', shape: [2] })).toEqual(Int16Array.of(-32768, 16384))
  expect(() => readInput(sound, { dtype: 'f32', shape: [1, 49, 40] })).toThrow(/is sound/)
})
