// Short constructors for the loop language. Integer index arithmetic on constants folds as it is built, so that
// `add(mul(v, 1), 0)` is `v` and two ways of writing one address print alike.

import {
  type Buf,
  type Elem,
  type Expr,
  F32,
  F64,
  I8X16,
  I16X8,
  I32,
  I32X4,
  I64,
  type Kernel,
  type OpName,
  registerOf,
  type Stmt,
  type Type,
} from './ir.ts'

/** A number stands for an i32 constant wherever an expression is wanted. */
export type E = Expr | number

const COMPARES = new Set<OpName>(['eq', 'ne', 'lt', 'le', 'gt', 'ge'])

export function int(value: number): Expr {
  return { k: 'const', type: I32, value }
}

export function long(value: number): Expr {
  return { k: 'const', type: I64, value }
}

/** An f32 constant: `value` is rounded to float32. */
export function float(value: number): Expr {
  return { k: 'const', type: F32, value: Math.fround(value) }
}

export function double(value: number): Expr {
  return { k: 'const', type: F64, value }
}

/** A constant for a register of this type, which has one lane. */
export function constantOf({ num }: Type, value: number): Expr {
  return num === 'f32' ? float(value) : num === 'f64' ? double(value) : num === 'i64' ? long(value) : int(value)
}

export function expr(e: E): Expr {
  return typeof e === 'number' ? int(e) : e
}

export function ref(name: string, type: Type = I32): Expr {
  return { k: 'var', name, type }
}

function constant(e: Expr): number | undefined {
  return e.k === 'const' && e.type.num === 'i32' && e.type.lanes === 1 ? e.value : undefined
}

function resultType(name: OpName, args: readonly Expr[]): Type {
  const first = args[0].type
  if (COMPARES.has(name)) return { num: 'i32', lanes: first.lanes }
  switch (name) {
    case 'select':
      return args[1].type
    case 'toF32':
      return { num: 'f32', lanes: first.lanes }
    case 'toF64':
      return { num: 'f64', lanes: first.lanes }
    case 'fromBits':
      return { num: first.num === 'i64' ? 'f64' : 'f32', lanes: first.lanes }
    case 'toI32':
    case 'whole':
      return { num: 'i32', lanes: first.lanes }
    case 'bits':
      if (first.num === 'i16' || first.num === 'i8') return first.lanes === 4 ? I32 : I32X4
      return { num: first.num === 'f64' ? 'i64' : 'i32', lanes: first.lanes }
    case 'bytes':
    case 'narrowU':
      return I8X16
    case 'halves':
    case 'narrow':
      return I16X8
    case 'extend':
    case 'toI64':
      return { num: 'i64', lanes: first.lanes }
    case 'wrap':
      return { num: 'i32', lanes: first.lanes }
    case 'sum':
      return { num: first.num, lanes: 1 }
    case 'dot':
      return { num: 'i32', lanes: first.lanes / 2 }
    default:
      return first
  }
}

/** Any operation; the named ones below are shorter. `splat` has its own constructor because it needs the lanes. */
export function op(name: OpName, ...args: E[]): Expr {
  const a = args.map(expr)
  return { k: 'op', op: name, args: a, type: resultType(name, a) }
}

export function add(a: E, b: E): Expr {
  const [x, y] = [expr(a), expr(b)]
  const [p, q] = [constant(x), constant(y)]
  if (p !== undefined && q !== undefined) return int(p + q)
  if (p === 0) return y
  if (q === 0) return x
  if (p !== undefined) return add(y, x)
  if (q !== undefined && x.k === 'op' && x.op === 'add') {
    const inner = constant(x.args[1])
    if (inner !== undefined) return add(x.args[0], inner + q)
  }
  return op('add', x, y)
}

export function sub(a: E, b: E): Expr {
  const q = constant(expr(b))
  return q !== undefined ? add(a, -q) : op('sub', a, b)
}

export function mul(a: E, b: E): Expr {
  const [x, y] = [expr(a), expr(b)]
  const [p, q] = [constant(x), constant(y)]
  if (p !== undefined && q !== undefined) return int(p * q)
  if (p === 1) return y
  if (q === 1) return x
  if (p === 0 || q === 0) return int(0)
  if (p !== undefined) return op('mul', y, x)
  return op('mul', x, y)
}

