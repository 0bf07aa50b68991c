// A model becomes the program of one training step: its forward pass, a loss, the gradients of what learns, and the updates in
// place. It is a graph like any other, so passes, plan and printers treat it like one. What is int8 stays int8: weights and biases
// that learn are the stored integers, and only gradients are float32 (quantisation-aware scaling, Lin et al. 2022).

import { InputError } from '../errors.ts'
import { Builder } from '../ir/build.ts'
import { type Graph, inputsOf, type Learns, type Node, type TensorType, type Value } from '../ir/graph.ts'
import { count } from '../loops/ir.ts'
import { add } from '../ops/binary/op.ts'
import { convWeightGradient, type WindowGradient } from '../ops/gradients/window.ts'
import { softmaxCrossEntropy } from '../ops/loss/cross_entropy.ts'
import { meanSquareError } from '../ops/loss/mean_square.ts'
import { anchored } from '../ops/optimizer/anchor.ts'
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
import { real } from '../passes/real.ts'
import { rebatch } from '../passes/rebatch.ts'
import { type Applied, chosenIn, withAdded } from './applied.ts'
import { withClassifier } from './classifier.ts'
import { dependents, differentiate } from './grad.ts'
import type { Extended } from './insert.ts'
import { partialLayer } from './partial.ts'
import { type Chosen, type Learner, nameOf, type Scheme } from './scheme.ts'
import { liveScales } from './stored_rules.ts'

/** Default numbers: momentum 0.9; Adam 0.9, 0.999, 1e-8. */
export type Optimizer =
  | { readonly kind: 'sgd' }
  | { readonly kind: 'momentum'; readonly momentum?: number }
  | { readonly kind: 'adam'; readonly beta1?: number; readonly beta2?: number; readonly epsilon?: number }

/** How a model learns: what of it, from which loss, by which rule. */
export interface StepOptions {
  readonly learn: Scheme
  /**
   * Of logits and a class (`cross-entropy`, default) or shares of the classes (`shares`, for distillation), a softmax at the end
   * passed over; or of outputs and their target.
   */
  readonly loss?: 'cross-entropy' | 'shares' | 'mean-square'
  /** Of int8 models only sgd, the default. */
  readonly optimizer?: Optimizer
  /** A new float32 classifier of so many classes in place of the last layer: it is the last layer that learns. */
  readonly classes?: number
  /** How updates of stored integers become whole: stochastic by default. */
  readonly rounding?: Rounding
  /** Of the new classifier and of stochastic rounding. Default 1. */
  readonly seed?: number
  /** Params are pulled back to where they are now, each element as hard as it was important: `importanceOf` measures that. */
  readonly anchor?: { readonly strength: number; readonly importance: ReadonlyMap<string, Float32Array> }
  /** Images in one step, whose gradients are averaged; default: as many as the model takes. */
  readonly batch?: number
}

/** Something that learns. */
export interface Learning {
  readonly param: Value
  /** The constant of the model that it took the place of. */
  readonly of: Value
  /** The channels of it (slices along its last axis) that learn, where not all do: the param holds these alone. */
  readonly channels?: readonly number[]
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
  /** The model as it was made ready for training, for inference: `learnedModel` puts into it what was learnt. */
  readonly model: Graph
}

const TRAINING = [
  { name: 'real', pass: real },
  { name: 'prune', pass: prune },
  { name: 'fold', pass: fold },
  { name: 'layout', pass: layout },
  { name: 'fuse', pass: fuse },
]

/** A model ready for training under a scheme, with a new classifier where `classes` says so, and the layers that the scheme adds. */
function learnable(model: Graph, { learn, classes, seed = 1 }: StepOptions): Extended {
  const passes = learn === 'bn-last' ? TRAINING.filter(({ pass }) => pass !== fuse) : TRAINING
  const graph = runPasses(classes === undefined ? model : withClassifier(model, classes, seed), passes)
  return withAdded(graph, learn, { seed, newLast: classes !== undefined })
}

