// Recurrent layers over a whole sequence, as ONNX defines them: LSTM (Hochreiter & Schmidhuber 1997; peepholes as Gers &
// Schmidhuber 2000), GRU (Cho et al. 2014) and the simple RNN, in one or both directions. Inputs are the sequence, input
// and recurrent weights and, each optional, biases, the first hidden state and, for an LSTM, the first cell state and
// peepholes; outputs are all hidden states and the last hidden (and cell) state. f32; an LSTM also in int8 or int16 with
// int8 weights and an int16 cell, bit-exact to TensorFlow Lite Micro. Nothing lives between runs: who wants that assigns the last states.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType, Value } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { costOf, expectInputs } from '../check.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { evalFloat } from './eval.ts'
import { lowerFloat } from './lower.ts'
import { onnxSpelling } from './onnx.ts'
import { evalStored, lowerStored } from './quantised.ts'
import { tfliteLstm, tfliteRnn } from './tflite.ts'

export type Activation = 'sigmoid' | 'tanh' | 'relu'

/**
 * `activations`: for each direction those of the gates, of the candidate and, for an LSTM, of the output (an RNN has one).
 * `batchFirst`: [batch, time, ...] in place of [time, batch, ...], states [batch, direction, ...].
 * `linearBeforeReset`: a GRU's reset gate scales the recurrent sum, bias included. `cellClip`: 0 for none.
 */
export type Recurrent = Attrs & {
  readonly direction: 'forward' | 'reverse' | 'bidirectional'
  readonly activations: readonly Activation[]
  readonly batchFirst: boolean
  readonly linearBeforeReset: boolean
  readonly cellClip: number
}

export type Kind = 'lstm' | 'gru' | 'rnn'
export const GATES: Readonly<Record<Kind, number>> = { lstm: 4, gru: 3, rnn: 1 }
export const DEFAULTS: Readonly<Record<Kind, readonly Activation[]>> = {
  lstm: ['sigmoid', 'tanh', 'tanh'],
  gru: ['sigmoid', 'tanh'],
  rnn: ['tanh'],
}

/** Steps, batch, elements of an input and of a state, directions, gates. */
export interface Sizes {
  readonly S: number
  readonly B: number
  readonly I: number
  readonly H: number
  readonly D: number
  readonly G: number
}

function sizesOf(kind: Kind, inputs: readonly (TensorType | undefined)[], { batchFirst }: Recurrent): Sizes {
  const [x, w, r] = inputs.map((t) => t?.shape ?? [])
  const [S, B] = batchFirst ? [x[1], x[0]] : [x[0], x[1]]
  return { S, B, I: x[2], H: r[r.length - 1], D: w[0], G: GATES[kind] }
}

export function sizes(node: Node<Recurrent>): Sizes {
  return sizesOf(
    node.op.name as Kind,
    node.inputs.map((v) => v?.type),
    node.attrs,
  )
}

/** Whether direction `d` runs from the last step to the first. */
export function isReverse({ direction }: Recurrent, d: number): boolean {
  return direction === 'reverse' || d === 1
}

function outputTypes(kind: Kind, inputs: readonly (TensorType | undefined)[], attrs: Recurrent): TensorType[] {
  const { S, B, H, D } = sizesOf(kind, inputs, attrs)
  const [x, , , , h, c] = inputs
  const state = attrs.batchFirst ? [B, D, H] : [D, B, H]
  const of = (t: TensorType | undefined, shape: number[]): TensorType => ({
    dtype: t?.dtype ?? x!.dtype,
    shape,
    ...(t?.quant && { quant: t.quant }),
  })
  const all = of(h, attrs.batchFirst ? [B, S, D, H] : [S, D, B, H])
  return kind === 'lstm' ? [all, of(h, state), of(c, state)] : [all, of(h, state)]
}

function checkSizes(kind: Kind, node: Node<Recurrent>): void {
  const where = layer(node)
  expectInputs(node, 3, kind === 'lstm' ? 7 : 5)
  const { direction, activations } = node.attrs
  const [x, w, r] = (node.inputs as Value[]).map((v) => v?.type.shape)
  if (x.length !== 3) throw new ModelError(where, `input is [${x}], expected 3 dimensions`)
  const { S, B, I, H, D, G } = sizes(node)
  const directions = direction === 'bidirectional' ? 2 : 1
  if (D !== directions) throw new ModelError(where, `weights are for ${D} directions, the layer has ${directions}`)
  if (activations.length !== D * DEFAULTS[kind].length)
    throw new ModelError(where, `has ${activations.length} activations, expected ${D * DEFAULTS[kind].length}`)
  const floatBias = 2 * D * G * H
  const wanted: [string, number, number][] = [
    ['input', 0, S * B * I],
    ['weight', 1, D * G * H * I],
    ['recurrent weight', 2, D * G * H * H],
    ['bias', 3, node.inputs[0]!.type.dtype === 'f32' ? floatBias : floatBias / 2],
    ['first hidden state', 4, D * B * H],
    ['first cell state', 5, D * B * H],
    ['peephole weight', 6, D * 3 * H],
  ]
  for (const [what, i, n] of wanted) {
    const v = node.inputs[i]
    if (v && (count(v.type.shape) !== n || n < 1))
      throw new ModelError(where, `${what} is [${v.type.shape}], expected ${n} elements for weights [${w}] and [${r}]`)
  }
  const outputs = kind === 'lstm' ? 3 : 2
  if (node.outputs.length !== outputs)
    throw new ModelError(where, `has ${node.outputs.length} outputs, expected ${outputs}`)
  node.outputs.forEach(({ name, type }, i) => {
    const n = D * B * H * (i === 0 ? S : 1)
    if (count(type.shape) !== n)
      throw new ModelError(where, `output "${name}" has shape [${type.shape}], expected ${n} elements`)
  })
}

