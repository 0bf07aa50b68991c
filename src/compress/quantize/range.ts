// From the statistics of a tensor to the range that its integers cover, and from a range to a scale and a zero point. Clipping
// what is rare makes steps smaller for the rest: by rank (percentile), by the mean squared error, or by the divergence
// of the histograms (Migacz, 8-bit inference with TensorRT, 2017).

import { type Quant, quantOf } from '../../ir/graph.ts'
import { rangeOf } from '../../ops/quant.ts'
import type { Statistics } from './statistics.ts'

export const METHODS = ['minmax', 'percentile', 'mse', 'entropy'] as const
export type Method = (typeof METHODS)[number]

/** Real numbers from `lo` to `hi`; 0 is always among them. */
export interface Range {
  readonly lo: number
  readonly hi: number
}

export const EMPTY: Range = { lo: 0, hi: 0 }

export function union(a: Range, b: Range): Range {
  return { lo: Math.min(a.lo, b.lo), hi: Math.max(a.hi, b.hi) }
}

/** The range of what was seen that the method keeps; `percentile` of 100 keeps all. */
export function rangeOfStatistics(s: Statistics, method: Method, percentile: number, levels = 256): Range {
  const whole: Range = { lo: Math.min(0, s.least), hi: Math.max(0, s.most) }
  if (!(s.count > s.wrong) || s.width === 0) return s.count > s.wrong ? whole : EMPTY
  switch (method) {
    case 'minmax':
      return whole
    case 'percentile':
      return byRank(s, whole, percentile / 100)
    case 'mse':
      return least(whole, (range) => squaredError(s, range, levels))
    case 'entropy':
      return least(whole, (range) => divergence(s, range))
  }
}

function byRank({ bins, width, count, wrong }: Statistics, whole: Range, share: number): Range {
  const HALF = bins.length / 2
  const outside = (1 - share) * (count - wrong)
  let [below, above] = [0, bins.length - 1]
  for (let n = bins[below]; n <= outside && below < HALF; n += bins[below]) below++
  for (let n = bins[above]; n <= outside && above >= HALF; n += bins[above]) above--
  return {
    lo: Math.min(0, Math.max(whole.lo, (below - HALF) * width)),
    hi: Math.max(0, Math.min(whole.hi, (above + 1 - HALF) * width)),
  }
}

/** Shares of the whole range that are tried. */
const STEPS = 64
const SMALLEST = 0.2

/** The range with the least loss: both ends drawn in together, then each by itself. */
function least(whole: Range, loss: (range: Range) => number): Range {
  const shares = Array.from({ length: STEPS }, (_, i) => 1 - (i * (1 - SMALLEST)) / STEPS)
  const best = (candidates: readonly Range[]) =>
    candidates.map((range) => ({ range, loss: loss(range) })).reduce((a, b) => (b.loss < a.loss ? b : a)).range
  const both = best(shares.map((f) => ({ lo: whole.lo * f, hi: whole.hi * f })))
  if (whole.lo === 0 || whole.hi === 0) return both
  const high = best([both, ...shares.map((f) => ({ lo: both.lo, hi: whole.hi * f }))])
  return best([high, ...shares.map((f) => ({ lo: whole.lo * f, hi: high.hi }))])
}

/** Of so many levels: each element inside is off by step^2 / 12 on average, zeros by nothing, those outside by their distance. */
function squaredError({ bins, width, zeros }: Statistics, { lo, hi }: Range, levels: number): number {
  const HALF = bins.length / 2
  const step = (hi - lo) / (levels - 1)
  let sum = (-zeros * step * step) / 12
  for (let i = 0; i < bins.length; i++) {
    if (bins[i] === 0) continue
    const x = (i + 0.5 - HALF) * width
    const off = x < lo ? lo - x : x > hi ? x - hi : 0
    sum += bins[i] * (off > 0 ? off * off : (step * step) / 12)
  }
  return sum
}

/** Kullback-Leibler divergence of the histogram, clipped to the range, from the same in 256 steps. */
function divergence({ bins, width, count }: Statistics, { lo, hi }: Range): number {
  const HALF = bins.length / 2
  const first = Math.max(0, Math.floor(lo / width) + HALF)
  const last = Math.min(bins.length - 1, Math.ceil(hi / width) - 1 + HALF)
  const n = last - first + 1
  const P = bins.slice(first, last + 1)
  const inside = P.slice()
  for (let i = 0; i < first; i++) P[0] += bins[i]
  for (let i = last + 1; i < bins.length; i++) P[n - 1] += bins[i]
  let sum = 0
  for (let level = 0; level < 256; level++) {
    const [from, to] = [Math.floor((level * n) / 256), Math.floor(((level + 1) * n) / 256)]
    let [mass, used] = [0, 0]
    for (let i = from; i < to; i++) {
      mass += inside[i]
      if (inside[i] > 0) used++
    }
    for (let i = from; i < to; i++) if (P[i] > 0) sum += P[i] * Math.log(P[i] / (inside[i] > 0 ? mass / used : 1e-4))
  }
  return sum / count
}

/** int16: symmetric; others: asymmetric, 0 exactly at the zero point. A range of nothing but 0 has scale 1. */
export function quantOfRange({ lo, hi }: Range, dtype: 'i8' | 'i16' | 'u4' | 'u2'): Quant {
  const { min, max } = rangeOf(dtype)
  if (dtype === 'i16') return quantOf(Math.max(-lo, hi) / max || 1, 0)
  const scale = Math.fround((hi - lo) / (max - min)) || 1
  return quantOf(scale, Math.min(max, Math.max(min, Math.round(min - lo / scale))))
}
