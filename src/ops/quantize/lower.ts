// The loops of quantisation and its inverse.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Expr } from '../../loops/ir.ts'
import { elementwise } from '../elementwise.ts'
import { parameters } from '../parameters.ts'
import { quantizeMultiplier, rangeOf } from '../quant.ts'
import type { Dequantize, Quantize } from './op.ts'

/** The largest float32 below 1/2: adding it and truncating rounds halves away from zero for |x| < 2^22. */
const HALF = 0.5 - 2 ** -25

export function requantizeMultiplier(node: Node<Quantize>): { multiplier: number; shift: number } {
  const [x, y] = [node.inputs[0] as Value, node.outputs[0]]
  return quantizeMultiplier(x.type.quant!.scale[0] / y.type.quant!.scale[0])
}

function roundAway(x: Expr): Expr {
  return L.op('toI32', L.add(x, L.select(L.lt(x, L.float(0)), L.float(-HALF), L.float(HALF))))
}

/** Adding and taking away 1.5 * 2^23 leaves no bits behind the point: rounds to nearest even for |x| <= 2^22. */
function roundEven(x: Expr): Expr {
  const magic = L.float(12582912)
  const near = L.clamp(x, L.float(-(2 ** 21)), L.float(2 ** 21))
  return L.op('toI32', L.op('sub', L.add(near, magic), magic))
}

export function lowerQuantize(node: Node<Quantize>): Call {
  const y = node.outputs[0].type
  const { min, max } = rangeOf(y.dtype)
  const zy = y.quant!.zero[0]
  if (node.inputs[0]!.type.dtype === 'f32') {
    const s = parameters('scale', 'f32', { s: y.quant!.scale[0] })
    const q = parameters('q', 'i32', { zy, lo: min - zy, hi: max - zy })
    const extra = { bufs: [...s.bufs, ...q.bufs], args: [...s.args, ...q.args], head: [...s.head, ...q.head] }
    return elementwise('quantize', node, extra, (x) => {
      const [declare, v] = L.declare('v', L.op('div', x, s.of.s))
      const rounded = node.attrs.ties === 'even' ? roundEven(v) : roundAway(v)
      return [[declare], L.add(L.clamp(rounded, q.of.lo, q.of.hi), q.of.zy)]
    })
  }
  const { multiplier, shift } = requantizeMultiplier(node)
  const zx = node.inputs[0]!.type.quant!.zero[0]
  const p = parameters('q', 'i32', { zx, zy, lo: min, hi: max, m: multiplier, s: shift })
  const minus = node.inputs[0]!.type.dtype === 'i32' ? 'wsub' : 'sub'
  return elementwise('requantize', node, p, (x) => [
    [],
    L.clamp(L.op('wadd', L.requant(L.op(minus, x, p.of.zx), p.of.m, p.of.s), p.of.zy), p.of.lo, p.of.hi),
  ])
}

export function lowerDequantize(node: Node<Dequantize>): Call {
  const { scale, zero } = node.inputs[0]!.type.quant!
  const s = parameters('scale', 'f32', { s: scale[0] })
  const q = parameters('q', 'i32', { zx: zero[0] })
  const extra = { bufs: [...s.bufs, ...q.bufs], args: [...s.args, ...q.args], head: [...s.head, ...q.head] }
  return elementwise('dequantize', node, extra, (x) => [[], L.mul(s.of.s, L.op('toF32', L.op('sub', x, q.of.zx)))])
}
