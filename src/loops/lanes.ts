// Schedules that put iterations of a loop into the lanes of 128-bit registers: across outputs (`vectorize`, which keeps
// the order of every sum, so floats too) and along a reduction (`reduceLanes`, integers only).
// Where a rewrite does not apply to the loops as they are, the answer is undefined.

import { affine, coefficient, constantLets } from './affine.ts'
import { block, int, mul, op, ref, splat } from './build.ts'
import { type Expr, I16X8, I32X4, type Kernel, type Stmt, type Type } from './ir.ts'
import { remainder, separable } from './schedule.ts'
import {
  declared,
  type For,
  findLoop,
  mapStmt,
  namer,
  pathTo,
  reads,
  replace,
  someExpr,
  stored,
  substituteExpr,
  visit,
  written,
} from './walk.ts'

/** The body without the registers of `lets` whose values satisfy `test`: their readers have the values. */
function inline(body: Stmt, lets: ReadonlyMap<string, Expr>, test: (value: Expr) => boolean): Stmt {
  const gone = new Map<string, Expr>()
  visit(body, (s) => {
    if (s.s !== 'let' || !lets.has(s.name)) return
    const value = substituteExpr(s.value, gone)
    if (test(value)) gone.set(s.name, value)
  })
  return mapStmt(
    body,
    (e) => (e.k === 'var' ? (gone.get(e.name) ?? e) : e),
    (s) => (s.s === 'let' && gone.has(s.name) ? block() : s),
  )
}

/** One loop body with `lanes` iterations in each register; undefined for a part that has no form with lanes. */
class Widener {
  readonly v: string
  readonly base: Expr
  readonly lanes: number
  /** Buffers of f16, which has no lanes. */
  readonly halves: ReadonlySet<string>
  /** Registers whose value differs between iterations. */
  readonly varying = new Set<string>()

  constructor(kernel: Kernel, v: string, base: Expr, lanes: number, body: Stmt) {
    this.halves = new Set(kernel.bufs.flatMap((b) => (b.elem === 'f16' ? [b.name] : [])))
    this.v = v
    this.base = base
    this.lanes = lanes
    for (let before = -1; before < this.varying.size; ) {
      before = this.varying.size
      visit(body, (s) => {
        if ((s.s === 'let' || s.s === 'set') && this.varies(s.value)) this.varying.add(s.name)
      })
    }
  }

  varies(e: Expr): boolean {
    return someExpr(e, (x) => x.k === 'var' && (x.name === this.v || this.varying.has(x.name)))
  }

  widened(type: Type): Type | undefined {
    const fits = type.lanes === 1 && (type.num === 'i32' || type.num === 'f32')
    return fits ? { num: type.num, lanes: this.lanes } : undefined
  }

  /** Indices of `lanes` neighbours from the first: stride 1 in the last, the others the same in all iterations. */
  index(buf: string, at: readonly Expr[]): Expr[] | undefined {
    if (this.halves.has(buf)) return undefined
    const last = at.length - 1
    for (const [d, i] of at.entries()) if (coefficient(i, this.v) !== (d === last ? 1 : 0)) return undefined
    if (last < 0 || at.some((i) => reads(i, this.varying))) return undefined
    const to = new Map([[this.v, this.base]])
    return at.map((i) => substituteExpr(i, to))
  }

  expr(e: Expr): Expr | undefined {
    const type = this.widened(e.type)
    if (!type) return undefined
    if (!this.varies(e)) return splat(e, this.lanes)
    switch (e.k) {
      case 'const':
        return undefined
      case 'var':
        return e.name === this.v ? undefined : { ...e, type }
      case 'load': {
        const at = this.index(e.buf, e.at)
        return at && { ...e, at, type }
      }
      case 'op': {
        const args: Expr[] = []
        for (const arg of e.args) {
          const wide = this.expr(arg)
          if (!wide) return undefined
          args.push(wide)
        }
        return { ...e, args, type }
      }
    }
  }

