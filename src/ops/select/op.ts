// Elements of one tensor or another, as a third one of bools says, with numpy broadcasting of all three. Elements keep
// their type and scale.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { sameQuant, type TensorType } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { broadcastCall, broadcastEval, broadcastShape } from '../binary/broadcast.ts'
import { expectInputs, expectOutputs } from '../check.ts'
import { ELEMENTWISE, NOTHING } from '../elementwise.ts'
import { expectDtype } from '../quant.ts'
import { reshape } from '../shape/reshape.ts'
import { operand, operands, reading } from '../tflite.ts'

export type Select = Attrs & Record<string, never>

function infer([condition, a, b]: readonly (TensorType | undefined)[]): TensorType[] {
  return [{ ...a!, shape: broadcastShape(condition!.shape, a!.shape, b!.shape) ?? [] }]
}

/**
 * condition ? a : b with numpy broadcasting of all three. condition bool; a and b of one type and scale, which the
 * output keeps. TFLite SELECT_V2, SELECT, ONNX Where.
 */
export const select: Op<Select> = {
  name: 'select',

  spelled: {
    tflite: [
      {
        name: 'SELECT_V2',
        code: 123,
        read: (build, { inputs, result }) => build.add(select, inputs, {}, result),
        write: ({ inputs }) => ({ inputs, options: {} }),
      },
      {
        name: 'SELECT',
        code: 64,
        read(build, node) {
          const where = reading('select', node)
          const [condition, a] = [operand(node, 0, 'the condition', where), operand(node, 1, 'the first choice', where)]
          const [rank, own] = [a.type.shape.length, condition.type.shape]
          // A condition of one dimension chooses whole rows
          const rows = own.length === 1 && rank > 1
          const choice = rows
            ? build.one(reshape, [condition], { shape: [...own, ...new Array<number>(rank - 1).fill(1)] })
            : condition
          return build.add(select, [choice, a, node.inputs[2]], {}, node.result)
        },
      },
    ],
    onnx: [
      {
        name: 'Where',
        read: (build, node) => build.add(select, operands(node, 3, 'select'), {}, node.result),
        write: ({ inputs }) => ({ inputs, attrs: {} }),
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 3)
    const [condition, a, b] = node.inputs.map((v) => v!.type)
    expectDtype(condition, ['bool'], 'condition', where)
    expectDtype(a, ['f32', 'f64', 'f16', 'i8', 'u8', 'i16', 'i32', 'i64', 'bool'], 'input', where)
    if (b.dtype !== a.dtype)
      throw new ModelError(where, `chooses between ${a.dtype} and ${b.dtype}, both need one type`)
    const y = node.outputs[0].type
    if (!sameQuant(a.quant, b.quant) || !sameQuant(a.quant, y.quant))
      throw new ModelError(where, 'chooses between tensors of different scales, both and the output need one')
    if (!broadcastShape(condition.shape, a.shape, b.shape))
      throw new ModelError(
        where,
        `inputs have shapes [${condition.shape}], [${a.shape}] and [${b.shape}], which do not broadcast`,
      )
    expectOutputs(node, infer([condition, a, b]))
  },

  eval: (node, inputs) => [broadcastEval(node, inputs, (condition, a, b) => (condition ? a : b))],
  lower: (node) => broadcastCall('select', node, NOTHING, ([condition, a, b]) => [[], L.select(condition, a, b)]),
  ...ELEMENTWISE,
}
