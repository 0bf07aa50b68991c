// Operators with one operand and one element of the result from each of its elements: what each computes, on which
// dtypes, its numbers (attributes, float32) and what the file formats call it and them.

import type { DType } from '../../ir/graph.ts'
import type { OptionField } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import * as F from '../../loops/float.ts'
import type { Expr, OpName } from '../../loops/ir.ts'
import * as M from '../../loops/math.ts'
import type { Scalars } from '../scalars.ts'

export interface Unary extends Scalars {
  readonly dtypes: readonly DType[]
  /** Attributes and their defaults in ONNX; operands of the functions after the element itself. */
  readonly attrs?: Readonly<Record<string, number>>
  /**
   * Dtypes with scales that go through a table of float32 results: int8 one for each of the 256 elements, int16 an
   * interpolated one.
   */
  readonly table?: readonly DType[]
  readonly tflite?: {
    readonly name: string
    readonly code: number
    readonly options?: { readonly id: number; readonly fields: Readonly<Record<string, OptionField>> }
    /** Attributes that the file does not hold. */
    readonly attrs?: Readonly<Record<string, number>>
  }
  readonly onnx?: string
}

const f = Math.fround
const FLOATS: readonly DType[] = ['f32', 'f16', 'f64']
const F32: readonly DType[] = ['f32', 'f16']
const SIGNED: readonly DType[] = [...FLOATS, 'i8', 'i16', 'i32', 'i64']

const zeroOf = (x: Expr) => L.constantOf(x.type, 0)
const below = (x: Expr, limit: Expr) => L.op('lt', x, limit)

function rounding(op: OpName, real: (x: number) => number, tflite: Unary['tflite'], onnx: string): Unary {
  return { dtypes: FLOATS, real, expr: ([x]) => L.op(op, x), tflite, onnx }
}

/** e^x - 1 for x <= 0, without the loss of digits near zero. */
function expm1(x: number): number {
  if (x < -0.34) return f(F.expf(x) - 1)
  const p = F.EXP.c.reduceRight((sum, c, i) => (i === F.EXP.c.length - 1 ? c : f(f(sum * x) + c)), 0)
  return f(x + f(f(x * x) * p))
}

function expm1Steps(x: Expr, name: string): M.Steps {
  const [stmts, e] = M.expf(x, name)
  const [declare, v] = L.declare(`${name}_z`, x)
  const last = F.EXP.c.length - 1
  const p = F.EXP.c
    .slice(0, last)
    .reduceRight((sum: Expr, c) => L.add(L.mul(sum, v), L.float(c)), L.float(F.EXP.c[last]))
  const small = L.add(v, L.mul(L.mul(v, v), p))
  return [[declare, ...stmts], L.select(below(v, L.float(-0.34)), L.op('sub', e, L.float(1)), small)]
}

/** log(1 + e^x), from the side on which e^x is small. */
function softplus(x: number): number {
  return f(Math.max(x, 0) + F.log1pf(F.expf(-Math.abs(x))))
}

function softplusSteps(x: Expr, name: string): M.Steps {
  const [stmts, e] = M.expf(L.op('neg', L.op('abs', x)), name)
  const [more, y] = M.log1pf(e, `${name}_l`)
  return [[...stmts, ...more], L.add(L.max(x, L.float(0)), y)]
}

const ROOT_HALF = f(Math.SQRT1_2)
const ROOT_TWO_OVER_PI = f(Math.sqrt(2 / Math.PI))
const CUBIC = f(0.044715)