  stmt(s: Stmt): Stmt | undefined {
    switch (s.s) {
      case 'block': {
        const body: Stmt[] = []
        for (const t of s.body) {
          const wide = this.stmt(t)
          if (!wide) return undefined
          body.push(wide)
        }
        return block(...body)
      }
      case 'for': {
        const body = this.stmt(s.body)
        return body && { ...s, body }
      }
      case 'asm':
        return undefined
      case 'let':
      case 'set': {
        if (!this.varying.has(s.name)) return s
        const value = this.expr(s.value)
        return value && { ...s, value }
      }
      case 'store': {
        const at = this.index(s.buf, s.at)
        const value = this.expr(s.value)
        return at && value && { ...s, at, value }
      }
      case 'if': {
        if (this.varies(s.cond)) return undefined
        const body = this.stmt(s.body)
        const otherwise = s.else && this.stmt(s.else)
        if (!body || (s.else && !otherwise)) return undefined
        return { ...s, body, ...(otherwise ? { else: otherwise } : {}) }
      }
    }
  }
}

/**
 * Runs four iterations of the loop `v` at once in lanes: `v` becomes `v_o` with i32x4 and f32x4 registers, values that are
 * the same in all iterations are splatted, a scalar loop `v_r` does the rest. Applies to a parallel loop (see `unrollJam`)
 * of at least `lanes` = 4 iterations whose stores and varying loads are stride 1 in their last index, without f16 elements
 * and i64 or f64 registers that depend on `v`, conditions of `if` that depend on `v`, or `v` itself used as a number.
 */
export function vectorize(kernel: Kernel, v: string, lanes: number): Kernel | undefined {
  const loop = findLoop(kernel, v)
  if (!loop || lanes !== 4 || loop.extent < lanes || !separable(kernel, loop)) return undefined
  const body = inline(
    loop.body,
    constantLets(kernel),
    (value) => affine(value) !== undefined && reads(value, new Set([v])),
  )
  const fresh = namer(kernel)
  const outer = fresh(`${v}_o`)
  const trips = Math.floor(loop.extent / lanes)
  const wide = new Widener(kernel, v, mul(ref(outer), lanes), lanes, body).stmt(body)
  if (!wide) return undefined
  const main: Stmt = { ...loop, v: outer, extent: trips, body: wide }
  return replace(kernel, loop, block(main, ...remainder(loop, trips * lanes, fresh)))
}

/** One `acc = acc + a * b` of a reduction; each factor is a load, perhaps with an offset that is added or subtracted. */
interface Term {
  readonly acc: string
  readonly factors: readonly Factor[]
}
interface Factor {
  readonly load: Extract<Expr, { k: 'load' }>
  readonly offset?: { readonly op: 'add' | 'sub'; readonly by: Expr }
}

const isOp = (e: Expr, ...names: string[]): e is Extract<Expr, { k: 'op' }> => e.k === 'op' && names.includes(e.op)

function factorOf(e: Expr, kernel: Kernel, v: string, fixed: (e: Expr) => boolean): Factor | undefined {
  const bare = e.k === 'load' ? e : isOp(e, 'add', 'sub') && e.args[0].k === 'load' ? e.args[0] : undefined
  if (!bare || bare.type.num !== 'i32' || bare.type.lanes !== 1) return undefined
  const last = bare.at.length - 1
  if (last < 0 || bare.at.some((i, d) => coefficient(i, v) !== (d === last ? 1 : 0))) return undefined
  if (!bare.at.every((i) => fixed(substituteExpr(i, new Map([[v, int(0)]]))))) return undefined
  const elem = kernel.bufs.find((b) => b.name === bare.buf)?.elem
  if (e.k === 'load') return elem === 'i8' || elem === 'u8' || elem === 'i16' ? { load: bare } : undefined
  if (e.k !== 'op' || (elem !== 'i8' && elem !== 'u8')) return undefined
  const by = e.args[1]
  return fixed(by) ? { load: bare, offset: { op: e.op === 'add' ? 'add' : 'sub', by } } : undefined
}

function termOf(s: Stmt, kernel: Kernel, v: string, fixed: (e: Expr) => boolean): Term | undefined {
  if (s.s !== 'set' || !isOp(s.value, 'add', 'wadd') || s.value.type.num !== 'i32' || s.value.type.lanes !== 1)
    return undefined
  const own = s.value.args.findIndex((e) => e.k === 'var' && e.name === s.name)
  const product = s.value.args[1 - own]
  if (own < 0 || !isOp(product, 'mul', 'wmul')) return undefined
  const factors = product.args.map((e) => factorOf(e, kernel, v, fixed))
  if (factors.some((f) => f === undefined)) return undefined
  return { acc: s.name, factors: factors as Factor[] }
}

function mentions(s: Stmt, name: string): number {
  let n = 0
  visit(
    s,
    (t) => {
      if (t.s === 'set' && t.name === name) n++
    },
    (e) => {
      if (e.k === 'var' && e.name === name) n++
    },
  )
  return n
}

