// How operators whose readings in .onnx are several nodes of ours are written there: images turn from [N, H, W, C] to
// ONNX's [N, C, H, W] and back, clamps that were fused stand on their own. Reading that back gives the same bits.
// Source: the ONNX standard, operator sets 20 to 24.

import { type DType, elemOf, type Node, sameShape, type TensorType, type Value } from '../ir/graph.ts'
import type { Attrs, OnnxAttr, OnnxRecord, Op } from '../ir/op.ts'
import { count, newData } from '../loops/ir.ts'
import { type Arg, argmax, argmin } from './arg/op.ts'
import { batchNorm } from './batch_norm/op.ts'
import { add, type Binary, div, mul, sub } from './binary/op.ts'
import { clamp } from './clamp/op.ts'
import { axisTable, type Coordinates } from './composed/coordinates.ts'
import { conv2d } from './conv2d/op.ts'
import { cumsum } from './cumsum/op.ts'
import { depthwiseConv2d } from './depthwise/op.ts'
import { expand } from './expand/op.ts'
import { fullyConnected } from './fully_connected/op.ts'
import { gatherElements } from './gather/elements.ts'
import { gatherNd } from './gather/nd.ts'
import { gather } from './gather/op.ts'
import { logSoftmax } from './log_softmax/op.ts'
import { lrn } from './lrn/op.ts'
import { matmul } from './matmul/op.ts'
import { nllLoss } from './nll_loss/op.ts'
import { type Normalize, normalize } from './normalize/op.ts'
import { oneHot } from './one_hot/op.ts'
import { notEqual, squaredDifference } from './pairwise/op.ts'
import { averagePool2d, lpPool2d, maxPool2d, type Pool } from './pool/op.ts'
import { type Clamp, clampRange } from './quant.ts'
import { retype } from './quantize/retype.ts'
import { gru, type Kind, lstm, type Recurrent, rnn } from './recurrent/op.ts'
import { type Resample, resample } from './resample/op.ts'
import { scatterElements } from './scatter/elements.ts'
import { scatterNd } from './scatter/nd.ts'
import { concat } from './shape/concat.ts'
import { pad } from './shape/pad.ts'
import { reshape } from './shape/reshape.ts'
import { transpose } from './shape/transpose.ts'
import { slice } from './slice/op.ts'
import { softmax } from './softmax/op.ts'
import { topK } from './top_k/op.ts'
import { transposeConv } from './transpose_conv/op.ts'
import { geluTanh, rsqrt, square } from './unary/op.ts'

/** Writes one node as several: each `add` computes a value of its own, `last` the node's output. */
export class Parts {
  readonly records: OnnxRecord[] = []
  private readonly node: Node

  constructor(node: Node) {
    this.node = node
  }

  add(name: string, inputs: OnnxRecord['inputs'], attrs: OnnxRecord['attrs'] = {}, domain?: string): Value {
    const out: Value = {
      name: `${this.node.outputs[0].name}/${name.toLowerCase()}`,
      type: this.node.outputs[0].type,
      storage: 'temp',
    }
    this.records.push({ name, inputs, attrs, outputs: [out], ...(domain && { domain }) })
    return out
  }

  last(name: string, inputs: OnnxRecord['inputs'], attrs: OnnxRecord['attrs'] = {}): readonly OnnxRecord[] {
    return [...this.records, { name, inputs, attrs }]
  }

  longs(what: string, values: readonly number[]): Value {
    return this.constant(what, { dtype: 'i64', shape: [values.length] }, BigInt64Array.from(values, BigInt))
  }

  float(what: string, value: number): Value {
    return this.constant(what, { dtype: 'f32', shape: [] }, Float32Array.of(value))
  }

  /** Numbers of a type: one of no dimension, or several of one. */
  numbers(what: string, dtype: DType, values: ArrayLike<number>): Value {
    const data = newData(elemOf(dtype)!, values.length)
    for (let i = 0; i < data.length; i++) data[i] = dtype === 'i64' ? BigInt(values[i]) : values[i]
    return this.constant(what, { dtype, shape: values.length === 1 ? [] : [values.length] }, data)
  }

