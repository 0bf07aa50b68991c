// The whole road from a graph to a program: passes, plan, printer.

import { BudgetError, InputError } from '../errors.ts'
import { type Graph, type Value, valuesOf } from '../ir/graph.ts'
import { stepInLess } from '../passes/backward.ts'
import { updatesEarly } from '../passes/blocks.ts'
import { deadChannels } from '../passes/dead_channels.ts'
import { inPlaceByChannel } from '../passes/in_place.ts'
import { INFERENCE, runPasses } from '../passes/index.ts'
import { parallel } from '../passes/parallel.ts'
import { type Staged, type StageOptions, stage } from '../passes/stage.ts'
import type { ExternalOptions } from '../plan/external.ts'
import { KnownWork, makePlan, placedBytes, stateBytes } from '../plan/make.ts'
import type { Plan } from '../plan/plan.ts'
import { fastOf, targetOf } from '../targets/index.ts'
import type { Target } from '../targets/target.ts'
import { imageOf } from './c/external.ts'
import { emitC, identifier } from './c/program.ts'
import { emitWasm } from './wasm/module.ts'

/** Plans of a training step that are made to find the fewest groups of channels for its memory. */
const TRIES = 3
/** Groups are not made smaller for less than this. */
const NEAR = 1.01

/** More share a run at no gain: images have some ten to some hundred rows. */
export const MOST_THREADS = 64

export type StageChoice = 'auto' | 'none' | 'rows' | 'patches' | `patches:${number}x${number}`

/** What to compile for, and within which limits; everything may be left out. */
export interface CompileOptions {
  /** `wasm`, `c`, `portable`, `cortex-m4`, `cortex-m7` or `cortex-m55`. Default `wasm`. */
  readonly target?: string
  /** Names the files and the C functions. Default: the graph's name. */
  readonly name?: string
  /** Limits in bytes: RAM for the arena, and flash for the weights. */
  readonly sram?: number
  readonly flash?: number
  /**
   * `streamed`: the input, one image, is given row by row (C only) and never held as a whole; `external`: the program reads
   * the rows itself, from slow memory. Default `held`.
   */
  readonly input?: 'held' | 'streamed' | 'external'
  /**
   * `weights`: constants stand in slow memory (C only) and are read while the program runs; with `flash` only those of the
   * largest layers, as many as it takes for the rest to fit. Default `none`.
   */
  readonly external?: 'weights' | 'none'
  /** With `external`: bytes of constants that one step may read; larger layers are split. Default: as many as the largest has. */
  readonly window?: number
  /** What slow memory is read ahead: `next` (default), while the step before runs; `none`, which takes less RAM. */
  readonly prefetch?: 'next' | 'none'
  /**
   * `rows`: layers by rows where that saves RAM; `patches`: by patches, of a grid down x across where that is given; `auto`
   * (default): what saves most, only where `sram` asks for it; `none`.
   */
  readonly stage?: StageChoice
  /** What layers by patches may take, as a multiple of the model's multiply-accumulates. Default 1.1. */
  readonly maxRecompute?: number
  /** Keep channels that no output depends on, so that the program's form does not depend on the weights. Default false. */
  readonly keepChannels?: boolean
  /**
   * Float32 sums of products in fused multiply-adds (WebAssembly's relaxed_madd): for engines with relaxed SIMD only, and the last
   * bits are no longer those of every other machine. Default false: exact.
   */
  readonly fast?: boolean
  /**
   * The most threads that may share a run (WebAssembly only): layers that take long enough are cut into so many blocks of
   * rows. Any number of threads up to this gives the same bits. Default 1.
   */
  readonly threads?: number
}

/** A file of the program: text of C, or the bytes of a module. */
export interface OutputFile {
  readonly name: string
  readonly data: Uint8Array | string
}

/** A compiled model: the plan, what it costs, and the files that are the program. */
export interface Program {
  readonly name: string
  readonly target: string
  readonly plan: Plan
  readonly files: readonly OutputFile[]
  /** The module, where the target is WebAssembly. */
  readonly wasm?: Uint8Array
  /** Tensors of the model that the program never holds as they were: another layer's loops absorbed them, or channels are gone. */
  readonly absorbed: readonly Value[]
}

