// A model gets a new last layer: a fully connected one in float32 for classes of the user's own, on what the old last layer read.

import { InputError } from '../errors.ts'
import { Builder } from '../ir/build.ts'
import type { Graph } from '../ir/graph.ts'
import { Xorshift32 } from '../ir/random.ts'
import { count } from '../loops/ir.ts'
import { fullyConnected } from '../ops/fully_connected/op.ts'
import { dequantize } from '../ops/quantize/op.ts'
import { reshape } from '../ops/shape/reshape.ts'
import { learners } from './scheme.ts'

/**
 * `graph` up to its last layer with weights, and in place of that and of what follows logits [N, `classes`] in float32; int8
 * features are dequantised. Weights are uniform within 1 / sqrt(features), chosen by `seed`; biases 0. Throws InputError where the
 * graph has no such layer, or `classes` is less than 2.
 */
export function withClassifier(graph: Graph, classes: number, seed: number): Graph {
  if (!Number.isInteger(classes) || classes < 2)
    throw new InputError('classes', `are ${classes}, expected a whole number from 2 on`)
  const last = learners(graph).at(-1)
  if (!last) throw new InputError('classes', `"${graph.name}" has no layer with constant weights to put a new one for`)
  const build = Builder.after({ ...graph, nodes: graph.nodes.slice(0, graph.nodes.indexOf(last.node)) })
  build.from = 'classifier'
  const x = last.node.inputs[0]!
  const [N] = x.type.shape
  const features = count(x.type.shape) / N
  const types = [{ ...x.type, shape: [N, features] }]
  const rows = build.one(reshape, [x], { shape: [N, features] }, { types })
  const real = x.type.quant ? build.one(dequantize, [rows], {}) : rows
  const random = new Xorshift32(seed)
  const data = Float32Array.from(
    { length: classes * features },
    () => (random.next() / 2 ** 31 - 1) / Math.sqrt(features),
  )
  const w = build.const('classifier/weights', { dtype: 'f32', shape: [classes, features] }, data)
  const b = build.const('classifier/biases', { dtype: 'f32', shape: [classes] }, new Float32Array(classes))
  return build.graph([build.one(fullyConnected, [real, w, b], { clamp: {}, keepDims: false })])
}
