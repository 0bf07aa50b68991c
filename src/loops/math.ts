// Elementary functions in the loop language: the steps of `float.ts` as statements that declare registers and an
// expression for the result. Bit-equal to `float.ts` on every machine that rounds float32 as IEEE 754 says.

import * as L from './build.ts'
import { EXP, TANH } from './float.ts'
import type { Expr, Stmt } from './ir.ts'

/** Statements to run first, and the result, valid after them. */
export type Steps = readonly [readonly Stmt[], Expr]

class Registers {
  readonly stmts: Stmt[] = []
  private readonly name: string

  constructor(name: string) {
    this.name = name
  }

  keep(suffix: string, value: Expr): Expr {
    const [declaration, register] = L.declare(`${this.name}_${suffix}`, value)
    this.stmts.push(declaration)
    return register
  }

  run([stmts, result]: Steps): Expr {
    this.stmts.push(...stmts)
    return result
  }
}

function polynomial(c: readonly number[], x: Expr): Expr {
  const last = c.length - 1
  return c.slice(0, last).reduceRight((p, ci) => L.add(L.mul(p, x), L.float(ci)), L.float(c[last]))
}

function absolute(x: Expr): Expr {
  return L.op('fromBits', L.op('and', L.op('bits', x), 0x7fffffff))
}

/** 2^k for a normal result. */
function powerOfTwo(k: Expr): Expr {
  return L.op('fromBits', L.op('shl', L.op('wadd', k, 127), 23))
}

/** e^x for an f32 `x`; registers are named `name_...`. */
export function expf(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const y = at.keep('y', L.clamp(x, L.float(EXP.low), L.float(EXP.high)))
  const t = at.keep('t', L.add(L.mul(y, L.float(EXP.log2e)), L.float(EXP.round)))
  const n = at.keep('n', L.op('sub', t, L.float(EXP.round)))
  const high = at.keep('u', L.op('sub', y, L.mul(n, L.float(EXP.ln2High))))
  const low = at.keep('v', L.mul(n, L.float(EXP.ln2Low)))
  const r = at.keep('r', L.op('sub', high, low))
  const one = at.keep('one', L.add(r, L.float(1)))
  const lost = L.add(L.add(L.op('sub', L.float(1), one), r), L.op('sub', L.op('sub', high, r), low))
  const p = L.add(one, L.add(lost, L.mul(L.mul(r, r), polynomial(EXP.c, r))))
  const k = at.keep('k', L.op('wsub', L.op('bits', t), EXP.roundBits))
  const half = at.keep('h', L.op('shr', k, 1))
  const e = at.keep('e', L.mul(L.mul(p, powerOfTwo(half)), powerOfTwo(L.op('wsub', k, half))))
  return [at.stmts, e]
}

/** 1 / (1 + e^-x) for an f32 `x`; registers are named `name_...`. */
export function logisticf(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const v = at.keep('x', x)
  const e = at.run(expf(L.op('neg', absolute(v)), name))
  const d = at.keep('d', L.add(e, L.float(1)))
  const lost = L.add(L.op('sub', L.float(1), d), e)
  const q = at.keep('q', L.op('div', e, d))
  const rest = L.mul(L.mul(q, lost), L.op('sub', L.float(1), q))
  const exact = at.keep('s', L.op('sub', q, rest))
  return [at.stmts, L.select(L.lt(v, L.float(0)), exact, L.op('sub', L.float(1), exact))]
}

/** tanh x for an f32 `x`; registers are named `name_...`. */
export function tanhf(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const v = at.keep('x', x)
  const a = at.keep('a', absolute(v))
  const e = at.run(expf(L.add(a, a), name))
  const big = at.keep('b', L.op('sub', L.float(1), L.op('div', L.float(2), L.add(e, L.float(1)))))
  const z = at.keep('z', L.mul(v, v))
  const small = L.add(v, L.mul(v, L.mul(z, polynomial(TANH.c, z))))
  const signed = L.select(L.lt(v, L.float(0)), L.op('neg', big), big)
  return [at.stmts, L.select(L.lt(a, L.float(TANH.limit)), small, signed)]
}
