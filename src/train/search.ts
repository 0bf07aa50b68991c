// Which schemes gain most within a limit of RAM, where gains are taken to add up (Lin et al. 2022): exactly, by best-first search whose
// bound is the Pareto frontier of the layers that are left; and by evolution, as it was published. Bytes by counting add up too and
// say which schemes come near the limit; the peak of the compiled plan, asked for these alone, says which are within it.

import { Xorshift32 } from '../ir/random.ts'

/** What may learn, what that gains, and its bytes by counting. */
export interface Item {
  readonly gain: number
  readonly bytes: number
}

/** Layers are those that may learn, in their order, without the last of the model. */
export interface Problem {
  /** Biases of the last k of the layers, from k = 0 on. */
  readonly biases: readonly Item[]
  /** Weights of each layer: its items, of which at most one is taken. */
  readonly layers: readonly (readonly Item[])[]
  /** Bytes of masks where layer i is the first that learns; 0 where none does. */
  readonly masks: readonly number[]
}

/** A scheme: the biases of so many layers, and of each layer an item, or -1. */
export interface Choice {
  readonly biases: number
  readonly items: readonly number[]
}

/** The scheme that has nothing but the last layer learn. */
export const nothing = ({ layers }: Problem): Choice => ({ biases: 0, items: layers.map(() => -1) })

export const keyOf = ({ biases, items }: Choice) => `${biases}:${items.map((i) => (i < 0 ? '-' : i)).join('')}`

/** What a scheme gains, and its bytes by counting. */
export function sumsOf({ biases, layers, masks }: Problem, choice: Choice): Item {
  const taken = choice.items.flatMap((item, i) => (item < 0 ? [] : [layers[i][item]]))
  const weights = choice.items.findIndex((item) => item >= 0)
  const first = Math.min(weights < 0 ? layers.length : weights, layers.length - choice.biases)
  const all = [biases[choice.biases], ...taken]
  return {
    gain: all.reduce((n, { gain }) => n + gain, 0),
    bytes: all.reduce((n, { bytes }) => n + bytes, masks[first] ?? 0),
  }
}

/** Peaks of compiled schemes, each asked for once, and no more than so many new ones. */
export class Peaks {
  readonly limit: number
  private readonly problem: Problem
  private readonly peakOf: (choice: Choice) => number
  private readonly most: number
  private readonly known = new Map<string, number>()
  /** The fewest bytes that a compiled scheme needs above those by counting. */
  least = Number.POSITIVE_INFINITY

  constructor(problem: Problem, limit: number, peakOf: (choice: Choice) => number, most = Number.POSITIVE_INFINITY) {
    this.problem = problem
    this.limit = limit
    this.peakOf = peakOf
    this.most = most
  }

  get asked(): number {
    return this.known.size
  }

  /** Bytes by counting above which no scheme is expected to fit. */
  get room(): number {
    return this.limit - this.least
  }

  /** Undefined where no more may be asked. */
  of(choice: Choice): number | undefined {
    const key = keyOf(choice)
    const before = this.known.get(key)
    if (before !== undefined || this.known.size >= this.most) return before
    const peak = this.peakOf(choice)
    this.known.set(key, peak)
    this.least = Math.min(this.least, peak - sumsOf(this.problem, choice).bytes)
    return peak
  }
}

/** A scheme that fits. */
export interface Found extends Item {
  readonly choice: Choice
  readonly peak: number
  /** No scheme gains more than this, unless one needs less above its counted bytes than all that were compiled. */
  readonly bound?: number
}

/** What can be had of some layers: ever more gain for ever more bytes. */
type Frontier = readonly Item[]

function pareto(points: readonly Item[]): Frontier {
  const sorted = [...points].sort((a, b) => a.bytes - b.bytes || b.gain - a.gain)
  let most = Number.NEGATIVE_INFINITY
  return sorted.filter(({ gain }) => {
    const better = gain > most
    most = Math.max(most, gain)
    return better
  })
}

/** The last point of a frontier within `room`. */
function within(frontier: Frontier, room: number): Item | undefined {
  let [lo, hi] = [0, frontier.length]
  while (lo < hi) {
    const middle = (lo + hi) >> 1
    if (frontier[middle].bytes <= room) lo = middle + 1
    else hi = middle
  }
  return frontier[lo - 1]
}

