// Visiting and rebuilding the trees of the loop language. Rebuilding shares every part that did not change, and folds
// index arithmetic again where it did.

import { bug } from '../errors.ts'
import { add, block, mul, sub } from './build.ts'
import type { Expr, Kernel, Stmt } from './ir.ts'

export type For = Extract<Stmt, { s: 'for' }>
export type Store = Extract<Stmt, { s: 'store' }>

/** The direct parts of an expression. */
export function parts(e: Expr): readonly Expr[] {
  return e.k === 'load' ? e.at : e.k === 'op' ? e.args : []
}

/** The expressions that a statement evaluates itself, not those of statements inside it. */
export function exprs(s: Stmt): readonly Expr[] {
  switch (s.s) {
    case 'let':
    case 'set':
      return [s.value]
    case 'store':
      return [...s.at, s.value]
    case 'if':
      return [s.cond]
    case 'asm':
      return s.args
    default:
      return []
  }
}

/** The statements directly inside a statement. */
export function inside(s: Stmt): readonly Stmt[] {
  switch (s.s) {
    case 'block':
      return s.body
    case 'for':
      return [s.body]
    case 'if':
      return s.else ? [s.body, s.else] : [s.body]
    case 'asm':
      return [s.means]
    default:
      return []
  }
}

/** Calls `f` on the expression and everything in it, outermost first. */
export function visitExpr(e: Expr, f: (e: Expr) => void): void {
  f(e)
  for (const part of parts(e)) visitExpr(part, f)
}

/** Calls `onStmt` on the statement and everything in it, outermost first, and `onExpr` on every expression of those. */
export function visit(s: Stmt, onStmt: (s: Stmt) => void, onExpr?: (e: Expr) => void): void {
  onStmt(s)
  if (onExpr) for (const e of exprs(s)) visitExpr(e, onExpr)
  for (const t of inside(s)) visit(t, onStmt, onExpr)
}

/** Whether `test` holds for some part of the expression. */
export function someExpr(e: Expr, test: (e: Expr) => boolean): boolean {
  return test(e) || parts(e).some((part) => someExpr(part, test))
}

/** Whether `test` holds for some statement in `s`, itself included. */
export function someStmt(s: Stmt, test: (s: Stmt) => boolean): boolean {
  return test(s) || inside(s).some((t) => someStmt(t, test))
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.every((x, i) => x === b[i])
}

function withParts(e: Expr, to: readonly Expr[]): Expr {
  if (sameItems(parts(e), to)) return e
  if (e.k === 'load') return { ...e, at: to }
  if (e.k !== 'op') return e
  if (e.type.num === 'i32' && e.type.lanes === 1) {
    if (e.op === 'add') return add(to[0], to[1])
    if (e.op === 'sub') return sub(to[0], to[1])
    if (e.op === 'mul') return mul(to[0], to[1])
  }
  return { ...e, args: to }
}

/** Replaces parts bottom-up: `f` sees each part after its own parts were replaced. */
export function mapExpr(e: Expr, f: (e: Expr) => Expr): Expr {
  return f(
    withParts(
      e,
      parts(e).map((part) => mapExpr(part, f)),
    ),
  )
}

/** The statement with its own expressions mapped by `f` and the statements directly inside it by `g`. */
export function mapOnce(s: Stmt, f: (e: Expr) => Expr, g: (s: Stmt) => Stmt): Stmt {
  switch (s.s) {
    case 'block': {
      const body = s.body.map(g)
      return sameItems(s.body, body) ? s : block(...body)
    }
    case 'for': {
      const body = g(s.body)
      return body === s.body ? s : { ...s, body }
    }
    case 'let':
    case 'set': {
      const value = f(s.value)
      return value === s.value ? s : { ...s, value }
    }
    case 'store': {
      const at = s.at.map(f)
      const value = f(s.value)
      return value === s.value && sameItems(s.at, at) ? s : { ...s, at, value }
    }
    case 'if': {
      const cond = f(s.cond)
      const body = g(s.body)
      const otherwise = s.else && g(s.else)
      if (cond === s.cond && body === s.body && otherwise === s.else) return s
      return otherwise ? { s: 'if', cond, body, else: otherwise } : { s: 'if', cond, body }
    }
    case 'asm': {
      const args = s.args.map(f)
      const means = g(s.means)
      return means === s.means && sameItems(s.args, args) ? s : { ...s, means, args }
    }
  }
}

