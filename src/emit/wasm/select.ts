// Which WebAssembly instructions mean an operation, a load or a store of the loop language, by the registers they work on.

import { bug } from '../../errors.ts'
import type { Elem, OpName, Type } from '../../loops/ir.ts'
import { printType } from '../../loops/print.ts'
import type { ValType } from './encoder.ts'
import { type Instr, isInstr } from './opcodes.ts'

export type Registers =
  | 'i32'
  | 'i64'
  | 'f32'
  | 'f64'
  | 'i8x4'
  | 'i8x8'
  | 'i8x16'
  | 'i16x8'
  | 'i32x4'
  | 'i64x2'
  | 'f32x4'

/** Suffixes of the instructions that mean an operation, for integers and for floats; a name that does not exist is not used. */
const SUFFIX: Partial<Record<OpName, readonly [string, string?]>> = {
  add: ['add', 'add'],
  sub: ['sub', 'sub'],
  mul: ['mul', 'mul'],
  neg: ['neg', 'neg'],
  wadd: ['add'],
  wsub: ['sub'],
  wmul: ['mul'],
  div: ['div_s', 'div'],
  rem: ['rem_s'],
  abs: ['abs', 'abs'],
  sqrt: ['', 'sqrt'],
  floor: ['', 'floor'],
  ceil: ['', 'ceil'],
  trunc: ['', 'trunc'],
  nearest: ['', 'nearest'],
  min: ['min_s', 'pmin'],
  max: ['max_s', 'pmax'],
  and: ['and'],
  or: ['or'],
  xor: ['xor'],
  shl: ['shl'],
  shr: ['shr_s'],
  ushr: ['shr_u'],
  eq: ['eq', 'eq'],
  ne: ['ne', 'ne'],
  lt: ['lt_s', 'lt'],
  le: ['le_s', 'le'],
  gt: ['gt_s', 'gt'],
  ge: ['ge_s', 'ge'],
  clz: ['clz'],
  quad: ['relaxed_dot_i8x16_i7x16_add_s'],
  fma: ['', 'relaxed_madd'],
}

export const CONVERT: Readonly<Record<string, Instr>> = {
  'toF32 i32': 'f32.convert_i32_s',
  'toF32 i32x4': 'f32x4.convert_i32x4_s',
  'toF32 i64': 'f32.convert_i64_s',
  'toF32 f64': 'f32.demote_f64',
  'toF64 i32': 'f64.convert_i32_s',
  'toF64 i64': 'f64.convert_i64_s',
  'toF64 f32': 'f64.promote_f32',
  'toI32 f32': 'i32.trunc_sat_f32_s',
  'toI32 f64': 'i32.trunc_sat_f64_s',
  'toI64 f32': 'i64.trunc_sat_f32_s',
  'toI64 f64': 'i64.trunc_sat_f64_s',
  'toI32 f32x4': 'i32x4.trunc_sat_f32x4_s',
  'extend i32': 'i64.extend_i32_s',
  'wrap i64': 'i32.wrap_i64',
  'bits f32': 'i32.reinterpret_f32',
  'fromBits i32': 'f32.reinterpret_i32',
  'bits f64': 'i64.reinterpret_f64',
  'fromBits i64': 'f64.reinterpret_i64',
  'dot i16x8': 'i32x4.dot_i16x8_s',
  'narrow i32x4': 'i16x8.narrow_i32x4_s',
  'narrowU i16x8': 'i8x16.narrow_i16x8_u',
  'whole f32x4': 'i32x4.relaxed_trunc_f32x4_s',
}

