// Checks that a kernel is well formed: names are declared before use and unique, indices have one entry per dimension,
// and the types of every operation, load and store agree. Throws our own fault, naming the kernel and the statement.

import { bug } from '../errors.ts'
import {
  type Buf,
  count,
  type Elem,
  type Expr,
  F32,
  F64,
  I32,
  I64,
  type Kernel,
  type Num,
  type OpName,
  type Stmt,
  type Type,
} from './ir.ts'
import { printExpr, printKernel, printType } from './print.ts'

const LANES: Record<Num, number> = { i8: 16, i16: 8, i32: 4, i64: 2, f32: 4, f64: 0 }
const ARITY: Record<OpName, number> = {
  add: 2,
  sub: 2,
  mul: 2,
  neg: 1,
  wadd: 2,
  wsub: 2,
  wmul: 2,
  div: 2,
  rem: 2,
  abs: 1,
  min: 2,
  max: 2,
  sqrt: 1,
  floor: 1,
  ceil: 1,
  trunc: 1,
  nearest: 1,
  and: 2,
  or: 2,
  xor: 2,
  shl: 2,
  shr: 2,
  ushr: 2,
  eq: 2,
  ne: 2,
  lt: 2,
  le: 2,
  gt: 2,
  ge: 2,
  select: 3,
  clz: 1,
  toF32: 1,
  toF64: 1,
  toI32: 1,
  toI64: 1,
  whole: 1,
  fma: 3,
  extend: 1,
  wrap: 1,
  bits: 1,
  fromBits: 1,
  srdhm: 2,
  rdivpot: 2,
  requant: 3,
  splat: 1,
  sum: 1,
  dot: 2,
  halves: 1,
  bytes: 1,
  zipLow: 2,
  zipHigh: 2,
  narrow: 2,
  narrowU: 2,
  part: 2,
  sxtb16: 1,
  uxtb16: 1,
  smlad: 3,
  quad: 3,
  smmla: 3,
}

const same = (a: Type, b: Type) => a.num === b.num && a.lanes === b.lanes

const fitsInteger = (value: number, bits: number) =>
  Number.isInteger(value) && value >= -(2 ** (bits - 1)) && value < 2 ** (bits - 1)

/** What the registers of one load or store may hold, by the buffer's elements. */
function holds(elem: Elem, type: Type): boolean {
  switch (elem) {
    case 'f16':
      return type.num === 'f32' && type.lanes === 1
    case 'f32':
      return type.num === 'f32'
    case 'f64':
      return type.num === 'f64'
    case 'i64':
      return type.num === 'i64'
    case 'i32':
      return type.num === 'i32'
    default:
      return type.num === 'i32' || (type.num === 'i16' && type.lanes === 8) || (type.num === 'i8' && elem === 'i8')
  }
}

