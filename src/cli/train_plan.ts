// `mote train plan`: what each scheme of learning takes of a model, before anything is trained: memory counted three ways, work,
// and the memory of one step over time.

import { type CompileOptions, planOf } from '../emit/program.ts'
import { InputError, MoteError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import { fingerprint } from '../ir/hash.ts'
import { Xorshift32 } from '../ir/random.ts'
import { count, type Data } from '../loops/ir.ts'
import type { Plan } from '../plan/plan.ts'
import { estimatedInstructions } from '../report/instructions.ts'
import { PLAIN } from '../report/terminal.ts'
import { type SchemeRow, trainPage } from '../report/train_page.ts'
import { trainText } from '../report/train_text.ts'
import { benchDevice, DEVICE_NAMES } from '../run/device.ts'
import { reference } from '../run/reference.ts'
import { TARGET_NAMES } from '../targets/index.ts'
import { extraMemory } from '../train/memory.ts'
import { releasedFor } from '../train/released.ts'
import { learners, nameOf, type Scheme } from '../train/scheme.ts'
import { parseScheme } from '../train/scheme_file.ts'
import { appliedScheme, type StepOptions, trainingStep } from '../train/step.ts'
import type { Command, Io, Options } from './command.ts'
import { readBytes, writePage } from './files.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { parseChoice, parseSize, parseWhole } from './numbers.ts'

/** Names of schemes, files of one, with commas between; without any, those that suit most models. */
export async function schemesOf(options: Options, graph: Graph): Promise<Scheme[]> {
  if (options.scheme === undefined) return usual(graph)
  const names = String(options.scheme).split(',')
  return Promise.all(
    names.map(async (name): Promise<Scheme> => {
      const text = name.trim()
      return text.endsWith('.json')
        ? parseScheme(new TextDecoder().decode(await readBytes(text)), text)
        : (text as Scheme)
    }),
  )
}

function usual(graph: Graph): Scheme[] {
  const all = learners(graph)
  const some = [2, Math.ceil(all.length / 4), Math.ceil(all.length / 2)]
  const ks = [...new Set(some)].filter((k) => k > 1 && k < all.length)
  return [
    'last',
    ...ks.map((k): Scheme => `bias-last-${k}`),
    ...(all.length > 2 ? (['last-2'] as const) : []),
    ...(releasedFor(graph, all) as Scheme[]),
    'full',
  ]
}

const PLANS = {
  fast: { stage: 'none' },
  small: { stage: 'rows' },
  streamed: { stage: 'rows', input: 'streamed' },
} as const satisfies Record<string, CompileOptions>

/** The plan, or undefined where the model has no input that is given row by row. */
function streamedPlan(graph: Graph, target: string): Plan | undefined {
  try {
    return planOf(graph, { target, ...PLANS.streamed })
  } catch (error) {
    if (error instanceof InputError && error.where === 'input') return undefined
    throw error
  }
}

/** One step on a board, on a generated input and class 0; its results are those of the operators' meaning. */
function measured(graph: Graph, plan: Plan, on: string) {
  const random = new Xorshift32(1)
  const given = graph.inputs.map((v, i): Data => {
    if (i < graph.inputs.length - 2) return random.fill(v.type)
    if (i === graph.inputs.length - 1) return Float32Array.of(0.01)
    return v.type.dtype === 'i32' ? new Int32Array(count(v.type.shape)) : random.fill(v.type)
  })
  const { instructions, arenaUsedBytes, stackBytes, outputFnv1a } = benchDevice(plan, on, given)
  const expected = reference(graph).run(given).map(fingerprint)
  const same = expected.every((hash, i) => hash === outputFnv1a[i])
  return { on, instructions, arenaUsedBytes, stackBytes, ramBytes: arenaUsedBytes + stackBytes, same }
}

interface Choice {
  readonly target: string
  readonly sram: number | undefined
  readonly on: string | undefined
  readonly step: Omit<StepOptions, 'learn'>
}

function rowOf(
  model: Graph,
  learn: Scheme,
  { target, sram, on, step: how }: Choice,
  tell: (what: string) => void,
): SchemeRow {
  const scheme = nameOf(learn)
  tell(`${scheme}: differentiating …`)
  const { graph, params } = trainingStep(model, { learn, ...how })
  const made: Partial<Record<keyof typeof PLANS, Plan>> = {}
  tell(`${scheme}: planning for speed …`)
  made.fast = planOf(graph, { target, ...PLANS.fast })
  tell(`${scheme}: planning for memory …`)
  made.small = planOf(graph, { target, ...PLANS.small })
  tell(`${scheme}: planning with the input row by row …`)
  if (made.fast.target.emits === 'c') made.streamed = streamedPlan(graph, target)
  const kinds = (['fast', 'small', 'streamed'] as const).filter((k) => made[k])
  const fits = sram === undefined ? undefined : (kinds.find((k) => made[k]!.arenaBytes <= sram) ?? 'none')
  const least = kinds.reduce((a, b) => (made[b]!.arenaBytes < made[a]!.arenaBytes ? b : a))
  const chosen = fits === undefined ? 'fast' : fits === 'none' ? least : fits
  let plan = made[chosen]!
  if (fits === 'small') {
    tell(`${scheme}: planning for speed within the limit …`)
    const within = planOf(graph, { target, sram })
    if (within.arenaBytes <= sram!) plan = within
  }
  if (on) tell(`${scheme}: one step on ${on} …`)
  const run = on && fits !== 'none' ? measured(graph, plan, on) : undefined
  return {
    scheme,
    learning: params.reduce((n, p) => n + count(p.param.type.shape), 0),
    extra: extraMemory(appliedScheme(model, { learn, ...how })),
    arenaBytes: made.fast.arenaBytes,
    smallBytes: made.small.arenaBytes,
    ...(made.streamed && { streamedBytes: made.streamed.arenaBytes }),
    ...(fits !== undefined && { fits }),
    plan: chosen,
    macs: plan.macs,
    weightBytes: plan.weightBytes,
    estimatedInstructions: Math.round(estimatedInstructions(plan)),
    ...(run && { measured: run }),
    liveBytes: plan.layers.map((l) => l.liveBytes),
    judged: plan.graph.nodes.findIndex((n) => n.outputs.includes(plan.graph.outputs[0])) + 1,
    made: plan,
  }
}

export const trainPlan: Command = {
  name: 'train plan',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'show what schemes of learning on a device take: memory counted three ways, work, memory over time',
  options: [
    ...MODEL_OPTIONS,
    [
      '--scheme <list>',
      'last, last-K, bias-last-K, bn-last, sparse-49kb (a released one), lora-R, adapter-R, prompt-N, tinytl, full, or a .json file (default: those that suit most models)',
    ],
    ['--classes <n>', 'a new last layer for so many classes'],
    ['--sram <size>', 'limit of RAM for tensors: the fastest plan that fits is described'],
    ['--target <name>', TARGET_NAMES.join(', '), 'cortex-m7'],
    ['--on <board>', `build and run one step of each: ${DEVICE_NAMES.join(', ')}`],
    ['--html <file>', 'write everything as one page for a browser, with the memory of each step over time'],
    ['--force', 'overwrite a page that mote did not write'],
  ],
  async run([path], options, io: Io) {
    const target = parseChoice(String(options.target), '--target', TARGET_NAMES)
    const on = options.on === undefined ? undefined : parseChoice(String(options.on), '--on', DEVICE_NAMES)
    if (on !== undefined && on !== target)
      throw new InputError('--on', `is ${on}, the plans are for ${target}`, `add --target ${on}`)
    const sram = options.sram === undefined ? undefined : parseSize(String(options.sram), '--sram')
    const classes =
      options.classes === undefined ? undefined : parseWhole(String(options.classes), '--classes', 2, 100_000)
    const html = options.html === undefined ? undefined : String(options.html)
    const { graph } = await openModel(path, options)
    const step = classes === undefined ? {} : { classes }
    const schemes = await schemesOf(options, appliedScheme(graph, { learn: 'last', ...step }).graph)
    const choice: Choice = { target, sram, on, step }
    const rows: SchemeRow[] = []
    const refused: { scheme: string; message: string }[] = []
    for (const [i, learn] of schemes.entries())
      try {
        rows.push(rowOf(graph, learn, choice, (what) => io.progress(`${i + 1} of ${schemes.length}, ${what}`)))
      } catch (error) {
        // What was asked for by name is refused as a whole; of the usual schemes those that the model cannot learn are named.
        if (options.scheme !== undefined || !(error instanceof MoteError)) throw error
        refused.push({ scheme: nameOf(learn), message: error.message })
      }
    io.progress('')
    const title = `${path} on ${target}${sram === undefined ? '' : `, ${options.sram} of RAM`}`
    if (html !== undefined) await writePage(html, await trainPage(rows, graph.name, title), options.force === true)
    const text = trainText(rows, refused, { title, sram }, io.terminal ?? PLAIN)
    const differ = rows.filter((r) => r.measured?.same === false)
    return {
      failed: differ.length > 0,
      json: {
        ...{ model: path, target, ...(sram !== undefined && { sram }), ...(classes !== undefined && { classes }) },
        schemes: rows.map(({ made, ...row }) => row),
        ...(refused.length > 0 && { refused }),
        ...(html !== undefined && { html }),
      },
      text: html === undefined ? text : `${text}\n\nwrote ${html}: open it in a browser`,
    }
  },
}
