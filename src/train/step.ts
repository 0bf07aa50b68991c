// A model becomes the program of one training step: its forward pass, a loss, the gradients of what learns, and the updates in
// place. It is a graph like any other, so passes, plan and printers treat it like one.

import { InputError } from '../errors.ts'
import { Builder } from '../ir/build.ts'
import type { Graph, Node, TensorType, Value } from '../ir/graph.ts'
import { count } from '../loops/ir.ts'
import { softmaxCrossEntropy } from '../ops/loss/cross_entropy.ts'
import { meanSquareError } from '../ops/loss/mean_square.ts'
import { adam, momentum, sgd } from '../ops/optimizer/op.ts'
import { softmax } from '../ops/softmax/op.ts'
import { fold } from '../passes/fold.ts'
import { fuse } from '../passes/fuse.ts'
import { runPasses } from '../passes/index.ts'
import { layout } from '../passes/layout.ts'
import { prune } from '../passes/prune.ts'
import { differentiate } from './grad.ts'
import { type Scheme, valuesOfScheme } from './scheme.ts'

/** Default numbers: momentum 0.9; Adam 0.9, 0.999, 1e-8. */
export type Optimizer =
  | { readonly kind: 'sgd' }
  | { readonly kind: 'momentum'; readonly momentum?: number }
  | { readonly kind: 'adam'; readonly beta1?: number; readonly beta2?: number; readonly epsilon?: number }

export interface StepOptions {
  readonly learn: Scheme
  /** Of logits and a class (`cross-entropy`, default; a softmax at the end is passed over), or of outputs and their target. */
  readonly loss?: 'cross-entropy' | 'mean-square'
  readonly optimizer?: Optimizer
}

/** What a training step consists of. */
export interface TrainingStep {
  /**
   * Inputs: the model's, then `label` (i32, a class for each row; or the target, f32) and `rate` (f32 [1]). Outputs: `loss` (f32
   * []), then the model's own, then what learns, as it is after the update.
   */
  readonly graph: Graph
  /** The params, in the order in which the graph puts them out, and the constants of the model that they took the place of. */
  readonly params: readonly { readonly param: Value; readonly of: Value }[]
}

const TRAINING = [
  { name: 'prune', pass: prune },
  { name: 'fold', pass: fold },
  { name: 'layout', pass: layout },
  { name: 'fuse', pass: fuse },
]

/** The graph with params in place of some constants. */
function learning(graph: Graph, values: readonly Value[]): { graph: Graph; params: TrainingStep['params'] } {
  const params = values.map((of) => ({ of, param: { ...of, storage: 'param' as const } }))
  const to = new Map(params.map(({ of, param }) => [of, param]))
  const nodes = graph.nodes.map((n): Node => ({ ...n, inputs: n.inputs.map((v) => (v && to.get(v)) ?? v) }))
  return { graph: { ...graph, nodes }, params }
}

function update(build: Builder, param: Value, g: Value, rate: Value, optimizer: Optimizer): void {
  const memory = (what: string) => {
    const type = { dtype: 'f32', shape: param.type.shape } as const
    return build.state(`${param.name}/${what}`, type, new Float32Array(count(type.shape)))
  }
  switch (optimizer.kind) {
    case 'sgd':
      build.add(sgd, [param, g, rate], {})
      return
    case 'momentum':
      build.add(momentum, [param, g, rate, memory('momentum')], { momentum: optimizer.momentum ?? 0.9 })
      return
    case 'adam': {
      const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = optimizer
      const attrs = { beta1, rest1: 1 - beta1, beta2, rest2: 1 - beta2, epsilon }
      build.add(adam, [param, g, rate, memory('first moment'), memory('second moment')], attrs)
    }
  }
}

/**
 * The training step of a float32 model. Throws InputError for a scheme or an output that does not fit, ModelError for a layer on
 * the way that has no gradient.
 */
export function trainingStep(
  model: Graph,
  { learn, loss = 'cross-entropy', optimizer = { kind: 'sgd' } }: StepOptions,
): TrainingStep {
  const passed = runPasses(model, TRAINING)
  const { graph, params } = learning(passed, valuesOfScheme(passed, learn))
  const build = Builder.after(graph)
  const [y] = graph.outputs
  if (y.type.dtype !== 'f32' || y.type.shape.length === 0)
    throw new InputError(
      'output',
      `"${y.name}" is ${y.type.dtype} [${y.type.shape}], a loss needs f32 of at least one axis`,
    )
  const last = graph.nodes.find((n) => n.outputs.includes(y))
  const classes = loss === 'cross-entropy'
  const from = classes && last?.op.name === softmax.name ? last.inputs[0]! : y
  const rows = from.type.shape.slice(0, -1)
  const labelType: TensorType = classes ? { dtype: 'i32', shape: rows.length > 0 ? rows : [1] } : y.type
  const label = build.input('label', labelType)
  const rate = build.input('rate', { dtype: 'f32', shape: [1] })
  const [value, gradient] = build.add(
    classes ? softmaxCrossEntropy : meanSquareError,
    [from, label],
    {},
    { from: 'loss' },
  )
  const gradients = differentiate(build, graph.nodes, new Map([[from, gradient]]), new Set(params.map((p) => p.param)))
  for (const { param } of params) {
    const g = gradients.get(param)
    if (!g) throw new InputError('scheme', `${learn} has "${param.name}" learn, which the output does not depend on`)
    build.from = `${param.name}/update`
    update(build, param, g, rate, optimizer)
  }
  return { graph: build.graph([value, ...graph.outputs, ...params.map((p) => p.param)]), params }
}
