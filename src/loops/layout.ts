// Schedules that move data: `stage` copies the window of a buffer that a loop reads into scratch once, widened; `pack`
// reorders the dimensions of a buffer whose content is known off-line. Where a rewrite does not apply to the loops as they
// are, the answer is undefined.

import { bug } from '../errors.ts'
import { type Affine, affine, constantLets, loopRanges, rangeOf, termsWhere, toExpr } from './affine.ts'
import { add, and, block, buffer, ge, int, load, loop as loopOver, lt, mul, store, when } from './build.ts'
import { type Buf, count, type Data, type Elem, type Expr, type Kernel, newData, registerOf, type Stmt } from './ir.ts'
import { declared, findLoop, mapStmt, namer, pathTo, replace, stored, visit, written } from './walk.ts'

type Load = Extract<Expr, { k: 'load' }>

function loadsOf(s: Stmt, buf: string): Load[] {
  const loads: Load[] = []
  visit(
    s,
    () => {},
    (e) => {
      if (e.k === 'load' && e.buf === buf) loads.push(e)
    },
  )
  return loads
}

/** One dimension of a window: where it starts, as a sum of what stays the same inside the loop, and its size. */
interface Extent {
  readonly start: Affine
  readonly size: number
}

/** The smallest range of one index over all loads inside a loop. */
function extentOf(
  indices: readonly { at: Affine; lanes: number }[],
  inner: ReadonlySet<string>,
  ranges: ReturnType<typeof loopRanges>,
): Extent | undefined {
  const outer = termsWhere(indices[0].at, (name) => !inner.has(name))
  const key = (a: Affine) =>
    [...a.terms]
      .map(([name, c]) => `${c}*${name}`)
      .sort()
      .join('+')
  let low = Infinity
  let high = -Infinity
  for (const { at, lanes } of indices) {
    if (key(termsWhere(at, (name) => !inner.has(name))) !== key(outer)) return undefined
    const range = rangeOf({ ...termsWhere(at, (name) => inner.has(name)), base: at.base }, ranges)
    if (!range) return undefined
    low = Math.min(low, range.low)
    high = Math.max(high, range.high + lanes - 1)
  }
  return { start: { terms: outer.terms, base: low }, size: high - low + 1 }
}

/** A kernel with one more buffer, its last: scratch. */
export interface Staged {
  readonly kernel: Kernel
  readonly scratch: Buf
}

/**
 * Copies what the loop `v` reads of a buffer into scratch before the loop, as elements of `elem`, and reads that instead.
 * Elements of the window outside the buffer (under an `if` that guards padding) stay unwritten. Loops around `v` are no
 * longer parallel: their iterations share the scratch. Applies where the loop does not store into the buffer, every index is
 * a sum of loop variables and fixed registers, all loads move alike with what is outside the loop, and `elem` holds them.
 */
