// What the two convolutions of .tflite files have in common: operands, window and activation, read and written.

import { ModelError } from '../errors.ts'
import type { Node, Value } from '../ir/graph.ts'
import type { OptionValue, TfliteNode } from '../ir/op.ts'
import type { Accumulating } from './accumulate.ts'
import { clampOfTflite, clampToTflite } from './quant.ts'
import { padOfTflite, padToTflite, WINDOW_FIELDS, type Window } from './window.ts'

/** Operators that are of two kinds: with float32 inputs and int8 weights they quantise while the model runs. */
export const CONV_2D = {
  name: 'CONV_2D',
  code: 3,
  options: {
    id: 1,
    fields: {
      ...WINDOW_FIELDS,
      fused_activation_function: { slot: 3, type: 'i8', default: 0 },
      dilation_w_factor: { slot: 4, type: 'i32', default: 1 },
      dilation_h_factor: { slot: 5, type: 'i32', default: 1 },
    },
  },
} as const
export const FULLY_CONNECTED = {
  name: 'FULLY_CONNECTED',
  code: 9,
  options: {
    id: 8,
    fields: {
      fused_activation_function: { slot: 0, type: 'i8', default: 0 },
      weights_format: { slot: 1, type: 'i8', default: 0 },
      keep_num_dims: { slot: 2, type: 'bool', default: false },
      asymmetric_quantize_inputs: { slot: 3, type: 'bool', default: false },
    },
  },
} as const

const sides = (v: Value) => v.type.shape.slice(1, 3)

/** Input, weight and perhaps bias, and the attributes that the options table gives. */
export function readConv({ inputs, options: o }: TfliteNode, where: string) {
  const [x, w, b] = inputs
  if (x?.type.shape.length !== 4 || w?.type.shape.length !== 4)
    throw new ModelError(where, `input is [${x?.type.shape}] and weight [${w?.type.shape}], both need 4 dimensions`)
  const stride = [o.stride_h as number, o.stride_w as number]
  const dilation = [o.dilation_h_factor as number, o.dilation_w_factor as number]
  const pad = padOfTflite(o.padding, sides(x), sides(w), stride, dilation)
  return { x, w, b, window: { stride, dilation, pad, clamp: clampOfTflite(o.fused_activation_function, where) } }
}

/** The options table, or undefined where padding or activation have no word in the schema. */
export function writeConv(node: Node<Accumulating & Window>): Record<string, OptionValue> | undefined {
  const { stride, dilation, clamp } = node.attrs
  const [x, w] = node.inputs as [Value, Value]
  const padding = padToTflite(node.attrs, sides(x), sides(w))
  const activation = clampToTflite(clamp)
  if (padding === undefined || activation === undefined || node.attrs.scaling) return undefined
  return {
    padding,
    stride_w: stride[1],
    stride_h: stride[0],
    fused_activation_function: activation,
    dilation_w_factor: dilation[1],
    dilation_h_factor: dilation[0],
  }
}
