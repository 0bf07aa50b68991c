// Concat, Transpose and Pad of ONNX. What Pad takes from inside the tensor (edge, reflect, wrap) is gathered by constant
// indices, an axis at a time; negative pads cut off.

import { ModelError } from '../../errors.ts'
import { tableLength } from '../../ir/limits.ts'
import type { OnnxSpelling } from '../../ir/op.ts'
import { inner } from '../conv2d/onnx.ts'
import { gather } from '../gather/op.ts'
import { axisOf, listAttr, listOf, numberAttr, stringAttr } from '../onnx.ts'
import { slice } from '../slice/op.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'
import { type Concat, concat } from './concat.ts'
import { pad } from './pad.ts'
import { type Transpose, transpose } from './transpose.ts'

export const onnxConcat: OnnxSpelling<Concat> = {
  name: 'Concat',
  read(build, node) {
    const where = reading('concat', node)
    const rank = operand(node, 0, 'input', where).type.shape.length
    const parts = node.inputs.map((_, i) => operand(node, i, 'input', where))
    const axis = axisOf(numberAttr(node, 'axis', 1), rank, where)
    // An empty tensor is how exporters begin a shape.
    const full = parts.filter((v) => v.type.shape[axis] !== 0)
    return build.add(concat, full.length > 0 ? full : parts.slice(0, 1), { axis }, node.result)
  },
}

export const onnxTranspose: OnnxSpelling<Transpose> = {
  name: 'Transpose',
  read(build, node) {
    const x = operand(node, 0, 'input', reading('transpose', node))
    const perm = listAttr(node, 'perm') ?? x.type.shape.map((_, d) => x.type.shape.length - 1 - d)
    return build.add(transpose, [x], { perm }, node.result)
  },
}

/** Where element `i` of an axis of `extent` that begins at `-low` comes from. */
function source(i: number, extent: number, mode: string): number {
  if (mode === 'edge') return Math.min(extent - 1, Math.max(0, i))
  if (mode === 'wrap') return ((i % extent) + extent) % extent
  const period = Math.max(1, 2 * (extent - 1))
  const at = ((i % period) + period) % period
  return at < extent ? at : period - at
}

export const onnxPad: OnnxSpelling = {
  name: 'Pad',
  read(build, node) {
    const where = reading('pad', node)
    const x = operand(node, 0, 'input', where)
    const { shape } = x.type
    const mode = stringAttr(node, 'mode', 'constant')
    const amounts = listOf(node, 'pads', 1, where) ?? listAttr(node, 'paddings')
    const axes = node.inputs[3]
      ? constantNumbers(node, 3, 'axes', where).map((a) => axisOf(a, shape.length, where))
      : shape.map((_, d) => d)
    if (!amounts || amounts.length !== 2 * axes.length)
      throw new ModelError(where, `has ${amounts?.length ?? 0} pads for ${axes.length} axes`)
    const low = shape.map((_, d) => (axes.includes(d) ? amounts[axes.indexOf(d)] : 0))
    const high = shape.map((_, d) => (axes.includes(d) ? amounts[axes.indexOf(d) + axes.length] : 0))
    if (mode === 'constant') {
      const value = node.inputs[2] ? constantNumbers(node, 2, 'value', where)[0] : numberAttr(node, 'value', 0)
      const cut = [...low, ...high].some((p) => p < 0)
      const begin = low.map((p) => Math.max(0, -p))
      const kept = cut
        ? build.one(
            slice,
            [x],
            { begin, step: shape.map(() => 1), size: shape.map((e, d) => e - begin[d] - Math.max(0, -high[d])) },
            inner(node, 'kept'),
          )
        : x
      const positive = (p: number) => Math.max(0, p)
      return build.add(pad, [kept], { low: low.map(positive), high: high.map(positive), value }, node.result)
    }
    if (!['edge', 'reflect', 'wrap'].includes(mode))
      throw new ModelError(where, `mode is "${mode}", supported are constant, edge, reflect and wrap`)
    const padded = shape.flatMap((_, d) => (low[d] !== 0 || high[d] !== 0 ? [d] : []))
    if (padded.length === 0) return build.add(pad, [x], { low, high, value: 0 }, node.result)
    let v = x
    for (const d of padded) {
      const n = tableLength(low[d] + shape[d] + high[d], `axis ${d} after padding`, where)
      const from = Int32Array.from({ length: n }, (_, i) => source(i - low[d], shape[d], mode))
      const indices = build.const(`${node.result.names?.[0]}/from_${d}`, { dtype: 'i32', shape: [n] }, from)
      const last = d === padded.at(-1)
      v = build.one(gather, [v, indices], { axis: d, batchDims: 0 }, last ? node.result : inner(node, `axis_${d}`))
    }
    return [v]
  },
}
