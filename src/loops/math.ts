// Elementary functions in the loop language: the steps of `float.ts` as statements that declare registers and an
// expression for the result. Bit-equal to `float.ts` on every machine that rounds float32 as IEEE 754 says.

import * as L from './build.ts'
import { ERF, EXP, EXP64, LOG, LOG64, POW, TANH, TRIG } from './float.ts'
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
  const constant = (value: number) => L.constantOf(x.type, value)
  return c.slice(0, last).reduceRight((p, ci) => L.add(L.mul(p, x), constant(ci)), constant(c[last]))
}

const absolute = (x: Expr) => L.op('abs', x)
const sub = (a: L.E, b: L.E) => L.op('sub', a, b)
const { POSITIVE_INFINITY: INFINITY } = Number

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

/** ln x for an f32 `x`; registers are named `name_...`. */
export function logf(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const v = at.keep('x', x)
  const tiny = at.keep('tiny', L.lt(v, L.float(2 ** -126)))
  const bits = at.keep('b', L.op('bits', L.select(tiny, L.mul(v, L.float(2 ** 23)), v)))
  const k = at.keep('k', L.op('shr', L.op('wsub', bits, LOG.sqrtHalf), 23))
  const r = at.keep('r', sub(L.op('fromBits', L.op('wsub', bits, L.op('shl', k, 23))), L.float(1)))
  const z = at.keep('z', L.mul(r, r))
  const n = at.keep('n', L.op('toF32', L.select(tiny, L.op('wsub', k, 23), k)))
  const tail = L.add(L.mul(L.mul(z, r), polynomial(LOG.c, r)), L.mul(n, L.float(EXP.ln2Low)))
  const log = L.add(L.add(r, sub(tail, L.mul(z, L.float(0.5)))), L.mul(n, L.float(EXP.ln2High)))
  return [at.stmts, logOf(v, at.keep('log', log))]
}

/** `log` where the argument has a logarithm, else what it has instead. */
function logOf(x: Expr, log: Expr): Expr {
  const constant = (value: number) => L.constantOf(x.type, value)
  const none = L.select(L.op('eq', x, constant(0)), constant(-INFINITY), constant(Number.NaN))
  return L.select(L.op('gt', x, constant(0)), L.select(L.lt(x, constant(INFINITY)), log, x), none)
}

/** ln (1 + x) for an f32 `x`, also where 1 + x is not exact; registers are named `name_...`. */
export function log1pf(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const v = at.keep('v', x)
  const u = at.keep('u', L.add(v, L.float(1)))
  const log = at.keep('whole', at.run(logf(u, name)))
  const b = at.keep('less', sub(u, L.float(1)))
  const lost = at.keep('lost', L.add(sub(L.float(1), sub(u, b)), sub(v, b)))
  const exact = L.select(L.op('eq', u, L.float(1)), v, L.add(log, L.op('div', lost, u)))
  const usual = L.and(L.op('gt', u, L.float(0)), L.lt(u, L.float(INFINITY)))
  return [at.stmts, L.select(usual, exact, log)]
}

/** |v| less n * pi/2 for the nearest n, and n modulo 4. */
function reduce(at: Registers, v: Expr): { r: Expr; n: Expr } {
  const a = at.keep('a', absolute(v))
  const bits = at.keep('b', L.op('bits', a))
  const start = at.keep('start', L.op('wsub', L.op('shr', bits, 23), 120))
  const first = at.keep('first', L.op('shr', start, 5))
  const by = at.keep('by', L.op('extend', L.and(start, 31)))
  const word = (k: number): Expr =>
    [3, 2, 1, 0].reduce(
      (rest, i) => L.select(L.op('le', first, i), L.long(TRIG.twoOverPi[i + k]), rest),
      L.long(TRIG.twoOverPi[4 + k]),
    )
  const long = (high: Expr, low: Expr) => L.op('or', L.op('shl', high, L.long(32)), low)
  const low = at.keep('low', long(word(2), word(3)))
  const rest = L.op('ushr', L.op('ushr', low, L.long(1)), sub(L.long(63), by))
  const high = at.keep('high', L.op('or', L.op('shl', long(word(0), word(1)), by), rest))
  const m = at.keep('m', L.op('extend', L.op('or', L.and(bits, 0x7fffff), 0x800000)))
  const part = L.op('ushr', L.op('wmul', m, L.op('ushr', L.op('shl', low, by), L.long(32))), L.long(32))
  const turns = at.keep('turns', L.op('wadd', L.op('wmul', m, high), part))
  const whole = at.keep('whole', L.op('ushr', L.op('wadd', turns, L.long(2 ** 61)), L.long(62)))
  const left = L.op('wsub', turns, L.op('shl', whole, L.long(62)))
  const reduced = L.op('toF32', L.mul(L.op('toF64', left), L.double(TRIG.unit)))
  const small = at.keep('small', L.lt(a, L.float(TRIG.limit)))
  return {
    r: at.keep('r', L.select(small, a, reduced)),
    n: at.keep('n', L.select(small, 0, L.op('wrap', whole))),
  }
}

