// A depthwise convolution some of whose channels have weights of their own, apart from the others': so a part of a layer learns
// while the rest stays constant.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameQuant, type Value } from '../../ir/graph.ts'
import type { Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Data, Elem, Expr } from '../../loops/ir.ts'
import { accumulator } from '../accumulate.ts'
import { costOf, expectInputs, outputElem } from '../check.ts'
import { type DepthwiseConv2d, depthwiseConv2d } from '../depthwise/op.ts'
import { overWindow } from '../window.ts'
import { expectPart, type Partial, partOfQuant } from './part.ts'

const plain = (node: Node<Partial<DepthwiseConv2d>>): Node<DepthwiseConv2d> => ({
  ...node,
  op: depthwiseConv2d,
  inputs: node.inputs.slice(0, 3),
})

function lower(node: Node<Partial<DepthwiseConv2d>>): Call {
  const [x, w, b, part, own] = node.inputs as Value[]
  const y = node.outputs[0]
  const [, H, W, C] = x.type.shape
  const [, KH, KW] = w.type.shape
  const [N, OH, OW] = y.type.shape
  const { channels } = node.attrs
  const slots = new Int16Array(C).fill(-1)
  for (const [i, c] of channels.entries()) slots[c] = i
  const { bufs, args, head, ...acc } = accumulator(
    { ...node, inputs: [x, { ...w, storage: 'param' }, b] },
    C,
    'f64',
    () => [],
  )
  const X = L.buffer('x', x.type.dtype as Elem, x.type.shape)
  const P = L.buffer('part', x.type.dtype as Elem, part.type.shape)
  const Wt = L.buffer('w', w.type.dtype as Elem, [KH, KW, C])
  const Own = L.buffer('own', own.type.dtype as Elem, [KH, KW, channels.length])
  const S = L.buffer('slot', 'i16', [C])
  const Y = L.buffer('y', outputElem(node), y.type.shape, 'write')
  const body = L.loops(['n', 'oh', 'ow', 'c'], [N, OH, OW, C], (n, oh, ow, c) => {
    const [start, sum] = acc.start(c)
    const [declare, slot] = L.declare('at', L.load(S, c))
    const [declareOwn, k] = L.declare('k', L.op('max', slot, 0))
    const choose = (a: Expr, b: Expr) => L.select(L.ge(slot, 0), a, b)
    const taps = overWindow(node.attrs, [H, W], [KH, KW], oh, ow, (ih, iw, kh, kw) => {
      const from = choose(L.load(P, n, ih, iw, k), L.load(X, n, ih, iw, c))
      return acc.step(sum, from, choose(L.load(Own, kh, kw, k), L.load(Wt, kh, kw, c)))
    })
    return [start, declare, declareOwn, taps, L.store(Y, [n, oh, ow, c], acc.finish(sum, c))]
  })
  return {
    kernel: L.kernel('partial_depthwise_conv2d', [X, Wt, P, Own, S, ...bufs, Y], ...head, body),
    args: [{ value: x }, { value: w }, { value: part }, { value: own }, { data: slots }, ...args, { value: y }],
  }
}

/**
 * `depthwise_conv2d` of one output for each input channel. Inputs: x, w, b, `part` (the `channels` of x), and `own` [1, KH, KW, so many], the
 * weights of these, which stand in for those of w.
 */
export const partialDepthwiseConv2d: Op<Partial<DepthwiseConv2d>> = {
  name: 'partial_depthwise_conv2d',
  spelled: {},
  infer: (inputs, attrs) => depthwiseConv2d.infer(inputs, attrs),

  check(node) {
    const where = layer(node)
    expectInputs(node, 5)
    depthwiseConv2d.check(plain(node))
    const [x, w, , part, own] = node.inputs.map((v) => v?.type)
    const { channels } = node.attrs
    const C = w!.shape[3]
    if (x!.shape[3] !== C)
      throw new ModelError(where, `has ${C} outputs for ${x!.shape[3]} inputs, expected one for each`)
    expectPart(x!, part!, channels, where)
    const wanted = [1, ...w!.shape.slice(1, 3), channels.length]
    if (own!.dtype !== w!.dtype || wanted.some((d, i) => d !== own!.shape[i]))
      throw new ModelError(where, `own weights are ${own!.dtype} [${own!.shape}], expected ${w!.dtype} [${wanted}]`)
    const q = w!.quant
    const expected = q && partOfQuant(q, channels)
    if (!sameQuant(own!.quant, expected))
      throw new ModelError(where, 'own weights have other scales than their channels')
  },

  eval(node, [x, w, b, part, own]) {
    const [X, W] = [replaced(x!, part!, node), replaced(w!, own!, node)]
    return depthwiseConv2d.eval(plain(node), [X, W, b])
  },

  lower,
  cost: (node) => costOf(node, depthwiseConv2d.cost(plain(node)).macs),
}

/** `all` [..., C] with those of `part` [..., so many] in place of its `channels`. */
function replaced(all: Data, part: Data, { inputs, attrs: { channels } }: Node<Partial<DepthwiseConv2d>>): Data {
  const C = inputs[1]!.type.shape[3]
  const one = all.slice()
  for (let i = 0; i < part.length; i++)
    one[Math.floor(i / channels.length) * C + channels[i % channels.length]] = part[i]
  return one
}
