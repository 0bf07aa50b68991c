// Removes what is known at compile time: loops of extent 0 and 1, conditions that hold for every iteration or for none. The
// proof is interval arithmetic over the loop variables' ranges.

import { block, int } from './build.ts'
import type { Expr, Kernel, Stmt } from './ir.ts'
import { mapExpr, mapOnce, substitute } from './walk.ts'

interface Range {
  readonly lo: number
  readonly hi: number
}

type Ranges = ReadonlyMap<string, Range>

/** The values an i32 expression over loop variables can take; undefined where it is not bounded this way. */
function rangeOf(e: Expr, ranges: Ranges): Range | undefined {
  if (e.type.num !== 'i32' || e.type.lanes !== 1) return undefined
  if (e.k === 'const') return { lo: e.value, hi: e.value }
  if (e.k === 'var') return ranges.get(e.name)
  if (e.k !== 'op') return undefined
  const [a, b] = e.args.map((arg) => rangeOf(arg, ranges))
  if (!a || !b) return undefined
  switch (e.op) {
    case 'add':
      return { lo: a.lo + b.lo, hi: a.hi + b.hi }
    case 'sub':
      return { lo: a.lo - b.hi, hi: a.hi - b.lo }
    case 'mul': {
      const corners = [a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi]
      return { lo: Math.min(...corners), hi: Math.max(...corners) }
    }
    case 'min':
      return { lo: Math.min(a.lo, b.lo), hi: Math.min(a.hi, b.hi) }
    case 'max':
      return { lo: Math.max(a.lo, b.lo), hi: Math.max(a.hi, b.hi) }
    default:
      return undefined
  }
}

/** 1 or 0 where a comparison is decided by the ranges of its sides. */
function decide(e: Expr, ranges: Ranges): 0 | 1 | undefined {
  if (e.k !== 'op') return undefined
  const [a, b] = e.args.map((arg) => rangeOf(arg, ranges))
  if (!a || !b) return undefined
  switch (e.op) {
    case 'lt':
      return a.hi < b.lo ? 1 : a.lo >= b.hi ? 0 : undefined
    case 'le':
      return a.hi <= b.lo ? 1 : a.lo > b.hi ? 0 : undefined
    case 'gt':
      return a.lo > b.hi ? 1 : a.hi <= b.lo ? 0 : undefined
    case 'ge':
      return a.lo >= b.hi ? 1 : a.hi < b.lo ? 0 : undefined
    case 'eq':
      return a.lo === a.hi && b.lo === b.hi && a.lo === b.lo ? 1 : a.hi < b.lo || a.lo > b.hi ? 0 : undefined
    default:
      return undefined
  }
}

function truth(e: Expr): boolean | undefined {
  return e.k === 'const' && e.type.num === 'i32' ? e.value !== 0 : undefined
}

const COMPARES: ReadonlySet<string> = new Set(['lt', 'le', 'gt', 'ge', 'eq', 'ne'])

function simplifyExpr(e: Expr, ranges: Ranges): Expr {
  return mapExpr(e, (x) => {
    const decided = decide(x, ranges)
    if (decided !== undefined) return int(decided)
    // `and` is bitwise: dropping a constant 1 is right only beside a comparison.
    if (x.k === 'op' && x.op === 'and' && x.type.num === 'i32' && x.type.lanes === 1) {
      const [a, b] = x.args
      const isFlag = (y: Expr) => y.k === 'op' && (COMPARES.has(y.op) || (y.op === 'and' && y.args.every(isFlag)))
      if (truth(a) === false || truth(b) === false) return int(0)
      if (a.k === 'const' && b.k === 'const') return int(a.value & b.value)
      if (a.k === 'const' && a.value === 1 && isFlag(b)) return b
      if (b.k === 'const' && b.value === 1 && isFlag(a)) return a
    }
    return x
  })
}

function simplifyStmt(s: Stmt, ranges: Ranges): Stmt {
  if (s.s === 'for') {
    if (s.extent === 0) return block()
    if (s.extent === 1) return simplifyStmt(substitute(s.body, new Map([[s.v, int(0)]])), ranges)
    const inner = new Map(ranges).set(s.v, { lo: 0, hi: s.extent - 1 })
    return { ...s, body: simplifyStmt(s.body, inner) }
  }
  if (s.s === 'if') {
    const cond = simplifyExpr(s.cond, ranges)
    const known = truth(cond)
    if (known === true) return simplifyStmt(s.body, ranges)
    if (known === false) return s.else ? simplifyStmt(s.else, ranges) : block()
    return mapOnce(
      { ...s, cond },
      (e) => e,
      (t) => simplifyStmt(t, ranges),
    )
  }
  return mapOnce(
    s,
    (e) => simplifyExpr(e, ranges),
    (t) => simplifyStmt(t, ranges),
  )
}

/** The same program with less in it. */
export function simplify(kernel: Kernel): Kernel {
  return { ...kernel, body: block(simplifyStmt(kernel.body, new Map())) }
}
