// Where the phases of a training step end: what predicts, what judges, what updates.

import { bug } from '../errors.ts'
import type { Graph, Value } from '../ir/graph.ts'
import { fingerprint } from '../ir/hash.ts'
import type { Learning, Plan, Step } from './plan.ts'

/** Of the plan of a training step; undefined for other graphs. */
export function learningOf(graph: Graph, steps: readonly Step[], state: Plan['state']): Learning | undefined {
  const { learns, inputs, outputs, nodes } = graph
  if (!learns) return undefined
  const at = new Map(nodes.map((node, i) => [node, i]))
  /** How many steps have run once `v` is there. */
  const stepsTo = (v: Value) => {
    const last = nodes.findLastIndex((node) => node.outputs.includes(v))
    return steps.filter(({ node }) => at.get(node)! <= last).length
  }
  const predicted = Math.max(0, ...outputs.slice(1, learns.outputs + 1).map(stepsTo))
  const judged = Math.max(predicted, stepsTo(outputs[0]))
  if (steps.slice(0, judged).some(({ node }) => node.op.writesState && node.inputs[0]!.storage === 'param'))
    bug('a param is updated before its loss is known')
  return {
    predicted,
    judged,
    label: inputs[learns.inputs],
    rate: inputs[learns.inputs + 1],
    loss: outputs[0],
    ...(learns.classes !== undefined && { classes: learns.classes }),
    stateBytes: Math.ceil(Math.max(0, ...state.map(({ place }) => place.offset + place.bytes)) / 4) * 4,
    stateLayout: fingerprint(
      JSON.stringify(state.map(({ value: { name, type }, place }) => [name, type.dtype, type.shape, place.offset])),
    ),
  }
}
