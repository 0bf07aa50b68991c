// Mean square error and its gradient: the mean over all elements of (y - target)^2, and 2 (y - target) / elements.

import { layer } from '../../ir/build.ts'
import type { TensorType } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { parameters } from '../parameters.ts'
import { expectDtype } from '../quant.ts'

type MeanSquare = Attrs & Record<string, never>

function infer([y]: readonly (TensorType | undefined)[]): TensorType[] {
  return [
    { dtype: 'f32', shape: [] },
    { dtype: 'f32', shape: y!.shape },
  ]
}

/** From y and target, f32 of one shape: their mean square difference [] and its gradient with respect to y. */
export const meanSquareError: Op<MeanSquare> = {
  name: 'mean_square_error',
  spelled: {},
  infer,

  check(node) {
    expectInputs(node, 2)
    for (const [i, v] of node.inputs.entries()) expectDtype(v!.type, ['f32'], `input ${i}`, layer(node))
    expectOutputs(node, infer([node.inputs[1]!.type]))
  },

  eval(_, [y, target]) {
    const f = Math.fround
    const Y = y as Float32Array
    const part = f(1 / Y.length)
    const difference = Y.map((v, i) => v - (target as Float32Array)[i])
    const total = difference.reduce((s, d) => f(s + f(d * d)), 0)
    return [Float32Array.of(total * part), difference.map((d) => d * f(2 * part))]
  },

  lower(node) {
    const [y, target] = node.inputs.map((v) => v!)
    const n = count(y.type.shape)
    const [Y, T] = [L.buffer('y', 'f32', [n]), L.buffer('target', 'f32', [n])]
    const [loss, D] = [L.buffer('loss', 'f32', [1], 'write'), L.buffer('dy', 'f32', [n], 'write')]
    const part = Math.fround(1 / n)
    const p = parameters('p', 'f32', { part, twice: 2 * part })
    const [declareTotal, total] = L.declare('total', L.float(0))
    const body = L.loop('i', n, (i) => {
      const [declare, d] = L.declare('d', L.op('sub', L.load(Y, i), L.load(T, i)))
      return [declare, L.set(total, L.add(total, L.mul(d, d))), L.store(D, [i], L.mul(d, p.of.twice))]
    })
    return {
      kernel: L.kernel(
        'mean_square_error',
        [Y, T, ...p.bufs, loss, D],
        ...p.head,
        declareTotal,
        body,
        L.store(loss, [0], L.mul(total, p.of.part)),
      ),
      args: [{ value: y }, { value: target }, ...p.args, { value: node.outputs[0] }, { value: node.outputs[1] }],
    }
  },

  cost: (node) => costOf(node, 0),
}