/** The outermost statement around `loop`, beside the declaration of every accumulator or further in, that uses them only in `loop`. */
function reductionOf(kernel: Kernel, loop: For, accs: readonly string[]): Stmt | undefined {
  const path = pathTo(kernel, loop.v)
  const start = accs.map((acc) => {
    const home = path.findIndex((s) => s.s === 'block' && s.body.some((t) => t.s === 'let' && t.name === acc))
    if (home < 0) return path.length
    const clear = path.findIndex((s, i) => i > home && mentions(s, acc) === mentions(loop, acc))
    return clear < 0 ? path.length : clear
  })
  return path[Math.max(...start)]
}

/**
 * A reduction `for c: acc = acc + (x[.., c] - z) * w[.., c]` (one or several accumulators; offsets may be missing, on
 * either side, added or subtracted) with eight products a step in i16 lanes: a loop `c_o` with `dot` into an i32x4
 * accumulator, a scalar loop `c_r` for what is left, and one sum of lanes after the outermost loop or `if` that uses the
 * accumulator only here. Applies where both factors load i8, u8 or i16 with stride 1 in their last index, offsets only with
 * i8 and u8. The caller knows that offset elements fit i16: zero points do.
 */
export function reduceLanes(kernel: Kernel, v: string): Kernel | undefined {
  const loop = findLoop(kernel, v)
  if (!loop || loop.extent < 8 || stored(loop.body).size > 0) return undefined
  const body = inline(loop.body, constantLets(kernel), (value) => value.type.lanes === 1 && value.type.num === 'i32')
  const sets = body.s === 'block' ? body.body : [body]
  const changed = written(body)
  const fixed = (e: Expr) => !reads(e, changed) && !reads(e, new Set([v]))
  const terms: Term[] = []
  for (const s of sets) {
    const term = termOf(s, kernel, v, fixed)
    if (!term) return undefined
    terms.push(term)
  }
  const accs = [...new Set(terms.map((t) => t.acc))]
  const around = reductionOf(kernel, loop, accs)
  if (!around) return undefined

  const fresh = namer(kernel)
  const outer = fresh(`${v}_o`)
  const trips = Math.floor(loop.extent / 8)
  const to = new Map([[v, mul(ref(outer), 8)]])
  const before: Stmt[] = []
  const offsets = new Map<string, Expr>()
  const local = new Set([...declared(around), ...written(around)])

  const lanesOfOffset = (by: Expr): Expr => {
    const value: Expr = { k: 'op', op: 'splat', args: [by], type: I16X8 }
    if (by.k !== 'var' || local.has(by.name)) return value
    let register = offsets.get(by.name)
    if (!register) {
      const name = fresh(`${by.name}_v`)
      before.push({ s: 'let', name, value })
      register = ref(name, I16X8)
      offsets.set(by.name, register)
    }
    return register
  }
  const lanesOfFactor = ({ load, offset }: Factor): Expr => {
    const wide: Expr = { ...load, type: I16X8, at: load.at.map((i) => substituteExpr(i, to)) }
    return offset ? op(offset.op, wide, lanesOfOffset(offset.by)) : wide
  }

  const lanes = new Map(accs.map((acc) => [acc, ref(fresh(`${acc}_v`), I32X4)]))
  for (const register of lanes.values())
    if (register.k === 'var') before.push({ s: 'let', name: register.name, value: splat(0, 4) })
  const steps = terms.map(({ acc, factors }): Stmt => {
    const register = lanes.get(acc)!
    const product = op('dot', ...factors.map(lanesOfFactor))
    return { s: 'set', name: register.k === 'var' ? register.name : acc, value: op('wadd', register, product) }
  })
  const main: Stmt = { ...loop, v: outer, extent: trips, body: block(...steps) }
  const tail = remainder(loop, trips * 8, fresh)
  // The lanes' total may not fit i32 on its own where the sum with what acc holds does: wrapping keeps the low bits of both
  const after = accs.map(
    (acc): Stmt => ({ s: 'set', name: acc, value: op('wadd', ref(acc), op('sum', lanes.get(acc)!)) }),
  )
  const reduced = block(main, ...tail)
  const inner = around === loop ? reduced : replace({ ...kernel, body: around }, loop, reduced).body
  return replace(kernel, around, block(...before, inner, ...after))
}
