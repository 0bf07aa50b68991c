// Pools of ONNX, whose images are [N, C, H, W] or [N, C, W]: a pool of [N, H, W, C] between transpositions. Padding by
// name, and the rounding up of output sizes (ceil_mode), become explicit padding. All three norms of a box are norms along
// its axes one after the other, so that more than two axes are pools of two at a time.

import { ModelError } from '../../errors.ts'
import type { Builder } from '../../ir/build.ts'
import type { Value } from '../../ir/graph.ts'
import { tableLength } from '../../ir/limits.ts'
import type { OnnxNode, OnnxSpelling, Op } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { argmax } from '../arg/op.ts'
import { add } from '../binary/op.ts'
import { inner } from '../conv2d/onnx.ts'
import { gather } from '../gather/op.ts'
import { listAttr, numberAttr, stringAttr } from '../onnx.ts'
import { reduceMax } from '../reduce/op.ts'
import { reshape } from '../shape/reshape.ts'
import { transpose } from '../shape/transpose.ts'
import { operand, reading } from '../tflite.ts'
import type { Pool } from './op.ts'

/** [before, after] along one axis as the file asks, and what rounding the output size up adds after. */
function padding(node: OnnxNode, d: number, rank: number, extent: number, stride: number, span: number) {
  const auto = stringAttr(node, 'auto_pad', 'NOTSET')
  const given = listAttr(node, 'pads') ?? new Array<number>(2 * rank).fill(0)
  let [before, after] = auto === 'NOTSET' ? [given[d], given[d + rank]] : [0, 0]
  if (auto.startsWith('SAME')) {
    const total = Math.max(0, (Math.ceil(extent / stride) - 1) * stride + span - extent)
    before = auto === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2)
    after = total - before
  }
  const room = extent + before + after - span
  const steps = Math.ceil(room / stride)
  const beyond = steps * stride < extent + before
  const extra = numberAttr(node, 'ceil_mode', 0) !== 0 && beyond ? steps * stride - room : 0
  return { before, after, extra }
}

interface Windows {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly pads: readonly { readonly before: number; readonly after: number; readonly extra: number }[]
}

/** For each window along one axis the places it covers; outside the axis undefined. */
function placesAlong(extent: number, w: Windows, d: number): (number | undefined)[][] {
  const { before, after, extra } = w.pads[d]
  const span = (w.kernel[d] - 1) * w.dilation[d] + 1
  const n = Math.max(0, Math.floor((extent + before + after + extra - span) / w.stride[d]) + 1)
  return Array.from({ length: n }, (_, o) =>
    Array.from({ length: w.kernel[d] }, (_, k) => {
      const at = o * w.stride[d] - before + k * w.dilation[d]
      return at >= 0 && at < extent ? at : undefined
    }),
  )
}

/** Coordinates in all combinations, the last axis fastest. */
function product<T>(axes: readonly (readonly T[])[]): T[][] {
  return axes.reduce<T[][]>((all, axis) => all.flatMap((head) => axis.map((v) => [...head, v])), [[]])
}

/**
 * Maxima, and where they are in the flattened input. The windows are laid out by constant indices, where padding stands
 * for the window's first element; the place of the first maximum in a window then leads to its index.
 */
function maxWithIndices(
  build: Builder,
  node: OnnxNode,
  x: Value,
  w: Windows,
  columns: boolean,
  where: string,
): Value[] {
  const [N, C, ...extent] = x.type.shape
  const plane = count(extent)
  if ([...w.kernel, ...w.stride, ...w.dilation].some((n) => !Number.isInteger(n) || n < 1))
    throw new ModelError(
      where,
      `windows [${w.kernel}] take steps [${w.stride}] and [${w.dilation}], expected 1 or more`,
    )
  const most = w.pads.map(({ before, after, extra }, d) => {
    const wide = extent[d] + Math.max(0, before) + Math.max(0, after) + extra
    return (Math.floor(wide / w.stride[d]) + 1) * w.kernel[d]
  })
  tableLength(count(most), 'the elements of all windows', where)
  const axes = extent.map((e, d) => placesAlong(e, w, d))
  const outputs = axes.map((a) => a.length)
  const order = extent.map((_, d) => count(columns ? extent.slice(0, d) : extent.slice(d + 1)))
  const rowMajor = extent.map((_, d) => count(extent.slice(d + 1)))
  const places = product(axes).map((window) => {
    const taps = product(window)
    const first = taps.find((tap) => tap.every((v) => v !== undefined))
    if (!first) throw new ModelError(where, `padding leaves windows [${w.kernel}] without an element of [${extent}]`)
    return taps.map((tap) => (tap.every((v) => v !== undefined) ? tap : first) as number[])
  })
  const flat = (strides: readonly number[]) =>
    places.flatMap((taps) => taps.map((tap) => tap.reduce((sum, v, d) => sum + v * strides[d], 0)))
  const [windows, taps] = [places.length, count(w.kernel)]
  const table = (what: string, shape: readonly number[], values: readonly number[]) =>
    build.const(inner(node, what).names[0], { dtype: 'i64', shape }, BigInt64Array.from(values, BigInt))
  const rows = build.one(reshape, [x], { shape: [N * C, plane] }, inner(node, 'rows'))
  const from = build.const(
    inner(node, 'places').names[0],
    { dtype: 'i32', shape: [windows, taps] },
    Int32Array.from(flat(rowMajor)),
  )
  const laid = build.one(gather, [rows, from], { axis: 1, batchDims: 0 }, inner(node, 'windows'))
  const best = build.one(reduceMax, [laid], { axes: [2], keepDims: false }, inner(node, 'maxima'))
  const which = build.one(argmax, [laid], { axis: 2, keepDims: false, last: false, dtype: 'i64' }, inner(node, 'which'))
  const starts = table(
    'starts',
    [windows],
    Array.from({ length: windows }, (_, i) => i * taps),
  )
  const entry = build.one(add, [which, starts], { clamp: {} }, inner(node, 'entry'))
  const indices = table('indices', [windows * taps], flat(order))
  const inPlane = build.one(gather, [indices, entry], { axis: 0, batchDims: 0 }, inner(node, 'in_plane'))
  const planes = table(
    'planes',
    [N * C, 1],
    Array.from({ length: N * C }, (_, i) => i * plane),
  )
  const whole = build.one(add, [inPlane, planes], { clamp: {} }, inner(node, 'whole'))
  const shape = [N, C, ...outputs]
  const named = (i: number) => ({ from: node.result.from, names: [node.result.names?.[i] || `pool/${i}`] })
  return [build.one(reshape, [best], { shape }, named(0)), build.one(reshape, [whole], { shape }, named(1))]
}

