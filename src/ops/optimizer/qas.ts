// Updates of stored integers, in place and without a copy in reals: one step of gradient descent on the numbers they stand for
// (quantisation-aware scaling, Lin et al. 2022), rounded to whole steps. Stochastic rounding draws from a hash of seed, tensor,
// step and element, so it has no state of its own and the same bits everywhere.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameShape, type Value } from '../../ir/graph.ts'
import type { Arg, Attrs, Op } from '../../ir/op.ts'
import { toI32 } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import { roundEven } from '../../loops/float.ts'
import { type Buf, count, type Elem, type Expr, type Stmt } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { parameters } from '../parameters.ts'
import { expectDtype } from '../quant.ts'

/** How a step becomes whole; `truncate` drops the fraction of the new value, towards zero. */
export type Rounding = 'stochastic' | 'nearest' | 'truncate'

/** A part of a param that learns alone: its slices along `axis` from `from` on, as many as the gradient has. */
export type Part = { readonly axis: number; readonly from: number }

/**
 * `scale`: real = scale * stored for the whole gradient, or for each of its slices along `axis`; 0 for a slice that stays as it
 * is. `seed` and `tensor` choose the random numbers: those of an element are the same whether or not its part learns alone.
 */
export type QasSgd = Attrs & {
  readonly scale: readonly number[]
  readonly axis: number
  readonly rounding: Rounding
  readonly seed: number
  readonly tensor: number
  readonly part?: Part
}

/** Wellons' lowbias32: an invertible hash of 32 bits. */
export function hash32(x: number): number {
  let h = x
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return h ^ (h >>> 16)
}

function hashExpr(name: string, x: Expr): readonly [readonly Stmt[], Expr] {
  const stmts: Stmt[] = []
  let h = x
  for (const [i, [by, factor]] of [
    [16, 0x7feb352d],
    [15, 0x846ca68b | 0],
    [16, 1],
  ].entries()) {
    const [first, v] = L.declare(`${name}${i}`, h)
    const mixed = L.op('xor', v, L.op('ushr', v, by))
    stmts.push(first)
    h = factor === 1 ? mixed : L.op('wmul', mixed, factor)
  }
  return [stmts, h]
}

const f = Math.fround
const GOLDEN = 0x9e3779b9 | 0
/**
 * No step is longer, in stored units; none leads beyond `least` and `most`. A bias leaves room for the sum that it starts; one that
 * is beyond already may stay.
 */
const LIMITS = {
  i8: { step: 256, least: -127, most: 127 },
  i32: { step: 2 ** 30, least: -(2 ** 30), most: 2 ** 30 },
} as const

interface Layout {
  readonly outer: number
  readonly channels: number
  readonly inner: number
}

function layoutOf({ inputs, attrs: { scale, axis } }: Node<QasSgd>): Layout {
  const { shape } = inputs[1]!.type
  if (scale.length === 1) return { outer: 1, channels: 1, inner: count(shape) }
  return { outer: count(shape.slice(0, axis)), channels: scale.length, inner: count(shape.slice(axis + 1)) }
}

/** Where the elements of a part stand in a param of shape `whole`: from element `first` on, one for each slice by `strides`. */
export function placesOf(whole: readonly number[], { axis, from }: Part) {
  const strides = whole.map((_, d) => count(whole.slice(d + 1)))
  const at = (i: readonly Expr[]) => i.reduce<Expr>((sum, v, d) => L.add(sum, L.mul(v, strides[d])), L.int(0))
  return { first: from * strides[axis], strides, at }
}

/** The param's elements from `first` on that hold a part of shape `part`, gaps included. */
const extentOf = (strides: readonly number[], part: readonly number[]) =>
  part.reduce((n, size, d) => n + (size - 1) * strides[d], 1)

/** A buffer for the part of `param` that `shape` is the gradient of, and what it is bound to. */
export function partBuffer(param: Value, shape: readonly number[], whole: readonly number[], part: Part) {
  const { first, strides, at } = placesOf(whole, part)
  const buf = L.buffer('p', param.type.dtype as Elem, [extentOf(strides, shape)], 'write')
  return { buf, arg: { value: param, from: first }, at: (i: readonly Expr[]) => [at(i)] }
}

const factorsOf = ({ attrs: { scale } }: Node<QasSgd>) => Float32Array.from(scale, (s) => (s === 0 ? 0 : 1 / (s * s)))

/** The place in the param of each element of the gradient. */
function placesIn({ inputs, attrs: { part } }: Node<QasSgd>): (at: number) => number {
  if (!part) return (at) => at
  const [whole, own] = inputs.map((v) => v!.type.shape)
  const inner = count(own.slice(part.axis + 1))
  const run = own[part.axis] * inner
  return (at) => Math.floor(at / run) * whole[part.axis] * inner + part.from * inner + (at % run)
}