/** Sine and cosine in the quarter turn that `n` counts from: what an odd `n` wants, then what an even one does. */
function quarter(at: Registers, v: Expr, odd: 'sin' | 'cos'): { value: Expr; n: Expr } {
  const { r, n } = reduce(at, v)
  const z = at.keep('z', L.mul(r, r))
  const sin = at.keep('sin', L.add(r, L.mul(L.mul(r, z), polynomial(TRIG.sin, z))))
  const half = sub(L.float(1), L.mul(z, L.float(0.5)))
  const cos = at.keep('cos', L.add(half, L.mul(L.mul(z, z), polynomial(TRIG.cos, z))))
  return { value: L.select(L.and(n, 1), odd === 'sin' ? sin : cos, odd === 'sin' ? cos : sin), n }
}

/** `value` with its sign turned where bit 31 of `sign` is set; NaN where `x` is not finite. */
function finish(x: Expr, value: Expr, sign: Expr): Expr {
  const signed = L.op('fromBits', L.op('xor', L.op('bits', value), L.and(sign, -(2 ** 31))))
  return L.select(L.lt(absolute(x), L.float(INFINITY)), signed, L.float(Number.NaN))
}

/** sin x for every f32 `x`, however large; registers are named `name_...`. */
export function sinf(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const v = at.keep('x', x)
  const { value, n } = quarter(at, v, 'cos')
  return [at.stmts, finish(v, value, L.op('xor', L.op('shl', n, 30), L.op('bits', v)))]
}

/** cos x for every f32 `x`, however large; registers are named `name_...`. */
export function cosf(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const v = at.keep('x', x)
  const { value, n } = quarter(at, v, 'sin')
  return [at.stmts, finish(v, value, L.op('shl', L.op('wadd', n, 1), 30))]
}

/** erf x for an f32 `x`; registers are named `name_...`. */
export function erff(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const v = at.keep('x', x)
  const a = at.keep('a', absolute(v))
  const z = at.keep('z', L.mul(v, v))
  const small = L.add(v, L.mul(v, polynomial(ERF.c, z)))
  const held = at.keep('held', L.min(a, L.float(ERF.one)))
  const big = at.keep('big', sub(L.float(1), at.run(expf(polynomial(ERF.e, held), `${name}_e`))))
  const signed = L.select(L.lt(v, L.float(0)), L.op('neg', big), big)
  return [at.stmts, L.select(L.lt(a, L.float(ERF.limit)), small, signed)]
}

/** 1 / sqrt(x) for an f32 `x`. */
export function rsqrtf(x: Expr, _name: string): Steps {
  return [[], L.op('div', L.float(1), L.op('sqrt', x))]
}

/** A positive f64 as m * 2^k, sqrt(1/2) <= m < sqrt(2); `k` is i64. */
function split64(at: Registers, x: Expr): { m: Expr; k: Expr } {
  const bits = at.keep('b', L.op('bits', x))
  const k = at.keep('k', L.op('shr', L.op('wsub', bits, L.long(LOG64.sqrtHalf)), L.long(52)))
  return { m: at.keep('m', L.op('fromBits', L.op('wsub', bits, L.op('shl', k, L.long(52))))), k }
}

/** 2^k in f64 for an i64 `k`. */
function powerOfTwo64(k: Expr): Expr {
  return L.op('fromBits', L.op('shl', L.op('wadd', k, L.long(1023)), L.long(52)))
}

