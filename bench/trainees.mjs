// Ways for the back of an int8 net to learn, for comparison: by the library's own training step (stored integers, or float32); and
// from its gradients by updates made here, of a float64 copy that is rounded before each forward pass (what simulations of int8
// training do), with or without quantisation-aware scaling.

import { compile, gradientStep, instantiateLearner, learnedModel, trainingStep } from '../dist/index.js'
import { Builder } from '../dist/ir/build.js'
import { dequantize } from '../dist/ops/quantize/op.js'
import { openWasm } from '../dist/run/wasm.js'
import { answers, best } from './learning.mjs'

/** The real numbers of a constant of node `n`; int32 biases have the scale of the products that they are added to. */
function dequantized(v, n) {
  const { shape, quant } = v.type
  const by = v.type.dtype === 'i32' ? n.inputs[0].type.quant.scale[0] : 1
  const scales = v.type.dtype === 'i32' ? n.inputs[1].type.quant.scale : quant.scale
  const axis = v.type.dtype === 'i32' ? 0 : (quant.axis ?? 0)
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const scaleOf = (i) => by * scales[scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length]
  return Float32Array.from(v.data, (q, i) => q * scaleOf(i))
}

/**
 * An int8 graph computed on reals from node `from` on: dequantised weights and biases, and convolutions whose int8 begins at 0 (an
 * activation that saturation stands for) clamped to its range.
 */
export function floatFrom(graph, from) {
  const kept = graph.nodes.slice(0, from)
  const build = Builder.after({ ...graph, nodes: kept })
  const to = new Map()
  const known = new Set([...graph.inputs, ...kept.flatMap((n) => n.outputs)])
  const realOf = (v, n) => {
    if (v === undefined || to.has(v)) return v && to.get(v)
    const type = { dtype: 'f32', shape: v.type.shape }
    const made = known.has(v) ? build.one(dequantize, [v], {}) : build.const(v.name, type, dequantized(v, n))
    to.set(v, made)
    return made
  }
  for (const n of graph.nodes.slice(from)) {
    const [y] = n.outputs
    const inputs = n.inputs.map((v) => realOf(v, n))
    const [scale, zero] = [y.type.quant.scale[0], y.type.quant.zero[0]]
    const attrs = { ...n.attrs }
    if (n.op.name === 'pad') attrs.value = scale * (attrs.value - zero)
    const sums = ['conv2d', 'depthwise_conv2d'].includes(n.op.name)
    if (sums && zero === -128) attrs.clamp = { min: 0, max: scale * 255 }
    to.set(y, build.one(n.op, inputs, attrs, { from: n.from }))
  }
  return build.graph(graph.outputs.map((v) => to.get(v)))
}

/** Learns by the library's training step. */
export async function byStep(back, options) {
  const step = trainingStep(back, options)
  const learner = await instantiateLearner(compile(step.graph))
  return {
    train: (latent, label, rate) => learner.train([latent], label, rate),
    answers: async (rows) => rows.map(({ latent, label }) => best(learner.predict([latent])[0]) === label),
  }
}

const LIMIT = { i8: 127, i32: 2 ** 30, f32: Number.POSITIVE_INFINITY }

/** Learns as a float64 copy in stored units, rounded to nearest into the program before each step. `rule`: qas, plain or adam. */
export async function byCopy(back, options, rule) {
  const { graph, params } = gradientStep(back, options)
  const { model } = trainingStep(back, options)
  const { wasm, plan } = compile(graph)
  const machine = await openWasm(wasm, plan)
  const [x, y] = plan.graph.inputs
  const [loss, ...gradients] = plan.graph.outputs
  const placed = [...plan.places.keys()]
  const copies = params.map(({ param, stored }, i) => {
    const { dtype, shape } = param.type
    const inner = stored ? shape.slice(stored.axis + 1).reduce((a, b) => a * b, 1) : 1
    const scales = stored?.scale ?? [1]
    const factor = (k) => {
      const s = scales[scales.length === 1 ? 0 : Math.floor(k / inner) % scales.length]
      return s === 0 ? 0 : rule === 'qas' ? 1 / (s * s) : 1
    }
    const now = param.data.slice()
    return {
      place: placed.find((v) => v.name === param.name && v.storage === 'param'),
      gradient: gradients[i],
      now,
      exact: Float64Array.from(now),
      factors: Float64Array.from(now, (_, k) => factor(k)),
      first: new Float64Array(rule === 'adam' ? now.length : 0),
      second: new Float64Array(rule === 'adam' ? now.length : 0),
      limit: LIMIT[dtype],
      whole: dtype !== 'f32',
      name: param.name,
    }
  })
  let steps = 0
  const update = ({ place, gradient, now, exact, factors, first, second, limit, whole }, rate) => {
    const g = machine.read(gradient)
    const [c1, c2] = [1 - 0.9 ** steps, 1 - 0.999 ** steps]
    for (let k = 0; k < g.length; k++) {
      let d = g[k] * factors[k]
      if (rule === 'adam') {
        first[k] += 0.1 * (d - first[k])
        second[k] += 0.001 * (d * d - second[k])
        d = first[k] / c1 / (Math.sqrt(second[k] / c2) + 1e-8)
      }
      const next = exact[k] - rate * d
      exact[k] = next > limit ? limit : next < -limit ? -limit : next
      now[k] = whole ? Math.round(exact[k]) : exact[k]
    }
    machine.write(place, now)
  }
  return {
    train(latent, label, rate) {
      machine.write(x, latent)
      machine.write(y, Int32Array.of(label))
      machine.steps(0, plan.steps.length)
      steps++
      if (!Number.isFinite(machine.read(loss)[0])) throw new RangeError('weights have grown without bounds')
      for (const copy of copies) update(copy, rate)
    },
    answers: (rows) => answers(learnedModel({ model, params }, new Map(copies.map(({ name, now }) => [name, now]))), rows),
  }
}
