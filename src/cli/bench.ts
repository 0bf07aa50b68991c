// `mote bench`: one model with the same generated input on several machines. Each row's figures come from one build. Rows
// whose outputs differ in one bit are a fault, said loudly.

import { compile } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import { fingerprint } from '../ir/hash.ts'
import { type BenchResult, type BenchRow, benchPage, benchTable } from '../report/bench_page.ts'
import { table } from '../report/figures.ts'
import { benchDevice, DEVICE_NAMES } from '../run/device.ts'
import type { Command, Io } from './command.ts'
import { writePage } from './files.ts'
import { layerTimes, measure, type Work } from './measure.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { parseChoice, parseWhole } from './numbers.ts'
import { checkPlanOptions, PLAN_OPTIONS, type PlanChoice, planChoiceOf } from './plan.ts'
import { generated, MAX_SEED } from './run.ts'
import { openRunner, RUNNER_NAMES } from './runners.ts'

const NOT_YET: readonly string[] = ['node24', 'chromium']

/** A row, and where its time is still to be taken the work and what its timing adds. */
interface Started {
  readonly row: BenchRow
  readonly work?: Work
  readonly layers?: () => Promise<BenchRow['layers']>
}

async function startHere(graph: Graph, on: string, seed: number, runs: number, how: PlanChoice): Promise<Started> {
  const { program, model } = await openRunner(graph, on, how)
  const inputs = generated(model.inputs, seed)
  const { arenaBytes, weightBytes } = program.plan
  const row = { on, arenaBytes, weightBytes, outputFnv1a: model.run(inputs).map(fingerprint) }
  if (on === 'host-c') return { row }
  const fast = on === 'wasm'
  const work = { run: () => model.run(inputs), runs: fast ? runs : 1, fill: fast }
  return { row, work, ...(fast && { layers: () => layerTimes(program, runs) }) }
}

function onBoard(graph: Graph, on: string, seed: number, how: PlanChoice): Started {
  const { plan } = compile(graph, { target: on, ...how })
  return { row: { arenaBytes: plan.arenaBytes, ...benchDevice(plan, on, generated(plan.graph.inputs, seed)) } }
}

/** The rows with their times, taken in turns. */
async function timed(started: readonly Started[]): Promise<BenchRow[]> {
  const works = started.flatMap(({ work }) => work ?? [])
  const timings = measure(works)
  const rows: BenchRow[] = []
  for (const { row, work, layers } of started) {
    if (!work) rows.push(row)
    else {
      const { runs: timedRuns, ...timing } = timings[works.indexOf(work)]
      rows.push({ ...row, ...timing, timedRuns, ...(layers && { layers: await layers() }) })
    }
  }
  return rows
}

/** Which rows gave which outputs, where not all gave the same. */
export function disagreement(rows: readonly BenchRow[]): string | undefined {
  const by = new Map<string, string[]>()
  for (const { on, outputFnv1a } of rows) {
    const key = outputFnv1a.join(' ')
    by.set(key, [...(by.get(key) ?? []), on])
  }
  if (by.size < 2) return undefined
  return [...by].map(([hash, names]) => `${names.join(', ')}: ${hash}`).join('; ')
}

function resultText({ model, runs, disagree }: Result, seed: number): string {
  const { headings, cells } = benchTable(runs)
  const same = runs.length > 1 ? `the same outputs, bit for bit, on all ${runs.length}` : ''
  return [
    `${model}, input of seed ${seed}`,
    '',
    table(headings, cells),
    '',
    disagree === undefined ? same : `THE OUTPUTS DIFFER (this is a bug in mote, please report it): ${disagree}`,
  ]
    .join('\n')
    .trimEnd()
}

interface Result extends BenchResult {
  readonly seed: number
  readonly disagree?: string
}

export const bench: Command = {
  name: 'bench',
  args: [['<model...>', '.tflite or .onnx files']],
  summary: 'time models on several machines, with the same input',
  options: [
    ...MODEL_OPTIONS,
    ['--on <list>', [...RUNNER_NAMES, ...DEVICE_NAMES].join(','), 'wasm'],
    ['--seed <n>', 'of the generated input (xorshift32)', '1'],
    ['--runs <n>', 'timed runs at least', '30'],
    ...PLAN_OPTIONS,
    ['--html <file>', 'write the figures as a page for a browser'],
    ['--force', 'overwrite a page that mote did not write'],
  ],
  async run(paths, options, io: Io) {
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
    const how = planChoiceOf(options)
    const html = options.html === undefined ? undefined : String(options.html)

    const started: Started[] = []
    for (const path of paths) {
      const { graph } = await openModel(path, options)
      for (const on of names) {
        io.progress(`${path} on ${on} …`)
        started.push(
          DEVICE_NAMES.includes(on) ? onBoard(graph, on, seed, how) : await startHere(graph, on, seed, runs, how),
        )
      }
    }
    io.progress('timing …')
    const rows = await timed(started)
    io.progress('')
    const results = paths.map((model, i): Result => {
      const own = rows.slice(i * names.length, (i + 1) * names.length)
      const disagree = disagreement(own)
      return { model, seed, runs: own, ...(disagree !== undefined && { disagree }) }
    })
    if (html !== undefined) {
      const page = await benchPage(results, `input of seed ${seed}, times on this machine taken in turns`)
      await writePage(html, page, options.force === true)
    }
    const wrote = html === undefined ? [] : [`wrote ${html}: open it in a browser`]
    return {
      failed: results.some((r) => r.disagree !== undefined),
      json: { ...(results.length === 1 ? results[0] : { models: results }), ...(html !== undefined && { html }) },
      text: [...results.map((r) => resultText(r, seed)), ...wrote].join('\n\n'),
    }
  },
}
