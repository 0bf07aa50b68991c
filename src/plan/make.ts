// Graph -> Plan: every node's loops in the target's form, a place for every buffer, the weight segment and the figures
// that reports print. Steps that would copy a buffer onto itself are dropped; that is seen in their loops.

import { bug } from '../errors.ts'
import { layer } from '../ir/build.ts'
import { bytesOf, elemOf, type Graph, inputsOf, type Node, type Value } from '../ir/graph.ts'
import { lifetimes, liveBytes } from '../ir/live.ts'
import type { Call } from '../ir/op.ts'
import { count, type Data, elemBytes } from '../loops/ir.ts'
import { schedule, type Target } from '../targets/target.ts'
import { isCopy } from './copy.ts'
import { type Item, place } from './place.ts'
import type { LayerReport, Place, Plan, Step } from './plan.ts'
import { WeightWriter } from './weights.ts'

/** A node, its loops for the target, and the scratch buffers they ask for (bytes, by number of argument). */
interface Job {
  readonly node: Node
  readonly call: Call
  readonly recipe: string
  readonly vanishes: boolean
  readonly scratch: ReadonlyMap<number, { readonly bytes: number; readonly align: number }>
}

function up(bytes: number, align: number): number {
  return Math.ceil(bytes / align) * align
}

function inMemory(v: Value): boolean {
  return v.storage === 'state' || v.storage === 'param' || v.storage === 'slow'
}

/** The constants that a call reads: values, and data derived from them. */
function constantsOf(call: Call): Set<Data> {
  return new Set(
    call.args.flatMap((arg) =>
      'data' in arg ? [arg.data] : 'value' in arg && arg.value.storage === 'const' ? [arg.value.data!] : [],
    ),
  )
}

function jobOf(node: Node, target: Target): Job {
  const plain = node.op.lower(node)
  const { inPlace } = node
  const vanishes =
    inPlace !== undefined && node.outputs.length === 1 && isCopy(plain, node.inputs[inPlace]!, node.outputs[0])
  if (vanishes) return { node, call: plain, recipe: 'none', vanishes, scratch: new Map() }
  const { call, recipe } = schedule(target, plain)
  if (call.args.length !== call.kernel.bufs.length)
    bug(`${layer(node)} binds ${call.args.length} of ${call.kernel.bufs.length} buffers`)
  const scratch = new Map<number, { bytes: number; align: number }>()
  call.kernel.bufs.forEach((buf, k) => {
    if ('scratch' in call.args[k])
      scratch.set(k, { bytes: elemBytes(buf.elem) * count(buf.shape), align: elemBytes(buf.elem) })
  })
  return { node, call, recipe, vanishes, scratch }
}

function elemAlign(v: Value): number {
  const elem = elemOf(v.type.dtype)
  return elem ? elemBytes(elem) : 1
}

/** Plans `graph` for `target`, in the graph's order. The passes have run before; nothing is optimised here but placement. */
export function makePlan(graph: Graph, target: Target): Plan {
  const roundUp = (bytes: number) => up(bytes, target.align)
  const jobs = graph.nodes.map((node) => jobOf(node, target))
  const scratchOf = new Map(jobs.map((job) => [job.node, [...job.scratch.values()]]))
  const scratchBytes = (node: Node) => scratchOf.get(node)!.reduce((sum, s) => sum + roundUp(s.bytes), 0)

  const places = new Map<Value, Place>()
  const weights = new WeightWriter(target.align)
  const stateValues = new Set([...graph.nodes.flatMap(inputsOf), ...graph.outputs].filter(inMemory))
  let stateBytes = 0
  for (const v of stateValues) {
    const align = Math.max(target.align, elemAlign(v))
    const offset = up(stateBytes, align)
    places.set(v, { segment: 'arena', offset, bytes: bytesOf(v.type) })
    stateBytes = offset + roundUp(bytesOf(v.type))
  }

  const lives = lifetimes(graph)
  const items: (Item & { readonly align: number })[] = lives.map((t) => ({
    bytes: roundUp(t.bytes),
    first: t.first,
    last: t.last,
    align: Math.max(target.align, ...t.values.map(elemAlign)),
    shrinks: t.shrinks.map((s) => ({ first: s.first, bytes: roundUp(s.bytes) })),
  }))
  jobs.forEach((job, i) => {
    for (const s of job.scratch.values())
      items.push({ bytes: roundUp(s.bytes), first: i, last: i, align: Math.max(target.align, s.align) })
  })
  const base = up(
    stateBytes,
    items.reduce((most, item) => Math.max(most, item.align), target.align),
  )
  const { offsets, total } = place(items)
  const at = (k: number, bytes: number): Place => ({ segment: 'arena', offset: base + offsets[k], bytes })
  lives.forEach((t, k) => {
    for (const v of t.values) places.set(v, at(k, bytesOf(v.type)))
  })

  let nextScratch = lives.length
  const steps: Step[] = []
  for (const { node, call, recipe, vanishes, scratch } of jobs) {
    if (vanishes) continue
    const argPlaces = call.args.map((arg, k): Place => {
      if ('scratch' in arg) return at(nextScratch++, scratch.get(k)!.bytes)
      if ('data' in arg) return weights.put(`${node.from}/${call.kernel.bufs[k].name}`, arg.data)
      const known = places.get(arg.value)
      if (known) return known
      if (!arg.value.data) return bug(`${layer(node)} reads "${arg.value.name}", which has no place`)
      const stored = weights.put(arg.value.name, arg.value.data)
      places.set(arg.value, stored)
      return stored
    })
    steps.push({ node, call, recipe, places: argPlaces })
  }
  for (const v of graph.outputs) if (!places.has(v) && v.data) places.set(v, weights.put(v.name, v.data))
  const state = [...stateValues].map((value) => ({
    value,
    place: places.get(value)!,
    initial: weights.put(value.name, value.data!),
  }))

  const live = liveBytes(graph, scratchBytes, roundUp).map((bytes) => bytes + base)
  const layers = jobs.map(({ node, call, recipe, vanishes }, i): LayerReport => {
    const constants = vanishes ? [] : [...constantsOf(call)]
    return {
      name: node.from,
      op: node.op.name,
      recipe,
      macs: node.op.cost(node).macs,
      weightBytes: constants.reduce((sum, data) => sum + data.byteLength, 0),
      outputBytes: node.outputs.reduce((sum, v) => sum + bytesOf(v.type), 0),
      liveBytes: live[i + 1],
    }
  })
  const segment = weights.segment()
  return {
    graph,
    target,
    steps,
    places,
    state,
    arenaBytes: base + total,
    lowerBoundBytes: live.reduce((most, bytes) => Math.max(most, bytes), 0),
    weights: segment,
    weightBytes: segment.bytes.length,
    macs: layers.reduce((sum, l) => sum + l.macs, 0),
    layers,
  }
}
