// Buffers of elements below 8 bits, the first in the low bits of a byte: arrays packed and unpacked, and loops on elements
// turned into loops on bytes. Signed elements are stored 2^(bits - 1) higher, so that none has a sign to extend. A store keeps the
// rest of its byte, so that the order of elements does not matter.

import * as L from './build.ts'
import { type Buf, count, type Data, type Expr, type Kernel, type Stmt } from './ir.ts'
import { mapStmt, namer } from './walk.ts'

/** How a buffer's elements are stored. */
export interface SubByte {
  readonly bits: 4 | 2
  readonly signed: boolean
}

/** What is added to elements as they are stored. */
export function offsetOf({ bits, signed }: SubByte): number {
  return signed ? 2 ** (bits - 1) : 0
}

/** Elements as bytes; what fills up the last is 0. */
export function packElements(data: ArrayLike<number>, how: SubByte): Uint8Array<ArrayBuffer> {
  const { bits } = how
  const per = 8 / bits
  const offset = offsetOf(how)
  const bytes = new Uint8Array(Math.ceil(data.length / per))
  for (let i = 0; i < data.length; i++) bytes[Math.floor(i / per)] |= (data[i] + offset) << (bits * (i % per))
  return bytes
}

/** `n` unsigned elements from bytes. */
export function unpackElements(bytes: Uint8Array, bits: number, n: number): Uint8Array<ArrayBuffer> {
  const per = 8 / bits
  const mask = 2 ** bits - 1
  return Uint8Array.from({ length: n }, (_, i) => (bytes[Math.floor(i / per)] >> (bits * (i % per))) & mask)
}

/** The buffer of bytes for one of elements. */
export function byteBuffer({ name, shape, access }: Buf, { bits }: SubByte): Buf {
  return L.buffer(name, 'u8', [Math.ceil((count(shape) * bits) / 8)], access)
}

/** The element in byte `byte` whose number is `index`. */
export function elementIn(byte: Expr, index: Expr, how: SubByte): Expr {
  const value = L.and(L.op('ushr', byte, shiftOf(index, how)), 2 ** how.bits - 1)
  return L.sub(value, offsetOf(how))
}

function shiftOf(index: Expr, { bits }: SubByte): Expr {
  const within = L.and(index, 8 / bits - 1)
  return L.op('shl', within, bits === 4 ? 2 : 1)
}

function byteOf(index: Expr, { bits }: SubByte): Expr {
  return L.op('shr', index, bits === 4 ? 1 : 2)
}

/** The number of the element that these indices name. */
export function flatIndex({ shape }: Buf, at: readonly Expr[]): Expr {
  return at.reduce<Expr>((sum, index, d) => L.add(L.mul(sum, shape[d]), index), L.int(0))
}

/** The same kernel on bytes: `how` says of a buffer (by name) how its elements are stored, undefined where as they are. */
export function onBytes(kernel: Kernel, how: (name: string) => SubByte | undefined): Kernel {
  const bufs = new Map(kernel.bufs.map((b) => [b.name, { buf: b, stored: how(b.name) }]))
  const fresh = namer(kernel)
  const load = (e: Expr): Expr => {
    if (e.k !== 'load') return e
    const { buf, stored } = bufs.get(e.buf)!
    if (!stored) return e
    const index = flatIndex(buf, e.at)
    return elementIn(L.load(byteBuffer(buf, stored), byteOf(index, stored)), index, stored)
  }
  const store = (s: Stmt): Stmt => {
    if (s.s !== 'store') return s
    const { buf, stored } = bufs.get(s.buf)!
    if (!stored) return s
    const bytes = byteBuffer(buf, stored)
    const [declareIndex, index] = L.declare(fresh(`${buf.name}_i`), flatIndex(buf, s.at))
    const [declareShift, shift] = L.declare(fresh(`${buf.name}_s`), shiftOf(index, stored))
    const mask = 2 ** stored.bits - 1
    const kept = L.and(L.load(bytes, byteOf(index, stored)), L.op('xor', L.op('shl', mask, shift), -1))
    const value = L.and(L.add(s.value, offsetOf(stored)), mask)
    return L.block(
      declareIndex,
      declareShift,
      L.store(bytes, [byteOf(index, stored)], L.op('or', kept, L.op('shl', value, shift))),
    )
  }
  return {
    name: kernel.name,
    bufs: kernel.bufs.map((b) => {
      const stored = how(b.name)
      return stored ? byteBuffer(b, stored) : b
    }),
    body: mapStmt(kernel.body, load, store),
  }
}

/** A typed array of signed elements below 8 bits, or undefined where one does not fit. */
export function fits(data: Data, bits: number): data is Int8Array {
  const most = 2 ** (bits - 1)
  return data instanceof Int8Array && data.every((x) => x >= -most && x < most)
}
