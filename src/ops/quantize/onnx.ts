// QuantizeLinear and DequantizeLinear of ONNX. The file keeps scales and zero points apart from tensors, and its integer
// tensors stay plain numbers here: a `retype` on the way in or out says what they mean. Halves go to the even number.
// Scales are for the tensor, along one axis, or for blocks along one: those are spread to a scale for each element.

import { ModelError } from '../../errors.ts'
import type { Builder, NodeOptions } from '../../ir/build.ts'
import { type DType, quantOf, sameShape, type Value } from '../../ir/graph.ts'
import { tableLength } from '../../ir/limits.ts'
import type { OnnxNode, OnnxSpelling } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { div, mul, sub } from '../binary/op.ts'
import { inner } from '../conv2d/onnx.ts'
import { axisOf, numberAttr } from '../onnx.ts'
import { concat } from '../shape/concat.ts'
import { slice } from '../slice/op.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'
import { dequantize, quantize } from './op.ts'
import { retype } from './retype.ts'
import { hasForm, int8Form, int8Quant, plainForm } from './stored.ts'

const STORED: readonly DType[] = ['i8', 'u8', 'i16']

/**
 * Scales and zero points (as many), and the shape in which they broadcast over the tensor: undefined where there is one
 * for the whole of it. `axis` where they lie along one.
 */
interface Linear {
  readonly scales: readonly number[]
  readonly zeros: readonly number[]
  readonly axis?: number
  readonly spread?: readonly number[]
}

/** Where each element of a tensor of `shape` finds its scale among those of blocks of `size` along `axis`. */
function blocks(shape: readonly number[], axis: number, size: number): number[] {
  const after = count(shape.slice(axis + 1))
  const row = Math.ceil(shape[axis] / size)
  return Array.from({ length: count(shape) }, (_, i) => {
    const at = Math.floor(i / after)
    return (Math.floor(at / shape[axis]) * row + Math.floor((at % shape[axis]) / size)) * after + (i % after)
  })
}

function linear(node: OnnxNode, x: Value, where: string): Linear {
  const scale = operand(node, 1, 'scale', where)
  if (scale.type.dtype !== 'f32') throw new ModelError(where, `scale is ${scale.type.dtype}, supported is f32`)
  const scales = constantNumbers(node, 1, 'scale', where)
  const zeros = node.inputs[2] ? constantNumbers(node, 2, 'zero point', where) : scales.map(() => 0)
  if (zeros.length !== scales.length)
    throw new ModelError(where, `has ${scales.length} scales and ${zeros.length} zero points`)
  const size = numberAttr(node, 'block_size', 0)
  if (size !== 0) {
    const { shape } = x.type
    const axis = axisOf(numberAttr(node, 'axis', 1), shape.length, where)
    const expected = shape.map((e, d) => (d === axis ? Math.ceil(e / size) : e))
    if (!(size > 0) || !sameShape(scale.type.shape, expected))
      throw new ModelError(
        where,
        `scale is [${scale.type.shape}], blocks of ${size} along axis ${axis} are [${expected}]`,
      )
    tableLength(count(shape), 'the number of elements in blocks', where)
    const from = blocks(shape, axis, size)
    return { scales: from.map((i) => scales[i]), zeros: from.map((i) => zeros[i]), spread: shape }
  }
  if (scale.type.shape.length > 1)
    throw new ModelError(where, `scale is [${scale.type.shape}], supported are scales per tensor and per axis`)
  if (scales.length === 1) return { scales, zeros }
  const axis = axisOf(numberAttr(node, 'axis', 1), x.type.shape.length, where)
  if (scales.length !== x.type.shape[axis])
    throw new ModelError(where, `has ${scales.length} scales along axis ${axis}, the tensor is [${x.type.shape}]`)
  return { scales, zeros, axis, spread: x.type.shape.slice(axis).map((e, d) => (d === 0 ? e : 1)) }
}

/** A plain integer tensor as the float32 numbers scale * (x - zero). */
export function dequantized(
  build: Builder,
  x: Value,
  scale: number,
  zero: number,
  options: NodeOptions,
  name: string,
): Value {
  const stored = hasForm(x)
    ? int8Form(build, { result: options }, x, scale, zero, 'int8')
    : build.one(retype, [x], {}, { from: options.from, names: [name], quant: quantOf(scale, zero) })
  return build.one(dequantize, [stored], {}, options)
}

