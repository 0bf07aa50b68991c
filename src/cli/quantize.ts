// `mote quantize`: a float32 model on integers, by samples of its inputs, and what that did to it. The file that is read stays.

import { expectFloat, type Quantized, type QuantizeOptions, quantizeGraph } from '../compress/quantize/quantize.ts'
import { METHODS } from '../compress/quantize/range.ts'
import type { Tell } from '../compress/quantize/run.ts'
import { type StoredModel, toDynamic, toFloat16 } from '../compress/quantize/storage.ts'
import { CHOOSERS, type Fitted, quantizeWithin, type Within } from '../compress/quantize/within.ts'
import { planOf } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import { writeOnnx } from '../export/onnx.ts'
import { writeTflite } from '../export/tflite.ts'
import { saveGraph } from '../ir/file.ts'
import type { Graph } from '../ir/graph.ts'
import { bytesText, countText } from '../report/figures.ts'
import type { Footprint, QuantizationReport } from '../report/quantization.ts'
import { quantizationPage } from '../report/quantization_page.ts'
import { quantizationText } from '../report/quantization_text.ts'
import { TARGET_NAMES } from '../targets/index.ts'
import { calibrationInputs, evaluationInputs, warningsOf } from './calibration.ts'
import type { Command, Io, Options } from './command.ts'
import { compareModels, layerEffects } from './comparison.ts'
import { replaceFiles, writePage } from './files.ts'
import { INPUT_OPTIONS, inputOptions, labelsOf, text } from './inputs.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { modelOutput } from './model_output.ts'
import { parseChoice, parseSize, parseWhole } from './numbers.ts'

const TO = ['int8', 'int16x8', 'int4', 'float16', 'dynamic'] as const
const WEIGHTS = ['per-channel', 'per-tensor'] as const
const ROUNDING = ['nearest', 'adaround'] as const
const IO = ['integers', 'float'] as const
const WRITERS = { '.tflite': writeTflite, '.onnx': writeOnnx, '.mote': saveGraph } as const
/** Inputs on which each layer's noise is measured. */
const NOISE_SAMPLES = 64

type Format = keyof typeof WRITERS
const ENDINGS = Object.keys(WRITERS) as Format[]

function footprint(graph: Graph, fileBytes: number, target = 'c'): Footprint {
  const { weightBytes, arenaBytes, macs } = planOf(graph, { target, stage: 'none' })
  return { fileBytes, weightBytes, arenaBytes, macs }
}

/** Shows steps of the work on a terminal. */
function teller(io: Io): Tell {
  let shown = 0
  return (step, done, of) => {
    const now = performance.now()
    if (done >= of) io.progress('')
    else if (now - shown > 100) {
      io.progress(`${step} ${countText(done)} of ${countText(of)}`)
      shown = now
    }
  }
}

function percentile(options: Options): number {
  const p = Number(options.percentile)
  if (!(p > 50 && p <= 100))
    throw new InputError('--percentile', `"${options.percentile}" is not above 50 and up to 100`, 'for example 99.99')
  return p
}

