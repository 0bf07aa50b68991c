// What convolution, depthwise convolution and matrix multiplication share: a sum of products per output, a bias, and
// the way from the accumulator to the stored output (int8 and int16: requantise, zero point, clamp; f32: clamp). int16
// activations sum in int64 where the bias is int64 or absent, and requantise with 16 bits of the multiplier (TFLite).
// int8 sums may also be scaled as ONNX Runtime does, or be the output themselves.

import { ModelError } from '../errors.ts'
import { layer } from '../ir/build.ts'
import type { DType, Node, TensorType, Value } from '../ir/graph.ts'
import type { Arg, Attrs, Effect } from '../ir/op.ts'
import { requant as requantize } from '../loops/arith.ts'
import * as L from '../loops/build.ts'
import type { Buf, Data, Elem, Expr, Stmt } from '../loops/ir.ts'
import { floatScale, rescaled, rounding, type Scaling } from './float_scale.ts'
import { parameters } from './parameters.ts'
import { bothClamps, type Clamp, clampRange, expectDtype, perTensor, quantizeMultiplier } from './quant.ts'

/** `stored`: the type of the outputs where it is not that of the inputs. */
export type Accumulating = Attrs & { readonly clamp: Clamp; readonly scaling?: Scaling; readonly stored?: DType }

/** What int8 sums read and write: bytes, or unsigned elements below them. */
const BYTES: readonly DType[] = ['i8', 'u4', 'u2']

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

/** The type of the outputs of a sum over inputs of `dtype`. */
export function sumType(
  dtype: DType,
  { scaling, stored }: { readonly scaling?: Scaling; readonly stored?: DType },
): DType {
  return scaling === 'none' ? 'i32' : (stored ?? dtype)
}

/** The float32 multipliers of `scaling` float. */
function floatMultipliers(x: TensorType, w: TensorType, y: TensorType, channels: number): Float32Array {
  const sw = w.quant!.scale
  return Float32Array.from({ length: channels }, (_, c) =>
    floatScale(x.quant!.scale[0], sw[sw.length === 1 ? 0 : c], y.quant!.scale[0]),
  )
}

/** Whether the sum is int64: int16 activations whose bias is not int32. */
function isWide(node: Node): boolean {
  return node.inputs[0]!.type.dtype === 'i16' && node.inputs[2]?.type.dtype !== 'i32'
}

/** The zero point of the weights: not 0 only where they were uint8. */
function weightZero(w: Value): number {
  return w.type.quant?.zero[0] ?? 0
}

/**
 * Types of input, weights, bias and output agree: all f32; or int8, u4 or u2 with int8 weights and int32 bias; or int16 with
 * int8 weights and int64 or int32 bias. Weights have scales along `axis`, or one scale and perhaps a zero point.
 */
export function checkAccumulation(node: Node<Accumulating>, channels: number, axis: number): void {
  const where = layer(node)
  const [x, w, b] = node.inputs as [Value, Value, Value | undefined]
  const y = node.outputs[0].type
  expectDtype(x.type, ['f32', ...BYTES, 'i16'], 'input', where)
  const { scaling, clamp, stored: to } = node.attrs
  const short = BYTES.includes(x.type.dtype)
  if (to !== undefined && !(short && BYTES.includes(to)))
    throw new ModelError(where, `is to store ${to}, input is ${x.type.dtype}; supported are ${BYTES.join(', ')}`)
  if (scaling) expectDtype(x.type, ['i8'], `input with scaling ${scaling}`, where)
  if (y.dtype !== sumType(x.type.dtype, node.attrs))
    throw new ModelError(where, `output is ${y.dtype}, input is ${x.type.dtype}`)
  const stored = short || x.type.dtype === 'i16' ? 'i8' : x.type.dtype
  if (w.type.dtype !== stored)
    throw new ModelError(where, `weight is ${w.type.dtype}, input is ${x.type.dtype}; expected weights of ${stored}`)
  if (b) {
    const allowed = { f32: ['f32'], i16: ['i64', 'i32'] } as const
    expectDtype(b.type, short ? ['i32'] : allowed[x.type.dtype as 'f32' | 'i16'], 'bias', where)
    const n = b.type.shape.reduce((p, d) => p * d, 1)
    if (n !== channels) throw new ModelError(where, `bias has ${n} elements, output has ${channels} channels`)
  }
  if (x.type.dtype === 'f32') return
  const whole = scaling === 'none'
  if (whole && (y.quant || clamp.min !== undefined || clamp.max !== undefined))
    throw new ModelError(where, 'gives the sums themselves, these have no scale and no activation')
  const zeros = [perTensor(x.type, 'input', where).zero, whole ? 0 : perTensor(y, 'output', where).zero]
  if (x.type.dtype === 'i16' && zeros.some((z) => z !== 0))
    throw new ModelError(where, `input and output have zero points [${zeros}], those of int16 are 0`)
  const q = w.type.quant
  if (!q) throw new ModelError(where, 'weight is i8 without scales')
  if (q.scale.length !== 1 && (q.scale.length !== channels || q.axis !== axis))
    throw new ModelError(
      where,
      `weight has ${q.scale.length} scales along axis ${q.axis}, expected 1 or ${channels} along axis ${axis}`,
    )
  if (scaling === 'float' && !floatMultipliers(x.type, w.type, y, channels).every(Number.isFinite))
    throw new ModelError(where, `output has scale ${y.quant?.scale[0]}, too small for those of input and weight`)
  const shifted = q.zero.find((z) => z !== 0)
  if (shifted !== undefined && (q.scale.length !== 1 || x.type.dtype === 'i16'))
    throw new ModelError(
      where,
      `weight has zero point ${shifted}, weights with a scale for each channel have zero point 0`,
      'requantise the weights symmetrically',
    )
}

