// Kernels that read a value made of rows of others: the buffer becomes one for each part, where every access stays inside
// one part; otherwise the parts are first copied to scratch, and that is read.

import { elemOf, type Value } from '../ir/graph.ts'
import type { Arg, Call } from '../ir/op.ts'
import { type Affine, affine, constantLets, loopRanges, rangeOf } from '../loops/affine.ts'
import * as L from '../loops/build.ts'
import { type Buf, count, type Elem, type Expr, elemBytes, type Stmt } from '../loops/ir.ts'
import { exprs, inside, mapExpr, mapOnce, namer, visitExpr } from '../loops/walk.ts'

/** Where a value's elements stand: in itself, or in parts of others; `from` and `count` in elements. */
export function partsOf(v: Value): { readonly value: Value; readonly from: number; readonly count: number }[] {
  const all = count(v.type.shape)
  const size = all / v.type.shape[1]
  if (!v.parts) return [{ value: v, from: 0, count: all }]
  return v.parts.map(({ value, from, rows }) => ({ value, from: from * size, count: rows * size }))
}

/** The same in elements of another size, as a kernel sees them; undefined where a part does not begin or end at one. */
function partsAs(v: Value, elem: Elem) {
  const unit = elemBytes(elem) / elemBytes(elemOf(v.type.dtype)!)
  const parts = partsOf(v).map(({ value, from, count }) => ({ value, from: from / unit, count: count / unit }))
  return parts.every((p) => Number.isInteger(p.from) && Number.isInteger(p.count)) ? parts : undefined
}

type Load = Extract<Expr, { k: 'load' }>

function flat({ shape }: Buf, at: readonly Expr[]): Expr {
  return at.reduce<Expr>((sum, e, d) => L.add(L.mul(sum, shape[d]), e), L.int(0))
}

function spreadOne(call: Call, k: number): Call | undefined {
  const { kernel, args } = call
  const arg = args[k] as { readonly value: Value }
  const old = kernel.bufs[k]
  const parts = partsAs(arg.value, old.elem)
  if (!parts) return undefined
  const fresh = namer(kernel)
  const bufs = parts.map((p, i) => L.buffer(fresh(`${old.name}_${i}`), old.elem, [p.count]))
  const starts = parts.map((_, i) => parts.slice(0, i).reduce((n, p) => n + p.count, 0))
  const places: Arg[] = parts.map(({ value, from }) => ({ value, from }))
  const others = <T>(all: readonly T[], own: readonly T[]) => [...all.slice(0, k), ...own, ...all.slice(k + 1)]

  const ranges = loopRanges(kernel)
  const lets = constantLets(kernel)
  let straddles = false
  const partOf = (e: Load): number => {
    if (parts.length === 1) return 0
    const sum: Affine | undefined = affine(flat(old, e.at), lets)
    const range = sum && rangeOf(sum, ranges)
    const i = range ? starts.findIndex((s, j) => range.low >= s && range.high + e.type.lanes <= s + parts[j].count) : -1
    if (i < 0) straddles = true
    return Math.max(0, i)
  }
  const redirect = (e: Expr): Expr =>
    mapExpr(e, (x) => {
      if (x.k !== 'load' || x.buf !== old.name) return x
      const i = partOf(x)
      return { ...x, buf: bufs[i].name, at: [L.sub(flat(old, x.at), starts[i])] }
    })
  const go = (s: Stmt): Stmt => {
    if (s.s === 'asm') {
      // a routine goes on from the address that it is given: all that it reads must be in the same part
      const read = new Set<number>()
      const collect = (t: Stmt): void => {
        for (const e of exprs(t)) visitExpr(e, (x) => x.k === 'load' && x.buf === old.name && read.add(partOf(x)))
        for (const u of inside(t)) collect(u)
      }
      collect(s)
      if (read.size > 1) straddles = true
    }
    return mapOnce(s, redirect, go)
  }
  const body = go(kernel.body)
  if (!straddles) return { kernel: { ...kernel, bufs: others(kernel.bufs, bufs), body }, args: others(args, places) }

  const scratch: Buf = { ...old, access: 'scratch', shape: [count(old.shape)] }
  const copy = bufs.map((b, i) => {
    const v = fresh(`${old.name}_copy`)
    return L.parallel(v, b.shape[0], (e) => L.store(scratch, [L.add(e, starts[i])], L.load(b, e)))
  })
  const flattened = (s: Stmt): Stmt =>
    mapOnce(
      s,
      (e) => mapExpr(e, (x) => (x.k === 'load' && x.buf === old.name ? { ...x, at: [flat(old, x.at)] } : x)),
      flattened,
    )
  return {
    kernel: {
      ...kernel,
      bufs: [...others(kernel.bufs, bufs), scratch],
      body: L.block(...copy, flattened(kernel.body)),
    },
    args: [...others(args, places), { scratch: true }],
  }
}

/**
 * The call with every buffer that is bound to a value made of parts bound to the parts; undefined where it sees larger elements
 * than the value's and a part is no whole number of them.
 */
export function spread(call: Call): Call | undefined {
  const k = call.args.findIndex((arg) => 'value' in arg && arg.value.parts !== undefined)
  if (k < 0) return call
  const one = spreadOne(call, k)
  return one && spread(one)
}
