// Elementwise operators of ONNX that are compositions: the mean of several operands.

import { ModelError } from '../../errors.ts'
import { elemOf } from '../../ir/graph.ts'
import type { OnnxSpelling } from '../../ir/op.ts'
import { add, div } from '../binary/op.ts'
import { chain } from '../pairwise/onnx.ts'
import { tensorOf } from '../scalars.ts'
import { operand, reading } from '../tflite.ts'

export const onnxMean: OnnxSpelling = {
  name: 'Mean',
  read(build, node) {
    const where = reading('mean', node)
    const { dtype } = operand(node, 0, 'an operand', where).type
    if (!['f32', 'f64', 'f16'].includes(dtype))
      throw new ModelError(where, `operands are ${dtype}, supported are f32, f64, f16`)
    if (node.inputs.length === 1) return [chain(build, node, add, { clamp: {} })]
    const n = tensorOf(elemOf(dtype)!, 1, () => node.inputs.length)
    const count = build.const(`${node.result.names?.[0]}/count`, { dtype, shape: [] }, n)
    return build.add(div, [chain(build, node, add, { clamp: {} }, {}), count], { clamp: {} }, node.result)
  },
}
