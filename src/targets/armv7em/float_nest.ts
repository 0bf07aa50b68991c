// What recipes for sums of float32 products read off loops: nests that add products up, and their factors, float32 or int8.

import type { Arg } from '../../ir/op.ts'
import { type Affine, affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Kernel, type Stmt } from '../../loops/ir.ts'
import { declared, type For, inside, namer, rename, substituteExpr } from '../../loops/walk.ts'
import { fillRoutine } from './gather.ts'

type Let = Extract<Stmt, { s: 'let' }>

/** One nest of loops that adds up products: what each sum starts from, its factors and what is done with it. */
export interface Nest {
  readonly outputs: readonly For[]
  readonly window: readonly For[]
  /** Conditions on a product, each `index >= 0` or `index < limit`. */
  readonly guards: readonly Guard[]
  readonly start: Let
  readonly factors: readonly [Expr, Expr]
  readonly rest: readonly Stmt[]
}

export interface Guard {
  readonly index: Affine
  readonly limit: number
  readonly op: 'ge' | 'lt'
}

const flat = (s: Stmt): readonly Stmt[] => (s.s === 'block' ? s.body.flatMap(flat) : [s])

function conditions(e: Expr): readonly Expr[] {
  return e.k === 'op' && e.op === 'and' ? e.args.flatMap(conditions) : [e]
}

function guardOf(e: Expr): Guard | undefined {
  if (e.k !== 'op' || (e.op !== 'ge' && e.op !== 'lt') || e.args[1].k !== 'const') return undefined
  const index = affine(e.args[0])
  return index && { index, limit: e.args[1].value, op: e.op }
}

export function nestOf(s: Stmt): Nest | undefined {
  const outputs: For[] = []
  let body = flat(s)
  for (; body.length === 1 && body[0].s === 'for' && body[0].parallel; body = flat(body[0].body)) outputs.push(body[0])
  const [start, sum, ...rest] = body
  if (start?.s !== 'let' || start.value.type.num !== 'f32' || !sum || rest.length === 0) return undefined
  const [window, guards]: [For[], Guard[]] = [[], []]
  let inner: Stmt = sum
  while (inner.s !== 'set') {
    if (inner.s === 'for' && !inner.parallel) window.push(inner)
    else if (inner.s === 'if' && !inner.else) {
      const all = conditions(inner.cond).map(guardOf)
      if (!all.every((g) => g !== undefined)) return undefined
      guards.push(...all)
    } else return undefined
    const next = flat(inside(inner)[0])
    if (next.length !== 1) return undefined
    inner = next[0]
  }
  const { name, value } = inner
  if (name !== start.name || window.length === 0 || value.k !== 'op' || value.op !== 'add') return undefined
  const [acc, product] = value.args
  if (acc.k !== 'var' || acc.name !== name || product.k !== 'op' || product.op !== 'mul') return undefined
  return { outputs, window, guards, start, factors: [product.args[0], product.args[1]], rest }
}

/** A factor: float32 as it is stored, or int8 plus `shift`. */
export interface Operand {
  readonly buf: Buf
  readonly at: Affine
  readonly shift?: Expr
}

export function operandOf(e: Expr, bufs: ReadonlyMap<string, Buf>): Operand | undefined {
  const whole = e.k === 'op' && e.op === 'toF32' ? e.args[0] : undefined
  const zero = whole?.k === 'op' && whole.op === 'sub' ? whole.args[1] : undefined
  const load = whole ? (zero ? (whole as Extract<Expr, { k: 'op' }>).args[0] : whole) : e
  if (load.k !== 'load' || load.at.length !== 1) return undefined
  const buf = bufs.get(load.buf)!
  const at = affine(load.at[0])
  if (!at || buf.elem !== (whole ? 'i8' : 'f32')) return undefined
  if (zero && zero.k !== 'var' && zero.k !== 'const') return undefined
  return { buf, at, ...(whole && { shift: zero ? L.op('sub', L.int(0), zero) : L.int(0) }) }
}

