// Elementwise a + b, a - b, a * b and a / b with numpy broadcasting and a clamp on the result. With scales, int8 and int16
// as TensorFlow Lite Micro's reference kernels compute them (operands shifted left and rescaled for sums, one
// requantisation for products; int8 quotients by the divisor's reciprocal); int8 also as ONNX Runtime's QLinear operators mean them, on real numbers in float32;
// without scales, plain numbers.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { DType, Node, TensorType, Value } from '../../ir/graph.ts'
import type { Attrs, Effect, Op, TfliteSpelling } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import { roundEven } from '../../loops/float.ts'
import { count } from '../../loops/ir.ts'
import { expectInputs, expectOutputs } from '../check.ts'
import { ELEMENTWISE } from '../elementwise.ts'
import { legacyBroadcast, variadic } from '../pairwise/onnx.ts'
import { bothClamps, type Clamp, clampOfTflite, clampRange, clampToTflite, expectDtype, perTensor } from '../quant.ts'
import { type Scalar, scalarFn } from '../scalars.ts'
import { reading } from '../tflite.ts'
import { broadcastEval, broadcastShape } from './broadcast.ts'
import { lower } from './lower.ts'
import { type Combine, PLAIN } from './plain.ts'
import { evalQuotient, productRescale, quotientRescale, sumRescale } from './rescale.ts'

/**
 * `scaling` float: the reals that operands stand for are combined, and the result divided by its scale, in float32. `stored`:
 * the type of the result where it is not that of the first operand.
 */
export type Binary = Attrs & { readonly clamp: Clamp; readonly scaling?: 'float'; readonly stored?: DType }

const PLAIN_TYPES: readonly DType[] = ['f32', 'f64', 'f16', 'i8', 'u8', 'i16', 'i32', 'i64']
const FLOATS: readonly DType[] = ['f32', 'f64', 'f16']

/** Operands and results that may differ in type, where they have scales. */
const BYTES: readonly DType[] = ['i8', 'u4', 'u2']

function infer([a, b]: readonly (TensorType | undefined)[], { stored }: Pick<Binary, 'stored'>): TensorType[] {
  return [{ dtype: stored ?? a!.dtype, shape: broadcastShape(a!.shape, b!.shape) ?? [] }]
}

function check(node: Node<Binary>, combine: Combine): void {
  const where = layer(node)
  expectInputs(node, 2)
  const [a, b] = (node.inputs as Value[]).map((v) => v.type)
  const y = node.outputs[0].type
  expectDtype(a, [...PLAIN_TYPES, 'u4', 'u2'], 'input', where)
  const mixed = combine !== 'div' && [a, b, y].every((t) => t.quant && BYTES.includes(t.dtype))
  if (node.attrs.stored !== undefined && !mixed)
    throw new ModelError(where, `is to store ${node.attrs.stored}, supported are ${BYTES.join(', ')} with scales`)
  if (b.dtype !== a.dtype && !mixed)
    throw new ModelError(where, `inputs are ${a.dtype} and ${b.dtype}, both need one type`)
  if (!broadcastShape(a.shape, b.shape))
    throw new ModelError(where, `inputs have shapes [${a.shape}] and [${b.shape}], which do not broadcast`)
  expectOutputs(node, infer([a, b], node.attrs))
  const clamped = node.attrs.clamp.min !== undefined || node.attrs.clamp.max !== undefined
  if (!a.quant && clamped && !FLOATS.includes(a.dtype))
    throw new ModelError(
      where,
      `has a fused activation on plain ${a.dtype}, supported are floats, i8 and i16 with scales`,
    )
  if (!a.quant && !b.quant && !y.quant) {
    expectDtype(a, PLAIN_TYPES, 'input without a scale', where)
    return
  }
  expectDtype(a, combine === 'div' ? ['i8'] : [...BYTES, 'i16'], 'input with a scale', where)
  const zeros = [perTensor(a, 'input 0', where), perTensor(b, 'input 1', where), perTensor(y, 'output', where)]
  const shifted = zeros.find((q) => q.zero !== 0)
  if (a.dtype === 'i16' && shifted) throw new ModelError(where, `has zero point ${shifted.zero}, i16 needs 0`)
  if (combine === 'div') {
    const most = 22
    if (node.attrs.scaling) throw new ModelError(where, 'has scaling float, quotients are scaled in integers')
    if (quotientRescale(node).shift > most)
      throw new ModelError(
        where,
        `output scale ${zeros[2].scale} is too small for input scales ${zeros[0].scale} and ${zeros[1].scale}`,
      )
    return
  }
  if (node.attrs.scaling) {
    expectDtype(a, ['i8'], 'input with scaling float', where)
    if (zeros.some((q) => !(q.scale > 0 && q.scale < 2 ** 50)))
      throw new ModelError(where, `has scales ${zeros.map((q) => q.scale)}, supported are those below 2^50`)
    return
  }
  if (combine !== 'mul' && sumRescale(node, (x) => x).real >= 1)
    throw new ModelError(
      where,
      `output scale ${zeros[2].scale} is too small for input scales ${zeros[0].scale} and ${zeros[1].scale}`,
    )
}

