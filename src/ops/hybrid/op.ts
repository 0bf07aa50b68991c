// Convolution of dynamically quantised input with int8 weights into float32: y = (sum (x - zero[n]) * w) * scale[n] *
// scale_w[o] + b[o], TensorFlow Lite's dynamic range. Inputs data, weights, scales, zero points and bias; fully connected
// layers are convolutions of 1 x 1.

import { ModelError } from '../../errors.ts'
import { type Builder, layer, type NodeOptions } from '../../ir/build.ts'
import { type Node, sameShape, type TensorType, type Value } from '../../ir/graph.ts'
import type { Attrs, Call, Op, Surroundings, TfliteRecord } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { CONV_2D, FULLY_CONNECTED, writeConv } from '../conv_options.ts'
import { conv2d } from '../conv2d/op.ts'
import { parameters } from '../parameters.ts'
import { type Clamp, clampToTflite, expectDtype } from '../quant.ts'
import { reshape } from '../shape/reshape.ts'
import { eachTap, expectWindow, overWindow, type Window, windowOutput } from '../window.ts'
import { type DynamicQuantize, dynamicQuantize } from './dynamic.ts'

export type HybridConv2d = Attrs & Window & { readonly clamp: Clamp }

function infer([x, w]: readonly (TensorType | undefined)[], a: HybridConv2d): TensorType[] {
  const [oh, ow] = windowOutput(x!.shape.slice(1, 3), w!.shape.slice(1, 3), a)
  return [{ dtype: 'f32', shape: [x!.shape[0], oh, ow, w!.shape[0]] }]
}

function scales(node: Node<HybridConv2d>): Float32Array {
  const w = node.inputs[1]!.type
  return Float32Array.from({ length: w.shape[0] }, (_, o) => w.quant!.scale[w.quant!.scale.length === 1 ? 0 : o])
}

function limits({ clamp }: HybridConv2d) {
  return { lo: clamp.min ?? Number.NEGATIVE_INFINITY, hi: clamp.max ?? Number.POSITIVE_INFINITY }
}

function lower(node: Node<HybridConv2d>): Call {
  const [x, w, scale, zero, b] = node.inputs as [Value, Value, Value, Value, Value | undefined]
  const y = node.outputs[0]
  const [N, H, W] = x.type.shape
  const [O, KH, KW, C] = w.type.shape
  const [, OH, OW] = y.type.shape
  const X = L.buffer('x', 'i8', x.type.shape)
  const Wt = L.buffer('w', 'i8', w.type.shape)
  const S = L.buffer('scale', 'f32', [N])
  const Z = L.buffer('zero', 'i32', [N])
  const B = L.buffer('b', 'f32', [O])
  const M = L.buffer('m', 'f32', [O])
  const Y = L.buffer('y', 'f32', y.type.shape, 'write')
  const limit = parameters('limit', 'f32', limits(node.attrs))
  const body = L.parallel('n', N, (n) => {
    const [declareZ, z] = L.declare('z', L.load(Z, n))
    const [declareS, s] = L.declare('s', L.load(S, n))
    return [
      declareZ,
      declareS,
      L.loops(['oh', 'ow', 'o'], [OH, OW, O], (oh, ow, o) => {
        const [start, acc] = L.declare('acc', 0)
        const real = L.mul(L.mul(L.op('toF32', acc), L.load(M, o)), s)
        return [
          start,
          overWindow(node.attrs, [H, W], [KH, KW], oh, ow, (ih, iw, kh, kw) =>
            L.loop('c', C, (c) =>
              L.set(
                acc,
                L.op('wadd', acc, L.op('wmul', L.op('wsub', L.load(X, n, ih, iw, c), z), L.load(Wt, o, kh, kw, c))),
              ),
            ),
          ),
          L.store(Y, [n, oh, ow, o], L.clamp(b ? L.add(real, L.load(B, o)) : real, limit.of.lo, limit.of.hi)),
        ]
      }),
    ]
  })
  return {
    kernel: L.kernel('hybrid_conv2d', [X, Wt, S, Z, ...(b ? [B] : []), M, ...limit.bufs, Y], ...limit.head, body),
    args: [
      { value: x },
      { value: w },
      { value: scale },
      { value: zero },
      ...(b ? [{ value: b }] : []),
      { data: scales(node) },
      ...limit.args,
      { value: y },
    ],
  }
}