/** What of a model learns under a scheme, before its layers are masked and its constants params. Throws InputError where it does not suit. */
export function appliedScheme(model: Graph, options: StepOptions): Applied {
  return chosenIn(learnable(model, options), options.learn, options.classes !== undefined)
}

/** Scales of an int8 layer's weights, or those of its biases; 0 for channels that are dead. */
function storedScales({ node, weights }: Learner, of: 'weights' | 'bias'): Learning['stored'] {
  const { quant, dtype } = weights.type
  if (dtype === 'f32' || !quant) return undefined
  const by = of === 'weights' ? 1 : node.inputs[0]!.type.quant!.scale[0]
  return { scale: liveScales(quant.scale).map((s) => s * by), axis: of === 'weights' ? (quant.axis ?? 0) : 0 }
}

/** What of a graph learns, and the nodes that stand for a layer then. */
interface Learnt {
  readonly nodes: readonly Node[]
  readonly params: readonly Learning[]
}

/** A layer with params in place of what learns of it; `paramOf` makes one for a constant, the same for all layers that share it. */
function learnt(layer: Chosen, paramOf: (of: Value, stored: Learning['stored']) => Learning): Learnt {
  const { node, weights, bias, learns, biasLearns } = layer
  const own = bias && biasLearns ? [paramOf(bias, storedScales(layer, 'bias'))] : []
  const inputs = node.inputs.map((v) => own.find(({ of }) => of === v)?.param ?? v)
  if (learns === 'all') {
    const whole = paramOf(weights, storedScales(layer, 'weights'))
    return {
      nodes: [{ ...node, inputs: inputs.map((v) => (v === weights ? whole.param : v)) }],
      params: [whole, ...own],
    }
  }
  if (learns.length === 0) return { nodes: [{ ...node, inputs }], params: own }
  const partial = partialLayer({ ...layer, node: { ...node, inputs } }, learns)
  return { nodes: partial.nodes, params: [...partial.params, ...own] }
}

