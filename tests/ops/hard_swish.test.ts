import { expect, test } from 'vitest'
import { i8 } from '../../src/ops/case.ts'
import { stored } from '../../src/ops/hard_swish/stored.ts'

test('int8 HardSwish is within two output steps of the real function', () => {
  for (const [sx, zx, sy, zy] of [
    [0.05, -3, 0.04, 5],
    [0.03, 0, 0.03, -100],
    [0.1, 20, 0.08, -128],
  ]) {
    const f = stored(i8([1], sx, zx), i8([1], sy, zy))
    for (let q = -128; q <= 127; q++) {
      const x = sx * (q - zx)
      const y = (x * Math.min(6, Math.max(0, x + 3))) / 6
      const exact = Math.max(-128, Math.min(127, y / sy + zy))
      expect(Math.abs(f(q) - exact), `q ${q}, scale ${sx}`).toBeLessThanOrEqual(2)
    }
  }
})