export const ROWS = {
  abs: {
    dtypes: SIGNED,
    real: Math.abs,
    int: Math.abs,
    long: (x) => (x < 0n ? -x : x),
    expr: ([x]) => L.op('abs', x),
    tflite: { name: 'ABS', code: 101 },
    onnx: 'Abs',
  },
  neg: {
    dtypes: SIGNED,
    real: (x) => -x,
    int: (x) => -x,
    long: (x) => -x,
    expr: ([x], num) => (num === 'f32' || num === 'f64' ? L.op('neg', x) : L.op('wsub', zeroOf(x), x)),
    tflite: { name: 'NEG', code: 59 },
    onnx: 'Neg',
  },
  sqrt: {
    dtypes: FLOATS,
    real: Math.sqrt,
    expr: ([x]) => L.op('sqrt', x),
    tflite: { name: 'SQRT', code: 75 },
    onnx: 'Sqrt',
  },
  rsqrt: {
    dtypes: F32,
    f32: F.rsqrtf,
    expr: ([x]) => M.rsqrtf(x, 'f'),
    tflite: { name: 'RSQRT', code: 76 },
  },
  reciprocal: {
    dtypes: FLOATS,
    real: (x) => 1 / x,
    expr: ([x]) => L.op('div', L.constantOf(x.type, 1), x),
    onnx: 'Reciprocal',
  },
  square: {
    dtypes: F32,
    real: (x) => x * x,
    expr: ([x]) => L.mul(x, x),
    tflite: { name: 'SQUARE', code: 92 },
  },
  exp: {
    dtypes: FLOATS,
    table: ['i8', 'i16'],
    real: F.exp,
    f32: F.expf,
    expr: ([x], num) => (num === 'f64' ? M.exp(x, 'f') : M.expf(x, 'f')),
    tflite: { name: 'EXP', code: 47 },
    onnx: 'Exp',
  },
  log: {
    dtypes: FLOATS,
    table: ['i8', 'i16'],
    real: F.log,
    f32: F.logf,
    expr: ([x], num) => (num === 'f64' ? M.log(x, 'f') : M.logf(x, 'f')),
    tflite: { name: 'LOG', code: 73 },
    onnx: 'Log',
  },
  sin: {
    dtypes: F32,
    f32: F.sinf,
    expr: ([x]) => M.sinf(x, 'f'),
    tflite: { name: 'SIN', code: 66 },
    onnx: 'Sin',
  },
  cos: {
    dtypes: F32,
    f32: F.cosf,
    expr: ([x]) => M.cosf(x, 'f'),
    tflite: { name: 'COS', code: 108 },
    onnx: 'Cos',
  },
  erf: { dtypes: F32, f32: F.erff, expr: ([x]) => M.erff(x, 'f'), onnx: 'Erf' },
  floor: rounding('floor', Math.floor, { name: 'FLOOR', code: 8 }, 'Floor'),
  ceil: rounding('ceil', Math.ceil, { name: 'CEIL', code: 104 }, 'Ceil'),
  round: rounding('nearest', F.roundEven, { name: 'ROUND', code: 116 }, 'Round'),
  sign: {
    dtypes: SIGNED,
    real: (x) => (x > 0 ? 1 : x < 0 ? -1 : x),
    int: Math.sign,
    long: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
    expr([x]) {
      const [one, minus] = [1, -1].map((v) => L.constantOf(x.type, v))
      return L.select(L.op('gt', x, zeroOf(x)), one, L.select(below(x, zeroOf(x)), minus, x))
    },
    tflite: { name: 'SIGN', code: 158 },
    onnx: 'Sign',
  },
  logical_not: {
    dtypes: ['bool'],
    int: (x) => (x === 0 ? 1 : 0),
    expr: ([x]) => L.op('eq', x, 0),
    tflite: { name: 'LOGICAL_NOT', code: 87 },
    onnx: 'Not',
  },
  bitwise_not: {
    dtypes: ['i8', 'u8', 'i16', 'i32', 'i64'],
    int: (x) => ~x,
    long: (x) => ~x,
    expr: ([x]) => L.op('xor', x, L.constantOf(x.type, -1)),
    onnx: 'BitwiseNot',
  },
  is_nan: {
    dtypes: FLOATS,
    real: (x) => (Number.isNaN(x) ? 1 : 0),
    expr: ([x]) => L.op('ne', x, x),
    onnx: 'IsNaN',
  },
  elu: {
    dtypes: F32,
    attrs: { alpha: 1 },
    table: ['i8'],
    f32: (x, alpha) => (x < 0 ? f(alpha * expm1(x)) : x),
    expr([x, alpha]) {
      const [stmts, e] = expm1Steps(L.min(x, zeroOf(x)), 'f')
      return [stmts, L.select(below(x, zeroOf(x)), L.mul(alpha, e), x)]
    },
    tflite: { name: 'ELU', code: 111, attrs: { alpha: 1 } },
    onnx: 'Elu',
  },
  selu: {
    dtypes: F32,
    attrs: { alpha: 1.6732632423543772, gamma: 1.0507009873554805 },
    f32: (x, alpha, gamma) => f(gamma * (x > 0 ? x : f(alpha * expm1(x)))),
    expr([x, alpha, gamma]) {
      const [stmts, e] = expm1Steps(L.min(x, zeroOf(x)), 'f')
      return [stmts, L.mul(gamma, L.select(L.op('gt', x, zeroOf(x)), x, L.mul(alpha, e)))]
    },
    onnx: 'Selu',
  },
  celu: {
    dtypes: F32,
    attrs: { alpha: 1 },
    f32: (x, alpha) => (x > 0 ? x : f(alpha * expm1(f(x / alpha)))),
    expr([x, alpha]) {
      const [stmts, e] = expm1Steps(L.op('div', L.min(x, zeroOf(x)), alpha), 'f')
      return [stmts, L.select(L.op('gt', x, zeroOf(x)), x, L.mul(alpha, e))]
    },
    onnx: 'Celu',
  },
  leaky_relu: {
    dtypes: FLOATS,
    attrs: { alpha: 0.01 },
    real: (x, alpha) => (x > 0 ? x : x * alpha),
    expr: ([x, alpha]) => L.select(L.op('gt', x, zeroOf(x)), x, L.op('mul', x, alpha)),
    tflite: {
      name: 'LEAKY_RELU',
      code: 98,
      options: { id: 75, fields: { alpha: { slot: 0, type: 'f32', default: 0 } } },
    },
    onnx: 'LeakyRelu',
  },
  thresholded_relu: {
    dtypes: FLOATS,
    attrs: { alpha: 1 },
    real: (x, alpha) => (x > alpha ? x : 0),
    expr: ([x, alpha]) => L.select(L.op('gt', x, alpha), x, zeroOf(x)),
    onnx: 'ThresholdedRelu',
  },
  hard_sigmoid: {
    dtypes: F32,
    attrs: { alpha: 0.2, beta: 0.5 },
    f32: (x, alpha, beta) => {
      const v = f(f(alpha * x) + beta)
      if (v < 0) return 0
      if (v > 1) return 1
      return v
    },
    expr: ([x, alpha, beta]) => L.clamp(L.add(L.mul(alpha, x), beta), L.float(0), L.float(1)),
    onnx: 'HardSigmoid',
  },
  softsign: {
    dtypes: F32,
    f32: (x) => f(x / f(1 + Math.abs(x))),
    expr: ([x]) => L.op('div', x, L.add(L.float(1), L.op('abs', x))),
    onnx: 'Softsign',
  },
  swish: {
    dtypes: F32,
    attrs: { alpha: 1 },
    f32: (x, alpha) => f(x * F.logisticf(f(alpha * x))),
    expr([x, alpha]) {
      const [stmts, s] = M.logisticf(L.mul(alpha, x), 'f')
      return [stmts, L.mul(x, s)]
    },
    onnx: 'Swish',
  },
  softplus: {
    dtypes: F32,
    f32: softplus,
    expr: ([x]) => softplusSteps(x, 'f'),
    onnx: 'Softplus',
  },
  mish: {
    dtypes: F32,
    f32: (x) => f(x * F.tanhf(softplus(x))),
    expr([x]) {
      const [stmts, s] = softplusSteps(x, 'f')
      const [more, t] = M.tanhf(s, 'g')
      return [[...stmts, ...more], L.mul(x, t)]
    },
    onnx: 'Mish',
  },
  gelu: {
    dtypes: F32,
    table: ['i8'],
    f32: (x) => f(f(0.5 * x) * f(1 + F.erff(f(x * ROOT_HALF)))),
    expr([x]) {
      const [stmts, e] = M.erff(L.mul(x, L.float(ROOT_HALF)), 'f')
      return [stmts, L.mul(L.mul(L.float(0.5), x), L.add(L.float(1), e))]
    },
  },
  gelu_tanh: {
    dtypes: F32,
    table: ['i8'],
    f32(x) {
      const cubic = f(f(f(x * x) * x) * CUBIC)
      return f(f(0.5 * x) * f(1 + F.tanhf(f(ROOT_TWO_OVER_PI * f(x + cubic)))))
    },
    expr([x]) {
      const cubic = L.mul(L.mul(L.mul(x, x), x), L.float(CUBIC))
      const [stmts, t] = M.tanhf(L.mul(L.float(ROOT_TWO_OVER_PI), L.add(x, cubic)), 'f')
      return [stmts, L.mul(L.mul(L.float(0.5), x), L.add(L.float(1), t))]
    },
  },
} satisfies Readonly<Record<string, Unary>>
