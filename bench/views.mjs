// Every judging input seen several times: photos as the four corners and the centre of a larger picture, each also mirrored
// (Krizhevsky, Sutskever, Hinton 2012); small pictures mirrored; sound some frames earlier and later. Two models on all views give
// narrower intervals than on the inputs alone. Views of one input are alike, so intervals are of the means over inputs,
// not of views (a cluster-robust standard error).

import { samplesFor } from '../dist/compress/quantize/measure.js'
import { compile, instantiate } from '../dist/index.js'

const LARGER = 8 / 7

/** A window of a picture (H, W, C). */
function crop(x, [, W, C], top, left, [h, w]) {
  const y = new Float32Array(h * w * C)
  for (let r = 0; r < h; r++) y.set(x.subarray(((top + r) * W + left) * C, ((top + r) * W + left + w) * C), r * w * C)
  return y
}

function mirrored(x, [H, W, C]) {
  const y = new Float32Array(x.length)
  for (let r = 0; r < H; r++)
    for (let c = 0; c < W; c++) y.set(x.subarray((r * W + c) * C, (r * W + c + 1) * C), (r * W + W - 1 - c) * C)
  return y
}

/** Frames later by so many, the first or last repeated. */
function shifted(x, [T, F], by) {
  const y = new Float32Array(x.length)
  for (let t = 0; t < T; t++) {
    const from = Math.min(T - 1, Math.max(0, t - by))
    y.set(x.subarray(from * F, (from + 1) * F), t * F)
  }
  return y
}

const VIEWS = {
  corners(x, [H, W, C]) {
    const [h, w] = [H / LARGER, W / LARGER]
    const at = [0, 0, 1, 1].map((v, i) => [v * (H - h), (i % 2) * (W - w)])
    const cuts = [[(H - h) / 2, (W - w) / 2], ...at].map(([top, left]) => crop(x, [H, W, C], top, left, [h, w]))
    return cuts.flatMap((y) => [y, mirrored(y, [h, w, C])])
  },
  mirrored: (x, shape) => [x, mirrored(x, shape)],
  shifted: (x, shape) => [-2, -1, 0, 1, 2].map((by) => shifted(x, shape, by)),
}

const best = (scores) => scores.reduce((b, s, i) => (s > scores[b] ? i : b), 0)

/** Inputs of a model of `quantizable` with all their views: with the truth first, then those of `alike` without one. */
export function viewsOf(entry, { modelOf, judged }) {
  const { type } = modelOf(entry).inputs[0]
  const larger = { ...type, shape: type.shape.map((d, i) => (i === 1 || i === 2 ? d * LARGER : d)) }
  const own = entry.views === 'corners' ? larger : type
  const [first, ...others] = [undefined, ...(entry.alike ?? [])].map((evaluate) => judged(entry, { type: own, evaluate }))
  const shape = own.shape.slice(1)
  const each = (samples) =>
    Array.from({ length: samples.count }, (_, i) => () => VIEWS[entry.views](samples.inputs(i)[0], shape))
  return { inputs: [first, ...others].flatMap(({ samples }) => each(samples)), truths: first.truths }
}

/** The best class of every view of every input. */
export async function classesOf(graph, { inputs }) {
  const model = await instantiate(compile(graph))
  return inputs.map((views) => {
    const all = views()
    const stored = samplesFor(graph, { count: all.length, inputs: (i) => [all[i]] })
    return all.map((_, i) => best(model.run(stored.inputs(i))[0]))
  })
}

/** The mean over views of numbers for each input, and its 95% interval, in which each input counts once. */
export function clustered(perInput) {
  const means = perInput.map((x) => x.reduce((s, v) => s + v, 0) / x.length)
  const n = means.length
  const difference = means.reduce((s, v) => s + v, 0) / n
  const half = 1.959964 * Math.sqrt(means.reduce((s, v) => s + (v - difference) ** 2, 0) / (n - 1) / n)
  return { difference, interval: [difference - half, difference + half] }
}

/** What `after` gains over `before` where there is a truth, and how often both agree with `float`. */
export function compareViews(before, after, { truths }) {
  const right = (classes) => truths.map((t, i) => classes[i].map((c) => Number(c === t)))
  const [x, y] = [right(before), right(after)]
  const same = after.map((classes, i) => classes.map((c, k) => Number(c === before[i][k])))
  return {
    views: before.flat().length,
    inputs: before.length,
    judged: truths.length,
    before: clustered(x).difference,
    after: clustered(y).difference,
    accuracy: clustered(y.map((v, i) => v.map((r, k) => r - x[i][k]))),
    same: clustered(same),
  }
}
