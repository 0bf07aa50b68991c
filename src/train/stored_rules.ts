// The gradients of int8 operators, in float32 and with respect to what is stored (quantisation-aware scaling, Lin et al. 2022): a
// requantised result passes the gradient on where its mask has a 1, times the scale of its channel.

import { ModelError } from '../errors.ts'
import { type Builder, layer } from '../ir/build.ts'
import { type Node, sameQuant, type Value } from '../ir/graph.ts'
import type { Attrs } from '../ir/op.ts'
import type { Accumulating } from '../ops/accumulate.ts'
import { convInputGradient, convWeightGradient } from '../ops/gradients/window.ts'
import { averagePool2d, maxPool2d, type Pool } from '../ops/pool/op.ts'
import { maskGradient } from '../ops/qas/mask_gradient.ts'
import {
  maskedAdd,
  maskedConv2d,
  maskedDepthwiseConv2d,
  maskedFullyConnected,
  maskedPartialConv2d,
  maskedPartialDepthwiseConv2d,
  maskedQuantize,
} from '../ops/qas/masked.ts'
import { dequantize } from '../ops/quantize/op.ts'
import { mean, type Reduce } from '../ops/reduce/op.ts'
import { concat } from '../ops/shape/concat.ts'
import { pad } from '../ops/shape/pad.ts'
import { reshape } from '../ops/shape/reshape.ts'
import { transpose } from '../ops/shape/transpose.ts'
import { slice } from '../ops/slice/op.ts'
import type { Window } from '../ops/window.ts'
import { partialGrad } from './partial_rules.ts'
import {
  averagePoolGrad,
  concatGrad,
  type Grad,
  maxPoolGrad,
  outer,
  padGrad,
  reshapeGrad,
  rule,
  sliceGrad,
  sumGrad,
  transposeGrad,
} from './shape_rules.ts'
import { termsOf, unbroadcast } from './terms.ts'

const scaleOf = (v: Value) => v.type.quant!.scale[0]

/** `g` through the requantisation of `node`, whose output 1 is the mask: times the scale of each channel, or one for all. */
function throughMask(build: Builder, node: Node, g: Value, scales: Float64Array): Value {
  const factors = build.const('scales', { dtype: 'f32', shape: [scales.length] }, Float32Array.from(scales))
  return build.one(maskGradient, [g, node.outputs[1], factors], {})
}

/** `g` as the gradient of the sums of products that `node` requantises. */
function throughSums(build: Builder, node: Node, g: Value): Value {
  const [x, w] = node.inputs as Value[]
  const scales = w.type.quant!.scale.map((s) => (scaleOf(x) * s) / scaleOf(node.outputs[0]))
  return throughMask(build, node, g, scales)
}

/** Of the sums of a window: (x - zero) * w + b, requantised. */
function sumsGrad<A extends Accumulating>(
  windowOf: (node: Node<A>) => Window & { readonly groups: number; readonly depthwise: boolean },
): Grad<A> {
  return (build, node, [dy], wanted) => {
    const [x, w, b] = node.inputs as [Value, Value, Value | undefined]
    const g = throughSums(build, node as unknown as Node, dy!)
    const { stride, dilation, pad, groups, depthwise } = windowOf(node)
    const window = { stride, dilation, pad, groups, depthwise }
    const { sum, shaped } = termsOf(build)
    return [
      wanted[0] ? build.one(convInputGradient, [g, w], { ...window, shape: x.type.shape }) : undefined,
      wanted[1] ? build.one(convWeightGradient, [x, g], { ...window, shape: w.type.shape }) : undefined,
      wanted[2] ? shaped(sum(g, outer(g)), b!.type.shape) : undefined,
    ]
  }
}

const PIXEL = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, depthwise: false }

/** Of operands that are rescaled, added up where there are several, and requantised. */
const rescaledGrad: Grad<Attrs> = (build, node, [dy], wanted) =>
  node.inputs.map((v, i) => {
    if (!wanted[i]) return undefined
    const scale = Float64Array.of(scaleOf(v!) / scaleOf(node.outputs[0]))
    return unbroadcast(build, throughMask(build, node, dy!, scale), v!.type.shape)
  })

/** Of operators whose result has the scale of what they read, and is not clamped. */
function unscaled<A extends Attrs>(grad: Grad<A>): Grad<A> {
  return (build, node, gradients, wanted) => {
    const [y] = node.outputs
    const other = node.inputs.find((v, i) => wanted[i] && !sameQuant(v!.type.quant, y.type.quant))
    if (other)
      throw new ModelError(
        layer(node as unknown as Node),
        `"${other.name}" has scale ${scaleOf(other)}, its result ${scaleOf(y)}; int8 learns through one scale`,
      )
    return grad(build, node, gradients, wanted)
  }
}

function unclamped(grad: Grad<Pool>): Grad<Pool> {
  return (build, node, gradients, wanted) => {
    const { min, max } = node.attrs.clamp
    if (min !== undefined || max !== undefined)
      throw new ModelError(layer(node as unknown as Node), 'has a fused activation, int8 pools learn without one')
    return grad(build, node, gradients, wanted)
  }
}

/** A mean may have a scale of its own; it lies within its elements, so saturation is passed over. */
const meanGrad: Grad<Reduce> = (build, node, gradients, wanted) => {
  const ratio = scaleOf(node.inputs[0]!) / scaleOf(node.outputs[0])
  return sumGrad((n) => ratio / n)(build, node, gradients, wanted)
}

const dequantizeGrad: Grad<Attrs> = (build, { inputs }, [g]) => [termsOf(build).mul(g!, scaleOf(inputs[0]!))]

/** The rules of operators that read int8. */
export const STORED: ReadonlyMap<object, Grad> = new Map<object, Grad>([
  rule(
    maskedConv2d,
    sumsGrad(({ attrs }) => ({ ...attrs, depthwise: false })),
  ),
  rule(
    maskedDepthwiseConv2d,
    sumsGrad(({ attrs, inputs }) => ({ ...attrs, groups: inputs[0]!.type.shape[3], depthwise: true })),
  ),
  rule(
    maskedFullyConnected,
    sumsGrad(() => PIXEL),
  ),
  rule(maskedPartialConv2d, partialGrad(throughSums, false)),
  rule(maskedPartialDepthwiseConv2d, partialGrad(throughSums, true)),
  rule(maskedAdd, rescaledGrad),
  rule(maskedQuantize, rescaledGrad),
  rule(averagePool2d, unclamped(unscaled(averagePoolGrad))),
  rule(maxPool2d, unclamped(unscaled(maxPoolGrad))),
  rule(mean, meanGrad),
  rule(reshape, unscaled(reshapeGrad)),
  rule(transpose, unscaled(transposeGrad)),
  rule(pad, unscaled(padGrad)),
  rule(slice, unscaled(sliceGrad)),
  rule(concat, unscaled(concatGrad)),
  rule(dequantize, dequantizeGrad),
])

/** Slices of weights whose scale is so far below the largest carry nothing. */
export const DEAD = 2 ** -10

/** The scales of the slices that learn, 0 for those that are dead. */
export function liveScales(scale: Float64Array): number[] {
  const most = Math.max(...scale)
  return Array.from(scale, (s) => (s < most * DEAD ? 0 : s))
}
