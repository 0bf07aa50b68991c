// Runs WebAssembly: whole programs as emitted from a plan, in Node and browsers, and single kernels for comparisons.

import { compileKernel } from '../emit/wasm/kernel.ts'
import { wasmAddress, wasmLayout } from '../emit/wasm/module.ts'
import { bug, InputError } from '../errors.ts'
import { bytesOf, type Value } from '../ir/graph.ts'
import { count, type Data, elemBytes, elemOfData, type Kernel } from '../loops/ir.ts'
import type { Place, Plan } from '../plan/plan.ts'
import { checkInputs } from './check.ts'
import type { RunningModel } from './model.ts'
import { bytesOfElements, elementsOfBytes } from './stored.ts'

const PAGE = 65536

type WasmFunction = (...args: number[]) => void

function bytesIn(data: Data): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/** A module in memory: its tensors by value, and its steps by number. */
export interface WasmMachine {
  read(v: Value): Data
  write(v: Value, data: Data): void
  /** The bytes of a place, as they are in the module's memory. */
  at(place: Place): Uint8Array
  /** Executes steps `first` to `end` - 1. */
  steps(first: number, end: number): void
  /** State back to its initial values. */
  reset(): void
}

/** What the module of a plan imports: a memory where threads share its runs, else nothing. */
export function importsOf(plan: Plan): WebAssembly.Imports {
  if (!plan.threads) return {}
  const { pages } = wasmLayout(plan)
  return { env: { memory: new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }) } }
}

/** Instantiates what `emitWasm` made of `plan`. Throws InputError where `bytes` are no such module. */
export async function openWasm(bytes: Uint8Array, plan: Plan): Promise<WasmMachine> {
  const { instance } = await WebAssembly.instantiate(bytes as BufferSource, importsOf(plan))
  const { memory, init, reset, run, run_layers: runLayers } = instance.exports
  if (!(memory instanceof WebAssembly.Memory) || [init, reset, run, runLayers].some((f) => typeof f !== 'function'))
    throw new InputError(
      'instantiate',
      'expected exports memory, init, reset, run and run_layers',
      'pass what emitWasm returned',
    )
  const layout = wasmLayout(plan)
  if (memory.buffer.byteLength !== layout.pages * PAGE)
    throw new InputError(
      'instantiate',
      `plan needs ${layout.pages * PAGE} bytes of memory, module has ${memory.buffer.byteLength}`,
      'pass the plan that the module was emitted from',
    )
  const placeOf = (v: Value): Place => plan.places.get(v) ?? bug(`value "${v.name}" has no place`)
  const at = (place: Place, length = place.bytes) => new Uint8Array(memory.buffer, wasmAddress(layout, place), length)
  ;(init as () => void)()
  return {
    read: (v) => elementsOfBytes(v.type, at(placeOf(v), bytesOf(v.type))),
    write: (v, data) => at(placeOf(v), bytesOf(v.type)).set(bytesOfElements(v.type, data)),
    at,
    steps: runLayers as WasmFunction,
    reset: reset as () => void,
  }
}

/** A program that runs: all of it, or step by step. */
export async function instantiateWasm(bytes: Uint8Array, plan: Plan): Promise<RunningModel> {
  const machine = await openWasm(bytes, plan)
  const { inputs, outputs, nodes } = plan.graph
  const write = (given: readonly Data[]): void => {
    checkInputs(inputs, given)
    for (const [i, v] of inputs.entries()) machine.write(v, given[i])
  }
  return {
    inputs: inputs.map(({ name, type }) => ({ name, type })),
    outputs: outputs.map(({ name, type }) => ({ name, type })),
    run(given) {
      write(given)
      machine.steps(0, plan.steps.length)
      return outputs.map(machine.read)
    },
    trace(given) {
      write(given)
      const tensors: { value: Value; data: Data }[] = []
      let step = 0
      for (const node of nodes) {
        const first = step
        while (step < plan.steps.length && plan.steps[step].node === node) step++
        machine.steps(first, step)
        for (const value of node.outputs) if (plan.places.has(value)) tensors.push({ value, data: machine.read(value) })
      }
      if (step !== plan.steps.length) bug('steps are not in the order of the nodes')
      return { outputs: outputs.map(machine.read), tensors }
    },
    reset: machine.reset,
  }
}

/**
 * Runs one kernel on `args`, an array for each buffer in order; arrays of buffers that it may write are updated in place.
 * Throws our own fault where the kernel wrote outside its buffers.
 */
export function runKernelWasm(kernel: Kernel, args: readonly Data[]): void {
  if (args.length !== kernel.bufs.length) bug(`kernel has ${kernel.bufs.length} buffers, ${args.length} arrays given`)
  const GAP = 32
  const MARK = 0xa5
  let end = 0
  const starts = kernel.bufs.map((buf, i) => {
    const bytes = count(buf.shape) * elemBytes(buf.elem)
    if (elemOfData(args[i]) !== buf.elem || args[i].byteLength !== bytes)
      bug(`buffer "${buf.name}" is ${buf.elem}[${buf.shape}], array is ${elemOfData(args[i])}[${args[i].length}]`)
    const start = end
    end = Math.ceil((start + bytes + GAP) / 16) * 16
    return start
  })
  const memory = new WebAssembly.Memory({ initial: Math.ceil(end / PAGE) })
  const all = new Uint8Array(memory.buffer)
  all.fill(MARK, 0, end)
  for (const [i, data] of args.entries()) all.set(bytesIn(data), starts[i])
  const before = all.slice()

  const module = new WebAssembly.Module(compileKernel(kernel) as BufferSource)
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  const run = exports.kernel as WasmFunction
  run(...starts)

  for (const [i, buf] of kernel.bufs.entries()) {
    if (buf.access === 'read') continue
    const bytes = bytesIn(args[i])
    bytes.set(all.subarray(starts[i], starts[i] + bytes.length))
    before.set(bytes, starts[i])
  }
  const stray = all.findIndex((b, i) => b !== before[i])
  if (stray >= 0) {
    const near = starts.filter((s) => s <= stray + GAP).length - 1
    bug(`kernel "${kernel.name}" wrote outside its buffers, near "${kernel.bufs[Math.max(near, 0)]?.name}"`)
  }
}
