// Reductions over a list of axes, one operator for each row of the table, in the order in which the elements lie. int8
// and int16 means and sums follow TensorFlow Lite Micro's reference kernel, which takes one way for all shapes and
// scales: the int32 sum of (stored - zero point), requantised once, with 1 / n folded into the Q31 multiplier of a mean.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, printTensorType, sameQuant, type TensorType, type Value } from '../../ir/graph.ts'
import type { Attrs, Bounds, OnnxSpelling, Op, TfliteSpelling } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import { exp, expf, log, logf } from '../../loops/float.ts'
import { count, type Data } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { arithmeticOf } from '../arithmetic.ts'
import { fits, together } from '../channels.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { axisOf, listOf, numberAttr } from '../onnx.ts'
import { expectDtype, perTensor, quantizeMultiplier, rangeOf } from '../quant.ts'
import { type Scalar, scalarsOf, tensorOf } from '../scalars.ts'
import { int32Constant, operand, reading } from '../tflite.ts'
import { lower } from './lower.ts'
import { type Reduction, TABLE } from './table.ts'

/** `axes`: rising, each once, from 0. Without `keepDims` they vanish from the shape, with it they become 1. */
export type Reduce = Attrs & { readonly axes: readonly number[]; readonly keepDims: boolean }

function infer(inputs: readonly (TensorType | undefined)[], { axes, keepDims }: Reduce): TensorType[] {
  const x = inputs[0]!
  const shape = keepDims
    ? x.shape.map((d, i) => (axes.includes(i) ? 1 : d))
    : x.shape.filter((_, i) => !axes.includes(i))
  return [{ dtype: x.dtype, shape, ...(x.quant && { quant: x.quant }) }]
}

/** How many elements go into one output. */
export function reducedCount(node: Node<Reduce>): number {
  return count(node.attrs.axes.map((a) => node.inputs[0]!.type.shape[a]))
}

/** A quantised sum or mean is requantised; a greatest or least element is as it was stored. */
export function requantises(node: Node<Reduce>, r: Reduction): boolean {
  return r.combine === 'add' && node.inputs[0]!.type.quant !== undefined
}

/** The multiplier of a quantised sum: s_x / s_y, for a mean divided by n with as many bits kept as the shift leaves room for. */
export function reduceMultiplier(node: Node<Reduce>, r: Reduction): { multiplier: number; shift: number } {
  const { multiplier, shift } = quantizeMultiplier(
    node.inputs[0]!.type.quant!.scale[0] / node.outputs[0].type.quant!.scale[0],
  )
  if (r.finish !== 'mean') return { multiplier, shift }
  const n = reducedCount(node)
  const extra = Math.min(31 - Math.clz32(n), 31 + shift)
  return { multiplier: Number((BigInt(multiplier) << BigInt(extra)) / BigInt(n)), shift: shift - extra }
}

/** Axes of a file: any order, negative ones from the end, repeated ones once. */
function rising(axes: readonly number[], rank: number, where: string): number[] {
  return rank === 0 ? [] : [...new Set(axes.map((a) => axisOf(a, rank, where)))].sort((a, b) => a - b)
}

function axesOfTflite(axis: Value | undefined, rank: number, where: string): number[] {
  if (!axis?.data || axis.storage !== 'const' || axis.type.dtype !== 'i32')
    throw new ModelError(
      where,
      `axes "${axis?.name}" are ${axis?.storage} ${axis?.type.dtype}, must be a constant of i32`,
    )
  return rising(Array.from(axis.data as Int32Array), rank, where)
}

