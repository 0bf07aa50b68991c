// Some channels of a tensor have others added to them: y = x, y[..., channels[k]] += part[..., k] (PyTorch's index_add along the last axis).

import { layer } from '../../ir/build.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { expectDtype } from '../quant.ts'
import { expectPart, type Partial } from './part.ts'

export type IndexAdd = Partial<Attrs>

/** x[..., C] with part[..., K] added to its K `channels`. f32. */
export const indexAdd: Op<IndexAdd> = {
  name: 'index_add',
  spelled: {},
  infer: ([x]) => [shaped(x!)],

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    const [x, part] = node.inputs.map((v) => v!.type)
    for (const t of [x, part]) expectDtype(t, ['f32'], 'operand', where)
    const { channels } = node.attrs
    expectPart(x, part, channels, where)
    expectOutputs(node, [shaped(x)])
  },

  eval(node, [x, part]) {
    const { channels } = node.attrs
    const C = node.inputs[0]!.type.shape.at(-1)!
    const Y = (x as Float32Array).slice()
    numbers(part).forEach((v, i) => {
      const at = Math.floor(i / channels.length) * C + channels[i % channels.length]
      Y[at] = Math.fround(Y[at] + v)
    })
    return [Y]
  },

  lower(node) {
    const [x, part] = node.inputs.map((v) => v!)
    const { channels } = node.attrs
    const C = x.type.shape.at(-1)!
    const rows = count(x.type.shape) / C
    const X = L.buffer('x', 'f32', [rows, C])
    const P = L.buffer('part', 'f32', [rows, channels.length])
    const I = L.buffer('channel', 'i32', [channels.length])
    const Y = L.buffer('y', 'f32', [rows, C], 'write')
    const copy = L.loops(['i', 'c'], [rows, C], (i, c) => L.store(Y, [i, c], L.load(X, i, c)))
    const sums = L.loop('row', rows, (r) =>
      L.loop('k', channels.length, (k) => {
        const [declare, c] = L.declare('at', L.load(I, k))
        return L.block(declare, L.store(Y, [r, c], L.add(L.load(Y, r, c), L.load(P, r, k))))
      }),
    )
    return {
      kernel: L.kernel('index_add', [X, P, I, Y], copy, sums),
      args: [{ value: x }, { value: part }, { data: Int32Array.from(channels) }, { value: node.outputs[0] }],
    }
  },

  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
