// What each part of a model contributes when it learns (Lin et al. 2022, section 3.2): accuracy on examples that did not train, of
// biases of the last k layers over the last layer alone, and of one layer's weights at a ratio over all these biases. The layers before
// are frozen, so what they make of each example is computed once.

import { compile } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import { Xorshift32 } from '../ir/random.ts'
import type { Data } from '../loops/ir.ts'
import { instantiate } from '../run/instantiate.ts'
import { instantiateLearner } from '../run/learn.ts'
import { chosenOf, learners, type Selection } from './scheme.ts'
import { type SplitModel, splitModel } from './split.ts'
import { trainingStep } from './step.ts'

/** Inputs of a model of one input, and the class of each. */
export interface Examples {
  readonly inputs: readonly Data[]
  readonly labels: readonly number[]
}

/** How much is measured, and how. */
export interface TrialSettings {
  /** Of how many layers before the last biases and weights are tried. */
  readonly layers: number
  /** Shares of a layer's channels that are tried. */
  readonly ratios: readonly number[]
  readonly epochs: number
  /** Learning rates; which is best is found for the last layer, for biases and for weights. */
  readonly rates: readonly number[]
  /** Each trial so often, with another order of the examples; accuracies are averaged. */
  readonly repeats: number
  readonly seed: number
}

/** What has been measured, by the name of the trial, so that nothing is measured twice. */
export interface Notes {
  get(name: string): number | undefined
  set(name: string, value: number): void
}

/** How far the work is. */
export type TellTrial = (trial: string, done: number, of: number) => void

/** Weights of a layer at a ratio. */
export interface LayerGain {
  readonly ratio: number
  readonly gain: number
}

/** What each part of a model gains when it learns, as shares of the validation examples. */
export interface Contributions {
  /** The share of the validation examples that is right where the last layer alone has learnt. */
  readonly last: number
  /** Gains over that by biases of the last k layers before the last, from k = 0 on. */
  readonly biases: readonly number[]
  /** Of each layer from `first` on, but for the last, what its weights gain over all these biases. */
  readonly layers: readonly (readonly LayerGain[])[]
  /** The number of the first layer that was tried. */
  readonly first: number
  /** The best learning rates. */
  readonly rates: { readonly last: number; readonly biases: number; readonly weights: number }
}

/** A model with examples, to be trained anew for each scheme; what a frozen front makes of the examples is given to the rest. */
export interface Trials {
  /** The share of the validation examples that is right after learning under a scheme, its layers counted as in the model. */
  accuracyOf(learn: Selection, rate: number, repeat: number): Promise<number>
}

function partsOf(model: Graph, layers: number): Partial<SplitModel> & Pick<SplitModel, 'back'> {
  try {
    return splitModel(model, layers + 1)
  } catch (error) {
    if (error instanceof InputError && error.where === 'split') return { back: model } // everything may learn
    throw error
  }
}

/** 0 to n - 1 in another order. */
export function shuffled(n: number, random: Xorshift32): number[] {
  const order = Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = random.between(0, i)
    const swapped = order[i]
    order[i] = order[j]
    order[j] = swapped
  }
  return order
}

/** The place of the largest score, the first of equal ones. */
function best(scores: Data): number {
  let at = 0
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[at]) at = i
  return at
}

