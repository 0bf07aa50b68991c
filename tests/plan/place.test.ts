import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Xorshift32 } from '../../src/ir/random.ts'
import { type Item, lowerBound, place } from '../../src/plan/place.ts'

const item = fc
  .record({
    bytes: fc.integer({ min: 0, max: 60 }),
    first: fc.integer({ min: -1, max: 20 }),
    steps: fc.integer({ min: 0, max: 6 }),
    align: fc.constantFrom(undefined, 1, 4, 16),
    changes: fc.array(
      fc.record({
        after: fc.integer({ min: 1, max: 4 }),
        from: fc.double({ min: 0, max: 1, noNaN: true }),
        to: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ bytes, first, steps, align, changes }): Item => {
    const spans = [{ first, from: 0, to: bytes }]
    for (const { after, from, to } of changes) {
      const step = spans[spans.length - 1].first + after
      const low = Math.floor(bytes * from)
      if (step <= first + steps) spans.push({ first: step, from: low, to: low + Math.floor((bytes - low) * to) })
    }
    return { bytes, first, last: first + steps, align, ...(changes.length > 0 && { spans }) }
  })
const items = fc.array(item, { maxLength: 25 })

/** The bytes of it that are in use. */
function spanAt(i: Item, step: number): { from: number; to: number } {
  if (step < i.first || step > i.last) return { from: 0, to: 0 }
  return i.spans?.findLast((s) => s.first <= step) ?? { from: 0, to: i.bytes }
}

const bytesAt = (i: Item, step: number) => spanAt(i, step).to - spanAt(i, step).from

function expectSound(list: readonly Item[], offsets: readonly number[], total: number): void {
  expect(offsets).toHaveLength(list.length)
  for (let step = -1; step <= 30; step++) {
    const live = list.flatMap((i, k) => {
      const { from, to } = spanAt(i, step)
      return to > from ? [{ from: offsets[k] + from, to: offsets[k] + to }] : []
    })
    live.sort((a, b) => a.from - b.from)
    for (let k = 0; k < live.length; k++) {
      expect(live[k].to).toBeLessThanOrEqual(total)
      if (k > 0) expect(live[k].from).toBeGreaterThanOrEqual(live[k - 1].to)
    }
  }
  list.forEach((i, k) => {
    expect(offsets[k]).toBeGreaterThanOrEqual(0)
    expect(offsets[k] % (i.align ?? 1)).toBe(0)
  })
}

describe('place', () => {
  test('never overlaps live buffers, keeps alignment, needs at least the lower bound', () => {
    fc.assert(
      fc.property(items, (list) => {
        const { offsets, total, lowerBound: bound } = place(list, 20_000)
        expectSound(list, offsets, total)
        expect(bound).toBe(
          Math.max(0, ...Array.from({ length: 32 }, (_, s) => list.reduce((n, i) => n + bytesAt(i, s - 1), 0))),
        )
        expect(total).toBeGreaterThanOrEqual(bound)
      }),
      { numRuns: 300 },
    )
  })

  test('meets the lower bound on chains', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 60 }), (sizes) => {
        const chain = sizes.map((bytes, k): Item => ({ bytes, first: k, last: k + 1 }))
        const { total, lowerBound: bound } = place(chain)
        expect(total).toBe(bound)
      }),
    )
  })

  test('gives the same offsets every time', () => {
    fc.assert(
      fc.property(items, (list) => {
        expect(place(list, 10_000)).toEqual(place(list, 10_000))
      }),
    )
  })

  test('a buffer that shrinks makes room for others', () => {
    const list: Item[] = [
      {
        bytes: 100,
        first: 0,
        last: 9,
        spans: [
          { first: 0, from: 0, to: 100 },
          { first: 2, from: 0, to: 10 },
        ],
      },
      { bytes: 90, first: 2, last: 9 },
    ]
    expect(place(list)).toEqual({ offsets: [0, 10], total: 100, lowerBound: 100 })
  })

  test('what grows takes the place of what goes from its start', () => {
    const steps = Array.from({ length: 10 }, (_, t) => t)
    const list: Item[] = [
      { bytes: 100, first: 0, last: 9, spans: steps.map((t) => ({ first: t, from: 10 * t, to: 100 })) },
      { bytes: 100, first: 0, last: 10, spans: steps.map((t) => ({ first: t, from: 0, to: 10 * t + 10 })) },
      ...steps.map((t): Item => ({ bytes: 5, first: t, last: t })),
    ]
    const { offsets, total, lowerBound: bound } = place(list)
    expectSound(list, offsets, total)
    expect([total, bound]).toEqual([115, 115])
  })

  test('finds a perfect packing that sorting by size misses', () => {
    const list: Item[] = [
      { bytes: 4, first: 0, last: 1 },
      { bytes: 3, first: 0, last: 2 },
      { bytes: 4, first: 2, last: 4 },
      { bytes: 3, first: 3, last: 5 },
      { bytes: 4, first: 5, last: 6 },
      { bytes: 3, first: 6, last: 7 },
    ]
    expect(place(list).total).toBe(7)
  })

  test('nothing takes no place', () => {
    expect(place([])).toEqual({ offsets: [], total: 0, lowerBound: 0 })
    expect(lowerBound([{ bytes: 0, first: 0, last: 3 }])).toBe(0)
  })

  test('is close to the lower bound for 200 buffers, within a second', () => {
    const random = new Xorshift32(42)
    const began = performance.now()
    for (let round = 0; round < 5; round++) {
      const list = Array.from({ length: 200 }, (_, k): Item => {
        const first = Math.floor(k / 2)
        return { bytes: 16 * random.between(1, 200), first, last: first + random.between(1, 4), align: 16 }
      })
      const { offsets, total, lowerBound: bound } = place(list)
      for (const [k, i] of list.entries()) expect(offsets[k] % i.align!).toBe(0)
      expect(total / bound).toBeLessThan(1.06)
    }
    expect((performance.now() - began) / 5).toBeLessThan(1000)
  })
})
