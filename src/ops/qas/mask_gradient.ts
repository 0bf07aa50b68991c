// The gradient through a requantisation that saturates: times the factor of its channel where the mask has a 1, else 0.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { expectDtype } from '../quant.ts'

/**
 * g * factor where the mask is 1, else 0. Inputs: g (f32, channels last), mask (u8, a bit for each element, the first in the low
 * bit), and factor (f32, for each channel or one for all).
 */
export const maskGradient: Op<Attrs> = {
  name: 'mask_gradient',
  spelled: {},
  infer: ([g]) => [shaped(g!)],

  check(node) {
    const where = layer(node)
    expectInputs(node, 3)
    const [g, mask, factor] = node.inputs.map((v) => v!.type)
    expectDtype(g, ['f32'], 'gradient', where)
    expectDtype(mask, ['u8'], 'mask', where)
    expectDtype(factor, ['f32'], 'factor', where)
    const [n, bits, factors] = [g, mask, factor].map((t) => count(t.shape))
    if (bits !== Math.ceil(n / 8)) throw new ModelError(where, `mask has ${bits} bytes for ${n} elements`)
    if (factors !== 1 && factors !== g.shape.at(-1))
      throw new ModelError(where, `has ${factors} factors, gradient [${g.shape}] needs 1 or one for each channel`)
    expectOutputs(node, [shaped(g)])
  },

  eval(_, [g, mask, factor]) {
    const [M, F] = [numbers(mask), numbers(factor)]
    return [(g as Float32Array).map((v, i) => ((M[i >> 3] >> (i & 7)) & 1 ? Math.fround(v * F[i % F.length]) : 0))]
  },

  lower(node) {
    const [g, mask, factor] = node.inputs.map((v) => v!)
    const channels = count(factor.type.shape)
    const rows = count(g.type.shape) / channels
    const G = L.buffer('g', 'f32', [rows, channels])
    const M = L.buffer('mask', 'u8', mask.type.shape)
    const F = L.buffer('factor', 'f32', [channels])
    const D = L.buffer('dx', 'f32', [rows, channels], 'write')
    const body = L.loops(['row', 'c'], [rows, channels], (row, c) => {
      const [declare, i] = L.declare('i', L.add(L.mul(row, channels), c))
      const bit = L.and(L.op('ushr', L.load(M, L.op('ushr', i, 3)), L.and(i, 7)), 1)
      return [declare, L.store(D, [row, c], L.select(bit, L.mul(L.load(G, row, c), L.load(F, c)), L.float(0)))]
    })
    return {
      kernel: L.kernel('mask_gradient', [G, M, F, D], body),
      args: [{ value: g }, { value: mask }, { value: factor }, { value: node.outputs[0] }],
    }
  },

  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
