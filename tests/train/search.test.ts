import { describe, expect, test } from 'vitest'
import { Xorshift32 } from '../../src/ir/random.ts'
import { byGain, type Choice, evolve, keyOf, knapsack, Peaks, type Problem, sumsOf } from '../../src/train/search.ts'

/** Layers of up to three items, gains in hundredths as accuracies have them, some below 0. */
function problem(seed: number, layers = 5): Problem {
  const random = new Xorshift32(1000 + 17 * seed)
  for (let i = 0; i < 10; i++) random.next()
  const gain = () => random.between(-2, 10) / 100
  const sizes = Array.from({ length: layers }, () => random.between(5, 60))
  return {
    biases: Array.from({ length: layers + 1 }, (_, k) => ({ gain: k === 0 ? 0 : gain(), bytes: 7 + 4 * k })),
    layers: sizes.map((size) =>
      Array.from({ length: random.between(0, 3) }, (_, r) => ({ gain: gain(), bytes: size * (r + 1) })),
    ),
    masks: Array.from({ length: layers }, (_, i) => 3 * (layers - i)),
  }
}

function every({ biases, layers }: Problem): Choice[] {
  const items = layers.reduce<number[][]>(
    (all, own) => all.flatMap((some) => [-1, ...own.keys()].map((i) => [...some, i])),
    [[]],
  )
  return biases.flatMap((_, k) => items.map((some) => ({ biases: k, items: some })))
}

/** What a plan might need above the bytes by counting: at least 40, more as the scheme says. */
const overhead = (choice: Choice) => 40 + [...keyOf(choice)].reduce((n, c) => (31 * n + c.charCodeAt(0)) % 23, 7)

function bestOf(p: Problem, limit: number, peakOf: (c: Choice) => number): number {
  return Math.max(...every(p).flatMap((c) => (peakOf(c) <= limit ? [sumsOf(p, c).gain] : [])))
}

const SEEDS = Array.from({ length: 60 }, (_, i) => i)
const LIMITS = [60, 90, 140, 250, 500]

describe('knapsack', () => {
  test('gains as much as any scheme whose counted bytes fit, by trying all', () => {
    for (const seed of SEEDS)
      for (const limit of LIMITS) {
        const p = problem(seed)
        const peakOf = (c: Choice) => sumsOf(p, c).bytes + 40
        const found = knapsack(p, new Peaks(p, limit, peakOf))
        expect(found?.gain).toBeCloseTo(bestOf(p, limit, peakOf), 10)
        expect(found!.peak).toBeLessThanOrEqual(limit)
        expect(found!.bound).toBeCloseTo(found!.gain, 10)
      }
  })

  test('gains as much as any where peaks are not sums, once the least overhead has been seen', () => {
    let more = 0
    for (const seed of SEEDS)
      for (const limit of LIMITS) {
        const p = problem(seed)
        const peakOf = (c: Choice) => sumsOf(p, c).bytes + overhead(c)
        const peaks = new Peaks(p, limit, peakOf)
        const found = knapsack(p, peaks)
        const fits = every(p).filter((c) => peakOf(c) <= limit && overhead(c) >= peaks.least)
        if (!found) expect(peakOf(every(p)[0])).toBeGreaterThan(limit)
        else expect(found.gain).toBeCloseTo(Math.max(...fits.map((c) => sumsOf(p, c).gain)), 10)
        more += peaks.asked
      }
    expect(more / SEEDS.length / LIMITS.length).toBeLessThan(40)
  })

  test('says what could still be had where it may compile no more', () => {
    let gaps = 0
    for (const seed of SEEDS) {
      const p = problem(seed)
      const peakOf = (c: Choice) => sumsOf(p, c).bytes + overhead(c)
      const peaks = new Peaks(p, 140, peakOf, 2)
      const found = knapsack(p, peaks)!
      expect(peaks.asked).toBeLessThanOrEqual(2)
      const fits = every(p).filter((c) => peakOf(c) <= 140 && overhead(c) >= peaks.least)
      expect(Math.max(...fits.map((c) => sumsOf(p, c).gain))).toBeLessThanOrEqual(found.bound! + 1e-9)
      if (found.bound! > found.gain + 1e-9) gaps++
    }
    expect(gaps).toBeGreaterThan(5)
  })

  test('finds nothing where the last layer alone does not fit', () => {
    const p = problem(1)
    expect(knapsack(p, new Peaks(p, 40, (c) => sumsOf(p, c).bytes + 40))).toBeUndefined()
    expect(evolve(p, new Peaks(p, 40, (c) => sumsOf(p, c).bytes + 40), { seed: 1 })).toBeUndefined()
  })

  test('goes through twenty layers of four ratios', () => {
    const random = new Xorshift32(9)
    const p: Problem = {
      biases: Array.from({ length: 21 }, (_, k) => ({ gain: k / 200, bytes: 500 * k })),
      layers: Array.from({ length: 20 }, () => {
        const size = random.between(500, 40_000)
        return [1, 2, 4, 8].map((r) => ({ gain: random.between(-2, 8) / 200, bytes: (size * r) / 8 }))
      }),
      masks: Array.from({ length: 20 }, (_, i) => 1000 * (20 - i)),
    }
    const peaks = new Peaks(p, 128 * 1024, (c) => sumsOf(p, c).bytes + 40_000 + 50 * overhead(c), 50)
    const found = knapsack(p, peaks)!
    expect(found.bound! - found.gain).toBeLessThan(0.02)
  })
})

test('schemes come by their gain, each once, the smallest of equal ones first', () => {
  for (const seed of SEEDS.slice(0, 10)) {
    const p = problem(seed, 4)
    const all = [...byGain(p, 100)]
    const values = all.map(({ choice }) => sumsOf(p, choice))
    expect(new Set(all.map(({ choice }) => keyOf(choice))).size).toBe(all.length)
    all.forEach(({ gain, bytes }, i) => {
      expect(values[i].gain).toBeCloseTo(gain, 10)
      expect(values[i].bytes).toBe(bytes)
      expect(bytes).toBeLessThanOrEqual(100)
      if (i > 0) expect(gain).toBeLessThanOrEqual(all[i - 1].gain + 1e-9)
    })
    const positive = ({ items }: Choice) => items.every((item, i) => item < 0 || p.layers[i][item].gain > 0)
    expect(all.length).toBe(every(p).filter((c) => positive(c) && sumsOf(p, c).bytes <= 100).length)
  }
})

describe('evolution', () => {
  const found = SEEDS.map((seed) => {
    const p = problem(seed, 10)
    const peakOf = (c: Choice) => sumsOf(p, c).bytes + 40
    const exact = knapsack(p, new Peaks(p, 250, peakOf))!
    return { p, peakOf, exact, own: evolve(p, new Peaks(p, 250, peakOf), { seed: 1 })! }
  })

  test('reaches what the exact search finds, or comes near', () => {
    for (const { exact, own } of found) {
      expect(own.peak).toBeLessThanOrEqual(250)
      expect(own.gain).toBeLessThanOrEqual(exact.gain + 1e-9)
      expect(own.gain).toBeGreaterThan(0.85 * exact.gain)
    }
    expect(found.filter(({ exact, own }) => own.gain > exact.gain - 1e-9).length).toBeGreaterThan(0.8 * found.length)
  })

  test('goes the same way from the same seed', () => {
    for (const { p, peakOf, own } of found.slice(0, 10))
      expect(evolve(p, new Peaks(p, 250, peakOf), { seed: 1 })).toEqual(own)
  })
})
