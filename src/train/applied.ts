// A scheme applied to a model: what of its layers learns, and what else does, in a graph that has the layers that the scheme adds.

import { InputError } from '../errors.ts'
import type { Graph, Node, Value } from '../ir/graph.ts'
import { count } from '../loops/ir.ts'
import { add, mul } from '../ops/binary/op.ts'
import { extended } from './extensions.ts'
import type { Extended } from './insert.ts'
import { type Chosen, chosenOf, learners, otherParameters, type Scheme } from './scheme.ts'
import { tinytl } from './tinytl.ts'

/** What learns of a graph. */
export interface Applied {
  readonly graph: Graph
  readonly layers: readonly Chosen[]
  /** Other constants that learn. */
  readonly others: readonly Value[]
}

/** What is to be known of the graph: where random numbers start, and whether its last layer is new and has to learn. */
export interface Applying {
  readonly seed: number
  readonly newLast: boolean
}

/** A product and a sum with constants for each channel: what a batch norm is read as, as long as no layer has taken it over. */
function batchNorms({ nodes }: Graph): Value[] {
  const channelwise = (node: Node): Value | undefined => {
    const [x, v] = node.inputs as Value[]
    const C = x.type.shape.at(-1)
    return v?.storage === 'const' && v.type.dtype === 'f32' && count(v.type.shape) === C ? v : undefined
  }
  return nodes.flatMap((node) => {
    const factor = node.op.name === mul.name ? channelwise(node) : undefined
    const [sum, ...more] = nodes.filter((n) => n.inputs[0] === node.outputs[0])
    const shift = factor && more.length === 0 && sum?.op.name === add.name ? channelwise(sum) : undefined
    return factor && shift ? [factor, shift] : []
  })
}

/** The graph with the layers that a scheme adds. Throws InputError where there is no place for them. */
export function withAdded(graph: Graph, scheme: Scheme, { seed, newLast }: Applying): Extended {
  if (scheme === 'tinytl') return tinytl(graph, seed)
  const last = newLast ? learners(graph).at(-1)?.node : undefined
  return (typeof scheme === 'string' ? extended(graph, scheme, seed, last) : undefined) ?? { graph, added: [] }
}

/** What learns of a graph that `withAdded` made, or of the same with another batch. Throws InputError where the scheme does not suit it. */
export function chosenIn({ graph, added }: Extended, scheme: Scheme, newLast: boolean): Applied {
  if (typeof scheme !== 'string')
    return { graph, layers: chosenOf(graph, scheme), others: otherParameters(graph, scheme) }
  if (scheme === 'bn-last') {
    const others = batchNorms(graph)
    if (others.length === 0)
      throw new InputError(
        'scheme',
        `bn-last learns scales and shifts of batch norms, "${graph.name}" has none: they are folded into its layers`,
        'save the model before they are folded, or learn the shifts alone: bias-last-K',
      )
    return { graph, layers: chosenOf(graph, 'last'), others }
  }
  if (added.length === 0) return { graph, layers: chosenOf(graph, scheme), others: [] }
  if (scheme === 'tinytl')
    return { graph, layers: chosenOf(graph, `bias-last-${learners(graph).length}`), others: added }
  const own = new Set(added)
  const last = newLast
    ? learners(graph)
        .filter((l) => !own.has(l.weights))
        .slice(-1)
    : []
  const layers = last.map((l): Chosen => ({ ...l, learns: 'all', biasLearns: l.bias !== undefined }))
  return { graph, layers, others: added }
}

/** Both at once. */
export function applied(graph: Graph, scheme: Scheme, how: Applying): Applied {
  return chosenIn(withAdded(graph, scheme, how), scheme, how.newLast)
}
