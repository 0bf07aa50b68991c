// Conv of ONNX: images [N, C, H, W] or [N, C, W], weights [O, C / groups, KH, KW]. A convolution of [N, H, W, C] between
// transpositions; one input channel in each group makes it depthwise. Axes before the last two become images and
// channels: each place of the window along such an axis is a copy of the channels. f16 is computed in f32.

import { ModelError } from '../../errors.ts'
import type { Builder } from '../../ir/build.ts'
import type { DType, Quant, Value } from '../../ir/graph.ts'
import { tableLength } from '../../ir/limits.ts'
import type { OnnxNode, OnnxSpelling } from '../../ir/op.ts'
import { cast } from '../cast/op.ts'
import { depthwiseConv2d } from '../depthwise/op.ts'
import type { Scaling } from '../float_scale.ts'
import { gather } from '../gather/op.ts'
import { listAttr, numberAttr, stringAttr } from '../onnx.ts'
import { retype } from '../quantize/retype.ts'
import { pad as widen } from '../shape/pad.ts'
import { reshape } from '../shape/reshape.ts'
import { transpose } from '../shape/transpose.ts'
import { operand, reading } from '../tflite.ts'
import { conv2d } from './op.ts'

/** [before, after] along one axis of `extent`, as the file asks. */
function padding(node: OnnxNode, d: number, rank: number, extent: number, stride: number, span: number): number[] {
  const auto = stringAttr(node, 'auto_pad', 'NOTSET')
  if (!auto.startsWith('SAME')) {
    const pads = auto === 'NOTSET' ? (listAttr(node, 'pads') ?? []) : []
    return [pads[d] ?? 0, pads[d + rank] ?? 0]
  }
  const total = Math.max(0, (Math.ceil(extent / stride) - 1) * stride + span - extent)
  const before = auto === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2)
  return [before, total - before]
}

/** A name for a node that the file does not have. */
export function inner({ result }: Pick<OnnxNode, 'result'>, what: string) {
  return { from: result.from, names: [`${result.names?.[0] || result.from || 'value'}/${what}`] }
}

/** What a convolution of int8 adds: the weights' scales (one, or one for each output) and zero point, and the output's. */
export interface IntegerConv {
  readonly scaling: Scaling
  readonly weight: Pick<Quant, 'scale' | 'zero'>
  readonly quant?: Quant
}

/** A convolution of more than two spatial axes as one of an axis less: the first joins the batch, its window the channels. */
function foldAxis(
  build: Builder,
  node: OnnxNode,
  x: Value,
  w: Value,
  b: Value | undefined,
  where: string,
  integer?: IntegerConv,
): Value {
  const [N, C, D, ...extent] = x.type.shape
  const [O, CG, K, ...kernel] = w.type.shape
  const rank = extent.length + 1
  const [stride, dilation] = ['strides', 'dilations'].map((name) => listAttr(node, name)?.[0] ?? 1)
  if (![stride, dilation].every((n) => Number.isInteger(n) && n >= 1))
    throw new ModelError(where, `has stride ${stride} and dilation ${dilation}, expected 1 or more`)
  const span = (K - 1) * dilation + 1
  const [before, after] = padding(node, 0, rank, D, stride, span)
  if (before < 0 || after < 0) throw new ModelError(where, `pads are [${before},${after}], supported are those from 0`)
  const outputs = Math.floor((D + before + after - span) / stride) + 1
  if (!(outputs >= 1)) throw new ModelError(where, `windows of ${span} do not fit an axis of ${D} with its padding`)
  const at = (low: number) => x.type.shape.map((_, d) => (d === 2 ? low : 0))
  const padded =
    before + after > 0
      ? build.one(
          widen,
          [x],
          { low: at(before), high: at(after), value: x.type.quant?.zero[0] ?? 0 },
          inner(node, 'padded'),
        )
      : x
  const n = tableLength(outputs * K, 'the number of places of the window along an axis', where)
  const from = Int32Array.from({ length: n }, (_, i) => Math.floor(i / K) * stride + (i % K) * dilation)
  const places = build.const(inner(node, 'places').names[0], { dtype: 'i32', shape: [outputs, K] }, from)
  const taken = build.one(gather, [padded, places], { axis: 2, batchDims: 0 }, inner(node, 'windows'))
  const rest = extent.map((_, d) => d + 4)
  const turned = build.one(transpose, [taken], { perm: [0, 2, 1, 3, ...rest] }, inner(node, 'images'))
  const images = build.one(reshape, [turned], { shape: [N * outputs, C * K, ...extent] }, inner(node, 'folded'))
  const weight = build.one(reshape, [w], { shape: [O, CG * K, ...kernel] }, inner(node, 'folded_weight'))
  const pads = listAttr(node, 'pads')
  const attrs = {
    ...node.attrs,
    strides: listAttr(node, 'strides')?.slice(1),
    dilations: listAttr(node, 'dilations')?.slice(1),
    pads: pads?.filter((_, i) => i % rank !== 0),
  }
  const y = convolve(build, { ...node, attrs, result: inner(node, 'axes') }, images, weight, b, where, integer)
  const shape = [N, outputs, ...y.type.shape.slice(1)]
  const apart = build.one(reshape, [y], { shape }, inner(node, 'apart'))
  return build.one(transpose, [apart], { perm: [0, 2, 1, ...shape.map((_, d) => d).slice(3)] }, node.result)
}

