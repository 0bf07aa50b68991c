// `mote demo`: a keyword spotter for ten spoken digits meets people that it understands badly, and learns how they speak from a
// handful of examples, in true int8 and inside a stated amount of RAM.

import { compile, type Program } from '../emit/program.ts'
import { BudgetError, InputError } from '../errors.ts'
import { Xorshift32 } from '../ir/random.ts'
import { bytesText, countText, table } from '../report/figures.ts'
import { pageOf } from '../report/page.ts'
import { reportOf } from '../report/report.ts'
import { instantiateLearner, type LearningModel } from '../run/learn.ts'
import { targetOf } from '../targets/index.ts'
import { shuffled } from '../train/contribution.ts'
import type { Scheme } from '../train/scheme.ts'
import { trainingStep } from '../train/step.ts'
import type { Command, Options } from './command.ts'
import { digits, recordings, type Speaker, type Word } from './demo_digits.ts'
import { writePage } from './files.ts'
import { text } from './inputs.ts'
import { bar, parseSize, parseWhole } from './numbers.ts'

/** What may learn, most first, and the rate that suits it. */
const SCHEMES: readonly { readonly learn: Scheme; readonly rate: number }[] = [
  { learn: 'last-4', rate: 0.03 },
  { learn: 'last-3', rate: 0.03 },
  { learn: 'last-2', rate: 0.05 },
  { learn: 'last', rate: 0.02 },
]
const ROUNDS = 15
const BAR = 20
const CHART = { height: 6, width: 60 }

/** The first scheme whose whole step, prediction included, fits a Cortex-M4 with `sram` bytes. */
function fitting(graph: ReturnType<typeof digits>['graph'], sram: number) {
  let least = Number.POSITIVE_INFINITY
  for (const scheme of SCHEMES) {
    const step = trainingStep(graph, scheme)
    const device = compile(step.graph, { target: 'cortex-m4' })
    if (device.plan.arenaBytes <= sram) return { ...scheme, step, device }
    least = Math.min(least, device.plan.arenaBytes)
  }
  throw new BudgetError('--sram', `is ${sram} bytes, learning takes ${least} at least`, `--sram ${least}`)
}

function rightOf(model: LearningModel, words: readonly Word[]): number {
  return words.filter(({ input, label }) => {
    const [scores] = model.predict([input])
    return Array.from(scores, Number).reduce((best, s, i, all) => (s > all[best] ? i : best), 0) === label
  }).length
}

/** The first `shots` takes of each word, and the rest. */
function apart({ words }: Speaker, shots: number): { readonly few: readonly Word[]; readonly rest: readonly Word[] } {
  const seen = new Map<number, number>()
  const early = words.map(({ label }) => {
    const n = seen.get(label) ?? 0
    seen.set(label, n + 1)
    return n < shots
  })
  return { few: words.filter((_, i) => early[i]), rest: words.filter((_, i) => !early[i]) }
}

/** Bytes that are live at each step as columns, the largest `CHART.height` lines high, and under them what the steps do. */
function memoryChart({ plan }: Program): string[] {
  const live = plan.layers.filter((l) => l.liveBytes > 0).map((l) => l.liveBytes)
  const wide = Math.max(1, Math.floor(CHART.width / live.length))
  const lines = Array.from({ length: CHART.height }, (_, row) => {
    const from = CHART.height - 1 - row
    const cells = live.map((bytes) => {
      const eighths = Math.round((8 * CHART.height * bytes) / plan.arenaBytes) - 8 * from
      return ' ▁▂▃▄▅▆▇█'[Math.max(0, Math.min(8, eighths))].repeat(wide)
    })
    return `  ${(row === 0 ? bytesText(plan.arenaBytes) : row === CHART.height - 1 ? '0' : '').padStart(9)} │${cells.join('')}`
  })
  const { predicted, judged } = plan.learning!
  const spans = [predicted, judged - predicted, plan.steps.length - judged]
  const share = (wide * live.length) / plan.steps.length
  const names = ['predict', 'judge', 'learn'].map((name, i) => {
    const cells = Math.max(1, Math.round(spans[i] * share))
    return cells < name.length + 2 ? '└'.padEnd(cells, '─') : `└ ${name} `.padEnd(cells, '─')
  })
  return [...lines, `  ${' '.repeat(9)} ${names.join('')}`]
}