function tfliteSpelling(
  r: Reduction,
  { name, code, only }: Reduction['tflite'][number],
  op: () => Op<Reduce>,
): TfliteSpelling<Reduce> {
  return {
    name,
    code,
    options: { id: 27, fields: { keep_dims: { slot: 0, type: 'bool', default: false } } },
    read(build, node) {
      const where = reading(r.name, node)
      const x = operand(node, 0, 'input', where)
      if (only && x.type.dtype !== only) throw new ModelError(where, `input is ${x.type.dtype}, ${name} takes ${only}`)
      const axes = axesOfTflite(node.inputs[1], x.type.shape.length, where)
      return build.add(op(), [x], { axes, keepDims: node.options.keep_dims === true }, node.result)
    },
    write({ inputs, attrs, from }) {
      const { dtype } = inputs[0]!.type
      if (only ? dtype !== only : dtype === 'bool') return undefined
      const axis = int32Constant(`${from}/axes`, attrs.axes, [attrs.axes.length])
      return { inputs: [inputs[0], axis], options: { keep_dims: attrs.keepDims } }
    },
  }
}

function onnxSpelling(r: Reduction, op: () => Op<Reduce>): OnnxSpelling<Reduce> {
  return {
    name: r.onnx,
    read(build, node) {
      const where = reading(r.name, node)
      const x = operand(node, 0, 'input', where)
      const rank = x.type.shape.length
      const given = listOf(node, 'axes', 1, where) ?? []
      const none = given.length === 0 && numberAttr(node, 'noop_with_empty_axes', 0) !== 0
      const axes = given.length > 0 || none ? rising(given, rank, where) : x.type.shape.map((_, d) => d)
      return build.add(op(), [x], { axes, keepDims: numberAttr(node, 'keepdims', 1) !== 0 }, node.result)
    },
    write({ inputs, outputs, attrs: { axes, keepDims } }) {
      const type = { dtype: 'i64', shape: [axes.length] } as const
      const list: Value = {
        name: `${outputs[0].name}/axes`,
        type,
        storage: 'const',
        data: BigInt64Array.from(axes, BigInt),
      }
      return { inputs: [inputs[0], list], attrs: { keepdims: Number(keepDims), noop_with_empty_axes: 1 } }
    },
  }
}

function check(node: Node<Reduce>, r: Reduction): void {
  const where = layer(node)
  expectInputs(node, 1)
  const x = node.inputs[0]!.type
  const { axes } = node.attrs
  expectDtype(x, x.quant ? r.quantised : r.plain, x.quant ? 'quantised input' : 'input', where)
  if (axes.some((a, i) => !Number.isInteger(a) || a < 0 || a >= x.shape.length || (i > 0 && a <= axes[i - 1])))
    throw new ModelError(where, `axes [${axes}] must rise and lie within the input's ${x.shape.length} dimensions`)
  expectOutputs(
    node,
    infer(
      node.inputs.map((v) => v?.type),
      node.attrs,
    ),
  )
  if (reducedCount(node) === 0 && (r.finish === 'mean' || x.quant || x.dtype === 'bool'))
    throw new ModelError(
      where,
      `${r.name} over no elements of ${printTensorType(x)}, supported are numbers without scales, except for mean`,
    )
  if (!x.quant) return
  perTensor(x, 'input', where)
  perTensor(node.outputs[0].type, 'output', where)
  if (!requantises(node, r) && !sameQuant(x.quant, node.outputs[0].type.quant))
    throw new ModelError(where, `input and output differ in scale or zero point, ${r.name} needs the same`)
}

/** For each element of x, the number of the output that it goes into. */
function outputNumbers(node: Node<Reduce>, n: number): Int32Array {
  const { axes } = node.attrs
  return Int32Array.from({ length: n }, (_, i) => {
    let [at, rest, size] = [0, i, n]
    node.inputs[0]!.type.shape.forEach((d, axis) => {
      size /= d
      const index = Math.floor(rest / size)
      rest -= index * size
      if (!axes.includes(axis)) at = at * d + index
    })
    return at
  })
}

