// Emits a plan as one WebAssembly module: the weight segment as data at the start of memory, the arena after it, each
// distinct kernel once, and `init`, `run` and `run_layers`, which call the kernels with the addresses of the plan.

import { bug } from '../../errors.ts'
import type { Graph, Value } from '../../ir/graph.ts'
import { fingerprint } from '../../ir/hash.ts'
import { kernelKey } from '../../loops/print.ts'
import type { Place, Plan } from '../../plan/plan.ts'
import { encodeModule, type Func, FuncBody, NO_RESULT } from './encoder.ts'
import { kernelFunc } from './kernel.ts'

const PAGE = 65536
const ALIGN = 16

export interface WasmLayout {
  /** Address of the weight segment's first byte. */
  readonly weightsBase: number
  /** Address of the arena's first byte. */
  readonly arenaBase: number
  /** Size of the memory in pages of 64 KiB. */
  readonly pages: number
}

/** Where a plan's segments lie in the module's memory. */
export function wasmLayout(plan: Plan): WasmLayout {
  const arenaBase = Math.ceil(plan.weights.bytes.length / ALIGN) * ALIGN
  return { weightsBase: 0, arenaBase, pages: Math.ceil((arenaBase + plan.arenaBytes) / PAGE) }
}

/** The address of a place's first byte. */
export function wasmAddress(layout: WasmLayout, place: Place): number {
  return (place.segment === 'arena' ? layout.arenaBase : layout.weightsBase) + place.offset
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
 * The program as a module that imports nothing. Exports `memory`; `init()` sets state to its initial values; `run()`
 * executes every step; `run_layers(first, last)` executes steps first to last - 1; and constants: `input0`, `output0` and
 * so on, the addresses of tensors, `interface` and `layout`, by which loaders know what fits together.
 */
export function emitWasm(plan: Plan, { weights = 'inside' }: WasmOptions = {}): Uint8Array {
  const layout = wasmLayout(plan)
  const kernels: Func[] = []
  const indices = new Map<string, number>()
  const calls = plan.steps.map((step, i) => {
    const { kernel } = step.call
    const key = kernelKey(kernel)
    let index = indices.get(key)
    if (index === undefined) {
      index = kernels.push(kernelFunc(kernel, `${kernel.name}#${i}`)) - 1
      indices.set(key, index)
    }
    if (step.places.length !== kernel.bufs.length)
      bug(`kernel "${kernel.name}" has ${kernel.bufs.length} buffers, its step has ${step.places.length} places`)
    return { index, addresses: step.places.map((p) => wasmAddress(layout, p)) }
  })

  const init = new FuncBody([])
  for (const { place, initial } of plan.state) {
    const to = wasmAddress(layout, place)
    for (let done = 0, n: number; done < place.bytes; done += n) {
      n = Math.min(done || initial.bytes, place.bytes - done)
      init.i32(to + done)
      init.i32(done ? to : wasmAddress(layout, initial))
      init.i32(n)
      init.op('memory.copy', 0, 0)
    }
  }
  const runLayers = dispatch(calls)
  const run = new FuncBody([])
  run.i32(0)
  run.i32(calls.length)
  run.op('call', kernels.length + 1)

  const exported = ['init', 'run_layers', 'run'] as const
  const constants = Object.entries({
    interface: interfaceOf(plan.graph),
    layout: layoutOf(plan),
    ...addresses(plan, layout),
  })
  return encodeModule({
    funcs: [...kernels, init.func('init'), runLayers.func('run_layers'), run.func('run')],
    memory: { min: layout.pages, max: layout.pages },
    globals: constants.map(([, value]) => value),
    exports: [
      { name: 'memory', kind: 'memory', index: 0 },
      ...exported.map((name, i) => ({ name, kind: 'func' as const, index: kernels.length + i })),
      ...constants.map(([name], index) => ({ name, kind: 'global' as const, index })),
    ],
    data:
      weights === 'inside' && plan.weights.bytes.length > 0
        ? [{ offset: layout.weightsBase, bytes: plan.weights.bytes }]
        : [],
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

/** A loop over step numbers around a jump table: the block that ends before step i is left by label i. */
function dispatch(calls: readonly { readonly index: number; readonly addresses: readonly number[] }[]): FuncBody {
  const [step, last] = [0, 1]
  const f = new FuncBody(['i32', 'i32'])
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
  for (const [i, { index, addresses }] of calls.entries()) {
    for (const a of addresses) f.i32(a)
    f.op('call', index)
    f.op('br', calls.length - 1 - i)
    f.op('end')
  }
  f.get(step)
  f.i32(1)
  f.op('i32.add')
  f.set(step)
  f.op('br', 1)
  f.op('end')
  f.op('end')
  return f
}
