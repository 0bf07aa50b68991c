// Scores of classes: logits as probabilities, and the highest of them by name.

import { InputError } from '../errors.ts'

export interface Ranked {
  readonly index: number
  readonly label: string
  readonly score: number
}

/** exp(x / temperature) as shares of their sum (Boltzmann's distribution). */
export function softmax(logits: ArrayLike<number>, temperature = 1): Float32Array {
  const most = Math.max(...Array.from(logits))
  const powers = Float64Array.from(logits, (x) => Math.exp((x - most) / temperature))
  const sum = powers.reduce((a, b) => a + b, 0)
  return Float32Array.from(powers, (p) => p / sum)
}

/** The `k` highest scores, highest first, the earlier first among equals. A class without a label is called by its number. */
export function topK(scores: ArrayLike<number>, k: number, labels?: readonly string[]): Ranked[] {
  if (labels && labels.length !== scores.length)
    throw new InputError('labels', `are ${labels.length}, scores are ${scores.length}`)
  return Array.from(scores, (score, index) => ({ index, label: labels?.[index] ?? String(index), score }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, k)
}
