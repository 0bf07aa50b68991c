// The gradient through limits on real values: it passes where the result lies strictly between them.

import { layer } from '../../ir/build.ts'
import type { Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { expectInputs, expectOutputs } from '../check.ts'
import { ELEMENTWISE, shaped } from '../elementwise.ts'
import { parameters } from '../parameters.ts'
import { type Clamp, expectDtype } from '../quant.ts'

const limitsOf = ({ min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }: Clamp) => ({
  lo: Math.fround(min),
  hi: Math.fround(max),
})

/** g where min < y < max, else 0: inputs g and the clamped y, f32 of one shape. */
export const clampGradient: Op<Clamp> = {
  name: 'clamp_gradient',
  spelled: {},
  infer: ([g]) => [shaped(g!)],

  check(node) {
    expectInputs(node, 2)
    for (const [i, v] of node.inputs.entries()) expectDtype(v!.type, ['f32'], `input ${i}`, layer(node))
    expectOutputs(node, [shaped(node.inputs[1]!.type)])
  },

  eval({ attrs }, [g, y]) {
    const { lo, hi } = limitsOf(attrs)
    const Y = numbers(y)
    return [(g as Float32Array).map((v, i) => (Y[i] > lo && Y[i] < hi ? v : 0))]
  },

  lower(node) {
    const [g, y] = node.inputs.map((v) => v!)
    const n = count(g.type.shape)
    const [G, Y] = [L.buffer('g', 'f32', [n]), L.buffer('y', 'f32', [n])]
    const D = L.buffer('dx', 'f32', [n], 'write')
    const p = parameters('limit', 'f32', limitsOf(node.attrs))
    const body = L.parallel('i', n, (i) => {
      const [declare, at] = L.declare('at', L.load(Y, i))
      const inside = L.and(L.op('gt', at, p.of.lo), L.lt(at, p.of.hi))
      return [declare, L.store(D, [i], L.select(inside, L.load(G, i), L.float(0)))]
    })
    return {
      kernel: L.kernel('clamp_gradient', [G, Y, ...p.bufs, D], ...p.head, body),
      args: [{ value: g }, { value: y }, ...p.args, { value: node.outputs[0] }],
    }
  },
  ...ELEMENTWISE,
}
