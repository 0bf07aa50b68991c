// ONNX's LpNormalization: x divided by its L1 or L2 norm along one axis, as a reduction and a division.

import { ModelError } from '../../errors.ts'
import type { OnnxSpelling } from '../../ir/op.ts'
import { div } from '../binary/op.ts'
import { inner } from '../matmul/spellings.ts'
import { axisOf, numberAttr } from '../onnx.ts'
import { reduceL1, reduceL2 } from '../reduce/op.ts'
import { operand, reading } from '../tflite.ts'

export const onnxLpNormalization: OnnxSpelling = {
  name: 'LpNormalization',
  read(build, node) {
    const where = reading('lp_normalization', node)
    const x = operand(node, 0, 'input', where)
    const p = numberAttr(node, 'p', 2)
    if (p !== 1 && p !== 2) throw new ModelError(where, `p is ${p}, supported are 1 and 2`)
    const axes = [axisOf(numberAttr(node, 'axis', -1), x.type.shape.length, where)]
    const norm = build.one(p === 1 ? reduceL1 : reduceL2, [x], { axes, keepDims: true }, inner(node, 'norm'))
    return build.add(div, [x, norm], { clamp: {} }, node.result)
  },
}
