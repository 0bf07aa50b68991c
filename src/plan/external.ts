// Constants and inputs in slow memory (flash behind a bus, a card, external RAM): which layers' constants go there, the
// image that holds them, and the copies that bring them into the arena. Each has a buffer there from one step before its
// layer to the layer itself, placed like any other, so that a copy runs while the layer before it does: TinyOps' double
// buffer (Sadiq et al. 2022), wherever the placement finds room for it.

import { BudgetError } from '../errors.ts'
import { bytesOf, type Graph, inputsOf, type Value, valuesRead } from '../ir/graph.ts'
import { fingerprint } from '../ir/hash.ts'
import type { Call } from '../ir/op.ts'
import type { Data } from '../loops/ir.ts'
import { receivedRow } from '../ops/shape/splice.ts'
import type { External, Fetch, Place, Plan, Step, StreamedInput, WeightSegment } from './plan.ts'
import { WeightWriter } from './weights.ts'

/** What stands in slow memory, and how it comes from there. */
export interface ExternalOptions {
  /** Constants: those of all layers or, with `flash`, of the largest ones, so that the rest fits in so many bytes. */
  readonly weights?: boolean
  readonly flash?: number
  /** No layer's constants may take more bytes of the arena; larger layers are split over their output channels. */
  readonly window?: number
  /** The input: rows are read when they are needed. */
  readonly input?: boolean
  /** `next`: a copy begins before the step ahead of the one that needs it; `none`: right before the one that does. */
  readonly prefetch?: 'next' | 'none'
}

/** A layer's constants of fewer bytes stay inside: to ask for them would take longer than to copy them. */
export const SMALL = 256

/** In front of the image: what it is, its layout, its size, its hash. Init reads them into the arena. */
export const HEADER_BYTES = 16

/** A layer as this module sees it: the work of one node. */
export interface Reader {
  readonly from: string
  readonly op: string
  readonly idle: boolean
  readonly call: Call
}

/** Constants that come together: those of one layer, or of several that share some; `nodes` read them. */
export interface Window {
  readonly offset: number
  readonly bytes: number
  /** In order. */
  readonly nodes: readonly number[]
}

export interface Outside {
  readonly windows: readonly Window[]
  readonly segment: WeightSegment
  /** Where an array stands: in which window, and how far from its start. Undefined where it is inside. */
  find(data: Data): { readonly window: number; readonly offset: number } | undefined
}

interface Named {
  readonly name: string
  readonly data: Data
}

/** The constants that a call reads. */
function constantsOf({ from, call, idle }: Reader): Named[] {
  if (idle) return []
  return call.args.flatMap((arg, k): Named[] => {
    if ('data' in arg) return [{ name: `${from}/${call.kernel.bufs[k].name}`, data: arg.data }]
    const constant = 'value' in arg && arg.value.storage === 'const' && arg.value.data
    return constant ? [{ name: arg.value.name, data: constant }] : []
  })
}

/** Bytes that the constants of one layer take, each aligned. */
export function windowBytes(reader: Reader, align: number): number {
  const writer = new WeightWriter(align)
  for (const { name, data } of constantsOf(reader)) writer.put(name, data)
  return writer.segment().bytes.length
}

/** Readers by their constants: those that share an array are one set. Each with its arrays, in order, once. */
function setsOf(readers: readonly Reader[], kept: ReadonlySet<Data>, align: number) {
  const scratch = new WeightWriter(align)
  const setOf = new Map<number, { readers: number[]; arrays: Map<number, Named> }>()
  readers.forEach((reader, i) => {
    const arrays = new Map<number, Named>()
    for (const named of constantsOf(reader))
      if (!kept.has(named.data) && named.data.length > 0) arrays.set(scratch.put(named.name, named.data).offset, named)
    if (arrays.size === 0) return
    const one = { readers: [i], arrays }
    for (const other of new Set([...arrays.keys()].flatMap((at) => setOf.get(at) ?? []))) {
      one.readers = [...other.readers, ...one.readers]
      one.arrays = new Map([...other.arrays, ...one.arrays])
    }
    for (const at of one.arrays.keys()) setOf.set(at, one)
  })
  return { sets: [...new Set(setOf.values())], offsetOf: (named: Named) => scratch.put(named.name, named.data).offset }
}

/**
 * Which constants go outside. `kept` stay: what is read by others than steps. Undefined where all stay. Data of any layer
 * is aligned to `align` bytes in the image, as in the arena.
 */