/** A Q31 multiplier in 16 bits, and how far its product is shifted right. */
export function reduced(multiplier: number, shift: number): { multiplier: number; shift: number } {
  return { multiplier: multiplier < 0x7fff0000 ? (multiplier + 0x8000) >> 16 : 0x7fff, shift: 15 - shift }
}

/** An int64 sum by a multiplier of 16 bits. */
export function requantizeWide(acc: number, { multiplier, shift }: ReturnType<typeof reduced>): number {
  const scaled = (BigInt(acc) * BigInt(multiplier) + (1n << BigInt(shift - 1))) >> BigInt(shift)
  return Number(BigInt.asIntN(32, scaled))
}

/** The same in the loop language; multiplier and shift are i32. */
export function requantizeWideExpr(acc: Expr, multiplier: Expr, shift: Expr): Expr {
  const by = L.op('extend', shift)
  const half = L.op('shl', L.long(1), L.op('sub', by, L.long(1)))
  return L.op('wrap', L.op('shr', L.op('add', L.op('mul', acc, L.op('extend', multiplier)), half), by))
}

/** The plain sum of one output, for `eval`: numbers throughout, sums of int64 stay below 2^53. */
export interface Sum {
  /** The sum before the first product. */
  start(c: number): number
  step(acc: number, x: number, w: number): number
  /** The stored output. */
  finish(acc: number, c: number): number
}