  reshape(v: Value, shape: readonly number[], what: string): Value {
    return sameShape(v.type.shape, shape) ? v : this.add('Reshape', [v, this.longs(what, shape)], { allowzero: 1 })
  }

  /** The node's output: `v` within the limits of `clamp`, in stored units where it has a scale, then turned by `perm`. */
  finish(v: Value, limits: Clamp, turn?: readonly number[]): readonly OnnxRecord[] {
    const { type } = this.node.outputs[0]
    const { lo, hi } = clampRange(type, limits)
    const limit = (what: 'min' | 'max', stored: number) =>
      limits[what] === undefined ? undefined : this.numbers(what, type.dtype, [stored])
    const [min, max] = [limit('min', lo), limit('max', hi)]
    const limited = min || max ? this.add('Clip', [v, min, max]) : v
    return this.last(turn ? 'Transpose' : 'Identity', [limited], turn ? { perm: turn } : {})
  }

  constant(what: string, type: TensorType, data: Value['data']): Value {
    return { name: `${this.node.outputs[0].name}/${what}`, type, storage: 'const', data }
  }
}

export type Writing = (node: Node) => readonly OnnxRecord[] | undefined

export const FIRST = [0, 3, 1, 2]
export const LAST = [0, 2, 3, 1]

export function writing<A extends Attrs>(
  op: Op<A>,
  write: (parts: Parts, node: Node<A>) => readonly OnnxRecord[] | undefined,
): [string, Writing] {
  return [op.name, (node) => write(new Parts(node), node as unknown as Node<A>)]
}

const isFloat = (node: { readonly inputs: Node['inputs'] }) => node.inputs.every((v) => !v || v.type.dtype === 'f32')

/** Whether the padding that does not count is what rounding the number of windows up adds. */
function roundsUp({ inputs, attrs: { kernel, stride, pad, dilation, counted } }: Node<Pool>): boolean {
  return [0, 1].every((d) => {
    const [before, after] = [counted![d], counted![d + 2]]
    const room = inputs[0]!.type.shape[d + 1] + before + after - (kernel[d] - 1) * (dilation?.[d] ?? 1) - 1
    return pad[d] === before && pad[d + 2] - after === Math.ceil(room / stride[d]) * stride[d] - room
  })
}

function pooling(name: string) {
  return (parts: Parts, node: Node<Pool>) => {
    const { kernel, stride, pad, dilation, counted, clamp: limits, p, mean } = node.attrs
    const rounded = counted?.some((n, i) => n !== pad[i])
    if (mean || (rounded && !roundsUp(node))) return undefined
    const image = parts.add('Transpose', [node.inputs[0]], { perm: FIRST })
    const attrs: Record<string, OnnxAttr> = { kernel_shape: kernel, strides: stride, pads: counted ?? pad }
    if (dilation) attrs.dilations = dilation
    if (counted) attrs.count_include_pad = 1
    if (rounded) attrs.ceil_mode = 1
    if (p) attrs.p = p
    return parts.finish(parts.add(name, [image], attrs), limits, LAST)
  }
}

/** With limits, which ONNX has not: those without are in the operators' own spellings. */
function limited(name: string) {
  return (parts: Parts, node: Node<Binary>) =>
    isFloat(node) && !node.attrs.scaling ? parts.finish(parts.add(name, node.inputs), node.attrs.clamp) : undefined
}

/** Positions are i64 in ONNX. */
function position(name: string) {
  return (parts: Parts, node: Node<Arg>) => {
    const { axis, keepDims, last, dtype } = node.attrs
    const attrs = { axis, keepdims: Number(keepDims), select_last_index: Number(last) }
    if (dtype === 'i64') return parts.last(name, node.inputs, attrs)
    return parts.last('Cast', [parts.add(name, node.inputs, attrs)], { to: 6 })
  }
}