/** The index with loops replaced by numbers or expressions; loops that are not named count from 0. */
export function place(a: Affine, env: ReadonlyMap<string, Expr>): Expr {
  let sum: Expr = L.int(a.base)
  for (const [v, c] of a.terms) {
    const x = env.get(v)
    if (x) sum = L.add(L.mul(x, c), sum)
  }
  return sum
}

/** Where numbers of routines and scratch of a kernel come together. */
export class Parts {
  readonly numbers: number[] = []
  readonly name: (base: string) => string
  readonly bufs: ReadonlyMap<string, Buf>
  readonly strip: string
  readonly sums: string
  readonly table: string
  stripSize = 0
  sumsSize = 0

  constructor(kernel: Kernel) {
    this.name = namer(kernel)
    this.bufs = new Map(kernel.bufs.map((b) => [b.name, b]))
    this.strip = this.name('strip')
    this.sums = this.name('sums')
    this.table = this.name('tiles')
  }

  buffers(): [Buf, Arg][] {
    const own: [Buf, Arg][] = []
    if (this.numbers.length)
      own.push([L.buffer(this.table, 'i32', [this.numbers.length]), { data: Int32Array.from(this.numbers) }])
    if (this.stripSize) own.push([L.buffer(this.strip, 'f32', [this.stripSize], 'scratch'), { scratch: true }])
    if (this.sumsSize) own.push([L.buffer(this.sums, 'f32', [this.sumsSize], 'scratch'), { scratch: true }])
    return own
  }

  number(values: readonly number[]): number {
    for (let at = 0; at + values.length <= this.numbers.length; at += values.length)
      if (values.every((v, i) => this.numbers[at + i] === v)) return at
    return this.numbers.push(...values) - values.length
  }
}

export const of = (a: Affine, l: For): number => a.terms.get(l.v) ?? 0

/** Where sums stay. */
export interface Out {
  readonly buf: Buf
  readonly at: Affine
}

/** Where the sum itself is stored, and nothing else is done with it; undefined where more is done, `other` where it is unknown. */
export function keptIn({ start, rest }: Nest, bufs: ReadonlyMap<string, Buf>): Out | undefined | 'other' {
  const [store] = rest
  if (rest.length !== 1 || store.s !== 'store' || store.value.k !== 'var' || store.value.name !== start.name)
    return undefined
  const buf = bufs.get(store.buf)!
  const at = store.at.length === 1 ? affine(store.at[0]) : undefined
  return at && buf.elem === 'f32' ? { buf, at } : 'other'
}

/** Every sum where it stays, before the first product. */
export function begun(
  { outputs, start }: Nest,
  { buf, at }: Out,
  outermost: ReadonlyMap<string, Expr>,
  name: (base: string) => string,
): Stmt {
  const from = start.value
  const n = outputs.reduce((m, l) => m * l.extent, 1)
  if (from.k === 'const' && Object.is(from.value, 0) && n === count(buf.shape) && n < 2 ** 16)
    return {
      s: 'asm',
      means: L.loop(name('i'), n, (i) => L.store(buf, [i], from)),
      routine: fillRoutine(4 * n, true),
      args: [L.load(buf, 0), L.int(0), L.int(0)],
    }
  const names = outputs.map((l) => name(l.v))
  const env = new Map([...outermost, ...outputs.map((l, i) => [l.v, L.ref(names[i])] as const)])
  return outputs.reduceRight<Stmt>(
    (s, l, i) => L.parallel(names[i], l.extent, () => s),
    L.store(buf, [place(at, env)], substituteExpr(from, env)),
  )
}

/** What `s` declares under new names. */
export function renamed(s: Stmt, name: (base: string) => string): Stmt {
  return rename(s, new Map(declared(s).map((v) => [v, name(v)])))
}
