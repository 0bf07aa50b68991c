// One step of a singular value decomposition filter (Nakkiran et al. 2015): each filter's response to the input enters its
// memory, which moves one place; an output is the bias plus, over the filters of its unit, memory times time weights.
// The memory is input 0 and changes. f32, and int8 with an int8 or int16 memory, bit-exact to TensorFlow Lite Micro.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameShape, type TensorType, type Value } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import { count } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import {
  type Clamp,
  clampOfTflite,
  clampRange,
  clampToTflite,
  expectDtype,
  perTensor,
  quantizeMultiplier,
} from '../quant.ts'
import { operand } from '../tflite.ts'
import { lower } from './lower.ts'

/** `rank`: filters per unit. `clamp` limits f32 outputs; int8 outputs are limited by their type alone. */
export type Svdf = Attrs & { readonly rank: number; readonly clamp: Clamp }

export interface Sizes {
  readonly B: number
  readonly I: number
  readonly F: number
  readonly U: number
  readonly M: number
}

export function sizes(node: Node<Svdf>): Sizes {
  const [, x, feature, time] = node.inputs as Value[]
  const [F, I] = feature.type.shape
  return { B: x.type.shape[0], I, F, U: F / node.attrs.rank, M: time.type.shape[1] }
}

/** Into the memory and out of it. TensorFlow Lite computes both real multipliers in float32. */
export function rescales(node: Node<Svdf>) {
  const scaleOf = (t: TensorType) => t.quant!.scale[0]
  const [s, x, feature, time] = (node.inputs as Value[]).map((v) => v && v.type)
  const f = Math.fround
  return {
    feature: quantizeMultiplier(f(f(scaleOf(x) * scaleOf(feature)) / scaleOf(s))),
    time: quantizeMultiplier(f(f(scaleOf(s) * scaleOf(time)) / scaleOf(node.outputs[0].type))),
  }
}

/**
 * One step of a singular value decomposition filter. Inputs: memory [B, F * M] (a state that it writes), x[B, I],
 * feature weights [F, I], time weights [F, M], bias [F / rank] (optional); output [B, F / `rank`]. f32; i8 with an i8
 * or i16 memory. TFLite SVDF; Nakkiran et al. 2015.
 */