/** A scheme up to a layer. */
interface Partial extends Item, Choice {
  /** The most that it can come to, and for how few bytes. */
  readonly end: Item
}

const before = (a: Partial, b: Partial) =>
  a.end.gain !== b.end.gain ? a.end.gain > b.end.gain : a.end.bytes < b.end.bytes

/** A binary heap. */
class Queue {
  private readonly all: Partial[] = []

  push(item: Partial): void {
    const { all } = this
    let i = all.push(item) - 1
    for (let up = (i - 1) >> 1; i > 0 && before(item, all[up]); up = (i - 1) >> 1) {
      all[i] = all[up]
      i = up
    }
    all[i] = item
  }

  pop(): Partial | undefined {
    const { all } = this
    const top = all[0]
    const item = all.pop()
    if (item === undefined || all.length === 0) return top
    let i = 0
    for (;;) {
      const [left, right] = [2 * i + 1, 2 * i + 2]
      const next = right < all.length && before(all[right], all[left]) ? right : left
      if (next >= all.length || !before(all[next], item)) break
      all[i] = all[next]
      i = next
    }
    all[i] = item
    return top
  }
}

/** All schemes within `room` bytes by counting, the largest gain first, of equal ones the smallest first. */
export function* byGain(problem: Problem, room: number): Generator<Item & { readonly choice: Choice }> {
  const { biases, layers, masks } = problem
  const K = layers.length
  const rest: Frontier[] = new Array(K + 1)
  rest[K] = [{ gain: 0, bytes: 0 }]
  for (let i = K - 1; i >= 0; i--) {
    const one = [{ gain: 0, bytes: 0 }, ...layers[i]]
    rest[i] = pareto(one.flatMap((a) => rest[i + 1].map((b) => ({ gain: a.gain + b.gain, bytes: a.bytes + b.bytes }))))
  }
  const queue = new Queue()
  const add = (k: number, items: readonly number[], gain: number, bytes: number) => {
    const more = within(rest[items.length], room - bytes)
    const end = more && { gain: gain + more.gain, bytes: bytes + more.bytes }
    if (end) queue.push({ biases: k, items, gain, bytes, end })
  }
  const none = (n: number): number[] => new Array<number>(n).fill(-1)
  for (const [k, { gain, bytes }] of biases.entries()) {
    add(k, none(K - k), gain, bytes + (masks[K - k] ?? 0))
    for (let first = 0; first < K - k; first++)
      for (const [i, item] of layers[first].entries())
        if (item.gain > 0) add(k, [...none(first), i], gain + item.gain, bytes + item.bytes + (masks[first] ?? 0))
  }
  for (let top = queue.pop(); top; top = queue.pop()) {
    const { biases: k, items, gain, bytes } = top
    if (items.length === K) {
      yield { choice: { biases: k, items }, gain, bytes }
      continue
    }
    add(k, [...items, -1], gain, bytes)
    for (const [i, item] of layers[items.length].entries())
      if (item.gain > 0) add(k, [...items, i], gain + item.gain, bytes + item.bytes)
  }
}

const foundOf = (problem: Problem, choice: Choice, peak: number): Found => ({
  choice,
  peak,
  ...sumsOf(problem, choice),
})

/**
 * The scheme that gains most. Undefined where not even the last layer alone fits. `bound` is its own gain where no other has to be
 * compiled to know that, and more where no more may be compiled. `from` is a scheme that is known to fit: no worse one is found.
 */
