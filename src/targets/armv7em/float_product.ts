// Sums of float32 products that share a factor between the outputs of one row and another between rows: gradients of
// convolutions and fully connected layers, matrix products. The operand that neighbouring outputs walk is read in lanes, int8
// through a strip of float32 that is made once for all rows; the sums of a row go through memory from block to block, in the order
// of the loops. What follows a sum (an update of what is stored) stays a loop over sums in scratch.

import type { Affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Expr, Stmt } from '../../loops/ir.ts'
import { type For, substitute, substituteExpr } from '../../loops/walk.ts'
import {
  begun,
  type Guard,
  keptIn,
  type Nest,
  type Operand,
  type Out,
  of,
  operandOf,
  type Parts,
  place,
  renamed,
} from './float_nest.ts'
import {
  LANES,
  ROWS,
  type Strip,
  stripMeans,
  stripRoutine,
  type Tile,
  tileMeans,
  tileNumbers,
  tileRoutine,
} from './float_tile.ts'

/** Rows of b at once, at most. */
const BLOCK = 64
/** Rows of sums in scratch at once. */
const SUMS = 16
/** Iterations of a loop, or of nested loops, that a window's border makes differ. */
const UNROLLED = 64

/** Loops that are one: the innermost, and how many iterations it has. */
interface Merged {
  readonly loops: readonly For[]
  readonly extent: number
}

/** The loops of `all` from the innermost outwards, as long as every index goes on where the inner loop ends. */
function merged(inner: For, all: readonly For[], indices: readonly Affine[], apart: ReadonlySet<string>): Merged {
  const loops = [inner]
  let extent = inner.extent
  for (const l of all.slice(0, all.indexOf(inner)).toReversed()) {
    if (apart.has(l.v) || apart.has(inner.v)) break
    if (indices.some((a) => (a.terms.get(l.v) ?? 0) !== (a.terms.get(inner.v) ?? 0) * extent)) break
    loops.push(l)
    extent *= l.extent
  }
  return { loops, extent }
}

/** A nest whose loops have parts: lanes, rows, products of one block, and those around. */
interface Shape {
  readonly nest: Nest
  readonly a: Operand
  readonly b: Operand
  readonly lane: For
  readonly rows: Merged
  readonly k: Merged
  /** Where sums stay; absent where they are handed on. */
  readonly out?: Out
}

function shapeOf(nest: Nest, bufs: ReadonlyMap<string, Buf>): Shape | undefined {
  const { outputs, window, guards } = nest
  const kept = keptIn(nest, bufs)
  if (kept === 'other') return undefined
  const at = kept?.at
  const operands = nest.factors.map((e) => operandOf(e, bufs))
  const guarded = new Set(guards.flatMap((g) => [...g.index.terms.keys()]))
  for (const [i, b] of operands.entries()) {
    const a = operands[1 - i]
    if (!a || !b || a.shift) continue
    const lane = outputs.find((l) => of(b.at, l) === 1 && of(a.at, l) === 0 && (!at || of(at, l) === 1))
    if (!lane || guarded.has(lane.v)) continue
    const moves = (l: For) => l !== lane && of(b.at, l) === 0 && of(a.at, l) !== 0
    const row = outputs.findLast(moves) ?? outputs.findLast((l) => l !== lane && of(b.at, l) === 0)
    const inner = window.at(-1)!
    if (!row) continue
    const apart = new Set([...guarded, lane.v])
    const rows = kept
      ? merged(
          row,
          outputs.filter((l) => l !== lane),
          [a.at, b.at, at!],
          apart,
        )
      : { loops: [row], extent: row.extent }
    const k = merged(inner, window, [a.at, b.at], guarded)
    return { nest, a, b, lane, rows, k, ...(kept && { out: kept }) }
  }
  return undefined
}

/** The iterations of `v` for which all guards that read it hold, where the rest is known. */
function within(guards: readonly Guard[], l: For, known: ReadonlyMap<string, number>): [number, number] {
  let [from, to] = [0, l.extent]
  for (const { index, limit, op } of guards) {
    const c = index.terms.get(l.v)
    if (!c) continue
    const base = [...index.terms].reduce((sum, [v, x]) => (v === l.v ? sum : sum + x * known.get(v)!), index.base)
    // c * i + base >= limit, or < limit
    const bound = (limit - base) / c
    if (op === 'ge') {
      if (c > 0) from = Math.max(from, Math.ceil(bound))
      else to = Math.min(to, Math.floor(bound) + 1)
    } else if (c > 0) to = Math.min(to, Math.ceil(bound))
    else from = Math.max(from, Math.floor(bound) + 1)
  }
  return [from, Math.max(from, to)]
}

/** Fewer products for each lane are not worth the call. */
const FEWEST = 8

