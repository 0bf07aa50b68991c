import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  detections,
  type Found,
  intersectionOverUnion,
  nonMaximumSuppression,
  priorBoxes,
} from '../../src/web/boxes.ts'
import { softmax, topK } from '../../src/web/classes.ts'

const box = (left: number, top: number, right: number, bottom: number, score = 1, cls = 1): Found => ({
  left,
  top,
  right,
  bottom,
  score,
  class: cls,
})

describe('boxes', () => {
  test('priors stand in the middle of their cells, sides as parts of the picture and never beyond it', () => {
    const priors = priorBoxes({ width: 320, height: 240, grids: [{ columns: 2, rows: 1, sides: [16, 256] }] })
    const f = Math.fround
    expect([...priors]).toEqual([
      0.25,
      0.5,
      f(0.05),
      f(16 / 240),
      0.25,
      0.5,
      f(0.8),
      1,
      0.75,
      0.5,
      f(0.05),
      f(16 / 240),
      0.75,
      0.5,
      f(0.8),
      1,
    ])
  })

  test('an offset of nothing is the prior; others move it by variances of its size', () => {
    const priors = Float32Array.of(0.5, 0.5, 0.25, 0.5, 0.5, 0.5, 0.25, 0.5)
    const [moved, still] = detections([0, 0.9, 0, 0.8], [4, -2, Math.log(2) / 0.2, 0, 0, 0, 0, 0], priors, {
      overlap: 1,
    })
    expect(still).toMatchObject({ left: 0.375, right: 0.625, top: 0.25, bottom: 0.75, class: 1 })
    expect(moved.left).toBeCloseTo(0.6 - 0.25)
    expect(moved.right).toBeCloseTo(0.6 + 0.25)
    expect(moved.top).toBeCloseTo(0.4 - 0.25)
    expect(moved.bottom).toBeCloseTo(0.4 + 0.25)
  })

  test('what does not fit together is an error', () => {
    expect(() => detections([0, 1], [0, 0, 0], new Float32Array(4))).toThrow('3 offsets and 2 scores for 1 priors')
  })

  test('intersection over union of known boxes', () => {
    expect(intersectionOverUnion(box(0, 0, 1, 1), box(0, 0, 1, 1))).toBe(1)
    expect(intersectionOverUnion(box(0, 0, 1, 1), box(0.5, 0, 1.5, 1))).toBeCloseTo(1 / 3)
    expect(intersectionOverUnion(box(0, 0, 1, 1), box(2, 2, 3, 3))).toBe(0)
    expect(intersectionOverUnion(box(0, 0, 0, 0), box(0, 0, 0, 0))).toBe(0)
  })

  const some = fc.array(
    fc.record({
      left: fc.double({ min: 0, max: 1, noNaN: true }),
      top: fc.double({ min: 0, max: 1, noNaN: true }),
      right: fc.double({ min: 0, max: 1, noNaN: true }),
      bottom: fc.double({ min: 0, max: 1, noNaN: true }),
      score: fc.double({ min: 0, max: 1, noNaN: true }),
      class: fc.integer({ min: 1, max: 2 }),
    }),
    { maxLength: 30 },
  )

  test('suppression keeps no two boxes of a class that overlap, and drops none without a better one over it', () => {
    fc.assert(
      fc.property(some, (boxes) => {
        const kept = nonMaximumSuppression(boxes, { overlap: 0.3 })
        const over = (a: Found, b: Found) => a.class === b.class && intersectionOverUnion(a, b) > 0.3
        for (const a of kept) for (const b of kept) if (a !== b) expect(over(a, b)).toBe(false)
        for (const b of boxes)
          if (!kept.includes(b)) expect(kept.some((k) => k.score >= b.score && over(k, b))).toBe(true)
        expect(nonMaximumSuppression(kept, { overlap: 0.3 })).toEqual(kept)
      }),
    )
  })
})

describe('classes', () => {
  test('softmax sums to 1, keeps the order, and does not overflow', () => {
    const p = softmax([1000, 1001, 999])
    expect(p.reduce((a, b) => a + b)).toBeCloseTo(1)
    expect(p[1] / p[0]).toBeCloseTo(Math.E, 5)
    expect([...softmax([0, 0, 0, 0])]).toEqual([0.25, 0.25, 0.25, 0.25])
    expect(softmax([0, 1], 0.5)[1]).toBeCloseTo(1 / (1 + Math.exp(-2)))
  })

  test('top-k is sorted, by number among equals, and calls classes by name', () => {
    expect(topK([3, 9, 9, 1], 3)).toEqual([
      { index: 1, label: '1', score: 9 },
      { index: 2, label: '2', score: 9 },
      { index: 0, label: '0', score: 3 },
    ])
    expect(topK(Int8Array.of(-5, 4), 1, ['no', 'yes'])).toEqual([{ index: 1, label: 'yes', score: 4 }])
    expect(() => topK([1, 2], 1, ['one'])).toThrow('labels: are 1, scores are 2')
  })
})
