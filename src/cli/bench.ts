// `mote bench`: one model with the same generated input on several machines. Each row's figures come from one build. Rows
// whose outputs differ in one bit are a fault, said loudly.

import { compile } from '../emit/program.ts'
import { InputError, MoteError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import { fingerprint } from '../ir/hash.ts'
import type { Plan } from '../plan/plan.ts'
import { type BenchResult, type BenchRow, benchPage, type Estimate } from '../report/bench_page.ts'
import { benchDevice, DEVICE_NAMES } from '../run/device.ts'
import { benchSerial, openSerial, parseSerial, planOf, SERIAL, Talk } from '../run/serial.ts'
import type { Hello } from '../run/serial_protocol.ts'
import { poweredBoardsOf } from '../targets/power.ts'
import { benchText } from './bench_text.ts'
import type { Command, Io } from './command.ts'
import { writePage } from './files.ts'
import { layerTimes, measure, timeC, type Work } from './measure.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { parseChoice, parseWhole } from './numbers.ts'
import {
  checkPlanOptions,
  EXTERNAL_OPTIONS,
  PLAN_OPTIONS,
  type PlanChoice,
  planChoiceOf,
  threadsChoiceOf,
} from './plan.ts'
import { contestPage, contests, contestText, ENGINES, parseRivals } from './rivals/against.ts'
import { RIVALS } from './rivals/rivals.ts'
import { generated, MAX_SEED } from './run.ts'
import { openRunner, RUNNER_NAMES } from './runners.ts'
import { openThreads } from './threads.ts'

const ON: readonly string[] = [...RUNNER_NAMES, ...DEVICE_NAMES]

/** A machine that `--on` names. Throws InputError where there is none of that name. */
function machineOf(on: string): string {
  if (on.startsWith(SERIAL)) parseSerial(on)
  else parseChoice(on, '--on', [...ON, ...ENGINES])
  return on
}

/** A row, and where its time is still to be taken the work and what its timing adds. */
interface Started {
  readonly row: BenchRow
  readonly work?: Work
  readonly layers?: () => Promise<BenchRow['layers']>
}

async function startHere(graph: Graph, on: string, seed: number, runs: number, how: PlanChoice): Promise<Started> {
  if (on === 'host-c') return onHost(graph, seed, runs, how)
  const { program, model } = await openRunner(graph, on, how)
  const inputs = generated(model.inputs, seed)
  const { arenaBytes, weightBytes } = program.plan
  const row = { on, arenaBytes, weightBytes, outputFnv1a: model.run(inputs).map(fingerprint) }
  const fast = on === 'wasm'
  const work = { run: () => model.run(inputs), runs: fast ? runs : 1, fill: fast }
  return { row, work, ...(fast && { layers: () => layerTimes(program, runs) }) }
}

/** The same program as threads share it, by its loader: not layer by layer. */
async function onThreads(graph: Graph, most: number, seed: number, runs: number, how: PlanChoice): Promise<Started> {
  const { program, threads, run } = await openThreads(graph, most, how)
  const { arenaBytes, weightBytes } = program.plan
  const inputs = generated(graph.inputs, seed)
  const row = { on: `wasm, threads: ${threads}`, arenaBytes, weightBytes, outputFnv1a: run(inputs).map(fingerprint) }
  return { row, work: { run: () => run(inputs), runs, fill: true } }
}

function onHost(graph: Graph, seed: number, runs: number, how: PlanChoice): Started {
  const { plan } = compile(graph, { target: 'c', ...how })
  const { outputs, timing, layers } = timeC(plan, generated(plan.graph.inputs, seed), runs)
  const { runs: timedRuns, ...times } = timing
  const { arenaBytes, weightBytes } = plan
  return {
    row: { on: 'host-c', arenaBytes, weightBytes, outputFnv1a: outputs.map(fingerprint), ...times, timedRuns, layers },
  }
}

/** What the parts that `target` is built for would need, by estimated cycles. */
export function estimatesOf(target: string, cycles: number): Estimate[] {
  return poweredBoardsOf(target).map(({ board, power }) => ({
    board: board.name,
    clockHz: power.clock,
    us: (cycles / power.clock) * 1e6,
    joules: cycles * power.active * power.volts,
    note: power.core === undefined ? '' : `(cycles of a Cortex-M3, its core is ${power.core})`,
  }))
}

function onBoard(graph: Graph, on: string, seed: number, how: PlanChoice): Started {
  const { plan } = compile(graph, { target: on, ...how })
  const report = benchDevice(plan, on, generated(plan.graph.inputs, seed), { mix: true })
  const { estimatedCycles: cycles } = report
  const estimates = cycles !== undefined && { estimates: estimatesOf(on, cycles) }
  return { row: { arenaBytes: plan.arenaBytes, ...report, ...estimates } }
}

/**
 * What the model may have been compiled to for a device of that target and input: as `how` asks, or whatever fits in the
 * arena that the device has.
 */
function* plansFor(graph: Graph, { target, input, layout, arenaBytes: sram }: Hello, how: PlanChoice): Generator<Plan> {
  const { stage: asked = 'auto' } = how
  const stages = asked === 'auto' ? (['none', 'rows', 'auto', 'patches'] as const) : [asked]
  for (const keepChannels of [false, true])
    for (const stage of input === 'held' ? stages : stages.filter((s) => s !== 'none'))
      try {
        const { plan } = compile(graph, {
          ...{ ...how, target, input, stage, keepChannels },
          ...(stage === 'auto' && { sram }),
        })
        yield plan
        // Pieces share the weights of the whole: where these are others, no way to cut the layers makes them equal.
        if (!how.external && plan.weights.layoutId !== layout) break
      } catch (error) {
        if (!(error instanceof MoteError)) throw error
      }
}

/** A board that speaks the serial protocol; it says for which target its program was made. */
async function onLine(graph: Graph, on: string, seed: number, how: PlanChoice, io: Io): Promise<Started> {
  const { path, baud } = parseSerial(on)
  const talk = new Talk(openSerial(path, baud), path)
  try {
    const hello = await talk.hello()
    const plan = planOf(path, hello, plansFor(graph, hello, how))
    const measured = await benchSerial(talk, plan, generated(plan.graph.inputs, seed), (done, of) =>
      io.progress(`${on}: ${done} of ${of} requests …`),
    )
    const { run, steps, outputs, arenaUsedBytes } = measured
    const us = (counts: number) => Math.round((counts / hello.clockHz) * 1e8) / 100
    const stackBytes = Math.max(run.stackBytes, ...steps.map((s) => s.stackBytes))
    return {
      row: {
        ...{ on, arenaBytes: plan.arenaBytes, weightBytes: plan.weightBytes, outputFnv1a: outputs.map(fingerprint) },
        ...{
          cycles: run.counts,
          clockHz: hello.clockHz,
          minUs: us(run.counts),
          medianUs: us(run.counts),
          timedRuns: 1,
        },
        ...{ arenaUsedBytes, ...(stackBytes > 0 && { stackBytes }) },
        layers: plan.steps.map(({ node }, i) => ({
          name: node.from,
          cycles: steps[i].counts,
          us: us(steps[i].counts),
          ...(steps[i].stackBytes > 0 && { stackBytes: steps[i].stackBytes }),
        })),
      },
    }
  } finally {
    talk.close()
  }
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

function resultText({ model, runs, disagree }: Result, seed: number, all: boolean): string {
  const same = runs.length > 1 ? `the same outputs, bit for bit, on all ${runs.length}` : ''
  return [
    `${model}, input of seed ${seed}`,
    '',
    ...benchText(runs, all),
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

/** mote's program, and rivals, in JavaScript engines. */
async function inEngines(
  paths: readonly string[],
  options: Parameters<Command['run']>[1],
  engines: readonly string[],
  rivals: readonly string[],
  seed: number,
  html: string | undefined,
  io: Io,
): ReturnType<Command['run']> {
  const models: Parameters<typeof contests>[0][number][] = []
  for (const path of paths) {
    const { graph, bytes, format } = await openModel(path, options)
    const file = format === 'onnx' || format === 'tflite' ? { format, bytes } : undefined
    models.push({ path, graph, file, inputs: generated(graph.inputs, seed) })
  }
  const found = await contests(models, engines, rivals, (what) => io.progress(what))
  io.progress('')
  if (html !== undefined)
    await writePage(html, await contestPage(found, `input of seed ${seed}`), options.force === true)
  return {
    json: found.length === 1 ? { ...found[0], seed } : { models: found, seed },
    text: [...found.map(contestText), ...(html === undefined ? [] : [`wrote ${html}: open it in a browser`])].join(
      '\n\n',
    ),
  }
}

export const bench: Command = {
  name: 'bench',
  args: [['<model...>', '.tflite or .onnx files']],
  summary: 'time models on several machines, with the same input',
  options: [
    ...MODEL_OPTIONS,
    [
      '--on <list>',
      `${[...RUNNER_NAMES, ...DEVICE_NAMES].join(',')}, or a board: serial:/dev/ttyACM0, serial:/dev/ttyUSB0@9600`,
      'wasm',
    ],
    [
      '--against <list>',
      `other runtimes in the same engine: ${Object.keys(RIVALS).join(',')}; --on ${ENGINES.join(',')}`,
    ],
    ['--seed <n>', 'of the generated input (xorshift32)', '1'],
    ['--runs <n>', 'timed runs at least', '30'],
    ['--threads <n>', 'of wasm: time also a program whose runs up to so many threads share'],
    ...PLAN_OPTIONS,
    ...EXTERNAL_OPTIONS,
    ['--all', 'every layer of a long model'],
    ['--html <file>', 'write the figures as a page for a browser'],
    ['--force', 'overwrite a page that mote did not write'],
  ],
  async run(paths, options, io: Io) {
    checkPlanOptions(options)
    const names = String(options.on)
      .split(',')
      .map((on) => machineOf(on.trim()))
    const seed = parseWhole(String(options.seed), '--seed', 0, MAX_SEED)
    const runs = parseWhole(String(options.runs), '--runs', 1, 1e6)
    const how = planChoiceOf(options)
    const { threads } = threadsChoiceOf(options)
    if (threads !== undefined && !names.includes('wasm'))
      throw new InputError('--threads', 'is for wasm, which is not among --on', 'add it, or leave --threads out')
    const html = options.html === undefined ? undefined : String(options.html)
    const others = names.filter((on) => !ON.includes(on) && ENGINES.includes(on))
    if (options.against !== undefined || others.length > 0) {
      const rivals = options.against === undefined ? [] : parseRivals(String(options.against), names)
      if (threads !== undefined)
        throw new InputError('--threads', `is not for ${ENGINES.join(', ')} beside others`, 'bench --on wasm alone')
      const mixed = names.find((on) => !ENGINES.includes(on))
      if (mixed)
        throw new InputError('--on', `${others[0]} and ${mixed} are not timed together`, 'bench them one by one')
      return inEngines(paths, options, names, rivals, seed, html, io)
    }

    const started: Started[] = []
    for (const path of paths) {
      const { graph } = await openModel(path, options)
      for (const on of names) {
        io.progress(`${path} on ${on} …`)
        if (on.startsWith(SERIAL)) started.push(await onLine(graph, on, seed, how, io))
        else if (DEVICE_NAMES.includes(on)) started.push(onBoard(graph, on, seed, how))
        else started.push(await startHere(graph, on, seed, runs, how))
        if (on === 'wasm' && threads !== undefined) started.push(await onThreads(graph, threads, seed, runs, how))
      }
    }
    io.progress('timing …')
    const rows = await timed(started)
    io.progress('')
    const perModel = started.length / paths.length
    const results = paths.map((model, i): Result => {
      const own = rows.slice(i * perModel, (i + 1) * perModel)
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
      text: [...results.map((r) => resultText(r, seed, options.all === true)), ...wrote].join('\n\n'),
    }
  },
}
