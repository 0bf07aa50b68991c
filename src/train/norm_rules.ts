// The gradients of normalisations by an own statistic, of a choice between two tensors, of elements in another order, and of what
// is written into a state.

import { ModelError } from '../errors.ts'
import { layer } from '../ir/build.ts'
import type { Node, Value } from '../ir/graph.ts'
import { count, type Data } from '../loops/ir.ts'
import { add } from '../ops/binary/op.ts'
import { type Gather, gather } from '../ops/gather/op.ts'
import { type Normalize, viewOf } from '../ops/normalize/op.ts'
import { mean } from '../ops/reduce/op.ts'
import { select } from '../ops/select/op.ts'
import type { Update } from '../ops/state/update.ts'
import { rsqrt, square } from '../ops/unary/op.ts'
import type { Grad } from './shape_rules.ts'
import { termsOf, unbroadcast } from './terms.ts'

/**
 * Of layer and root mean square normalisation, u = (x - m) r: with h the gradient of u, that of x is r (h - mean(h) - u mean(h u)), without
 * the means of h where m is 0.
 */
export const normalizeGrad: Grad<Normalize> = (build, node, [dy], wanted) => {
  const { kind, epsilon, outputs } = node.attrs
  if (kind === 'l2' || outputs > 1)
    throw new ModelError(
      layer(node as unknown as Node),
      `is ${kind} with ${outputs} outputs, layer and rms with one have gradients`,
    )
  const t = termsOf(build)
  const [x, scale, shift] = node.inputs as [Value, Value | undefined, Value | undefined]
  const view = viewOf(x.type.shape, node.attrs)
  const [, G, D] = view
  const over = (v: Value) => build.one(mean, [v], { axes: [2, 3], keepDims: true })
  const rows = t.shaped(x, view)
  const centred = kind === 'layer' ? t.sub(rows, over(rows)) : rows
  const inverse = build.one(rsqrt, [t.add(over(build.one(square, [centred], {})), epsilon)], {})
  const unit = t.mul(centred, inverse)
  const g = t.shaped(dy!, view)
  const channels = [1, G, D, 1]
  const h = scale ? t.mul(g, t.shaped(scale, channels)) : g
  const along = () => t.mul(unit, over(t.mul(h, unit)))
  const less = () => (kind === 'layer' ? t.sub(t.sub(h, over(h)), along()) : t.sub(h, along()))
  const ofChannel = (v: Value, like: Value) => t.shaped(unbroadcast(build, v, channels), like.type.shape)
  return [
    wanted[0] ? t.shaped(t.mul(less(), inverse), x.type.shape) : undefined,
    wanted[1] ? ofChannel(t.mul(g, unit), scale!) : undefined,
    wanted[2] ? ofChannel(g, shift!) : undefined,
  ]
}

export const selectGrad: Grad = (build, { inputs: [condition, a, b] }, [g], wanted) => {
  const zero = termsOf(build).number(0)
  const part = (first: Value, second: Value, like: Value) =>
    unbroadcast(build, build.one(select, [condition, first, second], {}), like.type.shape)
  return [undefined, wanted[1] ? part(g!, zero, a!) : undefined, wanted[2] ? part(zero, g!, b!) : undefined]
}

/** Where the indices are constant and name every place once: the same elements in the order that they came from. */
export const gatherGrad: Grad<Gather> = (build, node, [g]) => {
  const [x, indices] = node.inputs as Value[]
  const { axis, batchDims } = node.attrs
  const n = x.type.shape[axis]
  const places = indices.storage === 'const' ? Array.from(indices.data as Exclude<Data, BigInt64Array>, Number) : []
  const all = places.length === n && new Set(places).size === n && count(indices.type.shape) === n
  if (!all || batchDims !== 0 || places.some((p) => p < 0 || p >= n))
    throw new ModelError(
      layer(node as unknown as Node),
      'cannot be learned through: its indices are not a constant order of all places',
    )
  const back = Int32Array.from(places, (_, i) => places.indexOf(i))
  return [build.one(gather, [g!, build.const('order', { dtype: 'i32', shape: [n] }, back)], { axis, batchDims })]
}

/** From the gradient of a state after it was written, that of what was written. */
export const assignGrad: Grad = (_, __, [g]) => [undefined, g]

export const updateGrad: Grad<Update> = (build, { inputs: [, part, position], attrs: { axis } }, [g]) => {
  const n = part!.type.shape[axis]
  const first = termsOf(build).shaped(position!, [1])
  const places = () =>
    build.const(
      'places',
      { dtype: 'i32', shape: [n] },
      Int32Array.from({ length: n }, (_, i) => i),
    )
  const at = n === 1 ? first : build.one(add, [places(), first], { clamp: {} })
  return [undefined, build.one(gather, [g!, at], { axis, batchDims: 0 })]
}
