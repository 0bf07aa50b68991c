// ONNX's operators on quantised integers: QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger, and the QLinear family
// of com.microsoft. Tensors are int8 and sums int32, scaled in float32 and rounded once, halves to even, as ONNX Runtime
// does. Where several zero points stand beside one tensor, integers minus zero points are computed with as float32
// numbers, which hold every whole number up to 2^24; where constant weights do not prove that sums stay below, the
// operator is refused.

import { ModelError } from '../../errors.ts'
import type { Builder, NodeOptions } from '../../ir/build.ts'
import type { Quant, Value } from '../../ir/graph.ts'
import type { OnnxNode, OnnxSpelling } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { add, div, mul, sub } from '../binary/op.ts'
import { cast } from '../cast/op.ts'
import { clamp } from '../clamp/op.ts'
import { convolve, inner } from '../conv2d/onnx.ts'
import type { Scaling } from '../float_scale.ts'
import { fullyConnected } from '../fully_connected/op.ts'
import { matmul } from '../matmul/op.ts'
import { product } from '../matmul/spellings.ts'
import { numberAttr } from '../onnx.ts'
import { maximum, minimum } from '../pairwise/op.ts'
import { rangeOf } from '../quant.ts'
import { along, dequantized, quantized } from '../quantize/onnx.ts'
import { retype } from '../quantize/retype.ts'
import { int8Form, int8Quant, plainForm } from '../quantize/stored.ts'
import { mean, reduceMax, reduceMin } from '../reduce/op.ts'
import { reshape } from '../shape/reshape.ts'
import { transpose } from '../shape/transpose.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'
import { round } from '../unary/op.ts'

/** The numbers of input `i`, or one zero where it is absent. */
function numbersOf(node: OnnxNode, i: number, what: string, where: string): number[] {
  return node.inputs[i] ? constantNumbers(node, i, what, where) : [0]
}

function single(values: readonly number[], what: string, where: string): number {
  if (values.length !== 1) throw new ModelError(where, `${what} has ${values.length} numbers, supported is one`)
  return values[0]
}

/** x - zero as float32, exactly. `axis`: where several zero points lie. */
function centred(
  build: Builder,
  node: OnnxNode,
  x: Value,
  zeros: readonly number[],
  axis: number,
  what: string,
): Value {
  if (x.type.dtype !== 'i8' && x.type.dtype !== 'u8')
    throw new ModelError(reading('quantised', node), `${what} is ${x.type.dtype}, supported are i8 and u8`)
  if (x.storage === 'const' && x.data) {
    const { shape } = x.type
    const each = zeros.length === 1 ? count(shape) : count(shape.slice(axis + 1))
    const data = Float32Array.from(x.data as Int8Array, (v, i) => v - zeros[Math.floor(i / each) % zeros.length])
    return build.const(inner(node, what).names[0], { dtype: 'f32', shape }, data)
  }
  const zero = single(zeros, `zero point of ${what}`, reading('quantised', node))
  return dequantized(build, x, 1, zero, inner(node, what), inner(node, `${what}_stored`).names[0])
}

/** The largest |x - zero| that a type holds. */
function reach(x: Value, zeros: readonly number[]): number {
  const { min, max } = rangeOf(x.type.dtype)
  return Math.max(...zeros.map((z) => Math.max(max - z, z - min)))
}

/** Throws where a sum of products may be 2^24 or more. `sums`: of |w| for each output, times `reach` of the input. */
function expectExact(most: number, where: string): void {
  if (most >= 2 ** 24)
    throw new ModelError(
      where,
      `sums reach ${most}, exact float32 sums stay below ${2 ** 24}`,
      'export the model as QDQ, or in float',
    )
}

function largestSum(w: Value, outputs: number, outputOf: (i: number) => number): number {
  const sums = new Float64Array(outputs)
  ;(w.data as Float32Array).forEach((v, i) => {
    sums[outputOf(i)] += Math.abs(v)
  })
  return Math.max(...sums)
}

/** The integer convolution as exact float32 numbers. */
function integerConv(
  build: Builder,
  node: OnnxNode,
  at: { x: number; xZero: number; w: number; wZero: number; bias?: number },
  where: string,
): Value {
  const [x, w] = [operand(node, at.x, 'input', where), operand(node, at.w, 'weight', where)]
  const xZeros = numbersOf(node, at.xZero, 'zero point of the input', where)
  const W = centred(build, node, w, numbersOf(node, at.wZero, 'zero point of the weight', where), 0, 'weight')
  const O = w.type.shape[0]
  const each = count(w.type.shape.slice(1))
  const sum = W.storage === 'const' ? largestSum(W, O, (i) => Math.floor(i / each)) : 255 * each
  const b = at.bias === undefined ? undefined : node.inputs[at.bias]
  const biases = b ? constantNumbers(node, at.bias!, 'bias', where) : [0]
  expectExact(sum * reach(x, xZeros) + Math.max(...biases.map(Math.abs)), where)
  const bias = b && build.const(inner(node, 'bias').names[0], { dtype: 'f32', shape: [O] }, Float32Array.from(biases))
  const X = centred(build, node, x, xZeros, 1, 'input')
  const named = { ...node, result: inner(node, 'sums') }
  return convolve(build, named, X, W, bias, where)
}