/** One element of the result from one of each operand. */
function evalElement(node: Node<Binary>, combine: Combine): (a: Scalar, b: Scalar) => Scalar {
  const y = node.outputs[0].type
  const plain = scalarFn(PLAIN[combine], y.quant ? 'i32' : y.dtype) as (a: Scalar, b: Scalar) => Scalar
  const { lo, hi } = clampRange(y, node.attrs.clamp)
  if (!y.quant)
    return (a, b) => {
      const v = plain(a, b)
      return v < lo ? lo : v > hi ? hi : v
    }
  const [za, zb] = node.inputs.map((v) => v!.type.quant!.zero[0])
  const zy = y.quant!.zero[0]
  const clamp = (v: number) => Math.min(hi, Math.max(lo, v))
  if (node.attrs.scaling) {
    const [sa, sb] = node.inputs.map((v) => v!.type.quant!.scale[0])
    const real = scalarFn(PLAIN[combine], 'f32') as (a: Scalar, b: Scalar) => number
    const f = Math.fround
    return (a, b) =>
      clamp(roundEven(f(real(f(sa * (Number(a) - za)), f(sb * (Number(b) - zb))) / y.quant!.scale[0])) + zy)
  }
  if (combine === 'div') {
    const quotient = evalQuotient(node)
    return (a, b) => clamp((quotient(Number(a), Number(b)) + zy) | 0)
  }
  if (combine === 'mul') {
    const m = productRescale(node)
    return (a, b) => clamp((requant((Number(a) - za) * (Number(b) - zb), m.multiplier, m.shift) + zy) | 0)
  }
  const { inputs, output, leftShift } = sumRescale(node, combine === 'sub' ? Math.fround : (x) => x)
  const scaled = inputs.map((m) => (x: number) => requant(x << leftShift, m.multiplier, m.shift))
  return (a, b) => {
    const sum = Number(plain(scaled[0](Number(a) - za), scaled[1](Number(b) - zb)))
    return clamp(requant(sum, output.multiplier, output.shift) + zy)
  }
}

/** What a float addition or product without clamp does, where one operand is a constant along the last axis. */
function alongChannels(node: Node<Binary>, does: 'bias' | 'scale'): Effect | undefined {
  const y = node.outputs[0].type
  const { clamp } = node.attrs
  if (y.dtype !== 'f32' || clamp.min !== undefined || clamp.max !== undefined) return undefined
  for (const [i, v] of (node.inputs as Value[]).entries()) {
    const other = node.inputs[1 - i] as Value
    const alongLast = v.type.shape.length > 0 && v.type.shape.at(-1) === y.shape.at(-1)
    if (v.storage !== 'const' || !alongLast || count(v.type.shape) !== y.shape.at(-1)) continue
    if (other.type.shape.length === y.shape.length && count(other.type.shape) === count(y.shape))
      return does === 'bias' ? { does, bias: v } : { does, factor: v }
  }
  return undefined
}

