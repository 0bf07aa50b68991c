// Splits the address of a load or store into a part that the innermost loop changes and a part that it does not, so that
// the printer can set up the latter before the loop. Addresses are sums of coefficient * term in elements.

import { type Buf, type Expr, I32 } from '../../loops/ir.ts'
import { printExpr } from '../../loops/print.ts'

export interface Term {
  readonly expr: Expr
  readonly coef: number
}

/** constant + sum of the terms, by printed form, in the order in which the indices mention them. */
export interface Sum {
  readonly constant: number
  readonly terms: ReadonlyMap<string, Term>
}

function plus(a: Sum, b: Sum, factor: number): Sum {
  const terms = new Map(a.terms)
  for (const [key, { expr, coef }] of b.terms) {
    const total = (terms.get(key)?.coef ?? 0) + factor * coef
    if (total === 0) terms.delete(key)
    else terms.set(key, { expr, coef: total })
  }
  return { constant: a.constant + factor * b.constant, terms }
}

const constant = (value: number): Sum => ({ constant: value, terms: new Map() })

function sumOf(e: Expr): Sum {
  if (e.k === 'const') return constant(e.value)
  if (e.k === 'op' && e.type.num === I32.num) {
    const [a, b] = e.args
    if (e.op === 'add') return plus(sumOf(a), sumOf(b), 1)
    if (e.op === 'sub') return plus(sumOf(a), sumOf(b), -1)
    if (e.op === 'neg') return plus(constant(0), sumOf(a), -1)
    if (e.op === 'mul') {
      const [p, q] = [sumOf(a), sumOf(b)]
      if (q.terms.size === 0) return plus(constant(0), p, q.constant)
      if (p.terms.size === 0) return plus(constant(0), q, p.constant)
    }
  }
  return { constant: 0, terms: new Map([[printExpr(e), { expr: e, coef: 1 }]]) }
}

/** The flat index of an access. */
export function addressOf(buf: Buf, at: readonly Expr[]): Sum {
  return at.reduce<Sum>((sum, e, d) => plus(plus(constant(0), sum, buf.shape[d]), sumOf(e), 1), constant(0))
}

/** The terms for which `stays` holds, and the others. */
export function split(
  sum: Sum,
  stays: (e: Expr) => boolean,
): { outer: ReadonlyMap<string, Term>; inner: ReadonlyMap<string, Term> } {
  const outer = new Map<string, Term>()
  const inner = new Map<string, Term>()
  for (const [key, term] of sum.terms) (stays(term.expr) ? outer : inner).set(key, term)
  return { outer, inner }
}

/** Whether the only thing that moves the address is the variable of the innermost loop. */
export function onlyBy(terms: ReadonlyMap<string, Term>, v: string): boolean {
  return [...terms.values()].every(({ expr }) => expr.k === 'var' && expr.name === v)
}