function integerMatmul(
  build: Builder,
  node: OnnxNode,
  at: { a: number; aZero: number; b: number; bZero: number },
  where: string,
): Value {
  const [a, b] = [operand(node, at.a, 'A', where), operand(node, at.b, 'B', where)]
  const [za, zb] = [
    numbersOf(node, at.aZero, 'zero point of A', where),
    numbersOf(node, at.bZero, 'zero point of B', where),
  ]
  const [A, B] = [
    centred(build, node, a, za, Math.max(0, a.type.shape.length - 2), 'a'),
    centred(build, node, b, zb, b.type.shape.length - 1, 'b'),
  ]
  const K = a.type.shape.at(-1) ?? 1
  const N = b.type.shape.at(-1) ?? 1
  const sum = B.storage === 'const' && b.type.shape.length === 2 ? largestSum(B, N, (i) => i % N) : K * reach(b, zb)
  expectExact(sum * reach(a, za), where)
  return product(build, { ...node, result: inner(node, 'sums') }, A, B)
}

/** Exact sums times float32 multipliers along `axis`, rounded once. */
function rescaled(
  build: Builder,
  node: OnnxNode,
  sums: Value,
  factors: readonly number[],
  axis: number,
  zeroInput: number,
  where: string,
): Value {
  const M =
    factors.length === 1
      ? build.const(inner(node, 'factor').names[0], { dtype: 'f32', shape: [] }, Float32Array.of(factors[0]))
      : along(build, inner(node, 'factors').names[0], factors, axis, sums.type.shape.length)
  const steps = build.one(mul, [sums, M], { clamp: {} }, inner(node, 'steps'))
  return stored(build, node, steps, 1, zeroInput, where)
}

function stored(build: Builder, node: OnnxNode, v: Value, scale: number, zeroInput: number, where: string): Value {
  const zero = single(numbersOf(node, zeroInput, 'zero point of the output', where), 'zero point of the output', where)
  const dtype = node.inputs[zeroInput]?.type.dtype ?? 'u8'
  return quantized(build, v, dtype, scale, zero, node.result, inner(node, 'stored').names[0])
}

function scalesOf(node: OnnxNode, a: number, b: number, y: number, where: string): number[] {
  const sa = single(constantNumbers(node, a, 'scale', where), 'scale of the input', where)
  const sy = single(constantNumbers(node, y, 'scale', where), 'scale of the output', where)
  return constantNumbers(node, b, 'scale', where).map((sb) => Math.fround(Math.fround(sa * sb) / sy))
}

/** Which inputs a node on quantised integers has where; scales and bias only where the node has them. */
interface Places {
  readonly a: number
  readonly aScale?: number
  readonly aZero: number
  readonly b: number
  readonly bScale?: number
  readonly bZero: number
  readonly bias?: number
  readonly y?: { readonly scale: number; readonly zero: number }
}

const CONV: Places = { a: 0, aScale: 1, aZero: 2, b: 3, bScale: 4, bZero: 5, bias: 8, y: { scale: 6, zero: 7 } }
const MATMUL: Places = { a: 0, aScale: 1, aZero: 2, b: 3, bScale: 4, bZero: 5, y: { scale: 6, zero: 7 } }
const INTEGER: Places = { a: 0, aZero: 2, b: 1, bZero: 3 }

/** Operands in int8, the second as it is stored; undefined where zero points are several, which int8 kernels do not have. */
function int8Operands(build: Builder, node: OnnxNode, at: Places, where: string) {
  const [a, b] = [operand(node, at.a, 'first operand', where), operand(node, at.b, 'second operand', where)]
  const scales = (i: number | undefined) => (i === undefined ? [1] : constantNumbers(node, i, 'scale', where))
  const [za, zb] = [numbersOf(node, at.aZero, 'zero point', where), numbersOf(node, at.bZero, 'zero point', where)]
  const [sa, sb] = [scales(at.aScale), scales(at.bScale)]
  if (sa.length !== 1 || [za, zb].some((z) => z.some((v) => v !== z[0]))) return undefined
  const zero = int8Quant(b.type.dtype, 1, zb[0]).zero[0]
  if (sb.length > 1 && zero !== 0) return undefined
  const A = int8Form(build, node, a, sa[0], za[0], 'a')
  const B = int8Form(build, node, b, 1, zb[0], 'b')
  const weight = { scale: Float64Array.from(sb, Math.fround), zero: new Int32Array(sb.length).fill(zero) }
  if (!at.y) return { A, B, weight, scaling: 'none' as const, options: node.result }
  const sy = single(constantNumbers(node, at.y.scale, 'scale', where), 'scale of the output', where)
  const zy = single(numbersOf(node, at.y.zero, 'zero point', where), 'zero point of the output', where)
  const dtype = node.inputs[at.y.zero]?.type.dtype ?? 'u8'
  const quant = int8Quant(dtype, sy, zy)
  return { A, B, weight, scaling: 'float' as const, quant, dtype, options: { ...inner(node, 'int8'), quant } }
}

