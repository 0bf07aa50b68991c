// Gives buffers with known lifetimes their offsets in one block of memory: best fit, tried with several orders of the
// buffers and improved by a short deterministic local search until the total meets the lower bound (the largest sum of
// live bytes) or the effort is spent. Offline dynamic storage allocation; the survey of orders is Sekiyama et al. 2018.

import type { Span } from '../ir/live.ts'
import { Xorshift32 } from '../ir/random.ts'

/** A buffer: `bytes` from step `first` to step `last`, both inclusive. */
export interface Item {
  readonly bytes: number
  readonly first: number
  readonly last: number
  readonly align?: number
  /** What is in use of it, each until the next, the first from step `first` on; all of it where that is not said. */
  readonly spans?: readonly Span[]
}

export interface Placement {
  /** One for each item, in the items' order. */
  readonly offsets: readonly number[]
  readonly total: number
  /** No placement is smaller (alignment aside). */
  readonly lowerBound: number
}

interface Part extends Span {
  readonly last: number
}

function partsOf({ bytes, first, last, spans = [{ first, from: 0, to: bytes }] }: Item): Part[] {
  return spans.map((s, k) => ({ ...s, last: (spans[k + 1]?.first ?? last + 1) - 1 }))
}

/** The sum of bytes that are live at each step from `first` to `last`. */
export function liveAt(items: readonly Item[], first: number, last: number): number[] {
  const change = new Array<number>(last - first + 2).fill(0)
  for (const p of items.flatMap(partsOf)) {
    change[p.first - first] += p.to - p.from
    change[p.last + 1 - first] -= p.to - p.from
  }
  let live = 0
  return change.slice(0, -1).map((bytes) => (live += bytes))
}

/** The largest of these sums. */
export function lowerBound(items: readonly Item[]): number {
  const first = items.reduce((least, i) => Math.min(least, i.first), 0)
  const last = items.reduce((most, i) => Math.max(most, i.last), first)
  return liveAt(items, first, last).reduce((most, bytes) => Math.max(most, bytes), 0)
}

/** Two buffers that are live together: `a` at offset x and `b` at offset y overlap if -above < x - y < below. */
interface Conflict {
  readonly other: number
  readonly above: number
  readonly below: number
}

function conflictsOf(items: readonly Item[]): Conflict[][] {
  const parts = items.map(partsOf)
  return items.map((a, i) => {
    const list: Conflict[] = []
    items.forEach((b, j) => {
      if (i === j || a.last < b.first || b.last < a.first || a.bytes === 0 || b.bytes === 0) return
      let [above, below] = [-Infinity, -Infinity]
      for (const p of parts[i])
        for (const q of parts[j])
          if (p.last >= q.first && q.last >= p.first && p.to > p.from && q.to > q.from) {
            above = Math.max(above, p.to - q.from)
            below = Math.max(below, q.to - p.from)
          }
      if (-above < below) list.push({ other: j, above, below })
    })
    return list
  })
}

type Fit = 'lowest' | 'tightest'

class Layout {
  readonly offsets: Float64Array
  total = 0
  private readonly items: readonly Item[]
  private readonly conflicts: readonly Conflict[][]

  constructor(items: readonly Item[], conflicts: readonly Conflict[][]) {
    this.items = items
    this.conflicts = conflicts
    this.offsets = new Float64Array(items.length)
  }

  /**
   * Places all items one after the other; false as soon as the total exceeds `limit`. Those that are `high` end at `ceiling`
   * where there is room.
   */
  fill(
    order: readonly number[],
    fit: Fit,
    limit: number,
    ceiling: number,
    high: (i: number, k: number) => boolean,
  ): boolean {
    this.offsets.fill(-1)
    this.total = 0
    for (const [k, i] of order.entries()) {
      this.offsets[i] = high(i, k) ? this.highestFor(i, ceiling) : this.offsetFor(i, fit)
      this.total = Math.max(this.total, this.offsets[i] + this.items[i].bytes)
      if (this.total > limit) return false
    }
    return true
  }

  /** Where item `i` cannot start: open intervals around what is placed, by their lower end. */
  private blockedFor(i: number): [number, number][] {
    const blocked: [number, number][] = []
    for (const { other, above, below } of this.conflicts[i]) {
      const at = this.offsets[other]
      if (at >= 0) blocked.push([at - above, at + below])
    }
    return blocked.sort((p, q) => p[0] - q[0])
  }

  /** The highest start that keeps item `i` under `ceiling`; the lowest of all where there is none. */
  private highestFor(i: number, ceiling: number): number {
    const align = this.items[i].align ?? 1
    const down = (x: number) => Math.floor(x / align) * align
    let at = down(ceiling - this.items[i].bytes)
    for (const [from, to] of this.blockedFor(i).sort((p, q) => q[1] - p[1])) if (at < to && at > from) at = down(from)
    return at >= 0 ? at : this.offsetFor(i, 'lowest')
  }

