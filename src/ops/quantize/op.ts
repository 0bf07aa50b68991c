// Between float32 and quantised types, and between quantised types: y = zero + round(x / scale) with halves away from
// zero and a float32 quotient; x = scale * (y - zero); and one requantisation. TensorFlow Lite's definitions.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { bytesOf, type DType, sameQuant, type TensorType } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import { roundEven } from '../../loops/float.ts'
import { count, newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { cast } from '../cast/op.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { ELEMENTWISE, shaped } from '../elementwise.ts'
import { expectDtype, perTensor, rangeOf, roundAway } from '../quant.ts'
import { lowerDequantize, lowerQuantize, requantizeMultiplier } from './lower.ts'

/** The dtype to quantise to. `ties`: where halves of float32 go, away from zero (TFLite) or to the even one (ONNX). */
export type Quantize = Attrs & { readonly dtype: DType; readonly ties?: 'even' }
export type Dequantize = Record<string, never>

const STORED: readonly DType[] = ['i8', 'u8', 'i16', 'u4', 'u2']

/**
 * Whether dequantising and quantising again gives every stored value back. The float32 product and quotient are each off
 * by at most 2^-24 of their size, less than half a step for 16 bits and below, unless a product is subnormal or too large.
 */
export function pairIsIdentity(type: TensorType): boolean {
  const scale = type.quant!.scale[0]
  return STORED.includes(type.dtype) && scale >= 2 ** -126 && scale <= 2 ** 110
}

/**
 * zero + round(x / scale), saturated, halves away from zero (`ties: 'even'`: to the even one). f32 to i8, u8 or i16
 * (`dtype`); i8, u8, i16 or i32 to one of these with another scale, by one requantisation. The output's scale is given
 * with the node. TFLite QUANTIZE, ONNX QuantizeLinear.
 */
export const quantize: Op<Quantize> = {
  name: 'quantize',

  spelled: {
    tflite: [
      {
        name: 'QUANTIZE',
        code: 114,
        options: { id: 89, fields: {} },
        read: (build, { inputs, result }) =>
          build.add(quantize, inputs, { dtype: result.types[0]?.dtype ?? 'i8' }, result),
        write: ({ inputs, attrs }) => (attrs.ties ? undefined : { inputs, options: {} }),
      },
    ],
  },

  infer: ([x], { dtype }) => [shaped(x!, dtype)],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, ['f32', ...STORED, 'i32'], 'input', where)
    expectOutputs(node, [shaped(x, node.attrs.dtype)])
    const y = node.outputs[0].type
    expectDtype(y, x.dtype === 'f32' ? STORED : [...STORED, 'i32'], 'output', where)
    if (x.dtype !== 'f32') perTensor(x, 'input', where)
    const { scale } = perTensor(y, 'output', where)
    if (!(scale > 0)) throw new ModelError(where, `output has scale ${scale}, a scale is positive`)
  },

  eval(node, [x]) {
    const X = numbers(x)
    const y = node.outputs[0].type
    const [scale, zero] = [y.quant!.scale[0], y.quant!.zero[0]]
    const { min, max } = rangeOf(y.dtype)
    const Y = numbers(newData(outputElem(node), count(y.shape)))
    if (node.inputs[0]!.type.dtype === 'f32') {
      const round = node.attrs.ties === 'even' ? roundEven : roundAway
      for (let i = 0; i < Y.length; i++) {
        const q = round(Math.fround(X[i] / scale)) + zero
        Y[i] = Number.isNaN(q) ? zero : Math.min(max, Math.max(min, q))
      }
      return [Y]
    }
    const zx = node.inputs[0]!.type.quant!.zero[0]
    const m = requantizeMultiplier(node)
    for (let i = 0; i < Y.length; i++)
      Y[i] = Math.min(max, Math.max(min, (requant((X[i] - zx) | 0, m.multiplier, m.shift) + zero) | 0))
    return [Y]
  },

  lower: lowerQuantize,
  cost: (node) => costOf(node, 0),
  permute: ({ attrs }, perm) => ({ attrs, perm }),
  region: ELEMENTWISE.region,
  inPlace: (node) => (bytesOf(node.inputs[0]!.type) === bytesOf(node.outputs[0].type) ? [0] : []),

  effect(node) {
    const [x, y] = [node.inputs[0]!.type, node.outputs[0].type]
    if (x.dtype === 'f32') return { does: 'quantize' }
    return x.dtype === y.dtype && sameQuant(x.quant, y.quant) ? { does: 'copy' } : undefined
  },

  absorb(node, effect, other, side) {
    if (effect.does !== 'dequantize' || side !== 'before') return undefined
    const [x, y] = [other.inputs[0]!, node.outputs[0].type]
    const same = x.type.dtype === y.dtype && sameQuant(x.type.quant, y.quant)
    return same && pairIsIdentity(y) ? x : undefined
  },
}

/** scale * (x - zero) in f32, of i8, u8 or i16 with one scale. TFLite DEQUANTIZE (of f16 it is a `cast`), ONNX DequantizeLinear. */
export const dequantize: Op<Dequantize> = {
  name: 'dequantize',

  spelled: {
    tflite: [
      {
        name: 'DEQUANTIZE',
        code: 6,
        options: { id: 38, fields: {} },
        read: (build, { inputs, result }) =>
          inputs[0]?.type.dtype === 'f16'
            ? build.add(cast, inputs, { to: 'f32' }, result)
            : build.add(dequantize, inputs, {}, result),
        write: ({ inputs }) => ({ inputs, options: {} }),
      },
    ],
  },

  infer: ([x]) => [shaped(x!, 'f32')],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, STORED, 'input', where)
    perTensor(x, 'input', where)
    expectOutputs(node, [shaped(x, 'f32')])
  },

  eval(node, [x]) {
    const { scale, zero } = node.inputs[0]!.type.quant!
    return [Float32Array.from(numbers(x), (v) => Math.fround(scale[0] * (v - zero[0])))]
  },

  lower: lowerDequantize,
  cost: (node) => costOf(node, 0),
  effect: () => ({ does: 'dequantize' }),
  permute: ({ attrs }, perm) => ({ attrs, perm }),
  region: ELEMENTWISE.region,
}
