// Softmax over the last axis: e^(beta (x - max)) over the sum of these. f32 with our own exponential; int8 bit-exact to
// TensorFlow Lite Micro's reference kernel: to int8 (output scale 1/256, zero point -128) or int16 (1/65536, -32768).

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type DType, quantOf, type TensorType } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { clz, rdivpot, srdhm } from '../../loops/arith.ts'
import { expf } from '../../loops/float.ts'
import { newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { oneOverOnePlus } from '../fixed_point.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { lower } from './lower.ts'
import { expOfDifference, MOST_ELEMENTS, SUM_BITS } from './stored.ts'

export type Softmax = Attrs & { readonly beta: number }

/** An int8 input gives int8, or int16 where that is asked for. */
function outputType(x: TensorType, dtype: DType): TensorType {
  if (x.dtype !== 'i8') return shaped(x)
  return dtype === 'i16'
    ? { ...shaped(x, 'i16'), quant: quantOf(2 ** -16, -32768) }
    : { ...shaped(x), quant: quantOf(2 ** -8, -128) }
}

function floatRow(x: ArrayLike<number>, beta: number): number[] {
  const f = Math.fround
  let max = x[0]
  for (let c = 1; c < x.length; c++) if (max < x[c]) max = x[c]
  const e = Array.from(x, (v) => expf(f(f(v - max) * beta)))
  const sum = e.reduce((s, v) => f(s + v), 0)
  return e.map((v) => f(v / sum))
}

function storedRow(x: ArrayLike<number>, exp: (d: number) => number, bits: number): number[] {
  const max = Math.max(...Array.from(x))
  const e = Array.from(x, (v) => exp(max - v))
  const sum = e.reduce((s, v) => s + rdivpot(v, SUM_BITS), 0)
  const lead = clz(sum)
  const scale = oneOverOnePlus(sum * 2 ** lead - 2 ** 31)
  const half = 2 ** (bits - 1)
  const exponent = SUM_BITS + 31 - bits - lead
  return e.map((v) => Math.min(half - 1, (exponent > 31 ? 0 : rdivpot(srdhm(scale, v), exponent)) - half))
}

/** Converters write int16 outputs with a scale of 1/65535 as well. */
function near(y: { scale: number; zero: number }, { dtype, quant }: TensorType): boolean {
  const tolerance = dtype === 'i16' ? 0.001 : 0
  return y.zero === quant!.zero[0] && Math.abs(y.scale / quant!.scale[0] - 1) <= tolerance
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

  infer: ([x]) => [outputType(x!, x!.dtype)],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, ['f32', 'i8'], 'input', where)
    if (x.shape.length === 0) throw new ModelError(where, 'input is a scalar, softmax needs at least one dimension')
    const expected = outputType(x, node.outputs[0]?.type.dtype ?? x.dtype)
    expectOutputs(node, [expected])
    if (x.dtype === 'f32') return
    perTensor(x, 'input', where)
    const y = perTensor(node.outputs[0].type, 'output', where)
    if (!near(y, expected))
      throw new ModelError(
        where,
        `output has scale ${y.scale} and zero point ${y.zero}, softmax to ${expected.dtype} has ${expected.quant!.scale[0]} and ${expected.quant!.zero[0]}`,
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
    const Y = numbers(newData(outputElem(node), X.length))
    for (let i = 0; i < X.length; i += C) {
      const row = X.subarray(i, i + C)
      Y.set(exp ? storedRow(row, exp, Y instanceof Int16Array ? 16 : 8) : floatRow(row, Math.fround(beta)), i)
    }
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, 0),
  inPlace: ({ inputs, outputs }) => (inputs[0]!.type.dtype === outputs[0].type.dtype ? [0] : []),
  permute: ({ attrs }, perm) => (perm.at(-1) === perm.length - 1 ? { attrs, perm } : undefined),
}