/** Compiles a graph. Throws BudgetError where it does not fit `sram` or `flash`, ModelError where the graph is at fault. */
export function compile(graph: Graph, options: CompileOptions = {}): Program {
  const plan = planOf(graph, options)
  checkBudget(plan, options)
  return programOf(graph, plan, options.name)
}

/** The plan that `compile` makes, whether or not it fits. */
export function planOf(graph: Graph, options: CompileOptions): Plan {
  const passes = options.keepChannels ? INFERENCE.filter(({ pass }) => pass !== deadChannels) : INFERENCE
  const target = targetOf(options.target ?? 'wasm')
  return staged(runPasses(graph, passes), options.fast ? fastOf(target) : target, options)
}

/** Prints a plan that was made from `graph`. */
export function programOf(graph: Graph, plan: Plan, givenName = graph.name): Program {
  const { target } = plan
  const name = identifier(givenName)
  const kept = new Set(valuesOf(plan.graph).map((v) => v.name))
  const absorbed = graph.nodes.flatMap((node) => node.outputs).filter((v) => !kept.has(v.name))
  if (target.emits === 'c') {
    const files: OutputFile[] = emitC(plan, name).files.map((f) => ({ name: f.name, data: f.text }))
    if (plan.external?.weights) files.push({ name: `${name}_weights.bin`, data: imageOf(plan.external.weights) })
    return { name, target: target.name, plan, files, absorbed }
  }
  const wasm = emitWasm(plan)
  return { name, target: target.name, plan, files: [{ name: `${name}.wasm`, data: wasm }], wasm, absorbed }
}

/** The plan of the graph as it is, or of one with layers piece by piece, as `stage` asks. */
export function staged(graph: Graph, target: Target, options: CompileOptions): Plan {
  if (graph.learns && options.stage !== 'none' && (options.threads ?? 1) === 1) return stepPlan(graph, target, options)
  const { stage: how = 'auto', sram, input = 'held' } = options
  const slow = externalOptions(target, options)
  if (options.threads !== undefined && options.threads !== 1) return threaded(graph, target, options.threads, options)
  if (input !== 'held') {
    if (target.emits !== 'c') throw notStreamed(input, target)
    const pieces = how === 'none' ? undefined : stage(graph, { ...stageOptions(options), input: 'streamed' })
    if (!pieces)
      throw new InputError(
        'input',
        `${input} needs one image as input and first layers that go by rows`,
        'hold the input',
      )
    return { ...makePlan(pieces.graph, target, slow), stages: pieces.stages }
  }
  const fits = (p: Plan) => sram === undefined || p.arenaBytes <= sram
  const natural = target.recipes.some((r) => r.byChannel)
  const first = makePlan(natural ? inPlaceByChannel(graph) : graph, target, slow)
  const plan = natural || fits(first) ? first : makePlan(inPlaceByChannel(graph), target, slow)
  if (how === 'none' || (how === 'auto' && (sram === undefined || fits(plan)))) return plan
  const byPieces = (limit: number | undefined) => {
    const pieces = stage(graph, stageOptions({ ...options, sram: limit }))
    return pieces && { ...makePlan(pieces.graph, target, slow), stages: pieces.stages }
  }
  // what just fits in tensors may not with a kernel's working space: then the least that there is
  const near = byPieces(sram)
  const best = near && (fits(near) || how !== 'auto') ? near : byPieces(undefined)
  return best && best.arenaBytes < plan.arenaBytes ? best : plan
}

/**
 * The plan of a training step: its forward pass by pieces and its backward pass by groups of channels, as many as its least memory
 * needs, or as fit `sram` with `auto`.
 */
