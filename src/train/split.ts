// A model in two: a front that stays as it is, and a back that learns from what the front makes of an input. The tensor between them
// is what latent replay keeps.

import { InputError } from '../errors.ts'
import { type Graph, inputsOf, type Value } from '../ir/graph.ts'
import { learners } from './scheme.ts'

/** Two graphs that are the model when one runs after the other. */
export interface SplitModel {
  /** From the model's inputs to the tensor in between. */
  readonly front: Graph
  /** From that to the model's outputs. */
  readonly back: Graph
}

/** The tensor that all of `nodes` after place `at` take from before, where it is one alone. */
function between({ nodes, inputs }: Graph, at: number): Value | undefined {
  const before = new Set([...inputs, ...nodes.slice(0, at).flatMap((n) => n.outputs)])
  const crossing = new Set(nodes.slice(at).flatMap((n) => inputsOf(n).filter((v) => before.has(v))))
  return crossing.size === 1 ? [...crossing][0] : undefined
}

/**
 * Splits a model as late as possible before its last `layers` layers with weights, where one tensor alone leads from front to back.
 * InputError where there is no such place.
 */
export function splitModel(graph: Graph, layers: number): SplitModel {
  const all = learners(graph)
  if (!(Number.isInteger(layers) && layers >= 1 && layers < all.length))
    throw new InputError(
      'split',
      `is before the last ${layers} layers`,
      `"${graph.name}" has ${all.length} with weights`,
    )
  const latest = graph.nodes.indexOf(all[all.length - layers].node)
  for (let at = latest; at > 0; at--) {
    const cut = between(graph, at)
    if (!cut || graph.inputs.includes(cut)) continue
    return {
      front: { ...graph, name: `${graph.name}_front`, nodes: graph.nodes.slice(0, at), outputs: [cut] },
      back: { ...graph, name: `${graph.name}_back`, inputs: [cut], nodes: graph.nodes.slice(at) },
    }
  }
  throw new InputError(
    'split',
    `no single tensor leads to the last ${layers} layers of "${graph.name}"`,
    'choose another number of layers',
  )
}
