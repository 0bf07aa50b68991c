// The loops of a reduction: parallel over what stays, for each output one pass over what goes, in the order of the
// elements. Neighbouring axes of one kind are one loop, so a mean over height and width has two: channels and pixels.

import type { Node } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Elem, Expr, Stmt } from '../../loops/ir.ts'
import { type Reduce, reducedCount, reduceMultiplier } from './op.ts'

/** The input's shape with neighbouring axes of one kind merged and axes of one element left out. */
function runs(shape: readonly number[], axes: readonly number[]): { extent: number; reduced: boolean }[] {
  const merged: { extent: number; reduced: boolean }[] = []
  shape.forEach((extent, axis) => {
    const reduced = axes.includes(axis)
    const last = merged[merged.length - 1]
    if (extent === 1) return
    if (last?.reduced === reduced) last.extent *= extent
    else merged.push({ extent, reduced })
  })
  return merged
}

/** `divides`: the sum becomes a mean. */
export function lower(node: Node<Reduce>, divides: boolean): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const elem = x.type.dtype as Elem
  const axes = runs(x.type.shape, node.attrs.axes)
  const kept = axes.filter((a) => !a.reduced).map((a) => a.extent)
  const gone = axes.filter((a) => a.reduced).map((a) => a.extent)
  const names = (base: string, n: number) => Array.from({ length: n }, (_, i) => (n === 1 ? base : `${base}${i}`))
  const X = L.buffer(
    'x',
    elem,
    axes.map((a) => a.extent),
  )
  const Y = L.buffer('y', elem, kept, 'write')

  const quantised = elem !== 'f32'
  const n = reducedCount(node)
  const { multiplier, shift } = quantised ? reduceMultiplier(node, divides) : { multiplier: 0, shift: 0 }
  const q = L.buffer('q', 'i32', [4])
  const [declareStart, start] = L.declare('start', L.load(q, 0))
  const [declareZy, zy] = L.declare('zy', L.load(q, 1))
  const [declareM, m] = L.declare('m', L.load(q, 2))
  const [declareS, s] = L.declare('s', L.load(q, 3))
  const safe = !quantised || n * 256 < 2 ** 31

  const [declareAcc, acc] = L.declare('acc', quantised ? start : L.float(0))
  const over = (d: number, k: readonly Expr[], r: readonly Expr[]): Stmt => {
    if (d < gone.length) return L.loop(names('r', gone.length)[d], gone[d], (v) => over(d + 1, k, [...r, v]))
    const [keptIndices, goneIndices] = [[...k], [...r]]
    const at = axes.map((a) => (a.reduced ? goneIndices : keptIndices).shift()!)
    return L.set(acc, L.op(safe ? 'add' : 'wadd', acc, L.load(X, ...at)))
  }
  const result = quantised
    ? L.clamp(L.op('wadd', L.requant(acc, m, s), zy), -128, 127)
    : divides
      ? L.op('div', acc, L.float(n))
      : acc
  const body = L.loops(names('k', kept.length), kept, (...k) => [declareAcc, over(0, k, []), L.store(Y, k, result)])

  const start32 = Number(BigInt.asIntN(32, -BigInt(n) * BigInt(x.type.quant?.zero[0] ?? 0)))
  return {
    kernel: L.kernel(
      node.op.name,
      quantised ? [X, q, Y] : [X, Y],
      ...(quantised ? [declareStart, declareZy, declareM, declareS] : []),
      body,
    ),
    args: quantised
      ? [{ value: x }, { data: Int32Array.of(start32, y.type.quant!.zero[0], multiplier, shift) }, { value: y }]
      : [{ value: x }, { value: y }],
  }
}
