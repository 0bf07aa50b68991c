// Damages files in the ways that find faults in readers: flipped bits, extreme numbers where numbers stand, cuts, parts
// of other files, and for protobuf changes to the tree of fields itself, so that lengths stay right and the damage
// reaches what lies behind the parser. Everything follows from the generator's seed.

import type { Xorshift32 } from '../../src/ir/random.ts'

const EXTREMES = [
  0, 1, 2, 3, 4, 7, 8, 9, 16, 0x7f, 0x80, 0xff, 0x100, 0x3e8, 0xc350, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
  0xfffffffd, 0xfffffffe, 0xffffffff, 0x3f800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x00000001, 0x00800000,
  0x7f7fffff, 0xbf800000,
]
const WIDE = [
  0n,
  1n,
  -1n,
  -2n,
  2n ** 31n - 1n,
  2n ** 31n,
  -(2n ** 31n),
  2n ** 32n,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
]

function pick<T>(random: Xorshift32, list: readonly T[]): T {
  return list[random.between(0, list.length - 1)]
}

function flip(copy: Uint8Array, random: Xorshift32): void {
  copy[random.between(0, copy.length - 1)] ^= 1 << random.between(0, 7)
}

function byte(copy: Uint8Array, random: Xorshift32): void {
  copy[random.between(0, copy.length - 1)] = random.between(0, 255)
}

/** An aligned 32-bit number becomes an extreme one, or one near what it was. */
function number(copy: Uint8Array, random: Xorshift32): void {
  if (copy.length < 4) return
  const view = new DataView(copy.buffer)
  const at = random.between(0, copy.length - 4) & ~3
  const near = view.getInt32(at, true) + random.between(-3, 3)
  view.setUint32(at, random.between(0, 2) === 0 ? near : pick(random, EXTREMES), true)
}

/** The same at a place that held a small number, as dimensions, options and tensor numbers do. */
function smallNumber(copy: Uint8Array, random: Xorshift32): void {
  const view = new DataView(copy.buffer)
  for (let tries = 0; tries < 40 && copy.length >= 4; tries++) {
    const at = random.between(0, copy.length - 4) & ~3
    const was = view.getInt32(at, true)
    if (was < -1 || was > 300) continue
    const near = was + random.between(-3, 3)
    view.setUint32(at, random.between(0, 1) === 0 ? near : pick(random, EXTREMES), true)
    return
  }
}

/** A small number becomes another one wherever it stands, as a dimension that several tensors share would. */
function everywhere(copy: Uint8Array, random: Xorshift32): void {
  const view = new DataView(copy.buffer)
  for (let tries = 0; tries < 40 && copy.length >= 4; tries++) {
    const was = view.getInt32(random.between(0, copy.length - 4) & ~3, true)
    if (was < 1 || was > 300) continue
    const now = random.between(0, 1) === 0 ? was + random.between(-3, 3) : pick(random, EXTREMES)
    const first = random.between(0, 1) * random.between(0, copy.length - 4)
    for (let at = (first + 3) & ~3; at + 4 <= copy.length; at += 4)
      if (view.getInt32(at, true) === was) view.setUint32(at, now, true)
    return
  }
}

/** A float32 becomes an extreme one: scales, limits, weights. */
function float(copy: Uint8Array, random: Xorshift32): void {
  const view = new DataView(copy.buffer)
  for (let tries = 0; tries < 40 && copy.length >= 4; tries++) {
    const at = random.between(0, copy.length - 4) & ~3
    const was = Math.abs(view.getFloat32(at, true))
    if (!(was > 1e-9 && was < 1e9)) continue
    view.setFloat32(
      at,
      pick(random, [0, -0, -1, 1e-45, 1e-38, 3e38, 1e30, 1e-30, Number.NaN, Infinity, -Infinity]),
      true,
    )
    return
  }
}

/** Some bytes come from elsewhere, of the same file or another one. */
function splice(copy: Uint8Array, random: Xorshift32, other: Uint8Array): void {
  const n = Math.min(1 << random.between(2, 8), copy.length, other.length)
  const from = random.between(0, other.length - n) & ~3
  copy.set(other.subarray(from, from + n), random.between(0, copy.length - n) & ~3)
}

