// TensorFlow Lite's requantisation in Helium's instructions, for sums known to stay within 2^30. VQRDMULH is its high
// product v; then floor((v - (v < 0) + 2^(n-1) + zero * 2^n) / 2^n), saturated to 8 bits, is v / 2^n with halves away from
// zero, added to the zero point. VQSHL by 24 - n saturates and leaves the result in the top byte of each lane. Where the
// zero point is the least output, negative v do not matter and v - (v < 0) is left out.

import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import type { Expr } from '../../loops/ir.ts'
import type { Channel } from '../armv7em/requantize.ts'

/** The numbers of a channel: Q31 multiplier, 2^(n-1) + zero * 2^n, and 24 - n. */
export interface Numbers {
  readonly multiplier: number
  readonly offset: number
  readonly left: number
}

export interface Form {
  readonly signed: boolean
  readonly channels: readonly Numbers[]
}

/** Of the right shift n: with 8 bits above it every offset fits beside 2^30. */
const LONGEST = 22

/** The form of these channels, with outputs saturated to int8; undefined where one of them is scaled up or may overflow. */
export function formOf(channels: readonly Channel[], zero: number): Form | undefined {
  const signed = zero > -128
  const numbers = channels.map(({ low, high, multiplier, shift }): Numbers | undefined => {
    // a sum that leaves 32 bits wraps, and is monotone no more
    if (low < -(2 ** 31) || high >= 2 ** 31) return undefined
    const level = (a: number) => Math.max(-128, Math.min(127, requant(a, multiplier, shift) + zero))
    if (shift <= 0 && level(low) === level(high)) return { multiplier: 0, offset: level(low) * 256, left: 16 }
    const n = -shift
    if (n < (signed ? 1 : 0) || n > LONGEST || low < -(2 ** 30) || high > 2 ** 30) return undefined
    return { multiplier, offset: (n > 0 ? 2 ** (n - 1) : 0) + zero * 2 ** n, left: 24 - n }
  })
  return numbers.every((c) => c !== undefined) ? { signed, channels: numbers } : undefined
}

/** The sum in vector `q` to the result in its lanes' top bytes; operands are registers, scalar or vector. `spare` where signed. */
export function requantize(
  q: string,
  [multiplier, offset, left]: readonly string[],
  spare: string | undefined,
): string[] {
  return [
    `vqrdmulh.s32 ${q}, ${q}, ${multiplier}`,
    ...(spare ? [`vshr.s32 ${spare}, ${q}, #31`, `vadd.i32 ${q}, ${q}, ${spare}`] : []),
    `vadd.i32 ${q}, ${q}, ${offset}`,
    left.startsWith('q') ? `vqshl.s32 ${q}, ${q}, ${left}` : `vqshl.s32 ${q}, ${left}`,
  ]
}

/** Instructions of `requantize`. */
export function requantizeCost(signed: boolean): number {
  return signed ? 5 : 3
}

/** The stored output of a sum. */
export function requantizeMeans(signed: boolean, acc: Expr, [multiplier, offset, left]: readonly Expr[]): Expr {
  const high = L.op('srdhm', acc, multiplier)
  const lowered = signed ? L.op('wadd', high, L.op('shr', high, 31)) : high
  return L.clamp(L.op('shr', L.op('wadd', lowered, offset), L.op('sub', 24, left)), -128, 127)
}
