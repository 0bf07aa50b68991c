// Numbers as the elements of a tensor: real ones quantised by its scale and zero point, stored ones checked against its type.

import { InputError } from '../errors.ts'
import { elemOf, printTensorType, type TensorType } from '../ir/graph.ts'
import { f32ToF16 } from '../loops/float.ts'
import { type Data, newData } from '../loops/ir.ts'
import { quantizeReal, rangeOf } from '../ops/quant.ts'

export const isFloat = ({ dtype }: TensorType): boolean => dtype === 'f16' || dtype === 'f32' || dtype === 'f64'

/** Real numbers in stored units, those out of range saturated. */
export function quantized(reals: Float32Array | Float64Array, type: TensorType, where: string): Data {
  const { scale, zero } = type.quant!
  if (scale.length !== 1 || elemOf(type.dtype) === undefined || type.dtype === 'i64')
    throw new InputError(where, `holds f32, the model takes ${printTensorType(type)}`)
  if (reals.some((x) => Number.isNaN(x))) throw new InputError(where, 'holds NaN, which cannot be quantised')
  const { min, max } = rangeOf(type.dtype)
  const data = newData(elemOf(type.dtype)!, reals.length) as Exclude<Data, BigInt64Array>
  reals.forEach((x, i) => {
    data[i] = Math.min(max, Math.max(min, quantizeReal(x, scale[0], zero[0])))
  })
  return data
}

/** Numbers as the elements of `type`; those that such an element cannot hold are an error. */
export function stored(numbers: readonly (number | bigint)[], type: TensorType, where: string): Data {
  const elem = elemOf(type.dtype)
  if (!elem) throw new InputError(where, `the model takes packed ${type.dtype}`, 'give its raw bytes')
  const data = newData(elem, numbers.length)
  const { min, max } = type.dtype === 'bool' ? { min: 0, max: 1 } : rangeOf(type.dtype)
  numbers.forEach((x, i) => {
    if (data instanceof Float32Array || data instanceof Float64Array) data[i] = Number(x)
    else if (data instanceof Uint16Array) data[i] = f32ToF16(Number(x))
    else if (typeof x === 'number' && !Number.isSafeInteger(x))
      throw new InputError(
        where,
        `element ${i} is ${x}, the model takes ${type.dtype}`,
        type.quant ? 'give stored values, or real numbers as a float32 .npy array' : 'give whole numbers',
      )
    else if (data instanceof BigInt64Array) data[i] = BigInt(x)
    else if (x < min || x > max)
      throw new InputError(where, `element ${i} is ${x}, those of ${type.dtype} lie in [${min}, ${max}]`)
    else data[i] = Number(x)
  })
  return data
}

/** Real numbers as the elements of a float or quantised type. */
export function fromReals(reals: Float64Array, type: TensorType, where: string): Data {
  return type.quant ? quantized(reals, type, where) : stored([...reals], type, where)
}
