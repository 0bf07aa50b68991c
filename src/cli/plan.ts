// What commands say about a plan, and the options that choose one.

import { type CompileOptions, MOST_THREADS } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'
import { bytesText } from '../report/figures.ts'
import { externalReport } from '../report/report.ts'
import type { Command, Options } from './command.ts'
import { parseChoice, parseSize, parseWhole } from './numbers.ts'

export const PLAN_OPTIONS: Command['options'] = [
  ['--input <how>', 'where the input is: held, or row by row, streamed (given) or external (read), C only', 'held'],
  [
    '--stage <how>',
    'layers piece by piece: auto (where --sram asks for it), none, rows, patches, patches:<down>x<across>',
    'auto',
  ],
]

/** What stands in slow memory (C only). */
export const EXTERNAL_OPTIONS: Command['options'] = [
  ['--external <what>', 'what is in slow memory: none, weights (with --flash: of the largest layers), C only', 'none'],
  ['--window <size>', 'with --external weights: RAM for the weights of one layer; larger layers are split'],
  ['--prefetch <how>', 'slow memory is read one step ahead (next), or when it is needed (none)', 'next'],
]

const STAGES = ['auto', 'none', 'rows', 'patches'] as const

/** Refuses what `--input`, `--stage` and the options of slow memory do not know. */
export function checkPlanOptions(options: Options): void {
  parseChoice(String(options.input), '--input', ['held', 'streamed', 'external'])
  externalChoiceOf(options)
  const stage = String(options.stage)
  if (!/^patches:[1-9]\d*x[1-9]\d*$/.test(stage)) parseChoice(stage, '--stage', STAGES)
}

export function planJson(plan: Plan) {
  const { arenaBytes, lowerBoundBytes, weightBytes, macs, stages, threads } = plan
  const external = externalReport(plan)
  const inputHeld = plan.streamed === undefined
  return {
    ...{ arenaBytes, lowerBoundBytes, weightBytes, macs, stages, inputHeld },
    ...(external && { external }),
    ...(threads && { threads: threads.most }),
  }
}

export type PlanChoice = Pick<CompileOptions, 'stage' | 'input'> & ExternalChoice

/** What `--stage` and `--input` say, checked before, and what is in slow memory. Throws InputError. */
export function planChoiceOf(options: Options): PlanChoice {
  const { stage, input } = options as PlanChoice
  return { stage, input, ...externalChoiceOf(options) }
}

/** What `--threads` says. Throws InputError. */
export function threadsChoiceOf({ threads }: Options): Pick<CompileOptions, 'threads'> {
  return threads === undefined ? {} : { threads: parseWhole(String(threads), '--threads', 1, MOST_THREADS) }
}

export function threadsLine({ threads, steps }: Plan): string {
  if (!threads) return 'one thread: no layer takes long enough to be shared'
  const shared = threads.levels.filter((first, k) => (threads.levels[k + 1] ?? steps.length) - first > 1)
  return `up to ${threads.most} threads share ${shared.length} of ${threads.levels.length} layers`
}

export type ExternalChoice = Pick<CompileOptions, 'external' | 'window' | 'prefetch'>

/** What `--external`, `--window` and `--prefetch` say, the defaults aside. Throws InputError. */
export function externalChoiceOf(options: Options): ExternalChoice {
  const external = parseChoice(String(options.external), '--external', ['none', 'weights'])
  const prefetch = parseChoice(String(options.prefetch), '--prefetch', ['next', 'none'])
  const window = options.window === undefined ? undefined : parseSize(String(options.window), '--window')
  if (window !== undefined && external === 'none')
    throw new InputError('--window', 'is for weights in slow memory', 'add --external weights')
  return { ...(external === 'weights' && { external, window }), ...(prefetch === 'none' && { prefetch }) }
}

function stagesText({ stages, macs }: Plan): string {
  const texts = stages.map(({ kind, first, layers, count }) => {
    const run = layers === 1 ? `layer ${first}` : `layers ${first} to ${first + layers - 1}`
    return `${run} by ${kind === 'rows' ? 'rows' : `${count} ${kind}`}`
  })
  const extra = stages.reduce((n, s) => n + s.extraMacs, 0)
  return `${texts.join(', ')}${extra > 0 ? ` (${((100 * extra) / (macs - extra)).toFixed(1)}% more MACs)` : ''}`
}

export function planLine(plan: Plan): string {
  const { arenaBytes, lowerBoundBytes, weightBytes, stages } = plan
  const pieces = stages.length > 0 ? `, ${stagesText(plan)}` : ''
  const bound =
    arenaBytes === lowerBoundBytes
      ? 'no placement needs less'
      : `lower bound ${bytesText(lowerBoundBytes)}, ${bytesText(arenaBytes - lowerBoundBytes)} above it`
  return `arena ${bytesText(arenaBytes)} (${bound})${pieces}, weights ${bytesText(weightBytes)}`
}
