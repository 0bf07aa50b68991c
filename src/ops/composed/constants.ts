// Operators whose result is known once shapes are: they are read into constants. TFLite's SHAPE, RANK, RANGE, FILL,
// ZEROS_LIKE and BROADCAST_ARGS, ONNX's Shape, Size, ConstantOfShape and Range.

import { ModelError } from '../../errors.ts'
import type { Builder, NodeOptions } from '../../ir/build.ts'
import { bytesOf, elemOf, type TensorType, type Value } from '../../ir/graph.ts'
import type { OnnxSpelling, TfliteSpelling } from '../../ir/op.ts'
import { f32ToF16 } from '../../loops/float.ts'
import { count, type Data, newData } from '../../loops/ir.ts'
import { broadcastShape } from '../binary/broadcast.ts'
import { numberAttr } from '../onnx.ts'
import { scalarsOf } from '../scalars.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'

/** A few bytes of a file can ask for any size. */
const MOST_BYTES = 2 ** 26

function constant(build: Builder, type: TensorType, data: Data, result: NodeOptions): Value[] {
  return [build.const(result.names?.[0] ?? result.from ?? 'constant', type, data, result.indices?.[0])]
}

function longs(build: Builder, shape: readonly number[], values: readonly number[], result: NodeOptions): Value[] {
  return constant(build, { dtype: 'i64', shape }, BigInt64Array.from(values, BigInt), result)
}

/** The constant value of a scalar operand, with its type. */
function scalar(v: Value, what: string, where: string): { type: TensorType; data: Data } {
  if (v.storage !== 'const' || !v.data || v.data.length !== 1)
    throw new ModelError(where, `${what} "${v.name}" must be a constant of one element`)
  return { type: v.type, data: v.data }
}

function dataOf(type: TensorType, where: string): Data {
  const elem = elemOf(type.dtype)
  if (!elem) throw new ModelError(where, `constant of ${type.dtype} is not supported`)
  if (type.shape.some((d) => d < 1)) throw new ModelError(where, `shape [${type.shape}] has no elements`)
  if (!(bytesOf(type) <= MOST_BYTES))
    throw new ModelError(where, `constant of shape [${type.shape}] has more than ${MOST_BYTES} bytes`)
  return newData(elem, count(type.shape))
}

function filled(type: TensorType, value: Data, where: string): Data {
  const data = dataOf(type, where)
  for (let i = 0; i < data.length; i++) data[i] = value[0]
  return data
}

/** start, start + delta, ... below `limit`, each as start + i * delta in the type's own arithmetic. */
function range(operands: readonly Value[], where: string): { type: TensorType; data: Data } {
  const [start, limit, delta] = operands.map((v, i) => scalar(v, ['start', 'limit', 'delta'][i], where))
  const { dtype } = start.type
  if (!['f32', 'f64', 'f16', 'i32', 'i64', 'i16'].includes(dtype))
    throw new ModelError(where, `range of ${dtype}, supported are f32, f64, f16, i16, i32, i64`)
  const [a, b, d] = [start, limit, delta].map((s) => Number(scalarsOf(s.data)[0]))
  const n = Math.ceil((b - a) / d)
  if (!(n >= 1 && n < 2 ** 31)) throw new ModelError(where, `range from ${a} to ${b} in steps of ${d} has no elements`)
  const type: TensorType = { dtype, shape: [n] }
  const data = dataOf(type, where)
  const single = dtype === 'f32' || dtype === 'f16'
  for (let i = 0; i < n; i++) {
    const value = single ? Math.fround(a + Math.fround(i * d)) : a + i * d
    if (data instanceof BigInt64Array) data[i] = BigInt(value)
    else data[i] = dtype === 'f16' ? f32ToF16(value) : value
  }
  return { type, data }
}