export function knapsack(problem: Problem, peaks: Peaks, from?: Found): Found | undefined {
  const least = peaks.of(nothing(problem))
  if (least === undefined || least > peaks.limit) return undefined
  let best = foundOf(problem, nothing(problem), least)
  if (from && peaks.of(from.choice) !== undefined && from.gain > best.gain)
    best = foundOf(problem, from.choice, from.peak)
  const tried = (choice: Choice): boolean | undefined => {
    const peak = peaks.of(choice)
    if (peak === undefined) return undefined
    const found = foundOf(problem, choice, peak)
    if (peak > peaks.limit) return false
    if (found.gain > best.gain) best = found
    return true
  }
  // The overhead of the scheme that was compiled last says where the next one is looked for, until one comes again.
  const seen = new Set<string>()
  for (let room = peaks.room; ; ) {
    const { value } = byGain(problem, room).next()
    if (!value || seen.has(keyOf(value.choice)) || tried(value.choice) === undefined) break
    seen.add(keyOf(value.choice))
    room = peaks.limit - (peaks.of(value.choice)! - value.bytes)
  }
  for (;;) {
    const { room } = peaks
    let bound = best.gain
    for (const next of byGain(problem, room)) {
      if (next.gain <= best.gain) break
      const fits = tried(next.choice)
      if (fits === undefined) bound = next.gain
      if (fits !== false || peaks.room > room) break
    }
    if (peaks.room <= room) return { ...best, bound: Math.max(bound, best.gain) }
  }
}

/** How evolution goes. */
export interface Evolution {
  readonly seed: number
  readonly population?: number
  readonly generations?: number
}

/**
 * A scheme that gains much: the better quarter of a population is crossed and mutated, what exceeds the limit by counting loses parts
 * until it does not, and the best is compiled where it would be a new one. Undefined where not even the last layer alone fits.
 */
export function evolve(problem: Problem, peaks: Peaks, how: Evolution): Found | undefined {
  const { seed, population = 64, generations = 100 } = how
  const random = new Xorshift32(seed)
  const least = peaks.of(nothing(problem))
  if (least === undefined || least > peaks.limit) return undefined
  let best = foundOf(problem, nothing(problem), least)
  const refused = new Set<string>()
  const K = problem.layers.length
  const itemOf = (i: number) => random.between(-1, problem.layers[i].length - 1)
  const fresh = (): Choice => ({
    biases: random.between(0, problem.biases.length - 1),
    items: problem.layers.map((_, i) => (random.between(0, 1) === 0 ? -1 : itemOf(i))),
  })
  const crossed = (a: Choice, b: Choice): Choice => ({
    biases: random.between(0, 1) === 0 ? a.biases : b.biases,
    items: a.items.map((item, i) => (random.between(0, 1) === 0 ? item : b.items[i])),
  })
  const mutated = ({ biases, items }: Choice): Choice => {
    const at = random.between(0, K)
    if (at === K) return { biases: random.between(0, problem.biases.length - 1), items }
    return { biases, items: items.map((item, i) => (i === at ? itemOf(i) : item)) }
  }
  const repaired = (choice: Choice): Choice => {
    let now = choice
    while (sumsOf(problem, now).bytes > peaks.room) {
      const parts = now.items.flatMap((item, i) => (item < 0 ? [] : [i]))
      const at = random.between(now.biases > 0 ? -1 : 0, parts.length - 1)
      if (parts.length === 0 && now.biases === 0) return now
      now =
        at < 0
          ? { ...now, biases: now.biases - 1 }
          : { ...now, items: now.items.map((item, i) => (i === parts[at] ? item - 1 : item)) }
    }
    return now
  }
  let all: Choice[] = [nothing(problem), ...Array.from({ length: population - 1 }, fresh)]
  for (let generation = 0; generation < generations; generation++) {
    const distinct = new Map(all.map(repaired).map((c) => [keyOf(c), c]))
    const ranked = [...distinct]
      .filter(([key]) => !refused.has(key))
      .map(([key, choice]) => ({ key, choice, ...sumsOf(problem, choice) }))
      .sort((a, b) => b.gain - a.gain || a.bytes - b.bytes)
    const [top] = ranked
    if (top && top.gain > best.gain) {
      const peak = peaks.of(top.choice)
      if (peak !== undefined && peak <= peaks.limit) best = foundOf(problem, top.choice, peak)
      else refused.add(top.key)
    }
    const parents = ranked.slice(0, population / 4).map(({ choice }) => choice)
    parents.push(best.choice)
    const one = () => parents[random.between(0, parents.length - 1)]
    all = [...parents, ...Array.from({ length: population - parents.length }, () => mutated(crossed(one(), one())))]
  }
  return best
}
