import { expect, test } from 'vitest'
import { fingerprint, fnv1a, hex8 } from '../../src/ir/hash.ts'

test('fnv1a gives the published values', () => {
  expect(fingerprint('')).toBe('811c9dc5')
  expect(fingerprint('a')).toBe('e40c292c')
  expect(fingerprint('foobar')).toBe('bf9cf968')
})

test('fnv1a goes on where an earlier hash stopped, and sees typed arrays as bytes', () => {
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  expect(fnv1a(bytes.subarray(3), fnv1a(bytes.subarray(0, 3)))).toBe(fnv1a(bytes))
  expect(fingerprint(new Int32Array(bytes.buffer, 4))).toBe(hex8(fnv1a(bytes.subarray(4))))
  expect(hex8(0x1f)).toBe('0000001f')
})
