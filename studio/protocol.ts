// What the page asks its worker, and what the worker answers. One question at a time: whoever asks again before the answer
// ends the worker and starts another, so nothing here carries a number.

import type { OutputFile } from '../src/emit/program.ts'
import type { ModelReport } from '../src/report/report.ts'
import type { Score } from '../src/report/scores.ts'

/** A model file and the files of weights it names; no file is the net of `mote demo`. */
export interface Model {
  readonly name: string
  readonly files: readonly { readonly name: string; readonly bytes: Uint8Array }[]
}

/** A model, the machine and its limits in bytes. */
export interface Job {
  readonly model: Model
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  readonly target: string
  readonly sram?: number
  readonly flash?: number
}

/** With a seed, the program is also run once on generated inputs. */
export interface Question {
  readonly job: Job
  readonly seed?: number
}

export const STEPS = ['read', 'passes', 'plan', 'emit'] as const
export type Step = (typeof STEPS)[number]

export interface Compiled {
  readonly report: ModelReport
  readonly files: readonly OutputFile[]
  /** The example around them, where a board is emulated for the target. */
  readonly project: readonly OutputFile[]
  /** How to call the program. */
  readonly snippet: readonly string[]
  readonly ms: number
}

/** Why there is no program; with the report, where only the limits are in the way. */
export interface Refused {
  readonly message: string
  readonly hint?: string
  /** Nothing that the user could mend. */
  readonly ours: boolean
  readonly report?: ModelReport
}

export interface Ran {
  readonly us: number
  readonly outputs: readonly {
    readonly name: string
    readonly type: string
    readonly highest: readonly Score[]
    /** The first elements as reals, and how many there are in all. */
    readonly values: readonly number[]
    readonly count: number
  }[]
}

export type Answer =
  | { readonly step: Step }
  | { readonly compiled: Compiled }
  | { readonly refused: Refused }
  | { readonly ran: Ran }
