// Matrix products of two computed tensors: a[..., M, K] * b[..., K, N] -> y[..., M, N], leading dimensions broadcast,
// either operand stored transposed. Plain numbers (integers wrap), and int8 and int16 as TensorFlow Lite Micro's
// reference kernel (int32 sums in double rounding; int64 sums with a multiplier of 16 bits). int8 also as ONNX's.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import { count, type Data } from '../../loops/ir.ts'
import { numbers, sumType } from '../accumulate.ts'
import { arithmeticOf } from '../arithmetic.ts'
import { broadcastShape } from '../binary/broadcast.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { floatScale, rescaled, type Scaling } from '../float_scale.ts'
import { expectDtype, perTensor, quantizeMultiplier, rangeOf } from '../quant.ts'
import { type Scalar, scalarsOf, tensorOf } from '../scalars.ts'
import { lower } from './lower.ts'
import { onnx, tflite } from './spellings.ts'

/** Whether the last two dimensions of an operand are stored in the other order. */
export type Matmul = Attrs & { readonly transA: boolean; readonly transB: boolean; readonly scaling?: Scaling }

/** Sizes of one product and the leading dimensions of either side; both operands have at least two dimensions. */
export function sizes([a, b]: readonly (TensorType | undefined)[], { transA, transB }: Matmul) {
  const [rowsA, columnsA] = a!.shape.slice(-2)
  const [rowsB, columnsB] = b!.shape.slice(-2)
  return {
    M: transA ? columnsA : rowsA,
    K: transA ? rowsA : columnsA,
    N: transB ? rowsB : columnsB,
    depthB: transB ? columnsB : rowsB,
    leadA: a!.shape.slice(0, -2),
    leadB: b!.shape.slice(0, -2),
  }
}

/** s_a * s_b / s_y, the product of the scales rounded to float32 first. */
export function matmulMultiplier(node: Node<Matmul>): { multiplier: number; shift: number } {
  const [a, b] = node.inputs.map((v) => v!.type.quant!.scale[0])
  return quantizeMultiplier(Math.fround(a * b) / node.outputs[0].type.quant!.scale[0])
}

/** The same in float32 throughout. */
export function matmulScale(node: Node<Matmul>): number {
  const [a, b] = node.inputs.map((v) => v!.type.quant!.scale[0])
  return floatScale(a, b, node.outputs[0].type.quant!.scale[0])
}

/** The multiplier in 16 bits and how far its products go right: what int64 sums are scaled by. */
export function shortMultiplier({ multiplier, shift }: { multiplier: number; shift: number }) {
  return { multiplier: multiplier < 0x7fff0000 ? (multiplier + 0x8000) >> 16 : 0x7fff, shift: 15 - shift }
}

function infer(inputs: readonly (TensorType | undefined)[], attrs: Matmul): TensorType[] {
  const { M, N, leadA, leadB } = sizes(inputs, attrs)
  return [{ dtype: sumType(inputs[0]!.dtype, attrs), shape: [...(broadcastShape(leadA, leadB) ?? []), M, N] }]
}

function check(node: Node<Matmul>): void {
  const where = layer(node)
  expectInputs(node, 2)
  const types = node.inputs.map((v) => v!.type)
  const [a, b] = types
  expectDtype(a, a.quant ? ['i8', 'i16'] : ['f32', 'f64', 'f16', 'i32', 'i64'], 'input 0', where)
  if (b.dtype !== a.dtype) throw new ModelError(where, `inputs are ${a.dtype} and ${b.dtype}, both need one type`)
  if (a.shape.length < 2 || b.shape.length < 2)
    throw new ModelError(where, `inputs have shapes [${a.shape}] and [${b.shape}], both need 2 dimensions or more`)
  const { K, depthB, leadA, leadB } = sizes(types, node.attrs)
  if (K !== depthB || K < 1 || !broadcastShape(leadA, leadB))
    throw new ModelError(where, `inputs have shapes [${a.shape}] and [${b.shape}], which do not multiply`)
  expectOutputs(node, infer(types, node.attrs))
  const { scaling } = node.attrs
  if (scaling && (a.dtype !== 'i8' || !a.quant))
    throw new ModelError(where, `inputs are ${a.dtype}, scaling ${scaling} needs i8 with scales`)
  if (!a.quant) return
  const zeros = [...types, ...(scaling === 'none' ? [] : [node.outputs[0].type])].map(
    (t) => perTensor(t, 'tensor', where).zero,
  )
  if (a.dtype === 'i16' && zeros.some((z) => z !== 0))
    throw new ModelError(where, `zero points are ${zeros}, int16 has zero point 0`)
  if (scaling === 'none') return
  if (scaling === 'float' && !Number.isFinite(matmulScale(node)))
    throw new ModelError(where, `output has scale ${node.outputs[0].type.quant!.scale[0]}, too small for the inputs'`)
  const { shift } = matmulMultiplier(node)
  if (a.dtype === 'i16' && shift > 14)
    throw new ModelError(where, `output scale is too small, the multiplier is 2^${shift}, supported is up to 2^14`)
}