/** Replaces bottom-up: `onExpr` on every part of every expression, `onStmt` on every statement whose inside is done. */
export function mapStmt(s: Stmt, onExpr: (e: Expr) => Expr, onStmt: (s: Stmt) => Stmt = (t) => t): Stmt {
  return onStmt(
    mapOnce(
      s,
      (e) => mapExpr(e, onExpr),
      (t) => mapStmt(t, onExpr, onStmt),
    ),
  )
}

/** Replaces reads of registers and loop variables by expressions. */
export function substituteExpr(e: Expr, to: ReadonlyMap<string, Expr>): Expr {
  return mapExpr(e, (x) => (x.k === 'var' ? (to.get(x.name) ?? x) : x))
}

/** Replaces reads of registers and loop variables by expressions; declarations and `set` keep their names. */
export function substitute(s: Stmt, to: ReadonlyMap<string, Expr>): Stmt {
  return mapStmt(s, (x) => (x.k === 'var' ? (to.get(x.name) ?? x) : x))
}

/** Renames registers and loop variables everywhere: declarations, writes and reads. */
export function rename(s: Stmt, to: ReadonlyMap<string, string>): Stmt {
  const of = (name: string) => to.get(name) ?? name
  return mapStmt(
    s,
    (e) => (e.k === 'var' && to.has(e.name) ? { ...e, name: of(e.name) } : e),
    (t) => {
      if (t.s === 'for') return to.has(t.v) ? { ...t, v: of(t.v) } : t
      if (t.s === 'let' || t.s === 'set') return to.has(t.name) ? { ...t, name: of(t.name) } : t
      return t
    },
  )
}

/** Names of registers and loop variables that `s` declares, in order. */
export function declared(s: Stmt): string[] {
  const names: string[] = []
  visit(s, (t) => {
    if (t.s === 'for') names.push(t.v)
    if (t.s === 'let') names.push(t.name)
  })
  return names
}

/** Names of registers that `s` writes after their declaration. */
export function written(s: Stmt): Set<string> {
  const names = new Set<string>()
  visit(s, (t) => {
    if (t.s === 'set') names.add(t.name)
  })
  return names
}

/** Names of buffers that `s` stores into. */
export function stored(s: Stmt): Set<string> {
  const names = new Set<string>()
  visit(s, (t) => {
    if (t.s === 'store') names.add(t.buf)
  })
  return names
}

/** Whether `e` reads one of the registers or loop variables `names`. */
export function reads(e: Expr, names: ReadonlySet<string>): boolean {
  return someExpr(e, (x) => x.k === 'var' && names.has(x.name))
}

/** Names of all loops of a kernel, outermost and first ones first. */
export function loopNames(kernel: Kernel): string[] {
  const names: string[] = []
  visit(kernel.body, (t) => {
    if (t.s === 'for') names.push(t.v)
  })
  return names
}

/** The loop over `v`, or undefined. */
export function findLoop(kernel: Kernel, v: string): For | undefined {
  let found: For | undefined
  visit(kernel.body, (t) => {
    if (t.s === 'for' && t.v === v) found ??= t
  })
  return found
}

/** The statements from the kernel's body down to the loop over `v`, both included; empty where there is no such loop. */
export function pathTo(kernel: Kernel, v: string): Stmt[] {
  const down = (s: Stmt): Stmt[] => {
    if (s.s === 'for' && s.v === v) return [s]
    for (const t of inside(s)) {
      const path = down(t)
      if (path.length) return [s, ...path]
    }
    return []
  }
  return down(kernel.body)
}

/** The kernel with one statement, found by identity, replaced. */
export function replace(kernel: Kernel, from: Stmt, to: Stmt): Kernel {
  let done = 0
  const go = (s: Stmt): Stmt => {
    if (s === from) {
      done++
      return to
    }
    return mapOnce(s, (e) => e, go)
  }
  const body = go(kernel.body)
  if (done !== 1) bug(`kernel ${kernel.name}: ${done} places to replace one statement`)
  return { ...kernel, body: block(body) }
}

/** Hands out names that no buffer, register or loop of the kernel has, each once: `base`, or `base_2`, `base_3`, … */
export function namer(kernel: Kernel): (base: string) => string {
  const taken = new Set([...kernel.bufs.map((b) => b.name), ...declared(kernel.body)])
  return (base) => {
    let name = base
    for (let n = 2; taken.has(name); n++) name = `${base}_${n}`
    taken.add(name)
    return name
  }
}
