// Elementwise operators with one operand, from the rows of `table.ts`: plain numbers on every dtype of the row, int8 and
// int16 with scales where TensorFlow Lite has them.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { DType, Node, TensorType } from '../../ir/graph.ts'
import type { OnnxNode, OnnxSpelling, Op, TfliteNode, TfliteSpelling } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, registerOf } from '../../loops/ir.ts'
import { elemOfValue, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { ELEMENTWISE, elementwise } from '../elementwise.ts'
import { lookUp16, lookUp16Steps } from '../lut16.ts'
import { numberAttr, stringAttr } from '../onnx.ts'
import { parameters } from '../parameters.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { type Scalar, scalarFn, scalarsOf, stepsOf, tensorOf } from '../scalars.ts'
import { operands } from '../tflite.ts'
import { evalAbs, evalRsqrt, evalSlopes, lowerAbs, lowerRsqrt, lowerSlopes, table16, tabulated } from './stored.ts'
import { ROWS, type Unary } from './table.ts'

export type UnaryAttrs = Readonly<Record<string, number>>

const isStored = (node: Node) => node.inputs[0]?.type.quant !== undefined

/** Dtypes that an operator takes with scales. */
function storedTypes(name: string, row: Unary): readonly DType[] {
  return ['leaky_relu', 'abs', 'rsqrt'].includes(name) ? ['i8', 'i16'] : (row.table ?? [])
}

function values(row: Unary, attrs: UnaryAttrs): number[] {
  return Object.keys(row.attrs ?? {}).map((k) => Math.fround(attrs[k]))
}

/** The stored result for a stored element. */
function storedFn(name: string, row: Unary, node: Node<UnaryAttrs>): (q: number) => number {
  const [x, y] = [node.inputs[0]!.type, node.outputs[0].type]
  switch (name) {
    case 'leaky_relu':
      return evalSlopes(node, node.attrs.alpha)
    case 'abs':
      return evalAbs(x, y)
    case 'rsqrt':
      return evalRsqrt(x, y)
    default: {
      if (x.dtype === 'i8') return tabulated(x, y, realFn(row, node))
      const table = table16(x, y, realFn(row, node))
      return (q) => lookUp16(table, q)
    }
  }
}

function realFn(row: Unary, { attrs }: Node<UnaryAttrs>): (x: Scalar) => Scalar {
  const numbers = values(row, attrs)
  const real = scalarFn(row, 'f32')!
  return (v) => real(v, ...numbers)
}

/** What a kernel on stored int16 computes of an element; of int8 only the leaky ReLU's does anything but look it up. */
function lowered(name: string, node: Node<UnaryAttrs>) {
  const [x, y] = [node.inputs[0]!.type, node.outputs[0].type]
  if (name === 'leaky_relu') return lowerSlopes(node, node.attrs.alpha)
  if (x.dtype === 'i8') return undefined
  return name === 'abs' ? lowerAbs(x, y) : name === 'rsqrt' ? lowerRsqrt(x, y) : undefined
}

function lowerStored(name: string, row: Unary, node: Node<UnaryAttrs>) {
  const own = lowered(name, node)
  if (own) return elementwise(name, node, own.numbers, own.steps)
  const [x, y] = [node.inputs[0]!.type, node.outputs[0].type]
  if (x.dtype === 'i16') {
    const T = L.buffer('t', 'i16', [513])
    const args = [{ data: table16(x, y, realFn(row, node)) }]
    return elementwise('table16', node, { bufs: [T], args, head: [] }, (q) => lookUp16Steps(T, q, 'f'))
  }
  const of = storedFn(name, row, node)
  const T = L.buffer('t', 'i8', [256])
  const table = Int8Array.from({ length: 256 }, (_, i) => of(i - 128))
  return elementwise('table', node, { bufs: [T], args: [{ data: table }], head: [] }, (q) => [
    [],
    L.load(T, L.add(q, 128)),
  ])
}

function lowerPlain(name: string, row: Unary, node: Node<UnaryAttrs>) {
  const { num } = registerOf(elemOfValue(node.inputs[0]!))
  const keys = Object.keys(row.attrs ?? {})
  const numbers = values(row, node.attrs)
  const p = parameters('p', 'f32', Object.fromEntries(keys.map((k, i) => [k, numbers[i]])))
  const wide = keys.map((k) => (num === 'f64' ? L.op('toF64', p.of[k]) : p.of[k]))
  return elementwise(name, node, p, (v) => {
    const [declare, x] = L.declare('v', v)
    const [stmts, result] = stepsOf(row.expr([x, ...wide], num))
    return [[declare, ...stmts], result]
  })
}

function tfliteOf(row: Unary, op: () => Op<UnaryAttrs>): TfliteSpelling<UnaryAttrs>[] {
  const { tflite } = row
  if (!tflite) return []
  const { name, code, options, attrs } = tflite
  const held = Object.keys(options?.fields ?? {})
  return [
    {
      name,
      code,
      ...(options && { options }),
      read: (build, node: TfliteNode) =>
        build.add(
          op(),
          operands(node, 1, op().name),
          { ...row.attrs, ...attrs, ...Object.fromEntries(held.map((k) => [k, Number(node.options[k])])) },
          node.result,
        ),
      write(node) {
        if (Object.entries(attrs ?? {}).some(([k, v]) => node.attrs[k] !== v)) return undefined
        return { inputs: node.inputs, options: Object.fromEntries(held.map((k) => [k, node.attrs[k]])) }
      },
    },
  ]
}

function onnxOf(name: string, row: Unary, op: () => Op<UnaryAttrs>): OnnxSpelling<UnaryAttrs>[] {
  if (!row.onnx) return []
  const defaults = Object.entries(row.attrs ?? {})
  return [
    {
      name: row.onnx,
      read: (build, node: OnnxNode) =>
        build.add(
          op(),
          operands(node, 1, name),
          Object.fromEntries(defaults.map(([k, v]) => [k, Math.fround(numberAttr(node, k, v))])),
          node.result,
        ),
      write: ({ inputs, attrs }) => ({ inputs, attrs }),
    },
  ]
}

export function unary(
  name: string,
  row: Unary,
  own: { tflite?: readonly TfliteSpelling<UnaryAttrs>[]; onnx?: readonly OnnxSpelling<UnaryAttrs>[] } = {},
): Op<UnaryAttrs> {
  const result = name === 'is_nan' ? 'bool' : undefined
  const infer = ([x]: readonly (TensorType | undefined)[]): TensorType[] => [
    { dtype: result ?? x!.dtype, shape: x!.shape, ...(x!.quant && !result && { quant: x!.quant }) },
  ]
  const op: Op<UnaryAttrs> = {
    name,
    spelled: {
      tflite: [...tfliteOf(row, () => op), ...(own.tflite ?? [])],
      onnx: [...onnxOf(name, row, () => op), ...(own.onnx ?? [])],
    },
    infer,

    check(node) {
      const where = layer(node)
      expectInputs(node, 1)
      const x = node.inputs[0]!.type
      const [y] = infer([x])
      expectOutputs(node, [y])
      for (const k of Object.keys(row.attrs ?? {}))
        if (!Number.isFinite(node.attrs[k])) throw new ModelError(where, `has ${k} ${node.attrs[k]}, expected a number`)
      if (!isStored(node)) {
        expectDtype(x, row.dtypes, 'input', where)
        return
      }
      const stored = storedTypes(name, row)
      if (!stored.includes(x.dtype))
        throw new ModelError(
          where,
          `input is ${x.dtype} with a scale, supported are ${[...stored.map((d) => `${d} with a scale`), ...row.dtypes].join(', ')}`,
        )
      const zeros = [perTensor(x, 'input', where), perTensor(node.outputs[0].type, 'output', where)]
      const shifted = zeros.find((q) => q.zero !== 0)
      if (x.dtype === 'i16' && shifted) throw new ModelError(where, `has zero point ${shifted.zero}, i16 needs 0`)
    },

    eval(node, [data]) {
      const y = node.outputs[0].type
      const x = scalarsOf(data)
      if (isStored(node)) {
        const of = storedFn(name, row, node)
        return [tensorOf(outputElem(node), count(y.shape), (i) => of(x[i] as number))]
      }
      const of = scalarFn(row, node.inputs[0]!.type.dtype)!
      const numbers = values(row, node.attrs)
      return [tensorOf(outputElem(node), count(y.shape), (i) => of(x[i], ...numbers))]
    },

    lower: (node) => (isStored(node) ? lowerStored(name, row, node) : lowerPlain(name, row, node)),
    quantize: () => (storedTypes(name, row).includes('i8') ? { output: 'own' } : undefined),
    ...ELEMENTWISE,
  }
  return op
}

/** |x|. f32, f64, f16, i8, i16, i32, i64; i8 and i16 with scales. TFLite ABS, ONNX Abs. */
export const abs = unary('abs', ROWS.abs)
/** -x. f32, f64, f16; i8, i16, i32 and i64 without scales, which wrap. TFLite NEG, ONNX Neg. */
export const neg = unary('neg', ROWS.neg)
/** Square root. f32, f64, f16. TFLite SQRT, ONNX Sqrt. */
export const sqrt = unary('sqrt', ROWS.sqrt)
/** 1 / sqrt(x). f32, f16; i8 and i16 with scales. TFLite RSQRT. */
export const rsqrt = unary('rsqrt', ROWS.rsqrt)
/** 1 / x. f32, f64, f16. ONNX Reciprocal. */
export const reciprocal = unary('reciprocal', ROWS.reciprocal)
/** x * x. f32, f16. TFLite SQUARE. */
export const square = unary('square', ROWS.square)
/** e^x. f32, f64, f16; i8 and i16 with scales by table. TFLite EXP, ONNX Exp. */
export const exp = unary('exp', ROWS.exp)
/** The whole number below. f32, f64, f16. TFLite FLOOR, ONNX Floor. */
export const floor = unary('floor', ROWS.floor)
/** The whole number above. f32, f64, f16. TFLite CEIL, ONNX Ceil. */
export const ceil = unary('ceil', ROWS.ceil)
/** The nearest whole number, of two the even one. f32, f64, f16. TFLite ROUND, ONNX Round. */
export const round = unary('round', ROWS.round)
/** -1, 0 or 1; NaN stays. f32, f64, f16, i8, i16, i32, i64 without scales. TFLite SIGN, ONNX Sign. */
export const sign = unary('sign', ROWS.sign)
/** Whether x is false. bool. TFLite LOGICAL_NOT, ONNX Not. */
export const logicalNot = unary('logical_not', ROWS.logical_not)
/** Every bit the other way. i8, u8, i16, i32, i64. ONNX BitwiseNot. */
export const bitwiseNot = unary('bitwise_not', ROWS.bitwise_not)
/** Whether x is NaN, as bool. f32, f64, f16. ONNX IsNaN. */
export const isNan = unary('is_nan', ROWS.is_nan)
/** x, below 0 `alpha` * (e^x - 1). f32, f16; i8 with scales by table. TFLite ELU (alpha 1), ONNX Elu. */
export const elu = unary('elu', ROWS.elu)
/** `gamma` * (x, from 0 down `alpha` * (e^x - 1)). f32, f16. ONNX Selu; Klambauer et al. 2017. */
export const selu = unary('selu', ROWS.selu)
/** x, from 0 down `alpha` * (e^(x / alpha) - 1). f32, f16. ONNX Celu; Barron 2017. */
export const celu = unary('celu', ROWS.celu)
/** x, from 0 down x * `alpha`. f32, f64, f16; i8 and i16 with scales. TFLite LEAKY_RELU, ONNX LeakyRelu. */
export const leakyRelu = unary('leaky_relu', ROWS.leaky_relu)
/** x above `alpha`, otherwise 0. f32, f64, f16. ONNX ThresholdedRelu. */
export const thresholdedRelu = unary('thresholded_relu', ROWS.thresholded_relu)
/** min(1, max(0, `alpha` * x + `beta`)). f32, f16. ONNX HardSigmoid. */
export const hardSigmoid = unary('hard_sigmoid', ROWS.hard_sigmoid)
/** x / (1 + |x|). f32, f16. ONNX Softsign. */
export const softsign = unary('softsign', ROWS.softsign)
/** x / (1 + e^-(`alpha` x)). f32, f16. ONNX Swish. */
export const swish = unary('swish', ROWS.swish)
/**
 * x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), an approximation of `gelu`. f32, f16; i8 with scales by table.
 * TFLite GELU (approximate), ONNX Gelu (approximate tanh).
 */
export const geluTanh = unary('gelu_tanh', ROWS.gelu_tanh)
/** x / 2 * (1 + erf(x / sqrt 2)). f32, f16; i8 with scales by table. TFLite GELU, ONNX Gelu. */
export const gelu: Op<UnaryAttrs> = unary('gelu', ROWS.gelu, {
  tflite: [
    {
      name: 'GELU',
      code: 150,
      options: { id: 116, fields: { approximate: { slot: 0, type: 'bool', default: false } } },
      read: (build, { inputs, options, result }) =>
        build.add(options.approximate ? geluTanh : gelu, inputs, {}, result),
      write: ({ inputs }) => ({ inputs, options: { approximate: false } }),
    },
  ],
  onnx: [
    {
      name: 'Gelu',
      read: (build, node) =>
        build.add(
          stringAttr(node, 'approximate', 'none') === 'tanh' ? geluTanh : gelu,
          operands(node, 1, 'gelu'),
          {},
          node.result,
        ),
      write: ({ inputs }) => ({ inputs, attrs: { approximate: 'none' } }),
    },
  ],
})
/** Natural logarithm. f32, f64, f16; i8 and i16 with scales by table. TFLite LOG, ONNX Log. */
export const log = unary('log', ROWS.log)
/** Sine of radians. f32, f16. TFLite SIN, ONNX Sin. */
export const sin = unary('sin', ROWS.sin)
/** Cosine of radians. f32, f16. TFLite COS, ONNX Cos. */
export const cos = unary('cos', ROWS.cos)
/** The error function 2 / sqrt(pi) * integral of e^-t^2 from 0 to x. f32, f16. ONNX Erf. */
export const erf = unary('erf', ROWS.erf)
/** log(1 + e^x). f32, f16. ONNX Softplus. */
export const softplus = unary('softplus', ROWS.softplus)
/** x * tanh(log(1 + e^x)). f32, f16. ONNX Mish; Misra 2019. */
export const mish = unary('mish', ROWS.mish)