/** Normalisation of groups of channels takes a scale for each channel: those for each group are repeated. */
function perChannel(parts: Parts, v: Value, groups: number, channels: number, what: string): Value {
  if (count(v.type.shape) === channels) return parts.reshape(v, [channels], what)
  const column = parts.add('Reshape', [v, parts.longs(`${what}/column`, [groups, 1])], { allowzero: 1 })
  const spread = parts.add('Expand', [column, parts.longs(`${what}/spread`, [groups, channels / groups])])
  return parts.add('Reshape', [spread, parts.longs(what, [channels])], { allowzero: 1 })
}

function normalization(parts: Parts, node: Node<Normalize>): readonly OnnxRecord[] | undefined {
  const { kind, axis, groups, depth, epsilon } = node.attrs
  const [x, scale, shift] = node.inputs
  const { shape } = x!.type
  const trailing = shape.slice(axis)
  const C = shape[1]
  const ones = (n: number) => scale ?? parts.constant('ones', { dtype: 'f32', shape: [n] }, new Float32Array(n).fill(1))
  if (kind === 'l2') {
    if (groups !== 1 || scale || shift) return undefined
    const axes = parts.longs(
      'axes',
      trailing.map((_, d) => axis + d),
    )
    const norm = parts.add('ReduceL2', [x, axes], { keepdims: 1 })
    return parts.last('Div', [x, parts.add('Max', [norm, parts.float('least', epsilon)])])
  }
  if (groups === 1 && depth === count(trailing)) {
    const operands = [ones(depth), shift].map((v, i) => v && parts.reshape(v, trailing, `trailing_${i}`))
    return parts.last(kind === 'layer' ? 'LayerNormalization' : 'RMSNormalization', [x, ...operands], { axis, epsilon })
  }
  if (kind !== 'layer' || axis !== 1 || C % groups !== 0 || (depth !== 1 && depth * groups !== C)) return undefined
  const zeros = shift ?? parts.constant('zeros', { dtype: 'f32', shape: [C] }, new Float32Array(C).fill(-0))
  const operands = [ones(C), zeros].map((v, i) => perChannel(parts, v, groups, C, `channels_${i}`))
  return groups === C
    ? parts.last('InstanceNormalization', [x, ...operands], { epsilon })
    : parts.last('GroupNormalization', [x, ...operands], { epsilon, num_groups: groups })
}

function recurrence(parts: Parts, node: Node<Recurrent>): readonly OnnxRecord[] | undefined {
  const { direction, activations, batchFirst, linearBeforeReset, cellClip } = node.attrs
  const [x, w, r, b, h, c, p] = node.inputs
  const types = node.op.infer(
    node.inputs.map((v) => v?.type),
    node.attrs,
  )
  if (cellClip !== 0 || !types.every((t, i) => sameShape(t.shape, node.outputs[i].type.shape))) return undefined
  const [D, H] = [direction === 'bidirectional' ? 2 : 1, r!.type.shape.at(-1)!]
  const matrix = (v: Value, what: string) =>
    parts.reshape(v, [D, count(v.type.shape) / (D * v.type.shape.at(-1)!), v.type.shape.at(-1)!], what)
  const bias = b && parts.reshape(b, [D, count(b.type.shape) / D], 'bias')
  const attrs: Record<string, OnnxAttr> = {
    direction,
    hidden_size: H,
    activations: activations.map((a) => a[0].toUpperCase() + a.slice(1)),
    layout: Number(batchFirst),
  }
  const kind = node.op.name as Kind
  if (kind === 'gru') attrs.linear_before_reset = Number(linearBeforeReset)
  const states = kind === 'lstm' ? [h, c, p] : [h]
  return parts.last(kind.toUpperCase(), [x, matrix(w!, 'w'), matrix(r!, 'r'), bias, undefined, ...states], attrs)
}

const LINEAR = ['half_pixel', 'align_corners', 'asymmetric', 'pytorch_half_pixel', 'half_pixel_symmetric'] as const

