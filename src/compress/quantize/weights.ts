// Weights as integers: symmetric, one scale for the tensor or one for each output channel, nearest rounding; biases with the
// scale s_x * s_w. Source: TensorFlow Lite's int8 specification.

import type { Quant, TensorType, Value } from '../../ir/graph.ts'
import type { Weighted } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { roundAway } from '../../ops/quant.ts'

/** Bits of a stored weight. */
export type Bits = 8 | 4 | 2

/** Integers and what they stand for. */
export interface Stored {
  readonly data: Int8Array
  readonly quant: Quant
}

/** The index along `axis` of element `i`. */
export function channelOf(shape: readonly number[], axis: number, i: number): number {
  return Math.floor(i / count(shape.slice(axis + 1))) % shape[axis]
}

/** The largest stored weight. */
export function largest(bits: Bits): number {
  return 2 ** (bits - 1) - 1
}

/** The smallest: the largest's negative, but -2 of 2 bits, which have no level to spare. */
export function smallest(bits: Bits): number {
  return bits === 2 ? -2 : -largest(bits)
}

/** Shares of the largest weight that are tried as the end of the range below 8 bits. */
const SHARES = Array.from({ length: 40 }, (_, i) => 1 - i / 80)

/**
 * The scale of each channel (of all, where not `perChannel`). 8 bits reach to the largest weight; fewer clip where that
 * makes the squared error less. A scale is large enough that a bias fits into 32 bits.
 */
export function weightScales(
  w: Value,
  { axis }: Weighted,
  bits: Bits,
  perChannel: boolean,
  leastScale: Float64Array,
): Float64Array {
  const { shape } = w.type
  const W = w.data as Float32Array
  const n = perChannel ? shape[axis] : 1
  const of = (i: number) => (n === 1 ? 0 : channelOf(shape, axis, i))
  const most = new Float64Array(n)
  for (let i = 0; i < W.length; i++) most[of(i)] = Math.max(most[of(i)], Math.abs(W[i]))
  const [q, least] = [largest(bits), smallest(bits)]
  const bound = n === 1 ? Float64Array.of(Math.max(...leastScale)) : leastScale
  let scales = most.map((m) => m / q)
  if (bits < 8) {
    const best = new Float64Array(n).fill(Number.POSITIVE_INFINITY)
    for (const share of SHARES) {
      const tried = most.map((m) => (m * share) / q || 1)
      const error = new Float64Array(n)
      for (let i = 0; i < W.length; i++) {
        const s = tried[of(i)]
        error[of(i)] += (W[i] - s * Math.min(q, Math.max(least, roundAway(W[i] / s)))) ** 2
      }
      scales = scales.map((s, c) => (error[c] < best[c] ? tried[c] : s))
      for (let c = 0; c < n; c++) best[c] = Math.min(best[c], error[c])
    }
  }
  return scales.map((s, c) => Math.fround(Math.max(s, bound[c], 2 ** -100)))
}

/** Weights to the nearest integers. */
export function storeWeights(w: Value, { axis }: Weighted, bits: Bits, scale: Float64Array): Stored {
  const [q, least] = [largest(bits), smallest(bits)]
  const each = scale.length > 1
  const data = Int8Array.from(w.data as Float32Array, (x, i) => {
    const s = scale[each ? channelOf(w.type.shape, axis, i) : 0]
    return Math.min(q, Math.max(least, roundAway(x / s)))
  })
  return {
    data,
    quant: {
      scale,
      zero: new Int32Array(scale.length),
      ...(each && { axis }),
      ...(bits < 8 && { bits: bits as 4 | 2 }),
    },
  }
}

/** The reals that stored weights stand for, in float64. */
export function realWeights({ data, quant: { scale } }: Stored, shape: readonly number[], axis: number): Float64Array {
  return Float64Array.from(data, (x, i) => x * scale[scale.length > 1 ? channelOf(shape, axis, i) : 0])
}

const HALF_OF_I32 = 2 ** 30

/** Scales below which the bias `b` of each channel, or sums of that size, would leave int32: input scale `sx`. */
export function leastScales(b: Value | undefined, channels: number, sx: number): Float64Array {
  const B = b?.data as Float32Array | undefined
  return Float64Array.from({ length: channels }, (_, c) => Math.abs(B?.[c] ?? 0) / (sx * HALF_OF_I32))
}

/** A bias with scale sx * sw: int32 beside int8 activations, int64 beside int16. */
export function storeBias(
  bias: ArrayLike<number>,
  sx: number,
  sw: Float64Array,
  dtype: 'i8' | 'i16',
): { type: TensorType; data: Int32Array | BigInt64Array } {
  const n = bias.length
  const scale = Float64Array.from(sw.length === 1 ? [sw[0]] : sw, (s) => Math.fround(sx * s))
  const rounded = Array.from({ length: n }, (_, c) => {
    const s = sx * sw[sw.length === 1 ? 0 : c]
    return roundAway(bias[c] / s)
  })
  const quant: Quant = { scale, zero: new Int32Array(scale.length), ...(scale.length > 1 && { axis: 0 }) }
  return dtype === 'i8'
    ? { type: { dtype: 'i32', shape: [n], quant }, data: Int32Array.from(rounded) }
    : { type: { dtype: 'i64', shape: [n], quant }, data: BigInt64Array.from(rounded, BigInt) }
}