async function learnFrom(
  program: Program,
  { name, words }: Speaker,
  { shots, rate, tell }: { shots: number; rate: number; tell: (text: string) => void },
) {
  const model = await instantiateLearner(program)
  const { few, rest } = apart({ name, words }, shots)
  const before = rightOf(model, rest)
  const random = new Xorshift32(1)
  const losses: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const order = shuffled(few.length, random).map((i) => few[i])
    losses.push(order.reduce((sum, { input, label }) => sum + model.train([input], label, rate), 0) / few.length)
    tell(`${name}: round ${round + 1} of ${ROUNDS}, loss ${losses[round].toFixed(3)}`)
  }
  return { name, before, after: rightOf(model, rest), of: rest.length, examples: few.length, losses }
}

function sparks(values: readonly number[]): string {
  const most = Math.max(...values)
  return values.map((v) => '▁▂▃▄▅▆▇█'[Math.min(7, Math.floor((8 * v) / most))]).join('')
}

export const demo: Command = {
  name: 'demo',
  args: [],
  summary: 'a keyword spotter learns how new people speak, in a few kilobytes of RAM',
  options: [
    ['--recordings <folder>', 'learn from these instead: <digit>_<speaker>_<take>.wav, one digit a file'],
    ['--shots <n>', 'examples of each word to learn from', '3'],
    ['--sram <size>', 'RAM of a Cortex-M4 for the whole step', '16K'],
    ['--html <file>', 'write the step with its memory as a page for a browser'],
    ['--force', 'overwrite the page, whatever it is'],
  ],
  async run(_args, options: Options, io) {
    const shots = parseWhole(String(options.shots), '--shots', 1, 1000)
    const sram = parseSize(String(options.sram), '--sram')
    const { graph, words, speakers: voices } = digits()
    const folder = text(options, 'recordings')
    const speakers = folder === undefined ? voices : recordings(graph, folder)
    for (const speaker of speakers) {
      const { few, rest } = apart(speaker, shots)
      if (rest.length === 0)
        throw new InputError(
          '--shots',
          `${shots} takes all ${few.length} recordings of ${speaker.name}, and none is left to judge`,
          'learn from fewer, or record more of each word',
        )
    }
    const { learn, rate, step, device } = fitting(graph, sram)
    const program = compile(step.graph)
    const found = []
    for (const speaker of speakers) found.push(await learnFrom(program, speaker, { shots, rate, tell: io.progress }))
    io.progress('')
    const html = text(options, 'html')
    if (html !== undefined) {
      const report = reportOf(step.graph, targetOf('cortex-m4'), device.plan)
      await writePage(html, await pageOf(report, 'one step of learning on a Cortex-M4'), options.force === true)
    }

    const { plan } = device
    const of = (right: number, all: number) =>
      `${`${right}`.padStart(3)} of ${all} ${bar(right / all, BAR).padEnd(BAR)}`
    return {
      json: {
        speakers: found,
        scheme: learn,
        rate,
        rounds: ROUNDS,
        arenaBytes: plan.arenaBytes,
        weightBytes: plan.weightBytes,
        macs: plan.macs,
        ...(html !== undefined && { html }),
      },
      text: [
        `A net that knows ${words.length} spoken digits (${bytesText(compile(graph).plan.weightBytes)} of int8 weights, trained on 60 voices of espeak-ng)`,
        `meets ${found.length} people it has never heard. It learns from ${shots} examples of each word, ${ROUNDS} times over; the rest of what they say judges.`,
        '',
        table(
          ['speaker', 'right before', 'right after', 'loss'],
          found.map((f) => [
            f.name,
            of(f.before, f.of),
            of(f.after, f.of),
            `${f.losses[0].toFixed(2)} ${sparks(f.losses)} ${f.losses.at(-1)!.toFixed(2)}`,
          ]),
        ),
        '',
        `What learns: ${learn}, ${step.params.length} tensors of int8 and int32, rounded stochastically; no copy in float exists. One step on a Cortex-M4`,
        `takes ${bytesText(plan.arenaBytes)} of RAM, prediction included (limit ${bytesText(sram)}), and ${countText(plan.macs)} multiply-accumulates:`,
        '',
        ...memoryChart(device),
        '',
        ...(html === undefined ? [] : [`wrote ${html}: open it in a browser`]),
        'Your own model: npx mote inspect model.tflite',
      ].join('\n'),
    }
  },
}
