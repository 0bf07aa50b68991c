// What of a model learns. A scheme chooses, of layers with weights, biases and weights or some of their channels: by a name,
// counted from the output ("last", "last-K", "bias-last-K" (TinyTL, Cai et al. 2020), "full"), by the name of a released sparse
// scheme (Lin et al. 2022), or layer by layer; or it has a frozen model learn by what it adds.

import { InputError } from '../errors.ts'
import { type Graph, inputsOf, type Node, type Value } from '../ir/graph.ts'
import { count } from '../loops/ir.ts'
import { conv2d } from '../ops/conv2d/op.ts'
import { depthwiseConv2d } from '../ops/depthwise/op.ts'
import { releasedScheme } from './released.ts'

/** One layer of a selection. */
export interface LayerSelection {
  /** Its number among the layers with weights, from 0, or its name. */
  readonly layer: number | string
  /** The share of channels whose weights learn, those with the largest norm; 1 (the default) for all of them. */
  readonly ratio?: number
  /** The channels themselves, in place of a ratio. */
  readonly channels?: readonly number[]
}

/** What learns, layer by layer. The last layer learns as a whole. */
export interface Selection {
  readonly name?: string
  /** The biases of so many layers before the last one. */
  readonly biases?: number
  /** Weights. Channels are those of the input; of depthwise layers input and output are one. */
  readonly layers?: readonly LayerSelection[]
  /** Further constants of the model, by name: weights, biases, or others in float32. */
  readonly parameters?: readonly string[]
}

/** What learns: by name, or chosen. */
export type Scheme =
  | 'last'
  | 'full'
  | `last-${number}`
  | `bias-last-${number}`
  | `sparse-${number}kb`
  | 'bn-last'
  | `lora-${number}`
  | `adapter-${number}`
  | `prompt-${number}`
  | 'tinytl'
  | Selection

/** A layer with weights, and what of it may learn. */
export interface Learner {
  readonly node: Node
  readonly weights: Value
  readonly bias: Value | undefined
}

