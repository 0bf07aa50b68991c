// Splits and stacks of the file formats as slices, reshapes and concatenations: TFLite's SPLIT, SPLIT_V, UNPACK and PACK,
// ONNX's Split.

import { ModelError } from '../../errors.ts'
import type { Builder, NodeOptions } from '../../ir/build.ts'
import type { TensorType, Value } from '../../ir/graph.ts'
import type { OnnxSpelling, TfliteSpelling } from '../../ir/op.ts'
import { axisOf, listOf, numberAttr } from '../onnx.ts'
import { concat } from '../shape/concat.ts'
import { reshape } from '../shape/reshape.ts'
import { slice } from '../slice/op.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'

/** What the file says of output `i`, for a node of its own. */
function outputOf(result: NodeOptions, i: number): NodeOptions {
  return {
    from: result.from,
    ...(result.types?.[i] && { types: [result.types[i]] }),
    ...(result.names?.[i] !== undefined && { names: [result.names[i]] }),
    ...(result.indices?.[i] !== undefined && { indices: [result.indices[i]] }),
  }
}

/** A node that the file does not have, named after output `i` of the one it has. */
function innerOf(result: NodeOptions, i: number, what: string): NodeOptions {
  return { from: result.from, names: [`${result.names?.[i] ?? result.from ?? 'value'}/${what}`] }
}

function part({ shape }: TensorType, axis: number, begin: number, size: number) {
  return {
    begin: shape.map((_, d) => (d === axis ? begin : 0)),
    step: shape.map(() => 1),
    size: shape.map((e, d) => (d === axis ? size : e)),
  }
}

function split(
  build: Builder,
  x: Value,
  axis: number,
  sizes: readonly number[],
  outputs: number,
  result: NodeOptions,
  where: string,
): Value[] {
  const extent = x.type.shape[axis]
  if (sizes.reduce((n, s) => n + s, 0) !== extent || sizes.some((s) => s < 0))
    throw new ModelError(where, `splits axis ${axis} into [${sizes}], it has ${extent} elements`)
  let begin = 0
  return sizes.slice(0, outputs).map((size, i) => {
    const attrs = part(x.type, axis, begin, size)
    begin += size
    return build.one(slice, [x], attrs, outputOf(result, i))
  })
}

function equalParts(extent: number, parts: number, where: string): number[] {
  if (parts < 1 || extent % parts !== 0)
    throw new ModelError(where, `splits ${extent} elements into ${parts} equal parts`)
  return Array.from({ length: parts }, () => extent / parts)
}

export const tfliteSplit: TfliteSpelling = {
  name: 'SPLIT',
  code: 49,
  options: { id: 35, fields: { num_splits: { slot: 0, type: 'i32', default: 0 } } },
  read(build, node) {
    const where = reading('split', node)
    const x = operand(node, 1, 'input', where)
    const axis = axisOf(constantNumbers(node, 0, 'axis', where)[0], x.type.shape.length, where)
    const outputs = node.result.types.length
    if (node.options.num_splits !== outputs)
      throw new ModelError(where, `has ${outputs} outputs and num_splits ${node.options.num_splits}`)
    const sizes = equalParts(x.type.shape[axis], outputs, where)
    return split(build, x, axis, sizes, outputs, node.result, where)
  },
}

export const tfliteSplitV: TfliteSpelling = {
  name: 'SPLIT_V',
  code: 102,
  options: { id: 79, fields: { num_splits: { slot: 0, type: 'i32', default: 0 } } },
  read(build, node) {
    const where = reading('split', node)
    const x = operand(node, 0, 'input', where)
    const given = constantNumbers(node, 1, 'sizes', where)
    const axis = axisOf(constantNumbers(node, 2, 'axis', where)[0], x.type.shape.length, where)
    const rest = x.type.shape[axis] - given.filter((s) => s !== -1).reduce((n, s) => n + s, 0)
    const sizes = given.map((s) => (s === -1 ? rest : s))
    return split(build, x, axis, sizes, node.result.types.length, node.result, where)
  },
}

export const tfliteUnpack: TfliteSpelling = {
  name: 'UNPACK',
  code: 88,
  options: {
    id: 64,
    fields: { num: { slot: 0, type: 'i32', default: 0 }, axis: { slot: 1, type: 'i32', default: 0 } },
  },
  read(build, node) {
    const where = reading('unpack', node)
    const x = operand(node, 0, 'input', where)
    const axis = axisOf(node.options.axis as number, x.type.shape.length, where)
    if (node.options.num !== x.type.shape[axis])
      throw new ModelError(where, `unpacks ${node.options.num} tensors, axis ${axis} has ${x.type.shape[axis]}`)
    const shape = x.type.shape.filter((_, d) => d !== axis)
    return Array.from({ length: x.type.shape[axis] }, (_, i) => {
      const one = build.one(slice, [x], part(x.type, axis, i, 1), innerOf(node.result, i, 'slice'))
      return build.one(reshape, [one], { shape }, outputOf(node.result, i))
    })
  },
}

export const tflitePack: TfliteSpelling = {
  name: 'PACK',
  code: 83,
  options: {
    id: 59,
    fields: { values_count: { slot: 0, type: 'i32', default: 0 }, axis: { slot: 1, type: 'i32', default: 0 } },
  },
  read(build, node) {
    const where = reading('pack', node)
    const rank = operand(node, 0, 'input', where).type.shape.length
    const axis = axisOf(node.options.axis as number, rank + 1, where)
    const parts = node.inputs.map((_, i) => {
      const v = operand(node, i, 'input', where)
      const shape = [...v.type.shape.slice(0, axis), 1, ...v.type.shape.slice(axis)]
      return build.one(reshape, [v], { shape }, innerOf(node.result, 0, `${i}`))
    })
    return build.add(concat, parts, { axis }, node.result)
  },
}

export const onnxSplit: OnnxSpelling = {
  name: 'Split',
  read(build, node) {
    const where = reading('split', node)
    const x = operand(node, 0, 'input', where)
    const axis = axisOf(numberAttr(node, 'axis', 0), x.type.shape.length, where)
    const extent = x.type.shape[axis]
    const parts = numberAttr(node, 'num_outputs', node.outputs)
    if (parts !== node.outputs) throw new ModelError(where, `has ${node.outputs} outputs and num_outputs ${parts}`)
    const each = Math.ceil(extent / parts)
    const sizes =
      listOf(node, 'split', 1, where) ??
      Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(each, extent - i * each)))
    return split(build, x, axis, sizes, parts, node.result, where)
  },
}