export function stage(kernel: Kernel, v: string, name: string, elem: Elem): Staged | undefined {
  const loop = findLoop(kernel, v)
  const buf = kernel.bufs.find((b) => b.name === name)
  if (!loop || !buf || stored(loop).has(name)) return undefined
  const loads = loadsOf(loop, name)
  if (loads.length === 0 || !wideEnough(buf.elem, elem, loads)) return undefined
  const lets = constantLets(kernel)
  const inner = new Set(declared(loop))
  const changed = written(loop)
  const ranges = loopRanges(kernel)
  const last = buf.shape.length - 1
  const at = new Map<Load, Affine[]>()
  for (const e of loads) {
    const indices = e.at.map((i) => affine(i, lets))
    if (!indices.every((a) => a !== undefined)) return undefined
    if (indices.some((a) => [...a.terms.keys()].some((x) => changed.has(x)))) return undefined
    at.set(e, indices)
  }
  const window: Extent[] = []
  for (const d of buf.shape.keys()) {
    const indices = loads.map((e) => ({ at: at.get(e)![d], lanes: d === last ? e.type.lanes : 1 }))
    const extent = extentOf(indices, inner, ranges)
    if (!extent) return undefined
    window.push(extent)
  }

  const fresh = namer(kernel)
  const scratch = buffer(
    fresh(`${name}_s`),
    elem,
    window.map((w) => w.size),
    'scratch',
  )
  const copy = (d: number, to: Expr[], from: Expr[], conds: Expr[]): Stmt => {
    if (d === buf.shape.length) {
      const body = store(scratch, to, load(buf, ...from))
      return conds.length
        ? when(
            conds.reduce((a, b) => and(a, b)),
            body,
          )
        : body
    }
    const { start, size } = window[d]
    const reach = rangeOf(start, ranges)
    const step = (i: Expr): Stmt => {
      const source = add(toExpr(start), i)
      const guards: Expr[] = []
      if (!reach || reach.low < 0) guards.push(ge(source, 0))
      if (!reach || reach.high + size > buf.shape[d]) guards.push(lt(source, buf.shape[d]))
      return copy(d + 1, [...to, i], [...from, source], [...conds, ...guards])
    }
    return size === 1 ? step(int(0)) : loopOver(fresh(`${name}_${d}`), size, step)
  }
  const redirected = mapLoads(loop, at, (e, indices) => {
    const moved = indices.map((a, d) =>
      toExpr({ ...termsWhere(a, (x) => inner.has(x)), base: a.base - window[d].start.base }),
    )
    return { ...e, buf: scratch.name, at: moved }
  })
  const around = new Set(pathTo(kernel, v).flatMap((s) => (s.s === 'for' && s !== loop ? [s.v] : [])))
  const placed = replace(kernel, loop, block(copy(0, [], [], []), redirected))
  const body = mapStmt(
    placed.body,
    (e) => e,
    (s) => {
      if (s.s !== 'for' || !around.has(s.v)) return s
      return { s: 'for', v: s.v, extent: s.extent, body: s.body }
    },
  )
  return { kernel: { ...kernel, bufs: [...kernel.bufs, scratch], body }, scratch }
}

function wideEnough(from: Elem, to: Elem, loads: readonly Load[]): boolean {
  if (from === to) return true
  if (to === 'i16') return from === 'i8' || from === 'u8'
  return to === 'i32' && registerOf(from).num === 'i32' && loads.every((e) => e.type.num === 'i32')
}

function mapLoads(s: Stmt, at: ReadonlyMap<Load, Affine[]>, f: (e: Load, indices: Affine[]) => Expr): Stmt {
  const go = (e: Expr): Expr => {
    if (e.k === 'load') {
      const indices = at.get(e)
      if (indices) return f(e, indices)
    }
    return e
  }
  return mapStmt(s, go)
}

/** A dimension of a packed buffer: one of the original ones, or one part of a dimension cut into blocks of `by`. */
export type PackDim = number | { readonly dim: number; readonly by: number; readonly part: 'outer' | 'inner' }

/** A kernel whose buffer has another layout, and the function that gives data this layout. */
export interface Packed {
  readonly kernel: Kernel
  readonly pack: (data: Data) => Data
}

/**
 * Reorders the dimensions of a buffer, in the packed order: `[1, 2, 3, 0]` makes the first one the last;
 * `[{dim: 0, by: 4, part: 'outer'}, 1, {dim: 0, by: 4, part: 'inner'}]` is (N, K) as (N/4, K, 4), the last block filled up
 * with zeros. Applies where the kernel only reads the buffer, block and place in the block of each index are known sums
 * (`split` the loop first), and loads with lanes stay on neighbours.
 */
