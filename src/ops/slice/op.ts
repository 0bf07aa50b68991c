// A regular part of a tensor: y[i] = x[begin + step * i] along every axis, steps may be negative. TFLite's SLICE,
// STRIDED_SLICE and REVERSE_V2, ONNX's Slice; splits and unstacking are slices too.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameQuant, type TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { elementOf, expectMoved } from '../shape/copy.ts'
import { int32Constant } from '../tflite.ts'
import { onnxSlice, tfliteReverse, tfliteSlice, tfliteStridedSlice } from './spellings.ts'

/** First element, step and number of elements along each axis; the step is 1 where the number is 0. */
export type Slice = Attrs & {
  readonly begin: readonly number[]
  readonly step: readonly number[]
  readonly size: readonly number[]
}

interface Axis {
  readonly extent: number
  readonly begin: number
  readonly step: number
  readonly size: number
}

/** The axes with those that are taken whole merged into the one before them. */
function merged(shape: readonly number[], { begin, step, size }: Slice): Axis[] {
  const axes: Axis[] = []
  shape.forEach((extent, d) => {
    const last = axes.at(-1)
    const whole = size[d] === extent && (step[d] === 1 || extent === 1)
    if (last && whole && last.step === 1)
      axes[axes.length - 1] = {
        extent: last.extent * extent,
        begin: last.begin * extent,
        step: 1,
        size: last.size * extent,
      }
    else axes.push({ extent, begin: begin[d], step: size[d] === 1 ? 1 : step[d], size: size[d] })
  })
  return axes.length ? axes : [{ extent: 1, begin: 0, step: 1, size: 1 }]
}

function lower(node: Node<Slice>): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const axes = merged(x.type.shape, node.attrs)
  const X = L.buffer(
    'x',
    elementOf(x),
    axes.map((a) => a.extent),
  )
  const sizes = axes.map((a) => a.size)
  const Y = L.buffer('y', elementOf(y), sizes, 'write')
  const body = L.loops(
    axes.map((_, d) => `i${d}`),
    sizes,
    (...at) => L.store(Y, at, L.load(X, ...at.map((i, d) => L.add(L.mul(i, axes[d].step), axes[d].begin)))),
  )
  return { kernel: L.kernel('slice', [X, Y], body), args: [{ value: x }, { value: y }] }
}

/** The scales of the slices that are taken, where each has its own. */
function infer([x]: readonly (TensorType | undefined)[], { begin, step, size }: Slice): TensorType[] {
  const { quant, ...type } = x!
  if (!quant) return [{ ...type, shape: size }]
  const { axis = 0, scale, zero } = quant
  if (scale.length === 1) return [{ ...type, shape: size, quant }]
  const taken = Array.from({ length: size[axis] ?? 0 }, (_, i) => begin[axis] + step[axis] * i)
  const own = { scale: Float64Array.from(taken, (i) => scale[i]), zero: Int32Array.from(taken, (i) => zero[i]) }
  return [{ ...type, shape: size, quant: { ...quant, ...own } }]
}

/**
 * y[i] = x[`begin` + `step` * i] along every axis, `size` elements each; steps may be negative. The scale stays.
 * Refuses what reaches outside x. TFLite STRIDED_SLICE, SLICE, REVERSE_V2, ONNX Slice.
 */
export const slice: Op<Slice> = {
  name: 'slice',

  spelled: {
    tflite: [
      {
        ...tfliteStridedSlice,
        write({ inputs, outputs, attrs: { begin, step, size } }) {
          const name = outputs[0].name
          const rank = [begin.length]
          const end = begin.map((b, d) => b + step[d] * size[d])
          const endMask = end.reduce((mask, e, d) => (e < 0 ? mask | (1 << d) : mask), 0)
          return {
            inputs: [
              inputs[0],
              int32Constant(`${name}/begin`, begin, rank),
              int32Constant(
                `${name}/end`,
                end.map((e) => Math.max(0, e)),
                rank,
              ),
              int32Constant(`${name}/strides`, step, rank),
            ],
            options: { begin_mask: 0, end_mask: endMask, ellipsis_mask: 0, new_axis_mask: 0, shrink_axis_mask: 0 },
          }
        },
      },
      tfliteSlice,
      tfliteReverse,
    ],
    onnx: [onnxSlice],
  },

  infer,

  /** What is taken whole stays whole. */
  rebatch({ inputs, attrs }, times) {
    const all = attrs.begin[0] === 0 && attrs.step[0] === 1 && attrs.size[0] === inputs[0]!.type.shape[0]
    return { ...attrs, size: attrs.size.map((n, d) => (d === 0 && all ? n * times : n)) }
  },

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const { shape } = node.inputs[0]!.type
    const { begin, step, size } = node.attrs
    if ([begin, step, size].some((a) => a.length !== shape.length))
      throw new ModelError(where, `slices ${size.length} dimensions, input has ${shape.length}`)
    shape.forEach((extent, d) => {
      const last = begin[d] + step[d] * (size[d] - 1)
      const inside =
        size[d] === 0
          ? step[d] === 1 && begin[d] >= 0 && begin[d] <= extent
          : size[d] > 0 && step[d] !== 0 && begin[d] >= 0 && begin[d] < extent && last >= 0 && last < extent
      if (!inside)
        throw new ModelError(
          where,
          `takes ${size[d]} elements from ${begin[d]} in steps of ${step[d]} along axis ${d}, which has ${extent}`,
        )
    })
    const [y] = infer([node.inputs[0]!.type], node.attrs)
    expectOutputs(node, [y])
    const perSlice = (node.inputs[0]!.type.quant?.scale.length ?? 1) > 1
    if (!perSlice || !sameQuant(y.quant, node.outputs[0].type.quant)) expectMoved(node)
  },

  eval(node, [x]) {
    const { shape } = node.inputs[0]!.type
    const { begin, step, size } = node.attrs
    const Y = newData(elementOf(node.outputs[0]), count(size))
    const at = size.map(() => 0)
    for (let i = 0; i < Y.length; i++) {
      Y[i] = x![at.reduce((p, c, d) => p * shape[d] + begin[d] + step[d] * c, 0)]
      for (let d = size.length - 1; d >= 0 && ++at[d] === size[d]; d--) at[d] = 0
    }
    return [Y]
  },

  permute({ attrs }, perm) {
    const before = (list: readonly number[]) => perm.map((_, d) => list[perm.indexOf(d)])
    return { attrs: { begin: before(attrs.begin), step: before(attrs.step), size: before(attrs.size) }, perm }
  },
  lower,
  empty: true,
  quantize: () => ({ output: 'shared' }),
  cost: (node) => costOf(node, 0),
}
