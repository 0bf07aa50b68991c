// The runners that `mote run` and `mote bench` offer, by name: those of this machine, and emulated boards.

import { compile, type Program } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'
import { DEVICE_NAMES, runDevice } from '../run/device.ts'
import { runHostC } from '../run/host_c.ts'
import { instantiate } from '../run/instantiate.ts'
import { runPlan } from '../run/interpreter.ts'
import type { RunningModel } from '../run/model.ts'
import { reference } from '../run/reference.ts'
import type { PlanChoice } from './plan.ts'

export interface Runner {
  readonly program: Program
  readonly model: RunningModel
  /** Several runs, one after the other; state carries over. */
  runMany(inputs: readonly (readonly Data[])[]): Data[][]
  /** How many runs are worth giving at once. */
  readonly batch: number
}

function oneByOne(program: Program, model: RunningModel): Runner {
  return { program, model, runMany: (inputs) => inputs.map((given) => model.run(given)), batch: 1 }
}

const RUNNERS: Readonly<Record<string, (graph: Graph, how: PlanChoice) => Promise<Runner>>> = {
  async wasm(graph, how) {
    const program = compile(graph, { target: 'wasm', ...how })
    return oneByOne(program, await instantiate(program))
  },
  // The imported graph as it is: an answer that no pass has touched.
  async reference(graph, how) {
    return oneByOne(compile(graph, { target: 'wasm', ...how }), reference(graph))
  },
  async interpreter(graph, how) {
    const program = compile(graph, { target: 'wasm', ...how })
    return oneByOne(program, runPlan(program.plan))
  },
  async 'host-c'(graph, how) {
    const program = compile(graph, { target: 'c', ...how })
    const model = runHostC(program.plan)
    return { program, model, runMany: model.runMany, batch: 64 }
  },
}

export const RUNNER_NAMES: readonly string[] = Object.keys(RUNNERS)

/** Builds the program anew for each batch, which starts from the initial state. */
function onBoard(graph: Graph, on: string, how: PlanChoice): Runner {
  const program = compile(graph, { target: on, ...how })
  const { inputs, outputs } = program.plan.graph
  const refuse = (what: string) => new InputError('--on', `${on} cannot ${what}`, 'choose --on wasm')
  const stateful = program.plan.state.length > 0
  let fresh = true
  const runMany = (runs: readonly (readonly Data[])[]) => {
    if (!fresh && stateful) throw refuse('keep state from one program to the next')
    fresh = false
    return runDevice(program.plan, on, runs)
  }
  const model: RunningModel = {
    inputs,
    outputs,
    run: (given) => runMany([given])[0],
    trace() {
      throw refuse('show the tensors between layers')
    },
    reset() {
      fresh = true
    },
  }
  return { program, model, runMany, batch: stateful ? Number.POSITIVE_INFINITY : 16 }
}

/** Makes a graph ready to run. `on` is one of RUNNER_NAMES or DEVICE_NAMES. */
export async function openRunner(graph: Graph, on: string, how: PlanChoice = {}): Promise<Runner> {
  return DEVICE_NAMES.includes(on) ? onBoard(graph, on, how) : RUNNERS[on](graph, how)
}
