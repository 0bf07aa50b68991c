// Layers through which gradients pass, in int8: the same result as the plain operator, and a bit for each element that says
// whether the requantised value lay within the limits before it was clamped (quantisation-aware scaling, Lin et al. 2022). The
// loops are the plain operator's own, with the value kept where it is clamped.

import { bug, ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType, Value } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import { coefficient } from '../../loops/affine.ts'
import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Data, type Expr, type Stmt } from '../../loops/ir.ts'
import {
  declared,
  type For,
  inside,
  mapStmt,
  rename,
  replace,
  substitute,
  substituteExpr,
  visit,
} from '../../loops/walk.ts'
import { type Accumulating, multipliers, numbers } from '../accumulate.ts'
import { broadcastEval } from '../binary/broadcast.ts'
import { add, type Binary } from '../binary/op.ts'
import { sumRescale } from '../binary/rescale.ts'
import { conv2d } from '../conv2d/op.ts'
import { depthwiseConv2d } from '../depthwise/op.ts'
import { scaleProduct } from '../fully_connected/lower.ts'
import { fullyConnected } from '../fully_connected/op.ts'
import { partialConv2d } from '../partial/conv2d.ts'
import { partialDepthwiseConv2d } from '../partial/depthwise.ts'
import { type Clamp, clampRange, expectDtype } from '../quant.ts'
import { requantizeMultiplier } from '../quantize/lower.ts'
import { type Quantize, quantize } from '../quantize/op.ts'

/** One bit for each element of a tensor of `type`, the first in the low bit of the first byte. */
export function maskType({ shape }: TensorType): TensorType {
  return { dtype: 'u8', shape: [Math.ceil(count(shape) / 8)] }
}

/** The value before the limits, where `value` is min(max(value, low), high). */
function unclamped(value: Expr): { readonly before: Expr; readonly lo: Expr; readonly hi: Expr } {
  if (value.k === 'op' && value.op === 'min') {
    const [low, hi] = value.args
    if (low.k === 'op' && low.op === 'max') return { before: low.args[0], lo: low.args[1], hi }
  }
  return bug('a result is stored that is not clamped')
}

/** The innermost loop of independent iterations that stores neighbours of `buf` one after the other. */
function runOf(body: Stmt, { name, shape }: Buf): For | undefined {
  let run: For | undefined
  const go = (s: Stmt, loop: For | undefined): void => {
    if (s.s === 'store' && s.buf === name && loop) {
      const last = s.at.length - 1
      const step = s.at.map((e) => coefficient(e, loop.v))
      const neighbours = step.every((c, d) => c === (d === last ? 1 : 0))
      if (neighbours && loop.extent === shape[last]) run = loop
    }
    for (const t of inside(s)) go(t, s.s === 'for' && s.parallel ? s : s.s === 'for' ? undefined : loop)
  }
  go(body, undefined)
  return run
}

/**
 * The plain operator's loops, in which each result goes through `within` before it is clamped. Bits are kept in eight bytes until
 * there are eight of them; where the neighbours of one run of stores are no whole bytes, each bit is put where it belongs.
 */
