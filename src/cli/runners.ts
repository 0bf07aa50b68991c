// The runners that `mote run` and `mote bench` offer, by name: those of this machine, and emulated boards.

import { type CompileOptions, compile, type Program } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'
import { DEVICE_NAMES, runDevice } from '../run/device.ts'
import { runHostC } from '../run/host_c.ts'
import { instantiate } from '../run/instantiate.ts'
import { runPlan } from '../run/interpreter.ts'
import type { RunningModel } from '../run/model.ts'
import { reference } from '../run/reference.ts'

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

const RUNNERS: Readonly<Record<string, (graph: Graph, stage: CompileOptions['stage']) => Promise<Runner>>> = {
  async wasm(graph, stage) {
    const program = compile(graph, { target: 'wasm', stage })
    return oneByOne(program, await instantiate(program))
  },
  // The imported graph as it is: an answer that no pass has touched.
  async reference(graph, stage) {
    return oneByOne(compile(graph, { target: 'wasm', stage }), reference(graph))
  },
  async interpreter(graph, stage) {
    const program = compile(graph, { target: 'wasm', stage })
    return oneByOne(program, runPlan(program.plan))
  },
  async 'host-c'(graph, stage) {
    const program = compile(graph, { target: 'c', stage })
    const model = runHostC(program.plan)
    return { program, model, runMany: model.runMany, batch: 64 }
  },
}

export const RUNNER_NAMES: readonly string[] = Object.keys(RUNNERS)

/** Builds the program anew for each run, which starts from the initial state. */
function onBoard(graph: Graph, on: string, stage: CompileOptions['stage']): Runner {
  const program = compile(graph, { target: on, stage })
  const { inputs, outputs } = program.plan.graph
  const refuse = (what: string) => new InputError('--on', `${on} cannot ${what}`, 'choose --on wasm')
  const model: RunningModel = {
    inputs,
    outputs,
    run: (given) => runDevice(program.plan, on, given).outputs,
    trace() {
      throw refuse('show the tensors between layers')
    },
    reset() {},
  }
  const runMany = (runs: readonly (readonly Data[])[]) => {
    if (runs.length > 1 && program.plan.state.length > 0) throw refuse('keep state from one run to the next')
    return runs.map(model.run)
  }
  return { program, model, runMany, batch: 1 }
}

/** Makes a graph ready to run. `on` is one of RUNNER_NAMES or DEVICE_NAMES. */
export async function openRunner(graph: Graph, on: string, stage?: CompileOptions['stage']): Promise<Runner> {
  return DEVICE_NAMES.includes(on) ? onBoard(graph, on, stage) : RUNNERS[on](graph, stage)
}
