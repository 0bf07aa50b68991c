// Log softmax over the last axis: (x - max) - log of the sum of e^(x - max). f32 with our own exponential and logarithm;
// int8 bit-exact to TensorFlow Lite Micro, to an output of scale 1/16 and zero point 127.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, quantOf, type Value } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { expf, logf } from '../../loops/float.ts'
import { count } from '../../loops/ir.ts'
import * as M from '../../loops/math.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { MOST_ELEMENTS } from '../softmax/stored.ts'
import { lowerInt8, rowInt8 } from './int8.ts'

export type LogSoftmax = Attrs & Record<string, never>

function row(x: Float32Array): Float32Array {
  const f = Math.fround
  const max = x.reduce((m, v) => (m < v ? v : m), x[0])
  const log = logf(x.reduce((s, v) => f(s + expf(f(v - max))), 0))
  return x.map((v) => f(f(v - max) - log))
}

function lower(node: Node<LogSoftmax>): Call {
  const x = node.inputs[0] as Value
  const C = x.type.shape.at(-1)!
  const N = count(x.type.shape) / C
  const X = L.buffer('x', 'f32', [N, C])
  const Y = L.buffer('y', 'f32', [N, C], 'write')
  const body = L.parallel('n', N, (n) => {
    const [declareMax, max] = L.declare('max', L.load(X, n, 0))
    const [declareSum, sum] = L.declare('sum', L.float(0))
    const difference = (c: L.E) => L.op('sub', L.load(X, n, c), max)
    const [logSteps, result] = M.logf(sum, 'l')
    const [declareLog, log] = L.declare('log', result)
    return [
      declareMax,
      L.loop('m', C, (c) => L.set(max, L.max(max, L.load(X, n, c)))),
      declareSum,
      L.loop('c', C, (c) => {
        const [steps, e] = M.expf(difference(c), 'e')
        return [...steps, L.set(sum, L.add(sum, e))]
      }),
      ...logSteps,
      declareLog,
      L.parallel('d', C, (d) => L.store(Y, [n, d], L.op('sub', difference(d), log))),
    ]
  })
  return { kernel: L.kernel('log_softmax', [X, Y], body), args: [{ value: x }, { value: node.outputs[0] }] }
}

/**
 * x - max - log(sum(e^(x - max))) over the last axis. f32, and i8 with one scale to scale 1/16 and zero point 127.
 * Refuses scalars. TFLite LOG_SOFTMAX, ONNX LogSoftmax.
 */
export const logSoftmax: Op<LogSoftmax> = {
  name: 'log_softmax',
  spelled: {
    tflite: [
      {
        name: 'LOG_SOFTMAX',
        code: 50,
        options: { id: 36, fields: {} },
        read: (build, { inputs, result }) => build.add(logSoftmax, inputs, {}, result),
        write: ({ inputs }) => ({ inputs, options: {} }),
      },
    ],
  },
  infer: ([x]) => [x!.quant ? { ...shaped(x!), quant: quantOf(1 / 16, 127) } : shaped(x!)],
  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, ['f32', 'i8'], 'input', where)
    if (x.shape.length === 0) throw new ModelError(where, 'input is a scalar, log_softmax needs at least one dimension')
    expectOutputs(node, [shaped(x)])
    if (x.dtype === 'f32') return
    perTensor(x, 'input', where)
    const { scale, zero } = perTensor(node.outputs[0].type, 'output', where)
    if (scale !== 1 / 16 || zero !== 127)
      throw new ModelError(
        where,
        `output has scale ${scale} and zero point ${zero}, int8 log_softmax has 0.0625 and 127`,
      )
    if (x.shape.at(-1)! > MOST_ELEMENTS)
      throw new ModelError(where, `last axis has ${x.shape.at(-1)} elements, int8 takes up to ${MOST_ELEMENTS}`)
  },
  eval(node, [x]) {
    const C = node.inputs[0]!.type.shape.at(-1)!
    if (x instanceof Int8Array) {
      const stored = new Int8Array(x.length)
      for (let i = 0; i < x.length; i += C) stored.set(rowInt8(x.subarray(i, i + C), node.inputs[0]!.type), i)
      return [stored]
    }
    const y = new Float32Array(x!.length)
    for (let i = 0; i < y.length; i += C) y.set(row((x as Float32Array).subarray(i, i + C)), i)
    return [y]
  },
  lower: (node) => (node.inputs[0]!.type.dtype === 'i8' ? lowerInt8(node) : lower(node)),
  quantize: () => ({ output: 'fixed' }),
  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
