// The loops of a real Fourier transform: the samples in the order that the innermost radix wants them, one nest of loops
// for each radix, and the parting of even and odd samples, all in place of the output.

import type { Node } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Expr, newData, registerOf, type Stmt } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { ONE, partingTwiddles, type RfftElem, radicesOf, twiddles } from './kiss_fft.ts'
import { type Rfft, sizes } from './rfft.ts'

interface Complex {
  readonly re: Expr
  readonly im: Expr
}

/** The arithmetic of one element type. Sums of int16 do not leave int32, those of int32 wrap. */
function arithmeticOf(elem: RfftElem) {
  const float = elem === 'f32'
  const add = (a: Expr, b: Expr) => L.op(float ? 'add' : 'wadd', a, b)
  const sub = (a: Expr, b: Expr) => L.op(float ? 'sub' : 'wsub', a, b)
  const product = (a: Expr, b: Expr) =>
    elem === 'i32' ? L.op('wmul', L.op('extend', a), L.op('extend', b)) : L.op('mul', a, b)
  const round = (x: Expr) =>
    float
      ? x
      : elem === 'i16'
        ? L.op('shr', L.op('wadd', x, 1 << 14), 15)
        : L.op('wrap', L.op('shr', L.op('wadd', x, L.long(2 ** 30)), L.long(31)))
  const scale = (x: Expr, by: Expr) => round(product(x, by))
  const each = (f: (a: Expr, b: Expr) => Expr) => (a: Complex, b: Complex) => ({ re: f(a.re, b.re), im: f(a.im, b.im) })
  return {
    add,
    sub,
    scale,
    plus: each(add),
    minus: each(sub),
    times: (a: Complex, b: Complex): Complex => ({
      re: round(sub(product(a.re, b.re), product(a.im, b.im))),
      im: round(add(product(a.re, b.im), product(a.im, b.re))),
    }),
    part: (x: Expr, k: number) => (float ? x : scale(x, L.int(Math.trunc(ONE[elem] / k)))),
    half: (x: Expr) => (float ? L.op('mul', x, L.float(0.5)) : L.op('shr', x, 1)),
    neg: (x: Expr) => (float ? L.op('neg', x) : L.op('wsub', 0, x)),
    /** What storing leaves of a number. */
    stored: (x: Expr) => (elem === 'i16' ? L.op('shr', L.op('shl', x, 16), 16) : x),
  }
}

/** Names registers and collects their declarations. */
class Registers {
  readonly stmts: Stmt[] = []
  private readonly prefix: string

  constructor(prefix: string) {
    this.prefix = prefix
  }

  keep(e: Expr): Expr {
    const [declare, register] = L.declare(`${this.prefix}${this.stmts.length}`, e)
    this.stmts.push(declare)
    return register
  }

  both({ re, im }: Complex): Complex {
    return { re: this.keep(re), im: this.keep(im) }
  }
}

type Arithmetic = ReturnType<typeof arithmeticOf>

/** One butterfly. `x`: the inputs, multiplied by their twiddle factors; `root(k)`: exp(-2πi k / p), for p = 3 and 5. */
function butterfly(x: readonly Complex[], root: (k: number) => Complex, r: Registers, a: Arithmetic): Complex[] {
  const { plus, minus, add, sub, neg } = a
  const both = (v: Complex) => r.both(v)
  const by = (v: Complex, k: Expr) => both({ re: a.scale(v.re, k), im: a.scale(v.im, k) })
  switch (x.length) {
    case 2:
      return [plus(x[0], x[1]), minus(x[0], x[1])]
    case 3: {
      const sum = both(plus(x[1], x[2]))
      const turn = by(both(minus(x[1], x[2])), root(1).im)
      const middle = both({ re: sub(x[0].re, a.half(sum.re)), im: sub(x[0].im, a.half(sum.im)) })
      return [
        plus(x[0], sum),
        { re: sub(middle.re, turn.im), im: add(middle.im, turn.re) },
        { re: add(middle.re, turn.im), im: sub(middle.im, turn.re) },
      ]
    }
    case 4: {
      const high = both(minus(x[0], x[2]))
      const low = both(plus(x[0], x[2]))
      const even = both(plus(x[1], x[3]))
      const odd = both(minus(x[1], x[3]))
      return [
        plus(low, even),
        { re: add(high.re, odd.im), im: sub(high.im, odd.re) },
        minus(low, even),
        { re: sub(high.re, odd.im), im: add(high.im, odd.re) },
      ]
    }
    default: {
      const [ya, yb] = [both(root(1)), both(root(2))]
      const outer = [both(plus(x[1], x[4])), both(minus(x[1], x[4]))]
      const inner = [both(plus(x[2], x[3])), both(minus(x[2], x[3]))]
      const real = (near: Complex, far: Complex) => both(plus(plus(x[0], by(outer[0], near.re)), by(inner[0], far.re)))
      const [p1, p2] = [real(ya, yb), real(yb, ya)]
      const [o1, i1] = [by(outer[1], ya.im), by(inner[1], yb.im)]
      const [o2, i2] = [by(outer[1], yb.im), by(inner[1], ya.im)]
      const s = both({ re: add(o1.im, i1.im), im: sub(neg(o1.re), i1.re) })
      const t = both({ re: add(neg(o2.im), i2.im), im: sub(o2.re, i2.re) })
      return [plus(x[0], plus(outer[0], inner[0])), minus(p1, s), plus(p2, t), minus(p2, t), plus(p1, s)]
    }
  }
}

