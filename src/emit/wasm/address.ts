// Turns index expressions into walking pointers: each distinct (buffer, affine form over loop variables) becomes a local
// that is stepped at the end of a loop's iterations, so that the body only adds constants, which the memory instructions do.

import { bug } from '../../errors.ts'
import { type Buf, type Expr, elemBytes } from '../../loops/ir.ts'
import { printExpr } from '../../loops/print.ts'

/** A loop, or (without `parent`) the kernel itself. */
export interface Loop {
  readonly parent?: Loop
  readonly depth: number
  readonly id: number
  readonly extent: number
  /** Pointers that start at this loop's entry. */
  readonly pointers: Pointer[]
  /** Pointers from outside that the body reads as they are. */
  readonly through: Set<Pointer>
  /** The loop variable's value is needed, not only addresses made of it. */
  counted: boolean
}

export function newLoop(id: number, extent: number, parent?: Loop): Loop {
  const depth = parent ? parent.depth + 1 : 0
  return { id, extent, parent, depth, pointers: [], through: new Set(), counted: false }
}

/** What a name stands for: a loop variable or a register. */
export type Binding =
  | { readonly is: 'loop'; readonly loop: Loop; local?: number }
  | {
      readonly is: 'register'
      readonly loop: Loop
      readonly mutable: boolean
      /** The value as an affine form, where it has one. */
      readonly form?: Form
      readonly range: Range
      used: boolean
      local?: number
    }

export type Scope = ReadonlyMap<string, Binding>

/** A part of an address that is not affine in loop variables. */
export interface Atom {
  readonly expr: Expr
  readonly scope: Scope
  readonly coef: number
  /** The innermost loop it depends on; undefined where it must be evaluated at the access. */
  readonly home?: Loop
}

/** constant + sum of coefficient * loop variable + sum of atoms. */
export interface Form {
  readonly constant: number
  readonly loops: ReadonlyMap<Loop, number>
  readonly atoms: ReadonlyMap<string, Atom>
}

export interface Pointer {
  readonly parent?: Pointer
  /** Tells pointers of one parent and one loop apart. */
  readonly key: string
  /** Bytes from one iteration to the next of the loop that owns it. */
  readonly step: number
  /** Added to the parent's value at the loop's entry. */
  readonly atoms: readonly Atom[]
  /** The least value relative to the buffer's start, -Infinity where unknown. */
  readonly low: number
  /** The least constant that accesses add to it, or 0: kept in the local itself. */
  base: number
  /** Walks the parent's local, and takes the steps back at the loop's exit. */
  inPlace: boolean
  local?: number
}

const CONST = (constant: number): Form => ({ constant, loops: new Map(), atoms: new Map() })

function combine(a: Form, b: Form, sign: number): Form {
  const loops = new Map(a.loops)
  for (const [loop, c] of b.loops) {
    const sum = (loops.get(loop) ?? 0) + sign * c
    if (sum === 0) loops.delete(loop)
    else loops.set(loop, sum)
  }
  const atoms = new Map(a.atoms)
  for (const [key, atom] of b.atoms) {
    const sum = (atoms.get(key)?.coef ?? 0) + sign * atom.coef
    if (sum === 0) atoms.delete(key)
    else atoms.set(key, { ...atom, coef: sum })
  }
  return { constant: a.constant + sign * b.constant, loops, atoms }
}

function scale(a: Form, by: number): Form {
  if (by === 0) return CONST(0)
  return {
    constant: a.constant * by,
    loops: new Map([...a.loops].map(([l, c]) => [l, c * by])),
    atoms: new Map([...a.atoms].map(([k, t]) => [k, { ...t, coef: t.coef * by }])),
  }
}

function asConstant(f: Form): number | undefined {
  return f.loops.size === 0 && f.atoms.size === 0 ? f.constant : undefined
}

export function lookup(scope: Scope, name: string): Binding {
  return scope.get(name) ?? bug(`kernel reads "${name}" before it is declared`)
}

/** The innermost loop that a pure expression depends on; undefined where it reads memory, changes, or may trap. */
function homeOf(e: Expr, scope: Scope, root: Loop): Loop | undefined {
  switch (e.k) {
    case 'const':
      return root
    case 'var': {
      const b = lookup(scope, e.name)
      return b.is === 'register' && b.mutable ? undefined : b.loop
    }
    case 'load':
      return undefined
    case 'op': {
      if (e.op === 'div' || e.op === 'rem') {
        const divisor = e.args[1]
        if ((e.type.num === 'i32' || e.type.num === 'i64') && !(divisor.k === 'const' && divisor.value > 0))
          return undefined
      }
      let home = root
      for (const a of e.args) {
        const h = homeOf(a, scope, root)
        if (!h) return undefined
        if (h.depth > home.depth) home = h
      }
      return home
    }
  }
}

