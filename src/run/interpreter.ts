// Runs a plan as it will run on a machine: one block of bytes for the arena, one for the weights, each step's loops on
// the places that the plan gave. What this prints right, a printer of code can get wrong only by itself.

import type { Value } from '../ir/graph.ts'
import { interpret } from '../loops/interpret.ts'
import { type Data, type Elem, elemBytes, type Kernel } from '../loops/ir.ts'
import { receivedRow } from '../ops/shape/splice.ts'
import type { Place, Plan } from '../plan/plan.ts'
import { checkInputs } from './check.ts'
import type { RunningModel, Trace } from './model.ts'
import { portOf } from './reference.ts'
import { bytesOfElements, elementsOfBytes } from './stored.ts'

/** The typed array that sees `length` elements at a byte offset; the offset is a multiple of the element's size. */
export function viewOf(elem: Elem, buffer: ArrayBufferLike, offset: number, length: number): Data {
  switch (elem) {
    case 'i8':
      return new Int8Array(buffer, offset, length)
    case 'u8':
      return new Uint8Array(buffer, offset, length)
    case 'i16':
      return new Int16Array(buffer, offset, length)
    case 'i32':
      return new Int32Array(buffer, offset, length)
    case 'i64':
      return new BigInt64Array(buffer, offset, length)
    case 'f16':
      return new Uint16Array(buffer, offset, length)
    case 'f32':
      return new Float32Array(buffer, offset, length)
    case 'f64':
      return new Float64Array(buffer, offset, length)
  }
}

/** What a place holds while a copy into it is under way. */
const NOT_YET = 0xee

/** A plan that runs in the loop language's own interpreter. `fill` is what the arena holds before its first use. */
export function runPlan(plan: Plan, fill = 0): RunningModel {
  const arena = new ArrayBuffer(plan.arenaBytes)
  const weights = plan.weights.bytes.slice().buffer
  const segments = { arena, weights, made: new ArrayBuffer(plan.made?.bytes ?? 0) }
  const bytesAt = (p: Place) => new Uint8Array(segments[p.segment], p.offset, p.bytes)
  const view = (elem: Elem, p: Place) => viewOf(elem, segments[p.segment], p.offset, p.bytes / elemBytes(elem))
  const call = (kernel: Kernel, places: readonly Place[]) =>
    interpret(
      kernel,
      kernel.bufs.map((buf, k) => view(buf.elem, places[k])),
    )
  for (const { kernel, places } of plan.made?.steps ?? []) call(kernel, places)
  const copyOf = (v: Value) => elementsOfBytes(v.type, bytesAt(plan.places.get(v)!))

  const inputs = plan.graph.inputs.map(portOf)
  const outputs = plan.graph.outputs.map(portOf)
  const steps = new Map(plan.steps.map((step, i) => [step.node, { step, i }]))
  // A copy may reach its place at any moment: until it is needed it is not there, and what was there is gone.
  const fetches = plan.external?.fetches ?? []
  const fetch = (i: number, bytes: readonly Uint8Array[]) => {
    for (const { needed, from, offset, place } of fetches) {
      if (needed !== i) continue
      const { weights: image } = plan.external!
      const source = from === 'weights' ? image!.bytes : bytes[plan.graph.inputs.indexOf(plan.streamed!.input)]
      bytesAt(place).set(source.subarray(offset, offset + place.bytes))
    }
    for (const { start, needed, place } of fetches) if (start === i && needed > i) bytesAt(place).fill(NOT_YET)
  }
  const reset = () => {
    for (const { place, initial } of plan.state)
      for (let at = 0; at < place.bytes; at += initial.bytes) bytesAt(place).set(bytesAt(initial), at)
  }
  new Uint8Array(arena).fill(fill)
  reset()

  const execute = (given: readonly Data[], after: (node: Plan['graph']['nodes'][number]) => void): Data[] => {
    checkInputs(inputs, given)
    const bytes = given.map((data, i) => bytesOfElements(inputs[i].type, data))
    plan.graph.inputs.forEach((v, i) => {
      if (v !== plan.streamed?.input) bytesAt(plan.places.get(v)!).set(bytes[i])
    })
    for (const node of plan.graph.nodes) {
      const { step, i } = steps.get(node) ?? {}
      if (i !== undefined) fetch(i, bytes)
      if (node.receives && plan.streamed && !plan.external?.input) {
        const { rowBytes } = plan.streamed
        const row = receivedRow(node)
        const place = plan.places.get(node.outputs[0])!
        bytesAt(place).set(
          bytes[plan.graph.inputs.indexOf(plan.streamed.input)].subarray(row * rowBytes, (row + 1) * rowBytes),
        )
      }
      if (step) call(step.call.kernel, step.places)
      after(node)
    }
    return plan.graph.outputs.map(copyOf)
  }
  const trace = (given: readonly Data[]): Trace => {
    const tensors: { value: Value; data: Data }[] = []
    const out = execute(given, (node) => {
      if (node.receives && plan.external?.input) return // not there before the next step
      for (const value of node.outputs) tensors.push({ value, data: copyOf(value) })
    })
    return { outputs: out, tensors }
  }
  return { inputs, outputs, reset, trace, run: (given) => execute(given, () => {}) }
}
