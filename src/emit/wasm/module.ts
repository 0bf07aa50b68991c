// Emits a plan as one WebAssembly module: the weight segment as data at the start of memory, the arena after it, then the
// constants that are made, each distinct kernel once, and `init`, `run` and `run_layers`, which call the kernels with the
// addresses of the plan. What constants are made from lies where the arena is, which is used only after that.

import { bug } from '../../errors.ts'
import type { Graph, Value } from '../../ir/graph.ts'
import { fingerprint } from '../../ir/hash.ts'
import type { Kernel } from '../../loops/ir.ts'
import { kernelKey } from '../../loops/print.ts'
import type { Place, Plan } from '../../plan/plan.ts'
import { encodeModule, type Func, FuncBody, NO_RESULT } from './encoder.ts'
import { kernelFunc } from './kernel.ts'
import { share } from './share.ts'
import { LINE, MEETING_BYTES, threadFuncs } from './threads.ts'

const PAGE = 65536
const MOST_PAGES = 65536
const ALIGN = 16

export interface WasmLayout {
  /** Address of the weight segment's first byte. */
  readonly weightsBase: number
  /** Address of the arena's first byte. */
  readonly arenaBase: number
  /** Address of the first byte of what is made. */
  readonly madeBase: number
  /** Address of what threads meet by, where there are any. */
  readonly meetingBase: number
  /** Size of the memory in pages of 64 KiB. */
  readonly pages: number
}

/** Where a plan's segments lie in the module's memory. */
export function wasmLayout(plan: Plan): WasmLayout {
  const up = (bytes: number, align: number) => Math.ceil(bytes / align) * align
  const stored = plan.weights.bytes.length
  const arenaBase = up(plan.made?.sources ?? stored, ALIGN)
  const madeBase = up(Math.max(arenaBase + plan.arenaBytes, stored), ALIGN)
  const end = plan.made ? madeBase + plan.made.bytes : arenaBase + plan.arenaBytes
  const meetingBase = up(end, LINE)
  const pages = Math.ceil((plan.threads ? meetingBase + MEETING_BYTES : end) / PAGE)
  return { weightsBase: 0, arenaBase, madeBase, meetingBase, pages }
}

/** The address of a place's first byte. */
export function wasmAddress({ arenaBase, madeBase, weightsBase }: WasmLayout, { segment, offset }: Place): number {
  return { arena: arenaBase, made: madeBase, weights: weightsBase }[segment] + offset
}

/** A number of 32 bits that tells apart programs whose inputs or outputs differ in name or type. */
export function interfaceOf({ inputs, outputs }: Graph): number {
  const types = (values: readonly Value[]) =>
    values.map(({ name, type: { dtype, shape, quant: q } }) => [name, dtype, shape, q && [[...q.scale], [...q.zero]]])
  return numberOf(JSON.stringify([types(inputs), types(outputs)]))
}

/** The same for programs that cannot exchange their weights: the layout of the weights is another, or the interface is. */
export function layoutOf({ weights, graph }: Plan): number {
  return numberOf(`${weights.layoutId} ${interfaceOf(graph)}`)
}

const numberOf = (text: string) => Number.parseInt(fingerprint(text), 16)

export interface WasmOptions {
  /** `separate`: the module holds no weights; whoever loads it writes them from address 0 on before `init`. Default `inside`. */
  readonly weights?: 'inside' | 'separate'
}

/**
 * The program as a module that imports nothing, or, where threads share a run, its memory as `env.memory`: shared, and as
 * many pages as `wasmLayout` says. Exports `memory`; `init()`, which is called once, makes constants and sets state to its
 * initial values; `reset()` does the latter again; `run()`
 * executes every step; `run_layers(first, last)` executes steps first to last - 1; and constants: `input0`, `output0` and
 * so on, the addresses of tensors, `interface` and `layout`, by which loaders know what fits together. With threads,
 * `run_with(threads)` runs what `threads` of them share: each of the others has an instance of its own and is in
 * `work(thread, threads)`, which never returns; and `init` also puts the weights into the memory.
 */
