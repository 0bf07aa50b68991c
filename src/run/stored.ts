// Between a tensor's elements, as runs take and give them, and its bytes, as programs hold them: they differ below 8 bits.

import { bitsOf, bytesOf, elemOf, isPacked, type TensorType } from '../ir/graph.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import { packElements, unpackElements } from '../loops/sub_byte.ts'

/** What memory holds of these elements. */
export function bytesOfElements(type: TensorType, data: Data): Uint8Array {
  if (isPacked(type)) return packElements(data as Uint8Array, { bits: bitsOf(type.dtype) as 4 | 2, signed: false })
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/** The elements that these bytes hold; types that no kernel reads come as their bytes. */
export function elementsOfBytes(type: TensorType, bytes: Uint8Array): Data {
  const n = count(type.shape)
  if (isPacked(type)) return unpackElements(bytes, bitsOf(type.dtype), n)
  const elem = elemOf(type.dtype)
  const data = elem ? newData(elem, n) : new Uint8Array(bytesOf(type))
  new Uint8Array(data.buffer).set(bytes.subarray(0, data.byteLength))
  return data
}