export const LOADS: Readonly<Record<string, readonly Instr[]>> = {
  'i8 i32': ['i32.load8_s'],
  'u8 i32': ['i32.load8_u'],
  'i16 i32': ['i32.load16_s'],
  'i32 i32': ['i32.load'],
  'i64 i64': ['i64.load'],
  'f16 f32': ['i32.load16_u'],
  'f32 f32': ['f32.load'],
  'f64 f64': ['f64.load'],
  'i8 i8x4': ['i32.load'],
  'i8 i8x16': ['v128.load'],
  'i8 i16x8': ['v128.load8x8_s'],
  'u8 i16x8': ['v128.load8x8_u'],
  'i16 i16x8': ['v128.load'],
  'i8 i32x4': ['v128.load32_zero', 'i16x8.extend_low_i8x16_s', 'i32x4.extend_low_i16x8_s'],
  'u8 i32x4': ['v128.load32_zero', 'i16x8.extend_low_i8x16_u', 'i32x4.extend_low_i16x8_u'],
  'i16 i32x4': ['v128.load16x4_s'],
  'i32 i32x4': ['v128.load'],
  'i64 i64x2': ['v128.load'],
  'f32 f32x4': ['v128.load'],
}

/** The instruction and, where lanes narrow, the bytes of the vector that are kept, at its bottom. */
export const STORES: Readonly<Record<string, readonly [Instr, (readonly number[])?]>> = {
  'i8 i32': ['i32.store8'],
  'u8 i32': ['i32.store8'],
  'i16 i32': ['i32.store16'],
  'i32 i32': ['i32.store'],
  'i64 i64': ['i64.store'],
  'f16 f32': ['i32.store16'],
  'f32 f32': ['f32.store'],
  'f64 f64': ['f64.store'],
  'i8 i8x4': ['i32.store'],
  'i8 i8x8': ['i64.store'],
  'i8 i8x16': ['v128.store'],
  'i8 i16x8': ['v128.store64_lane', [0, 2, 4, 6, 8, 10, 12, 14]],
  'u8 i16x8': ['v128.store64_lane', [0, 2, 4, 6, 8, 10, 12, 14]],
  'i16 i16x8': ['v128.store'],
  'i8 i32x4': ['v128.store32_lane', [0, 4, 8, 12]],
  'u8 i32x4': ['v128.store32_lane', [0, 4, 8, 12]],
  'i16 i32x4': ['v128.store64_lane', [0, 1, 4, 5, 8, 9, 12, 13]],
  'i32 i32x4': ['v128.store'],
  'i64 i64x2': ['v128.store'],
  'f32 f32x4': ['v128.store'],
}

/** Bytes of two vectors of halves, or of bytes: the lower half of their lanes in turn, or the upper half. */
export const ZIPS: Readonly<Record<string, readonly number[]>> = {
  'zipLow i16x8': [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23],
  'zipHigh i16x8': [8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31],
  'zipLow i8x16': [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
  'zipHigh i8x16': [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31],
}

export const SPLATS: Partial<Record<Elem, Instr>> = {
  i32: 'v128.load32_splat',
  f32: 'v128.load32_splat',
  i64: 'v128.load64_splat',
}

export function registers(t: Type): Registers {
  const name = printType(t)
  switch (name) {
    case 'i32':
    case 'i64':
    case 'f32':
    case 'f64':
    case 'i8x4':
    case 'i8x8':
    case 'i8x16':
    case 'i16x8':
    case 'i32x4':
    case 'i64x2':
    case 'f32x4':
      return name
  }
  return bug(`no WebAssembly register holds ${name}`)
}

export function valType(t: Type): ValType {
  const r = registers(t)
  if (r === 'i8x4' || r === 'i8x8') return r === 'i8x4' ? 'i32' : 'i64'
  return r === 'i32' || r === 'i64' || r === 'f32' || r === 'f64' ? r : 'v128'
}

export const isCompare = (op: OpName): boolean => ['eq', 'ne', 'lt', 'le', 'gt', 'ge'].includes(op)
const isBitwise = (op: OpName): boolean => ['and', 'or', 'xor'].includes(op)
export const isShift = (op: OpName): boolean => ['shl', 'shr', 'ushr'].includes(op)

export function instrOf(op: OpName, r: Registers): Instr | undefined {
  const suffix = SUFFIX[op]?.[r.startsWith('f') ? 1 : 0]
  const name = `${isBitwise(op) && r.includes('x') ? 'v128' : r}.${suffix}`
  return isInstr(name) ? name : undefined
}
