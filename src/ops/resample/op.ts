// Weighted sums of a few slices along one axis: y[p, i, q] = sum_k weights[i, k] * x[p, positions[i, k], q] + offsets[i].
// Linear and cubic resizing is this along every resized axis.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { expectDtype } from '../quant.ts'

/** `positions` and `weights` are [n, taps], `offsets` [n]; weights and offsets are float32. */
export type Resample = Attrs & {
  readonly axis: number
  readonly taps: number
  readonly positions: readonly number[]
  readonly weights: readonly number[]
  readonly offsets: readonly number[]
}

function infer([x]: readonly (TensorType | undefined)[], { axis, offsets }: Resample): TensorType[] {
  return [{ ...x!, shape: x!.shape.map((d, i) => (i === axis ? offsets.length : d)) }]
}

function sizes(node: Node<Resample>) {
  const { shape } = node.inputs[0]!.type
  const { axis, offsets } = node.attrs
  return { P: count(shape.slice(0, axis)), E: shape[axis], N: offsets.length, Q: count(shape.slice(axis + 1)) }
}

function lower(node: Node<Resample>): Call {
  const { P, E, N, Q } = sizes(node)
  const { taps, positions, weights, offsets } = node.attrs
  const X = L.buffer('x', 'f32', [P, E, Q])
  const I = L.buffer('positions', 'i32', [N, taps])
  const Wt = L.buffer('weights', 'f32', [N, taps])
  const B = L.buffer('offsets', 'f32', [N])
  const Y = L.buffer('y', 'f32', [P, N, Q], 'write')
  const body = L.loops(['p', 'i', 'q'], [P, N, Q], (p, i, q) => {
    const [start, acc] = L.declare('acc', L.load(B, i))
    return [
      start,
      L.loop('k', taps, (k) => L.set(acc, L.add(acc, L.mul(L.load(Wt, i, k), L.load(X, p, L.load(I, i, k), q))))),
      L.store(Y, [p, i, q], acc),
    ]
  })
  return {
    kernel: L.kernel('resample', [X, I, Wt, B, Y], body),
    args: [
      { value: node.inputs[0]! },
      { data: Int32Array.from(positions) },
      { data: Float32Array.from(weights) },
      { data: Float32Array.from(offsets) },
      { value: node.outputs[0] },
    ],
  }
}

/**
 * y[p, i, q] = offsets[i] + sum_k weights[i, k] * x[p, positions[i, k], q] along `axis`, `taps` places k for each i.
 * f32. Refuses positions outside x. Linear and cubic resizing is made of it: TFLite RESIZE_BILINEAR, ONNX Resize.
 */
export const resample: Op<Resample> = {
  name: 'resample',
  spelled: {},
  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    const { axis, taps, positions, weights, offsets } = node.attrs
    expectDtype(x, ['f32'], 'input', where)
    const extent = x.shape[axis]
    if (extent === undefined) throw new ModelError(where, `axis is ${axis}, input has ${x.shape.length} dimensions`)
    const n = offsets.length * taps
    if (taps < 1 || positions.length !== n || weights.length !== n)
      throw new ModelError(where, `has ${positions.length} positions and ${weights.length} weights, expected ${n}`)
    const outside = positions.find((p) => !Number.isInteger(p) || p < 0 || p >= extent)
    if (outside !== undefined)
      throw new ModelError(where, `reads position ${outside} of axis ${axis}, which has ${extent}`)
    expectOutputs(node, infer([x], node.attrs))
  },

  eval(node, [x]) {
    const X = numbers(x)
    const { P, E, N, Q } = sizes(node)
    const { taps, positions, weights, offsets } = node.attrs
    const f = Math.fround
    const Y = new Float32Array(P * N * Q)
    for (let p = 0, at = 0; p < P; p++)
      for (let i = 0; i < N; i++)
        for (let q = 0; q < Q; q++) {
          let acc = f(offsets[i])
          for (let k = i * taps; k < (i + 1) * taps; k++)
            acc = f(acc + f(f(weights[k]) * X[(p * E + positions[k]) * Q + q]))
          Y[at++] = acc
        }
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, count(node.outputs[0].type.shape) * node.attrs.taps),
}