/** A damaged copy of `bytes`; `other` lends the parts that are spliced in. */
export function mutate(bytes: Uint8Array, other: Uint8Array, random: Xorshift32): Uint8Array {
  if (random.between(0, 15) === 0) return bytes.slice(0, random.between(0, bytes.length - 1))
  const copy = bytes.slice()
  const change = pick(random, [flip, byte, number, smallNumber, smallNumber, everywhere, everywhere, float])
  for (let n = random.between(1, 3); n > 0; n--) change(copy, random)
  if (random.between(0, 15) === 0) splice(copy, random, random.between(0, 1) ? other : bytes)
  return copy
}

/** One field of a protobuf message: a number, or bytes, or a message of its own. */
interface Field {
  readonly no: number
  readonly wire: number
  value: bigint | Uint8Array | Field[]
}

function readVarint(bytes: Uint8Array, at: number): { value: bigint; next: number } | undefined {
  let value = 0n
  for (let i = 0; i < 10 && at + i < bytes.length; i++) {
    value |= BigInt(bytes[at + i] & 0x7f) << BigInt(7 * i)
    if (bytes[at + i] < 0x80) return { value, next: at + i + 1 }
  }
  return undefined
}

/** The fields of a message, or undefined where the bytes are none. Text that could be a message is taken for one. */
function parse(bytes: Uint8Array): Field[] | undefined {
  const out: Field[] = []
  let at = 0
  while (at < bytes.length) {
    const tag = readVarint(bytes, at)
    if (!tag || tag.value >> 3n === 0n || tag.value > 0xffffn) return undefined
    at = tag.next
    const [no, wire] = [Number(tag.value >> 3n), Number(tag.value & 7n)]
    if (wire === 0) {
      const v = readVarint(bytes, at)
      if (!v) return undefined
      out.push({ no, wire, value: v.value })
      at = v.next
    } else if (wire === 1 || wire === 5) {
      const size = wire === 1 ? 8 : 4
      if (at + size > bytes.length) return undefined
      out.push({ no, wire, value: bytes.slice(at, at + size) })
      at += size
    } else if (wire === 2) {
      const n = readVarint(bytes, at)
      if (!n || n.value > BigInt(bytes.length - n.next)) return undefined
      const part = bytes.slice(n.next, n.next + Number(n.value))
      out.push({ no, wire, value: (part.length > 1 && parse(part)) || part })
      at = n.next + part.length
    } else return undefined
  }
  return out
}

