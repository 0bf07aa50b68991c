// What learning has changed, as few bytes: for each tensor runs of changed elements, integers as the differences of their stored
// numbers, floats as they are now. A delta fits one set of values only, whose hash it holds, and ends with a CRC-32.

import { InputError } from '../errors.ts'
import { crc32, fnv1a } from '../ir/hash.ts'
import type { Data } from '../loops/ir.ts'

/** Values by name, as `LearningModel.learned` gives them. */
export type Values = ReadonlyMap<string, Data>

const MAGIC = [0x4d, 0x4f, 0x54, 0x44] // MOTD
const HEAD = 12

const bytesIn = (d: Data) => new Uint8Array(d.buffer, d.byteOffset, d.byteLength)
const isFloat = (d: Data) => d instanceof Float32Array || d instanceof Float64Array

function hashOf(values: Values): number {
  const text = new TextEncoder()
  let h = fnv1a(text.encode('values'))
  for (const [name, data] of values) h = fnv1a(bytesIn(data), fnv1a(text.encode(name), h))
  return h
}

/** Where two arrays differ in bits: [first, how many], in order. */
function runsOf(before: Data, after: Data): [number, number][] {
  const size = before.BYTES_PER_ELEMENT
  const [a, b] = [bytesIn(before), bytesIn(after)]
  const runs: [number, number][] = []
  for (let i = 0; i < before.length; i++) {
    let same = true
    for (let k = i * size; same && k < (i + 1) * size; k++) same = a[k] === b[k]
    if (same) continue
    const last = runs.at(-1)
    if (last && last[0] + last[1] === i) last[1]++
    else runs.push([i, 1])
  }
  return runs
}

class Writer {
  readonly bytes: number[] = []

  natural(n: bigint | number): void {
    let rest = BigInt(n)
    for (; rest > 127n; rest >>= 7n) this.bytes.push(Number(rest & 127n) | 128)
    this.bytes.push(Number(rest))
  }

  word(n: number): void {
    for (let k = 0; k < 4; k++) this.bytes.push((n >>> (8 * k)) & 255)
  }
}

class Reader {
  private readonly bytes: Uint8Array
  private at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  take(n: number): Uint8Array {
    if (this.at + n > this.bytes.length) damaged()
    this.at += n
    return this.bytes.subarray(this.at - n, this.at)
  }

  natural(): bigint {
    let [n, shift] = [0n, 0n]
    for (;;) {
      const [b] = this.take(1)
      n |= BigInt(b & 127) << shift
      if (b < 128) return n
      shift += 7n
      if (shift > 70n) damaged()
    }
  }

  get left(): number {
    return this.bytes.length - this.at
  }
}

function damaged(): never {
  throw new InputError('delta', 'is damaged, or no delta')
}

/**
 * What to do to `before` to have `after`. Both hold the same names, types and lengths in the same order; InputError otherwise.
 */
export function encodeDelta(before: Values, after: Values): Uint8Array<ArrayBuffer> {
  const out = new Writer()
  out.bytes.push(...MAGIC)
  out.word(hashOf(before))
  out.word(hashOf(after))
  const names = [...before.keys()]
  if (names.join('\n') !== [...after.keys()].join('\n'))
    throw new InputError('delta', `is from ${names.length} values to ${after.size}, or of other names`)
  for (const [name, old] of before) {
    const data = after.get(name)!
    if (data.constructor !== old.constructor || data.length !== old.length)
      throw new InputError(
        'delta',
        `"${name}" has ${old.length} elements before and ${data.length} after, or another type`,
      )
    const runs = runsOf(old, data)
    out.natural(runs.length)
    let end = 0
    for (const [first, n] of runs) {
      out.natural(first - end)
      out.natural(n)
      end = first + n
      if (isFloat(data)) for (const b of bytesIn(data.subarray(first, end))) out.bytes.push(b)
      else
        for (let i = first; i < end; i++) {
          const d = BigInt(data[i]) - BigInt(old[i])
          out.natural(d < 0n ? -2n * d - 1n : 2n * d)
        }
    }
  }
  const bytes = Uint8Array.from([...out.bytes, 0, 0, 0, 0])
  new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32(bytes.subarray(0, -4)), true)
  return bytes
}

/** `before` with a delta applied. InputError where the delta is damaged or was made from other values; `before` stays as it is. */
export function applyDelta(before: Values, delta: Uint8Array): Map<string, Data> {
  const words = new DataView(delta.buffer, delta.byteOffset, delta.byteLength)
  if (delta.length < HEAD + 4 || MAGIC.some((b, i) => delta[i] !== b)) damaged()
  if (words.getUint32(delta.length - 4, true) !== crc32(delta.subarray(0, -4))) damaged()
  if (words.getUint32(4, true) !== hashOf(before))
    throw new InputError('delta', 'was made from other values than these', 'apply it to the model that was trained')
  const from = new Reader(delta.subarray(0, -4), HEAD)
  const after = new Map<string, Data>()
  for (const [name, old] of before) {
    const data = old.slice()
    let end = 0
    for (let runs = from.natural(); runs > 0n; runs--) {
      const first = end + Number(from.natural())
      end = first + Number(from.natural())
      if (end > data.length) damaged()
      if (isFloat(data)) bytesIn(data.subarray(first, end)).set(from.take((end - first) * data.BYTES_PER_ELEMENT))
      else
        for (let i = first; i < end; i++) {
          const z = from.natural()
          const value = BigInt(data[i]) + (z & 1n ? -(z + 1n) / 2n : z / 2n)
          if (data instanceof BigInt64Array) data[i] = value
          else data[i] = Number(value)
        }
    }
    after.set(name, data)
  }
  if (from.left > 0 || hashOf(after) !== words.getUint32(8, true)) damaged()
  return after
}
