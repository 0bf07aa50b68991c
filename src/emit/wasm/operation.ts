// The operations of the loop language as WebAssembly instructions. A first call resolves an operation and its arguments; it
// leaves a closure, which then writes the instructions.

import { bug } from '../../errors.ts'
import type { Expr, OpName, Type } from '../../loops/ir.ts'
import { printExpr, printType } from '../../loops/print.ts'
import type { FuncBody } from './encoder.ts'
import { type Push, rdivpot, rdivpotLanes, requant, requantLanes, srdhm, srdhmLanes } from './fixed.ts'
import type { Instr } from './opcodes.ts'
import { CONVERT, instrOf, isCompare, isShift, type Registers, registers, valType, ZIPS } from './select.ts'

export type Operation = Extract<Expr, { k: 'op' }>
export type Load = Extract<Expr, { k: 'load' }>

/** Which part of its register `part` is. */
export function partOf({ args }: Operation): number {
  return args[1].k === 'const' ? args[1].value : bug('the number of a part is no constant')
}

/** Where an operation stands. */
export interface Context {
  readonly f: FuncBody
  /** Resolves a part. */
  readonly push: (e: Expr) => Push
  /** Resolves a load whose element goes into every lane, where there is an instruction for it. */
  readonly splatted: (e: Load) => Push | undefined
}

const isSimple = (e: Expr): boolean => e.k === 'var' || e.k === 'const'
const isFloat = (r: Registers): boolean => r.startsWith('f')

export function constant(f: FuncBody, type: Type, value: number): void {
  if (type.lanes > 1) bug(`constant of type ${printType(type)}`)
  if (type.num === 'i64') f.i64(BigInt(value))
  else if (type.num === 'f32') f.f32(value)
  else if (type.num === 'f64') f.f64(value)
  else f.i32(value)
}

/** A value that is needed twice: `first` leaves it on the stack, `again` puts it there again. */
function twice(f: FuncBody, e: Expr, push: Push): { first: Push; again: Push; done: Push } {
  if (isSimple(e)) return { first: push, again: push, done: () => {} }
  const local = f.local(valType(e.type))
  const first = () => {
    push()
    f.tee(local)
  }
  return { first, again: () => f.get(local), done: () => f.release(local) }
}

/** A lane count that is one number for all lanes, as i32; undefined where lanes may differ. */
function uniform(e: Expr, { f, push }: Context): Push | undefined {
  if (e.k !== 'op' || e.op !== 'splat') return undefined
  const value = push(e.args[0])
  return () => {
    value()
    if (e.type.num === 'i64') f.op('i32.wrap_i64')
  }
}

/** Applies a scalar instruction to each lane. */
function lanewise(f: FuncBody, scalar: Instr, r: 'i32x4' | 'i64x2', args: readonly Push[]): void {
  const vectors = args.map((push) => {
    const local = f.local('v128')
    push()
    f.set(local)
    return local
  })
  f.v128(Array(16).fill(0))
  for (let lane = 0; lane < (r === 'i32x4' ? 4 : 2); lane++) {
    for (const v of vectors) {
      f.get(v)
      f.op(`${r}.extract_lane`, lane)
    }
    f.op(scalar)
    f.op(`${r}.replace_lane`, lane)
  }
  f.release(...vectors)
}

/** All ones in the lanes where the condition holds. */
function mask(e: Expr, at: Context): Push {
  if (e.k === 'op' && isCompare(e.op)) return compare(e.op, e.args, at)
  const value = at.push(e)
  return () => {
    value()
    at.f.v128(Array(16).fill(0))
    at.f.op('i32x4.ne')
  }
}

function compare(op: OpName, args: readonly Expr[], { f, push }: Context): Push {
  const instr = instrOf(op, registers(args[0].type)) ?? bug(`no ${op} on ${printType(args[0].type)}`)
  const pushes = args.map(push)
  return () => {
    for (const value of pushes) value()
    f.op(instr)
  }
}

