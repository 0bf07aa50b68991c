import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Spectrogram, toInt16, Windows } from '../../src/web/audio.ts'

const ramp = (n: number) => Int16Array.from({ length: n }, (_, i) => i)

describe('sound in pieces', () => {
  test('windows are the same however the sound is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 900 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 700 }),
        (cuts, step) => {
          const total = cuts.reduce((a, b) => a + b, 0)
          const whole = new Windows(480, step).push(ramp(total))
          const windows = new Windows(480, step)
          let at = 0
          const pieces = cuts.flatMap((n) => windows.push(ramp(total).subarray(at, (at += n))))
          expect(pieces).toEqual(whole)
          expect(whole.length).toBe(Math.max(0, Math.floor((total - 480) / step) + 1))
          whole.forEach((w, i) => {
            expect([w[0], w.length]).toEqual([i * step, 480])
          })
        },
      ),
    )
  })

  test('reset forgets what waits', () => {
    const windows = new Windows()
    windows.push(ramp(479))
    windows.reset()
    expect(windows.push(ramp(1))).toEqual([])
  })

  test('samples saturate as 16-bit numbers', () => {
    expect([...toInt16([0, 1, -1, 0.5, -2, 1 / 65536])]).toEqual([0, 32767, -32768, 16384, -32768, 1])
  })

  test('a spectrogram holds the last rows, oldest first', () => {
    let calls = 0
    const s = new Spectrogram({
      frontEnd: (w) => Int8Array.of(w[0], ++calls),
      reset: () => {
        calls = 0
      },
      rows: 3,
      features: 2,
      length: 4,
      step: 2,
    })
    expect(s.push(ramp(5))).toBe(1)
    expect([...s.data]).toEqual([-128, -128, -128, -128, 0, 1])
    expect(s.push(ramp(7))).toBe(4)
    expect([...s.data]).toEqual([4, 3, 1, 4, 3, 5])
    s.reset()
    expect([...s.data]).toEqual(Array(6).fill(-128))
    expect(s.push(ramp(4))).toBe(1)
    expect([...s.data.subarray(4)]).toEqual([0, 1])
  })
})
