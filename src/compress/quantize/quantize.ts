// From a float32 model and samples of its inputs to a model on integers, by TensorFlow Lite's quantisation specification.

import { ModelError } from '../../errors.ts'
import type { Graph, Node, Value } from '../../ir/graph.ts'
import { verify } from '../../ir/verify.ts'
import { type Calibration, calibrate } from './calibrate.ts'
import { equalize } from './equalize.ts'
import { prepare } from './prepare.ts'
import type { Method } from './range.ts'
import { reconstruct } from './reconstruct.ts'
import { type Activations, type Decisions, formOf, type Rewritten, toIntegers } from './rewrite.ts'
import type { Samples, Tell } from './run.ts'
import { scalesOf, type Widths, weightedNodes } from './scales.ts'
import { type Bits, leastScales, type Stored, storeWeights, weightScales } from './weights.ts'

/** How a model is quantised; everything may be left out. */
export interface QuantizeOptions {
  /** int8 or int16 activations (default int8), and 8 or 4 bits for weights (default 8); 4 where sums are long enough. */
  readonly activations?: Activations
  readonly weightBits?: Bits
  /**
   * Layers whose sums have fewer products keep 8 bits where 4 are asked for (default 32): there the errors of weights do not
   * average out, and the weights are few (depthwise layers, and the first of most nets).
   */
  readonly shortSums?: number
  /** Bits of a layer's weights and of tensors, where they were chosen for each. */
  readonly bits?: BitWidths
  /** A scale for each output channel (default), or for each tensor. */
  readonly weights?: 'per-channel' | 'per-tensor'
  /** How ranges of activations are chosen (default minmax); the percentile for that method (default 99.99). */
  readonly method?: Method
  readonly percentile?: number
  /** Cross-layer equalisation before, bias correction after, and how weights are rounded (default nearest). */
  readonly equalize?: boolean
  readonly correctBias?: boolean
  readonly rounding?: 'nearest' | 'adaround'
  /** Of the output positions that correction and rounding look at. */
  readonly seed?: number
  /** Whose arithmetic (default tflite): onnx for models that are written as .onnx. */
  readonly arithmetic?: Decisions['arithmetic']
  /** The model's own inputs and outputs: integers (default) or float32. */
  readonly io?: Decisions['io']
  tell?: Tell
}

/** Of layers of the prepared graph, and of its tensors; those that are absent have what the other options say. */
export interface BitWidths {
  readonly weights: ReadonlyMap<Node, Bits>
  readonly activations: Widths
}

/** A quantised model: its graph, the layers that stay float32, and what it was made from. */
export interface Quantized extends Rewritten {
  /** The float32 graph that was quantised: the model's, prepared. */
  readonly float: Graph
  readonly decisions: Decisions
}

/** Throws ModelError where no layer computes on float32. */
export function expectFloat(graph: Graph): void {
  if (!graph.nodes.some((node) => node.op.real || formOf(node)))
    throw new ModelError(graph.name, 'has no layer in float32 that can be quantised', 'is it quantised already?')
}

/** A float32 model as it is quantised, and what its tensors hold. */
export interface Calibrated {
  readonly float: Graph
  readonly calibration: Calibration
}

/** The first half of `quantizeGraph`: what does not depend on bits. */
export async function calibrated(graph: Graph, samples: Samples, options: QuantizeOptions): Promise<Calibrated> {
  expectFloat(graph)
  const prepared = prepare(graph)
  const tell = options.tell ?? (() => {})
  const seen = await calibrate(prepared, samples, (done) => tell('calibrate', done, samples.count))
  const float = options.equalize ? equalize(prepared, seen) : prepared
  const calibration = options.equalize
    ? await calibrate(float, samples, (done) => tell('calibrate again', done, samples.count))
    : seen
  return { float, calibration }
}

/** Scales and weights rounded to nearest. */
export function nearestDecisions({ float, calibration }: Calibrated, options: QuantizeOptions): Decisions {
  const { activations = 'i8', weightBits = 8, method = 'minmax', percentile = 99.99, bits: chosen } = options
  const { io = 'integers', arithmetic = 'tflite' } = options
  const widths = chosen?.activations
  const quants = scalesOf(float, calibration, { activations, method, percentile, ...(widths && { widths }) })
  const weights = new Map<Node, Stored>()
  for (const node of weightedNodes(float)) {
    const sums = formOf(node)!.weights!
    const [x, w, b] = [node.inputs[0]!, node.inputs[sums.input]!, node.inputs[sums.input + 1]] as Value[]
    const channels = w.type.shape[sums.axis]
    const least = leastScales(b, channels, quants.get(x)?.scale[0] ?? 1)
    const few = w.data!.length / channels < (options.shortSums ?? 32)
    const bits = chosen?.weights.get(node) ?? (few ? 8 : weightBits)
    const scale = weightScales(w, sums, bits, options.weights !== 'per-tensor', least)
    weights.set(node, storeWeights(w, sums, bits, scale))
  }
  return { activations, quants, weights, biases: new Map(), io, arithmetic, ...(widths && { widths }) }
}

/** The second half: scales, rounding, correction, rewrite. */
export async function quantizeCalibrated(
  start: Calibrated,
  samples: Samples,
  options: QuantizeOptions,
): Promise<Quantized> {
  const { float } = start
  const nearest = nearestDecisions(start, options)
  const { rounding = 'nearest', correctBias = false, seed = 1, tell = () => {} } = options
  const decisions =
    rounding === 'nearest' && !correctBias
      ? nearest
      : await reconstruct(float, nearest, samples, { rounding, correctBias, seed }, tell)
  const rewritten = toIntegers(float, decisions)
  verify(rewritten.graph)
  return { ...rewritten, float, decisions }
}

/**
 * A model on integers from one in float32 and samples of its inputs. Throws InputError for samples that make tensors NaN or
 * infinite, ModelError for a model with nothing to quantise.
 */
export async function quantizeGraph(graph: Graph, samples: Samples, options: QuantizeOptions = {}): Promise<Quantized> {
  return quantizeCalibrated(await calibrated(graph, samples, options), samples, options)
}
