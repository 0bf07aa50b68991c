// A model for another number of images at once: the first axis of its inputs grows, and everything after follows by `infer`.

import { InputError, ModelError } from '../errors.ts'
import { layer } from '../ir/build.ts'
import { type Graph, type Node, sameShape, type Value } from '../ir/graph.ts'

const LEADING = 'batches go along the first axis of every tensor'

/**
 * `graph` for `batch` images: the first axis of its first input has that extent, that of every other tensor that depends on an input
 * as many times more. Throws InputError where `batch` is no multiple of what it was, ModelError for a layer that mixes images.
 */
export function rebatch(graph: Graph, batch: number): Graph {
  const was = graph.inputs[0]?.type.shape[0]
  const times = batch / (was ?? Number.NaN)
  if (!Number.isInteger(times) || times < 1)
    throw new InputError(
      'batch',
      `is ${batch}, "${graph.name}" takes ${was ?? 'no'} images at once`,
      `choose a multiple`,
    )
  if (times === 1) return graph
  const more = ([first, ...rest]: readonly number[]) => [first * times, ...rest]
  const to = new Map<Value, Value>(
    graph.inputs.map((v) => {
      if (v.type.shape.length === 0) throw new ModelError(`input "${v.name}"`, 'is a scalar', LEADING)
      return [v, { ...v, type: { ...v.type, shape: more(v.type.shape) } }]
    }),
  )
  const nodes = graph.nodes.map((node): Node => {
    const { op, outputs } = node
    if (!node.inputs.some((v) => v && to.has(v))) return node
    if (op.writesState) throw new ModelError(layer(node), 'keeps state from one image to the next', LEADING)
    const inputs = node.inputs.map((v) => (v && to.get(v)) ?? v)
    const attrs = op.rebatch?.(node, times) ?? node.attrs
    const types = op.infer(
      inputs.map((v) => v?.type),
      attrs,
    )
    outputs.forEach((v, i) => {
      const shape = v.type.shape.length > 0 ? more(v.type.shape) : v.type.shape
      if (v.type.shape.length === 0 || !sameShape(types[i].shape, shape))
        throw new ModelError(layer(node), `makes [${types[i].shape}] of ${batch} images, expected [${shape}]`, LEADING)
      to.set(v, { ...v, type: { ...v.type, shape } })
    })
    const all = { ...node, inputs, attrs, outputs: outputs.map((v) => to.get(v)!) }
    op.check(all)
    return all
  })
  return {
    ...graph,
    nodes,
    inputs: graph.inputs.map((v) => to.get(v)!),
    outputs: graph.outputs.map((v) => to.get(v) ?? v),
  }
}
