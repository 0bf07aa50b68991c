// UNIDIRECTIONAL_SEQUENCE_LSTM and UNIDIRECTIONAL_SEQUENCE_RNN of TensorFlow Lite: layers whose last states are kept for the
// next run. The LSTM's weights come gate by gate (input, forget, cell, output) and become one tensor in the order of ONNX
// (input, output, forget, cell).

import { ModelError } from '../../errors.ts'
import type { Builder } from '../../ir/build.ts'
import { type Node, quantOf, type Value } from '../../ir/graph.ts'
import type { Op, Surroundings, TfliteNode, TfliteRecord, TfliteSpelling } from '../../ir/op.ts'
import { count, newData } from '../../loops/ir.ts'
import { elemOfValue } from '../check.ts'
import { perTensor } from '../quant.ts'
import { assign } from '../state/op.ts'
import { operand, reading } from '../tflite.ts'
import { type Activation, DEFAULTS, type Recurrent, sizes } from './op.ts'

/** Numbers of the four inputs of each kind, in the order of ONNX's gates. */
const WEIGHTS = [1, 4, 2, 3]
const RECURRENT = [5, 8, 6, 7]
const BIASES = [12, 15, 13, 14]
const [HIDDEN, CELL] = [18, 19]
/** Layer normalisation included, which must be listed as absent. */
const INPUTS = 24
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
  const data = newData(elemOfValue(parts[0]), 4 * n)
  parts.forEach((v, g) => {
    ;(data as { set(from: ArrayLike<unknown>, at: number): void }).set(v.data as ArrayLike<unknown>, g * n)
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

/** The four parts of a tensor of all gates, each of `shape`: the inverse of `stacked`. */
function gates(v: Value, shape: readonly number[]): Value[] {
  const n = count(shape)
  const q = v.type.quant
  return ['input', 'output', 'forget', 'cell'].map((gate, g) => ({
    name: `${v.name}/${gate}`,
    type: { dtype: v.type.dtype, shape, ...(q && { quant: quantOf(q.scale[g], q.zero[g]) }) },
    storage: 'const',
    data: v.data!.slice(g * n, (g + 1) * n),
  }))
}

/** The node that writes the last content of a state back into it, where nothing else sees that or the state itself. */
function keeper(lstm: Node, state: Value | undefined, last: Value, around: Surroundings): Node | undefined {
  if (state?.storage !== 'state' || [state, last].some((v) => around.isOutput(v))) return undefined
  const [by, ...others] = around.readers(last)
  if (by?.op.name !== assign.name || by.inputs[0] !== state || others.length > 0) return undefined
  return around.readers(state).every((n) => n === by || n === lstm) ? by : undefined
}

function write(node: Node<Recurrent>, around: Surroundings): TfliteRecord | undefined {
  const { attrs, inputs, outputs } = node
  const [x, w, r, b, h, c, peepholes] = inputs
  const { I, H, G } = sizes(node)
  if (attrs.direction !== 'forward' || attrs.activations.join() !== DEFAULTS.lstm.join() || peepholes) return undefined
  if (outputs[0].type.shape.length !== 3 || [w, r].some((v) => v!.storage !== 'const')) return undefined
  const keepers = [h, c].map((state, i) => keeper(node as Node, state, outputs[i + 1], around))
  const dtype = ({ i8: 'i32', i16: 'i64' } as const)[x!.type.dtype as 'i8'] ?? 'f32'
  const none = { name: `${node.from}/biases`, type: { dtype, shape: [G * H] }, data: newData(dtype, G * H) } as const
  const bias: Value = b ?? { ...none, storage: 'const' }
  const recurrentBias = Array.from((bias.data ?? none.data) as ArrayLike<number | bigint>, Number).slice(G * H)
  if (keepers.some((n) => !n) || bias.storage !== 'const' || recurrentBias.some((v) => v !== 0)) return undefined
  const places: (Value | undefined)[] = Array.from({ length: INPUTS })
  const put = (where: readonly number[], parts: readonly (Value | undefined)[]) => {
    where.forEach((i, g) => {
      places[i] = parts[g]
    })
  }
  put([0, HIDDEN, CELL], [x, h, c])
  put(WEIGHTS, gates(w!, [H, I]))
  put(RECURRENT, gates(r!, [H, H]))
  put(BIASES, gates(bias, [H]))
  return {
    inputs: places,
    outputs: [outputs[0]],
    options: { fused_activation_function: 4, cell_clip: attrs.cellClip, time_major: !attrs.batchFirst },
    covers: keepers as Node[],
  }
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
    write,
  }
}

/** ActivationFunctionType of the schema, of those that a simple RNN may have here. */
const ACTIVATIONS: ReadonlyMap<unknown, Activation> = new Map([
  [1, 'relu'],
  [4, 'tanh'],
])

function typed(build: Builder, v: Value, shape: readonly number[], where: string): Value {
  if (v.storage !== 'const' || !v.data)
    throw new ModelError(where, `"${v.name}" is computed while the model runs, expected a constant`)
  return build.const(`${v.name}/gate`, { dtype: v.type.dtype, shape }, v.data)
}

export function tfliteRnn(op: () => Op<Recurrent>): TfliteSpelling<Recurrent> {
  return {
    name: 'UNIDIRECTIONAL_SEQUENCE_RNN',
    code: 35,
    options: {
      id: 31,
      fields: {
        time_major: { slot: 0, type: 'bool', default: false },
        fused_activation_function: { slot: 1, type: 'i8', default: 0 },
        asymmetric_quantize_inputs: { slot: 2, type: 'bool', default: false },
      },
    },
    read(build, node) {
      const where = reading('rnn', node)
      const [x, w, r, b, h] = [0, 1, 2, 3, 4].map((i) => operand(node, i, 'an operand', where))
      const activation = ACTIVATIONS.get(node.options.fused_activation_function)
      if (!activation)
        throw new ModelError(
          where,
          `activation is ${node.options.fused_activation_function}, supported are 1 (RELU) and 4 (TANH)`,
        )
      if (h.storage !== 'state') throw new ModelError(where, `state "${h.name}" is ${h.storage}, expected a variable`)
      const gates = [w, r].map((v) => typed(build, v, [1, ...v.type.shape], where))
      const attrs: Recurrent = {
        direction: 'forward',
        activations: [activation],
        batchFirst: !node.options.time_major,
        linearBeforeReset: false,
        cellClip: 0,
      }
      const all = build.add(op(), [x, ...gates, withZeros(build, b), h], attrs, {
        ...node.result,
        types: [node.result.types[0], h.type],
      })
      build.add(assign, [h, all[1]], {})
      return [all[0]]
    },
  }
}
