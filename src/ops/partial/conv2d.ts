// A convolution some of whose input channels have weights of their own, apart from the others': the sum over all channels, with 0
// for those, and the sum over them alone are one sum, requantised once. So a part of a layer learns while the rest stays constant.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameQuant, type Value } from '../../ir/graph.ts'
import type { Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Elem, newData } from '../../loops/ir.ts'
import { accumulator, evalSum, numbers } from '../accumulate.ts'
import { costOf, expectInputs, outputElem } from '../check.ts'
import { type Conv2d, conv2d } from '../conv2d/op.ts'
import { eachTap, overWindow } from '../window.ts'
import { expectPart, type Partial } from './part.ts'

/** The convolution of the first three inputs alone. */
const whole = (node: Node<Partial<Conv2d>>): Node<Conv2d> => ({ ...node, op: conv2d, inputs: node.inputs.slice(0, 3) })

function lower(node: Node<Partial<Conv2d>>): Call {
  const [x, w, b, part, own] = node.inputs as Value[]
  const y = node.outputs[0]
  const [, H, W] = x.type.shape
  const [O, KH, KW] = w.type.shape
  const [N, OH, OW] = y.type.shape
  const { bufs, args, head, ...acc } = accumulator(
    { ...node, inputs: [x, { ...w, storage: 'param' }, b] },
    O,
    'f64',
    () => [],
  )
  const of = (name: string, v: Value) => L.buffer(name, v.type.dtype as Elem, v.type.shape)
  const [X, Wt, P, Own] = [of('x', x), of('w', w), of('part', part), of('own', own)]
  const Y = L.buffer('y', outputElem(node), y.type.shape, 'write')
  const body = L.loops(['n', 'oh', 'ow', 'o'], [N, OH, OW, O], (n, oh, ow, o) => {
    const [start, sum] = acc.start(o)
    const taps = overWindow(node.attrs, [H, W], [KH, KW], oh, ow, (ih, iw, kh, kw) => [
      L.loop('c', x.type.shape[3], (c) => acc.step(sum, L.load(X, n, ih, iw, c), L.load(Wt, o, kh, kw, c))),
      L.loop('k', part.type.shape[3], (k) => acc.step(sum, L.load(P, n, ih, iw, k), L.load(Own, o, kh, kw, k))),
    ])
    return [start, taps, L.store(Y, [n, oh, ow, o], acc.finish(sum, o))]
  })
  return {
    kernel: L.kernel('partial_conv2d', [X, Wt, P, Own, ...bufs, Y], ...head, body),
    args: [{ value: x }, { value: w }, { value: part }, { value: own }, ...args, { value: y }],
  }
}

/**
 * x * w + b + part * own, as `conv2d` of one group over the channels of both. Inputs: x, w, b, `part` (the `channels` of x),
 * and `own` [O, KH, KW, so many], the weights of these; w has 0 there.
 */
export const partialConv2d: Op<Partial<Conv2d>> = {
  name: 'partial_conv2d',
  spelled: {},
  infer: (inputs, attrs) => conv2d.infer(inputs, attrs),

  check(node) {
    const where = layer(node)
    expectInputs(node, 5)
    conv2d.check(whole(node))
    const [x, w, , part, own] = node.inputs.map((v) => v?.type)
    if (node.attrs.groups !== 1) throw new ModelError(where, `has ${node.attrs.groups} groups, expected 1`)
    const { channels } = node.attrs
    expectPart(x!, part!, channels, where)
    const wanted = [...w!.shape.slice(0, 3), channels.length]
    if (own!.dtype !== w!.dtype || !sameQuant(own!.quant, w!.quant) || wanted.some((d, i) => d !== own!.shape[i]))
      throw new ModelError(where, `own weights are ${own!.dtype} [${own!.shape}], expected [${wanted}] as the others`)
  },

  eval(node, [x, w, b, part, own]) {
    const pairs = [
      [numbers(x), numbers(w), node.inputs[0]!.type.shape[3]],
      [numbers(part), numbers(own), node.inputs[3]!.type.shape[3]],
    ] as const
    const [, H, IW] = node.inputs[0]!.type.shape
    const [O, KH, KW] = node.inputs[1]!.type.shape
    const [N, OH, OW] = node.outputs[0].type.shape
    const sum = evalSum(whole(node), O, 'f64', b)
    const Y = numbers(newData(outputElem(node), N * OH * OW * O))
    for (let n = 0, i = 0; n < N; n++)
      for (let oh = 0; oh < OH; oh++)
        for (let ow = 0; ow < OW; ow++)
          for (let o = 0; o < O; o++, i++) {
            let acc = sum.start(o)
            eachTap(node.attrs, [H, IW], [KH, KW], oh, ow, (ih, iw, kh, kw) => {
              for (const [X, W, C] of pairs) {
                let p = ((n * H + ih) * IW + iw) * C
                let q = ((o * KH + kh) * KW + kw) * C
                for (let c = 0; c < C; c++) acc = sum.step(acc, X[p++], W[q++])
              }
            })
            Y[i] = sum.finish(acc, o)
          }
    return [Y]
  },

  lower,
  cost(node) {
    const taps = [1, 4].reduce((sum, i) => sum + count(node.inputs[i]!.type.shape.slice(1)), 0)
    return costOf(node, count(node.outputs[0].type.shape) * taps)
  },
}