export const min = (a: E, b: E): Expr => op('min', a, b)
export const max = (a: E, b: E): Expr => op('max', a, b)
export const clamp = (x: E, lo: E, hi: E): Expr => min(max(x, lo), hi)
export const lt = (a: E, b: E): Expr => op('lt', a, b)
export const ge = (a: E, b: E): Expr => op('ge', a, b)
export const and = (a: E, b: E): Expr => op('and', a, b)
export const select = (cond: E, a: E, b: E): Expr => op('select', cond, a, b)
export const requant = (x: E, multiplier: E, shift: E): Expr => op('requant', x, multiplier, shift)

export function splat(a: E, lanes: number): Expr {
  const x = expr(a)
  return { k: 'op', op: 'splat', args: [x], type: { num: x.type.num, lanes } }
}

/** The `k`-th part of 16 bytes. */
export function part(a: Expr, lanes: 4 | 8, k: number): Expr {
  return { k: 'op', op: 'part', args: [a, int(k)], type: { num: 'i8', lanes } }
}

/** One element, widened to its register type. */
export function load(buf: Buf, ...at: E[]): Expr {
  return { k: 'load', buf: buf.name, at: at.map(expr), type: registerOf(buf.elem) }
}

/** `type.lanes` consecutive elements from `at`, widened to `type`. */
export function loadLanes(buf: Buf, type: Type, ...at: E[]): Expr {
  return { k: 'load', buf: buf.name, at: at.map(expr), type }
}

export function store(buf: Buf, at: readonly E[], value: E): Stmt {
  return { s: 'store', buf: buf.name, at: at.map(expr), value: expr(value) }
}

export function block(...body: Stmt[]): Stmt {
  const flat = body.flatMap((s) => (s.s === 'block' ? s.body : [s]))
  return flat.length === 1 ? flat[0] : { s: 'block', body: flat }
}

/** `for v in 0..extent`. The body is given the loop variable. Extent 1 keeps the loop: schedules and readers know it by name. */
export function loop(v: string, extent: number, body: (v: Expr) => Stmt | Stmt[]): Stmt {
  return { s: 'for', v, extent, body: block(...[body(ref(v))].flat()) }
}

/** A loop whose iterations are independent. */
export function parallel(v: string, extent: number, body: (v: Expr) => Stmt | Stmt[]): Stmt {
  return { s: 'for', v, extent, parallel: true, body: block(...[body(ref(v))].flat()) }
}

/** Nested parallel loops over `shape`, one name for each dimension. */
export function loops(names: readonly string[], shape: readonly number[], body: (...v: Expr[]) => Stmt | Stmt[]): Stmt {
  const nest = (d: number, at: Expr[]): Stmt | Stmt[] =>
    d === shape.length ? body(...at) : parallel(names[d], shape[d], (v) => nest(d + 1, [...at, v]))
  return block(...[nest(0, [])].flat())
}

/** Declares a register and hands back the statement and the reference to it. */
export function declare(name: string, value: E): [Stmt, Expr] {
  const v = expr(value)
  return [{ s: 'let', name, value: v }, ref(name, v.type)]
}

export function set(register: Expr, value: E): Stmt {
  if (register.k !== 'var') throw new TypeError('set: not a register')
  return { s: 'set', name: register.name, value: expr(value) }
}

export function when(cond: Expr, body: Stmt | Stmt[], otherwise?: Stmt | Stmt[]): Stmt {
  const s = { s: 'if' as const, cond, body: block(...[body].flat()) }
  return otherwise === undefined ? s : { ...s, else: block(...[otherwise].flat()) }
}

export function buffer(name: string, elem: Elem, shape: readonly number[], access: Buf['access'] = 'read'): Buf {
  return { name, elem, shape, access }
}

export function kernel(name: string, bufs: readonly Buf[], ...body: Stmt[]): Kernel {
  return { name, bufs, body: block(...body) }
}
