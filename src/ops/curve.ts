// The int16 logistic and tanh of TensorFlow Lite, inputs with 3 integer bits, outputs with 15 fractional ones: a table of
// 65536 / (1 + e^(-i / 24)) and linear interpolation. The published table is not rounded throughout: at some places it
// lies one above the nearest whole number.

import * as L from '../loops/build.ts'
import type { Buf, Expr, Stmt } from '../loops/ir.ts'

const ONE_ABOVE = new Set([
  4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46, 49, 50,
  54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
])

/** 256 values below 2^16. */
export function logisticTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, i) =>
    Math.min(65535, Math.round(65536 / (1 + Math.exp(-i / 24))) + (ONE_ABOVE.has(i) ? 1 : 0)),
  )
}

const TABLE = logisticTable()

/** How an int16 input becomes the table's argument: x * multiplier, divided by 2^shift and rounded. */
export interface Argument {
  readonly multiplier: number
  readonly shift: number
}

/** For an input whose scale is 2^power; 2^-12 needs no shift. */
export function argumentOf(power: number): Argument {
  const left = power + 12
  return left < 0 ? { multiplier: 3, shift: -left } : { multiplier: 3 * 2 ** left, shift: 0 }
}

export const GATE: Argument = argumentOf(-12)

/** The power of two that a scale is, to within a thousandth in the exponent. */
export function powerOf(scale: number): number | undefined {
  const power = Math.log2(scale)
  return Math.abs(power - Math.round(power)) < 1e-3 ? Math.round(power) : undefined
}

/** For an input of any scale below 2.66, `exact` those powers of two that need no rounding of the multiplier. */
export function argumentOfScale(scale: number, exact: readonly number[]): Argument {
  const power = powerOf(scale)
  if (power !== undefined && exact.includes(power)) return argumentOf(power)
  let multiplier = scale * 3 * 2 ** 12
  let shift = 0
  for (; multiplier <= 32767 / 2 && shift <= 30; shift++) multiplier *= 2
  return { multiplier: Math.trunc(multiplier), shift }
}

function scaled(x: number, { multiplier, shift }: Argument): number {
  return (x * multiplier + (shift > 0 ? 1 << (shift - 1) : 0)) >> shift
}

function lookUp(table: Int32Array, magnitude: number, bits: number, most: number): number {
  const i = magnitude >> bits
  if (i >= 255) return most * 2 ** bits
  return table[i] * 2 ** bits + (magnitude & (2 ** bits - 1)) * (table[i + 1] - table[i])
}

/** 1 / (1 + e^-x) with 15 fractional bits. */
export function logistic16(x: number, argument: Argument = GATE): number {
  const v = scaled(x, argument)
  const y = lookUp(TABLE, Math.abs(v), 9, 0x7fff * 2)
  return (v >= 0 ? y + 512 : 2 ** 25 - y + 511) >> 10
}

/** tanh x with 15 fractional bits. */
export function tanh16(x: number, argument: Argument = GATE): number {
  const v = scaled(x, argument)
  const y = lookUp(TABLE, Math.abs(v), 8, 0xffff)
  return (v >= 0 ? y - 2 ** 23 + 128 : -y + 2 ** 23 + 127) >> 8
}

type Steps = readonly [readonly Stmt[], Expr]

function steps(name: string, x: Expr, argument: ArgumentSteps) {
  const stmts: Stmt[] = []
  const keep = (suffix: string, value: Expr): Expr => {
    const [stmt, register] = L.declare(`${name}_${suffix}`, value)
    stmts.push(stmt)
    return register
  }
  const product = L.mul(x, argument.multiplier)
  const v = keep('v', argument.shift === 0 ? product : L.op('shr', L.add(product, argument.half), argument.shift))
  const a = keep('a', L.max(v, L.op('neg', v)))
  return { stmts, keep, v, a }
}

function interpolated(
  table: Buf,
  keep: (suffix: string, value: Expr) => Expr,
  a: Expr,
  bits: number,
  most: number,
): Expr {
  const i = keep('i', L.min(L.op('shr', a, bits), 255))
  const low = keep('l', L.load(table, L.min(i, 254)))
  const rise = L.op('sub', L.load(table, L.add(L.min(i, 254), 1)), low)
  const inside = L.add(L.op('shl', low, bits), L.mul(L.op('and', a, 2 ** bits - 1), rise))
  return keep('y', L.select(L.ge(i, 255), most * 2 ** bits, inside))
}

/** An argument in registers: multiplier, shift and 2^(shift - 1), 0 for no shift. */
export interface ArgumentSteps {
  readonly multiplier: Expr | number
  readonly shift: Expr | number
  readonly half: Expr | number
}

const GATE_STEPS: ArgumentSteps = { ...GATE, half: 0 }

/** The same in the loop language; `table` holds `logisticTable`. */
export function logistic16Steps(table: Buf, x: Expr, name: string, argument = GATE_STEPS): Steps {
  const { stmts, keep, v, a } = steps(name, x, argument)
  const y = interpolated(table, keep, a, 9, 0x7fff * 2)
  const signed = L.select(L.ge(v, 0), L.add(y, 512), L.op('sub', 2 ** 25 + 511, y))
  return [stmts, L.op('shr', signed, 10)]
}

/** The same for tanh. */
export function tanh16Steps(table: Buf, x: Expr, name: string, argument = GATE_STEPS): Steps {
  const { stmts, keep, v, a } = steps(name, x, argument)
  const y = interpolated(table, keep, a, 8, 0xffff)
  const signed = L.select(L.ge(v, 0), L.add(y, 128 - 2 ** 23), L.op('sub', 2 ** 23 + 127, y))
  return [stmts, L.op('shr', signed, 8)]
}
