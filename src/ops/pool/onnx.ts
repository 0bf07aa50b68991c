// Pools of ONNX, whose images are [N, C, H, W] or [N, C, W]: a pool of [N, H, W, C] between transpositions. Padding by
// name, and the rounding up of output sizes (ceil_mode), become explicit padding.

import { ModelError } from '../../errors.ts'
import type { OnnxNode, OnnxSpelling, Op } from '../../ir/op.ts'
import { listAttr, numberAttr, stringAttr } from '../onnx.ts'
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

/** The reading of one pool of ONNX. */
export function onnxPool(name: string, op: () => Op<Pool>): OnnxSpelling<Pool> {
  return {
    name,
    read(build, node) {
      const where = reading(op().name, node)
      const x = operand(node, 0, 'input', where)
      const { shape } = x.type
      const rank = shape.length - 2
      if (rank !== 1 && rank !== 2)
        throw new ModelError(where, `input is [${shape}], supported are windows of 1 and 2 dimensions`)
      if (node.outputs > 1)
        throw new ModelError(where, `has ${node.outputs} outputs, the indices of maxima are not supported`)
      if (numberAttr(node, 'storage_order', 0) !== 0)
        throw new ModelError(where, 'storage_order is 1 (column major), supported is 0')
      const p = numberAttr(node, 'p', 2)
      if (name === 'LpPool' && p !== 1 && p !== 2) throw new ModelError(where, `p is ${p}, supported are 1 and 2`)
      const ones = new Array<number>(rank).fill(1)
      const kernel = listAttr(node, 'kernel_shape')
      if (kernel?.length !== rank)
        throw new ModelError(where, `kernel_shape is [${kernel ?? ''}], input has ${rank} spatial dimensions`)
      const stride = listAttr(node, 'strides') ?? ones
      const dilation = listAttr(node, 'dilations') ?? ones
      const pads = kernel.map((k, d) => padding(node, d, rank, shape[d + 2], stride[d], (k - 1) * dilation[d] + 1))
      const plane = (values: readonly number[], missing: number) => (rank === 1 ? [missing, ...values] : [...values])
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
      const attrs: Pool = {
        kernel: plane(kernel, 1),
        stride: plane(stride, 1),
        pad: around(true),
        clamp: {},
        ...(dilation.some((d) => d !== 1) && { dilation: plane(dilation, 1) }),
        ...(name === 'AveragePool' && numberAttr(node, 'count_include_pad', 0) !== 0 && { counted: around(false) }),
        ...(name === 'LpPool' && { p, mean: false }),
      }
      const inner = (what: string) => ({
        from: node.result.from,
        names: [`${node.result.names?.[0] || node.result.from || 'pool'}/${what}`],
      })
      const image =
        rank === 2 ? x : build.one(reshape, [x], { shape: [shape[0], shape[1], 1, shape[2]] }, inner('image'))
      const last = build.one(transpose, [image], { perm: [0, 2, 3, 1] }, inner('channels_last'))
      const pooled = build.one(op(), [last], attrs, inner('pooled'))
      const perm = { perm: [0, 3, 1, 2] }
      if (rank === 2) return build.add(transpose, [pooled], perm, node.result)
      const first = build.one(transpose, [pooled], perm, inner('channels_first'))
      return build.add(reshape, [first], { shape: [shape[0], shape[1], first.type.shape[3]] }, node.result)
    },
  }
}
