// How many instructions a plan's loops take on a 32-bit core with a float unit, counted off the loops: an estimate, for plans
// that nobody has built. What was measured comes from an emulator.

import type { Expr, Kernel, Stmt } from '../loops/ir.ts'
import { exprs, parts } from '../loops/walk.ts'
import type { Plan } from '../plan/plan.ts'

/** Instructions of operators that are no single one. */
const WORK: Readonly<Record<string, number>> = {
  ...{ requant: 8, srdhm: 4, rdivpot: 4, clamp: 2, min: 2, max: 2, select: 2, div: 8, nearest: 4, floor: 3, sqrt: 14 },
}
/** A routine's share of what the loops that it stands for would take: several sums in registers, two products at once. */
const ROUTINE = 0.2
/** Of a pass through a loop. */
const LOOP = 1
/** The share of index arithmetic that is left where addresses move with the loops. */
const INDEX = 0.1

function ofExpr(e: Expr): number {
  if (e.k === 'const' || e.k === 'var') return 0
  const inner = parts(e).reduce((n, part) => n + ofExpr(part), 0)
  if (e.k === 'load') return 1 + INDEX * inner
  const accumulates = e.op === 'add' && e.args.some((a) => a.k === 'op' && a.op === 'mul')
  return inner + (accumulates ? 0 : (WORK[e.op] ?? 1))
}

function ofStmt(s: Stmt): number {
  const own = exprs(s).reduce((n, e) => n + ofExpr(e), 0)
  switch (s.s) {
    case 'block':
      return s.body.reduce((n, t) => n + ofStmt(t), 0)
    case 'for':
      return s.extent * (ofStmt(s.body) + LOOP)
    case 'if':
      return own + 1 + ofStmt(s.body) * (s.else ? 0.5 : 1) + (s.else ? ofStmt(s.else) * 0.5 : 0)
    case 'asm':
      return 20 + ROUTINE * ofStmt(s.means)
    case 'store':
      return own + 1
    default:
      return own
  }
}

/** The instructions of one run, estimated. */
export function estimatedInstructions({ steps }: Plan): number {
  const known = new Map<Kernel, number>()
  return steps.reduce((sum, { call: { kernel } }) => {
    const n = known.get(kernel) ?? ofStmt(kernel.body) + 20
    known.set(kernel, n)
    return sum + n
  }, 0)
}