/** x^y for f32 `x` and `y` with the special cases of C; registers are named `name_...`. */
export function powf(x: Expr, y: Expr, name: string): Steps {
  const at = new Registers(name)
  const [v, w] = [at.keep('x', x), at.keep('y', y)]
  const a = at.keep('a', L.op('toF64', absolute(v)))
  const { m, k } = split64(at, a)
  const s = at.keep('s', L.op('div', sub(m, L.double(1)), L.add(m, L.double(1))))
  const z = at.keep('z', L.mul(s, s))
  const finite = L.add(L.op('toF64', k), L.mul(s, polynomial(POW.log2, z)))
  const known = L.select(L.lt(a, L.double(INFINITY)), finite, a)
  const log2 = at.keep('log2', L.select(L.op('eq', a, L.double(0)), L.double(-INFINITY), known))
  const t = at.keep('t', L.clamp(L.mul(L.op('toF64', w), log2), L.double(-POW.limit), L.double(POW.limit)))
  const n = at.keep('n', L.op('nearest', t))
  const g = at.keep('g', sub(t, n))
  const p = L.op('toF32', L.mul(polynomial(POW.exp2, g), powerOfTwo64(L.op('toI64', n))))
  const size = at.keep('size', L.select(L.op('eq', a, L.double(1)), L.float(1), p))
  const half = at.keep('half', L.mul(w, L.float(0.5)))
  const whole = at.keep('whole', L.op('eq', L.op('trunc', w), w))
  const odd = L.and(whole, L.op('ne', L.op('trunc', half), half))
  const sign = L.and(L.op('bits', v), L.op('shl', odd, 31))
  const signed = L.op('fromBits', L.op('xor', L.op('bits', size), sign))
  const negative = L.and(L.lt(v, L.float(0)), L.op('gt', v, L.float(-INFINITY)))
  const none = L.op('or', L.op('ne', w, w), L.and(negative, L.op('eq', whole, 0)))
  const one = L.op('or', L.op('eq', v, L.float(1)), L.op('eq', w, L.float(0)))
  return [at.stmts, L.select(one, L.float(1), L.select(none, L.float(Number.NaN), signed))]
}

/** e^x for an f64 `x`; registers are named `name_...`. */
export function exp(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const y = at.keep('y', L.clamp(x, L.double(EXP64.low), L.double(EXP64.high)))
  const n = at.keep('n', L.op('nearest', L.mul(y, L.double(Math.LOG2E))))
  const high = sub(y, L.mul(n, L.double(EXP64.ln2High)))
  const r = at.keep('r', sub(high, L.mul(n, L.double(EXP64.ln2Low))))
  const p = L.add(L.add(r, L.mul(L.mul(r, r), polynomial(EXP64.c, r))), L.double(1))
  const k = at.keep('k', L.op('toI64', n))
  const half = at.keep('h', L.op('shr', k, L.long(1)))
  return [at.stmts, L.mul(L.mul(p, powerOfTwo64(half)), powerOfTwo64(L.op('wsub', k, half)))]
}

/** ln x for an f64 `x`; registers are named `name_...`. */
export function log(x: Expr, name: string): Steps {
  const at = new Registers(name)
  const v = at.keep('x', x)
  const tiny = at.keep('tiny', L.lt(v, L.double(2 ** -1022)))
  const { m, k } = split64(at, L.select(tiny, L.mul(v, L.double(2 ** 54)), v))
  const n = at.keep('n', L.op('toF64', L.select(tiny, L.op('wsub', k, L.long(54)), k)))
  const r = at.keep('r', sub(m, L.double(1)))
  const s = at.keep('s', L.op('div', r, L.add(r, L.double(2))))
  const z = at.keep('z', L.mul(s, s))
  const half = at.keep('half', L.mul(L.mul(r, r), L.double(0.5)))
  const series = L.mul(s, L.add(half, L.mul(z, polynomial(LOG64.c, z))))
  const tail = L.add(series, L.mul(n, L.double(EXP64.ln2Low)))
  const value = sub(L.mul(n, L.double(EXP64.ln2High)), sub(sub(half, tail), r))
  return [at.stmts, logOf(v, at.keep('log', value))]
}
