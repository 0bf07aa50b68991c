// What a command of the command line is: its form for commander, and a function from arguments to a report. The report
// holds both faces of the answer; `mote.ts` prints one of them.

import type { Terminal } from '../report/terminal.ts'

/** Where a command writes. Tests pass their own. */
export interface Io {
  /** The answer. */
  out(text: string): void
  /** Errors. */
  err(text: string): void
  /** What is going on now, for people who wait; shown only on a terminal. */
  progress(text: string): void
  /** What the place of the answer can show; plain text of 80 columns where that is not known. */
  readonly terminal?: Terminal
  /** The stack of our own faults is printed. */
  readonly debug: boolean
}

/** One answer: `json` for machines (a figure that was not measured is absent), `text` for people. */
export interface Report {
  readonly json: object
  readonly text: string
  /** The answer is that something is wrong: exit code 1. */
  readonly failed?: boolean
}

/** Values of options by long name in camel case; an option that was not given is undefined. */
export type Options = Readonly<Record<string, string | boolean | undefined>>

export interface Command {
  readonly name: string
  /** Positional arguments in commander's form: `<model>`, `[input...]`. */
  readonly args: readonly (readonly [form: string, description: string])[]
  readonly summary: string
  /** Flags in commander's form, what they mean, and the default. */
  readonly options: readonly (readonly [flags: string, description: string, preset?: string])[]
  run(args: readonly string[], options: Options, io: Io): Promise<Report>
}