function checkTypes(kind: Kind, node: Node<Recurrent>): void {
  const where = layer(node)
  const [x, w, r, b, h, c, p] = node.inputs.map((v) => v?.type) as TensorType[]
  expectDtype(x, kind === 'lstm' ? ['f32', 'i8', 'i16'] : ['f32'], 'input', where)
  const stored = x.dtype === 'i16' ? 'i8' : x.dtype
  expectDtype(w, [stored], 'weight', where)
  expectDtype(r, [stored], 'recurrent weight', where)
  const [hidden, cell] = [node.outputs[1].type, node.outputs[2]?.type]
  expectDtype(node.outputs[0].type, [x.dtype], 'output', where)
  expectDtype(hidden, [x.dtype], 'hidden state', where)
  if (h) expectDtype(h, [x.dtype], 'first hidden state', where)
  if (x.dtype === 'f32') {
    for (const t of [b, c, p, cell]) if (t) expectDtype(t, ['f32'], 'operand', where)
    return
  }
  const { direction, activations } = node.attrs
  if (direction !== 'forward' || p || !h || !c || activations.join() !== DEFAULTS.lstm.join())
    throw new ModelError(where, 'integers run forward, with both first states, sigmoid and tanh, without peepholes')
  const wide = x.dtype === 'i16'
  if (b) expectDtype(b, [wide ? 'i64' : 'i32'], 'bias', where)
  expectDtype(c, ['i16'], 'first cell state', where)
  expectDtype(cell!, ['i16'], 'cell state', where)
  const { zero } = perTensor(x, 'input', where)
  const [first, last] = [perTensor(h, 'first hidden state', where), perTensor(hidden, 'hidden state', where)]
  const [before, after] = [perTensor(c, 'first cell state', where), perTensor(cell!, 'cell state', where)]
  if (first.scale !== last.scale || first.zero !== last.zero || before.scale !== after.scale)
    throw new ModelError(where, 'the first and the last states have different scales')
  const shifted = [zero, first.zero].find((z) => z !== 0)
  if (wide && shifted) throw new ModelError(where, `has zero point ${shifted}, i16 needs 0`)
  const power = Math.log2(before.scale)
  if (before.zero !== 0 || !Number.isInteger(power) || power > 2 || power < -26)
    throw new ModelError(where, `cell state has scale ${before.scale}, expected a power of 2 from 2^-26 to 4`)
  for (const t of [w, r])
    if (!t.quant || t.shape.length !== 4 || t.quant.axis !== 1 || t.quant.zero.some((z) => z !== 0))
      throw new ModelError(where, 'int8 weights are [1, 4, states, inputs] with a scale for each gate, zero points 0')
}

function recurrent(kind: Kind): Op<Recurrent> {
  const op: Op<Recurrent> = {
    name: kind,
    spelled: {
      onnx: [onnxSpelling(kind, () => op)],
      ...(kind === 'lstm' && { tflite: [tfliteLstm(() => op)] }),
      ...(kind === 'rnn' && { tflite: [tfliteRnn(() => op)] }),
    },
    infer: (inputs, attrs) => outputTypes(kind, inputs, attrs),
    check(node) {
      checkSizes(kind, node)
      checkTypes(kind, node)
    },
    eval: (node, inputs) => (node.inputs[0]!.type.dtype === 'f32' ? evalFloat : evalStored)(node, inputs),
    lower: (node) => (node.inputs[0]!.type.dtype === 'f32' ? lowerFloat : lowerStored)(node),
    cost(node) {
      const { S, B, I, H, D, G } = sizes(node)
      return costOf(node, D * S * B * G * H * (I + H))
    },
  }
  return op
}

/**
 * Inputs x[S, B, I] (with `batchFirst` [B, S, I]), weights, recurrent weights and, optional, biases, first hidden and
 * cell state and peepholes; outputs: all hidden states, the last hidden and the last cell state. f32; i8 or i16 with an
 * i16 cell runs forward with both first states. TFLite UNIDIRECTIONAL_SEQUENCE_LSTM, ONNX LSTM.
 */
export const lstm = recurrent('lstm')
/**
 * Inputs x[S, B, I] (with `batchFirst` [B, S, I]), weights, recurrent weights and, optional, biases and the first
 * hidden state; outputs: all hidden states and the last. `linearBeforeReset`: the reset gate scales the recurrent sum.
 * f32. ONNX GRU.
 */
export const gru = recurrent('gru')
/**
 * Inputs x[S, B, I] (with `batchFirst` [B, S, I]), weights, recurrent weights and, optional, biases and the first
 * hidden state; outputs: all hidden states and the last. f32. TFLite UNIDIRECTIONAL_SEQUENCE_RNN, ONNX RNN.
 */
export const rnn = recurrent('rnn')