/** The greatest element for each output; 0 where that is not finite, so that differences to it are no NaN. */
function greatestFinite(x: ArrayLike<number>, to: Int32Array, outputs: number): number[] {
  const greatest = new Array<number>(outputs).fill(Number.NEGATIVE_INFINITY)
  for (let i = 0; i < x.length; i++) if (greatest[to[i]] < x[i]) greatest[to[i]] = x[i]
  return greatest.map((g) => (Number.isFinite(g) ? g : 0))
}

function evaluate(node: Node<Reduce>, r: Reduction, x: Data): Data {
  const elem = outputElem(node)
  const A = arithmeticOf(elem)
  const X = scalarsOf(x)
  const to = outputNumbers(node, X.length)
  const range = rangeOf(node.inputs[0]!.type.dtype)
  const start =
    Number.isFinite(r.start) || elem.startsWith('f') || elem === 'i64' ? r.start : r.start < 0 ? range.min : range.max
  const acc = Array.from({ length: count(node.outputs[0].type.shape) }, () => A.of(start))
  const [e, ln] = elem === 'f64' ? [exp, log] : [expf, logf]
  const greatest = r.each === 'exp' ? greatestFinite(X as ArrayLike<number>, to, acc.length) : []
  const each = (v: Scalar, i: number): Scalar => {
    if (r.each === 'exp') return e(A.sub(v, A.of(greatest[to[i]])) as number)
    return r.each === 'abs' ? A.abs(v) : r.each === 'square' ? A.mul(v, v) : v
  }
  for (let i = 0; i < X.length; i++) acc[to[i]] = A[r.combine](acc[to[i]], each(X[i], i))
  const n = A.of(reducedCount(node))
  const finish = (v: Scalar): Scalar =>
    r.finish === 'mean' ? A.div(v, n) : r.finish === 'sqrt' ? A.of(Math.sqrt(v as number)) : v
  return tensorOf(elem, acc.length, (i) => {
    if (r.finish !== 'log') return finish(acc[i])
    const l = ln(acc[i] as number)
    return r.each === 'exp' ? A.add(l, A.of(greatest[i])) : l
  })
}

/** The stored output of a quantised sum or mean, from the sum of stored elements. */
function requantised(node: Node<Reduce>, r: Reduction): (sum: number) => number {
  const { type } = node.outputs[0]
  const [zx, zy] = [node.inputs[0]!.type.quant!.zero[0], type.quant!.zero[0]]
  const { multiplier, shift } = reduceMultiplier(node, r)
  const { min, max } = rangeOf(type.dtype)
  const n = reducedCount(node)
  return (sum) => {
    const v = (requant((sum - zx * n) | 0, multiplier, shift) + zy) | 0
    return v < min ? min : v > max ? max : v
  }
}

function evaluateQuantised(node: Node<Reduce>, r: Reduction, x: Data): Data {
  const X = numbers(x)
  const to = outputNumbers(node, X.length)
  const sums = new Int32Array(count(node.outputs[0].type.shape))
  for (let i = 0; i < X.length; i++) sums[to[i]] += X[i]
  const finish = requantised(node, r)
  return tensorOf(outputElem(node), sums.length, (i) => finish(sums[i]))
}

function reducesChannels({ inputs, attrs: { axes } }: Node<Reduce>): boolean {
  return axes.includes(inputs[0]!.type.shape.length - 1)
}

function bounds(node: Node<Reduce>, r: Reduction, x: Bounds | undefined): Bounds | undefined {
  if (!x || reducesChannels(node) || !requantises(node, r)) return undefined
  const n = reducedCount(node)
  if (!fits(-255 * n, 255 * n, reduceMultiplier(node, r).shift)) return undefined
  const finish = requantised(node, r)
  return { least: x.least.map((v) => finish(v * n)), most: x.most.map((v) => finish(v * n)) }
}

