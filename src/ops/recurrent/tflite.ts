// UNIDIRECTIONAL_SEQUENCE_LSTM of TensorFlow Lite: an LSTM whose last states are kept for the next run. Its weights come
// gate by gate (input, forget, cell, output) and become one tensor in the order of ONNX (input, output, forget, cell).

import { ModelError } from '../../errors.ts'
import type { Builder } from '../../ir/build.ts'
import type { Value } from '../../ir/graph.ts'
import type { Op, TfliteNode, TfliteSpelling } from '../../ir/op.ts'
import { count, newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { perTensor } from '../quant.ts'
import { assign } from '../state/op.ts'
import { operand, reading } from '../tflite.ts'
import { DEFAULTS, type Recurrent } from './op.ts'

/** Numbers of the four inputs of each kind, in the order of ONNX's gates. */
const WEIGHTS = [1, 4, 2, 3]
const RECURRENT = [5, 8, 6, 7]
const BIASES = [12, 15, 13, 14]
const [HIDDEN, CELL] = [18, 19]
const VARIANTS: Readonly<Record<string, readonly number[]>> = {
  peepholes: [9, 10, 11],
  'a projection': [16, 17],
  'layer normalisation': [20, 21, 22, 23],
}

/** Four constants of one shape as [1, 4, ...shape], with a scale for each. */
function stacked(build: Builder, node: TfliteNode, which: readonly number[], name: string, where: string): Value {
  const parts = which.map((i) => operand(node, i, name, where))
  const [{ type }] = parts
  const loose = parts.find((v) => v.storage !== 'const')
  if (loose)
    throw new ModelError(where, `${name} "${loose.name}" is computed while the model runs, expected a constant`)
  const different = parts.find((v) => v.type.dtype !== type.dtype || count(v.type.shape) !== count(type.shape))
  if (different)
    throw new ModelError(
      where,
      `${name} "${different.name}" is ${different.type.dtype}[${different.type.shape}], others are ${type.dtype}[${type.shape}]`,
    )
  const n = count(type.shape)
  const data = numbers(newData(parts[0].type.dtype === 'i8' ? 'i8' : type.dtype === 'i32' ? 'i32' : 'f32', 4 * n))
  parts.forEach((v, g) => {
    data.set(numbers(v.data), g * n)
  })
  const q = type.dtype === 'i8' ? parts.map((v) => perTensor(v.type, name, where)) : undefined
  const quant = q && { scale: Float64Array.from(q, (s) => s.scale), zero: Int32Array.from(q, (s) => s.zero), axis: 1 }
  return build.const(
    `${node.result.from}/${name}`,
    { dtype: type.dtype, shape: [1, 4, ...type.shape], ...(quant && { quant }) },
    data,
  )
}

/** f32 biases as ONNX has them: those of the recurrent sums, here zero, follow. */
function withZeros(build: Builder, bias: Value): Value {
  if (bias.type.dtype !== 'f32') return bias
  const n = count(bias.type.shape)
  const data = new Float32Array(2 * n)
  data.set(bias.data as Float32Array)
  return build.const(`${bias.name}+0`, { dtype: 'f32', shape: [1, 2 * n] }, data)
}

export function tfliteLstm(op: () => Op<Recurrent>): TfliteSpelling<Recurrent> {
  return {
    name: 'UNIDIRECTIONAL_SEQUENCE_LSTM',
    code: 44,
    options: {
      id: 71,
      fields: {
        fused_activation_function: { slot: 0, type: 'i8', default: 0 },
        cell_clip: { slot: 1, type: 'f32', default: 0 },
        proj_clip: { slot: 2, type: 'f32', default: 0 },
        time_major: { slot: 3, type: 'bool', default: false },
        asymmetric_quantize_inputs: { slot: 4, type: 'bool', default: false },
        diagonal_recurrent_tensors: { slot: 5, type: 'bool', default: false },
      },
    },
    read(build, node) {
      const where = reading('lstm', node)
      const { inputs, options, result } = node
      for (const [what, list] of Object.entries(VARIANTS))
        if (list.some((i) => inputs[i])) throw new ModelError(where, `has ${what}, supported is the plain LSTM`)
      if (options.fused_activation_function !== 4)
        throw new ModelError(where, `activation is ${options.fused_activation_function}, supported is 4 (TANH)`)
      if (options.diagonal_recurrent_tensors) throw new ModelError(where, 'has diagonal recurrent weights')
      const x = operand(node, 0, 'input', where)
      const [h, c] = [operand(node, HIDDEN, 'hidden state', where), operand(node, CELL, 'cell state', where)]
      for (const s of [h, c])
        if (s.storage !== 'state') throw new ModelError(where, `state "${s.name}" is ${s.storage}, expected a variable`)
      const weights = stacked(build, node, WEIGHTS, 'weights', where)
      const recurrent = stacked(build, node, RECURRENT, 'recurrent_weights', where)
      const bias = withZeros(build, stacked(build, node, BIASES, 'biases', where))
      const attrs: Recurrent = {
        direction: 'forward',
        activations: DEFAULTS.lstm,
        batchFirst: !options.time_major,
        linearBeforeReset: false,
        cellClip: options.cell_clip as number,
      }
      const all = build.add(op(), [x, weights, recurrent, bias, h, c], attrs, {
        ...result,
        types: [result.types[0], h.type, c.type],
      })
      build.add(assign, [h, all[1]], {})
      build.add(assign, [c, all[2]], {})
      return [all[0]]
    },
  }
}
