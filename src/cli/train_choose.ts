// `mote train choose`: what of a model should learn from the user's data within a limit of RAM. What each layer contributes is
// measured, and the best scheme becomes a file for `mote train plan` and the library.

import { InputError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import { Xorshift32 } from '../ir/random.ts'
import { truthOf } from '../report/evaluation.ts'
import { bytesText, countText, table } from '../report/figures.ts'
import { clip, PLAIN, type Terminal } from '../report/terminal.ts'
import { TARGET_NAMES } from '../targets/index.ts'
import { type ChosenScheme, chooseScheme, measurementKey, type Proposal } from '../train/choose.ts'
import { type Examples, shuffled, type TellTrial, type TrialSettings } from '../train/contribution.ts'
import { learners } from '../train/scheme.ts'
import { appliedScheme } from '../train/step.ts'
import type { Command, Io, Options } from './command.ts'
import { durationText } from './evaluate.ts'
import { replaceFiles } from './files.ts'
import { inputSet, readInputs } from './input_set.ts'
import { INPUT_OPTIONS, inputOptions, labelsOf, limited, text } from './inputs.ts'
import { MeasuredFile } from './measured.ts'
import { MODEL_OPTIONS, openModel, shortName } from './model.ts'
import { modelOutput } from './model_output.ts'
import { parseChoice, parseNumbers, parseSize, parseWhole } from './numbers.ts'

/** Numbers above 0 and up to `most`, in ascending order. */
function positive(options: Options, name: string, most: number): number[] {
  const numbers = parseNumbers(String(options[name]), `--${name}`)
  const wrong = numbers.find((x) => !(x > 0 && x <= most))
  if (wrong !== undefined)
    throw new InputError(
      `--${name}`,
      `has ${wrong}, expected numbers above 0${most === 1 ? ' and up to 1' : ''}`,
      `for example --${name} ${most === 1 ? '0.25,1' : '0.01,0.03'}`,
    )
  return [...new Set(numbers)].sort((a, b) => a - b)
}

const whole = (options: Options, name: string, lo: number, hi: number) =>
  parseWhole(String(options[name]), `--${name}`, lo, hi)

/** Examples of the set, each once, in two halves: one learns, the other judges. */
function examplesOf(
  graph: Graph,
  outputs: number,
  { options, labels, seed, io }: { options: Options; labels?: readonly string[]; seed: number; io: Io },
): { train: Examples; validation: Examples; notes: string[] } {
  const path = text(options, 'data')
  if (path === undefined)
    throw new InputError(
      '--data',
      'is missing: examples say what contributes',
      'name a folder for each class of them, a packed set, or a folder and --truth',
    )
  if (graph.inputs.length !== 1)
    throw new InputError('--data', `is for models of one input, this has ${graph.inputs.length}`)
  const [{ type }] = graph.inputs
  const set = inputSet(path, type, text(options, 'truth'))
  if (set.samples.some(({ truth }) => truth === undefined))
    throw new InputError(
      path,
      'does not say the class of each input',
      'a folder for each class, a packed set, or --truth',
    )
  const samples = limited(set.samples, { limit: options.examples }, '--examples')
  const read = readInputs(samples, type, inputOptions(options), io)
  const truth = truthOf(
    {
      truths: read.samples.map((s) => s.truth!),
      classes: set.classes,
      ordered: set.ordered,
      ...(labels && { labels }),
    },
    outputs,
  )
  if (truth.kind !== 'classes' || outputs < 2)
    throw new InputError(path, `the model has ${outputs} output, choosing needs classes`, 'add --classes 2')
  const own = read.hashes.flatMap((hash, i) => (read.hashes.indexOf(hash) === i ? [i] : []))
  const order = shuffled(own.length, new Xorshift32(seed)).map((i) => own[i])
  const part = (of: readonly number[]): Examples => ({
    inputs: of.map((i) => read.data(i)),
    labels: of.map((i) => truth.classes[i]),
  })
  if (own.length < 6) throw new InputError(path, `holds ${own.length} different inputs, choosing needs 6 and more`)
  const copies = read.samples.length - own.length
  return {
    train: part(order.filter((_, i) => i % 2 === 0)),
    validation: part(order.filter((_, i) => i % 2 === 1)),
    notes: [
      ...(truth.assumed ? [`assumed: ${truth.assumed}`] : []),
      ...(read.unread.length > 0 ? [`left out, since they cannot be read: ${countText(read.unread.length)}`] : []),
      ...(copies > 0 ? [`left out, since they are there already: ${countText(copies)}`] : []),
    ],
  }
}

/** The time that is left is that of the trials so far, those that were known aside. */
function progressOf(io: Io): TellTrial {
  const start = performance.now()
  return (trial, done, of) => {
    const seconds = (performance.now() - start) / 1000
    const left = done > 0 && done < of ? `, up to ${durationText((seconds / done) * (of - done))} left` : ''
    io.progress(of === 0 || trial === '' ? trial : `${done + 1} of ${of}: ${trial}${left}`)
  }
}

const percent = (x: number) => `${(100 * x).toFixed(1)}%`
const points = (x: number) => `${x < 0 ? '' : '+'}${(100 * x).toFixed(1)}`

function proposalRow(name: string, { expected, extraBytes, arenaBytes, compiled, bound }: Proposal): string[] {
  const open = bound !== undefined && bound > expected ? `not above ${percent(bound)}` : 'none expects more'
  return [
    ...[name, percent(expected), bytesText(extraBytes), bytesText(arenaBytes), String(compiled)],
    bound === undefined ? '' : open,
  ]
}

/** What was measured and found, for people. */
function chosenText(model: Graph, found: ChosenScheme, ratios: readonly number[], terminal: Terminal): string[] {
  const { contributions, knapsack, evolution, best, measured } = found
  const { last, biases, layers, first, rates } = contributions
  const { selection } = best === 'knapsack' ? knapsack : evolution
  const all = learners(model)
  const K = layers.length
  return [
    `the last layer alone: ${percent(last)} right; what more learns gains, in points:`,
    '',
    table(
      ['>layer', '', '>biases from here', ...ratios.map((r) => `>weights ${r}`)],
      layers.map((gains, i) => [
        ...[String(first + i), clip(shortName(all[first + i].node.from, 32), 32, terminal), points(biases[K - i])],
        ...ratios.map((r) => {
          const gain = gains.find(({ ratio }) => ratio === r)?.gain
          return gain === undefined ? '-' : points(gain)
        }),
      ]),
    ),
    '',
    `weights beside biases of ${K} layers; best rates: last layer ${rates.last}, biases ${rates.biases}, weights ${rates.weights}`,
    '',
    table(
      ['search', '>expected', '>extra', '>arena', '>compiled', ''],
      [proposalRow('knapsack', knapsack), proposalRow('evolution', evolution)],
    ),
    '',
    `${best}: biases of ${selection.biases} layers, weights of ${
      selection.layers!.map(({ layer, ratio }) => (ratio === 1 ? layer : `${layer} (${ratio})`)).join(', ') || 'none'
    }`,
    `learning as a whole it came to ${percent(measured)} on the examples that judge; gains need not add up`,
  ]
}

export const trainChoose: Command = {
  name: 'train choose',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'choose what learns within a limit of RAM, by what each layer contributes on data of yours',
  options: [
    ...MODEL_OPTIONS,
    ['--data <inputs>', 'examples with their classes: a folder of one folder a class, or a packed set'],
    ['--truth <file>', 'a CSV file of those inputs and their classes: name.png,label'],
    ['--labels <file>', 'names of the classes, one a line'],
    ['--classes <n>', 'a new last layer for so many classes'],
    ['--sram <size>', 'limit of RAM for tensors of a step: bytes, 128K'],
    ['--target <name>', TARGET_NAMES.join(', '), 'cortex-m7'],
    ['--plan <how>', 'how the step that is to fit is compiled: speed, memory', 'memory'],
    ['-o, --output <file>', 'the scheme to write, a .json file'],
    ['--measured <file>', 'where measurements are kept, from which a second run goes on (default: beside the scheme)'],
    ['--examples <n>', 'use at most so many, spread evenly; half of them judge', '400'],
    ['--layers <k>', 'how many layers before the last may learn (default: half of them)'],
    ['--ratios <list>', "shares of a layer's channels that are tried", '0.125,0.25,0.5,1'],
    ['--rates <list>', 'learning rates that are tried', '0.003,0.01,0.03'],
    ['--epochs <n>', 'how often a trial sees the examples', '3'],
    ['--repeats <n>', 'how often each trial is run, with another order', '1'],
    ['--plans <n>', 'how many schemes each search may compile', '24'],
    ['--seed <n>', 'of orders, new weights, rounding and evolution', '1'],
    ...INPUT_OPTIONS,
    ['--force', 'overwrite a scheme that is there, and measure anew'],
  ],
  async run([path], options, io) {
    const { output } = await modelOutput(path, options, ['.json'])
    if (options.sram === undefined)
      throw new InputError('--sram', 'is missing', 'say how much RAM there is: --sram 128K')
    const sram = parseSize(String(options.sram), '--sram')
    const target = parseChoice(String(options.target), '--target', TARGET_NAMES)
    const plan = parseChoice(String(options.plan), '--plan', ['speed', 'memory'])
    const classes = options.classes === undefined ? undefined : whole(options, 'classes', 2, 100_000)
    const seed = whole(options, 'seed', 0, 2 ** 31)
    const [ratios, rates] = [positive(options, 'ratios', 1), positive(options, 'rates', 1e9)]
    const counts = {
      epochs: whole(options, 'epochs', 1, 10_000),
      repeats: whole(options, 'repeats', 1, 100),
    }
    const plans = whole(options, 'plans', 2, 1e6)
    const { graph } = await openModel(path, options)
    const ready = appliedScheme(graph, { learn: 'last', seed, ...(classes !== undefined && { classes }) }).graph
    const inner = learners(ready).length - 1
    const layers = options.layers === undefined ? Math.ceil(inner / 2) : whole(options, 'layers', 1, inner)
    const settings: TrialSettings = { layers, ratios, rates, ...counts, seed }
    const outputs = classes ?? ready.outputs[0].type.shape.at(-1) ?? 1
    const labels = await labelsOf(options)
    const { train, validation, notes } = examplesOf(graph, outputs, { options, seed, io, ...(labels && { labels }) })
    const key = measurementKey(graph, [train, validation], { ...settings, classes })
    const kept = text(options, 'measured') ?? output.replace(/\.json$/, '.measured.json')
    const file = new MeasuredFile(kept, key, options.force === true)
    const found = await chooseScheme(graph, train, validation, {
      ...{ ...settings, sram, target, plan, plans, notes: file, tell: progressOf(io) },
      ...(classes !== undefined && { classes }),
    })
    const { selection } = found[found.best]
    const name = `${plan === 'speed' ? 'fast' : 'small'}-${String(options.sram).toLowerCase()}`
    const scheme = { ...selection, name }
    await replaceFiles([{ path: output, data: `${JSON.stringify(scheme, undefined, 2)}\n` }])
    const [n, m] = [train.labels.length, validation.labels.length]
    const runs = counts.repeats === 1 ? 'each trial once' : `each trial ${counts.repeats} times`
    return {
      json: {
        model: path,
        target,
        sram,
        plan,
        scheme,
        learnt: n,
        judged: m,
        ...settings,
        ...found,
        measuredFile: kept,
      },
      text: [
        `${path} on ${target}, ${options.sram} of RAM for tensors, planned for ${plan}`,
        `${countText(n)} examples to learn from in ${counts.epochs} epochs, ${countText(m)} others to judge, ${runs}`,
        `an accuracy of so few is known to within ${(98 / Math.sqrt(m)).toFixed(1)} points; differences of trials somewhat better`,
        ...(file.before > 0 ? [`${countText(file.before)} measurements were in ${kept}`] : []),
        ...notes,
        '',
        ...chosenText(ready, found, ratios, io.terminal ?? PLAIN),
        '',
        `wrote ${output}: mote train plan ${path}${classes === undefined ? '' : ` --classes ${classes}`} --scheme ${output}`,
      ].join('\n'),
    }
  },
}
