// Index expressions as sums: constants times loop variables and registers, plus a constant. What schedules need to know
// about an address: its stride along a loop, its range, its parts.

import { add, int, mul, ref } from './build.ts'
import type { Expr, Kernel } from './ir.ts'
import { reads, visit, written } from './walk.ts'

/** base + sum of coefficient * name; no coefficient is 0. */
export interface Affine {
  readonly terms: ReadonlyMap<string, number>
  readonly base: number
}

export interface Range {
  readonly low: number
  readonly high: number
}

const combine = (a: Affine, b: Affine, factor: number): Affine => {
  const terms = new Map(a.terms)
  for (const [name, c] of b.terms) {
    const sum = (terms.get(name) ?? 0) + factor * c
    if (sum === 0) terms.delete(name)
    else terms.set(name, sum)
  }
  return { terms, base: a.base + factor * b.base }
}

const ZERO: Affine = { terms: new Map(), base: 0 }

/** The expression as a sum, registers in `lets` replaced by their values; undefined where it is not one. */
export function affine(e: Expr, lets: ReadonlyMap<string, Expr> = new Map()): Affine | undefined {
  if (e.type.num !== 'i32' || e.type.lanes !== 1) return undefined
  if (e.k === 'const') return { terms: new Map(), base: e.value }
  if (e.k === 'var') {
    const value = lets.get(e.name)
    return (value && affine(value, lets)) ?? { terms: new Map([[e.name, 1]]), base: 0 }
  }
  if (e.k !== 'op') return undefined
  const [a, b] = e.args.map((arg) => affine(arg, lets))
  if (!a) return undefined
  if (e.op === 'neg') return combine(ZERO, a, -1)
  if (!b) return undefined
  if (e.op === 'add') return combine(a, b, 1)
  if (e.op === 'sub') return combine(a, b, -1)
  if (e.op !== 'mul') return undefined
  if (a.terms.size === 0) return combine(ZERO, b, a.base)
  return b.terms.size === 0 ? combine(ZERO, a, b.base) : undefined
}

export function toExpr(a: Affine): Expr {
  let sum: Expr = int(0)
  for (const [name, c] of a.terms) sum = add(sum, mul(ref(name), c))
  return add(sum, a.base)
}

/** The part whose names satisfy `test`, without the constant. */
export function termsWhere(a: Affine, test: (name: string, coefficient: number) => boolean): Affine {
  return { terms: new Map([...a.terms].filter(([name, c]) => test(name, c))), base: 0 }
}

/** Least and greatest value over all values of its names; undefined where a name has no known range. */
export function rangeOf(a: Affine, ranges: ReadonlyMap<string, Range>): Range | undefined {
  let low = a.base
  let high = a.base
  for (const [name, c] of a.terms) {
    const range = ranges.get(name)
    if (!range) return undefined
    low += c * (c > 0 ? range.low : range.high)
    high += c * (c > 0 ? range.high : range.low)
  }
  return { low, high }
}

/** The ranges of all loop variables of a kernel. */
export function loopRanges(kernel: Kernel): Map<string, Range> {
  const ranges = new Map<string, Range>()
  visit(kernel.body, (s) => {
    if (s.s === 'for') ranges.set(s.v, { low: 0, high: s.extent - 1 })
  })
  return ranges
}

/** Values of the registers that are written once, at their declaration, and read only such registers and loop variables. */
export function constantLets(kernel: Kernel): Map<string, Expr> {
  const changed = written(kernel.body)
  const lets = new Map<string, Expr>()
  visit(kernel.body, (s) => {
    if (s.s === 'let' && !changed.has(s.name) && !reads(s.value, changed)) lets.set(s.name, s.value)
  })
  return lets
}

/** How much `e` grows when `v` grows by one, 0 where it does not read `v`; undefined where that is no constant. */
export function coefficient(e: Expr, v: string): number | undefined {
  switch (e.k) {
    case 'const':
      return 0
    case 'var':
      return e.name === v ? 1 : 0
    case 'load':
      return e.at.every((i) => coefficient(i, v) === 0) ? 0 : undefined
    case 'op': {
      const parts = e.args.map((arg) => coefficient(arg, v))
      if (parts.every((c) => c === 0)) return 0
      const [a, b] = parts
      if (a === undefined || b === undefined || e.type.num !== 'i32') return undefined
      if (e.op === 'add') return a + b
      if (e.op === 'sub') return a - b
      if (e.op !== 'mul') return undefined
      const [x, y] = e.args
      if (x.k === 'const') return x.value * b
      return y.k === 'const' ? a * y.value : undefined
    }
  }
}
