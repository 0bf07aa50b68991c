// Division where machines disagree. Of whole numbers: by zero the quotient is 0 and the remainder the dividend, and the
// least number over -1 is itself. Quotients are truncated, or rounded down. Of float32 numbers: remainders, which are exact.

import * as L from '../loops/build.ts'
import type { Expr, Num } from '../loops/ir.ts'
import type { Steps } from '../loops/math.ts'

export function divide(a: number, b: number): number {
  return b === 0 ? 0 : Math.trunc(a / b) | 0
}

export function divideLong(a: bigint, b: bigint): bigint {
  return b === 0n ? 0n : BigInt.asIntN(64, a / b)
}

/** The quotient rounded down. */
export function floorDivide(a: number, b: number): number {
  return b === 0 ? 0 : Math.floor(a / b) | 0
}

export function floorDivideLong(a: bigint, b: bigint): bigint {
  if (b === 0n) return 0n
  return BigInt.asIntN(64, a / b - (a % b !== 0n && a < 0n !== b < 0n ? 1n : 0n))
}

/** Registers of one division: the truncated quotient and the remainder. */
function quotient(a: Expr, b: Expr, num: Num): { zero: Expr; isZero: Expr; q: Expr; r: Expr } {
  const k = (n: number) => (num === 'i64' ? L.long(n) : L.int(n))
  const isZero = L.op('eq', b, k(0))
  const minus = L.op('eq', b, k(-1))
  const safe = L.select(L.op('or', isZero, minus), k(1), b)
  const exact = L.op('div', a, safe)
  return {
    zero: k(0),
    isZero,
    q: L.select(isZero, k(0), L.select(minus, L.op('wsub', k(0), a), exact)),
    r: L.select(isZero, a, L.op('rem', a, safe)),
  }
}

export function divideExpr(a: Expr, b: Expr, num: Num): Expr {
  return quotient(a, b, num).q
}

export function remainderExpr(a: Expr, b: Expr, num: Num): Expr {
  return quotient(a, b, num).r
}

/** The remainder is not zero and its sign is not the divisor's. */
function rounds(a: Expr, b: Expr, num: Num): { r: Expr; up: Expr; q: Expr } {
  const { zero, isZero, q, r } = quotient(a, b, num)
  const differ = L.op('and', L.op('ne', r, zero), L.op('ne', L.op('lt', r, zero), L.op('lt', b, zero)))
  return { q, r, up: L.op('and', differ, L.op('eq', isZero, 0)) }
}

export function floorDivideExpr(a: Expr, b: Expr, num: Num): Expr {
  const { q, up } = rounds(a, b, num)
  return L.select(up, L.op('wsub', q, num === 'i64' ? L.long(1) : L.int(1)), q)
}

/** The remainder with the divisor's sign. */
export function floorRemainderExpr(a: Expr, b: Expr, num: Num): Expr {
  const { r, up } = rounds(a, b, num)
  return L.select(up, L.op('wadd', r, b), r)
}

/** Halvings from the largest float32 number over the least. */
const HALVINGS = 278

/** The remainder of float32 numbers with the dividend's sign, as C's `fmod`: what is left of subtracting the divisor's doubles. */
export function realRemainderSteps(a: Expr, b: Expr): Steps {
  const [declareA, x] = L.declare('ra', a)
  const [declareB, d] = L.declare('rb', L.op('abs', b))
  const [declareLeft, left] = L.declare('left', L.op('toF64', L.op('abs', x)))
  const [declarePart, part] = L.declare('part', L.op('mul', L.op('toF64', d), L.double(2 ** (HALVINGS - 1))))
  const step = L.loop('halving', HALVINGS, () => [
    L.set(left, L.select(L.ge(left, part), L.op('sub', left, part), left)),
    L.set(part, L.op('mul', part, L.double(0.5))),
  ])
  const [declareSize, size] = L.declare('size', L.op('toF32', left))
  const signed = L.select(L.lt(x, L.float(0)), L.op('neg', size), size)
  const defined = L.and(L.op('gt', d, L.float(0)), L.lt(L.op('abs', x), L.float(Number.POSITIVE_INFINITY)))
  // A dividend that is smaller, zero of either sign included, is its own remainder
  const result = L.select(L.lt(L.op('abs', x), d), x, signed)
  return [
    [declareA, declareB, declareLeft, declarePart, step, declareSize],
    L.select(defined, result, L.float(Number.NaN)),
  ]
}

/** The remainder of float32 numbers with the divisor's sign. */
export function realFloorRemainder(a: number, b: number): number {
  const r = a % b
  return r !== 0 && r < 0 !== b < 0 ? Math.fround(r + b) : r
}

export function realFloorRemainderSteps(a: Expr, b: Expr): Steps {
  const [declareB, divisor] = L.declare('divisor', b)
  const [steps, remainder] = realRemainderSteps(a, divisor)
  const [declareR, r] = L.declare('remainder', remainder)
  const zero = L.float(0)
  const differ = L.and(L.op('ne', r, zero), L.op('ne', L.lt(r, zero), L.lt(divisor, zero)))
  return [[declareB, ...steps, declareR], L.select(differ, L.op('add', r, divisor), r)]
}
