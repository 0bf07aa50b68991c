// A training step as a model that goes on learning: it predicts, takes a label, and its state can be kept and put back.

import type { Program } from '../emit/program.ts'
import { bug, InputError } from '../errors.ts'
import { crc32 } from '../ir/hash.ts'
import type { Data } from '../loops/ir.ts'
import type { Learning, Plan } from '../plan/plan.ts'
import { checkInputs } from './check.ts'
import type { Port } from './model.ts'
import { openWasm, type WasmMachine } from './wasm.ts'

/** `MOTC`. */
const MAGIC = 0x43544f4d
const TRAILER = 16

/** A model that learns where it runs. Typed arrays are row-major, in the ports' own types. */
export interface LearningModel {
  /** The model's own inputs and outputs; what a step of learning takes besides is its label. */
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  readonly label: Port
  /** The model's outputs. InputError where an input has another type or length than its port. */
  predict(inputs: readonly Data[]): Data[]
  /**
   * One step of learning; `label` is a class for each row, or what the output should have been; `rate` the learning rate. Returns
   * the loss before the step. InputError where an input or a target is no number, a label no class, or the rate none: nothing is
   * changed then. Where weights have grown without bounds, so that the loss is not finite, the state goes back to before the last
   * step, and the InputError says so.
   */
  train(inputs: readonly Data[], label: number | Data, rate: number): number
  /** What learns, by name, as it is now. */
  learned(): ReadonlyMap<string, Data>
  /** What learns and what is remembered, as the bytes that `restore` takes and a C program's `save` writes. */
  save(): Uint8Array<ArrayBuffer>
  /** InputError where `bytes` are damaged or of another program: then nothing is changed. */
  restore(bytes: Uint8Array): void
  /** As it was before the first step. */
  reset(): void
}

const finite = (data: Data) => !(data instanceof Float32Array) || data.every(Number.isFinite)

function labelOf({ label, classes }: Learning, given: number | Data): Data {
  const data =
    typeof given !== 'number' ? given : label.type.dtype === 'i32' ? Int32Array.of(given) : Float32Array.of(given)
  checkInputs([{ name: label.name, type: label.type }], [data])
  if (!finite(data)) throw new InputError(`target "${label.name}"`, 'holds something that is no finite number')
  const wrong = classes === undefined ? undefined : Array.from(data, Number).find((c) => c < 0 || c >= classes)
  if (wrong !== undefined || (typeof given === 'number' && Number(data[0]) !== given && label.type.dtype === 'i32'))
    throw new InputError('label', `is ${wrong ?? given}, classes are 0 to ${(classes ?? 0) - 1}`)
  return data
}

class Learner implements LearningModel {
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  readonly label: Port
  private readonly machine: WasmMachine
  private readonly plan: Plan
  private readonly learning: Learning
  private readonly state: Uint8Array
  /** The last state from which the loss was finite. */
  private readonly good: Uint8Array

  constructor(machine: WasmMachine, plan: Plan, learning: Learning) {
    const { inputs, outputs, learns } = plan.graph
    const port = ({ name, type }: Port) => ({ name, type })
    this.machine = machine
    this.plan = plan
    this.learning = learning
    this.inputs = inputs.slice(0, learns!.inputs).map(port)
    this.outputs = outputs.slice(1, learns!.outputs + 1).map(port)
    this.label = port(learning.label)
    this.state = machine.at({ segment: 'arena', offset: 0, bytes: learning.stateBytes })
    this.good = this.state.slice()
  }

  predict(inputs: readonly Data[]): Data[] {
    checkInputs(this.inputs, inputs)
    for (const [i, data] of inputs.entries()) this.machine.write(this.plan.graph.inputs[i], data)
    this.machine.steps(0, this.learning.predicted)
    return this.plan.graph.outputs.slice(1, this.outputs.length + 1).map((v) => this.machine.read(v))
  }

  train(inputs: readonly Data[], label: number | Data, rate: number): number {
    const { learning, machine, plan } = this
    const labels = labelOf(learning, label)
    if (!(rate >= 0 && Number.isFinite(Math.fround(rate))))
      throw new InputError('rate', `is ${rate}, expected a finite number from 0 on`)
    const bad = inputs.findIndex((data) => !finite(data))
    if (bad >= 0) throw new InputError(`input "${this.inputs[bad]?.name}"`, 'holds something that is no finite number')
    this.predict(inputs)
    machine.write(learning.label, labels)
    machine.write(learning.rate, Float32Array.of(rate))
    machine.steps(learning.predicted, learning.judged)
    const loss = Number(machine.read(learning.loss)[0])
    if (!Number.isFinite(loss)) {
      this.state.set(this.good)
      throw new InputError(
        'train',
        `the loss is ${loss}: weights have grown without bounds and went back to before the last step`,
        `use a smaller rate than ${rate}`,
      )
    }
    this.good.set(this.state)
    machine.steps(learning.judged, plan.steps.length)
    return loss
  }

  learned(): Map<string, Data> {
    const { outputs } = this.plan.graph
    return new Map(outputs.slice(this.outputs.length + 1).map((v) => [v.name, this.machine.read(v)]))
  }

  save(): Uint8Array<ArrayBuffer> {
    const { stateBytes, stateLayout } = this.learning
    const bytes = new Uint8Array(stateBytes + TRAILER)
    bytes.set(this.state)
    const words = new DataView(bytes.buffer, stateBytes)
    for (const [i, word] of [MAGIC, Number.parseInt(stateLayout, 16), 1].entries()) words.setUint32(4 * i, word, true)
    words.setUint32(12, crc32(bytes.subarray(0, stateBytes + 12)), true)
    return bytes
  }

  restore(bytes: Uint8Array): void {
    const { stateBytes, stateLayout } = this.learning
    if (bytes.length !== stateBytes + TRAILER)
      throw new InputError('restore', `got ${bytes.length} bytes, a state of this program has ${stateBytes + TRAILER}`)
    const words = new DataView(bytes.buffer, bytes.byteOffset + stateBytes)
    const layout = words.getUint32(4, true).toString(16).padStart(8, '0')
    if (words.getUint32(0, true) !== MAGIC || words.getUint32(12, true) !== crc32(bytes.subarray(0, stateBytes + 12)))
      throw new InputError('restore', 'the bytes are damaged, or no saved state')
    if (layout !== stateLayout)
      throw new InputError(
        'restore',
        `the state has layout ${layout}, this program ${stateLayout}`,
        'it is of another program',
      )
    this.state.set(bytes.subarray(0, stateBytes))
    this.good.set(this.state)
  }

  reset(): void {
    this.machine.reset()
    this.good.set(this.state)
  }
}

/** Instantiates the WebAssembly program of a training step. Throws InputError where the program is another. */
export async function instantiateLearner({ wasm, plan, name, target }: Program): Promise<LearningModel> {
  if (!wasm)
    throw new InputError(
      'instantiateLearner',
      `program "${name}" is for ${target}, only WebAssembly runs here`,
      "compile(step.graph, { target: 'wasm' })",
    )
  if (!plan.learning)
    throw new InputError('instantiateLearner', `program "${name}" does not learn`, 'compile the graph of trainingStep')
  if (plan.learning.stateBytes > plan.arenaBytes) bug('the state is larger than the arena')
  return new Learner(await openWasm(wasm, plan), plan, plan.learning)
}
