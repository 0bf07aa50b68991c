// Normalisation of groups of elements by their own statistics, with a scale and a shift for each channel: layer, instance,
// group and root mean square normalisation, and division by the Euclidean norm, all of one construct. From `axis` on, x
// is seen as [groups, depth, rest]: statistics are over depth and rest, scale and shift have groups * depth elements.
// Layer: (x - mean) / sqrt(mean((x - mean)^2) + epsilon); rms: x / sqrt(mean(x^2) + epsilon); l2: x / max(sqrt(sum(x^2)),
// epsilon). Sums run in the order of the elements. int8 with scales: l2 along the last axis, as TensorFlow Lite Micro
// computes it, to an output of scale 1/128.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, quantOf, type TensorType } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import { count, type Data } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { inverseRoot } from '../fixed_point.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { lower, lowerInt8 } from './lower.ts'
import { ONNX, TFLITE } from './spellings.ts'

/** `outputs`: 1, or 2 or 3 with the means and the inverse standard deviations of a layer normalisation. */
export type Normalize = Attrs & {
  readonly kind: 'layer' | 'rms' | 'l2'
  readonly axis: number
  readonly groups: number
  readonly depth: number
  readonly epsilon: number
  readonly outputs: number
}

/** x as [batch, groups, depth, rest]. */
export function viewOf(shape: readonly number[], { axis, groups, depth }: Normalize): number[] {
  return [count(shape.slice(0, axis)), groups, depth, count(shape.slice(axis)) / (groups * depth)]
}

function infer([x]: readonly (TensorType | undefined)[], { axis, outputs }: Normalize): TensorType[] {
  const statistics: TensorType = { dtype: 'f32', shape: x!.shape.map((d, i) => (i < axis ? d : 1)) }
  const y = x!.quant ? { ...shaped(x!), quant: quantOf(1 / 128, 0) } : shaped(x!)
  return [y, statistics, statistics].slice(0, outputs)
}

/** More squares of differences could leave int32. */
const MOST_INT8 = 2 ** 15

function checkInt8(node: Node<Normalize>): void {
  const where = layer(node)
  const { kind, axis, groups, depth } = node.attrs
  const [x, ...others] = node.inputs
  const last = axis === x!.type.shape.length - 1 && groups === 1
  if (kind !== 'l2' || !last || others.length > 0)
    throw new ModelError(where, `input is i8, of which the Euclidean norm along the last axis is supported`)
  perTensor(x!.type, 'input', where)
  const { scale, zero } = perTensor(node.outputs[0].type, 'output', where)
  if (scale !== 1 / 128 || zero !== 0)
    throw new ModelError(where, `output has scale ${scale} and zero point ${zero}, int8 norms have ${1 / 128} and 0`)
  if (depth > MOST_INT8)
    throw new ModelError(where, `last axis has ${depth} elements, of int8 up to ${MOST_INT8} are supported`)
}

function evaluateInt8(node: Node<Normalize>, x: Int8Array): Int8Array {
  const zero = node.inputs[0]!.type.quant!.zero[0]
  const { depth } = node.attrs
  const y = new Int8Array(x.length)
  for (let i = 0; i < x.length; i += depth) {
    const row = x.subarray(i, i + depth)
    const { multiplier, shift } = inverseRoot(row.reduce((s, q) => s + (q - zero) ** 2, 0))
    y.set(
      row.map((q) => Math.max(-128, Math.min(127, requant(q - zero, multiplier, shift + 7)))),
      i,
    )
  }
  return y
}

function evaluate(node: Node<Normalize>, [x, scale, shift]: readonly (Float32Array | undefined)[]): Data[] {
  const f = Math.fround
  const { kind, outputs } = node.attrs
  const epsilon = f(node.attrs.epsilon)
  const [B, G, D, R] = viewOf(node.inputs[0]!.type.shape, node.attrs)
  const n = f(D * R)
  const y = new Float32Array(x!.length)
  const [means, inverses] = [new Float32Array(B * G), new Float32Array(B * G)]
  for (let row = 0; row < B * G; row++) {
    const X = x!.subarray(row * D * R, (row + 1) * D * R)
    const mean = kind === 'layer' ? f(X.reduce((s, v) => f(s + v), 0) / n) : 0
    const squares = X.reduce((s, v) => f(s + f(f(v - mean) * f(v - mean))), 0)
    const root = f(Math.sqrt(kind === 'l2' ? squares : f(f(squares / n) + epsilon)))
    const norm = kind === 'l2' && root < epsilon ? epsilon : root
    const inverse = f(1 / norm)
    means[row] = mean
    inverses[row] = inverse
    X.forEach((v, i) => {
      const channel = (row % G) * D + Math.floor(i / R)
      const unit = kind === 'l2' ? f(v / norm) : f(f(v - mean) * inverse)
      const scaled = scale ? f(unit * scale[channel]) : unit
      y[row * D * R + i] = shift ? f(scaled + shift[channel]) : scaled
    })
  }
  return [y, means, inverses].slice(0, outputs)
}

/**
 * From `axis` on x is [groups, depth, rest]; each group is divided by its own statistic (`kind`: layer, rms or l2),
 * then times scale plus shift (groups * depth elements each, optional). f32; i8 only as l2 along the last axis, to
 * scale 1/128. TFLite L2_NORMALIZATION, ONNX LayerNormalization, InstanceNormalization, GroupNormalization,
 * RMSNormalization, LpNormalization.
 */
export const normalize: Op<Normalize> = {
  name: 'normalize',
  spelled: { tflite: TFLITE, onnx: ONNX },
  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 1, 3)
    const { kind, axis, groups, depth, outputs } = node.attrs
    const [x, scale, shift] = node.inputs.map((v) => v?.type)
    expectDtype(x!, ['f32', 'i8'], 'input', where)
    if (x!.dtype === 'i8') checkInt8(node)
    if (!Number.isInteger(axis) || axis < 0 || axis > x!.shape.length)
      throw new ModelError(where, `axis is ${axis}, input has ${x!.shape.length} dimensions`)
    if (groups < 1 || depth < 1 || !viewOf(x!.shape, node.attrs).every((d) => Number.isInteger(d) && d > 0))
      throw new ModelError(where, `[${x!.shape.slice(axis)}] does not split into ${groups} groups of ${depth} channels`)
    for (const [what, t] of [
      ['scale', scale],
      ['shift', shift],
    ] as const) {
      if (!t) continue
      expectDtype(t, ['f32'], what, where)
      if (count(t.shape) !== groups * depth)
        throw new ModelError(where, `${what} has ${count(t.shape)} elements, expected ${groups * depth}`)
    }
    if (outputs < 1 || outputs > 3 || (outputs > 1 && (kind !== 'layer' || groups !== 1)))
      throw new ModelError(where, `has ${outputs} outputs, statistics are given by layer normalisation only`)
    expectOutputs(node, infer([x], node.attrs))
  },

  eval: (node, inputs) =>
    inputs[0] instanceof Int8Array
      ? [evaluateInt8(node, inputs[0])]
      : evaluate(node, inputs as (Float32Array | undefined)[]),
  lower: (node) => (node.inputs[0]!.type.dtype === 'i8' ? lowerInt8(node) : lower(node)),
  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