/** The attributes of Resize that give the node's table. */
function resizeAttrs(node: Node<Resample>): Record<string, OnnxAttr> | undefined {
  const { axis, taps, positions, weights, offsets } = node.attrs
  const [from, to] = [node.inputs[0]!.type.shape[axis], offsets.length]
  const same = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((v, i) => v === b[i])
  for (const mode of LINEAR)
    for (const kind of ['linear', 'cubic'] as const)
      for (const [excludeOutside, antialias] of [
        [false, false],
        [true, false],
        [false, true],
        [true, true],
      ]) {
        const coordinates: Coordinates = { mode, scale: to / from, start: 0, end: 1, extrapolation: 0 }
        const table = axisTable(from, to, coordinates, { kind, a: -0.75, excludeOutside, antialias })
        const agrees = table.taps === taps && same(table.positions, positions) && same(table.weights, weights)
        if (agrees && same(table.offsets, offsets))
          return {
            mode: kind,
            coordinate_transformation_mode: mode,
            axes: [axis],
            ...(excludeOutside && { exclude_outside: 1 }),
            ...(antialias && { antialias: 1 }),
          }
      }
  return undefined
}

/** By Resize where that has these weights, otherwise the sum itself, one slice after another. */
function resampling(parts: Parts, node: Node<Resample>): readonly OnnxRecord[] {
  const { axis, taps, positions, weights, offsets } = node.attrs
  const [x] = node.inputs
  const attrs = resizeAttrs(node)
  if (attrs && offsets.length !== x!.type.shape[axis])
    return parts.last('Resize', [x, undefined, undefined, parts.longs('sizes', [offsets.length])], attrs)
  const n = offsets.length
  const shape = x!.type.shape.slice(axis).map((_, d) => (d === 0 ? n : 1))
  const column = (what: string, values: readonly number[]) =>
    parts.constant(what, { dtype: 'f32', shape }, Float32Array.from(values))
  const every = (values: readonly number[], k: number) => offsets.map((_, i) => values[i * taps + k])
  let sum = column('offsets', offsets)
  for (let k = 0; k < taps; k++) {
    const from = parts.add('Gather', [x, parts.longs(`positions_${k}`, every(positions, k))], { axis })
    sum = parts.add('Add', [sum, parts.add('Mul', [column(`weights_${k}`, every(weights, k)), from])])
  }
  return parts.last('Identity', [sum])
}