function stepPlan(graph: Graph, target: Target, options: CompileOptions): Plan {
  const { stage: how = 'auto', sram, input = 'held' } = options
  const slow = externalOptions(target, options)
  const early = updatesEarly(graph)
  const known = new KnownWork()
  if (how === 'auto' && input === 'held') {
    const plain = staged(early, target, { ...options, stage: 'none' })
    if (plain.arenaBytes <= (sram ?? Number.POSITIVE_INFINITY)) return plain
  }
  if (input !== 'held' && target.emits !== 'c') throw notStreamed(input, target)
  const given = { ...stageOptions(options), input: input === 'held' ? 'held' : 'streamed' } as const
  const planned = ({ graph: made, stages }: Staged): Plan => ({ ...makePlan(made, target, slow, known), stages })
  const state = stateBytes(early)
  const within = (bytes: number) => planned(stepInLess(early, { ...given, sram: Math.floor(bytes) }))
  let best: Plan | undefined
  if (how === 'auto' && sram !== undefined)
    // what just fits in tensors may not with a kernel's working space
    for (let k = 0, limit = sram - state; k < TRIES && limit > 0; k++) {
      const plan = within(limit)
      if (plan.arenaBytes <= sram) return plan
      if (!best || plan.arenaBytes < best.arenaBytes) best = plan
      limit -= plan.arenaBytes - sram
    }
  const least = stepInLess(early, { ...given, sram: undefined })
  const plan = how === 'auto' && sram !== undefined ? planned(least) : within(placedBytes(least.graph) * NEAR)
  return best && best.arenaBytes < plan.arenaBytes ? best : plan
}

/** The plan of a graph whose layers `threads` threads may share. */
function threaded(
  graph: Graph,
  target: Target,
  threads: number,
  { stage: how = 'auto', input = 'held' }: CompileOptions,
): Plan {
  const whole = Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS
  if (!whole) throw new InputError('threads', `${threads} is not a number from 1 to ${MOST_THREADS}`)
  if (target.emits !== 'wasm')
    throw new InputError('threads', `are not available for ${target.name}`, 'choose a target that is WebAssembly')
  if (how === 'rows' || how.startsWith('patches') || input !== 'held')
    throw new InputError('threads', 'share whole layers, which go neither by pieces nor row by row', 'leave one out')
  const plan = makePlan(parallel(graph, threads), target)
  return plan.threads ? { ...plan, threads: { ...plan.threads, most: Math.min(threads, plan.threads.most) } } : plan
}

function stageOptions({ stage: how = 'auto', sram, maxRecompute }: CompileOptions): StageOptions {
  const grid = /^patches:(\d+)x(\d+)$/.exec(how)?.slice(1).map(Number)
  if (grid?.some((n) => n < 1)) throw new InputError('stage', `${how} has no patches`, 'patches:2x2 are four')
  const kind = how.startsWith('patches') ? 'patches' : how === 'rows' ? 'rows' : 'any'
  const [down, across] = grid ?? []
  return {
    kind,
    maxRecompute: maxRecompute ?? (grid ? Number.POSITIVE_INFINITY : undefined),
    bytesNeeded: placedBytes,
    ...(grid && { grid: [down, across] }),
    ...(how === 'auto' && { sram }),
  }
}

function externalOptions(target: Target, options: CompileOptions): ExternalOptions {
  const { external = 'none', window, prefetch, flash, input } = options
  const weights = external === 'weights'
  if (weights && target.emits !== 'c')
    throw new InputError('external', `weights is not available for ${target.name}`, 'choose a target that is C')
  if (!weights && window !== undefined)
    throw new InputError('window', 'is for constants in slow memory', 'add external: weights')
  return { weights, window, flash, prefetch, input: input === 'external' }
}

const notStreamed = (input: string, { name }: Target) =>
  new InputError('input', `${input} is not available for ${name}`, 'choose a target that is C')

/** Throws BudgetError where the plan does not fit `sram` or `flash`. */
export function checkBudget(plan: Plan, { sram, flash }: CompileOptions): void {
  if (sram !== undefined && plan.arenaBytes > sram) {
    const peak = plan.layers.reduce((a, b) => (b.liveBytes > a.liveBytes ? b : a))
    throw new BudgetError(
      plan.graph.name,
      `needs ${plan.arenaBytes} bytes of RAM, limit is ${sram}; peak at ${peak.op} "${peak.name}" (${peak.liveBytes} bytes live)`,
      plan.lowerBoundBytes > sram
        ? `no placement of these tensors needs less than ${plan.lowerBoundBytes} bytes; use a smaller input or model`
        : undefined,
    )
  }
  if (flash !== undefined && plan.weightBytes > flash)
    throw new BudgetError(
      plan.graph.name,
      `weights take ${plan.weightBytes} bytes of flash, limit is ${flash} (code comes on top)`,
      'quantise the weights or use a narrower model',
    )
}
