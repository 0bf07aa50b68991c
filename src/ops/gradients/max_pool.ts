// The gradient of a maximum over windows of float32 or int8, in float32: an output's gradient goes to the first element that is its maximum.

import { layer } from '../../ir/build.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { numbers } from '../accumulate.ts'
import { costOf, elemOfValue, expectInputs, expectOutputs } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { expectDtype } from '../quant.ts'
import { eachTap, overWindow, type Window } from '../window.ts'

/** The window, `kernel` [height, width]. */
export type MaxPoolGradient = Attrs & Window & { readonly kernel: readonly number[] }

/** x[N, H, W, C] and the gradient of its maxima g[N, OH, OW, C] -> the gradient of x. f32, x also i8; windows add in their order. */
export const maxPoolGradient: Op<MaxPoolGradient> = {
  name: 'max_pool_gradient',
  spelled: {},
  infer: ([x]) => [shaped(x!, 'f32')],

  check(node) {
    expectInputs(node, 2)
    const [x, g] = node.inputs.map((v) => v!.type)
    expectDtype(x, ['f32', 'i8'], 'input 0', layer(node))
    expectDtype(g, ['f32'], 'input 1', layer(node))
    expectOutputs(node, [shaped(x, 'f32')])
  },

  eval(node, [x, g]) {
    const [X, G] = [numbers(x), numbers(g)]
    const [N, H, W, C] = node.inputs[0]!.type.shape
    const [, OH, OW] = node.inputs[1]!.type.shape
    const D = new Float32Array(X.length)
    for (let n = 0, i = 0; n < N; n++)
      for (let oh = 0; oh < OH; oh++)
        for (let ow = 0; ow < OW; ow++)
          for (let c = 0; c < C; c++, i++) {
            let best = -1
            eachTap(node.attrs, [H, W], node.attrs.kernel, oh, ow, (ih, iw) => {
              const at = ((n * H + ih) * W + iw) * C + c
              if (best < 0 || X[at] > X[best]) best = at
            })
            if (best >= 0) D[best] = Math.fround(D[best] + G[i])
          }
    return [D]
  },

  lower(node) {
    const [x, g] = node.inputs.map((v) => v!)
    const [N, H, W, C] = x.type.shape
    const [, OH, OW] = g.type.shape
    const X = L.buffer('x', elemOfValue(x), [N, H * W, C])
    const G = L.buffer('g', 'f32', g.type.shape)
    const D = L.buffer('dx', 'f32', [N, H * W, C], 'write')
    const clear = L.loops(['m', 'i', 'd'], [N, H * W, C], (n, i, c) => L.store(D, [n, i, c], L.float(0)))
    const body = L.loop('n', N, (n) =>
      L.loop('oh', OH, (oh) =>
        L.loop('ow', OW, (ow) =>
          L.loop('c', C, (c) => {
            const [declare, best] = L.declare('best', -1)
            const pick = overWindow(node.attrs, [H, W], node.attrs.kernel, oh, ow, (ih, iw) => {
              const at = L.add(L.mul(ih, W), iw)
              const less = L.op('gt', L.load(X, n, at, c), L.load(X, n, L.max(best, 0), c))
              return L.when(L.op('or', L.lt(best, 0), less), L.set(best, at))
            })
            const more = L.add(L.load(D, n, L.max(best, 0), c), L.load(G, n, oh, ow, c))
            return [declare, pick, L.when(L.ge(best, 0), L.store(D, [n, L.max(best, 0), c], more))]
          }),
        ),
      ),
    )
    return {
      kernel: L.kernel('max_pool_gradient', [X, G, D], clear, body),
      args: [{ value: x }, { value: g }, { value: node.outputs[0] }],
    }
  },

  cost: (node) => costOf(node, 0),
}