/** The result type of an operation on arguments of these types; undefined where it does not take them. */
function resultOf(op: OpName, t: readonly Type[], wanted: Type): Type | undefined {
  const [a, b, c] = t
  const on = (...nums: Num[]) => (nums.includes(a.num) && t.every((x) => same(x, a)) ? a : undefined)
  const convert = (from: Num, to: Num): Type | undefined => (a.num === from ? { num: to, lanes: a.lanes } : undefined)
  const scalar = (...nums: Num[]) => (a.lanes === 1 ? on(...nums) : undefined)
  switch (op) {
    case 'add':
    case 'sub':
    case 'mul':
    case 'neg':
      return on('i16', 'i32', 'i64', 'f32', 'f64')
    case 'wadd':
    case 'wsub':
    case 'wmul':
    case 'rem':
      return on('i32') ?? scalar('i64')
    case 'clz':
    case 'srdhm':
    case 'rdivpot':
    case 'requant':
      return on('i32')
    case 'sxtb16':
    case 'uxtb16':
    case 'smlad':
    case 'smmla':
      return scalar('i32')
    case 'min':
    case 'max':
      return on('i16', 'i32', 'f32') ?? scalar('i64', 'f64')
    case 'div':
    case 'abs':
      return on('i32', 'f32') ?? scalar('i64', 'f64')
    case 'sqrt':
    case 'floor':
    case 'ceil':
    case 'trunc':
    case 'nearest':
      return on('f32', 'f64')
    case 'and':
    case 'or':
    case 'xor':
    case 'shl':
    case 'shr':
    case 'ushr':
      return on('i32', 'i64')
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return on('i32', 'f32') || scalar('i64', 'f64') ? { num: 'i32', lanes: a.lanes } : undefined
    case 'select':
      return a.num === 'i32' && a.lanes === b.lanes && same(b, c) ? b : undefined
    case 'toF32':
      return convert('i32', 'f32') ?? (scalar('i64', 'f64') && F32)
    case 'toF64':
      return scalar('i32', 'i64', 'f32') && F64
    case 'toI32':
      return convert('f32', 'i32') ?? (scalar('f64') && I32)
    case 'toI64':
      return scalar('f32', 'f64') && I64
    case 'bits':
      if (a.num === 'i16') return { num: 'i32', lanes: 4 }
      if (a.num === 'i8') return a.lanes === 8 ? undefined : { num: 'i32', lanes: a.lanes / 4 }
      return convert('f32', 'i32') ?? (scalar('f64') && I64)
    case 'fromBits':
      return convert('i32', 'f32') ?? (scalar('i64') && F64)
    case 'fma':
      return a.lanes === 4 ? on('f32') : undefined
    case 'whole':
      return a.lanes === 4 ? convert('f32', 'i32') : undefined
    case 'extend':
      return a.lanes === 1 ? convert('i32', 'i64') : undefined
    case 'wrap':
      return a.lanes === 1 ? convert('i64', 'i32') : undefined
    case 'splat': {
      const from = wanted.num === 'i16' ? 'i32' : wanted.num
      return a.lanes === 1 && a.num === from && wanted.lanes === LANES[wanted.num] ? wanted : undefined
    }
    case 'sum':
      return a.num === 'i32' && a.lanes === 4 ? I32 : undefined
    case 'quad':
      return a.lanes === 4 ? on('i32') : undefined
    case 'dot':
      return on('i16') && { num: 'i32', lanes: 4 }
    case 'zipLow':
    case 'zipHigh':
      return on('i8', 'i16')
    case 'halves':
    case 'narrow':
      return a.lanes === 4 && on('i32') ? { num: 'i16', lanes: 8 } : undefined
    case 'bytes':
      return a.lanes === 4 && on('i32') ? { num: 'i8', lanes: 16 } : undefined
    case 'narrowU':
      return on('i16') && { num: 'i8', lanes: 16 }
    case 'part':
      return a.num === 'i8' && a.lanes === 16 && wanted.num === 'i8' && wanted.lanes < 16 ? wanted : undefined
  }
}

