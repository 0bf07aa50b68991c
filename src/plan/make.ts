// Graph -> Plan: every node's loops in the target's form, a place for every buffer, the weight segment and the figures
// that reports print. Steps that would copy a buffer onto itself are dropped, which is seen in their loops, and those
// whose results have no elements.

import { BudgetError, bug } from '../errors.ts'
import { layer } from '../ir/build.ts'
import { bytesOf, elemOf, type Graph, inputsOf, type Node, type Value } from '../ir/graph.ts'
import { MAX_BYTES } from '../ir/limits.ts'
import { lifetimes } from '../ir/live.ts'
import type { Arg, Call } from '../ir/op.ts'
import * as L from '../loops/build.ts'
import { type Buf, count, type Data, elemBytes, elemOfData } from '../loops/ir.ts'
import { receivedRow } from '../ops/shape/splice.ts'
import { splitChannels } from '../passes/external.ts'
import { type Scheduled, schedule, scheduleByChannel, type Target } from '../targets/target.ts'
import { isCopy } from './copy.ts'
import {
  checkWindow,
  type ExternalOptions,
  externalOf,
  HEADER_BYTES,
  type Outside,
  outside,
  type Reader,
  starts,
  tooLarge,
  type Window,
  windowBytes,
} from './external.ts'
import { learningOf } from './learning.ts'
import { lasting, levelsOf } from './levels.ts'
import { MadeWriter } from './made.ts'
import { type Item, liveAt, place } from './place.ts'
import type { LayerReport, Place, Plan, Step, StreamedInput, Threads } from './plan.ts'
import { partsOf, spread } from './spread.ts'
import { WeightWriter } from './weights.ts'

/** A node and its loops for the target. */
interface Job {
  readonly node: Node
  readonly call: Call
  readonly recipe: string
  /** Nothing is to be done: its outputs have no elements, or share a place with what the loops would copy there. */
  readonly idle: boolean
  /** Bytes and alignment of each scratch buffer, in the order of the arguments. */
  readonly scratch: readonly { readonly bytes: number; readonly align: number }[]
}

/** Where everything in RAM stands. */
interface Arena {
  readonly values: ReadonlyMap<Value, Place>
  readonly state: readonly Value[]
  /** For each job, its scratch buffers. */
  readonly scratch: readonly (readonly Place[])[]
  /** Of constants that come from outside. */
  readonly windows: readonly Place[]
  readonly bytes: number
  /** Live bytes at each step, state included, step -1 first. */
  readonly live: readonly number[]
}

/** Effort of a placement that is only compared. */
const QUICK = 1_000_000

function up(bytes: number, align: number): number {
  return Math.ceil(bytes / align) * align
}

function alignOf(v: Value): number {
  const elem = elemOf(v.type.dtype)
  return elem ? elemBytes(elem) : 1
}

function makesNothing({ op, outputs }: Node): boolean {
  return !op.writesState && outputs.length > 0 && outputs.every((v) => bytesOf(v.type) === 0)
}

/** Loops that go by channels anyway, for a node whose output takes its input's place channel by channel. */
function byChannel(node: Node, target: Target): Scheduled | undefined {
  if (node.inPlace === undefined || !node.op.inPlaceByChannel) return undefined
  return scheduleByChannel(target, node.op.lower({ ...node, inPlace: undefined }))
}

function jobOf(node: Node, target: Target): Job {
  if (makesNothing(node))
    return { node, call: { kernel: L.kernel('nothing', []), args: [] }, recipe: 'none', idle: true, scratch: [] }
  const plain = node.op.lower(node)
  const { inPlace } = node
  const idle =
    node.gathers ||
    node.receives ||
    (inPlace !== undefined && node.outputs.length === 1 && isCopy(plain, node.inputs[inPlace]!, node.outputs[0]))
  if (idle) return { node, call: plain, recipe: 'none', idle, scratch: [] }
  const scheduled = byChannel(node, target) ?? schedule(target, plain)
  const apart = spread(scheduled.call)
  const recipe = apart ? scheduled.recipe : 'plain'
  const call = apart ?? spread(plain) ?? bug(`${layer(node)} reads elements that stand in two parts`)
  const { bufs } = call.kernel
  if (call.args.length !== bufs.length) bug(`${layer(node)} binds ${call.args.length} of ${bufs.length} buffers`)
  const scratch = bufs
    .filter((_, k) => 'scratch' in call.args[k])
    .map((buf) => ({ bytes: elemBytes(buf.elem) * count(buf.shape), align: elemBytes(buf.elem) }))
  return { node, call, recipe, idle, scratch }
}