function reduction(r: Reduction): Op<Reduce> {
  const op: Op<Reduce> = {
    name: r.name,
    spelled: {
      tflite: r.tflite.map((spelling) => tfliteSpelling(r, spelling, () => op)),
      onnx: [onnxSpelling(r, () => op)],
    },
    infer,
    check: (node) => check(node, r),
    eval: (node, [x]) => [requantises(node, r) ? evaluateQuantised(node, r, x!) : evaluate(node, r, x!)],
    lower: (node) => lower(node, r),
    empty: true,
    quantize: () => (r.quantised.includes('i8') ? { output: r.combine === 'add' ? 'own' : 'shared' } : undefined),
    cost: (node) => costOf(node, 0),
    bounds: (node, [x]) => bounds(node, r, x),
    narrow: (node, free) => (reducesChannels(node) ? undefined : together(node, free)),
    permute({ attrs }, perm) {
      const axes = attrs.axes.map((a) => perm[a])
      // Elements must combine in the same order.
      if (axes.some((a, i) => i > 0 && a < axes[i - 1])) return undefined
      if (attrs.keepDims) return { attrs: { ...attrs, axes }, perm }
      const kept = perm.filter((p) => !axes.includes(p))
      return { attrs: { ...attrs, axes }, perm: kept.map((p) => kept.filter((q) => q < p).length) }
    },
  }
  return op
}

/**
 * Means over `axes` (rising, from 0), which vanish or, with `keepDims`, become 1. f32, f64, f16, i32, i64; i8 and i16
 * with scales. TFLite MEAN, ONNX ReduceMean.
 */
export const mean = reduction(TABLE.mean)
/**
 * Sums over `axes` (rising, from 0), which vanish or, with `keepDims`, become 1. f32, f64, f16, i32, i64; i8 and i16
 * with scales. TFLite SUM, ONNX ReduceSum.
 */
export const sum = reduction(TABLE.sum)
/**
 * Products over `axes` (rising, from 0), which vanish or, with `keepDims`, become 1. f32, f64, f16, i32, i64. TFLite
 * REDUCE_PROD, ONNX ReduceProd.
 */
export const reduceProd = reduction(TABLE.prod)
/**
 * Greatest elements over `axes` (rising, from 0), which vanish or, with `keepDims`, become 1. f32, f64, f16, i32, i64,
 * i16, i8, u8, bool; with scales i8, i16 and u8. TFLite REDUCE_MAX, REDUCE_ANY (bool), ONNX ReduceMax.
 */
export const reduceMax = reduction(TABLE.max)
/** Least elements; shape and types as `reduceMax`. TFLite REDUCE_MIN, REDUCE_ALL (bool), ONNX ReduceMin. */
export const reduceMin = reduction(TABLE.min)
/**
 * Sums of |x| over `axes` (rising, from 0), which vanish or, with `keepDims`, become 1. f32, f64, f16, i32, i64. ONNX
 * ReduceL1.
 */
export const reduceL1 = reduction(TABLE.l1)
/**
 * sqrt(sum of x^2) over `axes` (rising, from 0), which vanish or, with `keepDims`, become 1. f32, f64, f16. ONNX
 * ReduceL2.
 */
export const reduceL2 = reduction(TABLE.l2)
/**
 * Sums of x^2 over `axes` (rising, from 0), which vanish or, with `keepDims`, become 1. f32, f64, f16, i32, i64. ONNX
 * ReduceSumSquare.
 */
export const reduceSumSquare = reduction(TABLE.sumSquare)
/**
 * log(sum of x) over `axes` (rising, from 0), which vanish or, with `keepDims`, become 1. f32, f64, f16. ONNX
 * ReduceLogSum.
 */
export const reduceLogSum = reduction(TABLE.logSum)
/**
 * max + log(sum of e^(x - max)) over `axes` (rising, from 0), which vanish or, with `keepDims`, become 1. f32, f64,
 * f16. ONNX ReduceLogSumExp.
 */
export const reduceLogSumExp = reduction(TABLE.logSumExp)
