// The loops of a fully connected layer: for each output, one sum along k. Input and output are seen as matrices.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { accumulator } from '../accumulate.ts'
import { elemOfValue, outputElem } from '../check.ts'
import type { FullyConnected } from './op.ts'

/** How the scales multiply: in float32 where the weights have one scale, in float64 where they have one for each output. */
export function scaleProduct(node: Node<FullyConnected>): 'f32' | 'f64' {
  return node.inputs[1]!.type.quant?.scale.length === 1 ? 'f32' : 'f64'
}

export function lower(node: Node<FullyConnected>): Call {
  const [x, w] = node.inputs as [Value, Value]
  const y = node.outputs[0]
  const [N, K] = w.type.shape
  const M = count(x.type.shape) / K
  const [elem, stored] = [elemOfValue(x), elemOfValue(w)]

  const acc = accumulator(node, N, scaleProduct(node), function* (n) {
    for (let k = 0; k < K; k++) yield n * K + k
  })
  const X = L.buffer('x', elem, [M, K])
  const Wt = L.buffer('w', stored, [N, K])
  const Y = L.buffer('y', outputElem(node), [M, N], 'write')

  const body = L.loops(['row', 'n'], [M, N], (row, n) => {
    const [start, sum] = acc.start(n)
    return [
      start,
      L.loop('k', K, (k) => acc.step(sum, L.load(X, row, k), L.load(Wt, n, k))),
      L.store(Y, [row, n], acc.finish(sum, n)),
    ]
  })

  return {
    kernel: L.kernel('fully_connected', [X, Wt, ...acc.bufs, Y], ...acc.head, body),
    args: [{ value: x }, { value: w }, ...acc.args, { value: y }],
  }
}
