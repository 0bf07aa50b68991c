// The loops of elementwise addition, subtraction, multiplication and division with broadcasting.

import type { Node } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Expr, registerOf } from '../../loops/ir.ts'
import { outputElem } from '../check.ts'
import { rounding } from '../float_scale.ts'
import { type Parameters, parameters } from '../parameters.ts'
import { clampRange } from '../quant.ts'
import { broadcastCall } from './broadcast.ts'
import type { Binary } from './op.ts'
import { type Combine, PLAIN } from './plain.ts'
import { productRescale, quotientRescale, reciprocals, sumRescale } from './rescale.ts'

interface Arithmetic {
  readonly parameters: Pick<Parameters<string>, 'bufs' | 'args' | 'head'>
  of(a: Expr, b: Expr): Expr
}

function plain(node: Node<Binary>, combine: Combine): Arithmetic {
  const { dtype } = node.outputs[0].type
  const { num } = registerOf(outputElem(node))
  const { lo, hi } = clampRange(node.outputs[0].type, node.attrs.clamp)
  const clamped = lo !== Number.NEGATIVE_INFINITY || hi !== Number.POSITIVE_INFINITY
  const p = parameters('limit', 'f32', (clamped ? { lo, hi } : {}) as Record<'lo' | 'hi', number>)
  const limit = (v: Expr) => (dtype === 'f64' ? L.op('toF64', v) : v)
  return {
    parameters: p,
    of(a, b) {
      const v = PLAIN[combine].expr([a, b], num) as Expr
      return clamped ? L.clamp(v, limit(p.of.lo), limit(p.of.hi)) : v
    },
  }
}

/** On the reals that stored operands stand for, in float32. */
function real(node: Node<Binary>, combine: Combine): Arithmetic {
  const y = node.outputs[0].type
  const [a, b] = node.inputs.map((v) => v!.type.quant!)
  const { lo, hi } = clampRange(y, node.attrs.clamp)
  const s = parameters('scale', 'f32', { sa: a.scale[0], sb: b.scale[0], sy: y.quant!.scale[0] })
  const q = parameters('q', 'i32', { za: a.zero[0], zb: b.zero[0] })
  const r = rounding(y.quant!.zero[0], lo, hi)
  const of = (x: Expr, zero: Expr, scale: Expr) => L.mul(scale, L.op('toF32', L.op('sub', x, zero)))
  return {
    parameters: {
      bufs: [...s.bufs, ...q.bufs, ...r.bufs],
      args: [...s.args, ...q.args, ...r.args],
      head: [...s.head, ...q.head, ...r.head],
    },
    of(x, z) {
      const v = PLAIN[combine].expr([of(x, q.of.za, s.of.sa), of(z, q.of.zb, s.of.sb)], 'f32') as Expr
      return r.of(L.op('div', v, s.of.sy))
    },
  }
}

function quotient(node: Node<Binary>, ends: Record<'za' | 'zb' | 'zy' | 'lo' | 'hi', number>): Arithmetic {
  const m = quotientRescale(node)
  const { inverse, shift } = reciprocals(node)
  const p = parameters('q', 'i32', { ...ends, my: m.multiplier, sy: m.shift })
  const [I, S] = [L.buffer('inverse', 'i32', [256]), L.buffer('shift', 'i32', [256])]
  const { za, zb, zy, lo, hi, my, sy } = p.of
  return {
    parameters: {
      bufs: [...p.bufs, I, S],
      args: [...p.args, { data: inverse }, { data: shift }],
      head: p.head,
    },
    of(a, b) {
      const d = L.op('sub', a, za)
      const v = L.select(L.lt(b, zb), L.op('neg', d), d)
      const size = L.op('xor', v, L.op('shr', v, 31))
      const room = L.add(L.op('clz', size), -1)
      const at = L.add(b, 128)
      const exponent = L.op('sub', L.add(room, L.load(S, at)), sy)
      const scaled = L.op('srdhm', L.op('srdhm', L.op('shl', v, room), L.load(I, at)), my)
      const whole = L.select(L.op('gt', exponent, 31), 0, L.op('rdivpot', scaled, L.min(exponent, 31)))
      return L.clamp(L.op('wadd', whole, zy), lo, hi)
    },
  }
}

function quantised(node: Node<Binary>, combine: Combine): Arithmetic {
  if (node.attrs.scaling) return real(node, combine)
  const [za, zb] = node.inputs.map((v) => v!.type.quant!.zero[0])
  const y = node.outputs[0].type
  const ends = { za, zb, zy: y.quant!.zero[0], ...clampRange(y, node.attrs.clamp) }
  if (combine === 'mul') {
    const m = productRescale(node)
    const p = parameters('q', 'i32', { ...ends, my: m.multiplier, sy: m.shift })
    const { za, zb, zy, lo, hi, my, sy } = p.of
    return {
      parameters: p,
      of: (a, b) => L.clamp(L.op('wadd', L.requant(L.mul(L.op('sub', a, za), L.op('sub', b, zb)), my, sy), zy), lo, hi),
    }
  }
  if (combine === 'div') return quotient(node, ends)
  const { inputs, output, leftShift } = sumRescale(node, combine === 'sub' ? Math.fround : (x) => x)
  const p = parameters('q', 'i32', {
    ...ends,
    ma: inputs[0].multiplier,
    sa: inputs[0].shift,
    mb: inputs[1].multiplier,
    sb: inputs[1].shift,
    my: output.multiplier,
    sy: output.shift,
  })
  const { za: a0, zb: b0, zy, lo, hi, ma, sa, mb, sb, my, sy } = p.of
  const scaled = (x: Expr, zero: Expr, m: Expr, s: Expr) => L.requant(L.mul(L.op('sub', x, zero), 2 ** leftShift), m, s)
  return {
    parameters: p,
    of: (a, b) =>
      L.clamp(
        L.add(L.requant(L.op(combine as 'add' | 'sub', scaled(a, a0, ma, sa), scaled(b, b0, mb, sb)), my, sy), zy),
        lo,
        hi,
      ),
  }
}

export function lower(node: Node<Binary>, combine: Combine): Call {
  const y = node.outputs[0]
  const { parameters: p, of } = y.type.quant ? quantised(node, combine) : plain(node, combine)
  return broadcastCall(node.op.name, node, p, ([a, b]) => [[], of(a, b)])
}
