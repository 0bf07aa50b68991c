// Constants and arrays of constants -> C99 text that gives back the same bits.

import type { Data, Elem, Type } from '../../loops/ir.ts'

const cell = new Float32Array(1)
const bits = new Uint32Array(cell.buffer)
const wideCell = new Float64Array(1)
const wideBits = new BigUint64Array(wideCell.buffer)

export const C_TYPE: Record<Elem, string> = {
  i8: 'int8_t',
  u8: 'uint8_t',
  i16: 'int16_t',
  i32: 'int32_t',
  i64: 'int64_t',
  f16: 'uint16_t',
  f32: 'float',
  f64: 'double',
}

export function cType(type: Type): string {
  return C_TYPE[type.num]
}

function hexadecimal(negative: boolean, exponent: number, bias: number, fraction: string): string {
  const digits = fraction.replace(/0+$/, '')
  const power = (exponent || 1) - bias
  return `${negative ? '-' : ''}0x${exponent === 0 ? 0 : 1}${digits && `.${digits}`}p${power < 0 ? '' : '+'}${power}`
}

/** Numbers that C has no constant for, and those that are whole and short. */
function plainConstant(value: number, digits: number): string | undefined {
  if (Number.isNaN(value)) return 'MOTE_NAN'
  if (!Number.isFinite(value)) return value > 0 ? 'MOTE_INFINITY' : '-MOTE_INFINITY'
  if (Number.isInteger(value) && Math.abs(value) < 2 ** digits) return `${Object.is(value, -0) ? '-0' : value}.0`
  return undefined
}

/** A float32 as a C99 constant: whole numbers below 2^24 in decimal, others in hexadecimal. */
export function floatConstant(value: number): string {
  const plain = plainConstant(value, 24)
  if (plain) return plain.endsWith('.0') ? `${plain}f` : plain
  cell[0] = value
  const fraction = ((bits[0] & 0x7fffff) << 1).toString(16).padStart(6, '0')
  return `${hexadecimal(value < 0, (bits[0] >>> 23) & 255, 127, fraction)}f`
}

/** A float64 as a C99 constant: whole numbers below 2^53 in decimal, others in hexadecimal. */
export function doubleConstant(value: number): string {
  const plain = plainConstant(value, 53)
  if (plain) return plain.endsWith('.0') ? plain : `(double)${plain}`
  wideCell[0] = value
  const fraction = (wideBits[0] & 0xfffffffffffffn).toString(16).padStart(13, '0')
  return hexadecimal(value < 0, Number((wideBits[0] >> 52n) & 2047n), 1023, fraction)
}

/** An i32 or i64 constant. The least values have no literal in C. */
export function integerConstant(value: number | bigint, num: 'i32' | 'i64'): string {
  const v = BigInt(value)
  if (num === 'i32') return v === -(2n ** 31n) ? '(-2147483647 - 1)' : `${v}`
  return v === -(2n ** 63n) ? '(-9223372036854775807LL - 1)' : `${v}LL`
}

function printed(data: Data): (i: number) => string {
  if (data instanceof Float32Array) return (i) => floatConstant(data[i])
  if (data instanceof Float64Array) return (i) => doubleConstant(data[i])
  if (data instanceof BigInt64Array) return (i) => integerConstant(data[i], 'i64')
  if (data instanceof Int32Array) return (i) => integerConstant(data[i], 'i32')
  if (data instanceof Int16Array || data instanceof Uint16Array) return (i) => String(data[i])
  const small = Array.from({ length: 384 }, (_, i) => String(i - 128))
  return (i) => small[data[i] + 128]
}

/** The elements between braces, in lines of at most about 120 columns. */
export function arrayText(data: Data): string {
  const text = printed(data)
  const lines: string[] = []
  let items: string[] = []
  let columns = 0
  for (let i = 0; i < data.length; i++) {
    const item = text(i)
    columns += item.length + 1
    if (columns > 118) {
      lines.push(items.join(','))
      items = []
      columns = item.length + 1
    }
    items.push(item)
  }
  lines.push(items.join(','))
  return `{\n${lines.join(',\n')}\n}`
}