function lowerMasked({ kernel, args }: Call, mask: Value, n: number): Call {
  const Y = kernel.bufs.find((b) => b.access === 'write') ?? bug(`kernel ${kernel.name} writes nothing`)
  const bytes = Math.ceil(n / 8)
  const M = L.buffer('mask', 'u8', [bytes], 'write')
  const eight = L.buffer('inside', 'i8', [8], 'scratch')
  const place = (at: readonly Expr[]) => at.reduce<Expr>((i, k, d) => L.add(L.mul(i, Y.shape[d]), k), L.int(0))
  const keeping = (body: Stmt, keep: (within: Expr, at: readonly Expr[]) => Stmt): Stmt =>
    mapStmt(
      body,
      (e) => e,
      (s): Stmt => {
        if (s.s !== 'store' || s.buf !== Y.name) return s
        const { before, lo, hi } = unclamped(s.value)
        const [declare, v] = L.declare('before', before)
        const within = L.and(L.ge(v, lo), L.op('le', v, hi))
        return L.block(declare, L.store(Y, s.at, L.clamp(v, lo, hi)), keep(within, s.at))
      },
    )
  const name = `masked_${kernel.name}`
  const run = runOf(kernel.body, Y)
  if (!run || (run.extent % 8 !== 0 && run.extent !== n)) {
    const set = (within: Expr, at: readonly Expr[]): Stmt => {
      const [declare, i] = L.declare('i', place(at))
      const byte = L.op('ushr', i, 3)
      const bit = L.op('shl', within, L.and(i, 7))
      return L.block(declare, L.store(M, [byte], L.op('or', L.load(M, byte), bit)))
    }
    const one = mapStmt(keeping(kernel.body, set), (e) => e, sequential)
    const clear = L.loop('byte', bytes, (j) => L.store(M, [j], 0))
    return { kernel: L.kernel(name, [...kernel.bufs, M], clear, one), args: [...args, { value: mask }] }
  }
  const group = (first: Expr, size: number, suffix: string): Stmt => {
    const k = `bit${suffix}`
    const at = new Map([[run.v, L.add(first, L.ref(k))]])
    const one = keeping(run.body, (within) => L.store(eight, [L.ref(k)], within))
    const names = new Map(declared(one).map((v) => [v, `${v}${suffix}`]))
    const byte = L.op('ushr', place(storedAt(run.body, Y).map((e) => substituteExpr(e, new Map([[run.v, first]])))), 3)
    const whole = Array.from({ length: size }, (_, i) => L.op('shl', L.load(eight, i), i))
    return L.block(
      { s: 'for', v: k, extent: size, parallel: true, body: substitute(rename(one, names), at) },
      L.store(
        M,
        [byte],
        whole.slice(1).reduce((all, bit) => L.op('or', all, bit), L.load(eight, 0)),
      ),
    )
  }
  const v = `${run.v}_byte`
  const rest = run.extent % 8
  const groups = L.parallel(v, run.extent >> 3, (j) => group(L.mul(j, 8), 8, ''))
  const grouped = L.block(groups, ...(rest ? [group(L.int(run.extent - rest), rest, '_r')] : []))
  return {
    kernel: replace(L.kernel(name, [...kernel.bufs, M, eight], kernel.body), run, grouped),
    args: [...args, { value: mask }, { scratch: true }],
  }
}

function sequential(s: Stmt): Stmt {
  if (s.s !== 'for') return s
  const { parallel: _, ...loop } = s
  return loop
}

/** Where `body` stores into `buf`. */
function storedAt(body: Stmt, buf: Buf): readonly Expr[] {
  let at: readonly Expr[] | undefined
  visit(body, (s) => {
    if (s.s === 'store' && s.buf === buf.name) at = s.at
  })
  return at ?? bug(`nothing is stored into ${buf.name}`)
}

/** `base` on int8, with the mask as a second output; `before` computes the requantised values, zero point added. */
function masked<A extends Attrs>(
  base: Op<A>,
  before: (node: Node<A>, inputs: readonly (Data | undefined)[]) => Int32Array,
): Op<A> {
  const plain = (node: Node<A>): Node<A> => ({ ...node, op: base, outputs: node.outputs.slice(0, 1) })
  return {
    name: `masked_${base.name}`,
    spelled: {},

    infer(inputs, attrs) {
      const [y] = base.infer(inputs, attrs)
      return [y, maskType(y)]
    },

    check(node) {
      const where = layer(node)
      base.check(plain(node))
      for (const v of [node.inputs[0]!, node.outputs[0]]) expectDtype(v.type, ['i8'], `"${v.name}"`, where)
      if (!node.outputs[0].type.quant || node.attrs.scaling)
        throw new ModelError(where, 'needs scales, and the scaling of TensorFlow Lite')
      const [mask, wanted] = [node.outputs[1]?.type, maskType(node.outputs[0].type)]
      if (mask?.dtype !== wanted.dtype || count(mask.shape) !== count(wanted.shape))
        throw new ModelError(where, `mask is ${mask?.dtype} [${mask?.shape}], expected u8 [${wanted.shape}]`)
    },

    eval(node, inputs) {
      const { lo, hi } = clampRange(node.outputs[0].type, (node.attrs.clamp ?? {}) as Clamp)
      const mask = new Uint8Array(count(node.outputs[1].type.shape))
      before(plain(node), inputs).forEach((v, i) => {
        if (v >= lo && v <= hi) mask[i >> 3] |= 1 << (i & 7)
      })
      return [base.eval(plain(node), inputs)[0], mask]
    },

    lower: (node) => lowerMasked(base.lower(plain(node)), node.outputs[1], count(node.outputs[0].type.shape)),

    cost(node) {
      const { macs, bytesRead, bytesWritten } = base.cost(plain(node))
      return { macs, bytesRead, bytesWritten: bytesWritten + count(node.outputs[1].type.shape) }
    },
  }
}

