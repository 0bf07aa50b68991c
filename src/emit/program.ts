// The whole road from a graph to a program: passes, plan, printer.

import { BudgetError, InputError } from '../errors.ts'
import { type Graph, type Value, valuesOf } from '../ir/graph.ts'
import { deadChannels } from '../passes/dead_channels.ts'
import { INFERENCE, runPasses } from '../passes/index.ts'
import { stage } from '../passes/stage.ts'
import { makePlan, placedBytes } from '../plan/make.ts'
import type { Plan } from '../plan/plan.ts'
import { targetOf } from '../targets/index.ts'
import type { Target } from '../targets/target.ts'
import { emitC, identifier } from './c/program.ts'
import { emitWasm } from './wasm/module.ts'

/** What to compile for, and within which limits; everything may be left out. */
export interface CompileOptions {
  /** `wasm`, `c`, `portable`, `cortex-m4`, `cortex-m7` or `cortex-m55`. Default `wasm`. */
  readonly target?: string
  /** Names the files and the C functions. Default: the graph's name. */
  readonly name?: string
  /** Limits in bytes: RAM for the arena, and flash for the weights. */
  readonly sram?: number
  readonly flash?: number
  /** `streamed`: the input, one image, is given row by row (C only) and never held as a whole. Default `held`. */
  readonly input?: 'held' | 'streamed'
  /** `rows`: the first layers row by row where that saves RAM; `auto` (default): only where `sram` asks for it; `none`. */
  readonly stage?: 'auto' | 'none' | 'rows'
  /** Keep channels that no output depends on, so that the program's form does not depend on the weights. Default false. */
  readonly keepChannels?: boolean
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
  const target = targetOf(options.target ?? 'wasm')
  const passes = options.keepChannels ? INFERENCE.filter(({ pass }) => pass !== deadChannels) : INFERENCE
  const plan = staged(runPasses(graph, passes), target, options)
  checkBudget(plan, options)
  return programOf(graph, plan, options.name)
}

/** Prints a plan that was made from `graph`. */
export function programOf(graph: Graph, plan: Plan, givenName = graph.name): Program {
  const { target } = plan
  const name = identifier(givenName)
  const kept = new Set(valuesOf(plan.graph).map((v) => v.name))
  const absorbed = graph.nodes.flatMap((node) => node.outputs).filter((v) => !kept.has(v.name))
  if (target.emits === 'c') {
    const files = emitC(plan, name).files.map((f) => ({ name: f.name, data: f.text }))
    return { name, target: target.name, plan, files, absorbed }
  }
  const wasm = emitWasm(plan)
  return { name, target: target.name, plan, files: [{ name: `${name}.wasm`, data: wasm }], wasm, absorbed }
}

/** The plan of the graph as it is, or of one whose first layers go by rows, as `stage` asks. */
export function staged(graph: Graph, target: Target, { stage: how = 'auto', sram, input }: CompileOptions): Plan {
  if (input === 'streamed') {
    if (target.emits !== 'c')
      throw new InputError('input', `streamed is not available for ${target.name}`, 'choose a target that is C')
    const rows = stage(graph, 'streamed', placedBytes)
    if (!rows || how === 'none')
      throw new InputError(
        'input',
        'streamed needs one image as input and first layers that go by rows',
        'hold the input',
      )
    return { ...makePlan(rows.graph, target), stages: [{ kind: 'rows', layers: rows.nodes, rows: rows.rows }] }
  }
  const plan = makePlan(graph, target)
  if (how === 'none' || (how === 'auto' && (sram === undefined || plan.arenaBytes <= sram))) return plan
  const rows = stage(graph, 'held', placedBytes)
  const byRows = rows && makePlan(rows.graph, target)
  if (!byRows || byRows.arenaBytes >= plan.arenaBytes) return plan
  return { ...byRows, stages: [{ kind: 'rows', layers: rows.nodes, rows: rows.rows }] }
}

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
