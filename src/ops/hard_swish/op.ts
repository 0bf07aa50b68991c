// HardSwish x * min(6, max(0, x + 3)) / 6 (Howard et al. 2019). f32, and int8 bit-exact to TensorFlow Lite through a table
// of the 256 results.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { elementwise, shaped } from '../elementwise.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { operands } from '../tflite.ts'
import { multipliersOf, stored } from './stored.ts'

export type HardSwish = Record<string, never>

function real(x: number): number {
  const relu = Math.fround(x + 3)
  const low = 0 < relu ? relu : 0
  return Math.fround(Math.fround(x * (low < 6 ? low : 6)) / 6)
}

/**
 * x * min(6, max(0, x + 3)) / 6. f32, and i8 with one scale, whose output scale is at least 1/128 of the input's.
 * TFLite HARD_SWISH, ONNX HardSwish; Howard et al. 2019.
 */
export const hardSwish: Op<HardSwish> = {
  name: 'hard_swish',

  spelled: {
    tflite: [
      {
        name: 'HARD_SWISH',
        code: 117,
        read: (build, { inputs, result }) => build.add(hardSwish, inputs, {}, result),
        write: ({ inputs }) => ({ inputs, options: {} }),
      },
    ],
    onnx: [
      {
        name: 'HardSwish',
        read: (build, node) => build.add(hardSwish, operands(node, 1, 'hard_swish'), {}, node.result),
        write: ({ inputs }) => (inputs[0]?.type.quant ? undefined : { inputs, attrs: {} }),
      },
    ],
  },

  infer: ([x]) => [shaped(x!)],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, ['f32', 'i8'], 'input', where)
    expectOutputs(node, [shaped(x)])
    if (x.dtype === 'f32') return
    const { scale } = perTensor(x, 'input', where)
    const y = perTensor(node.outputs[0].type, 'output', where)
    if (multipliersOf(x, node.outputs[0].type).output.shift > 0)
      throw new ModelError(
        where,
        `output scale ${y.scale} is too small for input scale ${scale}, at least 1/128 of it is needed`,
      )
  },

  eval(node, [x]) {
    const { type } = node.inputs[0]!
    if (type.dtype === 'f32') return [Float32Array.from(numbers(x), real)]
    return [Int8Array.from(numbers(x), stored(type, node.outputs[0].type))]
  },

  lower(node) {
    const { type } = node.inputs[0]!
    if (type.dtype === 'f32')
      return elementwise('hard_swish', node, { bufs: [], args: [], head: [] }, (x) => {
        const relu = L.min(L.float(6), L.max(L.float(0), L.op('add', x, L.float(3))))
        return [[], L.op('div', L.op('mul', x, relu), L.float(6))]
      })
    const of = stored(type, node.outputs[0].type)
    const table = Int8Array.from({ length: 256 }, (_, i) => of(i - 128))
    const T = L.buffer('t', 'i8', [256])
    return elementwise('table', node, { bufs: [T], args: [{ data: table }], head: [] }, (x) => [
      [],
      L.load(T, L.add(x, 128)),
    ])
  },

  quantize: () => ({ output: 'own' }),
  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