function convReading(name: string, at: Places): OnnxSpelling {
  return {
    name,
    read(build, node) {
      const where = reading('conv', node)
      const int8 = int8Operands(build, node, at, where)
      if (int8) {
        const { A, B, dtype } = int8
        const bias = at.bias === undefined ? undefined : node.inputs[at.bias]
        const form = convolve(
          build,
          { ...node, result: dtype ? inner(node, 'int8') : node.result },
          A,
          B,
          bias,
          where,
          int8,
        )
        return [dtype ? plainForm(build, node, form, dtype) : form]
      }
      const sums = integerConv(
        build,
        node,
        { x: at.a, xZero: at.aZero, w: at.b, wZero: at.bZero, bias: at.bias },
        where,
      )
      if (!at.y) return build.add(cast, [sums], { to: 'i32' }, node.result)
      return [rescaled(build, node, sums, scalesOf(node, 1, 4, 6, where), 1, 7, where)]
    },
  }
}

function matmulReading(name: string, at: Places): OnnxSpelling {
  return {
    name,
    read(build, node) {
      const where = reading('matmul', node)
      const [a, b] = [operand(node, at.a, 'A', where), operand(node, at.b, 'B', where)]
      const layered = b.type.shape.length === 2 && b.storage === 'const'
      const matrices = a.type.shape.length > 1 && b.type.shape.length > 1
      const int8 = layered || matrices ? int8Operands(build, node, at, where) : undefined
      if (int8 && (layered || int8.weight.scale.length === 1)) {
        const { A, B, weight, scaling, options, dtype } = int8
        const form = layered
          ? dense(build, node, A, B, { ...weight, ...(weight.scale.length > 1 && { axis: 0 }) }, scaling, options)
          : build.one(
              matmul,
              [A, build.one(retype, [B], {}, { ...inner(node, 'b_stored'), quant: weight })],
              { transA: false, transB: false, scaling },
              options,
            )
        return [dtype ? plainForm(build, node, form, dtype) : form]
      }
      const sums = integerMatmul(build, node, { a: at.a, aZero: at.aZero, b: at.b, bZero: at.bZero }, where)
      if (!at.y) return build.add(cast, [sums], { to: 'i32' }, node.result)
      return [rescaled(build, node, sums, scalesOf(node, 1, 4, 6, where), sums.type.shape.length - 1, 7, where)]
    },
  }
}

/** A product with a constant matrix [K, N], which a fully connected layer has as [N, K]; `transB`: as the file has it. */
function dense(
  build: Builder,
  node: OnnxNode,
  a: Value,
  b: Value,
  quant: Quant,
  scaling: Scaling,
  options: NodeOptions,
  transB = false,
  bias?: Value,
): Value {
  const turned = transB ? b : build.one(transpose, [b], { perm: [1, 0] }, inner(node, 'weight'))
  const weight = build.one(retype, [turned], {}, { ...inner(node, 'weight_stored'), quant })
  return build.one(fullyConnected, [a, weight, bias], { clamp: {}, keepDims: true, scaling }, options)
}

const GEMM: Places = { ...MATMUL, bias: 6, y: { scale: 7, zero: 8 } }

const gemm: OnnxSpelling = {
  name: 'QGemm',
  domain: 'com.microsoft',
  read(build, node) {
    const where = reading('gemm', node)
    const transB = numberAttr(node, 'transB', 0) !== 0
    const int8 = int8Operands(build, node, GEMM, where)
    const bias = node.inputs[6]
    const plain = numberAttr(node, 'transA', 0) === 0 && numberAttr(node, 'alpha', 1) === 1
    if (!int8?.dtype || !plain || int8.B.storage !== 'const' || int8.B.type.shape.length !== 2)
      throw new ModelError(
        where,
        `has alpha ${numberAttr(node, 'alpha', 1)}, transA ${numberAttr(node, 'transA', 0)} and B [${int8?.B.type.shape}]`,
        'supported are constant matrices B with one zero point, alpha 1 and transA 0',
      )
    const { A, B, weight, scaling, options, dtype } = int8
    const row = bias && build.one(reshape, [bias], { shape: [count(bias.type.shape)] }, inner(node, 'bias'))
    const quant = { ...weight, ...(weight.scale.length > 1 && { axis: 0 }) }
    return [plainForm(build, node, dense(build, node, A, B, quant, scaling, options, transB, row), dtype)]
  },
}

