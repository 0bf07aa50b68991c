// Normalisations in the file formats: ONNX's LayerNormalization, RMSNormalization, InstanceNormalization and
// GroupNormalization, TFLite's L2_NORMALIZATION.

import { ModelError } from '../../errors.ts'
import type { Builder } from '../../ir/build.ts'
import type { Value } from '../../ir/graph.ts'
import type { OnnxNode, OnnxSpelling, TfliteSpelling } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { axisOf, numberAttr } from '../onnx.ts'
import { operand, operands, reading } from '../tflite.ts'
import { type Normalize, normalize } from './op.ts'

/** Normalisation of the trailing dimensions, with scale and shift of their shape. */
function trailing(name: string, kind: 'layer' | 'rms'): OnnxSpelling<Normalize> {
  return {
    name,
    read(build, node) {
      const where = reading('normalize', node)
      const x = operand(node, 0, 'input', where)
      const { shape } = x.type
      const axis = axisOf(numberAttr(node, 'axis', -1), shape.length, where)
      if (numberAttr(node, 'stash_type', 1) !== 1)
        throw new ModelError(where, `stash_type is ${numberAttr(node, 'stash_type', 1)}, supported is 1 (float32)`)
      const depth = count(shape.slice(axis))
      const epsilon = numberAttr(node, 'epsilon', 1e-5)
      const outputs = node.outputs
      return build.add(
        normalize,
        operands(node, 2, 'normalize'),
        { kind, axis, groups: 1, depth, epsilon, outputs },
        node.result,
      )
    },
  }
}

/** `groups` groups of the channels of x[N, C, ...]; scale and shift for each channel, or for each group. */
function grouped(build: Builder, node: OnnxNode, x: Value, groups: number, where: string): Value[] {
  const C = x.type.shape[1]
  const scales = count(operand(node, 1, 'scale', where).type.shape)
  if (x.type.shape.length < 2 || C % groups !== 0)
    throw new ModelError(where, `input [${x.type.shape}] does not split into ${groups} groups of channels`)
  if (scales !== C && scales !== groups)
    throw new ModelError(where, `scale has ${scales} elements, expected ${C} (channels) or ${groups} (groups)`)
  const epsilon = numberAttr(node, 'epsilon', 1e-5)
  const attrs: Normalize = { kind: 'layer', axis: 1, groups, depth: scales / groups, epsilon, outputs: 1 }
  return build.add(normalize, node.inputs.slice(0, 3), attrs, node.result)
}

export const ONNX: readonly OnnxSpelling<Normalize>[] = [
  trailing('LayerNormalization', 'layer'),
  trailing('RMSNormalization', 'rms'),
  {
    name: 'InstanceNormalization',
    read(build, node) {
      const where = reading('normalize', node)
      const x = operand(node, 0, 'input', where)
      return grouped(build, node, x, x.type.shape[1], where)
    },
  },
  {
    name: 'GroupNormalization',
    read(build, node) {
      const where = reading('normalize', node)
      return grouped(build, node, operand(node, 0, 'input', where), numberAttr(node, 'num_groups', 1), where)
    },
  },
]

export const TFLITE: readonly TfliteSpelling<Normalize>[] = [
  {
    name: 'L2_NORMALIZATION',
    code: 11,
    options: { id: 12, fields: { fused_activation_function: { slot: 0, type: 'i8', default: 0 } } },
    read(build, node) {
      const where = reading('normalize', node)
      const x = operand(node, 0, 'input', where)
      if (node.options.fused_activation_function !== 0)
        throw new ModelError(where, `fused activation ${node.options.fused_activation_function} is not supported`)
      const axis = x.type.shape.length - 1
      const depth = x.type.shape[axis]
      return build.add(normalize, [x], { kind: 'l2', axis, groups: 1, depth, epsilon: 1e-6, outputs: 1 }, node.result)
    },
    write({ inputs, attrs: { kind, axis, groups, epsilon } }) {
      const last = axis === inputs[0]!.type.shape.length - 1
      if (kind !== 'l2' || !last || groups !== 1 || epsilon !== 1e-6 || inputs[1] || inputs[2]) return undefined
      return { inputs: [inputs[0]], options: { fused_activation_function: 0 } }
    },
  },
]