/** The convolution of float32 by the weights' real values. */
function real(node: Node<HybridConv2d>, around: Surroundings): Node | undefined {
  const before = quantiser(node, around)
  const [, w, , , b] = node.inputs as Value[]
  if (!before || w.storage !== 'const') return undefined
  const { scale, zero } = w.type.quant!
  const size = count(w.type.shape.slice(1))
  const data = Float32Array.from(w.data as Int8Array, (q, i) => {
    const o = scale.length === 1 ? 0 : Math.floor(i / size)
    return scale[o] * (q - zero[o])
  })
  const weights: Value = { ...w, type: { dtype: 'f32', shape: w.type.shape }, data }
  const attrs = { ...node.attrs, groups: 1 }
  return { ...node, op: conv2d, attrs, inputs: [before.inputs[0], weights, b] } as Node
}

/** The node that quantises for `node`, if it does so for all its operands. */
function quantiser({ inputs: [data, , scale, zero] }: Node<HybridConv2d>, around: Surroundings) {
  const node = around.producer(data!)
  const all = node?.op.name === dynamicQuantize.name && [data, scale, zero].every((v, i) => v === node.outputs[i])
  return all ? (node as Node<DynamicQuantize>) : undefined
}

/** TensorFlow Lite's convolution quantises asymmetrically where weights have a scale for each output, and only there. */
function writeConvolution(node: Node<HybridConv2d>, around: Surroundings): TfliteRecord | undefined {
  const before = quantiser(node, around)
  const [, w, , , b] = node.inputs
  const options = before && writeConv({ ...node, inputs: [before.inputs[0], w] })
  if (!options || before.attrs.asymmetric !== (w!.type.quant!.scale.length !== 1)) return undefined
  return { inputs: [before.inputs[0], w, b], options, covers: [before as Node] }
}

/** A convolution of 1 x 1 between two reshapes. */
function writeFullyConnected(node: Node<HybridConv2d>, around: Surroundings): TfliteRecord | undefined {
  const [y] = node.outputs
  const [, w, , , b] = node.inputs as Value[]
  const before = quantiser(node, around)
  const rows = before && around.producer(before.inputs[0]!)
  const [after, ...others] = around.readers(y)
  const activation = clampToTflite(node.attrs.clamp)
  if (!rows || activation === undefined || others.length > 0 || around.isOutput(y)) return undefined
  if (![rows, after].every((n) => n?.op.name === reshape.name)) return undefined
  if (around.readers(rows.outputs[0]).length > 1 || around.isOutput(rows.outputs[0])) return undefined
  const [N, KH, KW, K] = w.type.shape
  const [, H, W] = rows.outputs[0].type.shape
  if (w.storage !== 'const' || [KH, KW, H, W].some((n) => n !== 1)) return undefined
  const x = rows.inputs[0]!
  const [result] = after.outputs
  const keeps = sameShape(result.type.shape, [...x.type.shape.slice(0, -1), N])
  if (!keeps && !sameShape(result.type.shape, [count(x.type.shape) / K, N])) return undefined
  const weights: Value = { ...w, name: `${result.name}/kernel`, type: { ...w.type, shape: [N, K] } }
  return {
    inputs: [x, weights, b],
    outputs: [result],
    options: {
      fused_activation_function: activation,
      weights_format: 0,
      keep_num_dims: keeps && result.type.shape.length !== 2,
      asymmetric_quantize_inputs: before.attrs.asymmetric,
    },
    covers: [rows, before as Node, after],
  }
}

/**
 * y[n, oh, ow, o] = sum (x - zero[n]) * w * scale[n] * scale_w[o] + b[o]. Inputs: i8 data [N, H, W, C], i8 weights [O,
 * KH, KW, C] with scales and zero point 0, scales f32[N], zero points i32[N], bias f32[O] (optional); output f32.
 * TFLite CONV_2D and FULLY_CONNECTED with float inputs and i8 weights.
 */
