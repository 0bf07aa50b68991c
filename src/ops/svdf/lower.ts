// The loops of one SVDF step: the memory moves and takes the new responses, then each unit sums over its filters.

import type { Node, Value } from '../../ir/graph.ts'
import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Elem, Expr } from '../../loops/ir.ts'
import { parameters } from '../parameters.ts'
import { clampRange } from '../quant.ts'
import { rescales, type Svdf, sizes } from './op.ts'

export function lower(node: Node<Svdf>): Call {
  const [state, x, feature, time, bias] = node.inputs as Value[]
  const y = node.outputs[0]
  const { B, I, F, U, M } = sizes(node)
  const { rank } = node.attrs
  const float = x.type.dtype === 'f32'
  const elem = state.type.dtype as Elem
  const S = L.buffer('s', elem, [B, F, M], 'write')
  const X = L.buffer('x', x.type.dtype as Elem, [B, I])
  const FW = L.buffer('wf', x.type.dtype as Elem, [F, I])
  const TW = L.buffer('wt', elem, [U, rank, M])
  const BIAS = L.buffer('bias', float ? 'f32' : 'i32', [U])
  const Y = L.buffer('y', y.type.dtype as Elem, [B, U], 'write')
  const zero = float ? L.float(0) : L.int(0)

  const limits = float ? clampRange(y.type, node.attrs.clamp) : undefined
  const limited = limits && (limits.lo !== Number.NEGATIVE_INFINITY || limits.hi !== Number.POSITIVE_INFINITY)
  const scale = float ? undefined : rescales(node)
  const p = scale
    ? parameters('q', 'i32', {
        zx: x.type.quant!.zero[0],
        zs: state.type.quant!.zero[0],
        zy: y.type.quant!.zero[0],
        mf: scale.feature.multiplier,
        sf: scale.feature.shift,
        mt: scale.time.multiplier,
        st: scale.time.shift,
      })
    : undefined
  const limit = parameters('limit', 'f32', limited ? limits : ({} as { lo: number; hi: number }))
  const centred = (v: Expr, z: 'zx' | 'zs') => (p ? L.op('sub', v, p.of[z]) : v)
  const most = elem === 'i16' ? 32767 : 127
  const add = float ? 'add' : 'wadd'

  const shift = L.loops(['shiftB', 'shiftF'], [B, F], (b, f) =>
    L.loop('shiftM', M - 1, (m) => L.store(S, [b, f, m], L.load(S, b, f, L.add(m, 1)))),
  )
  const respond = L.loops(['b', 'f'], [B, F], (b, f) => {
    const [start, acc] = L.declare('acc', zero)
    const value = p ? L.add(L.clamp(L.requant(acc, p.of.mf, p.of.sf), -most - 1, most), p.of.zs) : acc
    return [
      start,
      L.loop('i', I, (i) => L.set(acc, L.op(add, acc, L.op('mul', centred(L.load(X, b, i), 'zx'), L.load(FW, f, i))))),
      L.store(S, [b, f, M - 1], value),
    ]
  })
  const output = L.loops(['outB', 'u'], [B, U], (b, u) => {
    const [startOut, out] = L.declare('out', bias ? L.load(BIAS, u) : zero)
    const [start, sum] = L.declare('sum', zero)
    const product = (r: Expr, m: Expr) =>
      L.op(float ? 'mul' : 'wmul', L.load(TW, u, r, m), centred(L.load(S, b, L.add(L.mul(u, rank), r), m), 'zs'))
    const result = p
      ? L.clamp(L.op('wadd', L.requant(out, p.of.mt, p.of.st), p.of.zy), -128, 127)
      : limited
        ? L.clamp(out, limit.of.lo, limit.of.hi)
        : out
    return [
      startOut,
      L.loop('r', rank, (r) => [
        start,
        L.loop('m', M, (m) => L.set(sum, L.op(add, sum, product(r, m)))),
        L.set(out, L.op(add, out, sum)),
      ]),
      L.store(Y, [b, u], result),
    ]
  })

  const biasArg: Arg[] = bias ? [{ value: bias }] : []
  return {
    kernel: L.kernel(
      'svdf',
      [X, FW, TW, ...(bias ? [BIAS] : []), ...(p?.bufs ?? []), ...limit.bufs, S, Y],
      ...(p?.head ?? []),
      ...limit.head,
      ...(M > 1 ? [shift] : []),
      respond,
      output,
    ),
    args: [
      { value: x },
      { value: feature },
      { value: time },
      ...biasArg,
      ...(p?.args ?? []),
      ...limit.args,
      { value: state },
      { value: y },
    ],
  }
}
