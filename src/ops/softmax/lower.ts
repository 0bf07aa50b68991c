// The loops of softmax, row by row: maximum, sum of exponentials, results.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Elem, type Expr, type Stmt } from '../../loops/ir.ts'
import { expf } from '../../loops/math.ts'
import { outputElem } from '../check.ts'
import { ONE } from '../fixed_point.ts'
import { oneOverOnePlusSteps } from '../fixed_point_steps.ts'
import { parameters } from '../parameters.ts'
import type { Softmax } from './op.ts'
import { expOfDifference, SUM_BITS } from './stored.ts'

/** Input and output as rows, and the search for a row's maximum. */
export function rows(node: Node<Softmax>) {
  const { shape, dtype } = node.inputs[0]!.type
  const C = shape.at(-1)!
  const view = [count(shape) / C, C]
  const X = L.buffer('x', dtype as Elem, view)
  const Y = L.buffer('y', outputElem(node), view, 'write')
  const maximum = (n: Expr): [Stmt[], Expr] => {
    const [declare, max] = L.declare('max', L.load(X, n, 0))
    return [[declare, L.loop('m', C, (c) => L.set(max, L.max(max, L.load(X, n, c))))], max]
  }
  return { view, X, Y, maximum }
}

export function lowerFloat(node: Node<Softmax>): Call {
  const { view, X, Y, maximum } = rows(node)
  const [N, C] = view
  const p = parameters('p', 'f32', { beta: node.attrs.beta })
  const body = L.parallel('n', N, (n) => {
    const [findMax, max] = maximum(n)
    const [declare, sum] = L.declare('sum', L.float(0))
    return [
      ...findMax,
      declare,
      L.loop('c', C, (c) => {
        const [steps, e] = expf(L.mul(L.op('sub', L.load(X, n, c), max), p.of.beta), 'f')
        return [...steps, L.store(Y, [n, c], e), L.set(sum, L.add(sum, e))]
      }),
      L.loop('d', C, (d) => L.store(Y, [n, d], L.op('div', L.load(Y, n, d), sum))),
    ]
  })
  return {
    kernel: L.kernel('softmax', [X, ...p.bufs, Y], ...p.head, body),
    args: [{ value: node.inputs[0] as Value }, ...p.args, { value: node.outputs[0] }],
  }
}

export function lowerStored(node: Node<Softmax>): Call {
  const { view, X, Y, maximum } = rows(node)
  const [N, C] = view
  const of = expOfDifference(node.inputs[0]!.type.quant!.scale[0], node.attrs.beta)
  const bits = Y.elem === 'i16' ? 16 : 8
  const half = 2 ** (bits - 1)
  const table = Int32Array.from({ length: 256 }, (_, d) => of(d))
  const E = L.buffer('e', 'i32', [256])
  const body = L.parallel('n', N, (n) => {
    const [findMax, max] = maximum(n)
    const [declareSum, sum] = L.declare('sum', 0)
    const exp = (c: Expr) => L.load(E, L.op('sub', max, L.load(X, n, c)))
    const [declareLead, lead] = L.declare('lead', L.op('clz', sum))
    const [divide, quotient] = oneOverOnePlusSteps(L.op('and', L.op('shl', sum, lead), ONE))
    const [declareScale, scale] = L.declare('scale', quotient)
    const [declareExponent, exponent] = L.declare('exponent', L.op('sub', SUM_BITS + 31 - bits, lead))
    const rounded = (v: Expr) => {
      if (C < 512) return L.op('rdivpot', v, exponent)
      // Sums of 512 and more: the exponent may pass 31, where every result is below half a step.
      return L.select(L.op('gt', exponent, 31), 0, L.op('rdivpot', v, L.min(exponent, 31)))
    }
    return [
      ...findMax,
      declareSum,
      L.loop('c', C, (c) => L.set(sum, L.add(sum, L.op('rdivpot', exp(c), SUM_BITS)))),
      declareLead,
      ...divide,
      declareScale,
      declareExponent,
      L.loop('o', C, (o) => L.store(Y, [n, o], L.min(L.add(rounded(L.op('srdhm', scale, exp(o))), -half), half - 1))),
    ]
  })
  return {
    kernel: L.kernel('softmax', [X, E, Y], body),
    args: [{ value: node.inputs[0] as Value }, { data: table }, { value: node.outputs[0] }],
  }
}