/** Float32 numbers as a plain integer tensor: zero + round(x / scale), halves to even, saturated. */
export function quantized(
  build: Builder,
  x: Value,
  dtype: DType,
  scale: number,
  zero: number,
  options: NodeOptions,
  name: string,
): Value {
  const named = { from: options.from, names: [name] }
  if (dtype === 'i16') {
    const stored = build.one(quantize, [x], { dtype, ties: 'even' }, { ...named, quant: quantOf(scale, zero) })
    return build.one(retype, [stored], {}, options)
  }
  const quant = int8Quant(dtype, scale, zero)
  const form = build.one(quantize, [x], { dtype: 'i8', ties: 'even' }, { ...named, quant })
  return plainForm(build, { result: options }, form, dtype)
}

function reals(build: Builder, name: string, values: readonly number[], shape: readonly number[]): Value {
  return build.const(name, { dtype: 'f32', shape }, Float32Array.from(values))
}

/** `values` along `axis` of a tensor of `rank` dimensions. */
export function along(build: Builder, name: string, values: readonly number[], axis: number, rank: number): Value {
  const shape = Array.from({ length: rank - axis }, (_, d) => (d === 0 ? values.length : 1))
  return reals(build, name, values, shape)
}

export const onnxDequantizeLinear: OnnxSpelling = {
  name: 'DequantizeLinear',
  read(build, node) {
    const where = reading('dequantize', node)
    const x = operand(node, 0, 'input', where)
    const { scales, zeros, axis, spread } = linear(node, x, where)
    const { shape, dtype } = x.type
    if (![...STORED, 'i32'].includes(dtype))
      throw new ModelError(where, `input is ${dtype}, supported are i8, u8, i16 and i32`)
    if (x.storage === 'const' && x.data) {
      const each = !spread ? count(shape) : axis === undefined ? 1 : count(shape.slice(axis + 1))
      const of = (v: number | bigint, i: number) => {
        const k = Math.floor(i / each) % scales.length
        return Math.fround(Math.fround(scales[k]) * Math.fround(Number(v) - zeros[k]))
      }
      const data = new Float32Array(x.data.length)
      for (let i = 0; i < data.length; i++) data[i] = of(x.data[i], i)
      return [build.const(node.result.names?.[0] ?? 'dequantized', { dtype: 'f32', shape }, data)]
    }
    const name = inner(node, 'stored').names[0]
    if (!spread) return [dequantized(build, x, scales[0], zeros[0], node.result, name)]
    const whole = dequantized(build, x, 1, 0, inner(node, 'numbers'), name)
    const zero = reals(build, inner(node, 'zeros').names[0], zeros, spread)
    const scale = reals(build, inner(node, 'scales').names[0], scales, spread)
    const centred = build.one(sub, [whole, zero], { clamp: {} }, inner(node, 'centred'))
    return build.add(mul, [centred, scale], { clamp: {} }, node.result)
  },
}

export const onnxQuantizeLinear: OnnxSpelling = {
  name: 'QuantizeLinear',
  read(build, node) {
    const where = reading('quantize', node)
    const x = operand(node, 0, 'input', where)
    if (x.type.dtype !== 'f32') throw new ModelError(where, `input is ${x.type.dtype}, supported is f32`)
    const { scales, zeros, axis, spread } = linear(node, x, where)
    const asked = new Map<number, DType>([
      [0, 'u8'],
      [2, 'u8'],
      [3, 'i8'],
      [5, 'i16'],
    ]).get(numberAttr(node, 'output_dtype', 0))
    const dtype = node.inputs[2]?.type.dtype ?? asked
    if (!dtype || !STORED.includes(dtype))
      throw new ModelError(where, `output is ${dtype ?? 'of another type'}, supported are i8, u8 and i16`)
    const name = (k: number) => inner(node, `stored_${k}`).names[0]
    if (!spread) return [quantized(build, x, dtype, scales[0], zeros[0], node.result, name(0))]
    if (zeros.every((z) => z === zeros[0])) {
      const scale = reals(build, inner(node, 'scales').names[0], scales, spread)
      const steps = build.one(div, [x, scale], { clamp: {} }, inner(node, 'steps'))
      return [quantized(build, steps, dtype, 1, zeros[0], node.result, name(0))]
    }
    if (axis === undefined)
      throw new ModelError(where, 'has zero points that differ between blocks, supported is one for all of them')
    const { shape } = x.type
    const parts = scales.map((scale, k) => {
      const attrs = {
        begin: shape.map((_, d) => (d === axis ? k : 0)),
        step: shape.map(() => 1),
        size: shape.map((e, d) => (d === axis ? 1 : e)),
      }
      const part = build.one(slice, [x], attrs, inner(node, `part_${k}`))
      return quantized(build, part, dtype, scale, zeros[k], inner(node, `quantised_${k}`), name(k))
    })
    return build.add(concat, parts, { axis }, node.result)
  },
}
