// What convolution, depthwise convolution and matrix multiplication share: a sum of products per output, a bias, and
// the way from the accumulator to the stored output (int8: requantise, zero point, clamp; f32: clamp).

import { ModelError } from '../errors.ts'
import { layer } from '../ir/build.ts'
import type { Node, TensorType, Value } from '../ir/graph.ts'
import type { Arg, Attrs, Effect } from '../ir/op.ts'
import { requant as requantize } from '../loops/arith.ts'
import * as L from '../loops/build.ts'
import type { Buf, Data, Expr, Stmt } from '../loops/ir.ts'
import { bothClamps, type Clamp, clampRange, expectDtype, perTensor, quantizeMultiplier } from './quant.ts'

export type Accumulating = Attrs & { readonly clamp: Clamp }

/** One Q31 multiplier and shift per output channel. */
export interface Multipliers {
  readonly multiplier: Int32Array
  readonly shift: Int8Array
}

/**
 * s_x * s_w / s_y for each of `channels`, in float64 from the float32 scales. `product` 'f32' rounds s_x * s_w to float32
 * first, as TensorFlow Lite does for fully connected layers with one weight scale.
 */
export function multipliers(
  x: TensorType,
  w: TensorType,
  y: TensorType,
  channels: number,
  product: 'f64' | 'f32',
): Multipliers {
  const [sx, sy, sw] = [x.quant!.scale[0], y.quant!.scale[0], w.quant!.scale]
  const multiplier = new Int32Array(channels)
  const shift = new Int8Array(channels)
  for (let c = 0; c < channels; c++) {
    const s = sw[sw.length === 1 ? 0 : c]
    const m = quantizeMultiplier((product === 'f32' ? Math.fround(sx * s) : sx * s) / sy)
    multiplier[c] = m.multiplier
    shift[c] = m.shift
  }
  return { multiplier, shift }
}

/** Types of input, weights, bias and output agree: all f32, or int8 with int32 bias and symmetric weights scaled along `axis`. */
export function checkAccumulation(node: Node, channels: number, axis: number): void {
  const where = layer(node)
  const [x, w, b] = node.inputs as [Value, Value, Value | undefined]
  const y = node.outputs[0].type
  expectDtype(x.type, ['f32', 'i8'], 'input', where)
  for (const [what, t] of [
    ['weight', w.type],
    ['output', y],
  ] as const)
    if (t.dtype !== x.type.dtype) throw new ModelError(where, `${what} is ${t.dtype}, input is ${x.type.dtype}`)
  if (b) {
    expectDtype(b.type, [x.type.dtype === 'f32' ? 'f32' : 'i32'], 'bias', where)
    const n = b.type.shape.reduce((p, d) => p * d, 1)
    if (n !== channels) throw new ModelError(where, `bias has ${n} elements, output has ${channels} channels`)
  }
  if (x.type.dtype === 'f32') return
  perTensor(x.type, 'input', where)
  perTensor(y, 'output', where)
  const q = w.type.quant
  if (!q) throw new ModelError(where, 'weight is i8 without scales')
  if (q.scale.length !== 1 && (q.scale.length !== channels || q.axis !== axis))
    throw new ModelError(
      where,
      `weight has ${q.scale.length} scales along axis ${q.axis}, expected 1 or ${channels} along axis ${axis}`,
    )
  const shifted = q.zero.find((z) => z !== 0)
  if (shifted !== undefined)
    throw new ModelError(
      where,
      `weight has zero point ${shifted}, int8 weights have zero point 0`,
      'requantise the weights symmetrically',
    )
}

/** The plain way from an accumulator to a stored output, for `eval`. */
export function evalOutput(
  node: Node<Accumulating>,
  channels: number,
  product: 'f64' | 'f32',
): (acc: number, c: number) => number {
  const [x, w] = node.inputs as [Value, Value]
  const y = node.outputs[0].type
  const { lo, hi } = clampRange(y, node.attrs.clamp)
  if (!y.quant)
    return (acc) => {
      const low = acc < lo ? lo : acc
      return hi < low ? hi : low
    }
  const { multiplier, shift } = multipliers(x.type, w.type, y, channels, product)
  const zero = y.quant.zero[0]
  return (acc, c) => {
    const v = (requantize(acc, multiplier[c], shift[c]) + zero) | 0
    return v < lo ? lo : v > hi ? hi : v
  }
}

/** The loop-language side of one accumulating node: its buffers and the pieces of its body. */
export interface Accumulator {
  /** Bias and, for int8, multiplier, shift and zero points: buffers that follow input and weights. */
  readonly bufs: readonly Buf[]
  readonly args: readonly Arg[]
  /** Statements at the top of the kernel. */
  readonly head: readonly Stmt[]
  /** Declares the accumulator of channel `c`. */
  start(c: Expr): readonly [Stmt, Expr]
  /** acc += (x - zero point) * w */
  step(acc: Expr, x: Expr, w: Expr): Stmt
  /** The stored output of channel `c`. */
  finish(acc: Expr, c: Expr): Expr
}

