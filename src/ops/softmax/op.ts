// Softmax over the last axis: e^(beta (x - max)) over the sum of these. f32 with our own exponential; stored integers
// bit-exact to TensorFlow Lite Micro's reference kernels: int8 to int8 (output scale 1/256, zero point -128) or int16
// (1/65536, -32768), int16 to int16 (1/32768, 0).

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
import { lower16, MOST_ELEMENTS_16, row16 } from './int16.ts'
import { lowerFloat, lowerStored } from './lower.ts'
import { expOfDifference, MOST_ELEMENTS, SUM_BITS } from './stored.ts'

export type Softmax = Attrs & { readonly beta: number }

/** An int8 input gives int8, or int16 where that is asked for. */
function outputType(x: TensorType, dtype: DType): TensorType {
  if (x.dtype === 'f32') return shaped(x)
  if (x.dtype === 'i16') return { ...shaped(x), quant: quantOf(2 ** -15, 0) }
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

/**
 * e^(beta (x - max)) over the sum of these, along the last axis. f32; i8 to i8 (scale 1/256, zero point -128) or i16
 * (1/65536, -32768); i16 to i16 (1/32768, 0). Refuses scalars. TFLite SOFTMAX, ONNX Softmax.
 */
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
    expectDtype(x, ['f32', 'i8', 'i16'], 'input', where)
    if (x.shape.length === 0) throw new ModelError(where, 'input is a scalar, softmax needs at least one dimension')
    const expected = outputType(x, node.outputs[0]?.type.dtype ?? x.dtype)
    expectOutputs(node, [expected])
    if (x.dtype === 'f32') return
    const { zero } = perTensor(x, 'input', where)
    if (x.dtype === 'i16' && zero !== 0) throw new ModelError(where, `has zero point ${zero}, i16 needs 0`)
    const y = perTensor(node.outputs[0].type, 'output', where)
    if (!near(y, expected))
      throw new ModelError(
        where,
        `output has scale ${y.scale} and zero point ${y.zero}, softmax to ${expected.dtype} has ${expected.quant!.scale[0]} and ${expected.quant!.zero[0]}`,
      )
    const most = x.dtype === 'i16' ? MOST_ELEMENTS_16 : MOST_ELEMENTS
    if (x.shape.at(-1)! > most)
      throw new ModelError(where, `last axis has ${x.shape.at(-1)} elements, softmax of ${x.dtype} takes up to ${most}`)
  },

  eval(node, [x]) {
    const X = numbers(x)
    const { type } = node.inputs[0]!
    const C = type.shape.at(-1)!
    const { beta } = node.attrs
    const scale = type.quant?.scale[0]
    const exp = type.dtype === 'i8' ? expOfDifference(scale!, beta) : undefined
    const Y = numbers(newData(outputElem(node), X.length))
    const of = (row: ArrayLike<number>) => {
      if (type.dtype === 'i16') return row16(row, scale!, beta)
      return exp ? storedRow(row, exp, Y instanceof Int16Array ? 16 : 8) : floatRow(row, Math.fround(beta))
    }
    for (let i = 0; i < X.length; i += C) Y.set(of(X.subarray(i, i + C)), i)
    return [Y]
  },

  lower(node) {
    const { dtype } = node.inputs[0]!.type
    return dtype === 'f32' ? lowerFloat(node) : dtype === 'i16' ? lower16(node) : lowerStored(node)
  },
  quantize: () => ({ output: 'fixed' }),
  cost: (node) => costOf(node, 0),
  inPlace: ({ inputs, outputs }) => (inputs[0]!.type.dtype === outputs[0].type.dtype ? [0] : []),
  permute: ({ attrs }, perm) => (perm.at(-1) === perm.length - 1 ? { attrs, perm } : undefined),
}
