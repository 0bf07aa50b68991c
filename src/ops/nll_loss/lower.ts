// The loops of a negative log likelihood: one pass over the targets.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Expr, registerOf, type Stmt } from '../../loops/ir.ts'
import { elemOfValue } from '../check.ts'
import { parameters } from '../parameters.ts'
import { type NllLoss, viewOf } from './op.ts'

export function lower(node: Node<NllLoss>): Call {
  const [x, target, weight] = node.inputs as [Value, Value, Value | undefined]
  const { reduction, ignore } = node.attrs
  const [N, C, S] = viewOf(x.type)
  const elem = elemOfValue(target)
  const X = L.buffer('x', 'f32', [N, C, S])
  const T = L.buffer('t', elem, [N, S])
  const W = L.buffer('w', 'f32', [C])
  const p = parameters('p', 'i32', (ignore === undefined ? {} : { ignore }) as Record<'ignore', number>)
  const whole = reduction === 'none'
  const Y = L.buffer('y', 'f32', whole ? [N, S] : [1], 'write')
  const constant = (value: number) => L.constantOf(registerOf(elem), value)
  const [declareSum, sum] = L.declare('sum', L.float(0))
  const [declareTotal, total] = L.declare('total', L.float(0))

  const each = (n: Expr, s: Expr): Stmt[] => {
    const [declareT, t] = L.declare('class', L.load(T, n, s))
    const inside = L.and(L.ge(t, constant(0)), L.lt(t, constant(C)))
    const wanted = elem === 'i64' && ignore !== undefined ? L.op('extend', p.of.ignore) : p.of.ignore
    const [declareCounts, counts] = L.declare(
      'counts',
      ignore === undefined ? inside : L.and(inside, L.op('ne', t, wanted)),
    )
    const index = L.select(counts, elem === 'i64' ? L.op('wrap', t) : t, 0)
    const [declareAt, at] = L.declare('at', index)
    const [declareW, w] = L.declare('weight', L.select(counts, weight ? L.load(W, at) : L.float(1), L.float(0)))
    const logit = L.load(X, n, at, s)
    const loss = L.select(counts, L.op('neg', weight ? L.mul(logit, w) : logit), L.float(0))
    const steps = [declareT, declareCounts, declareAt]
    if (whole) return [...steps, ...(weight ? [declareW] : []), L.store(Y, [n, s], loss)]
    const weighted = reduction === 'mean'
    return [
      ...steps,
      ...(weight || weighted ? [declareW] : []),
      L.set(sum, L.add(sum, loss)),
      ...(weighted ? [L.set(total, L.add(total, w))] : []),
    ]
  }
  const nest = whole
    ? [L.loops(['n', 's'], [N, S], each)]
    : [
        declareSum,
        ...(reduction === 'mean' ? [declareTotal] : []),
        L.loop('n', N, (n) => L.loop('s', S, (s) => each(n, s))),
        L.store(Y, [0], reduction === 'mean' ? L.op('div', sum, total) : sum),
      ]
  return {
    kernel: L.kernel('nll_loss', [X, T, ...(weight ? [W] : []), ...p.bufs, Y], ...p.head, ...nest),
    args: [
      { value: x },
      { value: target },
      ...(weight ? [{ value: weight }] : []),
      ...p.args,
      { value: node.outputs[0] },
    ],
  }
}
