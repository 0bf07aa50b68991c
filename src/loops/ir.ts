// The loop language: what one kernel does. Blocks, loops of constant extent, registers, loads and stores on buffers of
// constant shape. Everything static is a number; everything that two layers of one shape may differ in (addresses,
// weights, multipliers, zero points) is a buffer. `interpret` gives the meaning, the printers in `emit/` the spelling.

/** What a buffer stores. f16 elements are IEEE binary16, as their bits. */
export type Elem = 'i8' | 'u8' | 'i16' | 'i32' | 'i64' | 'f16' | 'f32' | 'f64'
/**
 * What a register holds. A scalar load of i8, u8 or i16 widens to i32, one of f16 to f32; f16 has no lanes. i8 registers
 * have 16 lanes, i16 registers 8, f64 registers one; a part of an i8 register has 4 or 8 lanes.
 */
export type Num = 'i8' | 'i16' | 'i32' | 'i64' | 'f32' | 'f64'
/** A register type: one number, or as many lanes as fill 128 bits (i8x16, i16x8, i32x4, f32x4, i64x2), or i8x4, i8x8. */
export interface Type {
  readonly num: Num
  readonly lanes: number
}

export const I32: Type = { num: 'i32', lanes: 1 }
export const I64: Type = { num: 'i64', lanes: 1 }
export const F32: Type = { num: 'f32', lanes: 1 }
export const F64: Type = { num: 'f64', lanes: 1 }
export const I8X4: Type = { num: 'i8', lanes: 4 }
export const I8X16: Type = { num: 'i8', lanes: 16 }
export const I16X8: Type = { num: 'i16', lanes: 8 }
export const I32X4: Type = { num: 'i32', lanes: 4 }
export const F32X4: Type = { num: 'f32', lanes: 4 }

/** Uint16Array holds f16. */
export type Data =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint16Array
  | Float32Array
  | Float64Array

/** A buffer: `at` indices of loads and stores have one entry per dimension of `shape`. */
export interface Buf {
  readonly name: string
  readonly elem: Elem
  readonly shape: readonly number[]
  readonly access: 'read' | 'write' | 'scratch'
}

/**
 * Operations on registers. All arguments of one operation have the same type unless the table says otherwise.
 *
 * Floats are IEEE 754 with rounding to nearest, halves to even; which NaN a result is, is not said.
 *
 * add sub mul neg      i32, i64 and i16x8: must not overflow (the interpreter throws), so C may use its own operators;
 *                      f32, f64
 * wadd wsub wmul       i32, i64, wrapping
 * div                  f32, f64; i32 and i64 truncate toward zero, divisor not 0
 * rem                  i32, i64, sign of the dividend
 * abs                  i32, i64, wrapping (the least value stays); f32, f64
 * min max              i32, i64, i16x8; f32, f64 as `b < a ? b : a` and `a < b ? b : a` (a where unordered)
 * sqrt                 f32, f64: rounded to nearest; NaN below zero, -0 of -0
 * floor ceil trunc     f32, f64: to a whole number, down, up, toward zero; zeros have the sign of the argument
 * nearest              f32, f64: to the nearest whole number, halves to even
 * and or xor shl shr ushr   i32 and i64; shift counts are taken modulo the width
 * eq ne lt le gt ge    give i32 0 or 1
 * select               (condition i32, a, b): both sides are evaluated, so neither may load out of bounds
 * clz                  i32: leading zeros, 32 for 0
 * toF32                i32, i64, f64 -> f32, rounded to nearest
 * toF64                i32, i64, f32 -> f64, of i64 rounded to nearest
 * toI32 toI64          f32, f64 -> i32 or i64: truncated, saturating, 0 for NaN
 * extend wrap          i32 -> i64, i64 -> i32 (low bits)
 * fma                  f32x4 (a, b, c): a * b + c, rounded once
 * whole                f32x4 -> i32x4: truncated, must fit (the interpreter throws)
 * bits fromBits        f32 <-> i32, f64 <-> i64, same bits; bits of i16x8 are i32x4, lane 2i the lower half of lane i, bits of
 *                      i8x16 too, bits of i8x4 are i32
 * halves bytes         i32x4 -> i16x8 or i8x16, same bits: the inverse of bits
 * srdhm                i32: saturating rounding doubling high multiply, (a*b + 2^30) >> 31 (gemmlowp)
 * rdivpot              i32: rounding divide by 2^b, half away from zero (gemmlowp)
 * requant              (x, multiplier Q31, shift): rdivpot(srdhm(x << max(shift,0), multiplier), max(-shift,0)) (TFLite)
 * splat                scalar -> every lane; i32 -> i16x8 where the value fits 16 bits (the interpreter throws)
 * sum                  i32x4 -> i32, wrapping; the order does not matter for integers
 * sxtb16 uxtb16        i32: bytes 0 and 2 as two halves of 16 bits, with their sign or with zeros
 * smlad                i32 (a, b, c): c plus the products of the lower and of the upper halves of a and b, wrapping
 * quad                 i32x4 (a, b, c): c plus the products of each lane's four bytes, those of a with their sign, of b without,
 *                      wrapping
 * smmla                i32 (a, b, c): c + floor(a * b / 2^32), wrapping
 * dot                  (i16x8, i16x8) -> i32x4: lane i is a[2i]*b[2i] + a[2i+1]*b[2i+1], wrapping
 * zipLow zipHigh       i16x8, i8x16: a[0], b[0], a[1], b[1], … of the lower half of each one's lanes, or of the upper half
 * narrow               (i32x4, i32x4) -> i16x8: the lanes of a, then those of b, saturated to 16 bits
 * narrowU              (i16x8, i16x8) -> i8x16: the same, saturated to 0 to 255 (the byte without a sign)
 * part                 (i8x16, constant k) -> i8x4 or i8x8: the k-th part of so many lanes
 */
