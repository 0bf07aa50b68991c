// What of a model learns. A scheme names weights and biases, counted from the output: "last" the last layer, "last-K" the
// last K layers, "bias-last-K" their biases and the whole last layer (TinyTL, Cai et al. 2020), "full" all of them.

import { InputError } from '../errors.ts'
import type { Graph, Node, Value } from '../ir/graph.ts'

/** What learns: the last layer, the last K layers, their biases and the whole last layer, or everything. */
export type Scheme = 'last' | 'full' | `last-${number}` | `bias-last-${number}`

/** A layer with weights, and what of it may learn. */
interface Learner {
  readonly node: Node
  readonly weights: Value
  readonly bias: Value | undefined
}

/** The layers of a graph that have constant weights in float32 or int8, in their order. */
export function learners(graph: Graph): Learner[] {
  return graph.nodes.flatMap((node): Learner[] => {
    const at = node.op.quantize?.(node)?.weights?.input
    const weights = at === undefined ? undefined : node.inputs[at]
    if (at === undefined || weights?.storage !== 'const' || !['f32', 'i8'].includes(weights.type.dtype)) return []
    const bias = node.inputs[at + 1]
    return [{ node, weights, bias: bias?.storage === 'const' ? bias : undefined }]
  })
}

/** The constants of `graph` that learn under a scheme. Throws InputError where the graph has no such layers. */
export function valuesOfScheme(graph: Graph, scheme: Scheme): Value[] {
  const all = learners(graph)
  const [, bias, digits] = /^(bias-)?last(?:-(\d+))?$/.exec(scheme) ?? []
  const k =
    scheme === 'full' ? all.length : digits === undefined ? (scheme === 'last' ? 1 : Number.NaN) : Number(digits)
  if (!(k >= 1)) throw new InputError('scheme', `"${scheme}" is none`, 'last, last-K, bias-last-K or full')
  if (k > all.length || all.length === 0)
    throw new InputError(
      'scheme',
      `${scheme} asks for ${k} layers, "${graph.name}" has ${all.length} with constant weights`,
    )
  const chosen = all.slice(all.length - k)
  return chosen.flatMap(({ weights, bias: b }, i) => [
    ...(bias && i < chosen.length - 1 ? [] : [weights]),
    ...(b ? [b] : []),
  ])
}