/** A node whose output 0 holds int32. */
function whole<A extends Attrs>(node: Node<A>, attrs: A): Node<A> {
  const [y] = node.outputs
  return { ...node, attrs, outputs: [{ ...y, type: { dtype: 'i32', shape: y.type.shape } }] }
}

function maskedSum<A extends Accumulating>(base: Op<A>, product: (node: Node<A>) => 'f64' | 'f32'): Op<A> {
  return masked(base, (node, inputs) => {
    const { shape, quant } = node.outputs[0].type
    const channels = shape.at(-1)!
    const [x, w] = node.inputs.map((v) => v!.type)
    const { multiplier, shift } = multipliers(x, w, node.outputs[0].type, channels, product(node))
    const [sums] = base.eval(whole(node, { ...node.attrs, clamp: {}, scaling: 'none' }), inputs)
    return Int32Array.from(numbers(sums), (acc, i) => {
      const c = i % channels
      return requant(acc, multiplier[c], shift[c]) + quant!.zero[0]
    })
  })
}

/** conv2d of int8 and its mask (`maskType`), 1 where the result was within the limits before it was clamped. */
export const maskedConv2d = maskedSum(conv2d, () => 'f64')
/** depthwise_conv2d of int8 and its mask. */
export const maskedDepthwiseConv2d = maskedSum(depthwiseConv2d, () => 'f64')
/** partial_conv2d of int8 and its mask. */
export const maskedPartialConv2d = maskedSum(partialConv2d, () => 'f64')
/** partial_depthwise_conv2d of int8 and its mask. */
export const maskedPartialDepthwiseConv2d = maskedSum(partialDepthwiseConv2d, () => 'f64')
/** fully_connected of int8 and its mask. */
export const maskedFullyConnected = maskedSum(fullyConnected, scaleProduct)
/** add of int8 and its mask. */
export const maskedAdd: Op<Binary> = masked(add, (node, inputs) => {
  const [za, zb] = node.inputs.map((v) => v!.type.quant!.zero[0])
  const { inputs: scales, output, leftShift } = sumRescale(node, (x) => x)
  const [a, b] = scales.map((m) => (x: number) => requant(x * 2 ** leftShift, m.multiplier, m.shift))
  const zero = node.outputs[0].type.quant!.zero[0]
  const sum = (x: number, y: number) => requant(a(x - za) + b(y - zb), output.multiplier, output.shift) + zero
  return broadcastEval(whole(node, node.attrs), inputs, (x, y) => sum(Number(x), Number(y))) as Int32Array
})

/** quantize of int8 to another scale, and its mask. */
export const maskedQuantize: Op<Quantize> = masked(quantize, (node, [x]) => {
  const { multiplier, shift } = requantizeMultiplier(node)
  const [zx, zy] = [node.inputs[0]!, node.outputs[0]].map((v) => v.type.quant!.zero[0])
  return Int32Array.from(numbers(x), (v) => requant(v - zx, multiplier, shift) + zy)
})

const MASKED: ReadonlyMap<object, Op> = new Map<object, unknown>([
  [conv2d, maskedConv2d],
  [depthwiseConv2d, maskedDepthwiseConv2d],
  [partialConv2d, maskedPartialConv2d],
  [partialDepthwiseConv2d, maskedPartialDepthwiseConv2d],
  [fullyConnected, maskedFullyConnected],
  [add, maskedAdd],
  [quantize, maskedQuantize],
]) as ReadonlyMap<object, Op>

/** The operator that computes the mask as well; undefined where there is none. */
export function maskedOf(op: Op): Op | undefined {
  return MASKED.get(op)
}

const PLAIN: ReadonlyMap<object, Op> = new Map([...MASKED].map(([plain, op]) => [op, plain as Op]))

/** The operator without the mask; undefined where `op` computes none. */
export function plainOf(op: Op): Op | undefined {
  return PLAIN.get(op)
}