export const hybridConv2d: Op<HybridConv2d> = {
  name: 'hybrid_conv2d',
  spelled: {
    tflite: [
      { ...FULLY_CONNECTED, write: writeFullyConnected },
      { ...CONV_2D, write: writeConvolution },
    ],
  },
  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 4, 5)
    const [x, w, s, z, b] = node.inputs.map((v) => v?.type)
    if (x?.shape.length !== 4 || w?.shape.length !== 4 || x.shape[3] !== w.shape[3])
      throw new ModelError(
        where,
        `input is [${x?.shape}] and weight [${w?.shape}], both need 4 dimensions and one depth`,
      )
    expectDtype(x, ['i8'], 'data', where)
    expectDtype(w, ['i8'], 'weight', where)
    expectDtype(s!, ['f32'], 'scales', where)
    expectDtype(z!, ['i32'], 'zero points', where)
    if (count(s!.shape) !== x.shape[0] || count(z!.shape) !== x.shape[0])
      throw new ModelError(where, `has ${count(s!.shape)} scales, the batch is ${x.shape[0]}`)
    if (b) expectDtype(b, ['f32'], 'bias', where)
    if (b && count(b.shape) !== w.shape[0])
      throw new ModelError(where, `bias has ${count(b.shape)} elements, output has ${w.shape[0]} channels`)
    const q = w.quant
    if (!q || (q.scale.length !== 1 && (q.scale.length !== w.shape[0] || q.axis !== 0)) || q.zero.some((v) => v !== 0))
      throw new ModelError(where, 'weight needs one scale or one for each output, and zero point 0')
    expectWindow(node.attrs, w.shape.slice(1, 3), node.outputs[0].type.shape.slice(1, 3), where)
    expectOutputs(node, infer([x, w], node.attrs))
  },

  eval(node, [x, w, s, z, b]) {
    const [X, W, S, Z, B] = [numbers(x), numbers(w), numbers(s), numbers(z), b && numbers(b)]
    const [xs, ws] = node.inputs.slice(0, 2).map((v) => v!.type.shape)
    const [N, H, IW, C] = xs
    const [O, KH, KW] = ws
    const [, OH, OW] = node.outputs[0].type.shape
    const m = scales(node)
    const { lo, hi } = limits(node.attrs)
    const f = Math.fround
    const Y = new Float32Array(N * OH * OW * O)
    for (let n = 0, i = 0; n < N; n++)
      for (let oh = 0; oh < OH; oh++)
        for (let ow = 0; ow < OW; ow++)
          for (let o = 0; o < O; o++, i++) {
            let acc = 0
            eachTap(node.attrs, [H, IW], [KH, KW], oh, ow, (ih, iw, kh, kw) => {
              const p = ((n * H + ih) * IW + iw) * C
              const q = ((o * KH + kh) * KW + kw) * C
              for (let c = 0; c < C; c++) acc = (acc + Math.imul(X[p + c] - Z[n], W[q + c])) | 0
            })
            const real = f(f(f(acc) * m[o]) * S[n])
            const sum = B ? f(real + B[o]) : real
            const low = sum < lo ? lo : sum
            Y[i] = hi < low ? hi : low
          }
    return [Y]
  },

  lower,
  real,
  cost: (node) => costOf(node, count(node.outputs[0].type.shape) * count(node.inputs[1]!.type.shape.slice(1))),
}

/** Quantises `x` (NHWC, float32) and convolves it with int8 weights. */
export function hybrid(
  build: Builder,
  [x, w, b]: readonly [Value, Value, Value | undefined],
  attrs: HybridConv2d,
  asymmetric: boolean,
  result: NodeOptions,
): Value[] {
  const base = result.names?.[0] ?? result.from ?? 'hybrid'
  const names = ['data', 'scale', 'zero'].map((part) => `${base}/${part}`)
  const quantised = build.add(dynamicQuantize, [x], { asymmetric }, { from: result.from, names })
  return build.add(hybridConv2d, [quantised[0], w, quantised[1], quantised[2], b], attrs, result)
}

/** A fully connected layer with float32 input and int8 weights, as a convolution of 1 x 1 on the rows. */
export function hybridFullyConnected(
  build: Builder,
  [x, w, b]: readonly [Value, Value, Value | undefined],
  clamp: Clamp,
  asymmetric: boolean,
  result: NodeOptions,
): Value[] {
  const base = result.names?.[0] ?? result.from ?? 'hybrid'
  const inner = (part: string): NodeOptions => ({ from: result.from, names: [`${base}/${part}`] })
  const [N, K] = w.type.shape
  const rows = build.one(reshape, [x], { shape: [count(x.type.shape) / K, 1, 1, K] }, inner('rows'))
  const type: TensorType = { ...w.type, shape: [N, 1, 1, K] }
  const weights = build.const(`${base}/weights`, type, w.data!)
  const attrs: HybridConv2d = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], clamp }
  const [y] = hybrid(build, [rows, weights, b], attrs, asymmetric, inner('products'))
  return build.add(reshape, [y], { shape: result.types?.[0].shape ?? [count(x.type.shape) / K, N] }, result)
}
