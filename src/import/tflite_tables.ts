// What tables of a .tflite file say beside their place in the graph: a tensor's quantisation and first contents, an operator's
// options. Source: the TensorFlow Lite schema; initial states as in TensorFlow Lite Micro.

import { ModelError } from '../errors.ts'
import { bytesOf, elemOf, type Quant, type TensorType } from '../ir/graph.ts'
import type { OptionField, OptionValue, TfliteSpelling } from '../ir/op.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import { rangeOf } from '../ops/quant.ts'
import { DAMAGED } from './fault.ts'
import type { Table } from './flatbuffer.ts'
import { readFlexMap } from './flexbuffer.ts'
import { CUSTOM, OPERATOR, QUANTIZATION, TENSOR } from './tflite_schema.ts'

/** What a variable starts from: int8 the zero point, everything else zero. */
export function initialState(type: TensorType): Data {
  const elem = elemOf(type.dtype)
  const data = newData(elem ?? 'u8', elem ? count(type.shape) : bytesOf(type))
  return data instanceof Int8Array ? data.fill(type.quant?.zero[0] ?? 0) : data
}

/** Scales and zero points; undefined where the file gives no scales. One scale is per tensor, whatever its axis. */
export function quantOfTensor(table: Table, { dtype, shape }: TensorType, where: string): Quant | undefined {
  const quantization = table.get(TENSOR.quantization)
  if (!quantization) return undefined
  if (quantization.get(QUANTIZATION.details_type) !== 0)
    throw new ModelError(where, 'is quantised in blocks', 'supported are scales per tensor and per channel')
  const scale = Float64Array.from(quantization.get(QUANTIZATION.scale) ?? [])
  if (scale.length === 0) return undefined
  const zeros = quantization.get(QUANTIZATION.zero_point) ?? []
  if (zeros.length > 1 && zeros.length !== scale.length)
    throw new ModelError(where, `has ${scale.length} scales and ${zeros.length} zero points`, DAMAGED)
  const wrong = scale.find((s) => !(s > 0 && Number.isFinite(s)))
  if (wrong !== undefined) throw new ModelError(where, `has the scale ${wrong}, scales are positive`, DAMAGED)
  const { min, max } = dtype === 'i4' ? { min: -8, max: 7 } : dtype === 'i2' ? { min: -2, max: 1 } : rangeOf(dtype)
  const outside = zeros.find((z) => z < min || z > max)
  if (outside !== undefined)
    throw new ModelError(where, `has the zero point ${outside}, those of ${dtype} lie in [${min}, ${max}]`, DAMAGED)
  const zero = Int32Array.from(scale, (_, i) => zeros[zeros.length === 1 ? 0 : i] ?? 0)
  const bits = dtype === 'i4' ? ({ bits: 4 } as const) : {}
  if (scale.length === 1) return { scale, zero, ...bits }
  // Some converters give a bias the axis of its weights.
  const axis = shape.length === 1 ? 0 : quantization.get(QUANTIZATION.quantized_dimension)
  if (shape[axis] !== scale.length)
    throw new ModelError(where, `has ${scale.length} scales along axis ${axis}, its shape is [${shape}]`, DAMAGED)
  return { scale, zero, axis, ...bits }
}

/** The options that the spelling describes: from the operator's table, or the schema's defaults where it has none. */
export function optionsOf(operator: Table, spelling: TfliteSpelling, where: string): Record<string, OptionValue> {
  if (!spelling.options) return {}
  const { id, fields } = spelling.options
  if (spelling.code === CUSTOM) return customOptions(operator.get(OPERATOR.custom_options), fields, where)
  const type = operator.get(OPERATOR.builtin_options_type)
  const table = type === 0 ? undefined : operator.get(OPERATOR.builtin_options)
  if (table && type !== id) throw new ModelError(where, `has options of kind ${type}, expected ${id}`, DAMAGED)
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]): [string, OptionValue] => {
      if (table) return [name, table.get(field)]
      if (field.default !== undefined) return [name, field.default]
      const list = field.type === 'string' || field.type === 'i32[]' || field.type === 'f32[]'
      return [name, list ? undefined : field.type === 'bool' ? false : 0]
    }),
  )
}

/** The options of a custom operator: the file says each that has no default. */
function customOptions(
  bytes: Uint8Array | undefined,
  fields: Readonly<Record<string, OptionField>>,
  where: string,
): Record<string, OptionValue> {
  const said = readFlexMap(bytes ?? new Uint8Array(0), where)
  return Object.fromEntries(
    Object.entries(fields).map(([name, { type, default: otherwise }]) => {
      const value = said.get(name) ?? otherwise
      if (value === undefined)
        throw new ModelError(where, `does not say the option "${name}"; it has [${[...said.keys()]}]`, DAMAGED)
      return [name, type === 'bool' ? value !== false && value !== 0 : Number(value)]
    }),
  )
}
