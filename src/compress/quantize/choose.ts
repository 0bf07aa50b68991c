// How many bits the weights of each layer and each tensor get so that a model fits its limits. `rules`: cut what is largest until
// the rest fits (Rusci, Capotondi, Benini 2020). `exact`: the choice with the least sum of measured noises: for weights a
// multiple-choice knapsack, all sums of bytes and noise that no other beats; for tensors the same along the steps of the
// program, of which each must fit, by the bits of the tensors that live on.

import type { Graph, Node, Value } from '../../ir/graph.ts'
import { count } from '../../loops/ir.ts'
import { FEWER, type Fewer, type Sensitivity, type Step, stepsOf } from './sensitivity.ts'
import type { Bits } from './weights.ts'

const CHOICES: readonly Bits[] = [8, ...FEWER]
/** Of the share of the weights: layers so near to the largest count as the largest (delta of the paper). */
const MARGIN = 0.05

export type WeightBits = ReadonlyMap<Node, Bits>
export type TensorBits = ReadonlyMap<readonly Value[], Bits>

const bytesWith = (elements: number, bits: Bits) => Math.ceil((elements * bits) / 8)
const noiseOf = (noises: Readonly<Record<Fewer, number>>, bits: Bits) => (bits === 8 ? 0 : noises[bits])
const fewer = (bits: Bits): Bits => (bits === 8 ? 4 : 2)

/** Layers and how many weights they have. */
export type Sizes = ReadonlyMap<Node, number>

/** The first of the largest layers goes to half its bits until all fit; undefined where 2 bits everywhere do not. */
export function weightsByRules(sizes: Sizes, room: number): WeightBits | undefined {
  const bits = new Map<Node, Bits>([...sizes.keys()].map((node) => [node, 8]))
  for (;;) {
    const bytes = [...sizes].map(([node, n]) => ({ node, bytes: bytesWith(n, bits.get(node)!) }))
    const all = bytes.reduce((sum, b) => sum + b.bytes, 0)
    if (all <= room) return bits
    const open = bytes.filter(({ node }) => bits.get(node) !== 2)
    if (open.length === 0) return undefined
    const most = Math.max(...open.map((b) => b.bytes / all))
    const { node } = open.find((b) => b.bytes / all > most - MARGIN)!
    bits.set(node, fewer(bits.get(node)!))
  }
}

interface Picked<K> {
  readonly bytes: number
  readonly noise: number
  readonly key?: K
  readonly bits?: Bits
  readonly before?: Picked<K>
}

function picks<K>(last: Picked<K>): Map<K, Bits> {
  const bits = new Map<K, Bits>()
  for (let p: Picked<K> | undefined = last; p?.key !== undefined; p = p.before) bits.set(p.key, p.bits!)
  return bits
}

/** The least sum of noises within `room` bytes of weights; undefined where 2 bits everywhere do not fit. */
export function weightsExactly(sizes: Sizes, { weights }: Sensitivity, room: number): WeightBits | undefined {
  let front: Picked<Node>[] = [{ bytes: 0, noise: 0 }]
  let least = [...sizes.values()].reduce((sum, n) => sum + bytesWith(n, 2), 0)
  for (const [node, n] of sizes) {
    least -= bytesWith(n, 2)
    const noises = weights.get(node)!
    const next = front
      .flatMap((before) =>
        CHOICES.map(
          (bits): Picked<Node> => ({
            ...{ bytes: before.bytes + bytesWith(n, bits), noise: before.noise + noiseOf(noises, bits) },
            ...{ key: node, bits, before },
          }),
        ),
      )
      .filter((p) => p.bytes + least <= room)
      .sort((a, b) => a.bytes - b.bytes || a.noise - b.noise)
    front = []
    for (const p of next) if (front.length === 0 || p.noise < front[front.length - 1].noise) front.push(p)
  }
  return front.length > 0 ? picks(front[front.length - 1]) : undefined
}

class Room {
  readonly steps: readonly Step[]
  readonly classes: readonly (readonly Value[])[]
  private readonly of = new Map<Value, readonly Value[]>()

  constructor(graph: Graph, classes: readonly (readonly Value[])[]) {
    this.steps = stepsOf(graph)
    this.classes = classes
    for (const members of classes) for (const v of members) this.of.set(v, members)
  }

  classOf(v: Value): readonly Value[] | undefined {
    return this.of.get(v)
  }

