// What the page asks its worker, and what the worker answers.

import type { Found } from 'mote-ml/web/boxes'
import type { Ranked } from 'mote-ml/web/classes'

export type Question =
  | { readonly kind: 'look'; readonly picture: ImageBitmap }
  /** Sound at 16 kHz, after what came before it unless it is the first. */
  | { readonly kind: 'hear'; readonly samples: Int16Array; readonly first: boolean }

export interface Seen {
  readonly classes: readonly Ranked[]
  readonly faces: readonly Found[]
  readonly ms: number
}

export interface Heard {
  readonly words: readonly Ranked[]
  /** 49 rows of 40 features, oldest first. */
  readonly spectrogram: Int8Array
  readonly ms: number
}

export interface Answers {
  readonly look: Seen
  readonly hear: Heard
}