  private offsetFor(i: number, fit: Fit): number {
    const align = this.items[i].align ?? 1
    const blocked = this.blockedFor(i)
    let free = 0
    let best = -1
    let slack = Number.POSITIVE_INFINITY
    for (const [from, to] of blocked) {
      if (from >= free && from - free < slack) {
        best = free
        slack = from - free
        if (fit !== 'tightest') break
      }
      free = Math.max(free, Math.ceil(to / align) * align)
    }
    return best >= 0 ? best : free
  }
}

/** Ceilings that are tried between the lower bound and twice that. */
const CEILINGS = 128

/** What lives for more than such a part of all steps lasts. */
const LASTING = 5

const none = (_i: number, _k: number) => false

/**
 * Offsets for all items. `effort` bounds the local search, in placements of one buffer against another. `lasting`: some items live
 * through much of what the others take turns in, as what a training step keeps for its way back does; they may go on top.
 */
export function place(items: readonly Item[], effort = 4_000_000, lasting = false): Placement {
  const bound = lowerBound(items)
  const conflicts = conflictsOf(items)
  const layout = new Layout(items, conflicts)
  const span = (i: number) => items[i].last - items[i].first + 1
  const crowd = items.map((_, i) => conflicts[i].reduce((sum, c) => sum + items[c.other].bytes, items[i].bytes))
  const keys: ((i: number) => number)[] = [
    (i) => items[i].bytes,
    (i) => items[i].bytes * span(i),
    (i) => crowd[i],
    (i) => span(i),
    (i) => -items[i].first,
    (i) => items[i].last,
    (i) => conflicts[i].length,
  ]

  const orders = keys.map((key) =>
    items.map((_, i) => i).sort((a, b) => key(b) - key(a) || items[b].bytes - items[a].bytes || a - b),
  )

  let best = { order: [] as number[], fit: 'lowest' as Fit, offsets: [] as number[], total: Number.POSITIVE_INFINITY }
  const attempt = (order: number[], fit: Fit, limit: number, ceiling = bound, high = none): boolean => {
    if (!layout.fill(order, fit, limit, ceiling, high)) return false
    best = { order, fit, offsets: [...layout.offsets], total: layout.total }
    return true
  }
  const answer = (): Placement => ({ offsets: best.offsets, total: best.total, lowerBound: bound })

  for (const fit of ['lowest', 'tightest'] as const)
    for (const order of orders) {
      attempt(order, fit, best.total - 1)
      if (best.total <= bound) return answer()
    }

  // in turn the lowest place and the highest: the best there is for a chain
  const byTime = items.map((_, i) => i).sort((a, b) => items[a].first - items[b].first || a - b)
  attempt(byTime, 'lowest', best.total - 1, bound, (_, k) => k % 2 === 1)
  if (best.total <= bound) return answer()

  // what grows at the bottom, what goes from its start under the ceiling, all others in the gap that moves between them
  const changing = items.flatMap(({ spans = [] }, i) => (spans.length > 1 ? [i] : []))
  const goes = new Set(changing.filter((i) => items[i].spans!.some((s) => s.from > 0)))
  const ends = [...changing.filter((i) => !goes.has(i)), ...goes]
  const between = [byTime, ...orders].map((order) => [...ends, ...order.filter((i) => !changing.includes(i))])
  for (let ceiling = bound; ends.length > 0 && ceiling < best.total; ceiling += Math.ceil(bound / CEILINGS)) {
    for (const order of between) attempt(order, 'lowest', best.total - 1, ceiling, (i) => goes.has(i))
    if (goes.size === 0) break
  }
  if (best.total <= bound) return answer()

  // what is kept the longest under the ceiling, where the first kept is the last to go
  if (lasting) {
    const end = Math.max(...items.map((item) => item.last))
    const lasts = (i: number) => span(i) * LASTING > end
    const order = orders[0].filter((i) => !lasts(i))
    const kept = orders[3].filter(lasts)
    for (let ceiling = bound; ceiling < best.total; ceiling += Math.ceil(bound / CEILINGS))
      attempt([...kept, ...order], 'lowest', best.total - 1, ceiling, lasts)
    if (best.total <= bound) return answer()
  }

  const perRound = conflicts.reduce((sum, c) => sum + c.length + 1, 0)
  const random = new Xorshift32(1)
  for (let round = Math.floor(effort / perRound); round > 0 && best.total > bound; round--) {
    const order = [...best.order]
    const top = order.findIndex((i) => best.offsets[i] + items[i].bytes === best.total)
    const from = round % 2 === 0 ? top : random.between(0, order.length - 1)
    const to = round % 2 === 0 ? random.between(0, top) : random.between(0, order.length - 1)
    order.splice(to, 0, ...order.splice(from, 1))
    attempt(order, round % 8 < 6 ? best.fit : best.fit === 'lowest' ? 'tightest' : 'lowest', best.total)
  }
  return answer()
}