  /** Bytes at a step. A tensor in place of another of its type takes none of its own. */
  bytes({ live, over, node }: Step, bits: (members: readonly Value[]) => Bits): number {
    const widthOf = (v: Value): Bits => {
      const members = this.of.get(v)
      return members ? bits(members) : 8
    }
    const sizeOf = (v: Value) => bytesWith(count(v.type.shape), widthOf(v))
    const [y] = node.outputs
    const shared = over && widthOf(over) === widthOf(y) && sizeOf(y) <= sizeOf(over) ? sizeOf(y) : 0
    return live.reduce((sum, v) => sum + sizeOf(v), -shared)
  }
}

/** Of the fullest step. */
export function bytesOfTensors(graph: Graph, bits: TensorBits): number {
  const space = new Room(graph, [...bits.keys()])
  return Math.max(0, ...space.steps.map((step) => space.bytes(step, (c) => bits.get(c)!)))
}

export function bytesOfWeights(sizes: Sizes, bits: WeightBits): number {
  return [...sizes].reduce((sum, [node, n]) => sum + bytesWith(n, bits.get(node)!), 0)
}

/**
 * Forward, what a step makes is halved while the step does not fit and nothing there is larger; backward, the largest of what
 * it reads; undefined where a step then still does not fit.
 */
export function tensorsByRules(
  graph: Graph,
  classes: readonly (readonly Value[])[],
  room: number,
): TensorBits | undefined {
  const space = new Room(graph, classes)
  const bits = new Map<readonly Value[], Bits>(classes.map((c) => [c, 8]))
  const of = (c: readonly Value[]) => bits.get(c)!
  const size = (v: Value) => {
    const c = space.classOf(v)
    return bytesWith(count(v.type.shape), c ? of(c) : 8)
  }
  const open = (v: Value) => {
    const c = space.classOf(v)
    return c !== undefined && of(c) !== 2
  }
  const cut = (v: Value) => {
    const c = space.classOf(v)!
    bits.set(c, fewer(of(c)))
  }
  for (const step of space.steps) {
    const [y] = step.node.outputs
    while (space.bytes(step, of) > room && open(y) && step.live.every((v) => size(v) <= size(y))) cut(y)
  }
  for (const step of [...space.steps].reverse())
    while (space.bytes(step, of) > room) {
      const largest = step.live.filter(open).sort((a, b) => size(b) - size(a))[0]
      if (!largest) return undefined
      cut(largest)
    }
  return bits
}

/** The least sum of noises with which every step fits; undefined where none does. */
export function tensorsExactly(graph: Graph, { activations }: Sensitivity, room: number): TensorBits | undefined {
  const classes = [...activations.keys()]
  const space = new Room(graph, classes)
  const lastStep = new Map<readonly Value[], number>()
  space.steps.forEach((step, i) => {
    for (const v of step.live) {
      const c = space.classOf(v)
      if (c) lastStep.set(c, i)
    }
  })
  let open: (readonly Value[])[] = []
  let states = new Map<string, Picked<readonly Value[]>>([['', { bytes: 0, noise: 0 }]])
  const seen = new Set<readonly Value[]>()
  space.steps.forEach((step, i) => {
    const added = [...new Set(step.live.map((v) => space.classOf(v)))].filter(
      (c): c is readonly Value[] => c !== undefined && !seen.has(c),
    )
    for (const c of added) seen.add(c)
    let all = [...states].map(([key, p]) => ({
      bits: key === '' ? [] : key.split('').map((k) => Number(k) as Bits),
      p,
    }))
    for (const c of added)
      all = all.flatMap(({ bits, p }) =>
        CHOICES.map((b) => ({
          bits: [...bits, b],
          p: { bytes: 0, noise: p.noise + noiseOf(activations.get(c)!, b), key: c, bits: b, before: p },
        })),
      )
    open = [...open, ...added]
    const keep = open.map((c) => lastStep.get(c)! > i)
    const next = new Map<string, Picked<readonly Value[]>>()
    for (const { bits, p } of all) {
      if (space.bytes(step, (c) => bits[open.indexOf(c)]) > room) continue
      const key = bits.filter((_, k) => keep[k]).join('')
      const known = next.get(key)
      if (!known || p.noise < known.noise) next.set(key, p)
    }
    open = open.filter((_, k) => keep[k])
    states = next
  })
  const best = [...states.values()].sort((a, b) => a.noise - b.noise)[0]
  return best && picks(best)
}
