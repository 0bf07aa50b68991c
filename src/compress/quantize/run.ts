// Runs a graph over samples on WebAssembly with any of its values in hand. A pass over the samples hands each result on and
// keeps nothing.

import { compile } from '../../emit/program.ts'
import type { Graph, Value } from '../../ir/graph.ts'
import type { Data } from '../../loops/ir.ts'
import { instantiate } from '../../run/instantiate.ts'

/** Inputs that can be read again and again, and so need not be held. */
export interface Samples {
  readonly count: number
  /** The inputs of the model for sample `i`, in the model's own types. */
  inputs(i: number): readonly Data[]
}

/** Told how far a step has come. */
export type Tell = (step: string, done: number, of: number) => void

/** A graph that gives these of its values. */
export interface Tapped {
  run(inputs: readonly Data[]): Data[]
}

/** Values may be any of the graph's: inputs, constants and what nodes compute. */
export async function tap(graph: Graph, values: readonly Value[]): Promise<Tapped> {
  const given = new Map(graph.inputs.map((v, i) => [v, i]))
  const computed = [...new Set(values.filter((v) => !given.has(v) && !v.data))]
  const at = new Map(computed.map((v, i) => [v, i]))
  const model =
    computed.length > 0
      ? await instantiate(compile({ ...graph, outputs: computed }, { keepChannels: true }))
      : undefined
  return {
    run(inputs) {
      model?.reset()
      const results = model?.run(inputs) ?? []
      return values.map((v) => v.data ?? (given.has(v) ? inputs[given.get(v)!] : results[at.get(v)!]))
    },
  }
}

/** Lets other work of the process go on (progress, a cancelled page) once in a while. */
const PAUSE = 50

/** Calls `each` with the values of every sample in order. */
export async function forEachSample(
  samples: Samples,
  tapped: Tapped,
  each: (values: readonly Data[], i: number) => void,
  tell: (done: number) => void = () => {},
): Promise<void> {
  let paused = performance.now()
  for (let i = 0; i < samples.count; i++) {
    tell(i)
    each(tapped.run(samples.inputs(i)), i)
    if (performance.now() - paused > PAUSE) {
      await new Promise((resolve) => setTimeout(resolve, 0))
      paused = performance.now()
    }
  }
  tell(samples.count)
}