/** What of the hash does not change between steps. */
const keyOf = ({ attrs: { seed, tensor } }: Node<QasSgd>) => hash32(hash32(seed | 0) + tensor) | 0

/** The whole step of one element, from the wanted one in stored units: subtracted from `p`. */
function wholeStep(rounding: Rounding, d: number, p: number, random: number): number {
  if (rounding === 'nearest') return toI32(roundEven(d))
  const floor = Math.floor(d)
  const up = rounding === 'truncate' ? f(p) >= d && d > floor : f((random >>> 8) * 2 ** -24) < f(d - floor)
  return toI32(floor) + (up ? 1 : 0)
}

function wholeStepExpr(rounding: Rounding, d: Expr, p: Expr, random: Expr): readonly [readonly Stmt[], Expr] {
  if (rounding === 'nearest') return [[], L.op('toI32', L.op('nearest', d))]
  // `d` is within the limits of a step, so that its whole part has a place in an integer
  const [first, whole] = L.declare('whole', L.op('toI32', d))
  const [second, above] = L.declare('above', L.op('gt', L.op('toF32', whole), d))
  const [third, floor] = L.declare('floor', L.op('toF32', L.op('sub', whole, above)))
  const drawn = L.mul(L.op('toF32', L.op('ushr', random, 8)), L.float(2 ** -24))
  const up =
    rounding === 'truncate'
      ? L.and(L.ge(L.op('toF32', p), d), L.op('gt', d, floor))
      : L.lt(drawn, L.op('sub', d, floor))
  return [[first, second, third], L.add(L.op('sub', whole, above), up)]
}

/** The update in the loop language. */
export interface StoredUpdate {
  readonly bufs: readonly Buf[]
  readonly args: readonly Arg[]
  /** Statements at the top of the kernel. */
  readonly head: readonly Stmt[]
  /** Updates element `at` of `P`, of slice `channel`, by gradient `g`. */
  element(P: Buf, at: readonly Expr[], channel: Expr, g: Expr): Stmt[]
}

export function storedUpdate(node: Node<QasSgd>): StoredUpdate {
  const [param, , rate, step] = node.inputs.map((v) => v!)
  const { rounding, scale } = node.attrs
  const [R, S] = [L.buffer('rate', 'f32', [1]), L.buffer('step', 'i32', [1])]
  const F = L.buffer('factor', 'f32', [scale.length])
  const drawing = rounding === 'stochastic'
  const first = node.attrs.part && placesOf(param.type.shape, node.attrs.part).first
  const q = parameters('q', 'i32', {
    key: keyOf(node),
    ...(first !== undefined && { first: Math.imul(first, GOLDEN) }),
  } as Record<'key' | 'first', number>)
  const [declareRate, r] = L.declare('r', L.load(R, 0))
  const [hashed, keyed] = hashExpr('k', L.op('wadd', q.of.key, L.load(S, 0)))
  const [declareKey, key] = L.declare('key_of_step', keyed)
  const { step: longest, least, most } = LIMITS[param.type.dtype as 'i8' | 'i32']
  const wide = (e: Expr) => L.op('extend', e)
  const less = (p: Expr, k: Expr) =>
    param.type.dtype === 'i8'
      ? L.clamp(L.op('sub', p, k), least, most)
      : L.op(
          'wrap',
          L.clamp(L.op('sub', wide(p), wide(k)), L.min(wide(p), L.long(least)), L.max(wide(p), L.long(most))),
        )
  return {
    bufs: [R, F, ...(drawing ? [S, ...q.bufs] : [])],
    args: [{ value: rate }, { data: factorsOf(node) }, ...(drawing ? [{ value: step }, ...q.args] : [])],
    head: [declareRate, ...(drawing ? [...q.head, ...hashed, declareKey] : [])],
    element(P, at, channel, g) {
      const [declareP, p] = L.declare('old', L.load(P, ...at))
      const wanted = L.mul(L.mul(r, g), L.load(F, channel))
      const [declareD, d] = L.declare('d', L.clamp(wanted, L.float(-longest), L.float(longest)))
      const i = at.reduce<Expr>((sum, v, axis) => L.add(L.mul(sum, P.shape[axis]), v), L.int(0))
      const number = L.op('wmul', i, GOLDEN)
      const [draw, random] = hashExpr(
        'h',
        L.op('wadd', key, first === undefined ? number : L.op('wadd', q.of.first, number)),
      )
      const [steps, k] = wholeStepExpr(rounding, d, p, random)
      return [declareP, declareD, ...(drawing ? draw : []), ...steps, L.store(P, at, less(p, k))]
    },
  }
}

