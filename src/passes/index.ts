// The inference pipeline: what happens to a model between import and plan, in order.

import type { Graph, Pass } from '../ir/graph.ts'
import { verify } from '../ir/verify.ts'
import { deadChannels } from './dead_channels.ts'
import { fold } from './fold.ts'
import { fuse } from './fuse.ts'
import { inPlace } from './in_place.ts'
import { layout } from './layout.ts'
import { prune } from './prune.ts'
import { reorder } from './reorder.ts'

export interface NamedPass {
  readonly name: string
  readonly pass: Pass
}

export const INFERENCE: readonly NamedPass[] = [
  { name: 'prune', pass: prune }, // nodes that no output needs
  { name: 'fold', pass: fold }, // what constants alone decide
  { name: 'layout', pass: layout }, // transpositions that cancel
  { name: 'fuse', pass: fuse }, // pads, biases, clamps, quantise/dequantise pairs
  { name: 'dead channels', pass: deadChannels }, // what every input leaves the same, or nobody needs
  { name: 'reorder', pass: reorder }, // the order with the least peak memory
  { name: 'in place', pass: inPlace }, // outputs that take over an input's buffer
]

/** Runs `passes` in order, verifying the graph before and after each. */
export function runPasses(graph: Graph, passes: readonly NamedPass[] = INFERENCE): Graph {
  return passes.reduce((g, { pass }) => verify(pass(g)), verify(graph))
}
