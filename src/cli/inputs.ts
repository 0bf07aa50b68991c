// The inputs of `mote run`, from its arguments and flags: files, generated numbers, or a set.

import { InputError } from '../errors.ts'
import { linesOf } from '../import/tflite_metadata.ts'
import type { Steps } from '../io/pictures.ts'
import { type InputOptions, readInput } from '../io/samples.ts'
import { Xorshift32 } from '../ir/random.ts'
import type { Data } from '../loops/ir.ts'
import type { Port } from '../run/model.ts'
import { CROPS, type PixelRange, type Scaling } from '../web/image.ts'
import { RESAMPLINGS } from '../web/resize.ts'
import type { Command, Options } from './command.ts'
import { readBytes } from './files.ts'
import { parseChoice, parseNumbers, parseWhole } from './numbers.ts'

export const MAX_SEED = 2 ** 32 - 1

/** How pixels become numbers. */
export const SCALING_OPTIONS: Command['options'] = [
  ['--range <black..white>', 'numbers of black and white in pictures: 0..1, -1..1, 0..255; 8-bit models need none'],
  ['--mean <list>', 'taken off pixels in that range, one number or one for each channel'],
  ['--std <list>', 'by which they are divided then'],
]

/** How pictures and sound become inputs. */
export const INPUT_OPTIONS: Command['options'] = [
  ['--crop <how>', `of pictures to the proportions of the input: ${CROPS.join(', ')}`, 'centre'],
  ['--resize <how>', `of pictures to the size of the input: ${RESAMPLINGS.join(', ')}`, 'bilinear'],
  ...SCALING_OPTIONS,
  ['--rate <hertz>', 'samples a second that the model was trained on; other sound is resampled'],
]

export function text(options: Options, name: string): string | undefined {
  return options[name] === undefined ? undefined : String(options[name])
}

function whole(options: Options, name: string, lo: number, hi: number, flag = `--${name}`): number | undefined {
  const given = text(options, name)
  return given === undefined ? undefined : parseWhole(given, flag, lo, hi)
}

function pixelRange(given: string): PixelRange {
  const ends = given.split('..').map((end) => (end.trim() === '' ? Number.NaN : Number(end)))
  if (ends.length !== 2 || !ends.every(Number.isFinite))
    throw new InputError('--range', `"${given}" is not of the form 0..1`, 'give the numbers of black and white: -1..1')
  return [ends[0], ends[1]]
}

export function scalingOf(options: Options): Scaling {
  const [range, mean, std] = ['range', 'mean', 'std'].map((name) => text(options, name))
  return {
    ...(range !== undefined && { range: pixelRange(range) }),
    ...(mean !== undefined && { mean: parseNumbers(mean, '--mean') }),
    ...(std !== undefined && { std: parseNumbers(std, '--std') }),
  }
}

export function inputOptions(options: Options): InputOptions {
  const rate = whole(options, 'rate', 1, 1e6)
  return {
    crop: parseChoice(String(options.crop), '--crop', CROPS),
    resize: parseChoice(String(options.resize), '--resize', RESAMPLINGS),
    ...scalingOf(options),
    ...(rate !== undefined && { rate }),
  }
}

export const seedOf = (options: Options): number | undefined => whole(options, 'seed', 0, MAX_SEED)

/** As many of the items as `limit` (of `flag`) says, spread evenly: sets are often in the order of their classes. */
export function limited<T>(items: readonly T[], options: Options, flag = '--limit'): readonly T[] {
  const limit = whole(options, 'limit', 1, 1e9, flag) ?? items.length
  if (limit >= items.length) return items
  return Array.from({ length: limit }, (_, i) => items[Math.floor((i * items.length) / limit)])
}

/** How many of the highest scores are wanted. */
export const topOf = (options: Options): number | undefined => whole(options, 'top', 1, 1e6)

/** One a line. */
export async function labelsOf(options: Options): Promise<string[] | undefined> {
  const path = text(options, 'labels')
  if (path === undefined) return undefined
  return linesOf(new TextDecoder().decode(await readBytes(path)))
}

/** Generated inputs: one xorshift32 generator over all of them. */
export function generated(ports: readonly Port[], seed: number): Data[] {
  const random = new Xorshift32(seed)
  return ports.map((port) => random.fill(port.type))
}

/** The inputs of one run. */
export interface Given {
  readonly files: readonly string[]
  readonly data: readonly Data[]
  /** What was done to pictures and sound. */
  readonly prepared: readonly { readonly file: string; readonly steps: Steps }[]
}

/** Files for the ports in their order, more files for more runs; or one run of generated inputs. */
export function givenInputs(
  ports: readonly Port[],
  files: readonly string[],
  seed: number | undefined,
  how: InputOptions,
): Given[] {
  if (seed !== undefined) {
    if (files.length > 0)
      throw new InputError('--seed', `generates the inputs, ${files.length} input files were given as well`)
    return [{ files: [], data: generated(ports, seed), prepared: [] }]
  }
  if (files.length === 0)
    throw new InputError('run', 'no input was given', 'name input files, or --seed 1 for generated inputs')
  if (files.length % ports.length !== 0)
    throw new InputError(
      'run',
      `the model has ${ports.length} inputs, files were given for ${files.length}`,
      `one file for each of ${ports.map((p) => p.name).join(', ')}, in that order`,
    )
  return Array.from({ length: files.length / ports.length }, (_, run) => {
    const group = files.slice(run * ports.length, (run + 1) * ports.length)
    const prepared: { file: string; steps: Steps }[] = []
    const data = group.map((file, k) =>
      readInput(file, ports[k].type, { ...how, tell: (steps) => prepared.push({ file, steps }) }),
    )
    return { files: group, data, prepared }
  })
}
