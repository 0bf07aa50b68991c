// Schedules of loops: rewrites of a kernel that keep its meaning and change the order of its work. Loops are found by
// name. Where a rewrite does not apply to the loops as they are, the answer is undefined.
// Lanes are in lanes.ts, buffers and layouts in layout.ts.

import { coefficient } from './affine.ts'
import { add, block, int, mul, ref } from './build.ts'
import type { Expr, Kernel, Stmt } from './ir.ts'
import { printExpr } from './print.ts'
import {
  declared,
  type For,
  findLoop,
  namer,
  parts,
  reads,
  rename,
  replace,
  someExpr,
  stored,
  substitute,
  substituteExpr,
  visit,
  written,
} from './walk.ts'

type Fresh = (base: string) => string

/** A second instance of `s`: everything it declares gets a new name ending in `suffix`, reads of `v` become `at`. */
function instance(s: Stmt, v: string, at: Expr, suffix: string, fresh: Fresh): Stmt {
  const names = new Map(declared(s).map((name) => [name, fresh(`${name}_${suffix}`)]))
  return substitute(rename(s, names), new Map([[v, at]]))
}

/** The iterations of a loop from `from` to its end, as a loop of their own; nothing where there are none. */
export function remainder(loop: For, from: number, fresh: Fresh): Stmt[] {
  const extent = loop.extent - from
  if (extent <= 0) return []
  const v = fresh(`${loop.v}_r`)
  return [{ ...loop, v, extent, body: instance(loop.body, loop.v, add(ref(v), from), 'r', fresh) }]
}

/**
 * Whether iterations of the loop may also be interleaved: it is parallel, writes no register from outside, and a scratch
 * buffer that it stores into has an index that tells iterations apart.
 */
export function separable(kernel: Kernel, loop: For): boolean {
  if (!loop.parallel) return false
  const own = new Set(declared(loop.body))
  for (const name of written(loop.body)) if (!own.has(name)) return false
  const scratch = new Set(kernel.bufs.filter((b) => b.access === 'scratch').map((b) => b.name))
  let separate = true
  visit(loop.body, (s) => {
    if (s.s !== 'store' || !scratch.has(s.buf)) return
    if (!s.at.some((i) => coefficient(i, loop.v) && !reads(i, own))) separate = false
  })
  return separate
}

/**
 * `for v in N` as `for v_o in N/factor, for v_i in factor`, and a loop `v_r` over what is left.
 * Applies where 1 <= factor <= N.
 */
export function split(kernel: Kernel, v: string, factor: number): Kernel | undefined {
  const loop = findLoop(kernel, v)
  if (!loop || factor < 1 || factor > loop.extent) return undefined
  const fresh = namer(kernel)
  const [outer, inner] = [fresh(`${v}_o`), fresh(`${v}_i`)]
  const trips = Math.floor(loop.extent / factor)
  const at = add(mul(ref(outer), factor), ref(inner))
  const body = { ...loop, v: inner, extent: factor, body: substitute(loop.body, new Map([[v, at]])) }
  const main = { ...loop, v: outer, extent: trips, body }
  return replace(kernel, loop, block(main, ...remainder(loop, trips * factor, fresh)))
}

/** Exchanges the loop `outer` with the loop that is its whole body. Applies where both are parallel. */
export function interchange(kernel: Kernel, outer: string): Kernel | undefined {
  const loop = findLoop(kernel, outer)
  if (!loop?.parallel || loop.body.s !== 'for' || !loop.body.parallel) return undefined
  const inner = loop.body
  return replace(kernel, loop, { ...inner, body: { ...loop, body: inner.body } })
}

/** The loop as its iterations one after the other, registers renamed `name_0`, `name_1`, … Applies to every loop. */
export function unroll(kernel: Kernel, v: string): Kernel | undefined {
  const loop = findLoop(kernel, v)
  if (!loop) return undefined
  const fresh = namer(kernel)
  const bodies = Array.from({ length: loop.extent }, (_, k) => instance(loop.body, v, int(k), `${k}`, fresh))
  return replace(kernel, loop, block(...bodies))
}

/**
 * `for v: if c S else T` as `if c (for v: S) else (for v: T)`. Applies where the `if` is the whole body and its condition
 * reads neither `v`, nor registers or buffers that the loop writes.
 */
export function unswitch(kernel: Kernel, v: string): Kernel | undefined {
  const loop = findLoop(kernel, v)
  if (!loop || loop.body.s !== 'if') return undefined
  const { cond, body, else: otherwise } = loop.body
  const buffers = stored(loop.body)
  if (reads(cond, written(loop.body)) || reads(cond, new Set([v]))) return undefined
  if (someExpr(cond, (e) => e.k === 'load' && buffers.has(e.buf))) return undefined
  const hoisted: Stmt = { s: 'if', cond, body: { ...loop, body } }
  if (!otherwise) return replace(kernel, loop, hoisted)
  const again = namer(kernel)(`${v}_2`)
  const other: Stmt = { ...loop, v: again, body: substitute(otherwise, new Map([[v, ref(again)]])) }
  return replace(kernel, loop, { ...hoisted, else: other })
}

/** The copies of one loop body, made in lockstep. */
class Jam {
  readonly v: string
  readonly at: readonly Expr[]
  readonly names: readonly Map<string, string>[]
  readonly changed: ReadonlySet<string>
  readonly buffers: ReadonlySet<string>
  readonly fresh: Fresh

