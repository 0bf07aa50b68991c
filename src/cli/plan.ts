// What commands say about a plan, and the options that choose one.

import type { CompileOptions } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'
import { bytesText } from '../report/figures.ts'
import type { Command, Options } from './command.ts'
import { parseChoice } from './numbers.ts'

export const PLAN_OPTIONS: Command['options'] = [
  ['--input <how>', 'where the input is while the program runs: held, or streamed row by row (C only)', 'held'],
  ['--stage <how>', 'first layers row by row: auto (where --sram asks for it), none, rows', 'auto'],
]

/** Choices of the plan that have one answer so far; the others are refused, not ignored. */
export function checkPlanOptions(options: Options): void {
  const known: Readonly<Record<string, readonly [have: readonly string[], later: readonly string[]]>> = {
    input: [['held', 'streamed'], []],
    stage: [['auto', 'none', 'rows'], ['patches']],
  }
  for (const [name, [have, later]] of Object.entries(known)) {
    const chosen = parseChoice(String(options[name]), `--${name}`, [...have, ...later])
    if (later.includes(chosen))
      throw new InputError(`--${name}`, `"${chosen}" is not available yet`, `choose from ${have.join(', ')}`)
  }
}

export function planJson(plan: Plan) {
  const { arenaBytes, lowerBoundBytes, weightBytes, macs, stages } = plan
  return { arenaBytes, lowerBoundBytes, weightBytes, macs, stages, inputHeld: plan.streamed === undefined }
}

export type PlanChoice = Pick<CompileOptions, 'stage' | 'input'>

/** What `--stage` and `--input` say, checked before. */
export function planChoiceOf(options: Options): PlanChoice {
  return { stage: options.stage as CompileOptions['stage'], input: options.input as CompileOptions['input'] }
}

export function planLine(plan: Plan): string {
  const { arenaBytes, lowerBoundBytes, weightBytes, stages } = plan
  const rows = stages.map((s) => `, the first ${s.layers} layers by rows`).join('')
  const bound =
    arenaBytes === lowerBoundBytes
      ? 'no placement needs less'
      : `lower bound ${bytesText(lowerBoundBytes)}, ${bytesText(arenaBytes - lowerBoundBytes)} above it`
  return `arena ${bytesText(arenaBytes)} (${bound})${rows}, weights ${bytesText(weightBytes)}`
}
