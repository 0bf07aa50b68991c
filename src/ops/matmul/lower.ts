// The loops of a matrix product: leading dimensions, rows and columns in parallel, one sum along k for each output.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Expr, registerOf, type Stmt } from '../../loops/ir.ts'
import { broadcastAxes } from '../binary/broadcast.ts'
import { elemOfValue, outputElem } from '../check.ts'
import { rounding } from '../float_scale.ts'
import { type Parameters, parameters } from '../parameters.ts'
import { rangeOf } from '../quant.ts'
import { type Matmul, matmulMultiplier, matmulScale, shortMultiplier, sizes } from './op.ts'

interface Pieces extends Pick<Parameters<string>, 'bufs' | 'args' | 'head'> {
  readonly start: Expr
  step(acc: Expr, a: Expr, b: Expr): Expr
  finish(acc: Expr): Expr
}

function plain(node: Node<Matmul>): Pieces {
  const type = registerOf(outputElem(node))
  const w = type.num === 'f32' || type.num === 'f64' ? '' : 'w'
  return {
    bufs: [],
    args: [],
    head: [],
    start: L.constantOf(type, 0),
    step: (acc, a, b) => L.op(`${w}add`, acc, L.op(`${w}mul`, a, b)),
    finish: (acc) => acc,
  }
}

function quantised(node: Node<Matmul>, K: number): Pieces {
  const y = node.outputs[0].type
  const { min, max } = rangeOf(y.dtype)
  const [za, zb] = node.inputs.map((v) => v!.type.quant!.zero[0])
  const safe = K * 255 * 255 < 2 ** 31
  const sum = (of: Readonly<Record<'za' | 'zb', Expr>>): Pick<Pieces, 'start' | 'step'> => ({
    start: L.int(0),
    step: (acc, a, b) => L.op(safe ? 'add' : 'wadd', acc, L.mul(L.op('sub', a, of.za), L.op('sub', b, of.zb))),
  })
  if (node.attrs.scaling) {
    const p = parameters('q', 'i32', { za, zb })
    if (node.attrs.scaling === 'none') return { ...p, ...sum(p.of), finish: (acc) => acc }
    const m = parameters('by', 'f32', { scale: matmulScale(node) })
    const r = rounding(y.quant!.zero[0], min, max)
    return {
      bufs: [...p.bufs, ...m.bufs, ...r.bufs],
      args: [...p.args, ...m.args, ...r.args],
      head: [...p.head, ...m.head, ...r.head],
      ...sum(p.of),
      finish: (acc) => r.of(L.mul(L.op('toF32', acc), m.of.scale)),
    }
  }
  const m = matmulMultiplier(node)
  if (y.dtype === 'i8') {
    const p = parameters('q', 'i32', { za, zb, zy: y.quant!.zero[0], my: m.multiplier, sy: m.shift })
    const { of } = p
    return {
      ...p,
      ...sum(of),
      finish: (acc) => L.clamp(L.op('wadd', L.requant(acc, of.my, of.sy), of.zy), min, max),
    }
  }
  const s = shortMultiplier(m)
  const p = parameters('q', 'i32', { my: s.multiplier, sy: s.shift })
  const [declareM, multiplier] = L.declare('m64', L.op('extend', p.of.my))
  const [declareS, shift] = L.declare('s64', L.op('extend', p.of.sy))
  const [declareH, half] = L.declare('half', L.op('shl', L.long(1), L.op('sub', shift, L.long(1))))
  return {
    bufs: p.bufs,
    args: p.args,
    head: [...p.head, declareM, declareS, declareH],
    start: L.long(0),
    step: (acc, a, b) => L.op('add', acc, L.op('extend', L.mul(a, b))),
    finish: (acc) =>
      L.clamp(L.op('wrap', L.op('shr', L.op('wadd', L.op('wmul', acc, multiplier), half), shift)), min, max),
  }
}

export function lower(node: Node<Matmul>): Call {
  const [a, b] = node.inputs as [Value, Value]
  const y = node.outputs[0]
  const { transA, transB } = node.attrs
  const { M, K, N, leadA, leadB } = sizes([a.type, b.type], node.attrs)
  const elem = elemOfValue(a)
  const lead = broadcastAxes(leadA, leadB)
  const own = (side: 0 | 1) => lead.filter((axis) => axis.moves[side]).map((axis) => axis.extent)
  const at = (index: readonly Expr[], side: 0 | 1) => index.filter((_, d) => lead[d].moves[side])
  const A = L.buffer('a', elem, [...own(0), ...(transA ? [K, M] : [M, K])])
  const B = L.buffer('b', elem, [...own(1), ...(transB ? [N, K] : [K, N])])
  const extents = [...lead.map((axis) => axis.extent), M, N]
  const Y = L.buffer('y', outputElem(node), extents, 'write')
  const p = a.type.quant ? quantised(node, K) : plain(node)
  const body = L.loops([...lead.map((_, d) => `b${d}`), 'm', 'n'], extents, (...i): Stmt[] => {
    const [m, n] = i.slice(-2)
    const [start, acc] = L.declare('acc', p.start)
    return [
      start,
      L.loop('k', K, (k) =>
        L.set(
          acc,
          p.step(
            acc,
            L.load(A, ...at(i.slice(0, -2), 0), ...(transA ? [k, m] : [m, k])),
            L.load(B, ...at(i.slice(0, -2), 1), ...(transB ? [n, k] : [k, n])),
          ),
        ),
      ),
      L.store(Y, i, p.finish(acc)),
    ]
  })
  return {
    kernel: L.kernel('matmul', [A, B, ...p.bufs, Y], ...p.head, body),
    args: [{ value: a }, { value: b }, ...p.args, { value: y }],
  }
}
