// The loops of a convolution: for each output, one sum over the window and the group's channels, in the order kh, kw, c.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { accumulator } from '../accumulate.ts'
import { elemOfValue, outputElem } from '../check.ts'
import { overWindow } from '../window.ts'
import type { Conv2d } from './op.ts'

export function lower(node: Node<Conv2d>): Call {
  const [x, w] = node.inputs as [Value, Value]
  const y = node.outputs[0]
  const [, H, W] = x.type.shape
  const [O, KH, KW, CG] = w.type.shape
  const [N, OH, OW] = y.type.shape
  const { groups } = node.attrs
  const perGroup = O / groups
  const [elem, stored] = [elemOfValue(x), elemOfValue(w)]

  const taps = KH * KW * CG
  const acc = accumulator(node, O, 'f64', function* (o) {
    for (let i = 0; i < taps; i++) yield o * taps + i
  })
  const X = L.buffer('x', elem, x.type.shape)
  const Wt = L.buffer('w', stored, w.type.shape)
  const Y = L.buffer('y', outputElem(node), y.type.shape, 'write')

  const body = L.loops(['n', 'oh', 'ow', 'g', 'o'], [N, OH, OW, groups, perGroup], (n, oh, ow, g, oc) => {
    const o = L.add(L.mul(g, perGroup), oc)
    const [start, sum] = acc.start(o)
    return [
      start,
      overWindow(node.attrs, [H, W], [KH, KW], oh, ow, (ih, iw, kh, kw) =>
        L.loop('c', CG, (c) => acc.step(sum, L.load(X, n, ih, iw, L.add(L.mul(g, CG), c)), L.load(Wt, o, kh, kw, c))),
      ),
      L.store(Y, [n, oh, ow, o], acc.finish(sum, o)),
    ]
  })

  return {
    kernel: L.kernel('conv2d', [X, Wt, ...acc.bufs, Y], ...acc.head, body),
    args: [{ value: x }, { value: w }, ...acc.args, { value: y }],
  }
}
