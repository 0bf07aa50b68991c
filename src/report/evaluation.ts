// How well a model's outputs agree with the truth: accuracy with its interval, each class, confusions; errors of a regression.

import { InputError } from '../errors.ts'

/** The truth of a set of inputs in terms of the model's output. */
export type Truth =
  | {
      readonly kind: 'classes'
      readonly names: readonly string[]
      /** One a sample, an index of `names`. */
      readonly classes: readonly number[]
      /** What had to be assumed. */
      readonly assumed?: string
    }
  | { readonly kind: 'numbers'; readonly numbers: readonly number[]; readonly assumed: string }

export interface Told {
  /** One a sample: a class by name or index, or a number. */
  readonly truths: readonly string[]
  /** The names of the set's classes, and whether in an order of its own or only the alphabet's. */
  readonly classes: readonly string[]
  readonly ordered: boolean
  /** The user's names of the model's classes. */
  readonly labels?: readonly string[]
}

const isIndex = (text: string, n: number) => /^\d+$/.test(text) && Number(text) < n
const isNumber = (text: string) => text.trim() !== '' && Number.isFinite(Number(text))

/**
 * Matches truths with the `outputs` numbers that the model puts out. Names are matched with the labels, else with the set's
 * own classes where there are as many, else they are indices. A single number is a score for the second of two classes,
 * or the truth is a number as well. Throws InputError where nothing fits.
 */
export function truthOf({ truths, classes, ordered, labels }: Told, outputs: number): Truth {
  if (outputs === 1) return truthOfOne({ truths, classes, ordered, labels })
  if (labels && labels.length !== outputs)
    throw new InputError('--labels', `has ${labels.length} labels, the output has ${outputs} elements`)
  const indices = classes.every((c) => isIndex(c, outputs))
  const own = classes.length === outputs && (ordered || !indices)
  const names = labels ?? (own ? classes : Array.from({ length: outputs }, (_, i) => String(i)))
  const byName = new Map<string, number>()
  for (const [i, name] of names.entries())
    for (const key of [name, name.trim().toLowerCase()]) if (!byName.has(key)) byName.set(key, i)
  const find = (text: string) =>
    byName.get(text) ?? byName.get(text.trim().toLowerCase()) ?? (isIndex(text, outputs) ? Number(text) : undefined)
  const unknown = truths.find((t) => find(t) === undefined)
  if (unknown !== undefined && !(labels && ordered && classes.length === outputs))
    throw new InputError(
      labels ? '--labels' : 'classes',
      labels
        ? `has no line "${unknown}", which is a class of the inputs`
        : `of the inputs are ${classes.length}, among them "${unknown}", the model has ${outputs} outputs`,
      labels ? 'name the folders as the lines' : 'say which output is which: --labels labels.txt, one name a line',
    )
  const position = new Map(classes.map((c, i) => [c, i]))
  const found = unknown === undefined ? find : (text: string) => position.get(text)
  return {
    kind: 'classes',
    names,
    classes: truths.map((t) => found(t)!),
    ...(unknown !== undefined && { assumed: 'labels and classes of the set are in one order' }),
    ...(!labels && own && !ordered && { assumed: `outputs are in the order of the alphabet: ${listed(classes)}` }),
  }
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 4).map((name, i) => `${i} = ${name}`)
  return names.length > 4 ? `${shown.join(', ')}, …` : shown.join(', ')
}

function truthOfOne({ truths, classes, ordered, labels }: Told): Truth {
  if (labels && labels.length !== 2)
    throw new InputError('--labels', `has ${labels.length} labels, a model of one output tells two classes apart`)
  const bits = truths.every((t) => t === '0' || t === '1')
  if (!labels && !bits && truths.every(isNumber))
    return { kind: 'numbers', numbers: truths.map(Number), assumed: 'the one output is a number, as the truth is' }
  const names = labels ?? (bits ? ['0', '1'] : classes)
  const indices = truths.map((t) => (names.includes(t) ? names.indexOf(t) : isIndex(t, 2) ? Number(t) : -1))
  if (names.length !== 2 || indices.includes(-1))
    throw new InputError(
      'classes',
      `of the inputs are ${classes.length} (${classes.slice(0, 3).join(', ')}), the model has one output`,
      'one output tells two classes apart, or is compared with numbers',
    )
  const order = labels || bits || ordered ? '' : ' (the later in the alphabet)'
  return { kind: 'classes', names, classes: indices, assumed: `0.5 and more means "${names[1]}"${order}` }
}

