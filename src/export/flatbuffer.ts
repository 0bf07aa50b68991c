// Writes the tables of a FlatBuffer by the same field descriptions that the reader walks.

import type { Builder, Offset } from 'flatbuffers'
import type { Field, FieldType } from '../import/flatbuffer.ts'

/** What a field of each type is written from; tables by the offsets that `writeTable` returned. */
interface WrittenTypes {
  i8: number
  u8: number
  i32: number
  u32: number
  i64: number
  u64: number
  f32: number
  bool: boolean
  string: string
  'u8[]': Uint8Array
  'i32[]': readonly number[]
  'i64[]': readonly number[]
  'f32[]': readonly number[]
  table: Offset
  'table[]': readonly Offset[]
}

export type Fields = Readonly<Record<string, Field>>
export type Values<F extends Fields> = { readonly [K in keyof F]?: WrittenTypes[F[K]['type']] }

/** Alignment of byte vectors: tensors' data may be read in place. */
const DATA_ALIGN = 16

/** Appends one table and returns its offset. Fields without a value, or with the schema's default, are left out. */
export function writeTable<F extends Fields>(builder: Builder, fields: F, values: Values<F>): Offset {
  const present = Object.entries(fields).flatMap(([name, field]) => {
    const value = values[name]
    return value === undefined ? [] : [{ field, value: stored(builder, field.type, value) }]
  })
  builder.startObject(Math.max(0, ...Object.values(fields).map((f) => f.slot + 1)))
  for (const { field, value } of present) addField(builder, field, value)
  return builder.endObject()
}

/** The number that goes into the table itself: the value, or the offset of the vector or string that is written now. */
function stored(builder: Builder, type: FieldType, value: WrittenTypes[FieldType]): number {
  const vector = (items: readonly number[], elemBytes: number, add: (v: number) => void): Offset => {
    builder.startVector(elemBytes, items.length, elemBytes)
    for (let i = items.length - 1; i >= 0; i--) add(items[i])
    return builder.endVector()
  }
  switch (type) {
    case 'string':
      return builder.createString(value as string)
    case 'u8[]': {
      const bytes = value as Uint8Array
      builder.prep(DATA_ALIGN, bytes.length)
      return builder.createByteVector(bytes)
    }
    case 'i32[]':
      return vector(value as readonly number[], 4, (v) => builder.addInt32(v))
    case 'i64[]':
      return vector(value as readonly number[], 8, (v) => builder.addInt64(BigInt(v)))
    case 'f32[]':
      return vector(value as readonly number[], 4, (v) => builder.addFloat32(v))
    case 'table[]':
      return vector(value as readonly Offset[], 4, (v) => builder.addOffset(v))
    default:
      return Number(value)
  }
}

function addField(builder: Builder, { slot, type, default: given }: Field, value: number): void {
  const absent = Number(given ?? 0)
  if (type === 'i8' || type === 'u8' || type === 'bool') builder.addFieldInt8(slot, value, absent)
  else if (type === 'i32' || type === 'u32') builder.addFieldInt32(slot, value, absent)
  else if (type === 'i64' || type === 'u64') builder.addFieldInt64(slot, BigInt(value), BigInt(absent))
  else if (type === 'f32') builder.addFieldFloat32(slot, value, absent)
  else builder.addFieldOffset(slot, value, 0)
}
