// `mote run`: a model on given inputs. Several sets of inputs are several runs one after the other, state kept.

import { InputError } from '../errors.ts'
import { type PixelRange, readInput } from '../io/samples.ts'
import { Xorshift32 } from '../ir/random.ts'
import type { Data } from '../loops/ir.ts'
import { countText, table } from '../report/figures.ts'
import type { Port, Trace } from '../run/model.ts'
import type { Command, Options } from './command.ts'
import { readBytes } from './files.ts'
import { MODEL_OPTIONS, openModel, shortName, tensorId } from './model.ts'
import { parseChoice, parseWhole } from './numbers.ts'
import { outputJson, scoreChart, topScores, traceEntries, valuesLine } from './results.ts'
import { openRunner, RUNNER_NAMES } from './runners.ts'

export const MAX_SEED = 2 ** 32 - 1

interface Sample {
  readonly files: readonly string[]
  readonly data: readonly Data[]
}

/** Generated inputs: one xorshift32 generator over all of them. */
export function generated(ports: readonly Port[], seed: number): Data[] {
  const random = new Xorshift32(seed)
  return ports.map((port) => random.fill(port.type))
}

function samplesOf(
  ports: readonly Port[],
  files: readonly string[],
  seed: number | undefined,
  pixels: PixelRange | undefined,
): Sample[] {
  if (seed !== undefined) {
    if (files.length > 0)
      throw new InputError('--seed', `generates the inputs, ${files.length} input files were given as well`)
    return [{ files: [], data: generated(ports, seed) }]
  }
  if (files.length === 0)
    throw new InputError('run', 'no input was given', 'name input files, or --seed 1 for generated inputs')
  if (files.length % ports.length !== 0)
    throw new InputError(
      'run',
      `the model has ${ports.length} inputs, files were given for ${files.length}`,
      `one file for each of ${ports.map((p) => p.name).join(', ')}, in that order`,
    )
  const samples: Sample[] = []
  for (let i = 0; i < files.length; i += ports.length) {
    const group = files.slice(i, i + ports.length)
    samples.push({ files: group, data: group.map((file, k) => readInput(file, ports[k].type, pixels)) })
  }
  return samples
}

async function labelsOf(path: string | undefined): Promise<string[] | undefined> {
  if (path === undefined) return undefined
  const text = new TextDecoder().decode(await readBytes(path))
  return text.replace(/\r?\n$/, '').split(/\r?\n/)
}

function text(options: Options, name: string): string | undefined {
  return options[name] === undefined ? undefined : String(options[name])
}

/** `0,1` or `-1,1`. */
function pixelRange(given: string | undefined): PixelRange | undefined {
  if (given === undefined) return undefined
  const ends = given.split(',').map((end) => (end.trim() === '' ? Number.NaN : Number(end)))
  if (ends.length !== 2 || !ends.every(Number.isFinite))
    throw new InputError('--pixels', `"${given}" is not two numbers`, 'give those of black and white: --pixels=-1,1')
  return [ends[0], ends[1]]
}

export const run: Command = {
  name: 'run',
  args: [
    ['<model>', 'a .tflite or .onnx file'],
    [
      '[input...]',
      'a file for each input: raw elements, .npy, JSON numbers, a picture or sound; more files are more runs',
    ],
  ],
  summary: 'run a model on this machine',
  options: [
    ...MODEL_OPTIONS,
    ['--on <runner>', RUNNER_NAMES.join(', '), 'wasm'],
    ['--seed <n>', 'generate the inputs (xorshift32) instead of reading files'],
    ['--pixels <black,white>', 'real numbers of black and white in pictures, such as 0,1; 8-bit models need none'],
    ['--trace', 'hash every tensor that the program computes'],
    ['--labels <file>', 'names of the classes, one a line'],
    ['--top <k>', 'how many of the highest scores to show'],
  ],
  async run([path, ...files], options) {
    const on = parseChoice(String(options.on), '--on', RUNNER_NAMES)
    const seed = text(options, 'seed') && parseWhole(String(options.seed), '--seed', 0, MAX_SEED)
    const pixels = pixelRange(text(options, 'pixels'))
    const labels = await labelsOf(text(options, 'labels'))
    const wanted = text(options, 'top') ?? (labels ? '5' : undefined)
    const top = wanted === undefined ? undefined : parseWhole(wanted, '--top', 1, 1e6)

    const { graph } = await openModel(path, options)
    const { program, model, runMany } = await openRunner(graph, on)
    const samples = samplesOf(model.inputs, files, typeof seed === 'number' ? seed : undefined, pixels)
    const absorbed = program.absorbed.map(tensorId)

    const traces: Trace[] = options.trace
      ? samples.map(({ data }) => model.trace(data))
      : runMany(samples.map(({ data }) => data)).map((outputs) => ({ outputs, tensors: [] }))
    const results = samples.map(({ files }, i) => {
      const trace = traces[i]
      const { outputs } = trace
      return {
        files,
        outputs,
        scores: top === undefined ? undefined : topScores(model.outputs[0].type, outputs[0], top, labels),
        trace: options.trace ? traceEntries(graph, program, trace) : undefined,
      }
    })

    const lines = results.flatMap(({ files, outputs, scores, trace }) => [
      ...(results.length > 1 ? ['', files.join(' ')] : []),
      ...outputs.map((data, i) => valuesLine(model.outputs[i], data)),
      ...(scores ? [scoreChart(scores)] : []),
      ...(trace
        ? [
            '',
            table(
              ['>tensor', 'fnv1a', 'name'],
              trace.map((t) => [String(t.tensor), t.fnv1a, shortName(t.name)]),
            ),
          ]
        : []),
    ])
    if (options.trace && absorbed.length > 0) lines.push(`absorbed by fusion: ${absorbed.join(', ')}`)
    const json = results.map(({ outputs, scores, trace }) => ({
      outputs: outputs.map((data, i) => outputJson(model.outputs[i], data)),
      ...(scores && { top: scores }),
      ...(trace && { trace, absorbed }),
    }))
    return {
      json: {
        model: path,
        on,
        ...(json.length === 1 ? json[0] : { runs: json.map((r, i) => ({ inputs: results[i].files, ...r })) }),
      },
      text: [`${path} on ${on}, ${countText(program.plan.macs)} MACs`, ...lines].join('\n'),
    }
  },
}