function writeVarint(out: number[], value: bigint): void {
  let rest = BigInt.asUintN(64, value)
  while (rest >= 0x80n) {
    out.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  out.push(Number(rest))
}

function encode(fields: readonly Field[]): Uint8Array {
  const out: number[] = []
  for (const { no, wire, value } of fields) {
    writeVarint(out, BigInt(no * 8 + wire))
    if (typeof value === 'bigint') writeVarint(out, value)
    else {
      const bytes = value instanceof Uint8Array ? value : encode(value)
      if (wire === 2) writeVarint(out, BigInt(bytes.length))
      for (const b of bytes) out.push(b)
    }
  }
  return Uint8Array.from(out)
}

/** Every list of fields in the tree. */
function listsOf(fields: Field[]): Field[][] {
  return [fields, ...fields.flatMap((f) => (Array.isArray(f.value) ? listsOf(f.value) : []))]
}

function changeField(list: Field[], i: number, random: Xorshift32, all: readonly Field[]): void {
  const f = list[i]
  switch (random.between(0, 9)) {
    case 0:
      list.splice(i, 1)
      return
    case 1:
      list.splice(i, 0, structuredClone(f))
      return
    case 2:
      // A field of the same number and kind from anywhere: another shape, name, attribute or operator.
      list[i] = structuredClone(pick(random, [f, ...all.filter((g) => g.no === f.no && g.wire === f.wire)]))
      return
    case 3:
      list[i] = { ...f, no: random.between(1, 15) }
      return
  }
  if (typeof f.value === 'bigint') {
    const near = f.value + BigInt(random.between(-3, 3))
    f.value = random.between(0, 1) ? near : pick(random, [...WIDE, ...EXTREMES.slice(0, 14).map(BigInt)])
  } else if (f.value instanceof Uint8Array) {
    if (f.value.length === 0) f.value = Uint8Array.of(random.between(0, 255))
    else if (f.wire === 2 && random.between(0, 3) === 0)
      f.value = f.value.slice(0, random.between(0, f.value.length - 1))
    else {
      const copy = f.value.slice()
      pick(random, [flip, byte, number, float])(copy, random)
      f.value = copy
    }
  } else if (f.value.length > 1) {
    const [a, b] = [random.between(0, f.value.length - 1), random.between(0, f.value.length - 1)]
    ;[f.value[a], f.value[b]] = [f.value[b], f.value[a]]
  }
}

/** A protobuf file whose fields were changed, its lengths being right; a plainly damaged copy now and then. */
export function mutateProtobuf(bytes: Uint8Array, other: Uint8Array, random: Xorshift32): Uint8Array {
  const tree = random.between(0, 3) === 0 ? undefined : parse(bytes)
  if (!tree) return mutate(bytes, other, random)
  const lent = random.between(0, 3) === 0 ? (parse(other) ?? []) : []
  const all = [...listsOf(tree), ...listsOf(lent)].flat()
  for (let n = random.between(1, 3); n > 0; n--) {
    const lists = listsOf(tree).filter((l) => l.length > 0)
    if (lists.length === 0) break
    // Fields near the leaves are many, so lists are drawn first: an operator's attributes as often as its weights.
    const list = pick(random, lists)
    changeField(list, random.between(0, list.length - 1), random, all)
  }
  return encode(tree)
}

const NUMBERS = [0, 1, 2, -1, 50_000, 2 ** 24, 2 ** 31 - 1, -(2 ** 31)]
const LONGS = [0n, 1n, 2n, -1n, 50_000n, 2n ** 24n, 2n ** 31n, -(2n ** 31n), 2n ** 32n, 2n ** 63n - 1n]
const FLOATS = [0, -1, 1e-45, 1e10, 3e38, Number.NaN, Number.POSITIVE_INFINITY]

function with32(bytes: Uint8Array, at: number, write: (view: DataView) => void): Uint8Array {
  const copy = bytes.slice()
  write(new DataView(copy.buffer, at))
  return copy
}

/** Every aligned number of a file in turn, replaced by each extreme value of its kind. */
export function* sweep(bytes: Uint8Array): Generator<() => Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const was = view.getInt32(at, true)
    const real = Math.abs(view.getFloat32(at, true))
    if (was >= -1 && was < 1000) for (const n of NUMBERS) yield () => with32(bytes, at, (v) => v.setInt32(0, n, true))
    else if (real > 1e-6 && real < 1e6)
      for (const x of FLOATS) yield () => with32(bytes, at, (v) => v.setFloat32(0, x, true))
  }
}

/** Every field of a protobuf file in turn: left out, and its numbers replaced by each extreme value. */
export function* sweepProtobuf(bytes: Uint8Array): Generator<() => Uint8Array> {
  const tree = parse(bytes)
  if (!tree) return
  for (const list of listsOf(tree))
    for (const [i, field] of list.entries()) {
      const replaced = (...by: Field[]) => {
        list.splice(i, 1, ...by)
        const file = encode(tree)
        list.splice(i, by.length, field)
        return file
      }
      yield () => replaced()
      const { value } = field
      if (typeof value === 'bigint') for (const n of LONGS) yield () => replaced({ ...field, value: n })
      if (!(value instanceof Uint8Array)) continue
      for (let at = 0; value.length % 8 === 0 && at < value.length; at += 8)
        for (const n of LONGS)
          yield () => replaced({ ...field, value: with32(value, at, (v) => v.setBigInt64(0, n, true)) })
      for (let at = 0; value.length % 4 === 0 && at < Math.min(value.length, 40); at += 4)
        for (const x of FLOATS)
          yield () => replaced({ ...field, value: with32(value, at, (v) => v.setFloat32(0, x, true)) })
    }
}