/** The rows that arrive while the program runs. */
function streamedOf(
  graph: Graph,
  jobs: readonly Job[],
  places: ReadonlyMap<Value, Place>,
): { streamed?: StreamedInput } {
  const [input] = graph.nodes.flatMap((n) => (n.receives ? inputsOf(n) : []))
  if (!input) return {}
  const rows = new Array<StreamedInput['rows'][number]>(input.type.shape[1]).fill(undefined)
  let before = 0
  for (const { node, idle } of jobs) {
    if (node.receives) rows[receivedRow(node)] = { place: places.get(node.outputs[0])!, before }
    if (!idle) before++
  }
  return { streamed: { input, rowBytes: bytesOf(input.type) / rows.length, rows } }
}

/** Where levels begin: at every step that may not run beside the one before. */
function threadsOf(jobs: readonly Job[]): { threads?: Threads } {
  const levels = levelsOf(jobs.map((job) => job.node))
  const working = [...jobs.keys()].filter((i) => !jobs[i].idle)
  const begins = working.flatMap((i, step) =>
    step > 0 && levels[i].first === levels[working[step - 1]].first ? [] : [step],
  )
  const most = begins.reduce((n, step, k) => Math.max(n, (begins[k + 1] ?? working.length) - step), 0)
  return most > 1 ? { threads: { most, levels: begins } } : {}
}

/** The buffer's elements from `from` on. */
function inside(place: Place, from: number | undefined, { elem, shape }: Buf): Place {
  if (from === undefined) return place
  return { ...place, offset: place.offset + from * elemBytes(elem), bytes: count(shape) * elemBytes(elem) }
}

/** The work that was planned before, for one target: plans of graphs that have nodes in common share it. */
export class KnownWork {
  readonly numbers = new Map<object, number>()
  readonly known = new Map<string, Job>()
}

/** Jobs of nodes that do the same work on other tensors, as blocks of rows do, share their loops and their derived data. */
function jobsOf(graph: Graph, jobOf: (node: Node) => Job, { numbers, known }: KnownWork): Job[] {
  const numberOf = (x: object) => numbers.get(x) ?? numbers.set(x, numbers.size).size - 1
  const keyOf = (v: Value | undefined) =>
    v &&
    (v.storage === 'temp'
      ? [
          v.type.dtype,
          v.type.shape,
          v.type.quant && numberOf(v.type.quant),
          v.parts && partsOf(v).map((p) => [p.count, p.from % 8]),
        ]
      : numberOf(v))
  return graph.nodes.map((node): Job => {
    const { op, attrs, inputs, outputs, inPlace, gathers } = node
    const twice = new Set(inputs).size < inputs.length
    const key = JSON.stringify([
      op.name,
      attrs,
      inputs.map(keyOf),
      outputs.map(keyOf),
      inPlace,
      gathers,
      node.receives,
      node.from,
    ])
    const same = twice ? undefined : known.get(key)
    if (!same) {
      const job = jobOf(node)
      known.set(key, job)
      return job
    }
    // places in bytes: kernels may see elements of another size
    const keyOfPlace = (v: Value, bytes: number) => `${numberOf(v)} ${bytes}`
    const renamed = new Map<string, { readonly value: Value; readonly bytes: number }>()
    const rename = (old: Value, fresh: Value) => {
      const to = partsOf(fresh)
      for (const [k, { value, from }] of partsOf(old).entries())
        renamed.set(keyOfPlace(value, from * alignOf(value)), {
          value: to[k].value,
          bytes: to[k].from * alignOf(value),
        })
    }
    for (const [i, v] of same.node.inputs.entries()) if (v) rename(v, inputs[i]!)
    for (const [i, v] of same.node.outputs.entries()) rename(v, outputs[i])
    const args = same.call.args.map((arg, k): Arg => {
      if (!('value' in arg)) return arg
      const size = elemBytes(same.call.kernel.bufs[k].elem)
      const fresh = renamed.get(keyOfPlace(arg.value, (arg.from ?? 0) * size))
      return fresh ? { value: fresh.value, from: fresh.bytes / size } : arg
    })
    return { ...same, node, call: { ...same.call, args } }
  })
}

const isKept = (v: Value) => v.storage !== 'const' && v.storage !== 'temp'

