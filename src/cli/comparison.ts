// Two models on the same inputs, and the effect of each layer that was quantised.

import { aloneQuantized, layerNoise, ownLayers, realsOf, samplesFor } from '../compress/quantize/measure.ts'
import type { Quantized } from '../compress/quantize/quantize.ts'
import { forEachSample, type Samples, type Tell, tap } from '../compress/quantize/run.ts'
import { bitsOf, type Graph } from '../ir/graph.ts'
import { count } from '../loops/ir.ts'
import { evaluate, type Truth, truthOf } from '../report/evaluation.ts'
import { type Comparison, type LayerEffect, pairedDifference, rightOf } from '../report/quantization.ts'
import type { NamedSamples } from './calibration.ts'

/** The first output of a model for each sample, as reals. */
async function answers(graph: Graph, samples: Samples, tell: (done: number) => void): Promise<number[][]> {
  const [output] = graph.outputs
  const results: number[][] = []
  const tapped = await tap(graph, [output])
  await forEachSample(samplesFor(graph, samples), tapped, ([y]) => results.push([...realsOf(output.type, y)]), tell)
  return results
}

/** Undefined where the set does not tell the truth of all of its inputs. */
function truthsOf({ set, read }: NamedSamples, graph: Graph, labels: readonly string[] | undefined): Truth | undefined {
  const truths = read.samples.map((s) => s.truth)
  if (!truths.every((t) => t !== undefined)) return undefined
  const told = { truths, classes: set.classes, ordered: set.ordered, ...(labels && { labels }) }
  return truthOf(told, count(graph.outputs[0].type.shape))
}

/** Whether the first output is the scores of classes: one list, or one score of two. */
function isVector({ outputs: [{ type }] }: Graph): boolean {
  return count(type.shape) === (type.shape.at(-1) ?? 1)
}

/** The class with the highest score; of a single score, the second from 0.5 on. */
function best(scores: readonly number[]): number {
  return scores.length === 1 ? Number(scores[0] >= 0.5) : scores.reduce((b, s, i) => (s > scores[b] ? i : b), 0)
}

/** Both models on every sample. Throws InputError where truths do not fit the model's outputs. */
export async function compareModels(
  before: Graph,
  after: Graph,
  samples: NamedSamples,
  labels: readonly string[] | undefined,
  tell: Tell,
): Promise<Comparison> {
  const truth = truthsOf(samples, before, labels)
  const [a, b] = [
    await answers(before, samples, (done) => tell('evaluate before', done, samples.count)),
    await answers(after, samples, (done) => tell('evaluate after', done, samples.count)),
  ]
  const [x, y] = [truth && evaluate(truth, a), truth && evaluate(truth, b)]
  const scores = isVector(before) && a[0]?.length > 1
  let [signal, noise] = [0, 0]
  a.forEach((y, i) => {
    y.forEach((s, k) => {
      signal += s * s
      noise += (s - b[i][k]) ** 2
    })
  })
  return {
    set: samples.name,
    samples: samples.count,
    ...((scores || truth?.kind === 'classes') && { agree: a.filter((y, i) => best(y) === best(b[i])).length }),
    ...(x && y && { before: x, after: y }),
    ...(x?.kind === 'classes' && y?.kind === 'classes' && { accuracy: pairedDifference(rightOf(x), rightOf(y)) }),
    ...(noise > 0 && { sqnr: 10 * Math.log10(signal / noise) }),
  }
}

/** So many of the samples, spread evenly. */
function some<S extends Samples>(samples: S, n: number): S {
  if (n >= samples.count) return samples
  return { ...samples, count: n, inputs: (i: number) => samples.inputs(Math.floor((i * samples.count) / n)) }
}

/**
 * The layers of a quantised model: their noise on `noise` of the samples, and with `alone` > 0 what the accuracy loses
 * where each of them alone is quantised, on so many samples (without their truth: how often the answer stays).
 */
export async function layerEffects(
  q: Quantized,
  samples: NamedSamples,
  { noise, alone, labels }: { noise: number; alone: number; labels: readonly string[] | undefined },
  tell: Tell,
): Promise<LayerEffect[]> {
  const few = some(samples, noise)
  const measured = await layerNoise(q, few, (done) => tell('noise of layers', done, few.count))
  const alones = new Map<unknown, LayerEffect['alone']>()
  if (alone > 0) {
    const subset = spread(samples, alone)
    const first = await answers(q.float, subset, () => {})
    const told = truthsOf(subset, q.float, labels)
    const truth = told?.kind === 'classes' ? told.classes : first.map(best)
    const rights = (all: readonly number[][]) => all.map((scores, i) => best(scores) === truth[i])
    const layers = isVector(q.float) ? ownLayers(q) : []
    for (const [i, node] of layers.entries()) {
      tell('layers alone', i, layers.length)
      const lone = await answers(aloneQuantized(q, node), subset, () => {})
      alones.set(node, pairedDifference(rights(first), rights(lone)))
    }
    tell('layers alone', layers.length, layers.length)
  }
  return measured.map(({ node, sqnr, weightSqnr }) => {
    const became = q.became.get(node.outputs[0])!.type
    const quant = became.quant
    const bits = q.decisions.weights.get(node)?.quant.bits
    const lone = alones.get(node)
    return {
      name: node.from,
      op: node.op.name,
      ...(q.decisions.weights.has(node) && quant && { weightBits: bits ?? 8 }),
      ...(quant && { outputBits: bitsOf(became.dtype), scale: quant.scale[0], zero: quant.zero[0] }),
      ...(Number.isFinite(sqnr) && { sqnr }),
      ...(weightSqnr !== undefined && Number.isFinite(weightSqnr) && { weightSqnr }),
      ...(lone && { alone: lone }),
    }
  })
}

/** As `some`, with the truths that belong to them. */
function spread(samples: NamedSamples, n: number): NamedSamples {
  if (n >= samples.count) return samples
  const of = <T>(all: readonly T[]) => Array.from({ length: n }, (_, i) => all[Math.floor((i * all.length) / n)])
  const { read } = samples
  return { ...some(samples, n), read: { ...read, samples: of(read.samples), hashes: of(read.hashes) } }
}
