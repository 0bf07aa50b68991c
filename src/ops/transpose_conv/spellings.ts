// How the file formats write a transposed convolution. TFLite's output size is the output tensor's; ONNX's follows from
// strides, pads and output padding, its images are channels first.

import { ModelError } from '../../errors.ts'
import type { OnnxNode, OnnxSpelling, TfliteSpelling } from '../../ir/op.ts'
import { listAttr, numberAttr, stringAttr } from '../onnx.ts'
import { clampOfTflite, clampToTflite } from '../quant.ts'
import { reshape } from '../shape/reshape.ts'
import { transpose } from '../shape/transpose.ts'
import { int32Constant, operand, reading } from '../tflite.ts'
import { padOfTflite, WINDOW_FIELDS } from '../window.ts'
import { type TransposeConv, transposeConv } from './op.ts'

/** What padding 0 (SAME) or 1 (VALID) cuts off at the top and left of an output of `size`. */
function lowOf(
  padding: number,
  size: readonly number[],
  kernel: readonly number[],
  stride: readonly number[],
): number[] {
  return padOfTflite(padding, size, kernel, stride, [1, 1]).slice(0, 2)
}

export const tfliteTransposeConv: TfliteSpelling<TransposeConv> = {
  name: 'TRANSPOSE_CONV',
  code: 67,
  options: {
    id: 49,
    fields: { ...WINDOW_FIELDS, fused_activation_function: { slot: 3, type: 'i8', default: 0 } },
  },
  read(build, node) {
    const where = reading('transpose_conv', node)
    const [w, x] = [operand(node, 1, 'weight', where), operand(node, 2, 'input', where)]
    const o = node.options
    const { shape } = node.result.types[0]
    if (x.type.shape.length !== 4 || w.type.shape.length !== 4 || shape.length !== 4)
      throw new ModelError(where, `input is [${x.type.shape}] and weight [${w.type.shape}], both need 4 dimensions`)
    const stride = [o.stride_h as number, o.stride_w as number]
    const size = shape.slice(1, 3)
    const attrs = {
      stride,
      dilation: [1, 1],
      low: lowOf(o.padding as number, size, w.type.shape.slice(1, 3), stride),
      size,
      groups: 1,
      clamp: clampOfTflite(o.fused_activation_function, where),
    }
    return build.add(transposeConv, [x, w, node.inputs[3]], attrs, node.result)
  },
  write({ inputs: [x, w, b], outputs: [y], attrs: a }) {
    const activation = clampToTflite(a.clamp)
    if (a.groups !== 1 || a.size.length !== 2 || a.dilation.some((d) => d !== 1) || activation === undefined)
      return undefined
    const kernel = w!.type.shape.slice(1, 3)
    const padding = [1, 0].find((p) => lowOf(p, a.size, kernel, a.stride).every((l, d) => l === a.low[d]))
    if (padding === undefined) return undefined
    return {
      inputs: [int32Constant(`${y.name}/shape`, y.type.shape, [4]), w, x, ...(b ? [b] : [])],
      options: { padding, stride_h: a.stride[0], stride_w: a.stride[1], fused_activation_function: activation },
    }
  },
}

interface Extent {
  readonly low: number
  readonly size: number
}

function extents(
  node: OnnxNode,
  input: readonly number[],
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
): Extent[] {
  const D = input.length
  const extra = listAttr(node, 'output_padding') ?? input.map(() => 0)
  const pads = listAttr(node, 'pads') ?? [...input, ...input].map(() => 0)
  const auto = stringAttr(node, 'auto_pad', 'NOTSET')
  const wanted = listAttr(node, 'output_shape')?.slice(-D)
  return input.map((n, d) => {
    const full = stride[d] * (n - 1) + extra[d] + (kernel[d] - 1) * dilation[d] + 1
    const size = wanted ? wanted[d] : auto.startsWith('SAME') ? n * stride[d] : undefined
    if (size === undefined) {
      const [low, high] = auto === 'VALID' ? [0, 0] : [pads[d], pads[d + D]]
      return { low, size: full - low - high }
    }
    const total = Math.max(0, full - size)
    return { low: auto === 'SAME_UPPER' ? total >> 1 : total - (total >> 1), size }
  })
}

export const onnxConvTranspose: OnnxSpelling<TransposeConv> = {
  name: 'ConvTranspose',
  read(build, node) {
    const where = reading('transpose_conv', node)
    const [x, w, b] = [operand(node, 0, 'X', where), operand(node, 1, 'W', where), node.inputs[2]]
    const D = x.type.shape.length - 2
    if (D < 1 || w.type.shape.length !== D + 2)
      throw new ModelError(where, `input is [${x.type.shape}] and weight [${w.type.shape}]`)
    const groups = numberAttr(node, 'group', 1)
    const [C, MG, ...kernel] = w.type.shape
    const spatial = x.type.shape.slice(2)
    const stride = listAttr(node, 'strides') ?? spatial.map(() => 1)
    const dilation = listAttr(node, 'dilations') ?? spatial.map(() => 1)
    const found = extents(node, spatial, kernel, stride, dilation)
    const inner = (what: string) => ({
      from: node.result.from,
      names: [`${node.result.names?.[0] ?? 'transpose_conv'}/${what}`],
    })
    const axes = spatial.map((_, d) => d)
    const last = build.one(transpose, [x], { perm: [0, ...axes.map((d) => d + 2), 1] }, inner('x'))
    const grouped = build.one(reshape, [w], { shape: [groups, C / groups, MG, ...kernel] }, inner('groups'))
    const perm = [0, 2, ...axes.map((d) => d + 3), 1]
    const moved = build.one(transpose, [grouped], { perm }, inner('moved'))
    const weight = build.one(reshape, [moved], { shape: [groups * MG, ...kernel, C / groups] }, inner('w'))
    const attrs = {
      stride,
      dilation,
      low: found.map((e) => e.low),
      size: found.map((e) => e.size),
      groups,
      clamp: {},
    }
    const y = build.one(transposeConv, [last, weight, b], attrs, inner('y'))
    return build.add(transpose, [y], { perm: [0, D + 1, ...axes.map((d) => d + 1)] }, node.result)
  },
}
