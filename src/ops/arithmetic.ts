// Plain arithmetic of the register types on JavaScript numbers, for `eval`: f32 and f64 rounded once per operation, i32
// and i64 wrapping. Narrow integers count as i32, f16 as f32.

import { type Elem, registerOf } from '../loops/ir.ts'
import type { Scalar } from './scalars.ts'

export interface Arithmetic<T> {
  of(n: number): T
  add(a: T, b: T): T
  sub(a: T, b: T): T
  mul(a: T, b: T): T
  /** Floats: the quotient; integers: truncated toward zero. */
  div(a: T, b: T): T
  abs(a: T): T
  /** `b < a ? b : a` and `a < b ? b : a`. */
  min(a: T, b: T): T
  max(a: T, b: T): T
}

function ofNumbers(round: (x: number) => number, own: Partial<Arithmetic<number>> = {}): Arithmetic<number> {
  return {
    of: round,
    add: (a, b) => round(a + b),
    sub: (a, b) => round(a - b),
    mul: (a, b) => round(a * b),
    div: (a, b) => round(a / b),
    abs: (a) => round(Math.abs(a)),
    min: (a, b) => (b < a ? b : a),
    max: (a, b) => (a < b ? b : a),
    ...own,
  }
}

const wrap64 = (a: bigint) => BigInt.asIntN(64, a)

const LONG: Arithmetic<bigint> = {
  of: (n) => (n >= 2 ** 63 ? 2n ** 63n - 1n : n <= -(2 ** 63) ? -(2n ** 63n) : BigInt(n)),
  add: (a, b) => wrap64(a + b),
  sub: (a, b) => wrap64(a - b),
  mul: (a, b) => wrap64(a * b),
  div: (a, b) => wrap64(a / b),
  abs: (a) => wrap64(a < 0n ? -a : a),
  min: (a, b) => (b < a ? b : a),
  max: (a, b) => (a < b ? b : a),
}

const OF = {
  f32: ofNumbers(Math.fround),
  f64: ofNumbers((x) => x),
  i32: ofNumbers((x) => x | 0, { mul: Math.imul }),
}

/** The arithmetic of the registers that elements of this type are loaded into. */
export function arithmeticOf(elem: Elem): Arithmetic<Scalar> {
  const { num } = registerOf(elem)
  return (num === 'i64' ? LONG : OF[num as keyof typeof OF]) as unknown as Arithmetic<Scalar>
}