function layOut(
  graph: Graph,
  jobs: readonly Job[],
  target: Target,
  windows: readonly Window[],
  { input, prefetch }: ExternalOptions,
): Arena {
  const rounded = (bytes: number) => up(bytes, target.align)
  const values = new Map<Value, Place>()
  const state = [...new Set([...graph.nodes.flatMap(inputsOf), ...graph.outputs].filter(isKept))]
  let stateBytes = 0
  for (const v of state) {
    const offset = up(stateBytes, Math.max(target.align, alignOf(v)))
    values.set(v, { segment: 'arena', offset, bytes: bytesOf(v.type) })
    stateBytes = offset + rounded(bytesOf(v.type))
  }

  const begin = starts(jobs, prefetch)
  const rows = new Set(input ? graph.nodes.flatMap((n) => (n.receives ? n.outputs : [])) : [])
  const lives = lifetimes(graph)
  const buffers = lives.map((t) => {
    const first = rows.has(t.values[0]) ? begin(t.first) : t.first
    return {
      bytes: rounded(t.bytes),
      first,
      last: t.last,
      align: Math.max(target.align, ...t.values.map(alignOf)),
      spans: t.spans.map((s, i) => ({ ...s, first: i === 0 ? first : s.first, to: rounded(s.to) })),
    }
  })
  const working = jobs.flatMap((job, i) =>
    job.scratch.map((s) => ({ bytes: rounded(s.bytes), first: i, last: i, align: Math.max(target.align, s.align) })),
  )
  const arriving = windows.map((w) => ({
    ...{ bytes: rounded(w.bytes), first: begin(w.nodes[0]), last: w.nodes[w.nodes.length - 1], align: target.align },
  }))
  const levels = levelsOf(graph.nodes)
  const items = [...buffers, ...working, ...arriving].map((item) =>
    lasting<Item & { readonly align: number }>(item, levels),
  )
  const align = items.reduce((most, item) => Math.max(most, item.align), target.align)
  const base = up(stateBytes, align)
  const { offsets, total } = place(items, undefined, graph.learns !== undefined)
  const at = (k: number, bytes: number, inside = 0): Place => ({
    segment: 'arena',
    offset: base + offsets[k] + inside,
    bytes,
  })
  lives.forEach((t, k) => {
    for (const v of t.values) values.set(v, at(k, bytesOf(v.type)))
    for (const { value, offset } of t.parts) values.set(value, at(k, bytesOf(value.type), offset))
  })
  let next = lives.length
  const scratch = jobs.map((job) => job.scratch.map((s) => at(next++, s.bytes)))
  const live = liveAt(items, -1, graph.nodes.length).map((bytes) => base + bytes)
  return { values, state, scratch, windows: windows.map((w) => at(next++, w.bytes)), bytes: base + total, live }
}

/** The bytes of the constants that a call reads: values, and data derived from them. */
function constantBytes(call: Call): number {
  const data = call.args.flatMap((arg): Data[] => {
    if ('data' in arg) return [arg.data]
    return 'value' in arg && arg.value.storage === 'const' && arg.value.data ? [arg.value.data] : []
  })
  return [...new Set(data)].reduce((sum, d) => sum + d.byteLength, 0)
}

/** What a state or param starts from: one element for a state whose elements are all the same. */
function initialOf({ name, data, storage }: Value): Data {
  if (!data) return bug(`state "${name}" has no data`)
  const first = data.subarray(0, 1)
  const same = storage === 'state' && elemBytes(elemOfData(data)) <= 4 && data.every((x) => Object.is(x, data[0]))
  return same ? first : data
}

/** Bytes that the graph's tensors take when they are placed, without any kernel's working space. */
export function placedBytes(graph: Graph): number {
  return place(lifetimes(graph), QUICK, graph.learns !== undefined).total
}

/** What lives between runs: state, and what learns. */
export function stateBytes(graph: Graph): number {
  const kept = new Set([...graph.nodes.flatMap(inputsOf), ...graph.outputs].filter(isKept))
  return [...kept].reduce((n, v) => n + bytesOf(v.type), 0)
}

interface Work {
  readonly graph: Graph
  readonly jobs: readonly Job[]
  readonly readers: readonly Reader[]
  readonly out?: Outside
}