export type OpName =
  | 'add'
  | 'sub'
  | 'mul'
  | 'neg'
  | 'wadd'
  | 'wsub'
  | 'wmul'
  | 'div'
  | 'rem'
  | 'abs'
  | 'min'
  | 'max'
  | 'sqrt'
  | 'floor'
  | 'ceil'
  | 'trunc'
  | 'nearest'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr'
  | 'ushr'
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'select'
  | 'clz'
  | 'toF32'
  | 'toF64'
  | 'toI32'
  | 'toI64'
  | 'whole'
  | 'fma'
  | 'extend'
  | 'wrap'
  | 'bits'
  | 'fromBits'
  | 'srdhm'
  | 'rdivpot'
  | 'requant'
  | 'splat'
  | 'sum'
  | 'dot'
  | 'halves'
  | 'bytes'
  | 'zipLow'
  | 'zipHigh'
  | 'narrow'
  | 'narrowU'
  | 'part'
  | 'sxtb16'
  | 'uxtb16'
  | 'smlad'
  | 'quad'
  | 'smmla'

export type Expr =
  | { readonly k: 'const'; readonly type: Type; readonly value: number }
  | { readonly k: 'var'; readonly type: Type; readonly name: string }
  /** `type.lanes` consecutive elements along the last dimension, widened to the register type. */
  | { readonly k: 'load'; readonly type: Type; readonly buf: string; readonly at: readonly Expr[] }
  | { readonly k: 'op'; readonly type: Type; readonly op: OpName; readonly args: readonly Expr[] }

export type Stmt =
  | { readonly s: 'block'; readonly body: readonly Stmt[] }
  /** `v` runs from 0 to extent - 1 as i32. `parallel`: iterations are independent and may run in any order. */
  | { readonly s: 'for'; readonly v: string; readonly extent: number; readonly parallel?: boolean; readonly body: Stmt }
  /** Declares a register, visible to the end of the enclosing block; names are unique within a kernel. */
  | { readonly s: 'let'; readonly name: string; readonly value: Expr }
  | { readonly s: 'set'; readonly name: string; readonly value: Expr }
  /**
   * Stores `value.type.lanes` consecutive elements. Narrowing integers keeps the low bits, so clamp before; f32 to f16
   * rounds to nearest, NaN becomes 0x7e00.
   */
  | { readonly s: 'store'; readonly buf: string; readonly at: readonly Expr[]; readonly value: Expr }
  | { readonly s: 'if'; readonly cond: Expr; readonly body: Stmt; readonly else?: Stmt }
  /** Does what `means` does; a printer for a machine that has the instructions calls the routine. */
  | { readonly s: 'asm'; readonly means: Stmt; readonly routine: Routine; readonly args: readonly Expr[] }

/**
 * A function in a machine's own instructions, arguments in r0 to r3, those beyond on the stack. Arguments that are loads stand for
 * the element's address, others for their value. Routines of one name have one text.
 */
export interface Routine {
  readonly machine: 'armv7e-m' | 'armv7e-m.fp' | 'armv8.1-m.mve'
  readonly name: string
  /** One instruction or label a line. */
  readonly text: string
}

/** One kernel. `bufs` are its parameters, in order. Two layers whose kernels print the same share one. */
export interface Kernel {
  readonly name: string
  readonly bufs: readonly Buf[]
  readonly body: Stmt
}

export function elemBytes(elem: Elem): number {
  return { i8: 1, u8: 1, i16: 2, i32: 4, i64: 8, f16: 2, f32: 4, f64: 8 }[elem]
}

export function count(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1)
}

export function newData(elem: Elem, n: number): Data {
  switch (elem) {
    case 'i8':
      return new Int8Array(n)
    case 'u8':
      return new Uint8Array(n)
    case 'i16':
      return new Int16Array(n)
    case 'i32':
      return new Int32Array(n)
    case 'i64':
      return new BigInt64Array(n)
    case 'f16':
      return new Uint16Array(n)
    case 'f32':
      return new Float32Array(n)
    case 'f64':
      return new Float64Array(n)
  }
}

export function elemOfData(data: Data): Elem {
  if (data instanceof Int8Array) return 'i8'
  if (data instanceof Uint8Array) return 'u8'
  if (data instanceof Int16Array) return 'i16'
  if (data instanceof Int32Array) return 'i32'
  if (data instanceof BigInt64Array) return 'i64'
  if (data instanceof Uint16Array) return 'f16'
  if (data instanceof Float64Array) return 'f64'
  return 'f32'
}

/** The register type of one element. */
export function registerOf(elem: Elem): Type {
  switch (elem) {
    case 'f16':
    case 'f32':
      return F32
    case 'f64':
      return F64
    case 'i64':
      return I64
    default:
      return I32
  }
}