export function outside(
  readers: readonly Reader[],
  kept: ReadonlySet<Data>,
  align: number,
  { flash }: ExternalOptions,
): Outside | undefined {
  const { sets, offsetOf } = setsOf(readers, kept, align)
  const aligned = (bytes: number) => Math.ceil(bytes / align) * align
  const sized = sets.map(({ readers: of, arrays }) => ({
    of,
    arrays: [...arrays.values()],
    bytes: [...arrays.values()].reduce((n, { data }) => n + aligned(data.byteLength), 0),
  }))
  let room = (flash ?? 0) - [...kept].reduce((n, data) => n + aligned(data.byteLength), 0)
  const inside = new Set(sized.filter((s) => s.bytes < SMALL))
  for (const s of inside) room -= s.bytes
  for (const s of [...sized].sort((a, b) => a.bytes - b.bytes)) {
    if (inside.has(s)) continue
    room -= s.bytes
    if (room < 0) break
    inside.add(s)
  }
  const gone = sized.filter((s) => !inside.has(s))
  if (gone.length === 0) return undefined

  const writer = new WeightWriter(align)
  const found = new Map<number, { readonly window: number; readonly offset: number }>()
  const windows = gone.map(({ of, arrays }, window): Window => {
    const places = arrays.map(({ name, data }) => writer.put(name, data))
    const { offset } = places[0]
    arrays.forEach((named, k) => {
      found.set(offsetOf(named), { window, offset: places[k].offset - offset })
    })
    const end = Math.max(...places.map((p) => p.offset + p.bytes))
    return { offset, bytes: Math.ceil((end - offset) / 4) * 4, nodes: [...of].sort((a, b) => a - b) }
  })
  const known = new Map<Data, { readonly window: number; readonly offset: number } | undefined>()
  for (const reader of readers)
    for (const named of constantsOf(reader))
      if (!kept.has(named.data) && named.data.length > 0) known.set(named.data, found.get(offsetOf(named)))
  const segment = writer.segment()
  const bytes = new Uint8Array(Math.ceil(segment.bytes.length / 4) * 4)
  bytes.set(segment.bytes)
  return { windows, segment: { ...segment, bytes, hash: fingerprint(bytes) }, find: (data) => known.get(data) }
}

/** The node before `i` that has a step, where copies for `i` begin; `i` itself where there is none, or none is wanted. */
export function starts(readers: readonly { readonly idle: boolean }[], prefetch: ExternalOptions['prefetch']) {
  return (i: number): number => {
    if (prefetch === 'none') return i
    for (let k = i - 1; k >= 0; k--) if (!readers[k].idle) return k
    return i
  }
}

/** The copies of a plan: constants into their windows, rows of an input that is outside to where they are read. */
export function externalOf(
  graph: Graph,
  readers: readonly Reader[],
  out: Outside | undefined,
  windows: readonly Place[],
  places: ReadonlyMap<Value, Place>,
  { input = false, prefetch }: ExternalOptions,
): External | undefined {
  if (!out && !input) return undefined
  const from = starts(readers, prefetch)
  let count = 0
  const stepOf = readers.map(({ idle }) => (idle ? count : count++))
  const at = (first: number, last: number) => ({
    start: from(first) < first ? stepOf[first] - 1 : stepOf[first],
    needed: stepOf[first],
    last: stepOf[last],
  })
  const weights = (out?.windows ?? []).map(
    ({ offset, bytes, nodes }, k): Fetch => ({
      ...{ from: 'weights', offset, place: { ...windows[k], bytes } },
      ...at(nodes[0], nodes[nodes.length - 1]),
    }),
  )
  const lastRead = new Map<Value, number>()
  graph.nodes.forEach((node, i) => {
    for (const v of valuesRead(node)) lastRead.set(v, i)
  })
  const rows = graph.nodes.flatMap((node, i): Fetch[] => {
    if (!input || !node.receives) return []
    const [row] = node.outputs
    const image = inputsOf(node)[0]
    const rowBytes = bytesOf(image.type) / image.type.shape[1]
    const copy = { from: 'input', offset: receivedRow(node) * rowBytes, place: places.get(row)! } as const
    return [{ ...copy, ...at(i, lastRead.get(row) ?? i) }]
  })
  const fetches = [...weights, ...rows].sort(
    (a, b) => a.start - b.start || a.needed - b.needed || a.place.bytes - b.place.bytes || a.offset - b.offset,
  )
  return { ...(out && { weights: out.segment }), input, fetches }
}

/** The windows of one node that are larger than `window`. Those of several, as blocks of one layer, are in use together: pieces of them would be too. */
export function tooLarge({ windows }: Outside, window: number): Window[] {
  return windows.filter((w) => w.bytes > window && w.nodes.length === 1)
}

/** Throws BudgetError that names the layer with the most constants of those that are `left`, too large for `window`. */
export function checkWindow(readers: readonly Reader[], left: readonly Window[], window: number): void {
  const [worst] = [...left].sort((a, b) => b.bytes - a.bytes)
  if (!worst) return
  const { from, op } = readers[worst.nodes[0]]
  throw new BudgetError(
    `${op} "${from}"`,
    `needs ${worst.bytes} bytes of constants at a time, the window has ${window}`,
    `a window of ${worst.bytes} bytes holds every layer that cannot be split further`,
  )
}

/** The input whose rows the caller hands over one by one. */
export function pushedInput({ streamed, external }: Plan): StreamedInput | undefined {
  return external?.input ? undefined : streamed
}

/** What the steps of a plan read from outside in one run, in bytes. */
export function bytesRead({ fetches }: External): number {
  return fetches.reduce((n, f) => n + f.place.bytes, 0)
}

/** The largest sum of windows for constants that are in use at one step: what the arena gives to them at most. */
export function windowRam({ fetches }: External, steps: readonly Step[]): number {
  const live = steps.map((_, i) =>
    fetches.reduce((n, f) => (f.from === 'weights' && f.start <= i && i <= f.last ? n + f.place.bytes : n), 0),
  )
  return Math.max(0, ...live)
}