/** The jobs, and which of their constants are outside. Layers whose constants do not fit the window are split. */
function workOf(
  graph: Graph,
  target: Target,
  how: ExternalOptions,
  known: KnownWork,
  made = new Map<Node, Job>(),
): Work {
  const own = (node: Node): Job => {
    const job = made.get(node) ?? jobOf(node, target)
    made.set(node, job)
    return job
  }
  const jobs = jobsOf(graph, own, known)
  const readers = jobs.map((job) => ({ ...job, from: job.node.from, op: job.node.op.name }))
  const fixed = [...graph.nodes.flatMap(inputsOf).filter((v) => v.storage !== 'const'), ...graph.outputs]
  const kept = new Set(fixed.flatMap((v) => v.data ?? []))
  const out = how.weights ? outside(readers, kept, target.align, how) : undefined
  if (!out || how.window === undefined) return { graph, jobs, readers, out }
  const large = tooLarge(out, how.window)
  const bytesOfNode = (node: Node) => windowBytes({ ...own(node), from: '', op: '' }, target.align)
  const split = splitChannels(graph, new Set(large.map((w) => graph.nodes[w.nodes[0]])), bytesOfNode, how.window)
  if (split !== graph) return workOf(split, target, how, known, made)
  checkWindow(readers, large, how.window)
  return { graph, jobs, readers, out }
}

/** Plans `graph` for `target`, in the graph's order. The passes have run before; nothing is optimised here but placement. */
export function makePlan(given: Graph, target: Target, how: ExternalOptions = {}, known = new KnownWork()): Plan {
  const { graph, jobs, readers, out } = workOf(given, target, how, known)
  const arena = layOut(graph, jobs, target, out?.windows ?? [], how)
  if (arena.bytes > MAX_BYTES)
    throw new BudgetError(
      graph.name,
      `needs ${arena.bytes} bytes of RAM, no program has more than ${MAX_BYTES}`,
      'use a smaller input or model',
    )
  const places = new Map(arena.values)
  const weights = new WeightWriter(target.align)
  const making = new MadeWriter(target.align)

  const stand = (name: string, data: Data): Place => {
    const found = out?.find(data)
    if (!found) return weights.put(name, data)
    const { offset } = arena.windows[found.window]
    return { segment: 'arena', offset: offset + found.offset, bytes: data.byteLength }
  }
  const placeOf = (v: Value, where: string): Place => {
    const known = places.get(v)
    if (known) return known
    if (!v.data) return bug(`${where} reads "${v.name}", which has no place`)
    const stored = stand(v.name, v.data)
    places.set(v, stored)
    return stored
  }
  const steps = jobs.flatMap(({ node, call, recipe, idle }, i): Step[] => {
    if (idle) return []
    const scratch = [...arena.scratch[i]]
    const argPlaces = call.args.map((arg, k): Place => {
      if ('scratch' in arg) return scratch.shift()!
      if ('data' in arg) {
        const name = `${node.from}/${call.kernel.bufs[k].name}`
        return arg.made ? making.put(name, arg.data, arg.made) : stand(name, arg.data)
      }
      return inside(placeOf(arg.value, layer(node)), arg.from, call.kernel.bufs[k])
    })
    return [{ node, call, recipe, places: argPlaces }]
  })
  for (const v of graph.outputs) placeOf(v, 'the output')
  const state = arena.state.map((value) => ({
    value,
    place: places.get(value)!,
    initial: weights.put(value.name, initialOf(value)),
  }))

  const layers = jobs.map(({ node, call, recipe, idle }, i): LayerReport => {
    return {
      name: node.from,
      op: node.op.name,
      recipe,
      macs: node.op.cost(node).macs,
      weightBytes: idle ? 0 : constantBytes(call),
      outputBytes: node.outputs.reduce((sum, v) => sum + bytesOf(v.type), 0),
      liveBytes: arena.live[i + 1],
    }
  })
  const made = making.constants(weights)
  const segment = weights.segment()
  const learning = learningOf(graph, steps, state)
  const external = externalOf(graph, readers, out, arena.windows, places, how)
  if (arena.bytes + segment.bytes.length + (made?.bytes ?? 0) > MAX_BYTES)
    throw new BudgetError(
      graph.name,
      `needs ${arena.bytes} bytes of RAM and ${segment.bytes.length} of constants, no program has more than ${MAX_BYTES} of both`,
    )
  return {
    graph,
    target,
    steps,
    places,
    state,
    arenaBytes: Math.max(arena.bytes, external ? HEADER_BYTES : 0),
    lowerBoundBytes: arena.live.reduce((most, bytes) => Math.max(most, bytes), 0),
    weights: segment,
    weightBytes: segment.bytes.length,
    ...(made && { made }),
    macs: layers.reduce((sum, l) => sum + l.macs, 0),
    layers,
    stages: [],
    ...streamedOf(graph, jobs, places),
    ...(external && { external }),
    ...(learning && { learning }),
    ...threadsOf(jobs),
  }
}
