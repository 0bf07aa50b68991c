// The sum of several int8 tensors of one shape and scale, requantised once: TFLite's ADD_N. Sums of floats are chains of
// additions.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { sameQuant, sameShape, type Value } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { add } from '../binary/op.ts'
import { expectOutputs } from '../check.ts'
import { ELEMENTWISE, shaped } from '../elementwise.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { canSum, runningSum, runningSumSteps } from '../running_sum.ts'
import { operand, reading } from '../tflite.ts'

export type AddN = Attrs & Record<string, never>

/**
 * The sum of two or more tensors of one shape and one scale, requantised once. i8. TFLite ADD_N (of floats it is a
 * chain of `add`).
 */
export const addN: Op<AddN> = {
  name: 'add_n',

  spelled: {
    tflite: [
      {
        name: 'ADD_N',
        code: 106,
        options: { id: 82, fields: {} },
        read(build, node) {
          const where = reading('add_n', node)
          const all = node.inputs.map((_, i) => operand(node, i, 'a summand', where))
          if (all[0].type.quant || all.length < 2) return build.add(addN, all, {}, node.result)
          const last = all.length - 1
          const inner = (i: number) => ({ from: node.result.from, names: [`${node.result.names?.[0]}/${i}`] })
          return [
            all.reduce((sum, v, i) => build.one(add, [sum, v], { clamp: {} }, i === last ? node.result : inner(i))),
          ]
        },
        write: ({ inputs }) => ({ inputs, options: {} }),
      },
    ],
  },

  infer: ([x]) => [shaped(x!)],

  check(node) {
    const where = layer(node)
    const all = node.inputs as Value[]
    if (all.length < 2 || all.includes(undefined as never))
      throw new ModelError(where, `has ${all.length} inputs, expected at least 2`)
    const x = all[0].type
    const y = node.outputs[0].type
    expectDtype(x, ['i8'], 'input', where)
    expectOutputs(node, [shaped(x)])
    const ends = [...all, node.outputs[0]].map((v, i) =>
      perTensor(v.type, i < all.length ? `input ${i}` : 'output', where),
    )
    const other = all.find(
      ({ type: t }) => t.dtype !== 'i8' || !sameShape(t.shape, x.shape) || !sameQuant(t.quant, x.quant),
    )
    if (other)
      throw new ModelError(
        where,
        `input "${other.name}" is ${other.type.dtype}[${other.type.shape}] of scale ${other.type.quant?.scale}, others are i8[${x.shape}] of scale ${ends[0].scale}`,
      )
    if (!canSum(x, y))
      throw new ModelError(where, `output scale ${ends.at(-1)!.scale} is too small for input scale ${ends[0].scale}`)
  },

  eval(node, inputs) {
    const { start, add: plus, stored } = runningSum(node.inputs[0]!.type, node.outputs[0].type)
    const all = inputs.map(numbers)
    return [Int8Array.from(all[0], (_, i) => stored(all.reduce((sum, x) => plus(sum, x[i]), start)))]
  },

  lower(node) {
    const y = node.outputs[0]
    const n = count(y.type.shape)
    const X = node.inputs.map((_, i) => L.buffer(`x${i}`, 'i8', [n]))
    const Y = L.buffer('y', 'i8', [n], 'write')
    const { numbers: p, start, add: plus, stored } = runningSumSteps(node.inputs[0]!.type, y.type)
    const body = L.parallel('i', n, (i) =>
      L.store(Y, [i], stored(X.reduce((sum, x) => plus(sum, L.load(x, i)), start))),
    )
    return {
      kernel: L.kernel('add_n', [...X, ...p.bufs, Y], ...p.head, body),
      args: [...node.inputs.map((value) => ({ value: value! })), ...p.args, { value: y }],
    }
  },

  ...ELEMENTWISE,
}