/** Trials on `model`, which has its classifier; of its layers before the last, `layers` may learn. */
export async function trialsOf(
  model: Graph,
  train: Examples,
  validation: Examples,
  { layers, epochs, seed }: Pick<TrialSettings, 'layers' | 'epochs' | 'seed'>,
): Promise<Trials> {
  const { front, back } = partsOf(model, layers)
  const frozen = front && (await instantiate(compile(front)))
  const latent = (input: Data) => (frozen ? frozen.run([input])[0] : input)
  const latents = [train, validation].map(({ inputs }) => inputs.map(latent))
  const earlier = learners(model).length - learners(back).length

  async function accuracyOf(learn: Selection, rate: number, repeat: number): Promise<number> {
    const own = learn.layers?.map((l) => ({ ...l, layer: (l.layer as number) - earlier }))
    const scheme: Selection = { ...learn, ...(own && { layers: own }) }
    const learner = await instantiateLearner(compile(trainingStep(back, { learn: scheme, seed: seed + repeat }).graph))
    const random = new Xorshift32(seed + 1000 * repeat)
    const steps = epochs * train.labels.length
    let step = 0
    try {
      for (let epoch = 0; epoch < epochs; epoch++)
        for (const i of shuffled(train.labels.length, random)) {
          const now = (rate * (1 + Math.cos((Math.PI * step++) / steps))) / 2
          learner.train([latents[0][i]], train.labels[i], now)
        }
    } catch (error) {
      // A rate at which weights grow without bounds is judged by where it came to.
      if (!(error instanceof InputError && error.where === 'train')) throw error
    }
    const right = validation.labels.filter((label, i) => best(learner.predict([latents[1][i]])[0]) === label)
    return right.length / validation.labels.length
  }
  return { accuracyOf }
}

/** The ratios at which parts of a layer can learn. */
function ratiosOf(model: Graph, layer: number, ratios: readonly number[]): number[] {
  return ratios.filter((ratio) => {
    try {
      chosenOf(model, { layers: [{ layer, ratio }] })
      return true
    } catch (error) {
      if (error instanceof InputError) return false
      throw error
    }
  })
}

/**
 * Measures contributions on a model that has its classifier. Trials that `notes` knows are not run again. Throws InputError where the
 * model has too few layers, ModelError where one on the way has no gradient.
 */
export async function contributions(
  model: Graph,
  trials: Trials,
  { layers: K, ratios, rates, repeats }: TrialSettings,
  notes: Notes,
  tell: TellTrial = () => {},
): Promise<Contributions> {
  const inner = learners(model).length - 1
  if (!(Number.isInteger(K) && K >= 1 && K <= inner))
    throw new InputError('layers', `to try are ${K}, "${model.name}" has ${inner} with weights before the last`)
  const first = inner - K
  const tried = Array.from({ length: K }, (_, i) => ratiosOf(model, first + i, ratios))
  const middle: Selection = { biases: K, layers: [{ layer: first + (K >> 1) }] }
  const all = 3 * rates.length + K - 1 + tried.flat().length
  let done = 0
  const measure = async (name: string, learn: Selection, rate: number) => {
    tell(name, done++, all)
    let sum = 0
    for (let repeat = 0; repeat < repeats; repeat++) {
      const id = `${name}, rate ${rate}, run ${repeat}`
      const accuracy = notes.get(id) ?? (await trials.accuracyOf(learn, rate, repeat))
      notes.set(id, accuracy)
      sum += accuracy
    }
    return sum / repeats
  }
  const search = async (name: string, learn: Selection) => {
    let best = { rate: rates[0], accuracy: -1 }
    for (const rate of rates) {
      const accuracy = await measure(name, learn, rate)
      if (accuracy > best.accuracy) best = { rate, accuracy }
    }
    return best
  }
  const last = await search('the last layer', {})
  const deepest = await search(`biases of ${K} layers`, { biases: K })
  const weights = await search(`weights of layer ${first + (K >> 1)}, to find a rate`, middle)
  const biases = [0]
  for (let k = 1; k < K; k++)
    biases.push((await measure(`biases of ${k} layers`, { biases: k }, deepest.rate)) - last.accuracy)
  biases.push(deepest.accuracy - last.accuracy)
  const layers: LayerGain[][] = []
  for (const [i, some] of tried.entries()) {
    const gains: LayerGain[] = []
    for (const ratio of some) {
      const layer = first + i
      const learn = { biases: K, layers: [{ layer, ratio }] }
      const accuracy = await measure(`weights of layer ${layer} at ratio ${ratio}`, learn, weights.rate)
      gains.push({ ratio, gain: accuracy - deepest.accuracy })
    }
    layers.push(gains)
  }
  tell('', all, all)
  return {
    last: last.accuracy,
    biases,
    layers,
    first,
    rates: { last: last.rate, biases: deepest.rate, weights: weights.rate },
  }
}
