// The inputs that calibrate a model and those that judge it: read, checked for what would make scales a guess, and kept apart.

import type { Samples } from '../compress/quantize/run.ts'
import { InputError } from '../errors.ts'
import type { InputOptions } from '../io/samples.ts'
import type { Graph, TensorType } from '../ir/graph.ts'
import { countText } from '../report/figures.ts'
import type { Io, Options } from './command.ts'
import { type InputSet, inputSet, type ReadInputs, readInputs } from './input_set.ts'
import { limited, text } from './inputs.ts'

/** Inputs from which on ranges are taken as typical. */
const FEW = 16

/** Samples of a model's inputs, with what is known of them. */
export interface NamedSamples extends Samples {
  readonly name: string
  readonly set: InputSet
  readonly read: ReadInputs
}

function onlyInput(graph: Graph): TensorType {
  if (graph.inputs.length !== 1)
    throw new InputError('--calibrate', `is for models of one input, this has ${graph.inputs.length}`)
  return graph.inputs[0].type
}

function named(set: InputSet, read: ReadInputs): NamedSamples {
  return { name: set.name, set, read, count: read.samples.length, inputs: (i) => [read.data(i)] }
}

/** Throws InputError for inputs from which no range can be had: none, of another shape, not finite, or all of one number. */
export function calibrationInputs(
  graph: Graph,
  path: string,
  options: Options,
  how: InputOptions,
  io: Io,
): NamedSamples {
  const type = onlyInput(graph)
  const set = inputSet(path, type)
  const read = readInputs(limited(set.samples, { limit: options.samples }, '--samples'), type, how, io)
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const [i, { name }] of read.samples.entries())
    for (const x of read.data(i) as Float32Array) {
      if (!Number.isFinite(Number(x)))
        throw new InputError(`input ${name}`, `holds ${x}, which no scale can hold`, 'leave this input out')
      if (x < least) least = x
      if (x > most) most = x
    }
  if (least === most)
    throw new InputError(
      path,
      `holds nothing but the number ${least}: every range would be a guess`,
      'give inputs like those that the model will meet',
    )
  return named(set, read)
}

/** What the user should know of a set that could be used. */
export function warningsOf({ read }: NamedSamples, to: string): string[] {
  const different = new Set(read.hashes).size
  const n = read.samples.length
  const few = `${to} would clip what other inputs reach beyond their ranges; 100 and more are usual`
  return [
    ...(different < FEW && different < n ? [`${n} inputs, but only ${different} different: ${few}`] : []),
    ...(different === n && n < FEW ? [`${n === 1 ? '1 input' : `${n} inputs`} to calibrate: ${few}`] : []),
    ...(read.unread.length > 0
      ? [`${countText(read.unread.length)} inputs left out, since they cannot be read: ${read.unread[0].message}`]
      : []),
  ]
}

/**
 * The inputs of --evaluate; undefined where it was not given. Throws InputError where calibration has used one of them;
 * `rest` are those of the calibration set that it has not.
 */
export function evaluationInputs(
  graph: Graph,
  calibration: NamedSamples | undefined,
  options: Options,
  how: InputOptions,
  io: Io,
): NamedSamples | undefined {
  const path = text(options, 'evaluate')
  if (path === undefined) return undefined
  const type = onlyInput(graph)
  const used = new Set(calibration?.read.hashes)
  if (path === 'rest') {
    if (!calibration) throw new InputError('--evaluate', 'is "rest", but no --calibrate was given')
    const seen = new Set(calibration.read.samples)
    const rest = calibration.set.samples.filter((s) => !seen.has(s))
    if (rest.length === 0)
      throw new InputError(
        '--evaluate',
        'is "rest", but calibration uses all inputs',
        'use fewer of them: --samples 100',
      )
    const read = readInputs(limited(rest, options), type, how, io)
    const fresh = read.hashes.flatMap((hash, i) => (used.has(hash) ? [] : [i]))
    return named(calibration.set, {
      ...read,
      samples: fresh.map((i) => read.samples[i]),
      hashes: fresh.map((i) => read.hashes[i]),
      data: (i) => read.data(fresh[i]),
    })
  }
  const set = inputSet(path, type, text(options, 'truth'))
  const read = readInputs(limited(set.samples, options), type, how, io)
  const both = read.hashes.flatMap((hash, i) => (used.has(hash) ? [read.samples[i].name] : []))
  if (both.length > 0)
    throw new InputError(
      path,
      `${countText(both.length)} of ${countText(read.samples.length)} inputs have calibrated the model, "${both[0]}" among them: it would look better than it is`,
      'evaluate on other inputs; --evaluate rest takes those that --calibrate leaves over',
    )
  return named(set, read)
}
