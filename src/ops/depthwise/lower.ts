// The loops of a depthwise convolution: for each output, one sum over the window in the order kh, kw. The multiplier has
// a loop of its own only where it is more than 1, so that the channel's loop is otherwise the innermost parallel one. In place,
// a channel of the input is copied to scratch before the output overwrites it.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Expr, Stmt } from '../../loops/ir.ts'
import { accumulator } from '../accumulate.ts'
import { elemOfValue, outputElem } from '../check.ts'
import { overWindow } from '../window.ts'
import type { DepthwiseConv2d } from './op.ts'

export function lower(node: Node<DepthwiseConv2d>): Call {
  const [x, w] = node.inputs as [Value, Value]
  const y = node.outputs[0]
  const [, H, W, C] = x.type.shape
  const [, KH, KW, O] = w.type.shape
  const [N, OH, OW] = y.type.shape
  const M = O / C
  const [elem, stored] = [elemOfValue(x), elemOfValue(w)]

  const acc = accumulator(node, O, 'f64', function* (o) {
    for (let i = 0; i < KH * KW; i++) yield i * O + o
  })
  const X = L.buffer('x', elem, x.type.shape)
  const Wt = L.buffer('w', stored, [KH, KW, O])
  const Y = L.buffer('y', outputElem(node), y.type.shape, 'write')

  const plane = L.buffer('plane', elem, [H, W], 'scratch')
  const inPlace = node.inPlace !== undefined

  const output = (n: Expr, oh: Expr, ow: Expr, c: Expr, o: Expr): Stmt[] => {
    const [start, sum] = acc.start(o)
    return [
      start,
      overWindow(node.attrs, [H, W], [KH, KW], oh, ow, (ih, iw, kh, kw) =>
        acc.step(sum, inPlace ? L.load(plane, ih, iw) : L.load(X, n, ih, iw, c), L.load(Wt, kh, kw, o)),
      ),
      L.store(Y, [n, oh, ow, o], acc.finish(sum, o)),
    ]
  }
  const byChannel = (n: Expr, c: Expr) => [
    L.loops(['ih', 'iw'], [H, W], (ih, iw) => L.store(plane, [ih, iw], L.load(X, n, ih, iw, c))),
    L.loops(['oh', 'ow'], [OH, OW], (oh, ow) => output(n, oh, ow, c, c)),
  ]
  const body = inPlace
    ? L.loop('n', N, (n) => L.loop('c', C, (c) => byChannel(n, c)))
    : M === 1
      ? L.loops(['n', 'oh', 'ow', 'c'], [N, OH, OW, C], (n, oh, ow, c) => output(n, oh, ow, c, c))
      : L.loops(['n', 'oh', 'ow', 'c', 'mult'], [N, OH, OW, C, M], (n, oh, ow, c, mult) =>
          output(n, oh, ow, c, L.add(L.mul(c, M), mult)),
        )

  return {
    kernel: L.kernel('depthwise_conv2d', [X, Wt, ...acc.bufs, Y, ...(inPlace ? [plane] : [])], ...acc.head, body),
    args: [{ value: x }, { value: w }, ...acc.args, { value: y }, ...(inPlace ? [{ scratch: true } as const] : [])],
  }
}