/** `weightsOf`: the indices of channel c's weights, for the proof that its int32 sum does not overflow. */
export function accumulator(
  node: Node<Accumulating>,
  channels: number,
  product: 'f64' | 'f32',
  weightsOf: (c: number) => Iterable<number>,
): Accumulator {
  const [x, w, b] = node.inputs as [Value, Value, Value | undefined]
  const y = node.outputs[0].type
  const { lo, hi } = clampRange(y, node.attrs.clamp)
  const bias = L.buffer('b', y.dtype === 'f32' ? 'f32' : 'i32', [channels])
  const biasBufs = b ? [bias] : []
  const biasArgs: Arg[] = b ? [{ value: b }] : []

  if (!y.quant) {
    const limits = Float32Array.of(lo, hi)
    const limit = L.buffer('limit', 'f32', [2])
    const clamped = lo !== Number.NEGATIVE_INFINITY || hi !== Number.POSITIVE_INFINITY
    const [declareLo, low] = L.declare('lo', L.load(limit, 0))
    const [declareHi, high] = L.declare('hi', L.load(limit, 1))
    return {
      bufs: clamped ? [...biasBufs, limit] : biasBufs,
      args: clamped ? [...biasArgs, { data: limits }] : biasArgs,
      head: clamped ? [declareLo, declareHi] : [],
      start: () => L.declare('acc', L.float(0)),
      step: (acc, xe, we) => L.set(acc, L.add(acc, L.mul(xe, we))),
      finish: (acc, c) => {
        const sum = b ? L.add(acc, L.load(bias, c)) : acc
        return clamped ? L.clamp(sum, low, high) : sum
      },
    }
  }

  const m = multipliers(x.type, w.type, y, channels, product)
  const multiplier = L.buffer('m', 'i32', [channels])
  const shift = L.buffer('s', 'i8', [channels])
  const zeros = L.buffer('q', 'i32', [4])
  const [declareZx, zx] = L.declare('zx', L.load(zeros, 0))
  const [declareZy, zy] = L.declare('zy', L.load(zeros, 1))
  const [declareLo, low] = L.declare('lo', L.load(zeros, 2))
  const [declareHi, high] = L.declare('hi', L.load(zeros, 3))
  const safe = cannotOverflow(w, b, channels, weightsOf)
  return {
    bufs: [...biasBufs, multiplier, shift, zeros],
    args: [
      ...biasArgs,
      { data: m.multiplier },
      { data: m.shift },
      { data: Int32Array.of(x.type.quant!.zero[0], y.quant.zero[0], lo, hi) },
    ],
    head: [declareZx, declareZy, declareLo, declareHi],
    start: (c) => L.declare('acc', b ? L.load(bias, c) : 0),
    step: (acc, xe, we) => L.set(acc, L.op(safe ? 'add' : 'wadd', acc, L.mul(L.sub(xe, zx), we))),
    finish: (acc, c) => L.clamp(L.op('wadd', L.requant(acc, L.load(multiplier, c), L.load(shift, c)), zy), low, high),
  }
}

/** |bias| + 255 * sum |w| < 2^31 for every channel: |x - zero point| is at most 255. False where weights may change. */
function cannotOverflow(
  w: Value,
  b: Value | undefined,
  channels: number,
  weightsOf: (c: number) => Iterable<number>,
): boolean {
  if (w.storage !== 'const' || (b && b.storage !== 'const')) return false
  const weights = w.data as Int8Array
  for (let c = 0; c < channels; c++) {
    let bound = b ? Math.abs((b.data as Int32Array)[c]) : 0
    for (const i of weightsOf(c)) bound += 255 * Math.abs(weights[i])
    if (bound >= 2 ** 31) return false
  }
  return true
}

/** Typed-array view of present data. */
export function numbers(data: Data | undefined): Exclude<Data, BigInt64Array> {
  return data as Exclude<Data, BigInt64Array>
}

/**
 * Takes over what follows: a clamp; or, for f32 without bias and clamp, a bias (the sum's order stays the same: the
 * bias is added last).
 */
export function absorbEpilogue<A extends Accumulating>(
  node: Node<A>,
  effect: Effect,
  other: Node,
  side: 'before' | 'after',
): Node<A> | undefined {
  if (side !== 'after') return undefined
  const { clamp } = node.attrs
  if (effect.does === 'clamp')
    return { ...node, attrs: { ...node.attrs, clamp: bothClamps(clamp, effect) }, outputs: other.outputs }
  const linear = clamp.min === undefined && clamp.max === undefined
  if (effect.does === 'bias' && linear && node.inputs[2] === undefined && effect.bias.type.dtype === 'f32')
    return { ...node, inputs: [node.inputs[0], node.inputs[1], effect.bias], outputs: other.outputs }
  return undefined
}