/** The reading of one pool of ONNX. */
export function onnxPool(name: string, op: () => Op<Pool>): OnnxSpelling<Pool> {
  return {
    name,
    read(build, node) {
      const where = reading(op().name, node)
      const x = operand(node, 0, 'input', where)
      const { shape } = x.type
      const rank = shape.length - 2
      if (rank < 1) throw new ModelError(where, `input is [${shape}], expected 3 dimensions or more`)
      const p = numberAttr(node, 'p', 2)
      if (name === 'LpPool' && p !== 1 && p !== 2) throw new ModelError(where, `p is ${p}, supported are 1 and 2`)
      const ones = new Array<number>(rank).fill(1)
      const kernel = listAttr(node, 'kernel_shape')
      if (kernel?.length !== rank)
        throw new ModelError(where, `kernel_shape is [${kernel ?? ''}], input has ${rank} spatial dimensions`)
      const stride = listAttr(node, 'strides') ?? ones
      const dilation = listAttr(node, 'dilations') ?? ones
      const pads = kernel.map((k, d) => padding(node, d, rank, shape[d + 2], stride[d], (k - 1) * dilation[d] + 1))
      if (node.outputs > 1) {
        if (name !== 'MaxPool' || node.outputs > 2)
          throw new ModelError(where, `has ${node.outputs} outputs, supported are ${name === 'MaxPool' ? 2 : 1}`)
        const columns = numberAttr(node, 'storage_order', 0) !== 0
        return maxWithIndices(build, node, x, { kernel, stride, dilation, pads }, columns, where)
      }
      /** The pool along some of the axes, `from` to `to`, of which missing ones have one element. */
      const along = (from: number, to: number): Pool => {
        const plane = (values: readonly number[], missing: number) => {
          const own = values.slice(from, to)
          return own.length === 1 ? [missing, ...own] : own
        }
        const around = (extra: boolean) => [
          ...plane(
            pads.map((e) => e.before),
            0,
          ),
          ...plane(
            pads.map((e) => e.after + (extra ? e.extra : 0)),
            0,
          ),
        ]
        const steps = plane(dilation, 1)
        return {
          kernel: plane(kernel, 1),
          stride: plane(stride, 1),
          pad: around(true),
          clamp: {},
          ...(steps.some((d) => d !== 1) && { dilation: steps }),
          ...(name === 'AveragePool' && numberAttr(node, 'count_include_pad', 0) !== 0 && { counted: around(false) }),
          ...(name === 'LpPool' && { p, mean: false }),
        }
      }
      if (rank > 2) {
        const places = shape.map((_, d) => d)
        const last = build.one(transpose, [x], { perm: [0, ...places.slice(2), 1] }, inner(node, 'channels_last'))
        const extent = [...last.type.shape]
        let v = last
        for (let to = rank; to > 0; to -= 2) {
          const from = Math.max(0, to - 2)
          const [first, after] = [count(extent.slice(0, from + 1)), count(extent.slice(to + 1))]
          const sides = to - from === 1 ? [1, extent[1]] : extent.slice(from + 1, to + 1)
          const image = build.one(reshape, [v], { shape: [first, ...sides, after] }, inner(node, `image_${from}`))
          v = build.one(op(), [image], along(from, to), inner(node, `pooled_${from}`))
          for (let d = from; d < to; d++) extent[d + 1] = v.type.shape[d - to + 3]
        }
        const whole = build.one(reshape, [v], { shape: extent }, inner(node, 'pooled'))
        return build.add(transpose, [whole], { perm: [0, rank + 1, ...places.slice(1, -1)] }, node.result)
      }
      const image =
        rank === 2 ? x : build.one(reshape, [x], { shape: [shape[0], shape[1], 1, shape[2]] }, inner(node, 'image'))
      const last = build.one(transpose, [image], { perm: [0, 2, 3, 1] }, inner(node, 'channels_last'))
      const pooled = build.one(op(), [last], along(0, rank), inner(node, 'pooled'))
      const perm = { perm: [0, 3, 1, 2] }
      if (rank === 2) return build.add(transpose, [pooled], perm, node.result)
      const first = build.one(transpose, [pooled], perm, inner(node, 'channels_first'))
      return build.add(reshape, [first], { shape: [shape[0], shape[1], first.type.shape[3]] }, node.result)
    },
  }
}
