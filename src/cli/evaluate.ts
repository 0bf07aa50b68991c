// A model over a set of inputs, each from the initial state, and what is said of it: files that cannot be read are
// counted and named, progress goes to the terminal.

import { InputError } from '../errors.ts'
import { type InputOptions, readInput } from '../io/samples.ts'
import type { Sample, SampleSet } from '../io/sets.ts'
import { count, type Data } from '../loops/ir.ts'
import { evaluate, truthOf } from '../report/evaluation.ts'
import { evaluationText } from '../report/evaluation_text.ts'
import { countText } from '../report/figures.ts'
import { realOf } from '../report/scores.ts'
import type { Io } from './command.ts'
import type { Runner } from './runners.ts'

/** Milliseconds between two lines of progress. */
const PAUSE = 100

export interface SetRun {
  /** What was run, in the set's order. */
  readonly samples: readonly Sample[]
  /** [sample][output] */
  readonly outputs: readonly (readonly Data[])[]
  readonly unread: readonly { readonly input: string; readonly message: string }[]
  /** What was done to the inputs, and to how many, the most frequent first. */
  readonly prepared: readonly { readonly steps: string; readonly inputs: number }[]
  readonly seconds: number
}

/** Runs every sample that can be read. Throws the first InputError where none can. */
export function runSet(
  { program, model, runMany, batch }: Runner,
  samples: readonly Sample[],
  how: InputOptions,
  io: Io,
): SetRun {
  const stateful = program.plan.state.length > 0
  const outputs: Data[][] = []
  const read: Sample[] = []
  const unread: { input: string; message: string; error: InputError }[] = []
  const prepared = new Map<string, number>()
  const tell = (steps: readonly string[]) => {
    const text = steps.join(' → ')
    prepared.set(text, (prepared.get(text) ?? 0) + 1)
  }
  const start = performance.now()
  const progress = progressOf(io, samples.length)
  const size = stateful ? 1 : batch
  for (let at = 0; at < samples.length; at += size) {
    progress(at)
    const given: Data[] = []
    for (const sample of samples.slice(at, at + size))
      try {
        given.push(readInput(sample.source, model.inputs[0].type, { ...how, tell }, `input ${sample.name}`))
        read.push(sample)
      } catch (error) {
        if (!(error instanceof InputError)) throw error
        unread.push({ input: sample.name, message: error.message, error })
      }
    if (stateful) model.reset()
    if (given.length > 0) outputs.push(...runMany(given.map((data) => [data])))
  }
  progress(samples.length)
  if (read.length === 0 && unread.length > 0) throw unread[0].error
  return {
    samples: read,
    outputs,
    unread: unread.map(({ input, message }) => ({ input, message })),
    prepared: [...prepared].map(([steps, inputs]) => ({ steps, inputs })).sort((a, b) => b.inputs - a.inputs),
    seconds: (performance.now() - start) / 1000,
  }
}

/** Tells a terminal how many of the inputs are done, at most ten times a second; the last call clears it. */
export function progressOf(io: Io, of: number): (done: number) => void {
  const start = performance.now()
  let shown = Number.NEGATIVE_INFINITY
  return (done) => {
    const now = performance.now()
    if (done >= of) io.progress('')
    else if (now - shown >= PAUSE) {
      io.progress(progressText(done, of, (now - start) / 1000))
      shown = now
    }
  }
}

/** From the second input on with the time that is left. */
function progressText(done: number, of: number, seconds: number): string {
  const left = done === 0 ? undefined : (seconds / done) * (of - done)
  return `${countText(done)} of ${countText(of)}${left === undefined ? '' : `, ${durationText(left)} left`}`
}

/** `0.42 s`, `38 s`, `12 min`. */
export function durationText(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`
}

/** Forms of inputs that are told apart in the text. */
const FORMS = 3

/** What is to be known before anything is run. */
export interface Evaluating {
  readonly name: string
  readonly set: SampleSet
  readonly labels?: readonly string[]
  readonly top?: number
}

/** A model's accuracy on a set whose truth is known, as the parts of a report. */
export function evaluateSet(
  runner: Runner,
  { name, set, labels, top }: Evaluating,
  how: InputOptions,
  io: Io,
): { run: SetRun; json: object; lines: string[]; failed: boolean } {
  const [port] = runner.model.outputs
  const told = (samples: readonly Sample[]) =>
    truthOf(
      {
        truths: samples.map((s) => s.truth!),
        classes: set.classes ?? [],
        ordered: set.ordered,
        ...(labels && { labels }),
      },
      count(port.type.shape),
    )
  told(set.samples) // a set that does not fit is refused before the first run
  const run = runSet(runner, set.samples, how, io)
  const { samples, outputs, unread, prepared, seconds } = run
  const truth = told(samples)
  const reals = outputs.map(([o]) => Array.from(o as ArrayLike<number | bigint>, (x) => realOf(port.type, x)))
  const evaluation = evaluate(truth, reals, top)
  const forms = prepared.slice(0, FORMS)
  const others = prepared.length - forms.length
  const notes = [
    ...(runner.model.outputs.length > 1 ? [`the first of ${runner.model.outputs.length} outputs counts`] : []),
    ...(truth.assumed ? [truth.assumed] : []),
  ]
  return {
    run,
    failed: unread.length > 0,
    json: {
      set: name,
      seconds,
      prepared,
      assumed: notes,
      unread,
      inputs: samples.map((s) => s.name),
      ...evaluation,
    },
    lines: [
      `${name}: ${countText(samples.length)} inputs in ${durationText(seconds)}`,
      ...forms.map(({ steps, inputs }) => (prepared.length > 1 ? `${countText(inputs)} × ${steps}` : steps)),
      ...(others > 0 ? [`and ${countText(others)} other forms of input`] : []),
      ...notes.map((note) => `assumed: ${note}`),
      ...(unread.length > 0 ? [`not counted, since they cannot be read: ${countText(unread.length)}`] : []),
      ...unread.slice(0, FORMS).map(({ message }) => `  ${message}`),
      ...(unread.length > FORMS ? ['  …'] : []),
      '',
      evaluationText(evaluation, io.terminal),
    ],
  }
}
