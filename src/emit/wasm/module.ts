// Emits a plan as one WebAssembly module: the weight segment as data at the start of memory, the arena after it, each
// distinct kernel once, and `init`, `run` and `run_layers`, which call the kernels with the addresses of the plan.

import { bug } from '../../errors.ts'
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

/**
 * The program as a module that imports nothing. Exports `memory`; `init()` sets state to its initial values; `run()`
 * executes every step; `run_layers(first, last)` executes steps first to last - 1.
 */
export function emitWasm(plan: Plan): Uint8Array {
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
    init.i32(wasmAddress(layout, place))
    init.i32(wasmAddress(layout, initial))
    init.i32(initial.bytes)
    init.op('memory.copy', 0, 0)
  }
  const runLayers = dispatch(calls)
  const run = new FuncBody([])
  run.i32(0)
  run.i32(calls.length)
  run.op('call', kernels.length + 1)

  const exported = ['init', 'run_layers', 'run'] as const
  return encodeModule({
    funcs: [...kernels, init.func('init'), runLayers.func('run_layers'), run.func('run')],
    memory: { min: layout.pages, max: layout.pages },
    exports: [
      { name: 'memory', kind: 'memory', index: 0 },
      ...exported.map((name, i) => ({ name, kind: 'func' as const, index: kernels.length + i })),
    ],
    data: plan.weights.bytes.length > 0 ? [{ offset: layout.weightsBase, bytes: plan.weights.bytes }] : [],
  })
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
