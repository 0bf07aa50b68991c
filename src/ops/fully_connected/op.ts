// Fully connected layer: x, read as [M, K] whatever its shape, * w[N, K] + b[N] -> y with M * N elements. f32, and int8
// with one weight scale or one for each output (TensorFlow Lite's int8 specification). With one scale TensorFlow Lite
// rounds the product of the scales to float32, with several it does not.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameShape, type TensorType, type Value } from '../../ir/graph.ts'
import type { Op } from '../../ir/op.ts'
import { count, newData } from '../../loops/ir.ts'
import { type Accumulating, absorbEpilogue, checkAccumulation, evalSum, numbers, sumType } from '../accumulate.ts'
import { narrowSums, type Sums, sumBounds } from '../channels.ts'
import { costOf, expectInputs, outputElem } from '../check.ts'
import { FULLY_CONNECTED } from '../conv_options.ts'
import { hybridFullyConnected } from '../hybrid/op.ts'
import { clampOfTflite, clampToTflite } from '../quant.ts'
import { lower, scaleProduct } from './lower.ts'

/** `keepDims`: the output keeps the input's leading dimensions; otherwise it is [M, N]. */
export type FullyConnected = Accumulating & { readonly keepDims: boolean }

function outputShape(x: readonly number[], w: readonly number[], keepDims: boolean): number[] {
  return keepDims ? [...x.slice(0, -1), w[0]] : [count(x) / w[1], w[0]]
}

/** Undefined where a row of x is not made of whole channels. */
function sumsOf(node: Node<FullyConnected>): Sums | undefined {
  const [x, w] = node.inputs as [Value, Value]
  const [N, K] = w.type.shape
  const C = x.type.shape.at(-1) ?? 1
  if (K % C !== 0) return undefined
  return {
    channels: N,
    product: scaleProduct(node),
    padded: false,
    products(o, visit) {
      for (let k = 0; k < K; k++) visit(o * K + k, k % C)
    },
  }
}

/**
 * x, read as [M, K], * w[N, K] + b[N] (optional) -> y[M, N], with `keepDims` y[...x without its last axis, N]. f32; i8
 * with i8 weights (one scale, or one for each output) and i32 bias; i16 with i8 weights and i64 or i32 bias. `clamp` is
 * a fused activation on real values; `scaling`: `float` for ONNX Runtime's rounding of i8, `none` for the int32 sums.
 * TFLite FULLY_CONNECTED, ONNX Gemm, MatMul with constant weights.
 */
export const fullyConnected: Op<FullyConnected> = {
  name: 'fully_connected',

  spelled: {
    tflite: [
      {
        ...FULLY_CONNECTED,
        read(build, { inputs, options: o, result }) {
          const where = `fully_connected "${result.from}"`
          if (o.weights_format !== 0)
            throw new ModelError(
              where,
              `weights_format is ${o.weights_format}, supported is 0 (DEFAULT)`,
              'convert the model without shuffled weights',
            )
          const attrs = {
            clamp: clampOfTflite(o.fused_activation_function, where),
            keepDims: o.keep_num_dims === true,
          }
          const [x, w, b] = inputs
          if (x?.type.dtype === 'f32' && w?.type.dtype === 'i8' && w.storage === 'const')
            return hybridFullyConnected(build, [x, w, b], attrs.clamp, o.asymmetric_quantize_inputs === true, result)
          return build.add(fullyConnected, inputs.slice(0, 3), attrs, result)
        },
        write({ inputs, outputs, attrs }) {
          const [x, w] = inputs as [Value, Value]
          const activation = clampToTflite(attrs.clamp)
          const keeps = [false, true].find((k) =>
            sameShape(outputs[0].type.shape, outputShape(x.type.shape, w.type.shape, k)),
          )
          if (activation === undefined || keeps === undefined || attrs.scaling) return undefined
          return {
            inputs,
            options: { fused_activation_function: activation, weights_format: 0, keep_num_dims: keeps },
          }
        },
      },
    ],
  },

  infer(inputs, attrs): TensorType[] {
    const [x, w] = inputs as [TensorType, TensorType]
    return [{ dtype: sumType(x.dtype, attrs), shape: outputShape(x.shape, w.shape, attrs.keepDims) }]
  },

  check(node) {
    const where = layer(node)
    expectInputs(node, 2, 3)
    const [x, w] = (node.inputs as Value[]).map((v) => v?.type.shape)
    if (w.length !== 2) throw new ModelError(where, `weight is [${w}], expected 2 dimensions`)
    const [N, K] = w
    if (N < 1 || K < 1 || count(x) < 1 || count(x) % K !== 0)
      throw new ModelError(where, `input [${x}] has ${count(x)} elements, expected a multiple of the weight's ${K}`)
    if (node.attrs.keepDims && x[x.length - 1] !== K)
      throw new ModelError(where, `the input's last dimension is ${x[x.length - 1]}, weight expects ${K}`)
    checkAccumulation(node, N, 0)
    if (node.outputs.length !== 1) throw new ModelError(where, `has ${node.outputs.length} outputs, expected 1`)
    const y = node.outputs[0].type.shape
    const M = count(x) / K
    if (y[y.length - 1] !== N || count(y) !== M * N)
      throw new ModelError(
        where,
        `output has shape [${y}], expected [${outputShape(x, w, node.attrs.keepDims)}] or another split of its ${M} rows`,
      )
  },

  eval(node, [x, w, b]) {
    const [X, W] = [numbers(x), numbers(w)]
    const [N, K] = node.inputs[1]!.type.shape
    const sum = evalSum(node, N, scaleProduct(node), b)
    const Y = numbers(newData(outputElem(node), (X.length / K) * N))
    for (let i = 0; i < Y.length; i++) {
      const n = i % N
      const row = Math.floor(i / N) * K
      let acc = sum.start(n)
      for (let k = 0; k < K; k++) acc = sum.step(acc, X[row + k], W[n * K + k])
      Y[i] = sum.finish(acc, n)
    }
    return [Y]
  },

  lower,

  cost: (node) => costOf(node, count(node.outputs[0].type.shape) * node.inputs[1]!.type.shape[1]),

  absorb: (node, effect, other, side) => absorbEpilogue(node, effect, other, side),

  quantize({ inputs, attrs: { clamp } }) {
    const K = inputs[1]!.type.shape[1]
    const C = inputs[0]!.type.shape.at(-1) ?? 1
    return {
      output: 'own',
      scaling: true,
      subByte: true,
      weights: {
        input: 1,
        axis: 0,
        clamp,
        products(row, n, visit) {
          for (let k = 0; k < K; k++) visit(n * K + k, K % C === 0 ? k % C : 0, row * K + k)
        },
        dynamic: (build, operands, result) => hybridFullyConnected(build, operands, clamp, false, result),
      },
    }
  },

  bounds(node, [x]) {
    const sums = sumsOf(node)
    return sums && sumBounds(node, sums, x)
  },

  narrow(node, free, inputs) {
    const sums = sumsOf(node)
    if (!sums) return undefined
    // Several scales must not become one, which multiplies differently.
    const several = scaleProduct(node) === 'f64'
    const least = several && free.output.filter((f) => !f).length < 2 ? 2 : 0
    const output = free.output.map((f, n) => f && n >= least)
    return narrowSums(node, sums, { output: 0, input: 1 }, { ...free, output }, inputs)
  },
}
