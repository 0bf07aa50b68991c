// Reads FlatBuffers that may be damaged or hostile: every offset, table, vtable and vector is checked against the file
// before it is used, and the sum of all that is read is bounded by the file's size, however often its parts refer to
// each other. Layout: FlatBuffers internals (https://flatbuffers.dev/internals).

import { ModelError } from '../errors.ts'

/** What reading a field of each type gives. Vectors and strings that the file leaves out are undefined. */
export interface FieldTypes {
  i8: number
  u8: number
  i32: number
  u32: number
  i64: number
  u64: number
  f32: number
  bool: boolean
  string: string | undefined
  'u8[]': Uint8Array | undefined
  'i32[]': number[] | undefined
  'i64[]': number[] | undefined
  'f32[]': number[] | undefined
  table: Table | undefined
  'table[]': Table[] | undefined
}

export type FieldType = keyof FieldTypes

/** One field of a table: its slot in the vtable, its type, and the schema's default for numbers and booleans. */
export interface Field<T extends FieldType = FieldType> {
  readonly slot: number
  readonly type: T
  readonly default?: number | boolean
}

const WHERE = '.tflite file'

function fail(what: string): never {
  throw new ModelError(WHERE, what, 'the file is damaged or truncated: download or convert it again')
}

/** The bytes of one file and what may still be read of them. */
class Source {
  readonly bytes: Uint8Array
  readonly view: DataView
  private left: number

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.left = 8 * bytes.length + 1024
  }

  /** Throws unless `size` bytes at `at` lie within the file. */
  within(at: number, size: number, what: string): void {
    if (at < 0 || at + size > this.bytes.length)
      fail(`${what} at byte ${at} needs ${size} bytes, the file ends at byte ${this.bytes.length}`)
  }

  /** Counts `size` bytes as read. Parts that are shared count each time, so a small file cannot stand for a huge one. */
  spend(size: number): void {
    this.left -= size
    if (this.left < 0) fail('refers to the same parts again and again')
  }
}

/** One table of a FlatBuffer. */
export class Table {
  private readonly source: Source
  private readonly at: number
  private readonly size: number
  private readonly vtable: number
  private readonly slots: number

  private constructor(source: Source, at: number) {
    this.source = source
    this.at = at
    source.within(at, 4, 'a table')
    this.vtable = at - source.view.getInt32(at, true)
    source.within(this.vtable, 4, 'a vtable')
    const bytes = source.view.getUint16(this.vtable, true)
    this.size = source.view.getUint16(this.vtable + 2, true)
    if (bytes < 4 || bytes % 2 !== 0) fail(`a vtable at byte ${this.vtable} has the size ${bytes}`)
    source.within(this.vtable, bytes, 'a vtable')
    source.within(at, this.size, 'a table')
    source.spend(4)
    this.slots = (bytes - 4) / 2
  }

  /** The root table of a file. */
  static root(bytes: Uint8Array): Table {
    const source = new Source(bytes)
    source.within(0, 8, 'the header')
    return new Table(source, source.view.getUint32(0, true))
  }

  /** The value of a field, or its default where the file leaves it out. */
  get<T extends FieldType>(field: Field<T>): FieldTypes[T] {
    return this.read(field) as FieldTypes[T]
  }

  /** `size` bytes of the file at `at`, for data that tables point to by their place in the file. */
  outside(at: number, size: number): Uint8Array {
    this.source.within(at, size, 'data')
    return this.source.bytes.subarray(at, at + size)
  }

  /** Where a field of `size` bytes lies, or undefined where the file leaves it out. */
  private place(slot: number, size: number): number | undefined {
    if (slot >= this.slots) return undefined
    const offset = this.source.view.getUint16(this.vtable + 4 + 2 * slot, true)
    if (offset === 0) return undefined
    if (offset < 4 || offset + size > this.size)
      fail(`a field at byte ${this.at + offset} lies outside its table, which has ${this.size} bytes`)
    return this.at + offset
  }

  private target(slot: number): number | undefined {
    const at = this.place(slot, 4)
    return at === undefined ? undefined : this.follow(at)
  }

  private follow(at: number): number {
    const offset = this.source.view.getUint32(at, true)
    if (offset === 0) fail(`an offset at byte ${at} is zero`)
    return at + offset
  }

  /** First byte and number of elements of a vector. */
  private vector(slot: number, elemBytes: number): { at: number; length: number } | undefined {
    const at = this.target(slot)
    if (at === undefined) return undefined
    this.source.within(at, 4, 'a vector')
    const length = this.source.view.getUint32(at, true)
    this.source.within(at + 4, length * elemBytes, `a vector of ${length} elements`)
    return { at: at + 4, length }
  }

  private list<V>(slot: number, elemBytes: number, read: (at: number) => V): V[] | undefined {
    const v = this.vector(slot, elemBytes)
    if (!v) return undefined
    this.source.spend(v.length * elemBytes)
    return Array.from({ length: v.length }, (_, i) => read(v.at + i * elemBytes))
  }

  private read(field: Field): FieldTypes[FieldType] {
    const { view, bytes } = this.source
    const { slot } = field
    const number = (size: number, read: (at: number) => number): number => {
      const at = this.place(slot, size)
      return at === undefined ? Number(field.default ?? 0) : read(at)
    }
    switch (field.type) {
      case 'i8':
        return number(1, (at) => view.getInt8(at))
      case 'u8':
        return number(1, (at) => view.getUint8(at))
      case 'i32':
        return number(4, (at) => view.getInt32(at, true))
      case 'u32':
        return number(4, (at) => view.getUint32(at, true))
      case 'i64':
        return number(8, (at) => exact(view.getBigInt64(at, true), at))
      case 'u64':
        return number(8, (at) => exact(view.getBigUint64(at, true), at))
      case 'f32':
        return number(4, (at) => view.getFloat32(at, true))
      case 'bool':
        return number(1, (at) => view.getUint8(at)) !== 0
      case 'string': {
        const v = this.vector(slot, 1)
        if (!v) return undefined
        this.source.spend(v.length)
        return new TextDecoder().decode(bytes.subarray(v.at, v.at + v.length))
      }
      case 'u8[]': {
        const v = this.vector(slot, 1)
        return v && bytes.subarray(v.at, v.at + v.length)
      }
      case 'i32[]':
        return this.list(slot, 4, (at) => view.getInt32(at, true))
      case 'i64[]':
        return this.list(slot, 8, (at) => exact(view.getBigInt64(at, true), at))
      case 'f32[]':
        return this.list(slot, 4, (at) => view.getFloat32(at, true))
      case 'table': {
        const at = this.target(slot)
        return at === undefined ? undefined : new Table(this.source, at)
      }
      case 'table[]':
        return this.list(slot, 4, (at) => new Table(this.source, this.follow(at)))
    }
  }
}

function exact(value: bigint, at: number): number {
  const n = Number(value)
  return Number.isSafeInteger(n) ? n : fail(`the number ${value} at byte ${at} is out of range`)
}
