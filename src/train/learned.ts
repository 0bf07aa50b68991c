// A model with what a training step has learnt in place of what it started from: to write to a file, or to compile for inference.

import { InputError } from '../errors.ts'
import type { Graph, Node, Value } from '../ir/graph.ts'
import type { Values } from './delta.ts'
import { withChannels } from './partial.ts'
import type { TrainingStep } from './step.ts'

/**
 * The model that `step` was made from (with its new classifier, if it has one) with `values` in place of what learns, by the names
 * of the params: what `LearningModel.learned` gives. InputError where a param has no value, or one of another length.
 */
export function learnedModel({ model, params }: Pick<TrainingStep, 'model' | 'params'>, values: Values): Graph {
  const to = new Map<string, Value>()
  for (const { param, of, channels } of params) {
    const now = values.get(param.name)
    if (now?.length !== param.data?.length)
      throw new InputError(
        'learned',
        `"${param.name}" has ${now?.length ?? 'no'} elements, expected ${param.data?.length}`,
      )
    const before = to.get(of.name) ?? of
    const data = channels ? withChannels(before.data!, of.type.shape.at(-1)!, channels, now!) : now!
    to.set(of.name, { ...of, data })
  }
  const nodes = model.nodes.map((n): Node => ({ ...n, inputs: n.inputs.map((v) => (v && to.get(v.name)) ?? v) }))
  return { ...model, nodes }
}