  constructor(loop: For, at: readonly Expr[], fresh: Fresh) {
    this.v = loop.v
    this.at = at
    this.names = at.map(() => new Map())
    this.changed = written(loop.body)
    this.buffers = stored(loop.body)
    this.fresh = fresh
  }

  /** One expression as each copy has it. */
  copies(e: Expr): Expr[] {
    return this.at.map((at, k) => {
      const to = new Map<string, Expr>([[this.v, at]])
      visitVars(e, (x) => {
        const name = this.names[k].get(x.name)
        if (name !== undefined) to.set(x.name, { ...x, name })
      })
      return substituteExpr(e, to)
    })
  }

  /** All copies are one value, and it stays the same while the loop body runs. */
  one(es: readonly Expr[]): boolean {
    const text = printExpr(es[0])
    if (es.some((e) => printExpr(e) !== text)) return false
    return !someExpr(es[0], (e) => e.k === 'load' && this.buffers.has(e.buf))
  }

  /** Declares a register for each largest part that loads and that all copies have in common, and reads that instead. */
  share(es: Expr[], out: Stmt[]): Expr[] {
    let first: string | undefined
    someExpr(es[0], (e) => {
      if (e.k === 'load') first ??= e.buf
      return e.k === 'load'
    })
    if (first === undefined) return es
    if (this.one(es)) {
      const name = this.fresh(`${first}_v`)
      out.push({ s: 'let', name, value: es[0] })
      return es.map(() => ({ k: 'var', name, type: es[0].type }))
    }
    if (!es.every((e) => alike(e, es[0]))) return es
    const shared = parts(es[0]).map((_, i) =>
      this.share(
        es.map((e) => parts(e)[i]),
        out,
      ),
    )
    return es.map((e, k) => {
      const own = shared.map((part) => part[k])
      if (e.k === 'load') return { ...e, at: own }
      return e.k === 'op' ? { ...e, args: own } : e
    })
  }

  stmt(s: Stmt): Stmt[] {
    const out: Stmt[] = []
    switch (s.s) {
      case 'block':
        return s.body.flatMap((t) => this.stmt(t))
      case 'for':
        return [{ ...s, body: block(...this.stmt(s.body)) }]
      case 'asm':
        return this.stmt(s.means)
      case 'let': {
        const values = this.copies(s.value)
        if (!this.changed.has(s.name) && this.one(values)) return [{ ...s, value: values[0] }]
        this.share(values, out).forEach((value, k) => {
          const name = this.fresh(`${s.name}_${k}`)
          this.names[k].set(s.name, name)
          out.push({ s: 'let', name, value })
        })
        return out
      }
      case 'set':
        this.share(this.copies(s.value), out).forEach((value, k) => {
          out.push({ s: 'set', name: this.names[k].get(s.name)!, value })
        })
        return out
      case 'store': {
        const values = this.share(this.copies(s.value), out)
        const at = s.at.map((i) => this.copies(i))
        values.forEach((value, k) => {
          out.push({ ...s, at: at.map((i) => i[k]), value })
        })
        return out
      }
      case 'if': {
        const conds = this.copies(s.cond)
        if (this.one(conds)) {
          const branch: Stmt = { s: 'if', cond: conds[0], body: block(...this.stmt(s.body)) }
          return [s.else ? { ...branch, else: block(...this.stmt(s.else)) } : branch]
        }
        return conds.map((cond, k) => {
          const branch: Stmt = { s: 'if', cond, body: this.alone(s.body, k) }
          return s.else ? { ...branch, else: this.alone(s.else, k) } : branch
        })
      }
    }
  }

  /** Copy `k` of a statement on its own. */
  alone(s: Stmt, k: number): Stmt {
    return instance(rename(s, this.names[k]), this.v, this.at[k], `${k}`, this.fresh)
  }
}

function alike(a: Expr, b: Expr): boolean {
  return a.k === b.k && parts(a).length === parts(b).length && (a.k !== 'op' || (b.k === 'op' && a.op === b.op))
}

function visitVars(e: Expr, f: (e: Extract<Expr, { k: 'var' }>) => void): void {
  if (e.k === 'var') f(e)
  for (const part of parts(e)) visitVars(part, f)
}

/**
 * Runs `factor` iterations of the loop `v` at once, jammed into the loops inside it: `v` becomes `v_o`, registers that
 * differ between the copies `name_0`, `name_1`, …; loads that all copies share happen once; a loop `v_r` does the rest.
 * Applies to a parallel loop that writes no register from outside, with 1 <= factor <= its extent, where scratch that it
 * stores into is told apart by `v`.
 */
export function unrollJam(kernel: Kernel, v: string, factor: number): Kernel | undefined {
  const loop = findLoop(kernel, v)
  if (!loop || factor < 1 || factor > loop.extent || !separable(kernel, loop)) return undefined
  const fresh = namer(kernel)
  const outer = fresh(`${v}_o`)
  const trips = Math.floor(loop.extent / factor)
  const at = Array.from({ length: factor }, (_, k) => add(mul(ref(outer), factor), k))
  const body = block(...new Jam(loop, at, fresh).stmt(loop.body))
  const main: Stmt = { ...loop, v: outer, extent: trips, body }
  return replace(kernel, loop, block(main, ...remainder(loop, trips * factor, fresh)))
}
