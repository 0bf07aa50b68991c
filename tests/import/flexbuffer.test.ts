import { encode } from 'flatbuffers/js/flexbuffers.js'
import { expect, test } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { readFlexMap } from '../../src/import/flexbuffer.ts'
import { Xorshift32 } from '../../src/ir/random.ts'

const read = (bytes: Uint8Array) => Object.fromEntries(readFlexMap(bytes, 'SignalRfft "x"'))

test('a map of numbers and booleans is read, whatever the width of its elements', () => {
  for (const map of [
    {},
    { shift: 12 },
    { a: -1, b: 255, c: true },
    { T: 7, fft_length: 512 },
    { alternate: 15401, low: -32768 },
    { long: -70000, clamping: false },
    { huge: 2 ** 40, tenth: 0.1 },
    { half: 0.5 },
  ])
    expect(read(encode(map))).toEqual(map)
})

test('options that TensorFlow wrote are read', () => {
  const bytes = Uint8Array.from('T\0fft_length\0\x02\x0e\r\x02\0\x01\0\x02\0\x07\0\0\x02\x05\x05\x06%\x01', (c) =>
    c.charCodeAt(0),
  )
  expect(read(bytes)).toEqual({ T: 7, fft_length: 512 })
})

test('no bytes are an empty map, and what is no number is left out', () => {
  expect(read(new Uint8Array(0))).toEqual({})
  expect(read(encode({ list: [1, 2, 'x'], name: 'x', n: 3 }))).toEqual({ n: 3 })
})

test('another kind of root is refused', () => {
  expect(() => read(encode([1, 2]))).toThrow(/custom options that are of kind \d+, expected a map/)
  expect(() => read(Uint8Array.of(1))).toThrow(ModelError)
})

test('damaged bytes are read or refused, in bounded time', () => {
  const random = new Xorshift32(7)
  const whole = encode({ end_index: 241, start_index: 5, clamping: true, much: 2 ** 33, part: 0.25 })
  let refused = 0
  for (let k = 0; k < 5000; k++) {
    const bytes = whole.slice(0, random.between(0, 3) ? whole.length : random.between(0, whole.length))
    for (let d = random.between(1, 3); d > 0 && bytes.length > 0; d--)
      bytes[random.between(0, bytes.length - 1)] = random.next() >>> 24
    try {
      read(bytes)
    } catch (e) {
      expect(e).toBeInstanceOf(ModelError)
      refused++
    }
  }
  expect(refused).toBeGreaterThan(500)
})
