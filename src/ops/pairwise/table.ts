// Operators with two operands and one element of the result from one of each: what each computes, on which dtypes, and
// what the file formats call it.

import type { DType } from '../../ir/graph.ts'
import * as L from '../../loops/build.ts'
import { powf } from '../../loops/float.ts'
import type { Expr, Num, OpName } from '../../loops/ir.ts'
import * as M from '../../loops/math.ts'
import {
  floorDivide,
  floorDivideExpr,
  floorDivideLong,
  floorRemainderExpr,
  realFloorRemainder,
  realFloorRemainderSteps,
  realRemainderSteps,
  remainderExpr,
} from '../integers.ts'
import type { Scalars } from '../scalars.ts'

export interface Pairwise extends Scalars {
  readonly dtypes: readonly DType[]
  /** The result's dtype where it is not the operands'. */
  readonly result?: 'bool'
  /** How int8 and int16 with scales are computed; absent where only plain numbers are. */
  readonly stored?: 'raw' | 'compare' | 'difference' | 'slope'
  readonly tflite?: { readonly name: string; readonly code: number }
  readonly onnx?: string
}

const INTEGERS: readonly DType[] = ['i8', 'u8', 'i16', 'i32', 'i64']
const NUMBERS: readonly DType[] = ['f32', 'f64', 'f16', ...INTEGERS]

function comparison(
  op: OpName,
  of: <T extends number | bigint>(a: T, b: T) => boolean,
  tflite: Pairwise['tflite'],
  onnx?: string,
): Pairwise {
  const bit = (a: number, b: number) => (of(a, b) ? 1 : 0)
  return {
    dtypes: op === 'eq' || op === 'ne' ? [...NUMBERS, 'bool'] : NUMBERS,
    result: 'bool',
    stored: 'compare',
    real: bit,
    int: bit,
    long: (a, b) => (of(a, b) ? 1 : 0),
    expr: ([a, b]) => L.op(op, a, b),
    tflite,
    onnx,
  }
}

function logical(op: OpName, of: (a: number, b: number) => number, code?: number, onnx?: string): Pairwise {
  return {
    dtypes: ['bool'],
    int: of,
    expr: ([a, b]) => L.op(op, a, b),
    ...(code !== undefined && { tflite: { name: `LOGICAL_${op.toUpperCase()}`, code } }),
    onnx,
  }
}

function bitwise(
  op: OpName,
  int: (a: number, b: number) => number,
  long: (a: bigint, b: bigint) => bigint,
  onnx: string,
) {
  return { dtypes: INTEGERS, int, long, expr: ([a, b]: readonly Expr[]) => L.op(op, a, b), onnx }
}

/** The base's power by repeated squaring, wrapping: of a negative exponent what truncation leaves of the fraction. */
function powLong(a: bigint, n: bigint): bigint {
  if (n < 0n) return a === 1n ? 1n : a === -1n ? (n % 2n === 0n ? 1n : -1n) : 0n
  let y = 1n
  let square = a
  for (let e = n; e > 0n; e >>= 1n) {
    if (e & 1n) y = BigInt.asIntN(64, y * square)
    square = BigInt.asIntN(64, square * square)
  }
  return y
}

function powExpr(a: Expr, n: Expr, num: Num): readonly [readonly ReturnType<typeof L.set>[], Expr] {
  const k = (v: number) => (num === 'i64' ? L.long(v) : L.int(v))
  const [declareBase, base] = L.declare('base', a)
  const [declareN, e] = L.declare('e', n)
  const [declareLeft, left] = L.declare('left', L.op('max', e, k(0)))
  const [declareSquare, square] = L.declare('square', base)
  const [declareY, y] = L.declare('power', k(1))
  const odd = L.op('ne', L.op('and', left, k(1)), k(0))
  const step = L.loop('bit', num === 'i64' ? 63 : 31, () => [
    L.set(y, L.select(odd, L.op('wmul', y, square), y)),
    L.set(square, L.op('wmul', square, square)),
    L.set(left, L.op('shr', left, k(1))),
  ])
  const sign = L.select(L.op('ne', L.op('and', e, k(1)), k(0)), k(-1), k(1))
  const fraction = L.select(L.op('eq', base, k(1)), k(1), L.select(L.op('eq', base, k(-1)), sign, k(0)))
  return [
    [declareBase, declareN, declareLeft, declareSquare, declareY, step],
    L.select(L.op('lt', e, k(0)), fraction, y),
  ]
}

/** The second operand where it is larger, otherwise, NaN included, the first. */
function larger<T extends number | bigint>(a: T, b: T): T {
  if (a < b) return b
  return a
}

function smaller<T extends number | bigint>(a: T, b: T): T {
  if (b < a) return b
  return a
}

