// Conv of ONNX: images [N, C, H, W] or [N, C, W], weights [O, C / groups, KH, KW]. A convolution of [N, H, W, C] between
// transpositions; one input channel in each group makes it depthwise.

import { ModelError } from '../../errors.ts'
import type { Builder } from '../../ir/build.ts'
import type { Value } from '../../ir/graph.ts'
import type { OnnxNode, OnnxSpelling } from '../../ir/op.ts'
import { depthwiseConv2d } from '../depthwise/op.ts'
import { listAttr, numberAttr, stringAttr } from '../onnx.ts'
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

/** The convolution that `node`'s attributes ask for, of three values in ONNX's layouts, as `node.result`. */
export function convolve(
  build: Builder,
  node: OnnxNode,
  x: Value,
  w: Value,
  b: Value | undefined,
  where: string,
): Value {
  const rank = x.type.shape.length - 2
  if ((rank !== 1 && rank !== 2) || w.type.shape.length !== rank + 2)
    throw new ModelError(
      where,
      `input is [${x.type.shape}] and weight [${w.type.shape}], supported are windows of 1 and 2 dimensions`,
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
  const window = { stride: plane(stride, 1), dilation: plane(dilation, 1), pad, clamp: {} }

  const flat = (v: Value, what: string) =>
    rank === 2
      ? v
      : build.one(reshape, [v], { shape: [...v.type.shape.slice(0, 2), 1, v.type.shape[2]] }, inner(node, what))
  const image = build.one(transpose, [flat(x, 'image')], { perm: [0, 2, 3, 1] }, inner(node, 'channels_last'))
  const depthwise = groups > 1 && groups === C && CG === 1
  const perm = depthwise ? [1, 2, 3, 0] : [0, 2, 3, 1]
  const weight = build.one(transpose, [flat(w, 'weight')], { perm }, inner(node, 'weight_last'))
  const inputs = [image, weight, b]
  const y = depthwise
    ? build.one(depthwiseConv2d, inputs, window, inner(node, 'conv'))
    : build.one(conv2d, inputs, { ...window, groups }, inner(node, 'conv'))
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
