// int8 and int16 operands with scales, bit-exact to TensorFlow Lite Micro's reference kernels: comparisons of rescaled
// operands, squared differences, and the slope of PReLU.

import type { Node } from '../../ir/graph.ts'
import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import type { Expr } from '../../loops/ir.ts'
import type { Steps } from '../../loops/math.ts'
import { type Parameters, parameters } from '../parameters.ts'
import { quantizeMultiplier, rangeOf } from '../quant.ts'
import type { Pairwise } from './table.ts'

/** The numbers that a layer's kernel is given, the meaning of an element, and the same as an expression of these numbers. */
export interface Stored {
  readonly numbers: Parameters<string>
  of(a: number, b: number): number
  expr(a: Expr, b: Expr): Expr | Steps
}

const COMPARE_SHIFT = 8

function compared(node: Node, row: Pairwise): Stored {
  const q = node.inputs.map((v) => {
    const { scale, zero } = v!.type.quant!
    return { zero: zero[0], ...quantizeMultiplier(scale[0]) }
  })
  const numbers = parameters('q', 'i32', {
    za: q[0].zero,
    ma: q[0].multiplier,
    sa: q[0].shift,
    zb: q[1].zero,
    mb: q[1].multiplier,
    sb: q[1].shift,
  })
  const { za, ma, sa, zb, mb, sb } = numbers.of
  const scaled = (x: number, i: number) => requant((x - q[i].zero) << COMPARE_SHIFT, q[i].multiplier, q[i].shift)
  const scaledExpr = (x: Expr, z: Expr, m: Expr, s: Expr) =>
    L.requant(L.mul(L.op('sub', x, z), 1 << COMPARE_SHIFT), m, s)
  return {
    numbers,
    of: (a, b) => row.int!(scaled(a, 0), scaled(b, 1)),
    expr: (a, b) => row.expr([scaledExpr(a, za, ma, sa), scaledExpr(b, zb, mb, sb)], 'i32'),
  }
}

function difference(node: Node): Stored {
  const [a, b] = node.inputs.map((v) => v!.type.quant!)
  const { quant, dtype } = node.outputs[0].type
  const leftShift = dtype === 'i8' ? 7 : 0
  const twice = 2 * Math.max(a.scale[0], b.scale[0])
  const [ma, mb] = [a, b].map((q) => quantizeMultiplier(q.scale[0] / twice))
  const my = quantizeMultiplier(twice ** 2 / Math.fround(2 ** (2 * leftShift) * quant!.scale[0]))
  const { min, max } = rangeOf(dtype)
  const numbers = parameters('q', 'i32', {
    za: a.zero[0],
    zb: b.zero[0],
    zy: quant!.zero[0],
    ma: ma.multiplier,
    sa: ma.shift,
    mb: mb.multiplier,
    sb: mb.shift,
    my: my.multiplier,
    sy: my.shift,
  })
  const p = numbers.of
  return {
    numbers,
    of(x, y) {
      const scaled = (v: number, zero: number, m: typeof ma) => requant((v - zero) << leftShift, m.multiplier, m.shift)
      const d = scaled(x, a.zero[0], ma) - scaled(y, b.zero[0], mb)
      return Math.min(max, Math.max(min, (requant(Math.imul(d, d), my.multiplier, my.shift) + quant!.zero[0]) | 0))
    },
    expr(x, y) {
      const scaled = (v: Expr, zero: Expr, m: Expr, s: Expr) =>
        L.requant(L.mul(L.op('sub', v, zero), 2 ** leftShift), m, s)
      const [declare, d] = L.declare('d', L.op('sub', scaled(x, p.za, p.ma, p.sa), scaled(y, p.zb, p.mb, p.sb)))
      return [[declare], L.clamp(L.op('wadd', L.requant(L.op('wmul', d, d), p.my, p.sy), p.zy), min, max)]
    },
  }
}

function slope(node: Node): Stored {
  const [x, alpha] = node.inputs.map((v) => v!.type.quant!)
  const { quant, dtype } = node.outputs[0].type
  const identity = quantizeMultiplier(x.scale[0] / quant!.scale[0])
  const sloped = quantizeMultiplier((x.scale[0] * alpha.scale[0]) / quant!.scale[0])
  const { min, max } = rangeOf(dtype)
  const numbers = parameters('q', 'i32', {
    zx: x.zero[0],
    za: alpha.zero[0],
    zy: quant!.zero[0],
    mi: identity.multiplier,
    si: identity.shift,
    ms: sloped.multiplier,
    ss: sloped.shift,
  })
  const p = numbers.of
  return {
    numbers,
    of(v, a) {
      const d = v - x.zero[0]
      const y =
        d >= 0
          ? requant(d, identity.multiplier, identity.shift)
          : requant(d * (a - alpha.zero[0]), sloped.multiplier, sloped.shift)
      return Math.min(max, Math.max(min, (y + quant!.zero[0]) | 0))
    },
    expr(v, a) {
      const [declare, d] = L.declare('d', L.op('sub', v, p.zx))
      const positive = L.requant(d, p.mi, p.si)
      const negative = L.requant(L.mul(d, L.op('sub', a, p.za)), p.ms, p.ss)
      return [[declare], L.clamp(L.op('wadd', L.select(L.ge(d, 0), positive, negative), p.zy), min, max)]
    },
  }
}

export function storedOf(node: Node, row: Pairwise): Stored {
  switch (row.stored) {
    case 'compare':
      return compared(node, row)
    case 'difference':
      return difference(node)
    case 'slope':
      return slope(node)
    default:
      return {
        numbers: parameters('q', 'i32', {}),
        of: (a, b) => row.int!(a, b),
        expr: (a, b) => row.expr([a, b], 'i32'),
      }
  }
}
