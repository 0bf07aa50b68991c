// A model becomes the program of one training step: its forward pass, a loss, the gradients of what learns, and the updates in
// place. It is a graph like any other, so passes, plan and printers treat it like one. What is int8 stays int8: weights and biases
// that learn are the stored integers, and only gradients are float32 (quantisation-aware scaling, Lin et al. 2022).

import { InputError } from '../errors.ts'
import { Builder } from '../ir/build.ts'
import { type Graph, inputsOf, type Node, type TensorType, type Value } from '../ir/graph.ts'
import { count } from '../loops/ir.ts'
import { add } from '../ops/binary/op.ts'
import { convWeightGradient, type WindowGradient } from '../ops/gradients/window.ts'
import { softmaxCrossEntropy } from '../ops/loss/cross_entropy.ts'
import { meanSquareError } from '../ops/loss/mean_square.ts'
import { adam, momentum, sgd } from '../ops/optimizer/op.ts'
import { qasSgd, type Rounding } from '../ops/optimizer/qas.ts'
import { qasSgdWindow } from '../ops/optimizer/qas_window.ts'
import { maskedOf, maskType } from '../ops/qas/masked.ts'
import { dequantize } from '../ops/quantize/op.ts'
import { softmax } from '../ops/softmax/op.ts'
import { assign } from '../ops/state/op.ts'
import { fold } from '../passes/fold.ts'
import { fuse } from '../passes/fuse.ts'
import { runPasses } from '../passes/index.ts'
import { layout } from '../passes/layout.ts'
import { prune } from '../passes/prune.ts'
import { withClassifier } from './classifier.ts'
import { dependents, differentiate } from './grad.ts'
import { learners, type Scheme, valuesOfScheme } from './scheme.ts'
import { deadChannels } from './stored_rules.ts'

/** Default numbers: momentum 0.9; Adam 0.9, 0.999, 1e-8. */
export type Optimizer =
  | { readonly kind: 'sgd' }
  | { readonly kind: 'momentum'; readonly momentum?: number }
  | { readonly kind: 'adam'; readonly beta1?: number; readonly beta2?: number; readonly epsilon?: number }

/** How a model learns: what of it, from which loss, by which rule. */
export interface StepOptions {
  readonly learn: Scheme
  /** Of logits and a class (`cross-entropy`, default; a softmax at the end is passed over), or of outputs and their target. */
  readonly loss?: 'cross-entropy' | 'mean-square'
  /** Of int8 models only sgd, the default. */
  readonly optimizer?: Optimizer
  /** A new float32 classifier of so many classes in place of the last layer: it is the last layer that learns. */
  readonly classes?: number
  /** How updates of stored integers become whole: stochastic by default. */
  readonly rounding?: Rounding
  /** Of the new classifier and of stochastic rounding. Default 1. */
  readonly seed?: number
}

/** Something that learns. */
export interface Learning {
  readonly param: Value
  /** The constant of the model that it took the place of. */
  readonly of: Value
  /** Real = scale * stored, for the whole or for each slice along `axis`; 0 for slices that do not learn. Absent for float32. */
  readonly stored?: { readonly scale: readonly number[]; readonly axis: number }
}

/** What a training step consists of. */
export interface TrainingStep {
  /**
   * Inputs: the model's, then `label` (i32, a class for each row; or the target, f32) and `rate` (f32 [1]). Outputs: `loss` (f32
   * []), then the model's own, then what learns, as it is after the update.
   */
  readonly graph: Graph
  /** The params, in the order in which the graph puts them out. */
  readonly params: readonly Learning[]
}

const TRAINING = [
  { name: 'prune', pass: prune },
  { name: 'fold', pass: fold },
  { name: 'layout', pass: layout },
  { name: 'fuse', pass: fuse },
]

/** Scales of an int8 layer's weights or biases; 0 for channels that are dead. */
function storedScales(graph: Graph, of: Value): Learning['stored'] {
  if (of.type.dtype === 'f32') return undefined
  const { node, weights } = learners(graph).find((l) => l.weights === of || l.bias === of)!
  const { scale, axis = 0 } = weights.type.quant!
  const dead = deadChannels(scale)
  const by = of === weights ? 1 : node.inputs[0]!.type.quant!.scale[0]
  return { scale: Array.from(scale, (s, c) => (dead.includes(c) ? 0 : s * by)), axis: of === weights ? axis : 0 }
}

/** The graph with params in place of some constants, and with masks where gradients pass through int8 layers. */
function learning(graph: Graph, values: readonly Value[]): { graph: Graph; params: readonly Learning[] } {
  const params = values.map((of): Learning => {
    const stored = storedScales(graph, of)
    return { of, param: { ...of, storage: 'param' }, ...(stored && { stored }) }
  })
  const to = new Map(params.map(({ of, param }) => [of, param]))
  const nodes = graph.nodes.map((n): Node => ({ ...n, inputs: n.inputs.map((v) => (v && to.get(v)) ?? v) }))
  const needed = dependents(nodes, new Set(to.values()))
  return {
    graph: { ...graph, nodes: nodes.map((n) => (inputsOf(n).some((v) => needed.has(v)) ? masked(n) : n)) },
    params,
  }
}

