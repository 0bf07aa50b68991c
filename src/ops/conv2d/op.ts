// Convolution over NHWC images: x[N, H, W, C] * w[O, KH, KW, C / groups] + b[O] -> y[N, OH, OW, O]. f32, and int8 with
// per-tensor or per-channel weights (TensorFlow Lite's int8 specification). Groups as in PyTorch and ONNX.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Op, Weighted } from '../../ir/op.ts'
import { count, newData } from '../../loops/ir.ts'
import { type Accumulating, absorbEpilogue, checkAccumulation, evalSum, numbers, sumType } from '../accumulate.ts'
import { narrowSums, type Sums, sumBounds } from '../channels.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { CONV_2D, readConv, writeConv } from '../conv_options.ts'
import { hybrid } from '../hybrid/op.ts'
import {
  absorbPad,
  eachTap,
  expectWindow,
  padFirst,
  pixels,
  regionOfWindow,
  type Window,
  windowOutput,
} from '../window.ts'
import { lower } from './lower.ts'

export type Conv2d = Accumulating & Window & { readonly groups: number }

function infer(inputs: readonly (TensorType | undefined)[], a: Conv2d): TensorType[] {
  const [x, w] = [inputs[0]!.shape, inputs[1]!.shape]
  const [oh, ow] = windowOutput(x.slice(1, 3), w.slice(1, 3), a)
  return [{ dtype: sumType(inputs[0]!.dtype, a), shape: [x[0], oh, ow, w[0]] }]
}

function sumsOf({ inputs, attrs: { groups, pad } }: Node<Conv2d>): Sums {
  const [O, KH, KW, CG] = inputs[1]!.type.shape
  const taps = KH * KW
  return {
    channels: O,
    product: 'f64',
    padded: pad.some((p) => p !== 0),
    products(o, visit) {
      const c0 = Math.floor(o / (O / groups)) * CG
      for (let t = 0, i = o * taps * CG; t < taps; t++) for (let c = 0; c < CG; c++) visit(i++, c0 + c)
    },
  }
}

function weighted({ inputs, outputs, attrs }: Node<Conv2d>): Weighted {
  const { groups, clamp, stride, dilation, pad } = attrs
  const [O, KH, KW, CG] = inputs[1]!.type.shape
  return {
    input: 1,
    axis: 0,
    clamp,
    products(row, o, visit) {
      const c0 = Math.floor(o / (O / groups)) * CG
      const pixel = pixels(inputs[0]!.type.shape, outputs[0].type.shape, attrs, row)
      for (let kh = 0, i = o * KH * KW * CG; kh < KH; kh++)
        for (let kw = 0; kw < KW; kw++) {
          const at = pixel(kh, kw)
          for (let c = c0; c < c0 + CG; c++) visit(i++, c, at < 0 ? -1 : at + c)
        }
    },
    ...(groups === 1 && {
      dynamic: (build, [x, w, b], result) =>
        hybrid(build, [x, w, b], { stride, dilation, pad, clamp }, w.type.quant!.scale.length !== 1, result),
    }),
  }
}

/**
 * Convolution x[N, H, W, C] * w[O, KH, KW, C / groups] + b[O] (optional) -> y[N, OH, OW, O]. f32; i8 with i8 weights
 * (one scale, or one for each output) and i32 bias; i16 with i8 weights and i64 or i32 bias. `clamp` is a fused
 * activation on real values; `scaling`: `float` for ONNX Runtime's rounding of i8, `none` for the int32 sums. `stride`
 * and `dilation` [height, width], `pad` [top, left, bottom, right] in elements. TFLite CONV_2D, ONNX Conv, ConvInteger,
 * QLinearConv.
 */
export const conv2d: Op<Conv2d> = {
  name: 'conv2d',

  spelled: {
    tflite: [
      {
        ...CONV_2D,
        read(build, node) {
          const { x, w, b, window } = readConv(node, `conv2d "${node.result.from}"`)
          const groups = x.type.shape[3] / w.type.shape[3]
          if (x.type.dtype === 'f32' && w.type.dtype === 'i8' && groups === 1)
            return hybrid(build, [x, w, b], window, w.type.quant?.scale.length !== 1, node.result)
          return build.add(conv2d, [x, w, b], { ...window, groups }, node.result)
        },
        write(node) {
          const options = writeConv(node)
          return options ? { inputs: node.inputs, options } : padFirst(node, node.inputs[0]!.type.quant?.zero[0] ?? 0)
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
    const { groups } = node.attrs
    if (!Number.isInteger(groups) || groups < 1 || w[0] % groups !== 0 || w[3] * groups !== x[3])
      throw new ModelError(where, `weight expects ${w[3]} input channels in ${groups} groups, input has ${x[3]}`)
    expectWindow(node.attrs, w.slice(1, 3), node.outputs[0].type.shape.slice(1, 3), where)
    checkAccumulation(node, w[0], 0)
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
    const { groups } = node.attrs
    const [xs, ws] = node.inputs.slice(0, 2).map((v) => v!.type.shape)
    const [N, H, IW, C] = xs
    const [O, KH, KW, CG] = ws
    const [, OH, OW] = node.outputs[0].type.shape
    const sum = evalSum(node, O, 'f64', b)
    const Y = numbers(newData(outputElem(node), N * OH * OW * O))
    for (let n = 0, i = 0; n < N; n++)
      for (let oh = 0; oh < OH; oh++)
        for (let ow = 0; ow < OW; ow++)
          for (let o = 0; o < O; o++, i++) {
            const c0 = Math.floor(o / (O / groups)) * CG
            let acc = sum.start(o)
            eachTap(node.attrs, [H, IW], [KH, KW], oh, ow, (ih, iw, kh, kw) => {
              let p = ((n * H + ih) * IW + iw) * C + c0
              let q = ((o * KH + kh) * KW + kw) * CG
              for (let c = 0; c < CG; c++) acc = sum.step(acc, X[p++], W[q++])
            })
            Y[i] = sum.finish(acc, o)
          }
    return [Y]
  },

  lower,

  cost: (node) => costOf(node, count(node.outputs[0].type.shape) * count(node.inputs[1]!.type.shape.slice(1))),

  region: (node, out) => regionOfWindow(node, node.inputs[1]!.type.shape.slice(1, 3), out),

  absorb: (node, effect, other, side, input) =>
    absorbPad(node, effect, other, side, input) ?? absorbEpilogue(node, effect, other, side),

  quantize: (node) => ({ output: 'own', scaling: true, subByte: true, weights: weighted(node) }),

  bounds: (node, [x]) => sumBounds(node, sumsOf(node), x),
  narrow: (node, free, inputs) =>
    node.attrs.groups === 1 ? narrowSums(node, sumsOf(node), { output: 0, input: 3 }, free, inputs) : undefined,
}
