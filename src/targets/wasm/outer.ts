// What sums over pixels of one operand's channels times another's are, read off the loops, and how they are cut: loops over pixels
// into blocks, channels into tiles.

import type { Affine } from '../../loops/affine.ts'
import type { For } from '../../loops/walk.ts'
import { flat } from '../armv7em/dense.ts'
import type { Access, FloatSum } from '../sum_of_products.ts'

/** Vectors of four, and the most channels of the other operand that 15 registers have room for. */
const TILES = [
  [1, 7],
  [2, 5],
  [3, 3],
  [4, 2],
] as const

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** How much an index grows with a loop. */
export const step = (a: Affine, l: For | undefined): number => (l && a.terms.get(l.v)) ?? 0

export interface Outer {
  readonly s: FloatSum
  /** What vectors are read from, and what goes into every lane. */
  readonly vector: Access
  readonly single: Access
  /** Neighbouring elements of the vector operand and of the result: loops over these, and their number. */
  readonly run: readonly For[]
  readonly length: number
  /** Over channels of the single operand. */
  readonly others?: For
  readonly around: readonly For[]
}

export function outerOf(s: FloatSum): Outer | undefined {
  if (s.w.data || s.bias || s.low !== Number.NEGATIVE_INFINITY || s.high !== Number.POSITIVE_INFINITY) return undefined
  const y = flat(s.y)
  const inner = s.outputs.find((l) => step(y, l) === 1)
  const [vector, single] = step(flat(s.x), inner) === 1 ? [s.x, s.w] : [s.w, s.x]
  if (!inner || (single === s.x && s.padded.length > 0) || s.window.length === 0) return undefined
  const [v, o] = [flat(vector), flat(single)]
  const beside = (l: For, by: number) => step(y, l) === by && step(v, l) === by && step(o, l) === 0
  if (!beside(inner, 1)) return undefined
  // rows of a padded image may be skipped, or stand further apart in a copy
  const row = s.padded.length > 0 ? vector.at[vector.at.length - 3] : undefined
  const run = [inner]
  let length = inner.extent
  for (let next: For | undefined = inner; next; ) {
    next = s.outputs.find((l) => beside(l, length) && !row?.terms.has(l.v))
    if (!next) break
    run.push(next)
    length *= next.extent
  }
  const rest = [...y.terms].filter(([n]) => run.every((l) => l.v !== n))
  if (length < 4 || y.base !== 0 || rest.some(([, c]) => c % length !== 0)) return undefined
  const left = s.outputs.filter((l) => !run.includes(l))
  const others = left.find((l) => step(v, l) === 0 && step(o, l) !== 0)
  return { s, vector, single, run, length, others, around: left.filter((l) => l !== others) }
}

/** A loop over pixels, in part inside of tiles: `inside` iterations of each of `outside`. */
export interface Part {
  readonly loop: For
  readonly outside: number
  readonly inside: number
}

/** How much of the loops over pixels, outermost first, is inside of tiles. */
export function partsOf(loops: readonly For[], most: number): Part[] {
  let room = most
  return loops
    .toReversed()
    .map((loop): Part => {
      const fits = range(loop.extent + 1).filter((n) => n > 0 && n <= Math.max(1, room) && loop.extent % n === 0)
      const inside = Math.max(...fits)
      room = inside === loop.extent ? Math.floor(room / inside) : 0
      return { loop, inside, outside: loop.extent / inside }
    })
    .toReversed()
}

/** Consecutive channels or vectors: `tiles` of `size` from `first` on. */
export interface Strip {
  readonly first: number
  readonly size: number
  readonly tiles: number
}

export function stripsOf(n: number, size: number): Strip[] {
  const tiles = Math.floor(n / size)
  return [
    { first: 0, size, tiles },
    { first: tiles * size, size: n - tiles * size, tiles: 1 },
  ].filter((s) => s.size > 0 && s.tiles > 0)
}

export function shapeOf(others: number, vectors: number): { others: number; vectors: number } {
  let best = { others: 1, vectors: 1, cost: Number.POSITIVE_INFINITY }
  for (const [v, most] of TILES)
    for (let o = 1; o <= Math.min(most, others); o++) {
      if (v > vectors) continue
      const cost = stripsOf(others, o)
        .flatMap((a) => stripsOf(vectors, v).map((b) => ({ a, b })))
        .reduce((n, { a, b }) => n + a.tiles * b.tiles * Math.max(20, 2 * a.size * b.size + a.size + b.size + 4), 0)
      if (cost < best.cost) best = { others: o, vectors: v, cost }
    }
  return best
}

/** The least and the greatest column that is read. */
export function columnsOf({ terms, base }: Affine, loops: readonly For[]): { low: number; high: number } {
  let [low, high] = [base, base]
  for (const [v, c] of terms) {
    const last = c * (loops.find((l) => l.v === v)!.extent - 1)
    low += Math.min(0, last)
    high += Math.max(0, last)
  }
  return { low, high }
}