/** The convolution that `node`'s attributes ask for, of three values in ONNX's layouts, as `node.result`. */
export function convolve(
  build: Builder,
  node: OnnxNode,
  x: Value,
  w: Value,
  b: Value | undefined,
  where: string,
  integer?: IntegerConv,
): Value {
  const rank = x.type.shape.length - 2
  if (x.type.dtype === 'f16') {
    const as = (v: Value, to: DType, options: OnnxNode['result']) => build.one(cast, [v], { to }, options)
    const wide = [x, w, ...(b ? [b] : [])].map((v, i) => as(v, 'f32', inner(node, `f32_${i}`)))
    const y = convolve(build, { ...node, result: inner(node, 'f32') }, wide[0], wide[1], wide[2], where)
    return as(y, 'f16', node.result)
  }
  if (rank > 2 && w.type.shape.length === rank + 2) return foldAxis(build, node, x, w, b, where, integer)
  if ((rank !== 1 && rank !== 2) || w.type.shape.length !== rank + 2)
    throw new ModelError(
      where,
      `input is [${x.type.shape}] and weight [${w.type.shape}], expected as many dimensions, 3 or more`,
    )
  const [N, C, ...extent] = x.type.shape
  const [O, CG, ...kernel] = w.type.shape
  const ones = kernel.map(() => 1)
  const stride = listAttr(node, 'strides') ?? ones
  const dilation = listAttr(node, 'dilations') ?? ones
  const groups = numberAttr(node, 'group', 1)
  const pads = kernel.map((k, d) => padding(node, d, rank, extent[d], stride[d], (k - 1) * dilation[d] + 1))
  const plane = (values: readonly number[], missing: number) => (rank === 1 ? [missing, ...values] : [...values])
  const pad = [
    ...plane(
      pads.map((p) => p[0]),
      0,
    ),
    ...plane(
      pads.map((p) => p[1]),
      0,
    ),
  ]
  if (pad.some((p) => p < 0)) throw new ModelError(where, `pads are [${pad}], supported are those from 0`)
  const window = {
    stride: plane(stride, 1),
    dilation: plane(dilation, 1),
    pad,
    clamp: {},
    ...(integer && { scaling: integer.scaling }),
  }

  const flat = (v: Value, what: string) =>
    rank === 2
      ? v
      : build.one(reshape, [v], { shape: [...v.type.shape.slice(0, 2), 1, v.type.shape[2]] }, inner(node, what))
  const image = build.one(transpose, [flat(x, 'image')], { perm: [0, 2, 3, 1] }, inner(node, 'channels_last'))
  const depthwise = groups > 1 && groups === C && CG === 1
  const perm = depthwise ? [1, 2, 3, 0] : [0, 2, 3, 1]
  const turned = build.one(transpose, [flat(w, 'weight')], { perm }, inner(node, 'weight_last'))
  const axis = integer && integer.weight.scale.length > 1 ? { axis: depthwise ? 3 : 0 } : {}
  const weight = integer
    ? build.one(retype, [turned], {}, { ...inner(node, 'weight_stored'), quant: { ...integer.weight, ...axis } })
    : turned
  const named = { ...inner(node, 'conv'), ...(integer?.quant && { quant: integer.quant }) }
  const inputs = [image, weight, b]
  const y = depthwise
    ? build.one(depthwiseConv2d, inputs, window, named)
    : build.one(conv2d, inputs, { ...window, groups }, named)
  const back = { perm: [0, 3, 1, 2] }
  if (rank === 2) return build.one(transpose, [y], back, node.result)
  const first = build.one(transpose, [y], back, inner(node, 'channels_first'))
  return build.one(reshape, [first], { shape: [N, O, y.type.shape[2]] }, node.result)
}

export const onnxConv: OnnxSpelling = {
  name: 'Conv',
  read(build, node) {
    const where = reading('conv', node)
    const [x, w] = [operand(node, 0, 'input', where), operand(node, 1, 'weight', where)]
    return [convolve(build, node, x, w, node.inputs[2], where)]
  },
}