function binary(combine: Combine, spelling: Pick<TfliteSpelling, 'name' | 'code'> & { id: number; pot: boolean }) {
  const { name, code, id, pot } = spelling
  const op: Op<Binary> = {
    name: combine,
    spelled: {
      tflite: [
        {
          name,
          code,
          options: {
            id,
            fields: {
              fused_activation_function: { slot: 0, type: 'i8', default: 0 },
              ...(pot && { pot_scale_int16: { slot: 1, type: 'bool' as const, default: true } }),
            },
          },
          read(build, node) {
            const clamp = clampOfTflite(node.options.fused_activation_function, reading(combine, node))
            return build.add(op, node.inputs, { clamp }, node.result)
          },
          write({ inputs, attrs }) {
            const activation = clampToTflite(attrs.clamp)
            if (activation === undefined || attrs.scaling) return undefined
            return { inputs, options: { fused_activation_function: activation, ...(pot && { pot_scale_int16: true }) } }
          },
        },
      ],
      onnx: [
        {
          name: name[0] + name.slice(1).toLowerCase(),
          read: (build, node) => build.add(op, legacyBroadcast(build, node), { clamp: {} }, node.result),
          write: ({ inputs, attrs }) =>
            attrs.clamp.min === undefined && attrs.clamp.max === undefined && !attrs.scaling
              ? { inputs, attrs: {} }
              : undefined,
        },
        ...(combine === 'add' ? [{ ...variadic<Binary>('Sum', () => op, { clamp: {} }), write: undefined }] : []),
      ],
    },
    infer,
    check: (node) => check(node, combine),
    eval: (node, inputs) => [broadcastEval(node, inputs, evalElement(node, combine))],
    lower: (node) => lower(node, combine),
    quantize: () => ({ output: 'own', ...(combine !== 'div' && { scaling: true, subByte: true }) }),
    ...ELEMENTWISE,
    ...(combine === 'add' && { effect: (node: Node<Binary>) => alongChannels(node, 'bias') }),
    ...(combine === 'mul' && { effect: (node: Node<Binary>) => alongChannels(node, 'scale') }),
    bounds(node, [a, b]) {
      // A difference or product grows with one operand and may fall with the other.
      if (combine !== 'add' || !a || !b || a.least.length !== b.least.length) return undefined
      const sum = evalElement(node, combine)
      const of = (x: Int32Array, y: Int32Array) => x.map((v, c) => Number(sum(v, y[c])))
      return { least: of(a.least, b.least), most: of(a.most, b.most) }
    },
    absorb(node, effect, other, side) {
      if (effect.does !== 'clamp' || side !== 'after') return undefined
      return { ...node, attrs: { ...node.attrs, clamp: bothClamps(node.attrs.clamp, effect) }, outputs: other.outputs }
    },
  }
  return op
}

/**
 * a + b with numpy broadcasting. f32, f64, f16 and integers without scales (integers wrap); i8 and i16 with one scale
 * each as TensorFlow Lite Micro. `clamp` limits the real result, `scaling: 'float'` computes i8 as ONNX Runtime.
 * Refuses operands of different types, shapes that do not broadcast and output scales that are too small. TFLite ADD,
 * ONNX Add, QLinearAdd.
 */
export const add = binary('add', { name: 'ADD', code: 0, id: 11, pot: true })
/** a - b; types and attributes as `add`. TFLite SUB, ONNX Sub. */
export const sub = binary('sub', { name: 'SUB', code: 41, id: 28, pot: true })
/** a * b; types and attributes as `add`. TFLite MUL, ONNX Mul, QLinearMul. */
export const mul = binary('mul', { name: 'MUL', code: 18, id: 21, pot: false })
/**
 * a / b with numpy broadcasting; of integers without scales the quotient towards zero. f32, f64, f16, integers; with
 * scales i8 only, without `scaling`. TFLite DIV, ONNX Div.
 */
export const div = binary('div', { name: 'DIV', code: 42, id: 29, pot: false })
