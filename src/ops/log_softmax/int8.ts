// int8 log softmax in TensorFlow Lite Micro's fixed point: the exponentials of int8 softmax, the logarithm of their sum with
// 5 integer bits.

import type { Node, TensorType, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import { rdivpot, requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { logarithm } from '../fixed_point.ts'
import { logarithmSteps } from '../fixed_point_steps.ts'
import { parameters } from '../parameters.ts'
import { quantizeMultiplier } from '../quant.ts'
import { differences, expOfDifference, SUM_BITS } from '../softmax/stored.ts'

/** From differences with 26 fraction bits to steps of 1/16. */
const OUTPUT_SHIFT = 22

/** What decides on a difference d >= 0 to the row's maximum: in Q5.26, its exponential for the sum, and the largest that counts. */
function constants({ quant }: TensorType) {
  const { multiplier, shift, most } = differences(quant!.scale[0], 1)
  const exp = expOfDifference(quant!.scale[0], 1)
  const inverse = quantizeMultiplier(2 ** (31 - shift) / multiplier)
  return {
    difference: (d: number) => requant(-d, multiplier, shift),
    exp: (d: number) => rdivpot(exp(d), SUM_BITS),
    most,
    inverse,
  }
}

export function rowInt8(x: Int8Array, type: TensorType): Int8Array {
  const { difference, exp, most, inverse } = constants(type)
  const max = x.reduce((m, v) => Math.max(m, v), -128)
  const log = logarithm(x.reduce((s, v) => s + exp(max - v), 0))
  const least = Math.max(-most - 1, requant(log - 2 ** 31, inverse.multiplier, inverse.shift))
  return x.map((v) => {
    if (v - max <= least) return -128
    return Math.max(-128, Math.min(127, rdivpot(difference(max - v) - log, OUTPUT_SHIFT) + 127))
  })
}

export function lowerInt8(node: Node): Call {
  const x = node.inputs[0] as Value
  const C = x.type.shape.at(-1)!
  const view = [count(x.type.shape) / C, C]
  const { difference, exp, most, inverse } = constants(x.type)
  const tables = [exp, difference].map((of) => Int32Array.from({ length: 256 }, (_, d) => of(d)))
  const X = L.buffer('x', 'i8', view)
  const E = L.buffer('e', 'i32', [256])
  const D = L.buffer('d', 'i32', [256])
  const Y = L.buffer('y', 'i8', view, 'write')
  const p = parameters('p', 'i32', { floor: -most - 1, by: inverse.multiplier, shift: inverse.shift })
  const body = L.parallel('n', view[0], (n) => {
    const [declareMax, max] = L.declare('max', L.int(-128))
    const [declareSum, sum] = L.declare('sum', 0)
    const below = (c: L.E) => L.op('sub', max, L.load(X, n, c))
    const [logSteps, result] = logarithmSteps(sum, 'l')
    const [declareLog, log] = L.declare('log', result)
    const bound = L.requant(L.op('add', log, -(2 ** 31)), p.of.by, p.of.shift)
    const [declareLeast, least] = L.declare('least', L.max(p.of.floor, bound))
    return [
      declareMax,
      L.loop('m', C, (c) => L.set(max, L.max(max, L.load(X, n, c)))),
      declareSum,
      L.loop('s', C, (c) => L.set(sum, L.add(sum, L.load(E, below(c))))),
      ...logSteps,
      declareLog,
      declareLeast,
      L.parallel('c', C, (c) => {
        const [declare, k] = L.declare('k', below(c))
        const scaled = L.op('rdivpot', L.op('wsub', L.load(D, k), log), OUTPUT_SHIFT)
        const kept = L.lt(k, L.op('neg', least))
        return [declare, L.store(Y, [n, c], L.select(kept, L.clamp(L.add(scaled, 127), -128, 127), -128))]
      }),
    ]
  })
  return {
    kernel: L.kernel('log_softmax_int8', [X, E, D, ...p.bufs, Y], ...p.head, body),
    args: [{ value: x }, { data: tables[0] }, { data: tables[1] }, ...p.args, { value: node.outputs[0] }],
  }
}