export function lower(node: Node<Rfft>): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const { rows, n, elem } = sizes(node)
  const M = node.attrs.fft_length / 2
  const radices = radicesOf(M)!
  const a = arithmeticOf(elem)
  const X = L.buffer('x', elem, [rows, n])
  const W = L.buffer('w', elem, [M, 2])
  const P = L.buffer('parting', elem, [M >> 1, 2])
  const Y = L.buffer('y', elem, [rows, M + 1, 2], 'write')
  const zero = L.constantOf(registerOf(elem), 0)
  const b = L.ref('b')

  const pair = (buf: typeof W, ...at: Expr[]): Complex => ({
    re: L.load(buf, ...at, L.int(0)),
    im: L.load(buf, ...at, L.int(1)),
  })
  const keep = (at: Expr, v: Complex) => [L.store(Y, [b, at, 0], v.re), L.store(Y, [b, at, 1], v.im)]
  const parted = (v: Complex, k: number): Complex => ({ re: a.part(v.re, k), im: a.part(v.im, k) })

  const sample = (at: Expr, j: Expr, half: number): Stmt => {
    const i = L.add(L.mul(j, 2), half)
    const given = L.store(Y, [b, at, half], L.load(X, b, i))
    return n === 2 * M ? given : L.when(L.lt(i, n), given, L.store(Y, [b, at, half], zero))
  }
  // The digits of an element's place, the outermost radix first, are those of its sample from the other end.
  const order = (digit: number, at: Expr, j: Expr, stride: number): Stmt | Stmt[] => {
    if (digit === radices.length) return [sample(at, j, 0), sample(at, j, 1)]
    const p = radices[digit]
    return L.loop(`d${digit}`, p, (d) =>
      order(digit + 1, L.add(at, L.mul(d, M / (stride * p))), L.add(j, L.mul(d, stride)), stride * p),
    )
  }

  const stage = (s: number): Stmt => {
    const p = radices[s]
    const stride = radices.slice(0, s).reduce((product, q) => product * q, 1)
    const m = M / (stride * p)
    return L.loop(`g${s}`, stride, (g) =>
      L.loop(`u${s}`, m, (u) => {
        const r = new Registers(`s${s}_`)
        const place = (q: number) => L.add(L.add(L.mul(g, p * m), u), q * m)
        const inputs = Array.from({ length: p }, (_, q) => {
          const v = r.both(parted(pair(Y, b, place(q)), p))
          return q === 0 ? v : r.both(a.times(v, pair(W, L.mul(u, q * stride))))
        })
        const results = butterfly(inputs, (k) => pair(W, L.int(k * stride * m)), r, a).map((v) => r.both(v))
        return [...r.stmts, ...results.flatMap((v, q) => keep(place(q), v))]
      }),
    )
  }

  const first = new Registers('dc')
  const dc = first.both(parted(pair(Y, b, L.int(0)), 2))
  const mean: Stmt[] = [
    ...first.stmts,
    ...keep(L.int(0), { re: a.add(dc.re, dc.im), im: zero }),
    ...keep(L.int(M), { re: a.sub(dc.re, dc.im), im: zero }),
  ]
  const parting = L.loop('k', M >> 1, (v) => {
    const r = new Registers('p')
    const [k, other] = [L.add(v, 1), L.sub(M - 1, v)]
    const mirror = pair(Y, b, other)
    const near = r.both(parted(pair(Y, b, k), 2))
    const far = r.both(parted({ re: mirror.re, im: a.stored(a.neg(mirror.im)) }, 2))
    const even = r.both(a.plus(near, far))
    const odd = a.times(r.both(a.minus(near, far)), pair(P, v))
    const turned = r.both({ re: a.stored(odd.re), im: a.stored(odd.im) })
    return [
      ...r.stmts,
      ...keep(k, { re: a.half(a.add(even.re, turned.re)), im: a.half(a.add(even.im, turned.im)) }),
      ...keep(other, { re: a.half(a.sub(even.re, turned.re)), im: a.half(a.sub(turned.im, even.im)) }),
    ]
  })

  const dataOf = (values: readonly number[]) => {
    const data = numbers(newData(elem, values.length))
    data.set(values)
    return { data }
  }
  const stages = radices.map((_, s) => stage(radices.length - 1 - s))
  return {
    kernel: L.kernel(
      'rfft',
      [X, W, P, Y],
      L.loop('b', rows, () => [...[order(0, L.int(0), L.int(0), 1)].flat(), ...stages, ...mean, parting]),
    ),
    args: [{ value: x }, dataOf(twiddles(M, elem)), dataOf(partingTwiddles(M, elem)), { value: y }],
  }
}
