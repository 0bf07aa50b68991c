// LSTM, GRU and RNN of the ONNX standard.

import { ModelError } from '../../errors.ts'
import type { OnnxSpelling, Op } from '../../ir/op.ts'
import { numberAttr, stringAttr } from '../onnx.ts'
import { operands } from '../tflite.ts'
import { type Activation, DEFAULTS, type Kind, type Recurrent } from './op.ts'

const ACTIVATIONS = new Set(['sigmoid', 'tanh', 'relu'])
const DIRECTIONS = ['forward', 'reverse', 'bidirectional'] as const

export function onnxSpelling(kind: Kind, op: () => Op<Recurrent>): OnnxSpelling<Recurrent> {
  const name = kind.toUpperCase()
  return {
    name,
    read(build, node) {
      const where = `${kind} "${node.result.from ?? ''}"`
      const wanted = stringAttr(node, 'direction', 'forward')
      const direction = DIRECTIONS.find((d) => d === wanted)
      if (!direction) throw new ModelError(where, `direction is "${wanted}", supported are ${DIRECTIONS.join(', ')}`)
      const directions = direction === 'bidirectional' ? 2 : 1
      const given = Array.isArray(node.attrs.activations) ? node.attrs.activations : undefined
      const activations = given?.length
        ? given.map((a) => String(a).toLowerCase())
        : Array.from({ length: directions }, () => DEFAULTS[kind]).flat()
      const other = activations.find((a) => !ACTIVATIONS.has(a))
      if (other)
        throw new ModelError(where, `activation ${other} is not supported; supported are Sigmoid, Tanh and Relu`)
      if (node.attrs.clip !== undefined) throw new ModelError(where, `clip is ${node.attrs.clip}, supported is none`)
      if (numberAttr(node, 'input_forget', 0) !== 0) throw new ModelError(where, 'input_forget is 1, supported is 0')
      const batchFirst = numberAttr(node, 'layout', 0) !== 0
      const [x, w, r, b, lengths, h, c, p] = operands(node, 3, kind)
      if ([x, w, r].some((v) => v?.type.shape.length !== 3))
        throw new ModelError(where, 'expects X, W and R of 3 dimensions')
      const steps = x?.type.shape[batchFirst ? 1 : 0]
      if (lengths && !(lengths.storage === 'const' && Array.from(lengths.data!, Number).every((n) => n === steps)))
        throw new ModelError(where, 'has sequences of different lengths, supported is one length for all')
      const attrs: Recurrent = {
        direction,
        activations: activations as Activation[],
        batchFirst,
        linearBeforeReset: numberAttr(node, 'linear_before_reset', 0) !== 0,
        cellClip: 0,
      }
      const inputs = kind === 'lstm' ? [x, w, r, b, h, c, p] : [x, w, r, b, h]
      return build.add(op(), inputs, attrs, node.result)
    },
  }
}
