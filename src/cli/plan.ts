// What commands say about a plan, and the options that choose one.

import { InputError } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'
import { bytesText } from '../report/figures.ts'
import type { Command, Options } from './command.ts'
import { parseChoice } from './numbers.ts'

export const PLAN_OPTIONS: Command['options'] = [
  ['--input <how>', 'where the input is while the program runs: held', 'held'],
  ['--stage <how>', 'layers that run piece by piece: auto, none', 'auto'],
]

/** Choices of the plan that have one answer so far; the others are refused, not ignored. */
export function checkPlanOptions(options: Options): void {
  const known: Readonly<Record<string, readonly [have: readonly string[], later: readonly string[]]>> = {
    input: [['held'], ['streamed']],
    stage: [
      ['auto', 'none'],
      ['rows', 'patches'],
    ],
  }
  for (const [name, [have, later]] of Object.entries(known)) {
    const chosen = parseChoice(String(options[name]), `--${name}`, [...have, ...later])
    if (later.includes(chosen))
      throw new InputError(`--${name}`, `"${chosen}" is not available yet`, `choose from ${have.join(', ')}`)
  }
}

export function planJson(plan: Plan) {
  const { arenaBytes, lowerBoundBytes, weightBytes, macs } = plan
  return { arenaBytes, lowerBoundBytes, weightBytes, macs, stages: [], inputHeld: true }
}

export function planLine(plan: Plan): string {
  const { arenaBytes, lowerBoundBytes, weightBytes } = plan
  const bound =
    arenaBytes === lowerBoundBytes
      ? 'no placement needs less'
      : `lower bound ${bytesText(lowerBoundBytes)}, ${bytesText(arenaBytes - lowerBoundBytes)} above it`
  return `arena ${bytesText(arenaBytes)} (${bound}), weights ${bytesText(weightBytes)}`
}
