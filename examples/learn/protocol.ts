// What the page asks its worker, and what the worker answers.

import type { Ranked } from 'mote-ml/web/classes'

/** A word, spoken once: samples in [-1, 1] at a rate, and which digit it is, where that is known. */
export interface Spoken {
  readonly samples: Float64Array
  readonly rate: number
  readonly label?: number
}

export type Question =
  | { readonly kind: 'about' }
  | { readonly kind: 'hear'; readonly spoken: Spoken }
  /** Learn from these and all that were taught before, so many times over. */
  | { readonly kind: 'teach'; readonly spoken: readonly Spoken[]; readonly rounds: number }
  /** How many of these are understood. */
  | { readonly kind: 'judge'; readonly spoken: readonly Spoken[] }
  | { readonly kind: 'forget' }
  | { readonly kind: 'take' }

export interface Answers {
  readonly about: {
    readonly words: readonly string[]
    /** RAM of one step on a Cortex-M4, all of it, and at each layer; from which layer on it judges, and learns. */
    readonly ramBytes: number
    readonly live: readonly number[]
    readonly phases: readonly [judges: number, learns: number]
  }
  readonly hear: { readonly ranked: readonly Ranked[] }
  readonly teach: { readonly examples: number; readonly losses: readonly number[]; readonly ms: number }
  readonly judge: { readonly right: number; readonly all: number }
  readonly forget: Record<string, never>
  /** The model as it is now, a .tflite file. */
  readonly take: { readonly file: Uint8Array<ArrayBuffer> }
}