export function evalSum(
  node: Node<Accumulating>,
  channels: number,
  product: 'f64' | 'f32',
  bias: Data | undefined,
): Sum {
  const [x, w] = node.inputs as [Value, Value]
  const y = node.outputs[0].type
  const { lo, hi } = clampRange(y, node.attrs.clamp)
  const limit = (v: number) => {
    const low = v < lo ? lo : v
    return hi < low ? hi : low
  }
  const B = bias && Float64Array.from(bias as ArrayLike<number | bigint>, Number)
  if (x.type.dtype === 'f32')
    return {
      start: () => 0,
      step: (acc, xe, we) => Math.fround(acc + Math.fround(xe * we)),
      finish: (acc, c) => limit(B ? Math.fround(acc + B[c]) : acc),
    }
  const [zx, zw] = [x.type.quant!.zero[0], weightZero(w)]
  const start = (c: number) => B?.[c] ?? 0
  const step = (acc: number, xe: number, we: number) => (acc + (xe - zx) * (we - zw)) | 0
  if (node.attrs.scaling === 'none') return { start, step, finish: (acc) => acc }
  const zy = y.quant!.zero[0]
  if (node.attrs.scaling === 'float') {
    const m = floatMultipliers(x.type, w.type, y, channels)
    return { start, step, finish: (acc, c) => limit(rescaled(acc, m[c]) + zy) }
  }
  const { multiplier, shift } = multipliers(x.type, w.type, y, channels, product)
  if (!isWide(node))
    return { start, step, finish: (acc, c) => limit((requantize(acc, multiplier[c], shift[c]) + zy) | 0) }
  return {
    start,
    step: (acc, xe, we) => acc + xe * we,
    finish: (acc, c) => limit(requantizeWide(acc, reduced(multiplier[c], shift[c]))),
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
  const bias = L.buffer('b', b ? (b.type.dtype as Elem) : 'i32', [channels])
  const biasBufs = b ? [bias] : []
  const biasArgs: Arg[] = b ? [{ value: b }] : []

  if (x.type.dtype === 'f32') {
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

  if (isWide(node)) return wideAccumulator(multipliers(x.type, w.type, y, channels, product), bias, b, lo, hi)
  const zw = weightZero(w)
  const e = epilogue(node, channels, product)
  const numbers: Record<string, number> = { zx: x.type.quant!.zero[0], ...e.numbers }
  if (zw !== 0) numbers.zw = zw
  const p = parameters('q', 'i32', numbers)
  const q = p.of
  const safe = cannotOverflow(x.type, w, b, channels, weightsOf)
  return {
    bufs: [...biasBufs, ...e.bufs, ...p.bufs],
    args: [...biasArgs, ...e.args, ...p.args],
    head: [...e.head, ...p.head],
    start: (c) => L.declare('acc', b ? L.load(bias, c) : 0),
    step: (acc, xe, we) =>
      L.set(acc, L.op(safe ? 'add' : 'wadd', acc, L.mul(L.sub(xe, q.zx), zw === 0 ? we : L.sub(we, q.zw)))),
    finish: (acc, c) => e.finish(acc, c, q),
  }
}

/** From an int32 sum to the output: its buffers, and the numbers it reads as parameters. */
interface Epilogue extends Pick<Accumulator, 'bufs' | 'args' | 'head'> {
  readonly numbers: Readonly<Record<string, number>>
  finish(acc: Expr, c: Expr, q: Readonly<Record<string, Expr>>): Expr
}

function epilogue(node: Node<Accumulating>, channels: number, product: 'f64' | 'f32'): Epilogue {
  const [x, w] = node.inputs as [Value, Value]
  const y = node.outputs[0].type
  if (node.attrs.scaling === 'none') return { bufs: [], args: [], head: [], numbers: {}, finish: (acc) => acc }
  const { lo, hi } = clampRange(y, node.attrs.clamp)
  const zy = y.quant!.zero[0]
  if (node.attrs.scaling === 'float') {
    const scale = L.buffer('m', 'f32', [channels])
    const { bufs, args, head, of } = rounding(zy, lo, hi)
    return {
      bufs: [scale, ...bufs],
      args: [{ data: floatMultipliers(x.type, w.type, y, channels) }, ...args],
      head,
      numbers: {},
      finish: (acc, c) => of(L.mul(L.op('toF32', acc), L.load(scale, c))),
    }
  }
  const m = multipliers(x.type, w.type, y, channels, product)
  const multiplier = L.buffer('m', 'i32', [channels])
  const shift = L.buffer('s', 'i8', [channels])
  return {
    bufs: [multiplier, shift],
    args: [{ data: m.multiplier }, { data: m.shift }],
    head: [],
    numbers: { zy, lo, hi },
    finish: (acc, c, q) =>
      L.clamp(L.op('wadd', L.requant(acc, L.load(multiplier, c), L.load(shift, c)), q.zy), q.lo, q.hi),
  }
}

/** int16 activations: an int64 sum, no zero points, and the multiplier in 16 bits. */
function wideAccumulator(m: Multipliers, bias: Buf, b: Value | undefined, lo: number, hi: number): Accumulator {
  const channels = m.shift.length
  const short = Array.from(m.multiplier, (multiplier, c) => reduced(multiplier, m.shift[c]))
  const multiplier = L.buffer('m', 'i32', [channels])
  const shift = L.buffer('s', 'i8', [channels])
  const p = parameters('q', 'i32', { lo, hi })
  return {
    bufs: [...(b ? [bias] : []), multiplier, shift, ...p.bufs],
    args: [
      ...(b ? [{ value: b }] : []),
      { data: Int32Array.from(short, (s) => s.multiplier) },
      { data: Int8Array.from(short, (s) => s.shift) },
      ...p.args,
    ],
    head: p.head,
    start: (c) => L.declare('acc', b ? L.load(bias, c) : L.long(0)),
    step: (acc, xe, we) => L.set(acc, L.op('add', acc, L.op('extend', L.mul(xe, we)))),
    finish: (acc, c) => L.clamp(requantizeWideExpr(acc, L.load(multiplier, c), L.load(shift, c)), p.of.lo, p.of.hi),
  }
}

/** |bias| + max |x - zero point| * sum |w - zero point| < 2^31 for every channel. False where weights may change. */
function cannotOverflow(
  x: TensorType,
  w: Value,
  b: Value | undefined,
  channels: number,
  weightsOf: (c: number) => Iterable<number>,
): boolean {
  if (w.storage !== 'const' || (b && b.storage !== 'const')) return false
  const weights = w.data as Int8Array
  const most = x.dtype === 'i16' ? 32768 : 255
  const zero = weightZero(w)
  for (let c = 0; c < channels; c++) {
    let bound = b ? Math.abs((b.data as Int32Array)[c]) : 0
    for (const i of weightsOf(c)) bound += most * Math.abs(weights[i] - zero)
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
  const { clamp, scaling } = node.attrs
  if (effect.does === 'clamp' && scaling !== 'none')
    return { ...node, attrs: { ...node.attrs, clamp: bothClamps(clamp, effect) }, outputs: other.outputs }
  const linear = clamp.min === undefined && clamp.max === undefined
  if (effect.does === 'bias' && linear && node.inputs[2] === undefined && effect.bias.type.dtype === 'f32')
    return { ...node, inputs: [node.inputs[0], node.inputs[1], effect.bias], outputs: other.outputs }
  return undefined
}
