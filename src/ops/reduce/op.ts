// Reductions over a list of axes: mean and sum, f32 and int8, in the order in which the elements lie. int8 follows
// TensorFlow Lite Micro's reference kernel, which takes one way for all shapes and scales: the int32 sum of
// (stored - zero point), requantised once, with 1 / n folded into the Q31 multiplier of a mean.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType, Value } from '../../ir/graph.ts'
import type { Attrs, Op, TfliteSpelling } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import { count, newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { expectDtype, perTensor, quantizeMultiplier } from '../quant.ts'
import { lower } from './lower.ts'

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

/** The multiplier of the int8 sum: s_x / s_y, for a mean divided by n with as many bits kept as the shift leaves room for. */
export function reduceMultiplier(node: Node<Reduce>, divides: boolean): { multiplier: number; shift: number } {
  const { multiplier, shift } = quantizeMultiplier(
    node.inputs[0]!.type.quant!.scale[0] / node.outputs[0].type.quant!.scale[0],
  )
  if (!divides) return { multiplier, shift }
  const n = reducedCount(node)
  const extra = Math.min(31 - Math.clz32(n), 31 + shift)
  return { multiplier: Number((BigInt(multiplier) << BigInt(extra)) / BigInt(n)), shift: shift - extra }
}

/** Axes of a file: any order, negative ones from the end, repeated ones once. */
function axesOfTflite(axis: Value | undefined, rank: number, where: string): number[] {
  if (!axis?.data || axis.storage !== 'const' || axis.type.dtype !== 'i32')
    throw new ModelError(
      where,
      `axes "${axis?.name}" are ${axis?.storage} ${axis?.type.dtype}, must be a constant of i32`,
    )
  const axes = Array.from(axis.data as Int32Array, (a) => (a < 0 ? a + rank : a))
  const wrong = axes.find((a) => a < 0 || a >= rank)
  if (wrong !== undefined && rank > 0)
    throw new ModelError(where, `axis ${wrong} is outside the input's ${rank} dimensions`)
  return rank === 0 ? [] : [...new Set(axes)].sort((a, b) => a - b)
}

function spelling(name: string, code: number, op: () => Op<Reduce>): TfliteSpelling<Reduce> {
  return {
    name,
    code,
    options: { id: 27, fields: { keep_dims: { slot: 0, type: 'bool', default: false } } },
    read(build, { inputs: [x, axis], options, result }) {
      const where = `${op().name} "${result.from}"`
      if (!x) throw new ModelError(where, 'has no input')
      const axes = axesOfTflite(axis, x.type.shape.length, where)
      return build.add(op(), [x], { axes, keepDims: options.keep_dims === true }, result)
    },
    write({ inputs, attrs, from }) {
      const data = Int32Array.from(attrs.axes)
      const axis: Value = { name: `${from}/axes`, type: { dtype: 'i32', shape: [data.length] }, storage: 'const', data }
      return { inputs: [inputs[0], axis], options: { keep_dims: attrs.keepDims } }
    },
  }
}

function check(node: Node<Reduce>): void {
  const where = layer(node)
  expectInputs(node, 1)
  const x = node.inputs[0]!.type
  const { axes } = node.attrs
  expectDtype(x, ['f32', 'i8'], 'input', where)
  if (axes.some((a, i) => !Number.isInteger(a) || a < 0 || a >= x.shape.length || (i > 0 && a <= axes[i - 1])))
    throw new ModelError(where, `axes [${axes}] must rise and lie within the input's ${x.shape.length} dimensions`)
  expectOutputs(
    node,
    infer(
      node.inputs.map((v) => v?.type),
      node.attrs,
    ),
  )
  if (x.dtype === 'f32') return
  perTensor(x, 'input', where)
  perTensor(node.outputs[0].type, 'output', where)
}

function reduction(name: string, code: number, divides: boolean): Op<Reduce> {
  const op: Op<Reduce> = {
    name,
    spelled: { tflite: [spelling(name.toUpperCase(), code, () => op)] },
    infer,
    check,
    eval(node, [x]) {
      const X = numbers(x)
      const [xt, yt] = [node.inputs[0]!.type, node.outputs[0].type]
      const { axes } = node.attrs
      const float = xt.dtype === 'f32'
      const sums = new Float64Array(count(yt.shape))
      const n = reducedCount(node)
      for (let i = 0; i < X.length; i++) {
        let [at, rest, size] = [0, i, X.length]
        xt.shape.forEach((d, axis) => {
          size /= d
          const index = Math.floor(rest / size)
          rest -= index * size
          if (!axes.includes(axis)) at = at * d + index
        })
        sums[at] = float ? Math.fround(sums[at] + X[i]) : (sums[at] + X[i]) | 0
      }
      const Y = numbers(newData(outputElem(node), sums.length))
      if (float) {
        for (let i = 0; i < Y.length; i++) Y[i] = divides ? sums[i] / Math.fround(n) : sums[i]
        return [Y]
      }
      const [zx, zy] = [xt.quant!.zero[0], yt.quant!.zero[0]]
      const { multiplier, shift } = reduceMultiplier(node, divides)
      for (let i = 0; i < Y.length; i++) {
        const v = (requant((sums[i] - zx * n) | 0, multiplier, shift) + zy) | 0
        Y[i] = v < -128 ? -128 : v > 127 ? 127 : v
      }
      return [Y]
    },
    lower: (node) => lower(node, divides),
    cost: (node) => costOf(node, 0),
  }
  return op
}

export const mean = reduction('mean', 40, true)
export const sum = reduction('sum', 74, false)