/** Calls `body` for each output with the first element of a's row and of b's column. */
function eachOutput(node: Node<Matmul>, body: (out: number, a: number, b: number) => void): void {
  const { M, K, N, leadA, leadB } = sizes(
    node.inputs.map((v) => v!.type),
    node.attrs,
  )
  const lead = node.outputs[0].type.shape.slice(0, -2)
  const at = lead.map(() => 0)
  const first = (own: readonly number[]) =>
    own.reduce((p, d, i) => p * d + (d === 1 ? 0 : at[i + lead.length - own.length]), 0)
  for (let batch = 0, out = 0; batch < count(lead); batch++) {
    const [baseA, baseB] = [first(leadA) * M * K, first(leadB) * K * N]
    for (let m = 0; m < M; m++)
      for (let n = 0; n < N; n++, out++)
        body(out, baseA + (node.attrs.transA ? m : m * K), baseB + (node.attrs.transB ? n * K : n))
    for (let d = lead.length - 1; d >= 0 && ++at[d] === lead[d]; d--) at[d] = 0
  }
}

function evaluate(node: Node<Matmul>, a: Data, b: Data): Data {
  const { M, K, N } = sizes(
    node.inputs.map((v) => v!.type),
    node.attrs,
  )
  const [stepA, stepB] = [node.attrs.transA ? M : 1, node.attrs.transB ? 1 : N]
  const elem = outputElem(node)
  const Y: Scalar[] = new Array(count(node.outputs[0].type.shape))
  const { quant } = node.outputs[0].type
  const { scaling } = node.attrs
  if (!node.inputs[0]!.type.quant) {
    const R = arithmeticOf(elem)
    const [A, B] = [scalarsOf(a), scalarsOf(b)]
    eachOutput(node, (out, p, q) => {
      let acc = R.of(0)
      for (let k = 0; k < K; k++) acc = R.add(acc, R.mul(A[p + k * stepA], B[q + k * stepB]))
      Y[out] = acc
    })
    return tensorOf(elem, Y.length, (i) => Y[i])
  }
  const [A, B] = [numbers(a), numbers(b)]
  const [za, zb] = node.inputs.map((v) => v!.type.quant!.zero[0])
  const { min, max } = rangeOf(node.outputs[0].type.dtype)
  const zy = quant?.zero[0] ?? 0
  const scale = scaling === 'float' ? matmulScale(node) : 1
  const m = scaling ? { multiplier: 0, shift: 0 } : matmulMultiplier(node)
  const s = shortMultiplier(m)
  const scaled = (acc: number) => {
    if (scaling === 'none') return acc | 0
    if (scaling === 'float') return rescaled(acc | 0, scale)
    if (elem === 'i8') return requant(acc | 0, m.multiplier, m.shift)
    const product = BigInt.asIntN(64, BigInt(acc) * BigInt(s.multiplier) + (1n << BigInt(s.shift - 1)))
    return Number(BigInt.asIntN(32, product >> BigInt(s.shift)))
  }
  eachOutput(node, (out, p, q) => {
    let acc = 0
    for (let k = 0; k < K; k++) acc += (A[p + k * stepA] - za) * (B[q + k * stepB] - zb)
    Y[out] = Math.min(max, Math.max(min, (scaled(acc) + zy) | 0))
  })
  return tensorOf(elem, Y.length, (i) => Y[i])
}

/**
 * a[..., M, K] * b[..., K, N] -> y[..., M, N], leading axes broadcast; `transA`, `transB`: stored [K, M], [N, K]. f32,
 * f64, f16, i32 and i64 (which wrap); i8 and i16 with one scale each, `scaling` as in `conv2d`. TFLite BATCH_MATMUL,
 * ONNX MatMul.
 */
export const matmul: Op<Matmul> = {
  name: 'matmul',
  spelled: { tflite: [tflite], onnx: [onnx] },
  infer,
  check,
  eval: (node, [a, b]) => [evaluate(node, a!, b!)],
  lower,
  quantize: () => ({ output: 'own', scaling: true }),
  cost: (node) =>
    costOf(node, count(node.outputs[0].type.shape) * sizes([node.inputs[0]!.type, node.inputs[1]!.type], node.attrs).K),
}
