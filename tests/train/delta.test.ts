import { describe, expect, test } from 'vitest'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'
import { applyDelta, encodeDelta } from '../../src/train/delta.ts'

const values = (...data: Data[]) => new Map(data.map((d, i) => [`v${i}`, d]))

describe('a delta', () => {
  const before = values(
    Int8Array.of(1, -128, 127, 0, 5),
    Int32Array.of(0, 2 ** 31 - 1, -(2 ** 31)),
    Float32Array.of(0, -0, 1.5, Number.NaN),
    BigInt64Array.of(3n, -(2n ** 63n)),
  )
  const after = values(
    Int8Array.of(1, 127, -128, 0, 4),
    Int32Array.of(0, -(2 ** 31), 2 ** 31 - 1),
    Float32Array.of(-0, -0, 1.25, Number.NaN),
    BigInt64Array.of(3n, 2n ** 63n - 1n),
  )

  test('leads from one set of values to another, and is small where little changed', () => {
    expect(applyDelta(before, encodeDelta(before, after))).toEqual(after)
    expect(applyDelta(before, encodeDelta(before, before))).toEqual(before)
    const random = new Xorshift32(1)
    const wide = values(Int8Array.from({ length: 10_000 }, () => random.next() & 255))
    const moved = values(wide.get('v0')!.slice())
    for (let i = 0; i < 100; i++) (moved.get('v0') as Int8Array)[random.between(0, 9999)] += 1
    const delta = encodeDelta(wide, moved)
    expect(delta.length).toBeLessThan(500)
    expect(applyDelta(wide, delta)).toEqual(moved)
  })

  test('every damaged byte and every cut is found', () => {
    const delta = encodeDelta(before, after)
    for (let i = 0; i < delta.length; i++) {
      const damaged = delta.slice()
      damaged[i] ^= 16
      expect(() => applyDelta(before, damaged), `byte ${i}`).toThrow(/delta/)
      expect(() => applyDelta(before, delta.subarray(0, i)), `cut at ${i}`).toThrow(/damaged/)
    }
  })

  test('is refused by other values, and for values of another form', () => {
    expect(() => applyDelta(after, encodeDelta(before, after))).toThrow(/other values/)
    expect(() => encodeDelta(before, values(Int8Array.of(1)))).toThrow(/4 values to 1/)
    expect(() => encodeDelta(values(Int8Array.of(1)), values(Int8Array.of(1, 2)))).toThrow(/1 elements before and 2/)
  })
})
