// What quantising a model did, as plain data: sizes before and after, each layer's noise, and the accuracy on a set with the
// interval of the difference, for which both models answered the same inputs.

import type { Classification, Evaluation } from './evaluation.ts'

export interface Footprint {
  /** Of the file. */
  readonly fileBytes: number
  readonly weightBytes: number
  readonly arenaBytes: number
  readonly macs: number
}

export interface LayerEffect {
  readonly name: string
  readonly op: string
  /** Bits of stored weights and of the output; absent for float32. */
  readonly weightBits?: number
  readonly outputBits?: number
  readonly scale?: number
  readonly zero?: number
  /** Signal to quantisation noise in decibels, of the output and of the weights; absent where both are equal. */
  readonly sqnr?: number
  readonly weightSqnr?: number
  /** What the accuracy gains (loses, where negative) where this layer alone is quantised. */
  readonly alone?: Difference
}

/** Of two models on the same inputs: after minus before, as a share, with its 95% interval. */
export interface Difference {
  readonly difference: number
  readonly interval: readonly [lo: number, hi: number]
}

export interface Comparison {
  readonly set: string
  readonly samples: number
  /** Inputs for which both models give the highest score to one class. */
  readonly agree?: number
  /** Absent where the set does not tell the truth. */
  readonly before?: Evaluation
  readonly after?: Evaluation
  readonly accuracy?: Difference
  /** Signal to quantisation noise of the model's first output, in decibels. */
  readonly sqnr?: number
}

export interface QuantizationReport {
  readonly model: string
  readonly output?: string
  /** What was done, in words. */
  readonly steps: readonly string[]
  readonly warnings: readonly string[]
  readonly before: Footprint
  readonly after: Footprint
  readonly layers: readonly LayerEffect[]
  /** Layers that stay float32. */
  readonly floats: readonly { readonly name: string; readonly op: string; readonly reason: string }[]
  readonly comparison?: Comparison
}

/**
 * The difference of two accuracies on the same inputs (after minus before) with its 95% interval, after Agresti and Min
 * (2005): half an input is added to each of the four counts of right and wrong.
 */
export function pairedDifference(before: readonly boolean[], after: readonly boolean[]): Difference {
  const n = before.length
  let [gained, lost] = [0, 0]
  for (let i = 0; i < n; i++) {
    if (!before[i] && after[i]) gained++
    if (before[i] && !after[i]) lost++
  }
  const [b, c, m] = [gained + 0.5, lost + 0.5, n + 2]
  const middle = (b - c) / m
  const half = (1.959964 * Math.sqrt(b + c - (b - c) ** 2 / m)) / m
  return { difference: n === 0 ? 0 : (gained - lost) / n, interval: [middle - half, middle + half] }
}

/** Which inputs a classification got right. */
export function rightOf({ predicted, truth }: Classification): boolean[] {
  return predicted.map((p, i) => p === truth[i])
}