export const quantize: Command = {
  name: 'quantize',
  args: [['<model>', 'a float32 .tflite or .onnx file']],
  summary: 'turn a float32 model into an int8 one, and measure what that costs',
  options: [
    ...MODEL_OPTIONS,
    ['-o, --output <file>', 'the file to write: .tflite, .onnx, or .mote, which mote alone reads'],
    ['--calibrate <inputs>', 'typical inputs: a folder, a packed set, a .npy file of many, or one file'],
    ['--samples <n>', 'use at most so many of them, spread evenly', '200'],
    ['--to <form>', TO.join(', '), 'int8'],
    ['--short-sums <n>', 'with int4: layers whose sums have fewer products keep int8', '32'],
    ['--sram <size>', 'fit so much RAM (tensors of the compiled program) with fewer bits, down to 2: bytes, 64K, 1M'],
    ['--flash <size>', 'fit so much flash (its weights) with fewer bits'],
    ['--target <name>', 'for which the program is compiled that is to fit', 'cortex-m4'],
    ['--mixed <how>', `where bits go: ${CHOOSERS.join(' (by the measured noise of each), ')} (largest first)`, 'exact'],
    ['--method <name>', `how ranges of activations are chosen: ${METHODS.join(', ')}`, 'minmax'],
    ['--percentile <p>', 'the share of elements that this method keeps, in percent', '99.99'],
    ['--weights <scales>', `scales of weights: ${WEIGHTS.join(', ')}`, 'per-channel'],
    ['--equalize', 'even out the ranges of channels between layers first'],
    ['--no-correct-bias', 'leave the mean error of each channel in its bias'],
    ['--rounding <how>', `of weights: ${ROUNDING.join(', ')}`, 'nearest'],
    ['--seed <n>', 'of the positions that bias correction and adaround look at', '1'],
    ['--io <type>', `the model's own inputs and outputs: ${IO.join(', ')}`, 'integers'],
    ['--evaluate <inputs>', 'compare both models on a set; "rest": what --calibrate leaves over'],
    ['--truth <file>', 'a CSV file of those inputs and their classes: name.png,label'],
    ['--limit <n>', 'only so many inputs of --evaluate, spread evenly'],
    ['--alone <n>', 'with --evaluate: also quantise each layer alone, on so many inputs (0: not)', '0'],
    ['--labels <file>', 'names of the classes, one a line'],
    ...INPUT_OPTIONS,
    ['--html <file>', 'write the report as a page for a browser'],
    ['--force', 'overwrite files that are there'],
  ],
  async run([path], options, io) {
    const { output, format } = await modelOutput(path, options, ENDINGS)
    const to = parseChoice(String(options.to), '--to', TO)
    if (format === '.onnx' && to !== 'int8' && to !== 'float16')
      throw new InputError('--to', `is ${to}, .onnx files are written in int8 and float16`, 'write a .tflite file')
    const how = inputOptions(options)
    const onIntegers = to !== 'float16' && to !== 'dynamic'
    const labels = await labelsOf(options)
    const chosen: QuantizeOptions = {
      activations: to === 'int16x8' ? 'i16' : 'i8',
      weightBits: to === 'int4' ? 4 : 8,
      shortSums: parseWhole(String(options.shortSums), '--short-sums', 0, 1e9),
      weights: parseChoice(String(options.weights), '--weights', WEIGHTS),
      method: parseChoice(String(options.method), '--method', METHODS),
      percentile: percentile(options),
      equalize: options.equalize === true,
      correctBias: options.correctBias !== false,
      rounding: parseChoice(String(options.rounding), '--rounding', ROUNDING),
      seed: parseWhole(String(options.seed), '--seed', 0, 2 ** 32 - 1),
      arithmetic: format === '.onnx' ? 'onnx' : 'tflite',
      io: parseChoice(String(options.io), '--io', IO),
      tell: teller(io),
    }
    const within = limitsOf(options, to, format)
    const html = text(options, 'html')
    const alone = parseWhole(String(options.alone), '--alone', 0, 1e9)
    const calibrate = text(options, 'calibrate')
    if (alone > 0 && (!onIntegers || options.evaluate === undefined))
      throw new InputError('--alone', 'is for integers and --evaluate', 'name a set: --evaluate test')
    if (onIntegers && calibrate === undefined)
      throw new InputError(
        '--calibrate',
        `is missing: ${to} needs typical inputs, their ranges become the scales`,
        'name a folder, a packed set or a .npy file; --to dynamic and float16 need none',
      )

    const { graph, bytes } = await openModel(path, options)
    expectFloat(graph)
    const calibration = calibrate === undefined ? undefined : calibrationInputs(graph, calibrate, options, how, io)
    const evaluation = evaluationInputs(graph, calibration, options, how, io)
    const fitted = within && (await quantizeWithin(graph, calibration!, chosen, within))
    const full = fitted?.quantized ?? (onIntegers ? await quantizeGraph(graph, calibration!, chosen) : undefined)
    const done: Quantized | StoredModel =
      full ?? (to === 'float16' ? toFloat16(graph) : toDynamic(graph, chosen.weights === 'per-channel'))
    const file = WRITERS[format](done.graph)
    const comparison = evaluation && (await compareModels(graph, done.graph, evaluation, labels, chosen.tell!))
    const layers = full
      ? await layerEffects(full, evaluation ?? calibration!, { noise: NOISE_SAMPLES, alone, labels }, chosen.tell!)
      : []
    const report: QuantizationReport = {
      model: path,
      output,
      steps: [
        ...stepsOf(to, chosen, calibration?.name, calibration?.count),
        ...(fitted ? fittedSteps(fitted, within!) : []),
      ],
      warnings: calibration ? warningsOf(calibration, to) : [],
      before: footprint(graph, bytes.length, within?.target),
      after: footprint(done.graph, file.length, within?.target),
      layers,
      floats: done.floats.map(({ node, reason }) => ({ name: node.from, op: node.op.name, reason })),
      ...(comparison && { comparison }),
    }
    await replaceFiles([{ path: output, data: file }])
    if (html !== undefined) await writePage(html, await quantizationPage(report), options.force === true)
    return {
      json: { file: output, to, ...report, ...(html !== undefined && { html }) },
      text: [
        quantizationText(report, io.terminal),
        '',
        `wrote ${output}  ${bytesText(file.length)}`,
        ...(html === undefined ? [] : [`wrote ${html}: open it in a browser`]),
      ].join('\n'),
    }
  },
}

