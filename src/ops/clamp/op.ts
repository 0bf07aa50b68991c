// Limits on real values as an operator of its own: max(min, x), then min(max, x). f32, and int8 or int16, which may change
// scale and zero point on the way as TensorFlow Lite's RELU does (TensorFlow Lite Micro's RELU6 ignores the output's).

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Op, TfliteSpelling } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import { count, newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { fits, together } from '../channels.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { bothClamps, type Clamp, clampRange, expectDtype, perTensor } from '../quant.ts'
import { clampMultiplier, keepsType, lower } from './lower.ts'

function spelling(name: string, code: number, clamp: Clamp): TfliteSpelling<Clamp> {
  return {
    name,
    code,
    read: (build, { inputs, result }) => build.add(clampOp, inputs, clamp, result),
    write: ({ inputs, attrs }) =>
      attrs.min === clamp.min && attrs.max === clamp.max ? { inputs, options: {} } : undefined,
  }
}

/** One stored element from one. */
function evalElement(node: Node<Clamp>): (x: number) => number {
  const y = node.outputs[0].type
  const { lo, hi } = clampRange(y, node.attrs)
  const zx = node.inputs[0]!.type.quant?.zero[0] ?? 0
  const zy = y.quant?.zero[0] ?? 0
  const m = keepsType(node) ? undefined : clampMultiplier(node)
  return (x) => {
    const v = m ? (requant(x - zx, m.multiplier, m.shift) + zy) | 0 : x
    return v < lo ? lo : v > hi ? hi : v
  }
}

const clampOp: Op<Clamp> = {
  name: 'clamp',

  spelled: {
    tflite: [
      spelling('RELU', 19, { min: 0 }),
      spelling('RELU6', 21, { min: 0, max: 6 }),
      spelling('RELU_N1_TO_1', 20, { min: -1, max: 1 }),
      spelling('RELU_0_TO_1', 152, { min: 0, max: 1 }),
    ],
  },

  infer: ([x]): TensorType[] => [{ ...x! }],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, ['f32', 'i8', 'i16'], 'input', where)
    expectOutputs(node, [x])
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = node.attrs
    if (!(min <= max)) throw new ModelError(where, `lower limit ${min} is above upper limit ${max}`)
    if (x.dtype === 'f32') return
    perTensor(x, 'input', where)
    perTensor(node.outputs[0].type, 'output', where)
  },

  eval(node, [x]) {
    const X = numbers(x)
    const Y = numbers(newData(outputElem(node), count(node.outputs[0].type.shape)))
    const clamped = evalElement(node)
    for (let i = 0; i < Y.length; i++) Y[i] = clamped(X[i])
    return [Y]
  },

  lower,
  quantize: () => ({ output: 'own' }),
  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
  permute: ({ attrs }, perm) => ({ attrs, perm }),

  effect(node) {
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = node.attrs
    return keepsType(node) ? { does: 'clamp', min, max } : undefined
  },

  bounds(node, [x]) {
    if (!x || (!keepsType(node) && !fits(-255, 255, clampMultiplier(node).shift))) return undefined
    const clamped = evalElement(node)
    return { least: x.least.map(clamped), most: x.most.map(clamped) }
  },

  narrow: (node, free) => together(node, free),

  absorb(node, effect, other, side) {
    if (effect.does !== 'clamp' || side !== 'after') return undefined
    return { ...node, attrs: bothClamps(node.attrs, effect), outputs: other.outputs }
  },
}

/**
 * min(max, max(min, x)) on real values; an absent side is unlimited (ReLU: `{ min: 0 }`). f32, i8 and i16 with one
 * scale, which may change on the way. TFLite RELU, RELU6, RELU_N1_TO_1, RELU_0_TO_1, ONNX Relu, Clip.
 */
export const clamp = clampOp
