// The runners that `mote run` and `mote bench` offer on this machine, by name.

import { compile, type Program } from '../emit/program.ts'
import type { Graph } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'
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
}

function oneByOne(program: Program, model: RunningModel): Runner {
  return { program, model, runMany: (inputs) => inputs.map((given) => model.run(given)) }
}

const RUNNERS: Readonly<Record<string, (graph: Graph) => Promise<Runner>>> = {
  async wasm(graph) {
    const program = compile(graph, { target: 'wasm' })
    return oneByOne(program, await instantiate(program))
  },
  // The imported graph as it is: an answer that no pass has touched.
  async reference(graph) {
    return oneByOne(compile(graph, { target: 'wasm' }), reference(graph))
  },
  async interpreter(graph) {
    const program = compile(graph, { target: 'wasm' })
    return oneByOne(program, runPlan(program.plan))
  },
  async 'host-c'(graph) {
    const program = compile(graph, { target: 'c' })
    const model = runHostC(program.plan)
    return { program, model, runMany: model.runMany }
  },
}

export const RUNNER_NAMES: readonly string[] = Object.keys(RUNNERS)

/** Makes a graph ready to run. `on` is one of RUNNER_NAMES. */
export function openRunner(graph: Graph, on: string): Promise<Runner> {
  return RUNNERS[on](graph)
}
