// int16 softmax, bit-exact to TensorFlow Lite Micro's reference: exponentials of the difference to the row's maximum and the
// reciprocal of their sum from interpolated tables.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import { clz, requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import { exp } from '../../loops/float.ts'
import { lookUp16, lookUp16Steps, lut16 } from '../lut16.ts'
import { parameters } from '../parameters.ts'
import { quantizeMultiplier } from '../quant.ts'
import { rows } from './lower.ts'
import type { Softmax } from './op.ts'

/** A sum of more exponentials could leave int32. */
export const MOST_ELEMENTS_16 = 2 ** 16

const UNIT = { scale: 2 / 65535, zero: 0 }
/** e^x for x from -10 to 0. */
const EXP = lut16({ scale: 10 / 65535, zero: 32767 }, UNIT, exp)
/** 1 / (1 + x) for x from 0 to 1. */
const RECIPROCAL = lut16({ scale: 1 / 65535, zero: -32768 }, UNIT, (x) => 1 / Math.fround(1 + x))

const saturate = (x: number) => Math.max(-32768, Math.min(32767, x))

/** From a difference of stored values to steps of 10 / 65535. */
function multiplierOf(scale: number, beta: number) {
  return quantizeMultiplier((scale * beta) / (10 / 65535))
}

export function row16(x: ArrayLike<number>, scale: number, beta: number): number[] {
  const { multiplier, shift } = multiplierOf(scale, beta)
  const max = Math.max(...Array.from(x))
  const e = Array.from(x, (v) => lookUp16(EXP, saturate(requant(v - max, multiplier, shift) + 32767)))
  const sum = e.reduce((s, v) => s + v, 0)
  const lead = clz(sum)
  const normal = Math.floor((sum * 2 ** (lead - 1) + 2 ** 13) / 2 ** 14)
  const reciprocal = lookUp16(RECIPROCAL, saturate(normal - (2 ** 15 + 2 ** 16)))
  return e.map((v) => saturate(Math.floor((v * reciprocal + 2 ** (30 - lead)) / 2 ** (31 - lead))))
}

export function lower16(node: Node<Softmax>): Call {
  const { view, X, Y, maximum } = rows(node)
  const [N, C] = view
  const { multiplier, shift } = multiplierOf(node.inputs[0]!.type.quant!.scale[0], node.attrs.beta)
  const p = parameters('p', 'i32', { by: multiplier, shift })
  const E = L.buffer('e', 'i16', [513])
  const R = L.buffer('r', 'i16', [513])
  const saturated = (v: L.E) => L.clamp(v, -32768, 32767)
  const body = L.parallel('n', N, (n) => {
    const [findMax, max] = maximum(n)
    const [declareSum, sum] = L.declare('sum', 0)
    const [declareLead, lead] = L.declare('lead', L.op('clz', sum))
    const [declareNormal, normal] = L.declare('normal', L.op('shl', sum, L.add(lead, -1)))
    const rounded = L.add(L.op('shr', normal, 14), L.and(L.op('shr', normal, 13), 1))
    const [find, found] = lookUp16Steps(R, saturated(L.add(rounded, -(2 ** 15 + 2 ** 16))), 'f')
    const [declareReciprocal, reciprocal] = L.declare('inverse', found)
    const [declareHalf, half] = L.declare('half', L.op('shl', 1, L.op('sub', 30, lead)))
    const [declareShift, right] = L.declare('right', L.op('sub', 31, lead))
    return [
      ...findMax,
      declareSum,
      L.loop('c', C, (c) => {
        const d = L.requant(L.op('sub', L.load(X, n, c), max), p.of.by, p.of.shift)
        const [steps, e] = lookUp16Steps(E, saturated(L.add(d, 32767)), 'g')
        const [declareE, kept] = L.declare('kept', e)
        return [...steps, declareE, L.store(Y, [n, c], kept), L.set(sum, L.add(sum, kept))]
      }),
      declareLead,
      declareNormal,
      ...find,
      declareReciprocal,
      declareHalf,
      declareShift,
      L.loop('o', C, (o) => {
        const product = L.mul(L.load(Y, n, o), reciprocal)
        return L.store(Y, [n, o], L.clamp(L.op('shr', L.add(product, half), right), 0, 32767))
      }),
    ]
  })
  return {
    kernel: L.kernel('softmax16', [X, ...p.bufs, E, R, Y], ...p.head, body),
    args: [
      { value: node.inputs[0] as Value },
      ...p.args,
      { data: EXP },
      { data: RECIPROCAL },
      { value: node.outputs[0] },
    ],
  }
}
