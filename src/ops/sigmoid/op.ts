// Logistic 1 / (1 + e^-x) and tanh. f32 by polynomials of our own (at most 2 ulp); int8 and int16 bit-exact to TensorFlow
// Lite Micro, int8 through a table of the 256 results.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, quantOf, sameQuant, type TensorType } from '../../ir/graph.ts'
import type { Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { logisticf, tanhf } from '../../loops/float.ts'
import * as expressions from '../../loops/math.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { logistic16Steps, logisticTable, powerOf, tanh16Steps } from '../curve.ts'
import { elementwise, shaped } from '../elementwise.ts'
import { parameters } from '../parameters.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { operands } from '../tflite.ts'
import { argument16, BITS16, type Curve, evalStored, OUTPUT } from './table.ts'

export type Sigmoid = Record<string, never>

function outputType(curve: Curve, x: TensorType): TensorType {
  if (x.dtype === 'f32') return shaped(x)
  const { bits, zero } = x.dtype === 'i16' ? { bits: BITS16, zero: 0 } : OUTPUT[curve]
  return { ...shaped(x), quant: quantOf(2 ** -bits, zero) }
}

function lower16(curve: Curve, node: Node<Sigmoid>): Call {
  const { multiplier, shift } = argument16(curve, node.inputs[0]!.type)
  const p = parameters('p', 'i32', { multiplier, shift, half: shift > 0 ? 2 ** (shift - 1) : 0 })
  const T = L.buffer('t', 'i32', [256])
  const extra = { bufs: [T, ...p.bufs], args: [{ data: logisticTable() }, ...p.args], head: p.head }
  const f = curve === 'logistic' ? logistic16Steps : tanh16Steps
  return elementwise(curve, node, extra, (v) => f(T, v, 'f', p.of))
}

function lower(curve: Curve, node: Node<Sigmoid>): Call {
  const x = node.inputs[0]!.type
  if (x.dtype === 'f32') {
    const f = curve === 'logistic' ? expressions.logisticf : expressions.tanhf
    return elementwise(curve, node, { bufs: [], args: [], head: [] }, (v) => f(v, 'f'))
  }
  if (x.dtype === 'i16') return lower16(curve, node)
  const of = evalStored(curve, x)
  const table = Int8Array.from({ length: 256 }, (_, i) => of(i - 128))
  const T = L.buffer('t', 'i8', [256])
  return elementwise('table', node, { bufs: [T], args: [{ data: table }], head: [] }, (v) => [
    [],
    L.load(T, L.add(v, 128)),
  ])
}

function sigmoid(curve: Curve, name: string, code: number, onnx: string): Op<Sigmoid> {
  const op: Op<Sigmoid> = {
    name: curve,
    spelled: {
      tflite: [
        {
          name,
          code,
          read: (build, { inputs, result }) => build.add(op, inputs, {}, result),
          write: ({ inputs }) => ({ inputs, options: {} }),
        },
      ],
      onnx: [
        {
          name: onnx,
          read: (build, node) => build.add(op, operands(node, 1, curve), {}, node.result),
          write: ({ inputs }) => ({ inputs, attrs: {} }),
        },
      ],
    },
    infer: ([x]) => [outputType(curve, x!)],
    check(node) {
      const where = layer(node)
      expectInputs(node, 1)
      const x = node.inputs[0]!.type
      expectDtype(x, ['f32', 'i8', 'i16'], 'input', where)
      const expected = outputType(curve, x)
      expectOutputs(node, [expected])
      if (x.dtype === 'f32') return
      const { scale, zero } = perTensor(x, 'input', where)
      const y = perTensor(node.outputs[0].type, 'output', where)
      if (x.dtype === 'i16' && (zero !== 0 || argument16(curve, x).multiplier > 32767))
        throw new ModelError(where, `input has scale ${scale} and zero point ${zero}, int16 needs one below 2.66 and 0`)
      const [wanted, given] = [expected.quant!, node.outputs[0].type.quant!]
      // Converters write 1/32767 as well.
      const close = x.dtype === 'i16' && y.zero === 0 && powerOf(y.scale) === -BITS16
      if (!close && !sameQuant(given, wanted))
        throw new ModelError(
          where,
          `output has scale ${y.scale} and zero point ${y.zero}, ${x.dtype} ${curve} has ${wanted.scale[0]} and ${wanted.zero[0]}`,
        )
    },
    eval(node, [x]) {
      const { type } = node.inputs[0]!
      if (type.dtype === 'f32') return [Float32Array.from(numbers(x), curve === 'logistic' ? logisticf : tanhf)]
      const of = evalStored(curve, type)
      return [type.dtype === 'i8' ? Int8Array.from(numbers(x), of) : Int16Array.from(numbers(x), of)]
    },
    lower: (node) => lower(curve, node),
    quantize: () => ({ output: 'fixed' }),
    cost: (node) => costOf(node, 0),
    inPlace: () => [0],
    permute: ({ attrs }, perm) => ({ attrs, perm }),
  }
  return op
}

/**
 * 1 / (1 + e^-x). f32 within 2 ulp; i8 to scale 1/256 and zero point -128, i16 to scale 1/32768 and 0. TFLite LOGISTIC,
 * ONNX Sigmoid.
 */
export const logistic = sigmoid('logistic', 'LOGISTIC', 14, 'Sigmoid')
/**
 * tanh(x). f32 within 2 ulp; i8 to scale 1/128 and zero point 0, i16 to scale 1/32768 and 0. TFLite TANH, ONNX Tanh.
 */
export const tanh = sigmoid('tanh', 'TANH', 28, 'Tanh')