/** The limits that were given. Throws InputError where the form or the file does not go below 8 bits. */
function limitsOf(options: Options, to: (typeof TO)[number], format: Format): Within | undefined {
  const given = (['sram', 'flash'] as const).filter((flag) => options[flag] !== undefined)
  const choose = parseChoice(String(options.mixed), '--mixed', CHOOSERS)
  const target = parseChoice(String(options.target), '--target', TARGET_NAMES)
  if (given.length === 0) return undefined
  if (to !== 'int8') throw new InputError(`--${given[0]}`, `goes down from int8, --to is ${to}`, 'leave --to out')
  if (format !== '.mote')
    throw new InputError(
      '--output',
      `is a ${format} file: it has no activations and weights of 2 bits`,
      'write a .mote file, which mote compile, run and evaluate read; for 4-bit weights alone there is --to int4',
    )
  const size = (flag: 'sram' | 'flash') =>
    options[flag] === undefined ? {} : { [flag]: parseSize(String(options[flag]), `--${flag}`) }
  return { ...size('sram'), ...size('flash'), target, choose }
}

/** How the bits were spread, and what 8 bits everywhere would take. */
function fittedSteps({ eight, bits }: Fitted, { target, choose, sram, flash }: Within): string[] {
  const { arenaBytes, weightBytes } = eight
  const tally = (all: readonly (string | number)[]) =>
    [8, 4, 2].flatMap((b) => {
      const n = all.filter((x) => x === b).length
      return n === 0 ? [] : `${n} of ${b} bits`
    })
  const tensors = [...bits.activations.values()].map((dtype) => (dtype === 'u4' ? 4 : 2))
  const limits = [
    ...(sram === undefined ? [] : [`${bytesText(sram)} of RAM (8 bits: ${bytesText(arenaBytes)})`]),
    ...(flash === undefined ? [] : [`${bytesText(flash)} of flash (8 bits: ${bytesText(weightBytes)})`]),
  ].join(' and ')
  if (bits.weights.size === 0) return [`8 bits fit ${limits}`]
  return [
    `fewer bits for ${limits} on ${target}, ${choose === 'exact' ? 'by measured noise' : 'largest first'}`,
    `weights: ${tally([...bits.weights.values()]).join(', ')}; tensors below 8 bits: ${tally(tensors).join(', ') || 'none'}`,
  ]
}

function stepsOf(to: (typeof TO)[number], o: QuantizeOptions, set: string | undefined, samples = 0): string[] {
  if (to === 'float16') return ['weights in float16, widened where they are read']
  if (to === 'dynamic') return [`weights in int8 ${o.weights}, activations quantised while the model runs`]
  const method = o.method === 'percentile' ? `percentile ${o.percentile}` : o.method
  return [
    `${to}: weights ${o.weights}, ranges by ${method} of ${countText(samples)} inputs of ${set}`,
    ...(o.equalize ? ['ranges of channels equalised between layers'] : []),
    ...(o.rounding === 'adaround' ? ['weights rounded up or down as the outputs ask (adaround)'] : []),
    ...(o.correctBias ? ['biases corrected by the mean error'] : []),
  ]
}