/** By the name of the operator. */
export const ONNX_WRITINGS: ReadonlyMap<string, Writing> = new Map([
  writing(conv2d, (parts, node) => {
    const [x, w, b] = node.inputs
    const { stride, dilation, pad: pads, clamp: limits, groups } = node.attrs
    if (!isFloat(node)) return undefined
    const image = parts.add('Transpose', [x], { perm: FIRST })
    const weight = parts.add('Transpose', [w], { perm: FIRST })
    const attrs = { strides: stride, dilations: dilation, pads, group: groups }
    return parts.finish(parts.add('Conv', [image, weight, b], attrs), limits, LAST)
  }),
  writing(depthwiseConv2d, (parts, node) => {
    const [x, w, b] = node.inputs
    const { stride, dilation, pad: pads, clamp: limits } = node.attrs
    if (!isFloat(node)) return undefined
    const image = parts.add('Transpose', [x], { perm: FIRST })
    const weight = parts.add('Transpose', [w], { perm: [3, 0, 1, 2] })
    const attrs = { strides: stride, dilations: dilation, pads, group: x!.type.shape[3] }
    return parts.finish(parts.add('Conv', [image, weight, b], attrs), limits, LAST)
  }),
  writing(fullyConnected, (parts, node) => {
    const [x, w, b] = node.inputs
    if (!isFloat(node)) return undefined
    const [N, K] = w!.type.shape
    const { shape } = node.outputs[0].type
    const y = parts.add('Gemm', [parts.reshape(x!, [count(x!.type.shape) / K, K], 'rows'), w, b], { transB: 1 })
    const plain = shape.length === 2 && shape[1] === N
    const shaped = plain ? y : parts.add('Reshape', [y, parts.longs('shape', shape)], { allowzero: 1 })
    return parts.finish(shaped, node.attrs.clamp)
  }),
  writing(matmul, (parts, node) => {
    const { transA, transB } = node.attrs
    const [a, b] = node.inputs.map((v, i) => {
      if (!(i === 0 ? transA : transB)) return v
      const rank = v!.type.shape.length
      const perm = v!.type.shape.map((_, d) => (d < rank - 2 ? d : 2 * rank - 3 - d))
      return parts.add('Transpose', [v], { perm })
    })
    return parts.last('MatMul', [a, b])
  }),
  writing(add, limited('Add')),
  writing(sub, limited('Sub')),
  writing(mul, limited('Mul')),
  writing(div, limited('Div')),
  writing(argmax, position('ArgMax')),
  writing(argmin, position('ArgMin')),
  writing(gather, (parts, node) =>
    node.attrs.batchDims === 0 ? parts.last('Gather', node.inputs, { axis: node.attrs.axis }) : undefined,
  ),
  writing(expand, (parts, node) => parts.last('Expand', [node.inputs[0], parts.longs('shape', node.attrs.shape)])),
  writing(lpPool2d, pooling('LpPool')),
  writing(averagePool2d, pooling('AveragePool')),
  writing(maxPool2d, pooling('MaxPool')),
  writing(clamp, (parts, node) => {
    const limits = node.attrs as Clamp
    if (!isFloat(node)) return undefined
    if (limits.min === 0 && limits.max === undefined) return parts.last('Relu', [node.inputs[0]])
    return parts.finish(node.inputs[0]!, limits)
  }),
  writing(softmax, (parts, node) => {
    if (!isFloat(node)) return undefined
    const { beta } = node.attrs
    return beta === 1 ? parts.last('Softmax', [node.inputs[0]], { axis: -1 }) : undefined
  }),
  writing(logSoftmax, (parts, node) =>
    isFloat(node) ? parts.last('LogSoftmax', [node.inputs[0]], { axis: -1 }) : undefined,
  ),
  writing(reshape, (parts, node) =>
    parts.last('Reshape', [node.inputs[0], parts.longs('shape', node.outputs[0].type.shape)], { allowzero: 1 }),
  ),
  writing(transpose, (parts, node) => parts.last('Transpose', [node.inputs[0]], { perm: node.attrs.perm })),
  writing(concat, (parts, node) => parts.last('Concat', node.inputs, { axis: node.attrs.axis })),
  writing(pad, (parts, node) => {
    const { low, high, value } = node.attrs
    const { dtype } = node.outputs[0].type
    const fill = parts.numbers('value', dtype, [value])
    return parts.last('Pad', [node.inputs[0], parts.longs('pads', [...low, ...high]), fill])
  }),
  writing(slice, (parts, node) => {
    const { begin, size, step } = node.attrs
    const last = begin.map((b, d) => b + (size[d] - 1) * step[d])
    /** Down to the first element: the end before it is written counted from the other end. */
    const below = node.inputs[0]!.type.shape.map((extent) => -extent - 1)
    const end = last.map((l, d) => (step[d] > 0 ? l + 1 : l > 0 ? l - 1 : below[d]))
    const axes = begin.map((_, d) => d)
    const lists = { begin, end, axes, step }
    return parts.last('Slice', [node.inputs[0], ...Object.entries(lists).map(([k, v]) => parts.longs(k, v))])
  }),
  writing(nllLoss, (parts, node) => {
    const { reduction, ignore } = node.attrs
    return parts.last('NegativeLogLikelihoodLoss', node.inputs, { reduction, ignore_index: ignore })
  }),
  writing(normalize, normalization),
  writing(batchNorm, (parts, node) => parts.last('BatchNormalization', node.inputs, { epsilon: node.attrs.epsilon })),
  writing(cumsum, (parts, node) => {
    const { axis, exclusive, reverse } = node.attrs
    const along = parts.numbers('axis', 'i64', [axis])
    return parts.last('CumSum', [node.inputs[0], along], { exclusive: Number(exclusive), reverse: Number(reverse) })
  }),
  writing(lstm, recurrence),
  writing(gru, recurrence),
  writing(rnn, recurrence),
  writing(resample, resampling),
  writing(transposeConv, (parts, node) => {
    const [x, w, b] = node.inputs
    const { stride, dilation, low, size, groups, clamp: limits } = node.attrs
    if (!isFloat(node) || low.some((p) => p < 0)) return undefined
    const [O, ...rest] = w!.type.shape
    const [kernel, CG] = [rest.slice(0, -1), rest.at(-1)!]
    const axes = kernel.map((_, d) => d)
    const grouped = parts.reshape(w!, [groups, O / groups, ...kernel, CG], 'groups')
    const perm = [0, axes.length + 2, 1, ...axes.map((d) => d + 2)]
    const turned = parts.add('Transpose', [grouped], { perm })
    const weight = parts.add('Reshape', [turned, parts.longs('weight', [groups * CG, O / groups, ...kernel])])
    const image = parts.add('Transpose', [x], { perm: [0, axes.length + 1, ...axes.map((d) => d + 1)] })
    const high = size.map(
      (n, d) => stride[d] * (x!.type.shape[d + 1] - 1) + (kernel[d] - 1) * dilation[d] + 1 - low[d] - n,
    )
    const attrs = {
      strides: stride,
      dilations: dilation,
      group: groups,
      pads: [...low, ...high.map((p) => Math.max(0, p))],
      output_padding: high.map((p) => Math.max(0, -p)),
    }
    const y = parts.add('ConvTranspose', [image, weight, b], attrs)
    return parts.finish(y, limits, [0, ...axes.map((d) => d + 2), 1])
  }),
  writing(lrn, (parts, node) => {
    const { axis, before, after, alpha, beta, bias } = node.attrs
    const [x] = node.inputs
    const size = before + after + 1
    const whole = Math.fround(alpha * size)
    if (x!.type.shape.length < 2 || (after !== before && after !== before + 1)) return undefined
    if (Math.fround(whole / size) !== Math.fround(alpha)) return undefined
    /** Brings the channels to axis 1, and back. */
    const perm = x!.type.shape.map((_, d) => (d === 1 ? axis : d === axis ? 1 : d))
    const turned = parts.add('Transpose', [x], { perm })
    return parts.last('Transpose', [parts.add('LRN', [turned], { size, alpha: whole, beta, bias })], { perm })
  }),
  writing(gatherElements, (parts, node) => parts.last('GatherElements', node.inputs, { axis: node.attrs.axis })),
  writing(gatherNd, (parts, node) => parts.last('GatherND', node.inputs, { batch_dims: node.attrs.batchDims })),
  writing(scatterElements, (parts, node) =>
    parts.last('ScatterElements', node.inputs, { axis: node.attrs.axis, reduction: node.attrs.reduction }),
  ),
  writing(scatterNd, (parts, node) => parts.last('ScatterND', node.inputs, { reduction: node.attrs.reduction })),
  writing(oneHot, (parts, node) => {
    const [indices, values] = node.inputs
    return parts.last('OneHot', [indices, parts.numbers('depth', 'i64', [node.attrs.depth]), values], {
      axis: node.attrs.axis,
    })
  }),
  writing(topK, (parts, node) => {
    const { axis, k, largest, dtype } = node.attrs
    const attrs = { axis, largest: Number(largest) }
    return dtype === 'i64' ? parts.last('TopK', [node.inputs[0], parts.longs('k', [k])], attrs) : undefined
  }),
  writing(geluTanh, (parts, node) => parts.last('Gelu', node.inputs, { approximate: 'tanh' })),
  writing(rsqrt, (parts, node) =>
    isFloat(node) ? parts.last('Reciprocal', [parts.add('Sqrt', node.inputs)]) : undefined,
  ),
  writing(squaredDifference, (parts, node) => {
    const difference = parts.add('Sub', node.inputs)
    return parts.last('Mul', [difference, difference])
  }),
  writing(notEqual, (parts, node) => parts.last('Not', [parts.add('Equal', node.inputs)])),
  writing(square, (parts, node) => parts.last('Mul', [node.inputs[0], node.inputs[0]])),
  writing(retype, (parts, node) => parts.last('Identity', node.inputs)),
])
