// Softmax over the last axis: e^(beta (x - max)) over the sum of these. f32 with our own exponential; int8 bit-exact to
// TensorFlow Lite Micro's reference kernel (output scale 1/256, zero point -128).

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { quantOf, sameQuant, type TensorType } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { clz, rdivpot, srdhm } from '../../loops/arith.ts'
import { expf } from '../../loops/float.ts'
import { type Elem, newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { oneOverOnePlus } from '../fixed_point.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { lower } from './lower.ts'
import { expOfDifference, MOST_ELEMENTS, SUM_BITS } from './stored.ts'

export type Softmax = Attrs & { readonly beta: number }

function infer([x]: readonly (TensorType | undefined)[]): TensorType[] {
  return [x!.dtype === 'i8' ? { ...shaped(x!), quant: quantOf(1 / 256, -128) } : shaped(x!)]
}

function floatRow(x: ArrayLike<number>, beta: number): number[] {
  const f = Math.fround
  let max = x[0]
  for (let c = 1; c < x.length; c++) if (max < x[c]) max = x[c]
  const e = Array.from(x, (v) => expf(f(f(v - max) * beta)))
  const sum = e.reduce((s, v) => f(s + v), 0)
  return e.map((v) => f(v / sum))
}

function storedRow(x: ArrayLike<number>, exp: (d: number) => number): number[] {
  const max = Math.max(...Array.from(x))
  const e = Array.from(x, (v) => exp(max - v))
  const sum = e.reduce((s, v) => s + rdivpot(v, SUM_BITS), 0)
  const lead = clz(sum)
  const scale = oneOverOnePlus(sum * 2 ** lead - 2 ** 31)
  const exponent = SUM_BITS + 31 - 8 - lead
  return e.map((v) => Math.min(127, (exponent > 31 ? 0 : rdivpot(srdhm(scale, v), exponent)) - 128))
}

export const softmax: Op<Softmax> = {
  name: 'softmax',

  spelled: {
    tflite: [
      {
        name: 'SOFTMAX',
        code: 25,
        options: { id: 9, fields: { beta: { slot: 0, type: 'f32', default: 0 } } },
        read: (build, { inputs, options, result }) =>
          build.add(softmax, inputs, { beta: options.beta as number }, result),
        write: ({ inputs, attrs }) => ({ inputs, options: { beta: attrs.beta } }),
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, ['f32', 'i8'], 'input', where)
    if (x.shape.length === 0) throw new ModelError(where, 'input is a scalar, softmax needs at least one dimension')
    const [expected] = infer([x])
    expectOutputs(node, [expected])
    if (x.dtype === 'f32') return
    perTensor(x, 'input', where)
    const y = perTensor(node.outputs[0].type, 'output', where)
    if (!sameQuant(node.outputs[0].type.quant, expected.quant))
      throw new ModelError(
        where,
        `output has scale ${y.scale} and zero point ${y.zero}, int8 softmax has ${1 / 256} and -128`,
      )
    if (x.shape.at(-1)! > MOST_ELEMENTS)
      throw new ModelError(where, `last axis has ${x.shape.at(-1)} elements, int8 softmax takes up to ${MOST_ELEMENTS}`)
  },

  eval(node, [x]) {
    const X = numbers(x)
    const { type } = node.inputs[0]!
    const C = type.shape.at(-1)!
    const { beta } = node.attrs
    const exp = type.quant && expOfDifference(type.quant.scale[0], beta)
    const Y = numbers(newData(type.dtype as Elem, X.length))
    for (let i = 0; i < X.length; i += C) {
      const row = X.subarray(i, i + C)
      Y.set(exp ? storedRow(row, exp) : floatRow(row, Math.fround(beta)), i)
    }
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