/** The 95% interval of a share, after Wilson (1927). */
export function wilson(right: number, of: number): [lo: number, hi: number] {
  if (of === 0) return [0, 1]
  const z2 = 1.959964 ** 2
  const p = right / of
  const middle = (p + z2 / (2 * of)) / (1 + z2 / of)
  const half = Math.sqrt((z2 * p * (1 - p)) / of + (z2 / (2 * of)) ** 2) / (1 + z2 / of)
  return [right === 0 ? 0 : middle - half, right === of ? 1 : middle + half]
}

export interface Share {
  readonly correct: number
  readonly accuracy: number
  /** 95%. */
  readonly interval: readonly [lo: number, hi: number]
}

const share = (correct: number, of: number): Share => ({
  correct,
  accuracy: of === 0 ? 0 : correct / of,
  interval: wilson(correct, of),
})

export interface Classification extends Share {
  readonly kind: 'classes'
  readonly samples: number
  readonly top?: Share & { readonly k: number }
  readonly classes: readonly ClassResult[]
  /** Counts, [truth][predicted]. */
  readonly confusion: readonly (readonly number[])[]
  readonly predicted: readonly number[]
  readonly truth: readonly number[]
}

export interface ClassResult {
  readonly name: string
  readonly samples: number
  readonly correct: number
  /** Of the samples of this class, how many were found; absent where there are none. */
  readonly recall?: number
  /** Of those that were called so, how many are; absent where there are none. */
  readonly precision?: number
}

export interface Regression {
  readonly kind: 'numbers'
  readonly samples: number
  readonly meanAbsoluteError: number
  readonly rootMeanSquareError: number
  readonly predicted: readonly number[]
  readonly truth: readonly number[]
}

export type Evaluation = Classification | Regression

/**
 * Compares outputs (one list of reals a sample) with the truth. The predicted class is the highest score, the first among
 * equals; of a single score, the second class from 0.5 on. `top` counts the truth among that many highest scores as well.
 */
export function evaluate(truth: Truth, outputs: readonly (readonly number[])[], top?: number): Evaluation {
  const samples = outputs.length
  if (truth.kind === 'numbers') {
    const predicted = outputs.map(([x]) => x)
    const errors = predicted.map((x, i) => Math.abs(x - truth.numbers[i]))
    const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / samples
    return {
      kind: 'numbers',
      samples,
      meanAbsoluteError: mean(errors),
      rootMeanSquareError: Math.sqrt(mean(errors.map((e) => e * e))),
      predicted,
      truth: truth.numbers,
    }
  }
  const { names, classes } = truth
  const scores = outputs.map((o) => (o.length === 1 ? [1 - o[0], o[0]] : o))
  const predicted = outputs.map((o, i) => (o.length === 1 ? Number(o[0] >= 0.5) : firstMaximum(scores[i])))
  const confusion = names.map(() => new Array<number>(names.length).fill(0))
  for (const [i, p] of predicted.entries()) confusion[classes[i]][p]++
  const called = names.map((_, c) => confusion.reduce((n, row) => n + row[c], 0))
  const k = top === undefined || top < 2 || top >= names.length ? undefined : top
  const among = (k: number) => scores.filter((s, i) => rankOf(s, classes[i]) < k).length
  return {
    kind: 'classes',
    samples,
    ...share(predicted.filter((p, i) => p === classes[i]).length, samples),
    ...(k !== undefined && { top: { k, ...share(among(k), samples) } }),
    classes: names.map((name, c) => {
      const of = confusion[c].reduce((a, b) => a + b, 0)
      const correct = confusion[c][c]
      return {
        name,
        samples: of,
        correct,
        ...(of > 0 && { recall: correct / of }),
        ...(called[c] > 0 && { precision: correct / called[c] }),
      }
    }),
    confusion,
    predicted,
    truth: classes,
  }
}

function firstMaximum(scores: readonly number[]): number {
  let best = 0
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i
  return best
}

/** How many classes score higher than `label`, those before it also where they score the same. */
function rankOf(scores: readonly number[], label: number): number {
  return scores.reduce((above, s, i) => above + Number(s > scores[label] || (s === scores[label] && i < label)), 0)
}