/** The graph with params in place of some constants, and with masks where gradients pass through int8 layers. */
function learning({ graph, layers, others }: Applied): { graph: Graph; params: readonly Learning[] } {
  const chosen = new Set(layers.map((layer) => layer.node))
  const made = new Map<Value, Learning>()
  const paramOf = (of: Value, stored: Learning['stored']): Learning => {
    const shared = graph.nodes.some((n) => !chosen.has(n) && n.inputs.includes(of))
    const param: Value = { ...of, storage: 'param', name: shared ? `${of.name}/learning` : of.name }
    const learned = made.get(of) ?? { of, param, ...(stored && { stored }) }
    made.set(of, learned)
    return learned
  }
  const to = new Map(layers.map((layer) => [layer.node, learnt(layer, paramOf)]))
  const own = new Map(others.map((of) => [of, { of, param: { ...of, storage: 'param' } } satisfies Learning]))
  const withParam = (v: Value | undefined) => (v && own.get(v)?.param) ?? v
  const nodes = graph.nodes
    .flatMap((n) => to.get(n)?.nodes ?? [n])
    .map((n): Node => (n.inputs.some((v) => v && own.has(v)) ? { ...n, inputs: n.inputs.map(withParam) } : n))
  const params = [...new Set([...to.values()].flatMap((l) => l.params)), ...own.values()]
  const needed = dependents(nodes, new Set(params.map((p) => p.param)))
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

/** The gradient with the pull of an anchor. */
function pulledBack(build: Builder, param: Value, g: Value, anchor: StepOptions['anchor']): Value {
  const importance = anchor?.importance.get(param.name)
  if (!anchor || !importance) return g
  const { type } = param
  const origin = build.const(`${param.name}/origin`, type, param.data!.slice())
  const weight = build.const(`${param.name}/importance`, { dtype: 'f32', shape: type.shape }, importance)
  return build.one(anchored, [g, param, origin, weight], { strength: anchor.strength })
}

/** A model up to the gradients of what learns: inputs are the model's and the label. */
function differentiated(model: Graph, { learn, loss = 'cross-entropy', classes, seed = 1, batch }: StepOptions) {
  const { graph: single, added } = learnable(model, { learn, classes, seed })
  const passed = batch === undefined ? single : rebatch(single, batch)
  const { graph, params } = learning(chosenIn({ graph: passed, added }, learn, classes !== undefined))
  const build = Builder.after(graph)
  const [y] = graph.outputs
  if (!(y.type.dtype === 'f32' || (y.type.dtype === 'i8' && y.type.quant)) || y.type.shape.length === 0)
    throw new InputError(
      'output',
      `"${y.name}" is ${y.type.dtype} [${y.type.shape}], a loss needs f32, or i8 with a scale, of at least one axis`,
    )
  const overClasses = loss !== 'mean-square'
  const end = overClasses ? beforeSoftmax(graph, y) : y
  const from = end.type.quant ? build.one(dequantize, [end], {}, { from: 'loss' }) : end
  const { nodes } = build.graph([])
  const rows = from.type.shape.slice(0, -1)
  const classOfRow: TensorType = { dtype: 'i32', shape: rows.length > 0 ? rows : [1] }
  const labelType = loss === 'cross-entropy' ? classOfRow : from.type
  const label = build.input('label', labelType)
  const [value, gradient] = build.add(
    overClasses ? softmaxCrossEntropy : meanSquareError,
    [from, label],
    {},
    { from: 'loss' },
  )
  const found = differentiate(build, nodes, new Map([[from, gradient]]), new Set(params.map((p) => p.param)))
  const gradients = params.map(({ param }) => {
    const g = found.get(param)
    if (!g)
      throw new InputError('scheme', `${nameOf(learn)} has "${param.name}" learn, which the output does not depend on`)
    return g
  })
  return { build, graph, single, params, value, gradients, classes: from.type.shape.at(-1)! }
}

/**
 * The gradients of what would learn, and no update. Inputs: the model's and `label`; outputs: the loss, then a gradient for each
 * param, f32, with respect to the stored numbers.
 */
export function gradientStep(model: Graph, options: StepOptions): { graph: Graph; params: readonly Learning[] } {
  const { build, params, value, gradients } = differentiated(model, options)
  return { graph: prune(build.graph([value, ...gradients])), params }
}

/**
 * The training step of a float32 or int8 model. Throws InputError for a scheme, an output or an optimizer that does not fit,
 * ModelError for a layer on the way that has no gradient.
 */
export function trainingStep(model: Graph, options: StepOptions): TrainingStep {
  const { loss = 'cross-entropy', optimizer = { kind: 'sgd' }, rounding = 'stochastic', seed = 1 } = options
  const { build, graph, single, params, value, gradients, classes } = differentiated(model, options)
  const integers = params.some((p) => p.stored)
  if (integers && optimizer.kind !== 'sgd')
    throw new InputError('optimizer', `is ${optimizer.kind}, int8 weights and their biases learn by sgd`)
  const rate = build.input('rate', { dtype: 'f32', shape: [1] })
  const type: TensorType = { dtype: 'i32', shape: [1] }
  const step = integers ? build.state('step', type, new Int32Array(1)) : undefined
  for (const [i, learned] of params.entries()) {
    const { param } = learned
    build.from = `${param.name}/update`
    update(build, learned, pulledBack(build, param, gradients[i], options.anchor), i, {
      rate,
      step,
      optimizer,
      rounding,
      seed,
    })
  }
  if (step) {
    build.from = 'step'
    build.add(assign, [step, build.one(add, [step, build.const('one', type, Int32Array.of(1))], { clamp: {} })], {})
  }
  const trained = prune(build.graph([value, ...graph.outputs, ...params.map((p) => p.param)]))
  const own = { inputs: graph.inputs.length, outputs: graph.outputs.length }
  const learns: Learns = loss === 'cross-entropy' ? { ...own, classes } : own
  return { graph: { ...trained, learns }, params, model: single }
}
