// Unsigned numbers in registers that hold them as signed ones of the same bits.

import * as L from '../loops/build.ts'
import type { Expr } from '../loops/ir.ts'

const LOW = L.long(2 ** 32 - 1)

/** The low 32 bits of an i64 register. */
export function low(x: Expr): Expr {
  return L.op('and', x, LOW)
}

/** A register of u32 bits as its number, in i64. */
export function unsigned(x: Expr): Expr {
  return low(L.op('extend', x))
}

/** The numbers that the bits of u32 data stand for. */
export function unsignedNumbers(data: Int32Array): bigint[] {
  return Array.from(data, (x) => BigInt(x >>> 0))
}