/** Throws where the kernel breaks a rule of the loop language. */
export function validate(kernel: Kernel): void {
  const fail = (what: string): never => bug(`kernel ${kernel.name}: ${what}\n${printKernel(kernel)}\n`)
  const bufs = new Map<string, Buf>()
  const scope = new Map<string, { type: Type; fixed: boolean }>()
  const taken = new Set<string>()

  const take = (name: string) => {
    if (taken.has(name)) fail(`the name ${name} is declared twice`)
    taken.add(name)
  }
  const extent = (n: number, of: string) => {
    if (!Number.isInteger(n) || n < 0) fail(`${of} is ${n}, expects a whole number`)
  }
  const known = (type: Type, e: Expr) => {
    const scalar = type.lanes === 1 && type.num !== 'i16' && type.num !== 'i8'
    const part = type.num === 'i8' && (type.lanes === 4 || type.lanes === 8)
    if (!scalar && !part && type.lanes !== LANES[type.num])
      fail(`${printExpr(e)} has no register type ${printType(type)}`)
  }

  const access = (name: string, at: readonly Expr[], type: Type, whole: string): Buf => {
    const buf = bufs.get(name) ?? fail(`${whole}: no buffer ${name}`)
    if (at.length !== buf.shape.length)
      fail(`${whole}: ${at.length} indices, ${name} has ${buf.shape.length} dimensions`)
    for (const index of at)
      if (!same(check(index), I32)) fail(`${whole}: index ${printExpr(index)} is ${printType(index.type)}, expects i32`)
    if (!holds(buf.elem, type)) fail(`${whole}: ${printType(type)} with a buffer of ${buf.elem}`)
    if (type.lanes > 1 && at.length === 0) fail(`${whole}: lanes need a dimension`)
    return buf
  }

  const check = (e: Expr): Type => {
    known(e.type, e)
    switch (e.k) {
      case 'const': {
        if (e.type.lanes !== 1) fail(`the constant ${e.value} has ${e.type.lanes} lanes, expects a splat`)
        if (e.type.num === 'f32') {
          if (!Object.is(Math.fround(e.value), e.value)) fail(`the constant ${e.value} is no float32`)
        } else if (e.type.num !== 'f64' && !fitsInteger(e.value, e.type.num === 'i64' ? 64 : 32))
          fail(`the constant ${e.value} is no ${e.type.num}`)
        return e.type
      }
      case 'var': {
        const register = scope.get(e.name) ?? fail(`${e.name} is read where it is not declared`)
        if (!same(register.type, e.type))
          fail(`${e.name} is declared ${printType(register.type)} and read as ${printType(e.type)}`)
        return e.type
      }
      case 'load':
        access(e.buf, e.at, e.type, printExpr(e))
        return e.type
      case 'op': {
        const types = e.args.map(check)
        if (types.length !== ARITY[e.op]) fail(`${printExpr(e)}: ${types.length} arguments, expects ${ARITY[e.op]}`)
        const result = resultOf(e.op, types, e.type)
        if (!result) return fail(`${printExpr(e)}: ${e.op} does not take (${types.map(printType).join(', ')})`)
        if (!same(result, e.type)) fail(`${printExpr(e)} is ${printType(result)}, marked ${printType(e.type)}`)
        return result
      }
    }
  }

  const scoped = (s: Stmt) => {
    const before = [...scope.keys()]
    run(s)
    const keep = new Set(before)
    for (const name of [...scope.keys()]) if (!keep.has(name)) scope.delete(name)
  }

  const run = (s: Stmt): void => {
    switch (s.s) {
      case 'block':
        for (const t of s.body) t.s === 'block' ? scoped(t) : run(t)
        break
      case 'for':
        take(s.v)
        extent(s.extent, `the extent of ${s.v}`)
        scope.set(s.v, { type: I32, fixed: true })
        scoped(s.body)
        scope.delete(s.v)
        break
      case 'let': {
        const type = check(s.value)
        take(s.name)
        scope.set(s.name, { type, fixed: false })
        break
      }
      case 'set': {
        const register = scope.get(s.name) ?? fail(`${s.name} is set where it is not declared`)
        if (register.fixed) fail(`the loop variable ${s.name} is set`)
        const type = check(s.value)
        if (!same(type, register.type))
          fail(`${s.name} is ${printType(register.type)}, set to ${printType(type)} ${printExpr(s.value)}`)
        break
      }
      case 'store': {
        const whole = `store ${s.buf}[${s.at.map(printExpr).join(', ')}]`
        const buf = access(s.buf, s.at, check(s.value), whole)
        if (buf.access === 'read') fail(`${whole}: ${s.buf} may only be read`)
        break
      }
      case 'if':
        if (!same(check(s.cond), I32))
          fail(`if ${printExpr(s.cond)}: condition is ${printType(s.cond.type)}, expects i32`)
        scoped(s.body)
        if (s.else) scoped(s.else)
        break
      case 'asm':
        for (const arg of s.args) check(arg)
        scoped(s.means)
        break
    }
  }

  for (const buf of kernel.bufs) {
    take(buf.name)
    for (const d of buf.shape) extent(d, `a dimension of ${buf.name}`)
    if (!Number.isSafeInteger(count(buf.shape))) fail(`${buf.name} is too large`)
    bufs.set(buf.name, buf)
  }
  scoped(kernel.body)
}
