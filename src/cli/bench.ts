// `mote bench`: one model with the same generated input on several machines. Each row's figures come from one build. Rows
// whose outputs differ in one bit are a fault, said loudly.

import { type CompileOptions, compile, type Program } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import { fingerprint } from '../ir/hash.ts'
import type { Data } from '../loops/ir.ts'
import { bytesText, countText, table, timeText } from '../report/figures.ts'
import { benchDevice, DEVICE_NAMES } from '../run/device.ts'
import type { Command, Io } from './command.ts'
import { layerTimes, measure } from './measure.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { parseChoice, parseWhole } from './numbers.ts'
import { checkPlanOptions, PLAN_OPTIONS, stageOf } from './plan.ts'
import { generated, MAX_SEED } from './run.ts'
import { openRunner, RUNNER_NAMES } from './runners.ts'

const NOT_YET: readonly string[] = ['node24', 'chromium']

export interface Row {
  readonly on: string
  readonly arenaBytes: number
  readonly weightBytes: number
  readonly outputFnv1a: readonly string[]
  readonly instructions?: number
  readonly minUs?: number
  readonly medianUs?: number
  readonly timedRuns?: number
  readonly arenaUsedBytes?: number
  readonly stackBytes?: number
  readonly codeBytes?: number
  readonly layers?: readonly { readonly name: string; readonly instructions?: number; readonly us?: number }[]
}

function rowOf(on: string, program: Program, outputs: readonly Data[]): Row {
  const { arenaBytes, weightBytes } = program.plan
  return { on, arenaBytes, weightBytes, outputFnv1a: outputs.map(fingerprint) }
}

async function benchHere(
  graph: Graph,
  on: string,
  seed: number,
  runs: number,
  stage: CompileOptions['stage'],
): Promise<Row> {
  const { program, model } = await openRunner(graph, on, stage)
  const inputs = generated(model.inputs, seed)
  const row = rowOf(on, program, model.run(inputs))
  if (on === 'host-c') return row
  const fast = on === 'wasm'
  const { runs: timedRuns, ...timing } = measure(() => model.run(inputs), fast ? runs : 1, fast)
  return { ...row, ...timing, timedRuns, ...(fast && { layers: await layerTimes(program, runs) }) }
}

function benchBoard(graph: Graph, on: string, seed: number, stage: CompileOptions['stage']): Row {
  const { plan } = compile(graph, { target: on, stage })
  return { arenaBytes: plan.arenaBytes, ...benchDevice(plan, on, generated(plan.graph.inputs, seed)) }
}

/** Which rows gave which outputs, where not all gave the same. */
export function disagreement(rows: readonly Row[]): string | undefined {
  const by = new Map<string, string[]>()
  for (const { on, outputFnv1a } of rows) {
    const key = outputFnv1a.join(' ')
    by.set(key, [...(by.get(key) ?? []), on])
  }
  if (by.size < 2) return undefined
  return [...by].map(([hash, names]) => `${names.join(', ')}: ${hash}`).join('; ')
}

function chart(rows: readonly Row[]): string {
  const cell = (value: number | undefined, text: (n: number) => string) => (value === undefined ? '' : text(value))
  return table(
    ['on', '>instructions', '>min', '>median', '>arena', '>stack', '>code', '>weights', 'output'],
    rows.map((r) => [
      r.on,
      cell(r.instructions, countText),
      cell(r.minUs, timeText),
      cell(r.medianUs, timeText),
      bytesText(r.arenaBytes),
      cell(r.stackBytes, bytesText),
      cell(r.codeBytes, bytesText),
      bytesText(r.weightBytes),
      r.outputFnv1a.join(' '),
    ]),
  )
}

export const bench: Command = {
  name: 'bench',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'time a model on several machines, with the same input',
  options: [
    ...MODEL_OPTIONS,
    ['--on <list>', [...RUNNER_NAMES, ...DEVICE_NAMES].join(','), 'wasm'],
    ['--seed <n>', 'of the generated input (xorshift32)', '1'],
    ['--runs <n>', 'timed runs at least', '30'],
    ...PLAN_OPTIONS,
  ],
  async run([path], options, io: Io) {
    checkPlanOptions(options)
    const names = String(options.on)
      .split(',')
      .map((on) => parseChoice(on.trim(), '--on', [...RUNNER_NAMES, ...DEVICE_NAMES, ...NOT_YET]))
    const notYet = names.find((on) => NOT_YET.includes(on))
    if (notYet)
      throw new InputError(
        '--on',
        `"${notYet}" is not available yet`,
        `choose from ${[...RUNNER_NAMES, ...DEVICE_NAMES].join(', ')}`,
      )
    const seed = parseWhole(String(options.seed), '--seed', 0, MAX_SEED)
    const runs = parseWhole(String(options.runs), '--runs', 1, 1e6)
    const stage = stageOf(options)
    const { graph } = await openModel(path, options)

    const rows: Row[] = []
    for (const on of names) {
      io.progress(`${on} …`)
      rows.push(
        DEVICE_NAMES.includes(on) ? benchBoard(graph, on, seed, stage) : await benchHere(graph, on, seed, runs, stage),
      )
    }
    io.progress('')
    const differ = disagreement(rows)
    return {
      failed: differ !== undefined,
      json: { model: path, seed, runs: rows, ...(differ !== undefined && { disagree: differ }) },
      text: [
        `${path}, input of seed ${seed}`,
        '',
        chart(rows),
        '',
        differ === undefined
          ? rows.length > 1
            ? `the same outputs, bit for bit, on all ${rows.length}`
            : ''
          : `THE OUTPUTS DIFFER (this is a bug in mote, please report it): ${differ}`,
      ]
        .join('\n')
        .trimEnd(),
    }
  },
}
