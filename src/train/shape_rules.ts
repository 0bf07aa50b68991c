// The gradients of operators that move, average or choose elements: they are alike whatever the elements stand for, so float32
// and int8 share them.

import { ModelError } from '../errors.ts'
import { type Builder, layer } from '../ir/build.ts'
import type { Node, Value } from '../ir/graph.ts'
import type { Attrs, Op } from '../ir/op.ts'
import { count } from '../loops/ir.ts'
import { expand } from '../ops/expand/op.ts'
import { maxPoolGradient } from '../ops/gradients/max_pool.ts'
import { convInputGradient } from '../ops/gradients/window.ts'
import { type Pool, tapsAlong, windowOf } from '../ops/pool/op.ts'
import type { Reduce } from '../ops/reduce/op.ts'
import { pad } from '../ops/shape/pad.ts'
import { transpose } from '../ops/shape/transpose.ts'
import { type Slice, slice } from '../ops/slice/op.ts'
import { termsOf, throughClamp, unbroadcast } from './terms.ts'

/**
 * Appends the gradients of a number with respect to the `wanted` inputs, from those with respect to the outputs (absent where
 * the number does not depend on one). Only what is wanted is built.
 */
export type Grad<A extends Attrs = Attrs> = (
  build: Builder,
  node: Node<A>,
  gradients: readonly (Value | undefined)[],
  wanted: readonly boolean[],
) => readonly (Value | undefined)[]

export function rule<A extends Attrs>(op: Op<A>, grad: Grad<A>): [object, Grad] {
  return [op, grad as unknown as Grad]
}

/** All axes but the last. */
export const outer = (v: Value) => v.type.shape.slice(0, -1).map((_, d) => d)

/** Of a sum over axes, times `factor` of the number of elements in it. */
export function sumGrad(factor: (elements: number) => number): Grad<Reduce> {
  return (build, { inputs, outputs, attrs }, [g]) => {
    const t = termsOf(build)
    const { shape } = inputs[0]!.type
    const axes = attrs.axes.map((a) => (a < 0 ? a + shape.length : a))
    const kept = shape.map((d, i) => (axes.includes(i) ? 1 : d))
    const by = factor(count(shape) / count(outputs[0].type.shape))
    const each = t.shaped(by === 1 ? g! : t.mul(g!, by), kept)
    return [build.one(expand, [each], { shape })]
  }
}

/** Of averages over windows: each output's gradient goes in equal parts to the elements it averages. */
export const averagePoolGrad: Grad<Pool> = (build, node, [dy]) => {
  const [N, H, W, C] = node.inputs[0]!.type.shape
  const [, OH, OW] = node.outputs[0].type.shape
  const g = throughClamp(build, node, dy!)
  if (OH * OW === 1) {
    const n = tapsAlong(0, H, OH, node.attrs)[0] * tapsAlong(1, W, OW, node.attrs)[0]
    if (n === H * W) return [build.one(expand, [termsOf(build).mul(g, 1 / n)], { shape: [N, H, W, C] })]
  }
  const [rows, columns] = [tapsAlong(0, H, OH, node.attrs), tapsAlong(1, W, OW, node.attrs)]
  const parts = rows.flatMap((r) => columns.map((c) => 1 / Math.max(1, r * c)))
  const share = build.const('parts', { dtype: 'f32', shape: [1, OH, OW, 1] }, Float32Array.from(parts))
  const [kh, kw] = node.attrs.kernel
  const ones = build.const('ones', { dtype: 'f32', shape: [1, kh, kw, C] }, new Float32Array(kh * kw * C).fill(1))
  const window = { ...windowOf(node.attrs), groups: C, depthwise: true, shape: [N, H, W, C] }
  return [build.one(convInputGradient, [termsOf(build).mul(g, share), ones], window)]
}

export const maxPoolGrad: Grad<Pool> = (build, node, [dy]) => {
  const g = throughClamp(build, node, dy!)
  const { kernel } = node.attrs
  return [build.one(maxPoolGradient, [node.inputs[0], g], { ...windowOf(node.attrs), kernel })]
}

export const reshapeGrad: Grad<Attrs> = (build, { inputs }, [g]) => [termsOf(build).shaped(g!, inputs[0]!.type.shape)]

export const transposeGrad: Grad<Attrs & { readonly perm: readonly number[] }> = (build, { attrs: { perm } }, [g]) => [
  build.one(transpose, [g], { perm: perm.map((_, d) => perm.indexOf(d)) }),
]

export const expandGrad: Grad<Attrs> = (build, { inputs }, [g]) => [unbroadcast(build, g!, inputs[0]!.type.shape)]

/** The part of `x` from `begin` on. */
const part = (build: Builder, x: Value, begin: readonly number[], size: readonly number[]) =>
  build.one(slice, [x], { begin, size, step: size.map(() => 1) })

export const padGrad: Grad<Attrs & { readonly low: readonly number[] }> = (build, { inputs, attrs: { low } }, [g]) => [
  part(build, g!, low, inputs[0]!.type.shape),
]

export const sliceGrad: Grad<Slice> = (build, node, [g]) => {
  const { begin, size, step } = node.attrs
  if (step.some((s) => s !== 1))
    throw new ModelError(layer(node), `has steps [${step}], a slice learns with steps of 1`)
  const { shape } = node.inputs[0]!.type
  return [build.one(pad, [g], { low: begin, high: shape.map((d, i) => d - begin[i] - size[i]), value: 0 })]
}

export const concatGrad: Grad<Attrs & { readonly axis: number }> = (build, node, [g], wanted) => {
  const rank = g!.type.shape.length
  const axis = node.attrs.axis < 0 ? node.attrs.axis + rank : node.attrs.axis
  let at = 0
  return node.inputs.map((v, i) => {
    const begin = g!.type.shape.map((_, d) => (d === axis ? at : 0))
    at += v!.type.shape[axis]
    return wanted[i] ? part(build, g!, begin, v!.type.shape) : undefined
  })
}
