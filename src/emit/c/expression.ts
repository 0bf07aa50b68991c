// Operations and constants of the loop language -> C expressions, with parentheses where C's grammar or a compiler's
// warnings want them.

import { bug } from '../../errors.ts'
import type { Expr, OpName } from '../../loops/ir.ts'
import { doubleConstant, floatConstant, integerConstant } from './number.ts'

/** Text and the binding strength of its outermost operator, as in C's grammar. */
export interface Piece {
  readonly text: string
  readonly prec: number
}

export const ATOM = 16
export const UNARY = 14
export const PRODUCT = 13
export const SUM = 12
const SHIFT = 11
const COMPARE = 10
const BITWISE = 8
const AND = 5
const OR = 4
const CHOICE = 3

const COMPARISONS: Partial<Record<OpName, string>> = { eq: '==', ne: '!=', lt: '<', le: '<=', gt: '>', ge: '>=' }
const BITS: Partial<Record<OpName, string>> = { and: '&', or: '|', xor: '^' }
const floats = (name: string) => ({ f32: `${name}_f32`, f64: `${name}_f64` })
/** Operations that are inline functions, by the type of their first argument. */
const CALLS: Partial<Record<OpName, Partial<Record<string, string>>>> = {
  wadd: { i32: 'wadd', i64: 'wadd64' },
  wsub: { i32: 'wsub', i64: 'wsub64' },
  wmul: { i32: 'wmul', i64: 'wmul64' },
  abs: { i32: 'abs32', i64: 'abs64', ...floats('abs') },
  min: { i32: 'min32', i64: 'min64', ...floats('min') },
  max: { i32: 'max32', i64: 'max64', ...floats('max') },
  sqrt: floats('sqrt'),
  floor: floats('floor'),
  ceil: floats('ceil'),
  trunc: floats('trunc'),
  nearest: floats('nearest'),
  shl: { i32: 'shl32', i64: 'shl64' },
  ushr: { i32: 'ushr32', i64: 'ushr64' },
  clz: { i32: 'clz32' },
  bits: floats('bits'),
  fromBits: { i32: 'from_bits_f32', i64: 'from_bits_f64' },
  toI32: floats('i32_of'),
  toI64: floats('i64_of'),
  srdhm: { i32: 'srdhm' },
  rdivpot: { i32: 'rdivpot' },
  requant: { i32: 'requant' },
  sxtb16: { i32: 'sxtb16' },
  uxtb16: { i32: 'uxtb16' },
  smlad: { i32: 'smlad' },
  smmla: { i32: 'smmla' },
}

/** The text, in parentheses where it binds weaker than `needed`. */
export function strong({ text, prec }: Piece, needed: number): string {
  return prec >= needed ? text : `(${text})`
}

function isTruth(e: Expr): boolean {
  return e.k === 'op' && (e.op in COMPARISONS || ((e.op === 'and' || e.op === 'or') && e.args.every(isTruth)))
}

/** A constant of one lane. */
export function constantPiece({ type, value }: Extract<Expr, { k: 'const' }>): Piece {
  if (type.num !== 'f32' && type.num !== 'f64') {
    const text = integerConstant(value, type.num === 'i64' ? 'i64' : 'i32')
    return { text, prec: text.startsWith('-') ? UNARY : ATOM }
  }
  const text = type.num === 'f64' ? doubleConstant(value) : floatConstant(value)
  return { text, prec: /^-|^\(/.test(text) ? UNARY : ATOM }
}

/** An operation on `args`, the text of its arguments. `uses` is told of the inline function that it calls. */
export function operationPiece(
  e: Extract<Expr, { k: 'op' }>,
  args: readonly Piece[],
  uses: (name: string) => void,
): Piece {
  const { op } = e
  const num = e.args[0].type.num
  const call = CALLS[op]?.[num]
  if (call) {
    uses(call)
    return { text: `${call}(${args.map((a) => a.text).join(', ')})`, prec: ATOM }
  }
  const [a, b, c] = args
  const infix = (sign: string, prec: number, left: number, right: number): Piece => ({
    text: `${strong(a, left)} ${sign} ${strong(b, right)}`,
    prec,
  })
  switch (op) {
    case 'add': {
      const constant = e.args[1]
      if (num !== 'f32' && num !== 'f64' && constant.k === 'const' && constant.value < 0 && constant.value > -(2 ** 31))
        return { text: `${strong(a, SUM)} - ${b.text.slice(1)}`, prec: SUM }
      return infix('+', SUM, SUM, PRODUCT)
    }
    case 'sub':
      return infix('-', SUM, SUM, PRODUCT)
    case 'mul':
      return infix('*', PRODUCT, PRODUCT, UNARY)
    case 'div':
      return infix('/', PRODUCT, PRODUCT, UNARY)
    case 'rem':
      return infix('%', PRODUCT, PRODUCT, UNARY)
    case 'neg':
      return { text: `-${strong(a, UNARY + 1)}`, prec: UNARY }
    case 'and':
      if (e.args.every(isTruth)) return infix('&&', AND, AND, COMPARE)
      break
    case 'or':
      if (e.args.every(isTruth)) return infix('||', OR, COMPARE, COMPARE)
      break
    case 'shr':
      return { text: `${strong(a, UNARY)} >> ${shiftCount(e.args[1], b)}`, prec: SHIFT }
    case 'select':
      return { text: `${strong(a, COMPARE)} ? ${strong(b, SHIFT)} : ${strong(c, SHIFT)}`, prec: CHOICE }
    case 'toF32':
      return { text: `(float)${strong(a, UNARY)}`, prec: UNARY }
    case 'toF64':
      return { text: `(double)${strong(a, UNARY)}`, prec: UNARY }
    case 'extend':
      return { text: `(int64_t)${strong(a, UNARY)}`, prec: UNARY }
    case 'wrap':
      return { text: `(int32_t)${strong(a, UNARY)}`, prec: UNARY }
  }
  const compare = COMPARISONS[op]
  if (compare) return infix(compare, COMPARE, SUM, SUM)
  const bits = BITS[op]
  if (bits) return infix(bits, BITWISE, UNARY, UNARY)
  return bug(`the C printer has no spelling for ${op} of ${num}`)
}

function shiftCount(count: Expr, text: Piece): string {
  const width = count.type.num === 'i64' ? 64 : 32
  if (count.k === 'const') return String(((count.value % width) + width) % width)
  return `(${strong(text, UNARY)} & ${width - 1})`
}
