// What each operation of the loop language does to numbers, by register type: exact results, before the check that they
// fit. i32 and f32 values are JavaScript numbers, i64 values are bigints. See ir.ts for the table in words.

import { clz, highProduct, longToF32, rdivpot, requant, srdhm, toI32, toI64 } from './arith.ts'
import { fma, roundEven } from './float.ts'
import type { Num, OpName } from './ir.ts'

export type Fn = (a: number, b: number, c: number) => number
export type LongFn = (a: bigint, b: bigint) => bigint

/** Operations whose exact result must fit the register; a result that is not finite (division by zero) never does. */
export const CHECKED: ReadonlySet<OpName> = new Set<OpName>(['add', 'sub', 'mul', 'neg', 'div', 'rem', 'whole'])

const MIN = -(2 ** 31)
const floatCell = new Float32Array(1)
const intCell = new Int32Array(floatCell.buffer)
const doubleCell = new Float64Array(1)
const longCell = new BigInt64Array(doubleCell.buffer)

const none: Partial<Record<OpName, Fn>> = {}

const short: Partial<Record<OpName, Fn>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  neg: (a) => -a,
  min: (a, b) => (b < a ? b : a),
  max: (a, b) => (a < b ? b : a),
}

const compare: Partial<Record<OpName, Fn>> = {
  eq: (a, b) => (a === b ? 1 : 0),
  ne: (a, b) => (a !== b ? 1 : 0),
  lt: (a, b) => (a < b ? 1 : 0),
  le: (a, b) => (a <= b ? 1 : 0),
  gt: (a, b) => (a > b ? 1 : 0),
  ge: (a, b) => (a >= b ? 1 : 0),
}

const int: Partial<Record<OpName, Fn>> = {
  ...short,
  ...compare,
  wadd: (a, b) => (a + b) | 0,
  wsub: (a, b) => (a - b) | 0,
  wmul: (a, b) => Math.imul(a, b),
  div: (a, b) => Math.trunc(a / b),
  // C leaves the remainder undefined where the quotient overflows
  rem: (a, b) => (a === MIN && b === -1 ? Number.NaN : a % b),
  abs: (a) => Math.abs(a) | 0,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shr: (a, b) => a >> b,
  ushr: (a, b) => (a >>> b) | 0,
  clz: (a) => clz(a),
  toF32: (a) => Math.fround(a),
  toF64: (a) => a,
  fromBits: (a) => {
    intCell[0] = a
    return floatCell[0]
  },
  srdhm: (a, b) => srdhm(a, b),
  rdivpot: (a, b) => rdivpot(a, b),
  requant: (a, b, c) => requant(a, b, c),
  sxtb16: (a) => (((a << 24) >> 24) & 0xffff) | (((a << 8) >> 24) << 16),
  uxtb16: (a) => a & 0x00ff00ff,
  quad(a, b, c) {
    let sum = c
    for (let i = 0; i < 32; i += 8) sum += ((a << (24 - i)) >> 24) * ((b >>> i) & 255)
    return sum | 0
  },
  smlad: (a, b, c) => (c + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16)) | 0,
  smmla: (a, b, c) => (highProduct(a, b) + c) | 0,
}

/** What gives the same number for f32 and f64 arguments. */
const exact: Partial<Record<OpName, Fn>> = {
  ...compare,
  neg: (a) => -a,
  abs: (a) => Math.abs(a),
  min: (a, b) => (b < a ? b : a),
  max: (a, b) => (a < b ? b : a),
  floor: (a) => Math.floor(a),
  ceil: (a) => Math.ceil(a),
  trunc: (a) => Math.trunc(a),
  nearest: (a) => roundEven(a),
  toI32: (a) => toI32(a),
  whole: (a) => Math.trunc(a),
  fma: (a, b, c) => fma(a, b, c),
}

const float: Partial<Record<OpName, Fn>> = {
  ...exact,
  add: (a, b) => Math.fround(a + b),
  sub: (a, b) => Math.fround(a - b),
  mul: (a, b) => Math.fround(a * b),
  div: (a, b) => Math.fround(a / b),
  sqrt: (a) => Math.fround(Math.sqrt(a)),
  toF64: (a) => a,
  bits: (a) => {
    floatCell[0] = a
    return intCell[0]
  },
}

const double: Partial<Record<OpName, Fn>> = {
  ...exact,
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  sqrt: (a) => Math.sqrt(a),
  toF32: (a) => Math.fround(a),
}

const LEAST = -(2n ** 63n)
const wrap64 = (a: bigint) => BigInt.asIntN(64, a)

const long: Partial<Record<OpName, LongFn>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  neg: (a) => -a,
  wadd: (a, b) => wrap64(a + b),
  wsub: (a, b) => wrap64(a - b),
  wmul: (a, b) => wrap64(a * b),
  div: (a, b) => a / b,
  rem: (a, b) => (b === -1n && a === LEAST ? LEAST - 1n : a % b),
  abs: (a) => wrap64(a < 0n ? -a : a),
  min: (a, b) => (b < a ? b : a),
  max: (a, b) => (a < b ? b : a),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => wrap64(a << (b & 63n)),
  shr: (a, b) => a >> (b & 63n),
  ushr: (a, b) => wrap64(BigInt.asUintN(64, a) >> (b & 63n)),
}

const longCompare: Partial<Record<OpName, (a: bigint, b: bigint) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
}

/** The function of an operation on arguments that hold `num`; undefined where it is not made of numbers. */
export function numberOp(op: OpName, num: Exclude<Num, 'i64'>): Fn | undefined {
  return { i8: none, i16: short, i32: int, f32: float, f64: double }[num][op]
}

export function longOp(op: OpName): LongFn | undefined {
  return long[op]
}

/** Operations from i64 to another register's numbers. */
export function fromLong(op: OpName): ((a: bigint) => number) | undefined {
  switch (op) {
    case 'wrap':
      return (a) => Number(BigInt.asIntN(32, a))
    case 'toF32':
      return longToF32
    case 'toF64':
      return Number
    case 'fromBits':
      return (a) => {
        longCell[0] = a
        return doubleCell[0]
      }
    default:
      return undefined
  }
}

/** Operations from other registers' numbers to i64. */
export function intoLong(op: OpName): ((a: number) => bigint) | undefined {
  switch (op) {
    case 'extend':
      return BigInt
    case 'toI64':
      return toI64
    case 'bits':
      return (a) => {
        doubleCell[0] = a
        return longCell[0]
      }
    default:
      return undefined
  }
}

export function longComparison(op: OpName): ((a: bigint, b: bigint) => boolean) | undefined {
  return longCompare[op]
}
