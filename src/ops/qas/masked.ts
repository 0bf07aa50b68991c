// Layers through which gradients pass, in int8: the same result as the plain operator, and a bit for each element that says
// whether the requantised value lay within the limits before it was clamped (quantisation-aware scaling, Lin et al. 2022). The
// loops are the plain operator's own, with the value kept where it is clamped.

import { bug, ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType, Value } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import { count, type Data, type Expr, type Stmt } from '../../loops/ir.ts'
import { mapStmt } from '../../loops/walk.ts'
import { type Accumulating, multipliers, numbers } from '../accumulate.ts'
import { broadcastEval } from '../binary/broadcast.ts'
import { add, type Binary } from '../binary/op.ts'
import { sumRescale } from '../binary/rescale.ts'
import { conv2d } from '../conv2d/op.ts'
import { depthwiseConv2d } from '../depthwise/op.ts'
import { scaleProduct } from '../fully_connected/lower.ts'
import { fullyConnected } from '../fully_connected/op.ts'
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

function lowerMasked({ kernel, args }: Call, mask: Value, n: number): Call {
  const Y = kernel.bufs.find((b) => b.access === 'write') ?? bug(`kernel ${kernel.name} writes nothing`)
  const bytes = Math.ceil(n / 8)
  const inside = L.buffer('inside', 'u8', [bytes * 8], 'scratch')
  const M = L.buffer('mask', 'u8', [bytes], 'write')
  const body = mapStmt(
    kernel.body,
    (e) => e,
    (s): Stmt => {
      if (s.s !== 'store' || s.buf !== Y.name) return s
      const { before, lo, hi } = unclamped(s.value)
      const [declare, v] = L.declare('before', before)
      const at = s.at.reduce<Expr>((i, k, d) => L.add(L.mul(i, Y.shape[d]), k), L.int(0))
      const within = L.and(L.ge(v, lo), L.op('le', v, hi))
      return L.block(declare, L.store(Y, s.at, L.clamp(v, lo, hi)), L.store(inside, [at], within))
    },
  )
  const rest = L.loop('rest', bytes * 8 - n, (i) => L.store(inside, [L.add(i, n)], 0))
  const pack = L.parallel('byte', bytes, (j) => {
    const bit = (k: number) => L.load(inside, L.add(L.mul(j, 8), k))
    const whole = [1, 2, 3, 4, 5, 6, 7].reduce((all, k) => L.op('or', all, L.op('shl', bit(k), k)), bit(0))
    return L.store(M, [j], whole)
  })
  return {
    kernel: L.kernel(
      `masked_${kernel.name}`,
      [...kernel.bufs, M, inside],
      body,
      ...(bytes * 8 > n ? [rest] : []),
      pack,
    ),
    args: [...args, { value: mask }, { scratch: true }],
  }
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
  [fullyConnected, maskedFullyConnected],
  [add, maskedAdd],
  [quantize, maskedQuantize],
]) as ReadonlyMap<object, Op>

/** The operator that computes the mask as well; undefined where there is none. */
export function maskedOf(op: Op): Op | undefined {
  return MASKED.get(op)
}