export function emitWasm(plan: Plan, { weights = 'inside' }: WasmOptions = {}): Uint8Array {
  const layout = wasmLayout(plan)
  const kernels: Func[] = []
  const indices = new Map<string, number>()
  const callOf = (kernel: Kernel, places: readonly Place[], i: number) => {
    const key = kernelKey(kernel)
    let index = indices.get(key)
    if (index === undefined) {
      index = kernels.push(kernelFunc(kernel, `${kernel.name}#${i}`)) - 1
      indices.set(key, index)
    }
    if (places.length !== kernel.bufs.length)
      bug(`kernel "${kernel.name}" has ${kernel.bufs.length} buffers, its step has ${places.length} places`)
    return { index, addresses: places.map((p) => wasmAddress(layout, p)) }
  }
  const calls = plan.steps.map(({ call, places }, i) => callOf(call.kernel, places, i))
  const making = (plan.made?.steps ?? []).map(({ kernel, places }, i) => callOf(kernel, places, i))
  const { funcs: shared, callees } = share(kernels)
  const given = ({ index, addresses }: (typeof calls)[number]): CallSite => {
    const { index: callee, constants } = callees[index]
    return { index: callee, args: [...addresses, ...constants] }
  }

  const inside = weights === 'inside' && plan.weights.bytes.length > 0
  const init = new FuncBody([])
  if (plan.threads && inside) {
    init.i32(layout.weightsBase)
    init.i32(0)
    init.i32(plan.weights.bytes.length)
    init.op('memory.init', 0, 0)
  }
  for (const made of making) callTo(init, given(made))
  const reset = new FuncBody([])
  for (const { place, initial } of plan.state) {
    const to = wasmAddress(layout, place)
    for (let done = 0, n: number; done < place.bytes; done += n) {
      n = Math.min(done || initial.bytes, place.bytes - done)
      reset.i32(to + done)
      reset.i32(done ? to : wasmAddress(layout, initial))
      reset.i32(n)
      reset.op('memory.copy', 0, 0)
    }
  }
  const steps = dispatch(calls.map(given))
  const stepsIndex = shared.length
  const resetIndex = stepsIndex + 1
  init.op('call', resetIndex)
  const runLayers = new FuncBody(['i32', 'i32'])
  runLayers.get(0)
  runLayers.get(1)
  runLayers.i32(1)
  runLayers.op('call', stepsIndex)
  const run = new FuncBody([])
  run.i32(0)
  run.i32(calls.length)
  run.i32(1)
  run.op('call', stepsIndex)
  const own = { steps, reset, init, run_layers: runLayers, run }
  const funcs = [...shared, ...Object.entries(own).map(([name, body]) => body.func(name))]
  const { threads } = plan
  if (threads)
    funcs.push(...threadFuncs(threads, calls.length, layout.meetingBase, { steps: stepsIndex, own: funcs.length }))

  const exported = ['init', 'reset', 'run_layers', 'run', ...(threads ? ['work', 'run_with'] : [])]
  const constants = Object.entries({
    interface: interfaceOf(plan.graph),
    layout: layoutOf(plan),
    ...addresses(plan, layout),
    ...(plan.learning && {
      state: layout.arenaBase,
      state_bytes: plan.learning.stateBytes,
      predicted: plan.learning.predicted,
      judged: plan.learning.judged,
      steps: plan.steps.length,
    }),
  })
  return encodeModule({
    funcs,
    memory: threads
      ? { min: layout.pages, max: MOST_PAGES, from: ['env', 'memory'], shared: true }
      : { min: layout.pages, max: layout.pages },
    globals: constants.map(([, value]) => value),
    exports: [
      { name: 'memory', kind: 'memory', index: 0 },
      ...exported.map((name) => ({ name, kind: 'func' as const, index: funcs.findLastIndex((f) => f.name === name) })),
      ...constants.map(([name], index) => ({ name, kind: 'global' as const, index })),
    ],
    data: inside ? [{ ...(!threads && { offset: layout.weightsBase }), bytes: plan.weights.bytes }] : [],
  })
}

/** Where inputs and outputs stand, by the names of the exports. */
function addresses(plan: Plan, layout: WasmLayout): Record<string, number> {
  const { inputs, outputs } = plan.graph
  const of = (kind: string, values: readonly Value[]) =>
    values.map((v, i) => {
      const place = plan.places.get(v) ?? bug(`value "${v.name}" has no place`)
      return [`${kind}${i}`, wasmAddress(layout, place)] as const
    })
  return Object.fromEntries([...of('input', inputs), ...of('output', outputs)])
}

/** A call of a function with constants. */
interface CallSite {
  readonly index: number
  readonly args: readonly number[]
}

function callTo(f: FuncBody, { index, args }: CallSite): void {
  for (const a of args) f.i32(a)
  f.op('call', index)
}

/**
 * `steps(first, last, stride)`: every so many steps from `first` to `last` - 1. A loop over step numbers around a jump table: the
 * block that ends before step i is left by label i.
 */
function dispatch(calls: readonly CallSite[]): FuncBody {
  const [step, last, stride] = [0, 1, 2]
  const f = new FuncBody(['i32', 'i32', 'i32'])
  if (calls.length === 0) return f
  f.op('loop', NO_RESULT)
  f.get(step)
  f.get(last)
  f.op('i32.lt_s')
  f.op('if', NO_RESULT)
  f.op('block', NO_RESULT)
  for (const _ of calls) f.op('block', NO_RESULT)
  f.get(step)
  f.op('br_table', calls.length, ...calls.keys(), calls.length)
  f.op('end')
  for (const [i, call] of calls.entries()) {
    callTo(f, call)
    f.op('br', calls.length - 1 - i)
    f.op('end')
  }
  f.get(step)
  f.get(stride)
  f.op('i32.add')
  f.set(step)
  f.op('br', 1)
  f.op('end')
  f.op('end')
  return f
}
