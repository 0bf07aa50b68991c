// Reads the options of custom operators: a FlexBuffer of one map from names to numbers. The bytes may be damaged or
// hostile: every offset is checked before it is used. Layout: FlatBuffers internals, FlexBuffers
// (https://flatbuffers.dev/internals).

import { ModelError } from '../errors.ts'

const [INT, UINT, FLOAT, MAP, BOOL] = [1, 2, 3, 9, 26]
const LONGEST_NAME = 256

/** The numbers and booleans of a map by name, other values left out; no bytes are an empty map. Throws ModelError. */
export function readFlexMap(bytes: Uint8Array, where: string): Map<string, number | boolean> {
  const out = new Map<string, number | boolean>()
  if (bytes.length === 0) return out
  const fail = (what: string): never => {
    throw new ModelError(where, `has custom options that ${what}`, 'the file is damaged: convert the model again')
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const within = (at: number, size: number): number =>
    at >= 0 && at + size <= bytes.length ? at : fail(`refer to byte ${at}, they have ${bytes.length} bytes`)
  const uint = (at: number, width: number): number => {
    within(at, width)
    switch (width) {
      case 1:
        return view.getUint8(at)
      case 2:
        return view.getUint16(at, true)
      case 4:
        return view.getUint32(at, true)
      case 8:
        return exact(view.getBigUint64(at, true))
      default:
        return fail(`give ${width} bytes to a number`)
    }
  }
  const int = (at: number, width: number): number =>
    width === 8
      ? exact(view.getBigInt64(within(at, 8), true))
      : (uint(at, width) << (32 - 8 * width)) >> (32 - 8 * width)
  const exact = (value: bigint): number =>
    Number.isSafeInteger(Number(value)) ? Number(value) : fail(`hold the number ${value}`)
  const float = (at: number, width: number): number => {
    within(at, width)
    if (width !== 4 && width !== 8) return fail(`give ${width} bytes to a real number`)
    return width === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true)
  }
  const name = (at: number): string => {
    const end = bytes.subarray(within(at, 1), at + LONGEST_NAME).indexOf(0)
    return end < 0 ? fail(`hold a name of more than ${LONGEST_NAME} bytes`) : latin1(bytes.subarray(at, at + end))
  }
  const target = (at: number, width: number): number => at - uint(at, width)

  within(bytes.length - 3, 3)
  const [kind, rootWidth] = bytes.subarray(-2)
  if (kind >> 2 !== MAP) fail(`are of kind ${kind >> 2}, expected a map (${MAP})`)
  const width = 1 << (kind & 3)
  const values = target(bytes.length - 2 - rootWidth, rootWidth)
  const count = uint(values - width, width)
  const keys = target(values - 3 * width, width)
  const keyWidth = uint(values - 2 * width, width)
  within(values, count * (width + 1))
  for (let i = 0; i < count; i++) {
    const key = name(target(keys + i * keyWidth, keyWidth))
    const type = bytes[values + count * width + i] >> 2
    const at = values + i * width
    if (type === INT) out.set(key, int(at, width))
    else if (type === UINT) out.set(key, uint(at, width))
    else if (type === FLOAT) out.set(key, float(at, width))
    else if (type === BOOL) out.set(key, uint(at, width) !== 0)
  }
  return out
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}
