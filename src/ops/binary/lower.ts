// The loops of elementwise addition, subtraction and multiplication with broadcasting.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Elem, Expr } from '../../loops/ir.ts'
import { outputElem } from '../check.ts'
import { type Parameters, parameters } from '../parameters.ts'
import { clampRange } from '../quant.ts'
import { broadcastAxes } from './broadcast.ts'
import type { Binary, Combine } from './op.ts'
import { productRescale, sumRescale } from './rescale.ts'

interface Arithmetic {
  readonly parameters: Pick<Parameters<string>, 'bufs' | 'args' | 'head'>
  of(a: Expr, b: Expr): Expr
}

function floats(node: Node<Binary>, combine: Combine): Arithmetic {
  const { lo, hi } = clampRange(node.outputs[0].type, node.attrs.clamp)
  const clamped = lo !== Number.NEGATIVE_INFINITY || hi !== Number.POSITIVE_INFINITY
  const p = parameters('limit', 'f32', (clamped ? { lo, hi } : {}) as Record<'lo' | 'hi', number>)
  return {
    parameters: p,
    of: (a, b) => {
      const v = L.op(combine, a, b)
      return clamped ? L.clamp(v, p.of.lo, p.of.hi) : v
    },
  }
}

function integers(combine: Combine): Arithmetic {
  return { parameters: parameters('q', 'i32', {}), of: (a, b) => L.op(`w${combine}`, a, b) }
}

function quantised(node: Node<Binary>, combine: Combine): Arithmetic {
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
      L.clamp(L.add(L.requant(L.op(combine, scaled(a, a0, ma, sa), scaled(b, b0, mb, sb)), my, sy), zy), lo, hi),
  }
}

export function lower(node: Node<Binary>, combine: Combine): Call {
  const [a, b] = node.inputs as [Value, Value]
  const y = node.outputs[0]
  const { parameters: p, of } =
    y.type.dtype === 'f32'
      ? floats(node, combine)
      : y.type.dtype === 'i32'
        ? integers(combine)
        : quantised(node, combine)
  const axes = broadcastAxes(a.type.shape, b.type.shape)
  const view = (name: string, side: 0 | 1) => {
    const shape = axes.filter((axis) => axis.moves[side]).map((axis) => axis.extent)
    return L.buffer(name, a.type.dtype as Elem, shape.length ? shape : [1])
  }
  const A = view('a', 0)
  const B = view('b', 1)
  const Y = L.buffer(
    'y',
    outputElem(node),
    axes.map((axis) => axis.extent),
    'write',
  )
  const at = (index: readonly Expr[], side: 0 | 1) => {
    const moving = index.filter((_, d) => axes[d].moves[side])
    return moving.length ? moving : [0]
  }
  const body = L.loops(
    axes.map((_, d) => `i${d}`),
    Y.shape,
    (...i) => L.store(Y, i, of(L.load(A, ...at(i, 0)), L.load(B, ...at(i, 1)))),
  )
  return {
    kernel: L.kernel(node.op.name, [A, B, ...p.bufs, Y], ...p.head, body),
    args: [{ value: a }, { value: b }, ...p.args, { value: y }],
  }
}
