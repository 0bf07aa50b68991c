// The ends of float32 sums, four channels in lanes: the bias is added and the limits are taken, as the plain loops do.

import type { Arg } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, type Expr, F32X4, type Stmt } from '../../loops/ir.ts'
import type { FloatSum } from '../sum_of_products.ts'

/** Adds the bias to sums of four channels and limits them. */
export function floatEnd(s: FloatSum): {
  readonly bufs: readonly (readonly [Buf, Arg])[]
  readonly head: readonly Stmt[]
  /** Empty where there is none. */
  bias(channel: Expr): readonly Expr[]
  finish(sum: Expr, bias?: Expr): Expr
} {
  const bias = L.buffer('b', 'f32', [s.channels])
  const limits = [
    ['max', s.low, Number.NEGATIVE_INFINITY],
    ['min', s.high, Number.POSITIVE_INFINITY],
  ] as const
  const present = limits.filter(([, limit, none]) => limit !== none)
  const buf = L.buffer('limit', 'f32', [Math.max(1, present.length)])
  const declared = present.map(([op], i) => ({ op, of: L.declare(`limit_${op}`, L.splat(L.load(buf, i), 4)) }))
  return {
    bufs: [
      ...(s.bias ? [[bias, s.bias.arg] as const] : []),
      ...(present.length ? [[buf, { data: Float32Array.from(present, ([, limit]) => limit) }] as const] : []),
    ],
    head: declared.map(({ of: [declare] }) => declare),
    bias: (channel) => (s.bias ? [L.loadLanes(bias, F32X4, channel)] : []),
    finish: (sum, b) =>
      declared.reduce((value, { op, of: [, limit] }) => L.op(op, value, limit), b ? L.op('add', sum, b) : sum),
  }
}