/** An i32 index expression as an affine form; what is not affine becomes an atom. */
export function formOf(e: Expr, scope: Scope, root: Loop): Form {
  if (e.k === 'const') return CONST(e.value)
  if (e.k === 'var') {
    const b = lookup(scope, e.name)
    if (b.is === 'loop') return { constant: 0, loops: new Map([[b.loop, 1]]), atoms: new Map() }
    if (b.form) return b.form
  }
  if (e.k === 'op' && e.type.num === 'i32') {
    const side = (i: number) => formOf(e.args[i], scope, root)
    switch (e.op) {
      case 'add':
      case 'wadd':
        return combine(side(0), side(1), 1)
      case 'sub':
      case 'wsub':
        return combine(side(0), side(1), -1)
      case 'neg':
        return scale(side(0), -1)
      case 'mul':
      case 'wmul': {
        const [a, b] = [side(0), side(1)]
        const [p, q] = [asConstant(a), asConstant(b)]
        if (q !== undefined) return scale(a, q)
        if (p !== undefined) return scale(b, p)
        break
      }
      case 'shl': {
        const q = asConstant(side(1))
        if (q !== undefined && q >= 0 && q < 31) return scale(side(0), 2 ** q)
        break
      }
    }
  }
  const home = homeOf(e, scope, root)
  const key = `${home?.id ?? 'here'}:${printExpr(e)}`
  return { constant: 0, loops: new Map(), atoms: new Map([[key, { expr: e, scope, coef: 1, home }]]) }
}

/** The form of a register that addresses may look through: affine in loop variables and other registers. */
export function registerForm(e: Expr, scope: Scope, root: Loop): Form | undefined {
  if (e.type.num !== 'i32' || e.type.lanes !== 1) return undefined
  const form = formOf(e, scope, root)
  return [...form.atoms.values()].every((a) => a.expr.k === 'var' && a.home) ? form : undefined
}

/** Byte offset of an access from its buffer's start. */
export function offsetOf(buf: Buf, at: readonly Expr[], scope: Scope, root: Loop): Form {
  if (at.length !== buf.shape.length) bug(`"${buf.name}" has ${buf.shape.length} dimensions, access has ${at.length}`)
  let form = CONST(0)
  for (const [d, e] of at.entries()) form = combine(scale(form, buf.shape[d]), formOf(e, scope, root), 1)
  return scale(form, elemBytes(buf.elem))
}

/** Least and greatest value. */
export type Range = readonly [number, number]
export const ANY: Range = [-Infinity, Infinity]

/** Bounds of an i32 expression. */
export function rangeOf(e: Expr, scope: Scope): Range {
  if (e.type.num !== 'i32' || e.type.lanes !== 1) return ANY
  if (e.k === 'const') return [e.value, e.value]
  if (e.k === 'var') {
    const b = lookup(scope, e.name)
    return b.is === 'loop' ? [0, b.loop.extent - 1] : b.mutable ? ANY : b.range
  }
  if (e.k === 'load') return ANY
  const side = (i: number) => rangeOf(e.args[i], scope)
  const product = (x: number, y: number) => (x === 0 || y === 0 ? 0 : x * y)
  switch (e.op) {
    case 'add': {
      const [a, b] = [side(0), side(1)]
      return [a[0] + b[0], a[1] + b[1]]
    }
    case 'sub': {
      const [a, b] = [side(0), side(1)]
      return [a[0] - b[1], a[1] - b[0]]
    }
    case 'mul': {
      const [a, b] = [side(0), side(1)]
      const corners = [product(a[0], b[0]), product(a[0], b[1]), product(a[1], b[0]), product(a[1], b[1])]
      return [Math.min(...corners), Math.max(...corners)]
    }
    case 'min': {
      const [a, b] = [side(0), side(1)]
      return [Math.min(a[0], b[0]), Math.min(a[1], b[1])]
    }
    case 'max': {
      const [a, b] = [side(0), side(1)]
      return [Math.max(a[0], b[0]), Math.max(a[1], b[1])]
    }
    case 'select': {
      const [a, b] = [side(1), side(2)]
      return [Math.min(a[0], b[0]), Math.max(a[1], b[1])]
    }
    case 'div':
    case 'rem':
    case 'shr': {
      const [a, b] = [side(0), side(1)]
      return a[0] >= 0 && b[0] >= 0 ? [0, a[1]] : ANY
    }
    default:
      return ANY
  }
}

export function atomLow(atom: Atom): number {
  const [lo, hi] = rangeOf(atom.expr, atom.scope)
  return atom.coef >= 0 ? atom.coef * lo : atom.coef * hi
}

/** The pointer that, in the body of `loop`, holds buffer start + loop part + atoms from outside `loop`. Makes those missing. */
export function pointerIn(loop: Loop, buffer: Pointer, form: Form): Pointer {
  if (!loop.parent) return buffer
  const outside = loop.parent
  const step = form.loops.get(loop) ?? 0
  const atoms = [...form.atoms].filter(([, a]) => a.home === outside)
  const parent = pointerIn(outside, buffer, form)
  if (step === 0 && atoms.length === 0) {
    loop.through.add(parent)
    return parent
  }
  const key = [step, ...atoms.map(([k, a]) => `${a.coef}*${k}`)].join('+')
  const known = loop.pointers.find((p) => p.parent === parent && p.key === key)
  if (known) return known
  const own = atoms.map(([, a]) => a)
  const low = parent.low + Math.min(0, step * (loop.extent - 1)) + own.reduce((n, a) => n + atomLow(a), 0)
  const made: Pointer = { parent, key, step, atoms: own, low, base: 0, inPlace: false }
  loop.pointers.push(made)
  return made
}

/** The pointer whose local this one uses. */
export function ownerOf(p: Pointer): Pointer {
  return p.inPlace && p.parent ? ownerOf(p.parent) : p
}

/** Decides which pointers walk their parent's local: those that nothing else in the loop needs where it was. Outer loops first. */
export function settle(loop: Loop): void {
  for (const p of loop.pointers)
    p.inPlace =
      p.atoms.length === 0 &&
      p.parent !== undefined &&
      !loop.through.has(p.parent) &&
      loop.pointers.every((q) => q === p || q.parent !== p.parent)
}
