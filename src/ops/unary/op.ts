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
import { numberAttr, stringAttr } from '../onnx.ts'
import { parameters } from '../parameters.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { type Scalar, scalarFn, scalarsOf, stepsOf, tensorOf } from '../scalars.ts'
import { operands } from '../tflite.ts'
import { evalAbs, evalRsqrt, evalSlopes, lowerSlopes, tabulated } from './stored.ts'
import { ROWS, type Unary } from './table.ts'

export type UnaryAttrs = Readonly<Record<string, number>>

const isStored = (node: Node) => node.inputs[0]?.type.quant !== undefined

/** Dtypes that an operator takes with scales. */
function storedTypes(name: string, row: Unary): readonly DType[] {
  if (name === 'leaky_relu') return ['i8', 'i16']
  return name === 'abs' || name === 'rsqrt' || row.table ? ['i8'] : []
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
      const numbers = values(row, node.attrs)
      const real = scalarFn(row, 'f32')!
      return tabulated(x, y, (v: Scalar) => real(v, ...numbers))
    }
  }
}

function lowerStored(name: string, row: Unary, node: Node<UnaryAttrs>) {
  if (name === 'leaky_relu') {
    const { numbers, expr } = lowerSlopes(node, node.attrs.alpha)
    return elementwise(name, node, numbers, (q) => [[], expr(q)])
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
    ...ELEMENTWISE,
  }
  return op
}

export const abs = unary('abs', ROWS.abs)
export const neg = unary('neg', ROWS.neg)
export const sqrt = unary('sqrt', ROWS.sqrt)
export const rsqrt = unary('rsqrt', ROWS.rsqrt)
export const reciprocal = unary('reciprocal', ROWS.reciprocal)
export const square = unary('square', ROWS.square)
export const exp = unary('exp', ROWS.exp)
export const floor = unary('floor', ROWS.floor)
export const ceil = unary('ceil', ROWS.ceil)
export const round = unary('round', ROWS.round)
export const sign = unary('sign', ROWS.sign)
export const logicalNot = unary('logical_not', ROWS.logical_not)
export const bitwiseNot = unary('bitwise_not', ROWS.bitwise_not)
export const isNan = unary('is_nan', ROWS.is_nan)
export const elu = unary('elu', ROWS.elu)
export const selu = unary('selu', ROWS.selu)
export const celu = unary('celu', ROWS.celu)
export const leakyRelu = unary('leaky_relu', ROWS.leaky_relu)
export const thresholdedRelu = unary('thresholded_relu', ROWS.thresholded_relu)
export const hardSigmoid = unary('hard_sigmoid', ROWS.hard_sigmoid)
export const softsign = unary('softsign', ROWS.softsign)
export const swish = unary('swish', ROWS.swish)
/** Both forms of Gelu: with the error function, or its approximation by tanh. */
export const geluTanh = unary('gelu_tanh', ROWS.gelu_tanh)
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
export const log = unary('log', ROWS.log)
export const sin = unary('sin', ROWS.sin)
export const cos = unary('cos', ROWS.cos)
export const erf = unary('erf', ROWS.erf)
export const softplus = unary('softplus', ROWS.softplus)
export const mish = unary('mish', ROWS.mish)