/** An int8 node that saturates, with its mask. */
function masked(node: Node): Node {
  const [y] = node.outputs
  const op = y?.type.dtype === 'i8' ? maskedOf(node.op) : undefined
  if (!op) return node
  const mask: Value = { name: `${y.name}/mask`, type: maskType(y.type), storage: 'temp' }
  const full = { ...node, op, outputs: [y, mask] }
  op.check(full)
  return full
}

/** What a softmax at the end reads, dequantised afterwards or not; `y` itself where there is none. */
function beforeSoftmax({ nodes }: Graph, y: Value): Value {
  const producer = (v: Value) => nodes.find((n) => n.outputs.includes(v))
  const last = producer(y)
  const end = last?.op.name === dequantize.name ? producer(last.inputs[0]!) : last
  return end?.op.name === softmax.name ? end.inputs[0]! : y
}

/** What updates share: the learning rate, the number of the step (for random numbers), and options. */
interface Updates {
  readonly rate: Value
  readonly step: Value | undefined
  readonly optimizer: Optimizer
  readonly rounding: Rounding
  readonly seed: number
}

function update(build: Builder, { param, stored }: Learning, g: Value, tensor: number, of: Updates): void {
  const { rate, optimizer } = of
  if (stored) {
    const attrs = { ...stored, rounding: of.rounding, seed: of.seed, tensor }
    const from = build.graph([]).nodes.find((n) => n.outputs.includes(g))
    if (from?.op.name === convWeightGradient.name) {
      const window = from.attrs as WindowGradient
      build.add(qasSgdWindow, [param, ...from.inputs, rate, of.step], { ...window, ...attrs })
    } else build.add(qasSgd, [param, g, rate, of.step], attrs)
    return
  }
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
 * The training step of a float32 or int8 model. Throws InputError for a scheme, an output or an optimizer that does not fit,
 * ModelError for a layer on the way that has no gradient.
 */
export function trainingStep(
  model: Graph,
  {
    learn,
    loss = 'cross-entropy',
    optimizer = { kind: 'sgd' },
    classes,
    rounding = 'stochastic',
    seed = 1,
  }: StepOptions,
): TrainingStep {
  const passed = runPasses(classes === undefined ? model : withClassifier(model, classes, seed), TRAINING)
  const { graph, params } = learning(passed, valuesOfScheme(passed, learn))
  const integers = params.some((p) => p.stored)
  if (integers && optimizer.kind !== 'sgd')
    throw new InputError('optimizer', `is ${optimizer.kind}, int8 weights and their biases learn by sgd`)
  const build = Builder.after(graph)
  const [y] = graph.outputs
  if (!(y.type.dtype === 'f32' || (y.type.dtype === 'i8' && y.type.quant)) || y.type.shape.length === 0)
    throw new InputError(
      'output',
      `"${y.name}" is ${y.type.dtype} [${y.type.shape}], a loss needs f32, or i8 with a scale, of at least one axis`,
    )
  const overClasses = loss === 'cross-entropy'
  const end = overClasses ? beforeSoftmax(graph, y) : y
  const from = end.type.quant ? build.one(dequantize, [end], {}, { from: 'loss' }) : end
  const { nodes } = build.graph([])
  const rows = from.type.shape.slice(0, -1)
  const labelType: TensorType = overClasses ? { dtype: 'i32', shape: rows.length > 0 ? rows : [1] } : from.type
  const label = build.input('label', labelType)
  const rate = build.input('rate', { dtype: 'f32', shape: [1] })
  const [value, gradient] = build.add(
    overClasses ? softmaxCrossEntropy : meanSquareError,
    [from, label],
    {},
    { from: 'loss' },
  )
  const gradients = differentiate(build, nodes, new Map([[from, gradient]]), new Set(params.map((p) => p.param)))
  const type: TensorType = { dtype: 'i32', shape: [1] }
  const step = integers ? build.state('step', type, new Int32Array(1)) : undefined
  for (const [i, learned] of params.entries()) {
    const { param } = learned
    const g = gradients.get(param)
    if (!g) throw new InputError('scheme', `${learn} has "${param.name}" learn, which the output does not depend on`)
    build.from = `${param.name}/update`
    update(build, learned, g, i, { rate, step, optimizer, rounding, seed })
  }
  if (step) {
    build.from = 'step'
    build.add(assign, [step, build.one(add, [step, build.const('one', type, Int32Array.of(1))], { clamp: {} })], {})
  }
  return { graph: prune(build.graph([value, ...graph.outputs, ...params.map((p) => p.param)])), params }
}
