// Some channels of a tensor are replaced by others: y = x, y[..., channels[k]] = part[..., k] (PyTorch's index_copy along the last
// axis). So weights that learn and those that stay are one again.

import { layer } from '../../ir/build.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Elem } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { expectDtype } from '../quant.ts'
import { expectPart, type Partial } from './part.ts'

export type IndexCopy = Partial<Attrs>

/** x[..., C] with part[..., K] in place of its K `channels`. f32, i8. */
export const indexCopy: Op<IndexCopy> = {
  name: 'index_copy',
  spelled: {},
  infer: ([x]) => [x!],

  check(node) {
    expectInputs(node, 2)
    const [x, part] = node.inputs.map((v) => v!.type)
    expectDtype(x, ['f32', 'i8'], 'input 0', layer(node))
    expectPart(x, part, node.attrs.channels, layer(node))
    expectOutputs(node, [x])
  },

  eval(node, [x, part]) {
    const { channels } = node.attrs
    const C = node.inputs[0]!.type.shape.at(-1)!
    const y = x!.slice()
    const Y = numbers(y)
    numbers(part).forEach((v, i) => {
      Y[Math.floor(i / channels.length) * C + channels[i % channels.length]] = v
    })
    return [y]
  },

  lower(node) {
    const [x, part] = node.inputs.map((v) => v!)
    const { channels } = node.attrs
    const C = x.type.shape.at(-1)!
    const rows = count(x.type.shape) / C
    const elem = x.type.dtype as Elem
    const X = L.buffer('x', elem, [rows, C])
    const P = L.buffer('part', elem, [rows, channels.length])
    const I = L.buffer('channel', 'i32', [channels.length])
    const Y = L.buffer('y', elem, [rows, C], 'write')
    const copy = L.loops(['i', 'c'], [rows, C], (i, c) => L.store(Y, [i, c], L.load(X, i, c)))
    const place = L.loop('k', channels.length, (k) => {
      const [declare, c] = L.declare('at', L.load(I, k))
      return L.block(
        declare,
        L.loop('row', rows, (r) => L.store(Y, [r, c], L.load(P, r, k))),
      )
    })
    return {
      kernel: L.kernel('index_copy', [X, P, I, Y], copy, place),
      args: [{ value: x }, { value: part }, { data: Int32Array.from(channels) }, { value: node.outputs[0] }],
    }
  },

  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
