// Common subexpressions: what one stretch of statements computes twice, it computes once, in a register.

import { block, ref } from './build.ts'
import type { Expr, Kernel, Stmt } from './ir.ts'
import { printExpr } from './print.ts'
import { exprs, mapOnce, namer, parts, someExpr, stored, written } from './walk.ts'

/** Expressions that contain a load are worth a register; index arithmetic is the printers' to share. */
function worth(e: Expr): boolean {
  return e.k !== 'const' && e.k !== 'var' && someExpr(e, (x) => x.k === 'load')
}

/**
 * Gives a register to each repeated expression of loads and registers that do not change, the largest ones, within each
 * run of plain statements (no loop or `if` between).
 */
export function shareCommon(kernel: Kernel): Kernel {
  const fresh = namer(kernel)
  const changing = written(kernel.body)
  const writtenBufs = stored(kernel.body)
  const fixed = (e: Expr) =>
    !someExpr(e, (x) => (x.k === 'var' && changing.has(x.name)) || (x.k === 'load' && writtenBufs.has(x.buf)))

  const share = (run: readonly Stmt[]): Stmt[] => {
    const uses = new Map<string, number>()
    const countUses = (e: Expr): void => {
      if (worth(e) && fixed(e)) {
        const key = printExpr(e)
        const seen = uses.get(key) ?? 0
        uses.set(key, seen + 1)
        if (seen > 0) return
      }
      for (const part of parts(e)) countUses(part)
    }
    for (const s of run) for (const e of exprs(s)) countUses(e)

    const registers = new Map<string, Expr>()
    return run.flatMap((s) => {
      const before: Stmt[] = []
      const rewrite = (e: Expr): Expr => {
        if (worth(e) && fixed(e)) {
          const key = printExpr(e)
          const known = registers.get(key)
          if (known) return known
          if ((uses.get(key) ?? 0) > 1) {
            const name = fresh(`${firstLoad(e)}_c`)
            const value = inner(e)
            before.push({ s: 'let', name, value })
            const register = ref(name, e.type)
            registers.set(key, register)
            return register
          }
        }
        return inner(e)
      }
      const inner = (e: Expr): Expr => {
        if (e.k === 'load') return { ...e, at: e.at.map(rewrite) }
        return e.k === 'op' ? { ...e, args: e.args.map(rewrite) } : e
      }
      const rewritten = mapOnce(s, rewrite, (t) => t)
      return [...before, rewritten]
    })
  }

  const go = (s: Stmt): Stmt => {
    if (s.s !== 'block') return mapOnce(s, (e) => e, go)
    const out: Stmt[] = []
    let run: Stmt[] = []
    const flush = () => {
      out.push(...share(run))
      run = []
    }
    for (const t of s.body) {
      if (t.s === 'let' || t.s === 'set' || t.s === 'store') run.push(t)
      else {
        flush()
        out.push(go(t))
      }
    }
    flush()
    return block(...out)
  }
  return { ...kernel, body: go(kernel.body) }
}

function firstLoad(e: Expr): string {
  if (e.k === 'load') return e.buf
  for (const part of parts(e)) {
    const name = firstLoad(part)
    if (name) return name
  }
  return ''
}