function worth({ lane, rows, k }: Shape): boolean {
  return rows.extent * k.extent >= FEWEST && rows.extent * k.extent * lane.extent >= 8 * FEWEST
}

/** The nest's work in tiles, or undefined where its loops are of another kind. */
export function tiles(nest: Nest, parts: Parts, outermost: ReadonlyMap<string, Expr>): Stmt | undefined {
  const shape = shapeOf(nest, parts.bufs)
  return shape && worth(shape) ? tiled(shape, parts, outermost) : undefined
}

function tiled(
  { nest, a, b, lane, rows, k, out }: Shape,
  parts: Parts,
  outermost: ReadonlyMap<string, Expr>,
): Stmt | undefined {
  const { outputs, window, guards, start, rest } = nest
  const { name } = parts
  const [row, inner] = [rows.loops[0], k.loops[0]]
  const tight = (g: Guard) => g.index.terms.has(row.v) || g.index.terms.has(inner.v)
  const mixed = guards.some((g) => g.index.terms.has(row.v) && g.index.terms.has(inner.v))
  const fixed = new Set(guards.filter(tight).flatMap((g) => [...g.index.terms.keys()]))
  const around = outputs.filter((l) => l !== lane && !rows.loops.includes(l))
  const outside = window.filter((l) => !k.loops.includes(l))
  const unrolled = [...around, ...outside].filter((l) => fixed.has(l.v))
  const strange = [...fixed].some((v) => v !== row.v && v !== inner.v && !unrolled.some((l) => l.v === v))
  if (mixed || strange || unrolled.reduce((n, l) => n * l.extent, 1) > UNROLLED) return undefined
  if (of(b.at, inner) < 0 || of(b.at, inner) >= 2 ** 16) return undefined
  const sumRow = LANES
  const outRow = out ? of(out.at, row) : sumRow
  const blockOf = (extent: number) => {
    if (extent <= BLOCK) return extent
    for (let n = BLOCK; n >= BLOCK / 2; n--) if (extent % n === 0) return n
    return BLOCK
  }

  /** Products of `n` rows and `kn` factors of each, by `lanes` from `first` on. */
  const products = (
    env: ReadonlyMap<string, Expr>,
    first: Expr,
    lanes: number,
    [r0, n]: readonly [Expr, number],
    [k0, kn]: readonly [Expr, number],
    strips: 'make' | 'made',
  ): Stmt[] => {
    const here = new Map(env).set(lane.v, first).set(row.v, r0).set(inner.v, k0)
    const from = place(a.at, here)
    const other = place(b.at, here)
    const strip = L.buffer(parts.strip, 'f32', [0], 'scratch')
    const made: Stmt[] = []
    const shape: Strip = { rows: kn, lanes, apart: of(b.at, inner) }
    if (b.shift) {
      parts.stripSize = Math.max(parts.stripSize, kn * lanes)
      if (strips === 'make')
        made.push({
          s: 'asm',
          means: stripMeans(shape, b.buf, other, b.shift, strip, name),
          routine: stripRoutine(shape),
          args: [L.load(b.buf, other), L.load(strip, 0), b.shift, L.int(kn | (shape.apart << 16))],
        })
    }
    const target = out ? out.buf : L.buffer(parts.sums, 'f32', [0], 'scratch')
    const to = out ? place(out.at, here) : L.int(0)
    const tile = (height: number, turns: number, skipped: number): Stmt => {
      const t: Tile = {
        ...{ rows: height, lanes, turns, k: kn, outRow },
        ...{ aRow: of(a.at, row), aK: of(a.at, inner), bK: b.shift ? lanes : of(b.at, inner) },
      }
      const at: [Expr, Expr, Expr] = [
        L.add(from, skipped * t.aRow),
        b.shift ? L.int(0) : other,
        L.add(to, skipped * outRow),
      ]
      const bBuf = b.shift ? strip : b.buf
      return {
        s: 'asm',
        means: tileMeans(t, [a.buf, bBuf, target], at, name),
        routine: tileRoutine(t),
        args: [
          L.load(a.buf, at[0]),
          L.load(bBuf, at[1]),
          L.load(target, at[2]),
          L.load(L.buffer(parts.table, 'i32', [0]), parts.number(tileNumbers(t))),
        ],
      }
    }
    const pairs = Math.floor(n / ROWS)
    return [...made, ...(pairs ? [tile(ROWS, pairs, 0)] : []), ...(n % ROWS ? [tile(1, 1, n - 1)] : [])]
  }

  /** `body` for each iteration of `loops`, those in `fixed` one after the other; `known` are their numbers. */
  const over = (
    loops: readonly For[],
    env: ReadonlyMap<string, Expr>,
    known: ReadonlyMap<string, number>,
    body: (env: ReadonlyMap<string, Expr>, known: ReadonlyMap<string, number>) => Stmt,
  ): Stmt => {
    const [l, ...more] = loops
    if (!l) return body(env, known)
    if (fixed.has(l.v))
      return L.block(
        ...Array.from({ length: l.extent }, (_, i) =>
          over(more, new Map(env).set(l.v, L.int(i)), new Map(known).set(l.v, i), body),
        ),
      )
    return L.loop(name(l.v), l.extent, (v) => over(more, new Map(env).set(l.v, v), known, body))
  }
  const guardExpr = (env: ReadonlyMap<string, Expr>): Expr | undefined =>
    guards
      .filter((g) => !tight(g))
      .map((g) => L.op(g.op, place(g.index, env), g.limit))
      .reduce<Expr | undefined>((all, e) => (all ? L.and(all, e) : e), undefined)
  const sums = (
    env: ReadonlyMap<string, Expr>,
    known: ReadonlyMap<string, number>,
    first: Expr,
    lanes: number,
    some: readonly [Expr, number] | undefined,
    strips: 'make' | 'made',
  ): Stmt =>
    over(outside, env, known, (here, fixedHere) => {
      const tightGuards = guards.filter(tight)
      const [r0, r1] = some ? [0, 0] : within(tightGuards, { ...row, extent: rows.extent }, fixedHere)
      const [k0, k1] = within(tightGuards, { ...inner, extent: k.extent }, fixedHere)
      const range: readonly [Expr, number] = some ?? [L.int(r0), r1 - r0]
      const length = k1 - k0
      if (length <= 0 || range[1] <= 0) return L.block()
      const size = b.shift ? blockOf(length) : length
      const whole = Math.floor(length / size)
      const part = (v: Expr, n: number) => L.block(...products(here, first, lanes, range, [v, n], strips))
      const all = [
        whole > 1 ? L.loop(name('kb'), whole, (v) => part(L.add(L.mul(v, size), k0), size)) : part(L.int(k0), size),
        ...(length % size ? [part(L.int(k0 + whole * size), length % size)] : []),
      ]
      const cond = guardExpr(here)
      return cond ? L.when(cond, all) : L.block(...all)
    })

  const from = start.value
  const inGroups = (body: (first: Expr, lanes: number) => Stmt): Stmt => {
    const groups = Math.floor(lane.extent / LANES)
    const left = lane.extent % LANES
    return L.block(
      ...(groups > 1 ? [L.loop(name(lane.v), groups, (g) => body(L.mul(g, LANES), LANES))] : []),
      ...(groups === 1 ? [body(L.int(0), LANES)] : []),
      ...(left ? [body(L.int(lane.extent - left), left)] : []),
    )
  }
  if (out)
    return L.block(
      begun(nest, out, outermost, name),
      over(around, outermost, new Map(), (env, known) =>
        inGroups((first, lanes) => sums(env, known, first, lanes, undefined, 'make')),
      ),
    )

  if (guards.some((g) => g.index.terms.has(row.v))) return undefined
  const T = L.buffer(parts.sums, 'f32', [0], 'scratch')
  return over(around, outermost, new Map(), (env, known) =>
    inGroups((first, lanes) => {
      const height = Math.min(SUMS, row.extent)
      parts.sumsSize = Math.max(parts.sumsSize, height * sumRow)
      // one strip for all rows, where it holds all products
      const one = b.shift !== undefined && outside.length === 0 && k.extent <= BLOCK
      const block = (r0: Expr, n: number): Stmt => {
        const finish = L.loops([name(row.v), name(lane.v)], [n, lanes], (r, l) => {
          const here = new Map(env).set(row.v, L.add(r0, r)).set(lane.v, L.add(first, l))
          const names = new Map<string, Expr>(here)
          names.set(start.name, L.load(T, L.add(L.mul(r, sumRow), l)))
          return substitute(renamed(L.block(...rest), name), names)
        })
        const begin = L.loops([name('r'), name('l')], [n, lanes], (r, l) =>
          L.store(
            T,
            [L.add(L.mul(r, sumRow), l)],
            substituteExpr(from, new Map(env).set(row.v, L.add(r0, r)).set(lane.v, L.add(first, l))),
          ),
        )
        return L.block(begin, sums(env, known, first, lanes, [r0, n], one ? 'made' : 'make'), finish)
      }
      const blocks = Math.floor(row.extent / height)
      const [k0, k1] = within(guards.filter(tight), { ...inner, extent: k.extent }, known)
      const made = one && k1 > k0 ? products(env, first, lanes, [L.int(0), 0], [L.int(k0), k1 - k0], 'make') : []
      return L.block(
        ...made,
        blocks > 1 ? L.loop(name('rb'), blocks, (v) => block(L.mul(v, height), height)) : block(L.int(0), height),
        ...(row.extent % height ? [block(L.int(row.extent - (row.extent % height)), row.extent % height)] : []),
      )
    }),
  )
}