/** Inputs i, i + 1, i + 2 are a tensor, its scale and its zero point. */
function realOf(build: Builder, node: OnnxNode, i: number, what: string, where: string): Value {
  const scale = single(constantNumbers(node, i + 1, 'scale', where), 'scale', where)
  const zero = single(numbersOf(node, i + 2, 'zero point', where), 'zero point', where)
  const x = operand(node, i, what, where)
  return dequantized(build, x, scale, zero, inner(node, what), inner(node, `${what}_stored`).names[0])
}

function binary(name: string, op: typeof add): OnnxSpelling {
  return {
    name,
    domain: 'com.microsoft',
    read(build, node) {
      const where = reading(op.name, node)
      const number = (i: number) => single(constantNumbers(node, i, 'scale', where), 'scale', where)
      const zero = (i: number) => single(numbersOf(node, i, 'zero point', where), 'zero point', where)
      const operands = [0, 3].map((i) =>
        int8Form(build, node, operand(node, i, 'an operand', where), number(i + 1), zero(i + 2), i ? 'b' : 'a'),
      )
      const dtype = node.inputs[7]?.type.dtype ?? node.inputs[0]!.type.dtype
      const quant = int8Quant(dtype, number(6), zero(7))
      const form = build.one(op, operands, { clamp: {}, scaling: 'float' }, { ...inner(node, 'int8'), quant })
      return [plainForm(build, node, form, dtype)]
    },
  }
}

const globalAverage: OnnxSpelling = {
  name: 'QLinearGlobalAveragePool',
  domain: 'com.microsoft',
  read(build, node) {
    const where = reading('mean', node)
    const x = realOf(build, node, 0, 'input', where)
    const last = numberAttr(node, 'channels_last', 0) !== 0
    const axes = x.type.shape.flatMap((_, d) => (d === 0 || d === (last ? x.type.shape.length - 1 : 1) ? [] : [d]))
    const y = build.one(mean, [x], { axes, keepDims: true }, inner(node, 'real'))
    const scale = single(constantNumbers(node, 3, 'scale', where), 'scale of the output', where)
    return [stored(build, node, y, scale, 4, where)]
  },
}

/** Scale and zero point from the tensor's own extremes, which are widened to hold zero. */
const dynamic: OnnxSpelling = {
  name: 'DynamicQuantizeLinear',
  read(build, node) {
    const { result } = node
    const x = operand(node, 0, 'input', reading('dynamic_quantize', node))
    const number = (what: string, v: number) =>
      build.const(inner(node, what).names[0], { dtype: 'f32', shape: [] }, Float32Array.of(v))
    const named = (i: number) => ({
      from: result.from,
      names: [result.names?.[i] || inner(node, `output_${i}`).names[0]],
    })
    const zero = number('zero', 0)
    const all = { axes: x.type.shape.map((_, d) => d), keepDims: false }
    const high = build.one(maximum, [build.one(reduceMax, [x], all, inner(node, 'max')), zero], {}, inner(node, 'high'))
    const low = build.one(minimum, [build.one(reduceMin, [x], all, inner(node, 'min')), zero], {}, inner(node, 'low'))
    const range = build.one(sub, [high, low], { clamp: {} }, inner(node, 'range'))
    const scale = build.one(div, [range, number('steps', 255)], { clamp: {} }, named(1))
    const limits = { min: 0, max: 255 }
    const shift = build.one(
      sub,
      [zero, build.one(div, [low, scale], { clamp: {} }, inner(node, 'start'))],
      { clamp: {} },
      inner(node, 'shift'),
    )
    const point = build.one(clamp, [build.one(round, [shift], {}, inner(node, 'near'))], limits, inner(node, 'point'))
    const steps = build.one(
      round,
      [build.one(div, [x, scale], { clamp: {} }, inner(node, 'quotient'))],
      {},
      inner(node, 'rounded'),
    )
    const y = build.one(add, [steps, point], { clamp: limits }, inner(node, 'stored'))
    return [build.one(cast, [y], { to: 'u8' }, named(0)), scale, build.one(cast, [point], { to: 'u8' }, named(2))]
  },
}

export const qlinear: readonly OnnxSpelling[] = [
  convReading('QLinearConv', CONV),
  convReading('ConvInteger', INTEGER),
  matmulReading('QLinearMatMul', MATMUL),
  matmulReading('MatMulInteger', INTEGER),
  gemm,
  dynamic,
  binary('QLinearAdd', add),
  binary('QLinearMul', mul),
  globalAverage,
]
