// The functions of `fixed_point.ts` in the loop language: statements that declare registers, and the result.

import * as L from '../loops/build.ts'
import type { Expr, Stmt } from '../loops/ir.ts'
import { GUESS, LOG, ONE } from './fixed_point.ts'

/** 1 / (1 + a) in Q0.31, as `oneOverOnePlus`; registers begin with `name`. */
export function oneOverOnePlusSteps(a: Expr, name = ''): [Stmt[], Expr] {
  const [declareD, d] = L.declare(`${name}d`, L.add(L.op('shr', a, 1), 2 ** 30))
  const [declareR, r] = L.declare(`${name}r`, L.add(L.op('srdhm', d, GUESS.slope), GUESS.constant))
  const newton = L.loop(`${name}k`, 3, () => {
    const error = L.op('sub', 2 ** 29, L.op('srdhm', d, r))
    return L.set(r, L.add(r, L.op('shl', L.op('srdhm', r, error), 2)))
  })
  const saturated = L.select(L.ge(r, 2 ** 30), ONE, L.op('shl', r, 1))
  return [[declareD, declareR, newton], saturated]
}

/** 1 / sqrt(x) as multiplier and shift of `requant`, as `inverseRoot`; registers are named `name_...`. */
export function inverseRootSteps(x: Expr, name: string): { stmts: Stmt[]; multiplier: Expr; shift: Expr } {
  const stmts: Stmt[] = []
  const keep = (suffix: string, value: L.E): Expr => {
    const [stmt, register] = L.declare(`${name}_${suffix}`, value)
    stmts.push(stmt)
    return register
  }
  const given = keep('x', x)
  // Quarters until it is below 2^29
  const large = keep('large', L.add(L.ge(given, 2 ** 29), 0))
  const v = keep('v', L.select(large, L.op('shr', given, 2), L.max(given, 2)))
  const pairs = keep('pairs', L.sub(L.op('shr', L.sub(L.op('clz', v), 1), 1), 1))
  const right = keep('right', L.op('sub', L.add(large, 11), pairs))
  const half = keep('half', L.op('shr', L.add(L.op('shr', L.op('shl', v, L.op('shl', pairs, 1)), 1), 1), 1))
  const y = keep('y', 2 ** 28)
  stmts.push(
    L.loop(`${name}_k`, 5, () => {
      const cube = L.op('shl', L.op('srdhm', L.op('srdhm', y, y), y), 6)
      const next = L.op('sub', L.op('srdhm', 2 ** 28 + 2 ** 27, y), L.op('srdhm', half, cube))
      return L.set(y, L.op('shl', next, 3))
    }),
  )
  const root = keep('root', L.op('srdhm', y, LOG.sqrtHalf))
  const small = L.op('le', given, 1)
  const left = L.max(L.op('neg', right), 0)
  return {
    stmts,
    multiplier: keep('m', L.select(small, ONE, L.op('shl', root, left))),
    shift: keep('s', L.select(small, 0, L.op('neg', L.max(right, 0)))),
  }
}

/** ln x in Q5.26 for x >= 1 in Q12.19, as `logarithm`; registers are named `name_...`. */
export function logarithmSteps(x: Expr, name: string): [Stmt[], Expr] {
  const stmts: Stmt[] = []
  const keep = (suffix: string, value: L.E): Expr => {
    const [stmt, register] = L.declare(`${name}_${suffix}`, value)
    stmts.push(stmt)
    return register
  }
  const product = (a: L.E, b: L.E) => L.op('srdhm', a, b)
  const v = keep('x', x)
  const lead = keep('lead', L.op('clz', v))
  const scaled = keep('scaled', product(L.op('shl', v, L.sub(lead, 1)), LOG.sqrtHalf))
  const above = L.select(L.ge(scaled, 2 ** 30), ONE, L.op('shl', scaled, 1))
  const leadBelow = keep('below', L.sub(L.op('clz', product(v, LOG.sqrtHalf)), 1))
  // Where this shift would reach the sign, it saturates
  const below = L.select(L.ge(leadBelow, lead), ONE, L.op('shl', v, leadBelow))
  const r = keep('r', L.min(above, below))
  const power = keep(
    'power',
    L.max(
      L.add(L.mul(L.op('sub', 12, lead), 2 ** 25), LOG.quarter),
      L.add(L.mul(L.op('sub', 12, leadBelow), 2 ** 25), -LOG.quarter),
    ),
  )
  // (r + constant + 1) / 2 without the bit that the sum would need
  const c = LOG.fourthRootOfHalf + 1
  const p = keep('p', L.add(L.op('shr', r, 1), L.op('shr', L.add(L.and(r, 1), c), 1)))
  const q = keep('q', L.mul(L.sub(r, LOG.fourthRootOfHalf), 2))
  const square = keep('square', product(q, q))
  const numerator = keep('n', L.add(product(q, r), product(product(q, square), LOG.numerator)))
  const [d0, d2, d1] = LOG.denominator
  const whole = L.add(L.add(q, d0), product(d2, square))
  const denominator = keep('d', L.add(product(p, whole), product(d1, q)))
  const [divide, reciprocal] = oneOverOnePlusSteps(denominator, `${name}_by_`)
  stmts.push(...divide)
  const fraction = product(L.op('rdivpot', numerator, 6), reciprocal)
  return [stmts, L.mul(L.add(product(power, LOG.two), fraction), 2)]
}
