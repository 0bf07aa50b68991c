// The loops of a normalisation, one group after another: the mean, the sum of squares, the results.

import type { Node, Value } from '../../ir/graph.ts'
import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Stmt } from '../../loops/ir.ts'
import { inverseRootSteps } from '../fixed_point_steps.ts'
import { parameters } from '../parameters.ts'
import { type Normalize, viewOf } from './op.ts'

export function lower(node: Node<Normalize>): Call {
  const [x, scale, shift] = node.inputs as [Value, Value | undefined, Value | undefined]
  const { kind, epsilon } = node.attrs
  const view = viewOf(x.type.shape, node.attrs)
  const [B, G, D, R] = view
  const n = L.float(D * R)
  const p = parameters('p', 'f32', { epsilon })
  const X = L.buffer('x', 'f32', view)
  const S = L.buffer('scale', 'f32', [G, D])
  const H = L.buffer('shift', 'f32', [G, D])
  const Y = L.buffer('y', 'f32', view, 'write')
  const statistics = node.outputs.slice(1).map((_, i) => L.buffer(['mean', 'inverse'][i], 'f32', [B, G], 'write'))

  const over = (suffix: string, b: Expr, g: Expr, body: (v: Expr, d: Expr, r: Expr) => Stmt): Stmt =>
    L.loop(`d${suffix}`, D, (d) => L.loop(`r${suffix}`, R, (r) => body(L.load(X, b, g, d, r), d, r)))

  const body = L.loops(['b', 'g'], [B, G], (b, g) => {
    const [declareSum, sum] = L.declare('sum', L.float(0))
    const [declareMean, mean] = L.declare('centre', L.op('div', sum, n))
    const centred = (v: Expr) => (kind === 'layer' ? L.op('sub', v, mean) : v)
    const [declareSquares, squares] = L.declare('squares', L.float(0))
    const root = L.op('sqrt', kind === 'l2' ? squares : L.add(L.op('div', squares, n), p.of.epsilon))
    const [declareNorm, norm] = L.declare('norm', kind === 'l2' ? L.max(root, p.of.epsilon) : root)
    const [declareInverse, inverse] = L.declare('by', kind === 'l2' ? norm : L.op('div', L.float(1), norm))
    const result = (v: Expr, d: Expr) => {
      const unit = kind === 'l2' ? L.op('div', v, norm) : L.mul(centred(v), inverse)
      const scaled = scale ? L.mul(unit, L.load(S, g, d)) : unit
      return shift ? L.add(scaled, L.load(H, g, d)) : scaled
    }
    const square = (v: Expr): Stmt[] => {
      const [declare, c] = L.declare('c', centred(v))
      return [declare, L.set(squares, L.add(squares, L.mul(c, c)))]
    }
    return [
      ...(kind === 'layer' ? [declareSum, over('0', b, g, (v) => L.set(sum, L.add(sum, v))), declareMean] : []),
      declareSquares,
      over('1', b, g, (v) => L.block(...square(v))),
      declareNorm,
      ...(kind === 'l2' ? [] : [declareInverse]),
      ...statistics.map((buf, i) => L.store(buf, [b, g], i === 0 ? mean : inverse)),
      over('2', b, g, (v, d, r) => L.store(Y, [b, g, d, r], result(v, d))),
    ]
  })
  const bufs: Buf[] = [X, ...(scale ? [S] : []), ...(shift ? [H] : []), ...p.bufs, Y, ...statistics]
  const args: Arg[] = [
    { value: x },
    ...[scale, shift].flatMap((value) => (value ? [{ value }] : [])),
    ...p.args,
    ...node.outputs.map((value) => ({ value })),
  ]
  return { kernel: L.kernel('normalize', bufs, ...p.head, body), args }
}

export function lowerInt8(node: Node<Normalize>): Call {
  const [x, y] = [node.inputs[0] as Value, node.outputs[0]]
  const D = node.attrs.depth
  const view = [count(x.type.shape) / D, D]
  const X = L.buffer('x', 'i8', view)
  const Y = L.buffer('y', 'i8', view, 'write')
  const p = parameters('q', 'i32', { zx: x.type.quant!.zero[0] })
  const body = L.parallel('n', view[0], (n) => {
    const [declareSum, sum] = L.declare('sum', 0)
    const root = inverseRootSteps(sum, 'root')
    const [declareShift, shift] = L.declare('shift', L.add(root.shift, 7))
    const centred = (d: Expr) => L.op('sub', L.load(X, n, d), p.of.zx)
    return [
      declareSum,
      L.loop('s', D, (d) => {
        const [declare, v] = L.declare('v', centred(d))
        return [declare, L.set(sum, L.add(sum, L.mul(v, v)))]
      }),
      ...root.stmts,
      declareShift,
      L.parallel('d', D, (d) => L.store(Y, [n, d], L.clamp(L.requant(centred(d), root.multiplier, shift), -128, 127))),
    ]
  })
  return {
    kernel: L.kernel('normalize_int8', [X, ...p.bufs, Y], ...p.head, body),
    args: [{ value: x }, ...p.args, { value: y }],
  }
}
