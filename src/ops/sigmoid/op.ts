// Logistic 1 / (1 + e^-x) and tanh. f32 by polynomials of our own (at most 2 ulp); int8 bit-exact to TensorFlow Lite
// Micro, through a table of the 256 results.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, quantOf, sameQuant, type TensorType } from '../../ir/graph.ts'
import type { Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { logisticf, tanhf } from '../../loops/float.ts'
import * as expressions from '../../loops/math.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { elementwise, shaped } from '../elementwise.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { operands } from '../tflite.ts'
import { type Curve, evalStored, OUTPUT } from './table.ts'

export type Sigmoid = Record<string, never>

function outputType(curve: Curve, x: TensorType): TensorType {
  const { bits, zero } = OUTPUT[curve]
  return x.dtype === 'i8' ? { ...shaped(x), quant: quantOf(2 ** -bits, zero) } : shaped(x)
}

function lower(curve: Curve, node: Node<Sigmoid>): Call {
  const x = node.inputs[0]!.type
  if (x.dtype === 'f32') {
    const f = curve === 'logistic' ? expressions.logisticf : expressions.tanhf
    return elementwise(curve, node, { bufs: [], args: [], head: [] }, (v) => f(v, 'f'))
  }
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
      expectDtype(x, ['f32', 'i8'], 'input', where)
      const expected = outputType(curve, x)
      expectOutputs(node, [expected])
      if (x.dtype === 'f32') return
      perTensor(x, 'input', where)
      const y = perTensor(node.outputs[0].type, 'output', where)
      if (!sameQuant(node.outputs[0].type.quant, expected.quant))
        throw new ModelError(
          where,
          `output has scale ${y.scale} and zero point ${y.zero}, int8 ${curve} has ${expected.quant!.scale[0]} and ${expected.quant!.zero[0]}`,
        )
    },
    eval(node, [x]) {
      const { type } = node.inputs[0]!
      if (type.dtype === 'f32') return [Float32Array.from(numbers(x), curve === 'logistic' ? logisticf : tanhf)]
      return [Int8Array.from(numbers(x), evalStored(curve, type))]
    },
    lower: (node) => lower(curve, node),
    cost: (node) => costOf(node, 0),
    inPlace: () => [0],
    permute: ({ attrs }, perm) => ({ attrs, perm }),
  }
  return op
}

export const logistic = sigmoid('logistic', 'LOGISTIC', 14, 'Sigmoid')
export const tanh = sigmoid('tanh', 'TANH', 28, 'Tanh')
