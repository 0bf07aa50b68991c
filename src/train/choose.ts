// Chooses what of a model learns within a limit of RAM: contributions measured on examples, then the scheme whose gains add up to most,
// by the exact search and by evolution; the cost is the arena of the compiled step, forward pass and all (Lin et al. 2022, section 3.2).

import { planOf } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import { saveGraph } from '../ir/file.ts'
import type { Graph } from '../ir/graph.ts'
import { fnv1a, hex8 } from '../ir/hash.ts'
import {
  type Contributions,
  contributions,
  type Examples,
  type Notes,
  type TellTrial,
  type TrialSettings,
  trialsOf,
} from './contribution.ts'
import { extraMemory } from './memory.ts'
import { chosenOf, type Selection } from './scheme.ts'
import { type Choice, evolve, type Found, type Item, keyOf, knapsack, nothing, Peaks, type Problem } from './search.ts'
import { appliedScheme, trainingStep } from './step.ts'

/** How the step is compiled that is to fit: for speed, or for memory. */
export type PlannedFor = 'speed' | 'memory'

/** What is tried, within which limit, and where measurements are kept. */
export interface ChooseOptions extends TrialSettings {
  /** A new last layer for so many classes. */
  readonly classes?: number
  /** Bytes of RAM for the tensors of a step. */
  readonly sram: number
  readonly target: string
  readonly plan: PlannedFor
  /** How many schemes each search may compile. */
  readonly plans: number
  readonly notes: Notes
  readonly tell?: TellTrial
}

/** A scheme that was found. */
export interface Proposal {
  readonly selection: Selection
  /** The accuracy that the measured gains add up to. */
  readonly expected: number
  /** By the counting of `extraMemory`. */
  readonly extraBytes: number
  readonly arenaBytes: number
  /** Schemes that the search compiled. */
  readonly compiled: number
  /** Accuracy that no scheme within the limit is expected to exceed; of the exact search. */
  readonly bound?: number
}

/** What was measured, and what each search found by it. */
export interface ChosenScheme {
  readonly contributions: Contributions
  readonly knapsack: Proposal
  readonly evolution: Proposal
  /** The better of both: what it came to on the validation examples, when it learnt as a whole at the rate of weights. */
  readonly measured: number
  readonly best: 'knapsack' | 'evolution'
}

/** What measurements depend on, as 16 hex digits: model, examples, settings. */
export function measurementKey(model: Graph, examples: readonly Examples[], settings: object): string {
  const text = (x: unknown) => new TextEncoder().encode(JSON.stringify(x))
  const bytes = [
    saveGraph(model),
    ...examples.flatMap(({ inputs, labels }) => [
      ...inputs.map((x) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength)),
      text(labels),
    ]),
    text(settings),
  ]
  return [0x811c9dc5, 1].map((start) => hex8(bytes.reduce((h, b) => fnv1a(b, h), start))).join('')
}

/** The limits and gains that the searches are about, of a model that has its classifier. */
export function problemOf(model: Graph, { first, biases, layers }: Contributions): Problem {
  const extra = (selection: Selection) => extraMemory({ graph: model, layers: chosenOf(model, selection), others: [] })
  const classifier = extra({}).total
  return {
    biases: biases.map((gain, k): Item => ({ gain, bytes: classifier + extra({ biases: k }).biases })),
    layers: layers.map((gains, i) =>
      gains.map(({ ratio, gain }): Item => {
        const { weights, inputs } = extra({ layers: [{ layer: first + i, ratio }] })
        return { gain, bytes: weights + inputs - classifier }
      }),
    ),
    masks: layers.map((_, i) => extra({ biases: layers.length - i }).masks),
  }
}

/** A choice as a scheme. */
export function selectionOf({ first, layers }: Contributions, { biases, items }: Choice, name: string): Selection {
  const chosen = items.flatMap((item, i) => (item < 0 ? [] : [{ layer: first + i, ratio: layers[i][item].ratio }]))
  return { name, biases, layers: chosen }
}

/**
 * Chooses what of `model` learns from examples: `train` is learnt from, `validation` judges. Deterministic. Throws InputError where
 * not even the last layer alone fits, or the settings do not suit the model.
 */
export async function chooseScheme(
  model: Graph,
  train: Examples,
  validation: Examples,
  options: ChooseOptions,
): Promise<ChosenScheme> {
  const { classes, seed, sram, target, plan, plans, notes, tell = () => {} } = options
  if (train.labels.length === 0 || validation.labels.length === 0)
    throw new InputError(
      'examples',
      `are ${train.labels.length} to learn from and ${validation.labels.length} to judge`,
    )
  const how = { seed, ...(classes !== undefined && { classes }) }
  const ready = appliedScheme(model, { learn: 'last', ...how }).graph
  const trials = await trialsOf(ready, train, validation, options)
  const gains = await contributions(ready, trials, options, notes, tell)
  const problem = problemOf(ready, gains)
  const arenaOf = (choice: Choice): number => {
    const id = `arena on ${target} for ${plan} of ${keyOf(choice)}`
    const known = notes.get(id)
    if (known !== undefined) return known
    tell(`compiling ${keyOf(choice)}`, 0, 0)
    const { graph } = trainingStep(model, { learn: selectionOf(gains, choice, ''), ...how })
    const { arenaBytes } = planOf(graph, { target, stage: plan === 'speed' ? 'none' : 'rows' })
    notes.set(id, arenaBytes)
    return arenaBytes
  }
  const searched = (name: string, search: (problem: Problem, peaks: Peaks) => Found | undefined) => {
    const peaks = new Peaks(problem, sram, arenaOf, plans)
    const found = search(problem, peaks)
    if (!found)
      throw new InputError(
        'sram',
        `is ${sram} bytes, a step of the last layer alone takes ${peaks.of(nothing(problem))} when it is planned for ${plan}`,
        plan === 'speed' ? 'allow more, or plan for memory' : 'allow more',
      )
    const proposal: Proposal = {
      selection: selectionOf(gains, found.choice, name),
      expected: gains.last + found.gain,
      extraBytes: found.bytes,
      arenaBytes: found.peak,
      compiled: peaks.asked,
      ...(found.bound !== undefined && { bound: gains.last + found.bound }),
    }
    return { found, proposal }
  }
  const { found, proposal: evolution } = searched('evolution', (p, peaks) => evolve(p, peaks, { seed }))
  const { proposal: exact } = searched('knapsack', (p, peaks) => knapsack(p, peaks, found))
  const best = evolution.expected > exact.expected ? 'evolution' : 'knapsack'
  const { selection } = best === 'evolution' ? evolution : exact
  const id = `as a whole: ${JSON.stringify({ ...selection, name: undefined })}`
  tell('the scheme as a whole', 0, 0)
  let measured = notes.get(id)
  if (measured === undefined) {
    let sum = 0
    for (let repeat = 0; repeat < options.repeats; repeat++)
      sum += await trials.accuracyOf(selection, gains.rates.weights, repeat)
    measured = sum / options.repeats
    notes.set(id, measured)
  }
  tell('', 0, 0)
  return { contributions: gains, knapsack: exact, evolution, measured, best }
}