/** What of a layer learns: all weights, those of some channels in ascending order, or none; and its bias. */
export interface Chosen extends Learner {
  readonly learns: 'all' | readonly number[]
  readonly biasLearns: boolean
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

/** How a scheme is called where something is said of it. */
export const nameOf = (scheme: Scheme) => (typeof scheme === 'string' ? scheme : (scheme.name ?? 'the scheme'))

const NAMES = 'last, last-K, bias-last-K, bn-last, sparse-Nkb, lora-R, adapter-R, prompt-N, tinytl or full'

/** What of the layers of `graph` learns under a scheme, in their order. Throws InputError where the graph has no such layers. */
export function chosenOf(graph: Graph, scheme: Scheme): Chosen[] {
  const all = learners(graph)
  if (typeof scheme !== 'string') return selected(graph, all, scheme)
  if (/^sparse-\d+kb$/.test(scheme)) return selected(graph, all, releasedScheme(graph, all, scheme))
  const [, bias, digits] = /^(bias-)?last(?:-(\d+))?$/.exec(scheme) ?? []
  const k =
    scheme === 'full' ? all.length : digits === undefined ? (scheme === 'last' ? 1 : Number.NaN) : Number(digits)
  if (!(k >= 1)) throw new InputError('scheme', `"${scheme}" is none`, NAMES)
  if (k > all.length || all.length === 0)
    throw new InputError(
      'scheme',
      `${scheme} asks for ${k} layers, "${graph.name}" has ${all.length} with constant weights`,
    )
  return all
    .slice(all.length - k)
    .map((l, i) => ({ ...l, learns: bias && i < k - 1 ? [] : 'all', biasLearns: l.bias !== undefined }))
}

function selected(graph: Graph, all: readonly Learner[], scheme: Selection): Chosen[] {
  const fail = (what: string, hint?: string): never => {
    throw new InputError('scheme', `${nameOf(scheme)} ${what}`, hint)
  }
  if (all.length === 0) fail(`asks for layers, "${graph.name}" has none with constant weights`)
  const { biases = 0, layers = [], parameters = [] } = scheme
  const inner = all.length - 1
  if (!Number.isInteger(biases) || biases < 0 || biases > inner)
    fail(`asks for ${biases} biases, "${graph.name}" has ${inner} layers with weights before the last`)
  const unknown = parameters.find((name) => !namedConstant(graph, all, name))
  if (unknown !== undefined)
    fail(`has parameter "${unknown}" learn, no layer's weights or bias and no float32 constant are called so`)
  const weights = new Map<Learner, 'all' | readonly number[]>()
  for (const { layer, ratio, channels } of layers) {
    const learner = typeof layer === 'number' ? all[layer] : all.find((l) => l.node.from === layer)
    if (!learner || learner === all[inner])
      return fail(
        typeof layer === 'number'
          ? `asks for layer ${layer}, "${graph.name}" has layers 0 to ${inner - 1} before the last`
          : `asks for layer "${layer}", ${learner ? 'which is the last and learns anyway' : 'which has no weights or is not there'}`,
      )
    if (weights.has(learner)) fail(`asks for layer ${layer} twice`)
    weights.set(learner, channels ? checked(learner, channels, fail) : largest(learner, ratio ?? 1, fail))
  }
  return all.flatMap((l, i): Chosen[] => {
    const named = (v: Value | undefined) => v !== undefined && parameters.includes(v.name)
    const last = i === inner
    const learns = last || named(l.weights) ? 'all' : (weights.get(l) ?? [])
    const biasLearns = l.bias !== undefined && (last || i >= inner - biases || named(l.bias))
    return learns.length > 0 || biasLearns ? [{ ...l, learns, biasLearns }] : []
  })
}

/** A constant that may learn: of a layer with weights, or any in float32. */
function namedConstant(graph: Graph, all: readonly Learner[], name: string): Value | undefined {
  const own = all.flatMap((l) => [l.weights, ...(l.bias ? [l.bias] : [])]).find((v) => v.name === name)
  const others = graph.nodes.flatMap((n) => inputsOf(n)).filter((v) => v.storage === 'const' && v.type.dtype === 'f32')
  return own ?? others.find((v) => v.name === name)
}

/** The constants that a selection names and that are no layer's weights or bias. */
export function otherParameters(graph: Graph, { parameters = [] }: Selection): Value[] {
  const all = learners(graph)
  const own = new Set(all.flatMap((l) => [l.weights, l.bias]))
  return parameters.flatMap((name) => namedConstant(graph, all, name) ?? []).filter((v) => !own.has(v))
}

type Fail = (what: string, hint?: string) => never

/** The axis of the weights along which channels of the input lie; fails where parts of the layer cannot learn. */
function channelAxis({ node, weights }: Learner, fail: Fail): number {
  const [x] = node.inputs
  const groups = node.attrs.groups ?? 1
  const whole = node.op.name === conv2d.name && groups === 1
  const each = node.op.name === depthwiseConv2d.name && weights.type.shape[3] === x!.type.shape[3]
  if (!whole && !each)
    fail(
      `asks for channels of ${node.op.name} "${node.from}"; parts of convolutions of one group learn, and of depthwise ones with one output for each input`,
      'let all of it learn',
    )
  return 3
}

function checked(learner: Learner, channels: readonly number[], fail: Fail): readonly number[] {
  const n = learner.weights.type.shape[channelAxis(learner, fail)]
  const wrong = channels.find((c, i) => !Number.isInteger(c) || c < 0 || c >= n || channels.indexOf(c) !== i)
  if (wrong !== undefined) fail(`asks for channel ${wrong} of "${learner.node.from}", expected different ones of ${n}`)
  if (channels.length === 0) fail(`asks for no channels of "${learner.node.from}"`)
  return [...channels].sort((a, b) => a - b)
}

/** The channels with the largest norm of their real weights: a share of all. */
function largest(learner: Learner, ratio: number, fail: Fail): 'all' | readonly number[] {
  if (!(ratio > 0 && ratio <= 1))
    return fail(`asks for a ratio of ${ratio} of "${learner.node.from}", expected more than 0, up to 1`)
  if (ratio === 1) return 'all'
  channelAxis(learner, fail)
  const norms = channelNorms(learner)
  const order = Array.from(norms.keys()).sort((a, b) => norms[b] - norms[a] || a - b)
  return order.slice(0, Math.max(1, Math.round(ratio * order.length))).sort((a, b) => a - b)
}

/** The square of the norm of the real weights of each channel of the input. */
export function channelNorms({ weights }: Learner): Float64Array {
  const { shape, quant } = weights.type
  const C = shape[3]
  const norms = new Float64Array(C)
  const data = weights.data as Float32Array | Int8Array
  const axis = quant?.axis ?? 0
  const inner = count(shape.slice(axis + 1))
  const scales = quant?.scale ?? [1]
  data.forEach((v, i) => {
    norms[i % C] += (v * scales[scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length]) ** 2
  })
  return norms
}
