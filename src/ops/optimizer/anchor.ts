// The pull back to where a param came from: each element by how much the old task needs it (elastic weight consolidation, Kirkpatrick
// et al. 2017, equation 3). With importance measured on stored integers it is right for these: both sides have their scale twice.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { sameShape } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Elem, type Expr } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { parameters } from '../parameters.ts'
import { expectDtype } from '../quant.ts'

type Anchor = Attrs & { readonly strength: number }

/**
 * g + strength * importance * (p - origin), in float32, rounded at every step. Inputs of one shape: gradient g (f32), param p (f32,
 * i8 or i32), origin (as p), importance (f32).
 */
export const anchored: Op<Anchor> = {
  name: 'anchored',
  spelled: {},
  infer: ([g]) => [shaped(g!)],

  check(node) {
    const where = layer(node)
    expectInputs(node, 4)
    const [g, p, origin, importance] = node.inputs.map((v) => v!.type)
    expectDtype(g, ['f32'], 'gradient', where)
    expectDtype(p, ['f32', 'i8', 'i32'], 'param', where)
    expectDtype(origin, [p.dtype], 'origin', where)
    expectDtype(importance, ['f32'], 'importance', where)
    for (const t of [p, origin, importance])
      if (!sameShape(t.shape, g.shape)) throw new ModelError(where, `has [${t.shape}] for a gradient of [${g.shape}]`)
    if (!Number.isFinite(node.attrs.strength)) throw new ModelError(where, `has strength ${node.attrs.strength}`)
    expectOutputs(node, [shaped(g)])
  },

  eval({ attrs }, [g, p, origin, importance]) {
    const f = Math.fround
    const [P, O] = [numbers(p), numbers(origin)]
    const F = importance as Float32Array
    const strength = f(attrs.strength)
    return [(g as Float32Array).map((v, i) => f(v + f(f(strength * F[i]) * f(f(P[i]) - f(O[i])))))]
  },

  lower(node) {
    const [g, p, origin, importance] = node.inputs.map((v) => v!)
    const n = count(g.type.shape)
    const elem = p.type.dtype as Elem
    const G = L.buffer('g', 'f32', [n])
    const P = L.buffer('p', elem, [n])
    const O = L.buffer('origin', elem, [n])
    const F = L.buffer('importance', 'f32', [n])
    const D = L.buffer('d', 'f32', [n], 'write')
    const q = parameters('q', 'f32', { strength: Math.fround(node.attrs.strength) })
    const real = (x: Expr) => (elem === 'f32' ? x : L.op('toF32', x))
    const body = L.parallel('i', n, (i) => {
      const away = L.op('sub', real(L.load(P, i)), real(L.load(O, i)))
      const pull = L.mul(L.mul(q.of.strength, L.load(F, i)), away)
      return L.store(D, [i], L.add(L.load(G, i), pull))
    })
    return {
      kernel: L.kernel('anchored', [G, P, O, F, ...q.bufs, D], ...q.head, body),
      args: [...[g, p, origin, importance].map((value) => ({ value })), ...q.args, { value: node.outputs[0] }],
    }
  },

  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
