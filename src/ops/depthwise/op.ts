// Depthwise convolution over NHWC images: channel o of y[N, OH, OW, C * M] sums input channel floor(o / M) of
// x[N, H, W, C] under w[1, KH, KW, C * M] (TensorFlow Lite's layout), plus b[C * M]. f32, and int8 with per-tensor or
// per-channel weights (TensorFlow Lite's int8 specification: scales along axis 3). M, the depth multiplier, follows
// from the shapes.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType, Value } from '../../ir/graph.ts'
import type { Op } from '../../ir/op.ts'
import { count, newData } from '../../loops/ir.ts'
import { type Accumulating, absorbEpilogue, checkAccumulation, evalSum, numbers, sumType } from '../accumulate.ts'
import { narrowSums, type Sums, sumBounds } from '../channels.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { readConv, writeConv } from '../conv_options.ts'
import {
  absorbPad,
  eachTap,
  expectWindow,
  padFirst,
  pixels,
  regionOfWindow,
  WINDOW_FIELDS,
  type Window,
  windowOutput,
} from '../window.ts'
import { lower } from './lower.ts'

export type DepthwiseConv2d = Accumulating & Window

function infer(inputs: readonly (TensorType | undefined)[], a: DepthwiseConv2d): TensorType[] {
  const [x, w] = [inputs[0]!.shape, inputs[1]!.shape]
  const [oh, ow] = windowOutput(x.slice(1, 3), w.slice(1, 3), a)
  return [{ dtype: sumType(inputs[0]!.dtype, a), shape: [x[0], oh, ow, w[3]] }]
}

function sumsOf({ inputs, attrs: { pad } }: Node<DepthwiseConv2d>): Sums {
  const [, KH, KW, O] = inputs[1]!.type.shape
  const each = O / inputs[0]!.type.shape[3]
  return {
    channels: O,
    product: 'f64',
    padded: pad.some((p) => p !== 0),
    products(o, visit) {
      for (let t = 0; t < KH * KW; t++) visit(t * O + o, Math.floor(o / each))
    },
  }
}

/**
 * Depthwise convolution x[N, H, W, C] * w[1, KH, KW, C * M] + b[C * M] (optional) -> y[N, OH, OW, C * M]; output
 * channel o reads input channel floor(o / M). Types, `clamp`, `scaling` and windows as `conv2d`, scales along axis 3.
 * TFLite DEPTHWISE_CONV_2D; grouped ONNX Conv.
 */
export const depthwiseConv2d: Op<DepthwiseConv2d> = {
  name: 'depthwise_conv2d',

  spelled: {
    tflite: [
      {
        name: 'DEPTHWISE_CONV_2D',
        code: 4,
        options: {
          id: 2,
          fields: {
            ...WINDOW_FIELDS,
            depth_multiplier: { slot: 3, type: 'i32', default: 0 },
            fused_activation_function: { slot: 4, type: 'i8', default: 0 },
            dilation_w_factor: { slot: 5, type: 'i32', default: 1 },
            dilation_h_factor: { slot: 6, type: 'i32', default: 1 },
          },
        },
        read(build, node) {
          const { x, w, b, window } = readConv(node, `depthwise_conv2d "${node.result.from}"`)
          return build.add(depthwiseConv2d, [x, w, b], window, node.result)
        },
        write(node) {
          const [x, w] = node.inputs as [Value, Value]
          const options = writeConv(node)
          const multiplier = w.type.shape[3] / x.type.shape[3]
          if (!options) return padFirst(node, x.type.quant?.zero[0] ?? 0)
          return { inputs: node.inputs, options: { ...options, depth_multiplier: multiplier } }
        },
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 2, 3)
    const [x, w] = node.inputs.map((v) => v?.type.shape)
    if (x?.length !== 4 || w?.length !== 4)
      throw new ModelError(where, `input is [${x}] and weight [${w}], both need 4 dimensions`)
    if (w[0] !== 1) throw new ModelError(where, `weight is [${w}], its first dimension must be 1`)
    if (w[3] % x[3] !== 0)
      throw new ModelError(where, `weight has ${w[3]} channels, expected a multiple of the input's ${x[3]}`)
    expectWindow(node.attrs, w.slice(1, 3), node.outputs[0].type.shape.slice(1, 3), where)
    checkAccumulation(node, w[3], 3)
    expectOutputs(
      node,
      infer(
        node.inputs.map((v) => v?.type),
        node.attrs,
      ),
    )
  },

  eval(node, [x, w, b]) {
    const [X, W] = [numbers(x), numbers(w)]
    const [xs, ws] = node.inputs.slice(0, 2).map((v) => v!.type.shape)
    const [N, H, IW, C] = xs
    const [, KH, KW, O] = ws
    const [, OH, OW] = node.outputs[0].type.shape
    const sum = evalSum(node, O, 'f64', b)
    const Y = numbers(newData(outputElem(node), N * OH * OW * O))
    for (let n = 0, i = 0; n < N; n++)
      for (let oh = 0; oh < OH; oh++)
        for (let ow = 0; ow < OW; ow++)
          for (let o = 0; o < O; o++, i++) {
            const c = Math.floor((o * C) / O)
            let acc = sum.start(o)
            eachTap(node.attrs, [H, IW], [KH, KW], oh, ow, (ih, iw, kh, kw) => {
              const xi = X[((n * H + ih) * IW + iw) * C + c]
              const wi = W[(kh * KW + kw) * O + o]
              acc = sum.step(acc, xi, wi)
            })
            Y[i] = sum.finish(acc, o)
          }
    return [Y]
  },

  lower,

  cost: (node) => costOf(node, count(node.outputs[0].type.shape) * count(node.inputs[1]!.type.shape.slice(1, 3))),

  inPlaceByChannel({ inputs: [x], outputs: [y] }) {
    const [from, to] = [x!.type, y.type]
    return from.dtype === to.dtype && from.shape[3] === to.shape[3] && count(to.shape) <= count(from.shape) ? [0] : []
  },

  region: (node, out) => regionOfWindow(node, node.inputs[1]!.type.shape.slice(1, 3), out),

  absorb: (node, effect, other, side, input) =>
    absorbPad(node, effect, other, side, input) ?? absorbEpilogue(node, effect, other, side),

  quantize: ({ inputs, outputs, attrs }) => ({
    output: 'own',
    scaling: true,
    subByte: true,
    weights: {
      input: 1,
      axis: 3,
      clamp: attrs.clamp,
      products(row, o, visit) {
        const [, KH, KW, O] = inputs[1]!.type.shape
        const c = Math.floor((o * inputs[0]!.type.shape[3]) / O)
        const pixel = pixels(inputs[0]!.type.shape, outputs[0].type.shape, attrs, row)
        for (let kh = 0, i = o; kh < KH; kh++)
          for (let kw = 0; kw < KW; kw++, i += O) {
            const at = pixel(kh, kw)
            visit(i, c, at < 0 ? -1 : at + c)
          }
      },
    },
  }),

  bounds: (node, [x]) => sumBounds(node, sumsOf(node), x),
  narrow: (node, free, inputs) => narrowSums(node, sumsOf(node), { output: 3 }, free, inputs),
}