export const svdf: Op<Svdf> = {
  name: 'svdf',

  spelled: {
    tflite: [
      {
        name: 'SVDF',
        code: 27,
        options: {
          id: 6,
          fields: {
            rank: { slot: 0, type: 'i32' },
            fused_activation_function: { slot: 1, type: 'i8', default: 0 },
            asymmetric_quantize_inputs: { slot: 2, type: 'bool', default: false },
          },
        },
        read(build, node) {
          const where = `svdf "${node.result.from}"`
          const [x, feature, time, bias] = node.inputs
          const attrs = {
            rank: node.options.rank as number,
            clamp: clampOfTflite(node.options.fused_activation_function, where),
          }
          return build.add(svdf, [operand(node, 4, 'the memory', where), x, feature, time, bias], attrs, node.result)
        },
        write({ inputs: [state, x, feature, time, bias], attrs }) {
          const activation = clampToTflite(attrs.clamp)
          if (activation === undefined) return undefined
          return {
            inputs: [x, feature, time, bias, state],
            options: {
              rank: attrs.rank,
              fused_activation_function: activation,
              asymmetric_quantize_inputs: false,
            },
          }
        },
      },
    ],
  },

  infer([, x, feature], { rank }) {
    return [{ dtype: x!.dtype, shape: [x!.shape[0], feature!.shape[0] / rank] }]
  },

  check(node) {
    const where = layer(node)
    expectInputs(node, 4, 5)
    const [state, x, feature, time, bias] = node.inputs as Value[]
    const { rank } = node.attrs
    if (x.type.shape.length !== 2 || feature.type.shape.length !== 2 || time.type.shape.length !== 2)
      throw new ModelError(
        where,
        `has input [${x.type.shape}] and weights [${feature.type.shape}], [${time.type.shape}], expected 2 dimensions each`,
      )
    const [F, I] = feature.type.shape
    if (!(rank > 0) || F % rank !== 0) throw new ModelError(where, `has ${F} filters of rank ${rank}`)
    const { B, M, U } = sizes(node)
    if (x.type.shape[1] !== I) throw new ModelError(where, `input has ${x.type.shape[1]} elements, the weights ${I}`)
    if (time.type.shape[0] !== F)
      throw new ModelError(where, `has ${F} filters, time weights for ${time.type.shape[0]}`)
    if (!sameShape(state.type.shape, [B, F * M]))
      throw new ModelError(where, `memory is [${state.type.shape}], expected [${[B, F * M]}]`)
    if (bias && count(bias.type.shape) !== U)
      throw new ModelError(where, `bias has ${count(bias.type.shape)} elements, expected ${U}`)
    expectDtype(x.type, ['f32', 'i8'], 'input', where)
    const float = x.type.dtype === 'f32'
    expectOutputs(node, [{ dtype: x.type.dtype, shape: [B, U] }])
    expectDtype(feature.type, [x.type.dtype], 'feature weights', where)
    expectDtype(state.type, float ? ['f32'] : ['i8', 'i16'], 'memory', where)
    expectDtype(time.type, [state.type.dtype], 'time weights', where)
    if (bias) expectDtype(bias.type, [float ? 'f32' : 'i32'], 'bias', where)
    if (float) return
    perTensor(x.type, 'input', where)
    perTensor(state.type, 'memory', where)
    perTensor(node.outputs[0].type, 'output', where)
    for (const w of [feature, time])
      if (perTensor(w.type, 'weights', where).zero !== 0)
        throw new ModelError(where, `weights "${w.name}" have zero point ${w.type.quant!.zero[0]}, expected 0`)
  },

  eval(node, inputs) {
    const [S, X, FW, TW] = inputs.slice(0, 4).map(numbers)
    const bias = inputs[4] && numbers(inputs[4])
    const { B, I, F, U, M } = sizes(node)
    const { rank } = node.attrs
    const float = S instanceof Float32Array
    const round = float ? Math.fround : (v: number) => v | 0
    const y = node.outputs[0].type
    const { lo, hi } = clampRange(y, float ? node.attrs.clamp : {})
    const zx = node.inputs[1]!.type.quant?.zero[0] ?? 0
    const zs = node.inputs[0]!.type.quant?.zero[0] ?? 0
    const scale = float ? undefined : rescales(node)
    const most = S instanceof Int16Array ? 32767 : 127
    const Y = float ? new Float32Array(B * U) : new Int8Array(B * U)

    for (let row = 0; row < B * F; row++) {
      const [b, f] = [Math.floor(row / F), row % F]
      for (let m = 0; m + 1 < M; m++) S[row * M + m] = S[row * M + m + 1]
      let acc = 0
      for (let i = 0; i < I; i++) acc = round(acc + round((X[b * I + i] - zx) * FW[f * I + i]))
      if (scale)
        acc = zs + Math.max(-most - 1, Math.min(most, requant(acc, scale.feature.multiplier, scale.feature.shift)))
      S[row * M + M - 1] = acc
    }
    for (let k = 0; k < B * U; k++) {
      const [b, u] = [Math.floor(k / U), k % U]
      let out = bias ? bias[u] : 0
      for (let r = 0; r < rank; r++) {
        const f = u * rank + r
        let acc = 0
        for (let m = 0; m < M; m++) acc = round(acc + round(TW[f * M + m] * (S[(b * F + f) * M + m] - zs)))
        out = round(out + acc)
      }
      if (scale) out = (requant(out, scale.time.multiplier, scale.time.shift) + y.quant!.zero[0]) | 0
      const low = Math.max(lo, out)
      Y[k] = Math.min(hi, low)
    }
    return [Y]
  },

  lower,

  cost(node) {
    const { B, I, F, M } = sizes(node)
    return costOf(node, B * F * (I + M))
  },
  writesState: true,
}