export const ROWS = {
  maximum: {
    dtypes: NUMBERS,
    stored: 'raw',
    real: larger,
    int: larger,
    long: larger,
    expr: ([a, b]) => L.op('max', a, b),
    tflite: { name: 'MAXIMUM', code: 55 },
  },
  minimum: {
    dtypes: NUMBERS,
    stored: 'raw',
    real: smaller,
    int: smaller,
    long: smaller,
    expr: ([a, b]) => L.op('min', a, b),
    tflite: { name: 'MINIMUM', code: 57 },
  },
  squared_difference: {
    dtypes: ['f32', 'i32'],
    stored: 'difference',
    f32: (a, b) => Math.fround(Math.fround(a - b) ** 2),
    int: (a, b) => Math.imul(a - b, a - b),
    expr([a, b], num) {
      const [declare, d] = L.declare('d', L.op(num === 'i32' ? 'wsub' : 'sub', a, b))
      return [[declare], L.op(num === 'i32' ? 'wmul' : 'mul', d, d)]
    },
    tflite: { name: 'SQUARED_DIFFERENCE', code: 99 },
  },
  floor_div: {
    dtypes: ['f32', 'i8', 'i16', 'i32', 'i64'],
    f32: (a, b) => Math.floor(Math.fround(a / b)),
    int: floorDivide,
    long: floorDivideLong,
    expr: ([a, b], num) => (num === 'f32' ? L.op('floor', L.op('div', a, b)) : floorDivideExpr(a, b, num)),
    tflite: { name: 'FLOOR_DIV', code: 90 },
  },
  floor_mod: {
    dtypes: ['f32', ...INTEGERS],
    f32: realFloorRemainder,
    int: (a, b) => (b === 0 ? a : a - b * Math.floor(a / b)),
    long: (a, b) => (b === 0n ? a : ((a % b) + b) % b),
    expr: ([a, b], num) => (num === 'f32' ? realFloorRemainderSteps(a, b) : floorRemainderExpr(a, b, num)),
    tflite: { name: 'FLOOR_MOD', code: 95 },
  },
  remainder: {
    dtypes: ['f32', 'f16', ...INTEGERS],
    f32: (a, b) => a % b,
    int: (a, b) => (b === 0 ? a : a % b),
    long: (a, b) => (b === 0n ? a : a % b),
    expr: ([a, b], num) => (num === 'f32' ? realRemainderSteps(a, b) : remainderExpr(a, b, num)),
  },
  pow: {
    dtypes: ['f32', 'f16', 'i32', 'i64'],
    f32: powf,
    int: (a, b) => Number(BigInt.asIntN(32, powLong(BigInt(a), BigInt(b)))),
    long: powLong,
    expr: ([a, b], num) => (num === 'f32' ? M.powf(a, b, 'f') : powExpr(a, b, num)),
    tflite: { name: 'POW', code: 78 },
  },
  prelu: {
    dtypes: ['f32', 'f16', 'f64'],
    stored: 'slope',
    real: (x, slope) => (x >= 0 ? x : x * slope),
    expr: ([x, slope], num) => L.select(L.op('ge', x, L.constantOf({ num, lanes: 1 }, 0)), x, L.op('mul', x, slope)),
    tflite: { name: 'PRELU', code: 54 },
  },
  equal: comparison('eq', (a, b) => a === b, { name: 'EQUAL', code: 71 }, 'Equal'),
  not_equal: comparison('ne', (a, b) => a !== b, { name: 'NOT_EQUAL', code: 72 }),
  less: comparison('lt', (a, b) => a < b, { name: 'LESS', code: 58 }, 'Less'),
  less_equal: comparison('le', (a, b) => a <= b, { name: 'LESS_EQUAL', code: 63 }, 'LessOrEqual'),
  greater: comparison('gt', (a, b) => a > b, { name: 'GREATER', code: 61 }, 'Greater'),
  greater_equal: comparison('ge', (a, b) => a >= b, { name: 'GREATER_EQUAL', code: 62 }, 'GreaterOrEqual'),
  logical_and: logical('and', (a, b) => a & b, 86, 'And'),
  logical_or: logical('or', (a, b) => a | b, 84, 'Or'),
  logical_xor: logical('xor', (a, b) => a ^ b, undefined, 'Xor'),
  bitwise_and: bitwise(
    'and',
    (a, b) => a & b,
    (a, b) => a & b,
    'BitwiseAnd',
  ),
  bitwise_or: bitwise(
    'or',
    (a, b) => a | b,
    (a, b) => a | b,
    'BitwiseOr',
  ),
  bitwise_xor: {
    ...bitwise(
      'xor',
      (a, b) => a ^ b,
      (a, b) => a ^ b,
      'BitwiseXor',
    ),
    tflite: { name: 'BITWISE_XOR', code: 160 },
  },
} satisfies Readonly<Record<string, Pairwise>>
