// The loops of a reduction: parallel over what stays, for each output one pass over what goes, in the order of the
// elements. Neighbouring axes of one kind are one loop, so a mean over height and width has two: channels and pixels.

import type { Node } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Elem, type Expr, registerOf, type Stmt } from '../../loops/ir.ts'
import { exp, expf, log, logf, type Steps } from '../../loops/math.ts'
import { outputElem } from '../check.ts'
import { rangeOf } from '../quant.ts'
import { type Reduce, reducedCount, reduceMultiplier, requantises } from './op.ts'
import type { Reduction } from './table.ts'

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

interface Pieces {
  readonly bufs: Call['kernel']['bufs']
  readonly args: Call['args']
  readonly head: readonly Stmt[]
  readonly start: Expr
  /** The accumulator with one more element; `greatest` of all is there where the elements are exponentials. */
  step(acc: Expr, x: Expr, greatest: Expr): Steps
  finish(acc: Expr, greatest: Expr): Steps
}

/** The float or integer that leaves every other as it is. */
function extreme(elem: Elem, negative: boolean): Expr {
  const { num } = registerOf(elem)
  if (num === 'f32' || num === 'f64')
    return L.constantOf(registerOf(elem), negative ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY)
  if (num === 'i64') {
    const least = L.op('shl', L.long(1), L.long(63))
    return negative ? least : L.op('xor', least, L.long(-1))
  }
  const { min, max } = rangeOf(elem as 'i8')
  return L.int(negative ? min : max)
}

function plain(node: Node<Reduce>, r: Reduction): Pieces {
  const elem = outputElem(node)
  const type = registerOf(elem)
  const float = type.num === 'f32' || type.num === 'f64'
  const wrapping = (name: 'add' | 'mul') => (float ? name : (`w${name}` as const))
  const combine = r.combine === 'add' || r.combine === 'mul' ? wrapping(r.combine) : r.combine
  const n = L.constantOf(type, reducedCount(node))
  return {
    bufs: [],
    args: [],
    head: [],
    start: Number.isFinite(r.start) ? L.constantOf(type, r.start) : extreme(elem, r.start < 0),
    step(acc, x, greatest) {
      if (r.each === 'exp') {
        const [steps, e] = (type.num === 'f64' ? exp : expf)(L.op('sub', x, greatest), 'e')
        return [steps, L.add(acc, e)]
      }
      const e = r.each === 'abs' ? L.op('abs', x) : r.each === 'square' ? L.op(wrapping('mul'), x, x) : x
      return [[], L.op(combine, acc, e)]
    },
    finish(acc, greatest) {
      if (r.finish !== 'log')
        return [[], r.finish === 'mean' ? L.op('div', acc, n) : r.finish === 'sqrt' ? L.op('sqrt', acc) : acc]
      const [steps, ln] = (type.num === 'f64' ? log : logf)(acc, 'l')
      return [steps, r.each === 'exp' ? L.add(ln, greatest) : ln]
    },
  }
}

function requantised(node: Node<Reduce>, r: Reduction): Pieces {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const n = reducedCount(node)
  const { multiplier, shift } = reduceMultiplier(node, r)
  const q = L.buffer('q', 'i32', [4])
  const [declareStart, start] = L.declare('start', L.load(q, 0))
  const [declareZy, zy] = L.declare('zy', L.load(q, 1))
  const [declareM, m] = L.declare('m', L.load(q, 2))
  const [declareS, s] = L.declare('s', L.load(q, 3))
  const start32 = Number(BigInt.asIntN(32, -BigInt(n) * BigInt(x.type.quant!.zero[0])))
  const { min, max } = rangeOf(y.type.dtype)
  const safe = n * (max - min + 1) < 2 ** 31
  return {
    bufs: [q],
    args: [{ data: Int32Array.of(start32, y.type.quant!.zero[0], multiplier, shift) }],
    head: [declareStart, declareZy, declareM, declareS],
    start,
    step: (acc, e) => [[], L.op(safe ? 'add' : 'wadd', acc, e)],
    finish: (acc) => [[], L.clamp(L.op('wadd', L.requant(acc, m, s), zy), min, max)],
  }
}

export function lower(node: Node<Reduce>, r: Reduction): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const elem = outputElem(node)
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
  const { bufs, args, head, start, step, finish } = requantises(node, r) ? requantised(node, r) : plain(node, r)

  const [declareAcc, acc] = L.declare('acc', start)
  const [declareMax, max] = L.declare('max', extreme(elem, true))
  const zero = L.constantOf(registerOf(elem), 0)
  const finite = L.op('lt', L.op('abs', max), extreme(elem, false))
  const [declareGreatest, greatest] = L.declare('greatest', L.select(finite, max, zero))
  const over = (name: string, k: readonly Expr[], body: (x: Expr) => Stmt[], at: readonly Expr[] = []): Stmt => {
    const d = at.length
    if (d < gone.length) return L.loop(names(name, gone.length)[d], gone[d], (v) => over(name, k, body, [...at, v]))
    const [keptIndices, goneIndices] = [[...k], [...at]]
    return L.block(...body(L.load(X, ...axes.map((a) => (a.reduced ? goneIndices : keptIndices).shift()!))))
  }
  const search = (k: readonly Expr[]): Stmt[] =>
    r.each === 'exp' ? [declareMax, over('m', k, (v) => [L.set(max, L.max(max, v))]), declareGreatest] : []
  const accumulate = (k: readonly Expr[]): Stmt =>
    over('r', k, (v) => {
      const [steps, next] = step(acc, v, greatest)
      return [...steps, L.set(acc, next)]
    })
  const empty = gone.includes(0)
  const body = L.loops(names('k', kept.length), kept, (...k) => {
    const [steps, result] = empty ? finish(start, zero) : finish(acc, greatest)
    const before = empty ? [] : [...search(k), declareAcc, accumulate(k)]
    return [...before, ...steps, L.store(Y, k, result)]
  })
  return {
    kernel: L.kernel(node.op.name, empty ? [...bufs, Y] : [X, ...bufs, Y], ...head, body),
    args: empty ? [...args, { value: y }] : [{ value: x }, ...args, { value: y }],
  }
}