/**
 * stored -= round(rate * gradient / scale^2), saturated: i8 (to -127 ... 127) or i32. Inputs: param, gradient with respect to what is
 * stored (f32, of its shape), rate (f32, one element) and the number of the step (i32, one element).
 */
export const qasSgd: Op<QasSgd> = {
  name: 'qas_sgd',
  spelled: {},
  infer: () => [],

  check(node) {
    const where = layer(node)
    expectInputs(node, 4)
    expectOutputs(node, [])
    const [param, g, rate, step] = node.inputs.map((v) => v!)
    if (param.storage !== 'param' && param.storage !== 'state')
      throw new ModelError(where, `writes "${param.name}", which is ${param.storage}, not state or param`)
    expectDtype(param.type, ['i8', 'i32'], `"${param.name}"`, where)
    for (const v of [g, rate]) expectDtype(v.type, ['f32'], `"${v.name}"`, where)
    expectDtype(step.type, ['i32'], `"${step.name}"`, where)
    const { part } = node.attrs
    const size = part ? g.type.shape[part.axis] : 0
    const whole = part ? g.type.shape.map((d, i) => (i === part.axis ? param.type.shape[i] : d)) : g.type.shape
    if (!sameShape(whole, param.type.shape) || (part && !(part.from >= 0 && part.from + size <= whole[part.axis])))
      throw new ModelError(where, `gradient is [${g.type.shape}], param "${param.name}" [${param.type.shape}]`)
    for (const v of [rate, step])
      if (count(v.type.shape) !== 1) throw new ModelError(where, `"${v.name}" is [${v.type.shape}], expected 1 element`)
    const { scale, axis, rounding } = node.attrs
    if (scale.length !== 1 && scale.length !== g.type.shape[axis])
      throw new ModelError(where, `has ${scale.length} scales for [${g.type.shape}] along axis ${axis}`)
    if (!factorsOf(node).every(Number.isFinite) || scale.some((s) => !(s >= 0)))
      throw new ModelError(where, `has scale ${Math.min(...scale)}, whose square is beyond float32`)
    if (!['stochastic', 'nearest', 'truncate'].includes(rounding))
      throw new ModelError(where, `has rounding ${rounding}, supported are stochastic, nearest and truncate`)
  },

  /** Changes the data of the param. */
  eval(node, [param, g, rate, step]) {
    const [P, G, r] = [numbers(param), numbers(g), Number(rate![0])]
    const { channels, inner } = layoutOf(node)
    const factors = factorsOf(node)
    const limits = LIMITS[node.inputs[0]!.type.dtype as 'i8' | 'i32']
    const key = hash32((keyOf(node) + Number(step![0])) | 0)
    const place = placesIn(node)
    G.forEach((gradient, at) => {
      const i = place(at)
      const p = P[i]
      const wanted = f(f(r * gradient) * factors[Math.floor(at / inner) % channels])
      const d = wanted < -limits.step ? -limits.step : wanted > limits.step ? limits.step : wanted
      const random = hash32((key + Math.imul(i, GOLDEN)) | 0)
      const next = p - wholeStep(node.attrs.rounding, d, p, random)
      const [least, most] = [Math.min(limits.least, p), Math.max(limits.most, p)]
      P[i] = Math.min(most, Math.max(least, next))
    })
    return []
  },

  lower(node) {
    const [param, g] = node.inputs.map((v) => v!)
    const { outer, channels, inner } = layoutOf(node)
    const u = storedUpdate(node)
    if (node.attrs.part) {
      const { shape } = g.type
      const { buf, arg, at } = partBuffer(param, shape, param.type.shape, node.attrs.part)
      const G = L.buffer('g', 'f32', shape)
      const { scale, axis } = node.attrs
      const body = L.loops(
        shape.map((_, d) => `i${d}`),
        shape,
        (...i) => u.element(buf, at(i), scale.length === 1 ? L.int(0) : i[axis], L.load(G, ...i)),
      )
      return {
        kernel: L.kernel(`qas_sgd_part_${node.attrs.rounding}`, [G, ...u.bufs, buf], ...u.head, body),
        args: [{ value: g }, ...u.args, arg],
      }
    }
    const shape = [outer, channels, inner]
    const G = L.buffer('g', 'f32', shape)
    const P = L.buffer('p', param.type.dtype as Elem, shape, 'write')
    const body = L.loops(['o', 'c', 'i'], shape, (o, c, i) => u.element(P, [o, c, i], c, L.load(G, o, c, i)))
    return {
      kernel: L.kernel(`qas_sgd_${node.attrs.rounding}`, [G, ...u.bufs, P], ...u.head, body),
      args: [{ value: g }, ...u.args, { value: param }],
    }
  },

  cost: (node) => costOf(node, 0),
  writesState: true,
}
