// Compiling within limits of RAM, flash and instructions. What only a build or a run can tell is measured with gcc for Arm
// and QEMU; what does not fit is refused with the changes that were tried and fit.

import { type CompileOptions, checkBudget, type Program, planOf, programOf } from '../emit/program.ts'
import { BudgetError, InputError, MoteError, ToolError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import { bytesText, countText } from '../report/figures.ts'
import {
  benchDevice,
  codeBytesOf,
  DEVICE_HINT,
  DEVICE_NAMES,
  type DeviceReport,
  missingDeviceTools,
} from '../run/device.ts'
import { BOARDS, type Board } from '../targets/boards.ts'
import { targetOf } from '../targets/index.ts'
import { generated } from './inputs.ts'

/** Bytes, and instructions of one run. */
export interface Limits {
  readonly sram?: number
  readonly flash?: number
  readonly maxInstructions?: number
}

/** What a build, and perhaps a run, tells of a program. */
interface Figures {
  /** Machine code and its constants; absent where nothing was built. */
  readonly codeBytes?: number
  readonly report?: DeviceReport
}

/** A program, and what its limits made us measure. */
export interface Measured extends Figures {
  readonly program: Program
}

/** Throws where instructions are limited and cannot be counted: InputError for the target, ToolError for missing tools. */
export function checkCountable(target: string, { maxInstructions }: Limits): void {
  if (maxInstructions === undefined) return
  if (!DEVICE_NAMES.includes(target))
    throw new InputError(
      '--max-instructions',
      `cannot be counted for target ${target}`,
      `choose --target ${DEVICE_NAMES.join(', ')}`,
    )
  const missing = missingDeviceTools()
  if (missing.length > 0)
    throw new ToolError('--max-instructions', `needs ${missing.join(' and ')}, not installed here`, DEVICE_HINT)
}

const programs = new WeakMap<Graph, Map<string, Program>>()
const figures = new WeakMap<Program, Figures>()

/** The program of these choices, whether or not it fits, compiled once. */
function compiled(graph: Graph, options: CompileOptions): Program {
  const made = programs.get(graph) ?? new Map<string, Program>()
  programs.set(graph, made)
  const key = JSON.stringify(options)
  const program = made.get(key) ?? programOf(graph, planOf(graph, options), options.name)
  made.set(key, program)
  return program
}

/** What the limits make of these choices; more than enough RAM makes what no limit makes. */
function choose(graph: Graph, options: CompileOptions, { sram, flash }: Limits): Program {
  const free = { ...options, ...(options.external === 'weights' && { flash }) }
  const whole = compiled(graph, free)
  return sram !== undefined && whole.plan.arenaBytes > sram ? compiled(graph, { ...free, sram }) : whole
}

/** Builds a program, and with `runs` runs it, once. */
function figuresOf(program: Program, runs: boolean): Figures {
  const { plan, target } = program
  const before = figures.get(program)
  if (before && (before.report || !runs)) return before
  const take = (): Figures => {
    if (runs) {
      const report = benchDevice(plan, target, generated(plan.graph.inputs, 1))
      return { codeBytes: report.codeBytes, report }
    }
    try {
      return { codeBytes: codeBytesOf(plan, target) }
    } catch (error) {
      if (error instanceof ToolError) return {} // larger than the memory of any emulated board
      throw error
    }
  }
  const taken = take()
  figures.set(program, taken)
  return taken
}

/** Bytes of flash beside the weights in which the code of every model has room: it has come to less than a tenth of it. */
const ROOM_FOR_CODE = 512 * 1024

/** Nothing is built for its code alone where more than `room` bytes of flash are left. */
function measured(program: Program, { flash, maxInstructions }: Limits, room = Number.POSITIVE_INFINITY): Measured {
  const runs = maxInstructions !== undefined
  const tight = flash !== undefined && flash - program.plan.weightBytes <= room
  const builds = tight && DEVICE_NAMES.includes(program.target) && missingDeviceTools().length === 0
  return { program, ...((runs || builds) && figuresOf(program, runs)) }
}

function heaviest({ layers }: DeviceReport, { plan }: Program): string {
  return layers
    .map((layer, i) => ({ ...layer, op: plan.steps[i].node.op.name }))
    .sort((a, b) => b.instructions - a.instructions)
    .slice(0, 3)
    .map(
      ({ op, name, instructions }) => `${op} "${name.length > 40 ? `${name.slice(0, 37)}...` : name}" ${instructions}`,
    )
    .join(', ')
}

/** The program within its limits; throws BudgetError where something is more than its limit. */
function attempt(
  graph: Graph,
  options: CompileOptions,
  limits: Limits,
  room?: number,
  flashOfWeights = limits.flash,
): Measured {
  const { flash, maxInstructions } = limits
  const program = choose(graph, options, { ...limits, flash: flashOfWeights })
  checkBudget(program.plan, limits)
  const made = measured(program, limits, room)
  const { codeBytes = 0, report } = made
  const { weightBytes } = program.plan
  const both = weightBytes + codeBytes
  if (flash !== undefined && flashOfWeights !== undefined && both > flash) {
    const left = flashOfWeights - (both - flash)
    if (options.external === 'weights' && left > 0) return attempt(graph, options, limits, room, left)
    throw new BudgetError(
      graph.name,
      `weights and code take ${weightBytes} + ${codeBytes} = ${both} bytes of flash, limit is ${flash}`,
    )
  }
  if (maxInstructions !== undefined && report && report.instructions > maxInstructions)
    throw new BudgetError(
      graph.name,
      `a run takes ${report.instructions} instructions on ${report.on}, limit is ${maxInstructions}; heaviest: ${heaviest(report, program)}`,
    )
  return made
}

/** The attempt, or undefined where it does not fit, cannot be measured, or the model has no such form. */
function fitting(graph: Graph, options: CompileOptions, limits: Limits, room?: number): Measured | undefined {
  try {
    return attempt(graph, options, limits, room)
  } catch (error) {
    if (error instanceof MoteError) return undefined
    throw error
  }
}

function costText({ program: { plan }, codeBytes, report }: Measured): string {
  const flash = codeBytes === undefined ? '' : `, flash ${bytesText(plan.weightBytes + codeBytes)}`
  return `RAM ${bytesText(plan.arenaBytes)}${flash}${report ? `, ${countText(report.instructions)} instructions` : ''}`
}

/** What a program takes, for people, with its share of each limit. */
export function costLines({ program, codeBytes, report }: Measured, limits: Limits): string[] {
  const { arenaBytes, weightBytes } = program.plan
  const line = (label: string, used: number, limit: number | undefined, text: (n: number) => string) =>
    `  ${label.padEnd(18)} ${text(used)}${limit === undefined ? '' : `, ${((100 * used) / limit).toFixed(1)}% of ${text(limit)}`}`
  const whole = codeBytes !== undefined
  return [
    line('RAM for tensors', arenaBytes, limits.sram, bytesText),
    line('flash for weights', weightBytes, whole ? undefined : limits.flash, bytesText),
    ...(whole
      ? [
          line('flash for code', codeBytes, undefined, bytesText),
          line('flash for both', weightBytes + codeBytes, limits.flash, bytesText),
        ]
      : []),
    ...(report ? [line('instructions', report.instructions, limits.maxInstructions, countText)] : []),
    `  (stack${whole ? '' : ', code'} and the rest of the firmware come on top)`,
  ]
}

type Way = readonly [flags: string, change: CompileOptions]

/** Other choices for the same machine, and other cores where no board is given and instructions are limited. */
function ways(options: CompileOptions, { flash, maxInstructions }: Limits, board: Board | undefined): Way[] {
  const { stage, input, keepChannels, external = 'none', target = 'wasm' } = options
  const isC = targetOf(target).emits === 'c'
  const cores = board || maxInstructions === undefined ? [] : DEVICE_NAMES.filter((name) => name !== target)
  const all: readonly (Way | false)[] = [
    stage !== 'auto' && ['--stage auto', { stage: 'auto' }],
    stage === 'auto' && maxInstructions !== undefined && ['--stage rows', { stage: 'rows' }],
    stage !== 'none' && maxInstructions !== undefined && ['--stage none', { stage: 'none' }],
    keepChannels === true && ['no --keep-channels', { keepChannels: false }],
    input === 'streamed' && ['--input held', { input: 'held' }],
    isC && input === 'held' && stage !== 'none' && ['--input streamed', { input: 'streamed' }],
    isC && flash !== undefined && external === 'none' && ['--external weights', { external: 'weights' }],
    ...cores.map((name): Way => [`--target ${name}`, { target: name }]),
  ]
  return all.filter((way) => way !== false)
}

function changes(graph: Graph, options: CompileOptions, limits: Limits, board: Board | undefined): string[] {
  const others = ways(options, limits, board).flatMap(([flags, change]) => {
    const fits = fitting(graph, { ...options, ...change }, limits)
    return fits ? [`${flags} fits (${costText(fits)})`] : []
  })
  const own = measured(choose(graph, options, limits), limits)
  const { arenaBytes, weightBytes } = own.program.plan
  const needs: readonly [flag: string, needed: number, limit?: number, ofBoard?: number][] = [
    ['--sram', arenaBytes, limits.sram, board?.sram],
    ['--flash', weightBytes + (own.codeBytes ?? 0), limits.flash, board?.flash],
    ['--max-instructions', own.report?.instructions ?? 0, limits.maxInstructions],
  ]
  const raised = needs.flatMap(([flag, needed, limit = Number.POSITIVE_INFINITY, ofBoard]) =>
    needed > limit && limit !== ofBoard ? [`${flag} ${needed}`] : [],
  )
  const { maxInstructions } = limits
  const boards = BOARDS.filter(
    ({ name, target, sram, flash }) =>
      name !== board?.name && fitting(graph, { ...options, target }, { sram, flash, maxInstructions }, ROOM_FOR_CODE),
  )
  return [
    ...others,
    ...(raised.length > 0 ? [`it fits ${raised.join(' ')}`] : []),
    ...(boards.length > 0 ? [`boards that hold it: ${boards.map((b) => b.name).join(', ')}`] : []),
  ]
}

/** Compiles; what does not fit is refused with BudgetError, whose hint names the nearest changes that fit. */
export function compileWithin(graph: Graph, options: CompileOptions, limits: Limits, board?: Board): Measured {
  try {
    return attempt(graph, options, limits)
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error
    const what = error.where ? error.message.slice(error.where.length + 2) : error.message
    const hints = [...(error.hint ? [error.hint] : []), ...changes(graph, options, limits, board)]
    throw new BudgetError(error.where, what, hints.join('; '))
  }
}