export const onnxShape: OnnxSpelling = {
  name: 'Shape',
  read(build, node) {
    const { shape } = operand(node, 0, 'data', reading('shape', node)).type
    const bound = (b: number) => Math.min(shape.length, Math.max(0, b < 0 ? b + shape.length : b))
    const part = shape.slice(bound(numberAttr(node, 'start', 0)), bound(numberAttr(node, 'end', shape.length)))
    return longs(build, [part.length], part, node.result)
  },
}

export const onnxSize: OnnxSpelling = {
  name: 'Size',
  read: (build, node) =>
    longs(build, [], [count(operand(node, 0, 'data', reading('size', node)).type.shape)], node.result),
}

export const onnxConstantOfShape: OnnxSpelling = {
  name: 'ConstantOfShape',
  read(build, node) {
    const where = reading('constant_of_shape', node)
    const shape = constantNumbers(node, 0, 'shape', where)
    const value = node.attrs.value
    const of = value && typeof value === 'object' && 'storage' in value ? value : undefined
    const type: TensorType = { dtype: of?.type.dtype ?? 'f32', shape }
    return constant(build, type, filled(type, of?.data ?? new Float32Array(1), where), node.result)
  },
}

export const onnxRange: OnnxSpelling = {
  name: 'Range',
  read(build, node) {
    const where = reading('range', node)
    const { type, data } = range(
      [0, 1, 2].map((i) => operand(node, i, 'bound', where)),
      where,
    )
    return constant(build, type, data, node.result)
  },
}

export const tfliteRange: TfliteSpelling = {
  name: 'RANGE',
  code: 96,
  options: { id: 73, fields: {} },
  read(build, node) {
    const where = reading('range', node)
    const { type, data } = range(
      [0, 1, 2].map((i) => operand(node, i, 'bound', where)),
      where,
    )
    return constant(build, type, data, node.result)
  },
}

export const tfliteFill: TfliteSpelling = {
  name: 'FILL',
  code: 94,
  options: { id: 68, fields: {} },
  read(build, node) {
    const where = reading('fill', node)
    const value = scalar(operand(node, 1, 'value', where), 'value', where)
    const type: TensorType = { ...value.type, shape: constantNumbers(node, 0, 'dims', where) }
    return constant(build, type, filled(type, value.data, where), node.result)
  },
}

export const tfliteZerosLike: TfliteSpelling = {
  name: 'ZEROS_LIKE',
  code: 93,
  options: { id: 67, fields: {} },
  read(build, node) {
    const where = reading('zeros_like', node)
    const { type } = operand(node, 0, 'input', where)
    return constant(build, type, dataOf(type, where), node.result)
  },
}

export const tfliteShape: TfliteSpelling = {
  name: 'SHAPE',
  code: 77,
  options: { id: 55, fields: { out_type: { slot: 0, type: 'i8', default: 0 } } },
  read(build, node) {
    const { shape } = operand(node, 0, 'input', reading('shape', node)).type
    if (node.result.types[0]?.dtype === 'i64') return longs(build, [shape.length], shape, node.result)
    return constant(build, { dtype: 'i32', shape: [shape.length] }, Int32Array.from(shape), node.result)
  },
}

export const tfliteRank: TfliteSpelling = {
  name: 'RANK',
  code: 110,
  options: { id: 86, fields: {} },
  read(build, node) {
    const { shape } = operand(node, 0, 'input', reading('rank', node)).type
    return constant(build, { dtype: 'i32', shape: [] }, Int32Array.of(shape.length), node.result)
  },
}

export const tfliteBroadcastArgs: TfliteSpelling = {
  name: 'BROADCAST_ARGS',
  code: 145,
  read(build, node) {
    const where = reading('broadcast_args', node)
    const [a, b] = [0, 1].map((i) => constantNumbers(node, i, 'shape', where))
    const shape = broadcastShape(a, b)
    if (!shape) throw new ModelError(where, `shapes [${a}] and [${b}] do not broadcast`)
    if (node.result.types[0]?.dtype === 'i64') return longs(build, [shape.length], shape, node.result)
    return constant(build, { dtype: 'i32', shape: [shape.length] }, Int32Array.from(shape), node.result)
  },
}