/** Puts the operation's result on the stack. */
export function operation(e: Operation, at: Context): Push {
  const { f, push } = at
  const { op, args } = e
  const lanes = e.type.lanes > 1
  const from = registers(args[0].type)
  const compute = (instr: Instr, immediates: readonly number[] = []): Push => {
    const pushes = args.map(push)
    return () => {
      for (const value of pushes) value()
      f.op(instr, ...immediates)
    }
  }
  const fixed = (
    scalar: (f: FuncBody, ...args: [Push, Push]) => void,
    vector: (f: FuncBody, ...args: [Push, Push]) => void,
  ): Push => {
    const [a, b] = args.map(push)
    return () => (lanes ? vector(f, a, b) : scalar(f, a, b))
  }

  const convert = CONVERT[`${op} ${from}`]
  if (convert) return compute(convert)
  switch (op) {
    case 'bits':
    case 'fromBits':
    case 'halves':
    case 'bytes':
      return push(args[0])
    case 'zipLow':
    case 'zipHigh':
      return compute('i8x16.shuffle', ZIPS[`${op} ${from}`])
    case 'part': {
      const [value, k] = [push(args[0]), partOf(e)]
      return () => {
        value()
        f.op(e.type.lanes === 4 ? 'i32x4.extract_lane' : 'i64x2.extract_lane', k)
      }
    }
    case 'splat':
      return splat(e, at)
    case 'sum': {
      const value = push(args[0])
      return () => sum(f, value)
    }
    case 'srdhm':
      return fixed(srdhm, srdhmLanes)
    case 'rdivpot':
      return fixed(rdivpot, rdivpotLanes)
    case 'requant': {
      const [x, m] = args.map(push)
      const one = lanes ? uniform(args[2], at) : undefined
      const s = one ?? push(args[2])
      return () => (lanes ? requantLanes(f, x, m, s, one !== undefined) : requant(f, x, m, s))
    }
    case 'select': {
      const condition = args[0].type.lanes > 1 ? mask(args[0], at) : push(args[0])
      const [a, b] = [push(args[1]), push(args[2])]
      return () => {
        a()
        b()
        condition()
        f.op(args[0].type.lanes > 1 ? 'v128.bitselect' : 'select')
      }
    }
  }
  if (isCompare(op)) {
    const flag = compare(op, args, at)
    if (!lanes) return flag
    return () => {
      flag()
      f.i32(31)
      f.op('i32x4.shr_u')
    }
  }
  if (!lanes && (op === 'min' || op === 'max')) return choose(op, args, at)
  if (!lanes && (op === 'neg' || op === 'abs') && !isFloat(from))
    return (op === 'neg' ? negated : absolute)(args[0], from === 'i64' ? 'i64' : 'i32', at)
  const instr = instrOf(op, from)
  if (lanes && isShift(op)) {
    const count = uniform(args[1], at)
    if (count && instr) {
      const value = push(args[0])
      return () => {
        value()
        count()
        f.op(instr)
      }
    }
  } else if (instr) return compute(instr)
  const scalar = instrOf(op, e.type.num === 'i64' ? 'i64' : 'i32')
  if (scalar && (from === 'i32x4' || from === 'i64x2')) {
    const pushes = args.map(push)
    return () => lanewise(f, scalar, from, pushes)
  }
  return bug(`no ${op} on ${from}: ${printExpr(e)}`)
}

/** Scalar min and max: b < a ? b : a, a < b ? b : a. */
function choose(op: 'min' | 'max', args: readonly Expr[], { f, push }: Context): Push {
  const [a, b] = args.map(push)
  const less = instrOf('lt', registers(args[0].type)) ?? bug('no comparison')
  return () => {
    const [p, q] = [twice(f, args[0], a), twice(f, args[1], b)]
    q.first()
    p.first()
    const order = op === 'min' ? [q, p] : [p, q]
    for (const x of order) x.again()
    f.op(less)
    f.op('select')
    p.done()
    q.done()
  }
}

function negated(e: Expr, r: 'i32' | 'i64', { f, push }: Context): Push {
  const value = push(e)
  return () => {
    constant(f, e.type, 0)
    value()
    f.op(`${r}.sub`)
  }
}

/** (x ^ s) - s, where s is -1 below zero and else 0. */
function absolute(e: Expr, r: 'i32' | 'i64', { f, push }: Context): Push {
  const value = push(e)
  return () => {
    const sign = f.local(r)
    const x = twice(f, e, value)
    x.first()
    x.again()
    constant(f, e.type, r === 'i64' ? 63 : 31)
    f.op(`${r}.shr_s`)
    f.tee(sign)
    f.op(`${r}.xor`)
    f.get(sign)
    f.op(`${r}.sub`)
    x.done()
    f.release(sign)
  }
}

function sum(f: FuncBody, value: Push): void {
  const v = f.local('v128')
  value()
  for (const shuffle of [
    [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7],
    [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11],
  ]) {
    f.tee(v)
    f.get(v)
    f.get(v)
    f.op('i8x16.shuffle', ...shuffle)
    f.op('i32x4.add')
  }
  f.op('i32x4.extract_lane', 0)
  f.release(v)
}

function splat(e: Operation, { f, push, splatted }: Context): Push {
  const value = e.args[0]
  const r = registers(e.type)
  if (r !== 'i16x8' && r !== 'i32x4' && r !== 'i64x2' && r !== 'f32x4') return bug(`splat to ${r}`)
  const loaded = value.k === 'op' && value.op === 'bits' ? value.args[0] : value
  const whole = loaded.k === 'load' && r !== 'i16x8' ? splatted(loaded) : undefined
  if (whole) return whole
  const one = push(value)
  return () => {
    one()
    f.op(`${r}.splat`)
  }
}
