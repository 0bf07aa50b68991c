// float32 to int8 with a scale (and zero point) found while the model runs, one for each slice of the first axis: what
// TensorFlow Lite's dynamic-range kernels do to their input. Outputs data, scales and zero points; in float32 throughout.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { expectDtype, roundAway } from '../quant.ts'

/** `asymmetric`: the range from the least to the greatest element on [-128, 127]; otherwise a symmetric one on [-127, 127]. */
export type DynamicQuantize = Attrs & { readonly asymmetric: boolean }

/** The largest float32 below 1/2: adding it and truncating rounds halves away from zero for |x| < 2^22. */
const HALF = 0.5 - 2 ** -25

function rounded(x: Expr): Expr {
  return L.op('toI32', L.add(x, L.select(L.lt(x, L.float(0)), L.float(-HALF), L.float(HALF))))
}

function infer([x]: readonly (TensorType | undefined)[]): TensorType[] {
  const rows = [x!.shape[0]]
  return [
    { dtype: 'i8', shape: x!.shape },
    { dtype: 'f32', shape: rows },
    { dtype: 'i32', shape: rows },
  ]
}

function lower(node: Node<DynamicQuantize>): Call {
  const x = node.inputs[0]!
  const [N, K] = [x.type.shape[0], count(x.type.shape.slice(1))]
  const { asymmetric } = node.attrs
  const X = L.buffer('x', 'f32', [N, K])
  const Y = L.buffer('y', 'i8', [N, K], 'write')
  const S = L.buffer('scale', 'f32', [N], 'write')
  const Z = L.buffer('zero', 'i32', [N], 'write')
  const body = L.parallel('n', N, (n) => {
    const [declareLo, lo] = L.declare('lo', L.float(0))
    const [declareHi, hi] = L.declare('hi', L.float(0))
    const [declareV, v] = L.declare('v', L.load(X, n, L.ref('k')))
    const [least, most] = asymmetric ? [-128, 127] : [-127, 127]
    const reach = asymmetric ? L.op('sub', hi, lo) : L.max(L.op('neg', lo), hi)
    const [declareReach, range] = L.declare('range', reach)
    const nothing = L.op('eq', range, L.float(0))
    const [declareScale, scale] = L.declare(
      'step',
      L.select(nothing, L.float(1), L.op('div', range, L.float(asymmetric ? 255 : 127))),
    )
    const zero = asymmetric ? L.clamp(rounded(L.op('sub', L.float(-128), L.op('div', lo, scale))), -128, 127) : L.int(0)
    const [declareZero, z] = L.declare('z', asymmetric ? L.select(nothing, 0, zero) : zero)
    return [
      declareLo,
      declareHi,
      L.loop('k', K, () => [declareV, L.set(lo, L.min(lo, v)), L.set(hi, L.max(hi, v))]),
      declareReach,
      declareScale,
      declareZero,
      L.store(S, [n], scale),
      L.store(Z, [n], z),
      L.parallel('i', K, (i) => {
        const [declareQ, q] = L.declare('q', L.op('div', L.load(X, n, i), scale))
        return [declareQ, L.store(Y, [n, i], L.clamp(L.add(L.clamp(rounded(q), -512, 512), z), least, most))]
      }),
    ]
  })
  const [y, s, z] = node.outputs
  return {
    kernel: L.kernel('dynamic_quantize', [X, Y, S, Z], body),
    args: [{ value: x }, { value: y }, { value: s }, { value: z }],
  }
}

/**
 * f32 [N, ...] to i8 [N, ...], with a scale f32[N] and a zero point i32[N] for each slice of the first axis, found
 * while the model runs. Symmetric: scale max|x| / 127, zero 0; `asymmetric`: (max - min) / 255. TensorFlow Lite's
 * dynamic range.
 */
export const dynamicQuantize: Op<DynamicQuantize> = {
  name: 'dynamic_quantize',
  spelled: {},
  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, ['f32'], 'input', where)
    if (x.shape.length < 2) throw new ModelError(where, `input is [${x.shape}], expected at least 2 dimensions`)
    expectOutputs(node, infer([x]))
  },

  eval(node, [x]) {
    const X = numbers(x)
    const N = node.inputs[0]!.type.shape[0]
    const K = X.length / N
    const f = Math.fround
    const Y = new Int8Array(X.length)
    const S = new Float32Array(N)
    const Z = new Int32Array(N)
    const near = (v: number) => (Number.isNaN(v) ? 0 : roundAway(Math.max(-512, Math.min(512, v))))
    for (let n = 0; n < N; n++) {
      let [lo, hi] = [0, 0]
      for (let k = 0; k < K; k++) {
        const v = X[n * K + k]
        lo = v < lo ? v : lo
        hi = v > hi ? v : hi
      }
      const range = node.attrs.asymmetric ? f(hi - lo) : Math.max(-lo, hi)
      S[n] = range === 0 ? 1 : f(range / (node.attrs.asymmetric ? 255 : 127))
      if (node.attrs.asymmetric && range !== 0) Z[n] = Math.max(-128, Math.min(127, near(f(-128 - f(lo / S[n])))))
      const least = node.attrs.asymmetric ? -128 : -127
      for (let k = 0; k < K; k++) Y[n * K + k] = Math.max(least, Math.min(127, near(f(X[n * K + k] / S[n])) + Z[n]))
    }
    return [Y, S, Z]
  },

  lower,
  cost: (node) => costOf(node, 0),
}