export function pack(kernel: Kernel, name: string, dims: readonly PackDim[]): Packed | undefined {
  const buf = kernel.bufs.find((b) => b.name === name)
  if (!buf || buf.access !== 'read') return undefined
  checkDims(buf, dims)
  const lets = constantLets(kernel)
  const ranges = loopRanges(kernel)
  const shape = dims.map((d) => {
    if (typeof d === 'number') return buf.shape[d]
    return d.part === 'inner' ? d.by : Math.ceil(buf.shape[d.dim] / d.by)
  })
  let fits = true
  const last = buf.shape.length - 1
  const body = mapStmt(kernel.body, (e) => {
    if (e.k !== 'load' || e.buf !== name) return e
    const final = dims[dims.length - 1]
    const contiguous = final === last || (typeof final === 'object' && final.dim === last && final.part === 'inner')
    if (e.type.lanes > 1 && !contiguous) fits = false
    const at = dims.map((d): Expr => {
      if (typeof d === 'number') return e.at[d]
      const parts = cut(affine(e.at[d.dim], lets), d.by, d.dim === last ? e.type.lanes : 1, ranges)
      if (!parts) fits = false
      return parts ? toExpr(parts[d.part]) : int(0)
    })
    return { ...e, at }
  })
  if (!fits) return undefined
  const bufs = kernel.bufs.map((b) => (b === buf ? { ...b, shape } : b))
  return { kernel: { ...kernel, bufs, body }, pack: (data) => packData(data, buf, dims, shape) }
}

function checkDims(buf: Buf, dims: readonly PackDim[]): void {
  const uses = buf.shape.map((_, d) => dims.filter((x) => (typeof x === 'number' ? x : x.dim) === d))
  for (const [d, use] of uses.entries()) {
    const [a, b] = use
    if (use.length === 1 && typeof a === 'number') continue
    const pair = use.length === 2 && typeof a === 'object' && typeof b === 'object'
    if (!pair || a.by !== b.by || a.part === b.part || a.by < 1)
      bug(`pack ${buf.name}: dimension ${d} is not placed once`)
  }
  const places = uses.reduce((n, use) => n + use.length, 0)
  if (places !== dims.length) bug(`pack ${buf.name}: a dimension beyond its ${buf.shape.length}`)
}

/** Quotient and remainder of a sum by `by`, where the remainder's range shows that the quotient's terms are exact. */
function cut(
  a: Affine | undefined,
  by: number,
  lanes: number,
  ranges: ReturnType<typeof loopRanges>,
): { outer: Affine; inner: Affine } | undefined {
  if (!a) return undefined
  const whole = termsWhere(a, (_, c) => c % by === 0)
  const base = Math.floor(a.base / by)
  const inner = { ...termsWhere(a, (_, c) => c % by !== 0), base: a.base - base * by }
  const range = rangeOf(inner, ranges)
  if (!range || range.low < 0 || range.high + lanes > by) return undefined
  return { outer: { terms: new Map([...whole.terms].map(([x, c]) => [x, c / by])), base }, inner }
}

function packData(data: Data, buf: Buf, dims: readonly PackDim[], shape: readonly number[]): Data {
  if (data.length !== count(buf.shape)) bug(`pack ${buf.name}: ${data.length} elements, expects ${count(buf.shape)}`)
  const out = newData(buf.elem, count(shape))
  const index = new Array<number>(buf.shape.length)
  for (let flat = 0; flat < out.length; flat++) {
    index.fill(0)
    let rest = flat
    for (let d = dims.length - 1; d >= 0; d--) {
      const i = rest % shape[d]
      rest = (rest - i) / shape[d]
      const to = dims[d]
      if (typeof to === 'number') index[to] = i
      else index[to.dim] += to.part === 'inner' ? i : i * to.by
    }
    if (index.some((i, d) => i >= buf.shape[d])) continue
    out[flat] = data[index.reduce((at, i, d) => at * buf.shape[d] + i, 0)]
  }
  return out
}

/** The kernel with one dimension for each buffer: rows of elements. */
export function flattened(kernel: Kernel): Kernel {
  const shapes = new Map(kernel.bufs.map((b) => [b.name, b.shape]))
  const row = (buf: string, at: readonly Expr[]): Expr[] => {
    const shape = shapes.get(buf)!
    return [at.reduce<Expr>((sum, e, d) => add(mul(sum, shape[d]), e), int(0))]
  }
  return {
    ...kernel,
    bufs: kernel.bufs.map((b) => ({ ...b, shape: [count(b.shape)] })),
    body: mapStmt(
      kernel.body,
      (e) => (e.k === 'load' ? { ...e, at: row(e.buf, e.at) } : e),
      (s) => (s.s === 'store' ? { ...s, at: row(s.buf, s.at) } : s),
    ),
  }
}
