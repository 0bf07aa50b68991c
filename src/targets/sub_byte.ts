// Operands below 8 bits: which of a call's buffers stand for them, and the plain loops on their bytes. Activations are u4 and u2
// values; weights are constants whose scale says that they fit in fewer bits (`Quant.bits`), packed here.

import { bitsOf, isPacked } from '../ir/graph.ts'
import type { Arg, Call } from '../ir/op.ts'
import type { Data } from '../loops/ir.ts'
import { fits, onBytes, packElements, type SubByte } from '../loops/sub_byte.ts'

/** How the elements of what a buffer stands for are stored; undefined for a byte and more. */
export function storageOf(arg: Arg): SubByte | undefined {
  if (!('value' in arg)) return undefined
  const { type, storage, data } = arg.value
  if (isPacked(type)) return { bits: bitsOf(type.dtype) as 4 | 2, signed: false }
  const bits = type.quant?.bits
  if (!bits || storage !== 'const' || type.dtype !== 'i8' || !data || !fits(data, bits)) return undefined
  return { bits, signed: true }
}

export function isSubByte(call: Call): boolean {
  return call.args.some((arg) => storageOf(arg))
}

const known = new WeakMap<Data, Uint8Array<ArrayBuffer>>()

/** The bytes of constant elements: one array for one array. */
function packed(data: Data, how: SubByte): Uint8Array<ArrayBuffer> {
  const bytes = known.get(data) ?? packElements(data as Int8Array, how)
  known.set(data, bytes)
  return bytes
}

/** The same work in loops on bytes. */
export function byBytes({ kernel, args }: Call): Call {
  const how = new Map(kernel.bufs.map((buf, k) => [buf.name, storageOf(args[k])]))
  return {
    kernel: onBytes(kernel, (name) => how.get(name)),
    args: args.map((arg): Arg => {
      const storage = storageOf(arg)
      return storage && 'value' in arg && arg.value.data ? { data: packed(arg.value.data, storage) } : arg
    }),
  }
}
