// What there is to say about a model, as plain data: its layers, what each pass did to them, and where the plan puts
// every buffer. The terminal, the page and any other front end draw this and compute nothing.

import { MoteError } from '../errors.ts'
import { bytesOf, type Graph, inputsOf, type Node, type Quant, type TensorType, type Value } from '../ir/graph.ts'
import { lifetimes } from '../ir/live.ts'
import type { AttrValue } from '../ir/op.ts'
import { verify } from '../ir/verify.ts'
import type { Data } from '../loops/ir.ts'
import { INFERENCE } from '../passes/index.ts'
import { bytesRead, windowRam } from '../plan/external.ts'
import { makePlan } from '../plan/make.ts'
import { place } from '../plan/place.ts'
import type { Place, Plan } from '../plan/plan.ts'
import type { Target } from '../targets/target.ts'

export interface TensorReport {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly bytes: number
  /** Quantisation as a sentence fragment, absent for plain numbers. */
  readonly means?: string
}

/** A constant of a layer: how its stored values are spread, and its scales. */
export interface WeightReport extends TensorReport {
  readonly min: number
  readonly max: number
  /** How many values fall into each of equally wide bins from `min` to `max`. */
  readonly bins: readonly number[]
  /** One per channel, where there are several. */
  readonly scales?: readonly number[]
}

export interface LayerReport {
  readonly name: string
  readonly op: string
  readonly macs: number
  readonly weightBytes: number
  readonly outputBytes: number
  readonly outputs: readonly TensorReport[]
}

/** A layer of the plan: its place in the graph, and what is live while it runs. */
export interface PlannedLayer extends LayerReport {
  /** Layers whose outputs it reads. */
  readonly after: readonly number[]
  readonly inputs: readonly TensorReport[]
  readonly attrs: Readonly<Record<string, AttrValue>>
  readonly weights: readonly WeightReport[]
  readonly recipe: string
  readonly liveBytes: number
}

/** A buffer of the arena, from layer `first` to layer `last` inclusive; -1 is before the first layer. */
export interface BufferReport {
  readonly name: string
  readonly kind: 'tensor' | 'scratch' | 'state' | 'window'
  readonly offset: number
  readonly bytes: number
  readonly first: number
  readonly last: number
  /** Layers that write it, and those that read it. */
  readonly written: readonly number[]
  readonly read: readonly number[]
}

export interface PassReport {
  readonly name: string
  readonly nodes: number
  readonly macs: number
  readonly weightBytes: number
  /** RAM that the tensors need in this order, without the working space of kernels. */
  readonly tensorBytes: number
  /** Layers that are no longer there: absorbed by a neighbour, or not needed. */
  readonly gone: readonly { readonly op: string; readonly name: string }[]
}

export interface PlanReport {
  readonly target: string
  readonly arenaBytes: number
  readonly lowerBoundBytes: number
  readonly weightBytes: number
  readonly macs: number
  readonly layers: readonly PlannedLayer[]
  readonly buffers: readonly BufferReport[]
  /** The layer with the most live bytes. */
  readonly peak: number
  /** What comes from slow memory in one run, and how much of the arena takes it in at most. */
  readonly external?: ExternalReport
}

export interface ExternalReport {
  /** In slow memory, header aside. */
  readonly imageBytes: number
  readonly reads: number
  readonly bytesRead: number
  readonly windowBytes: number
}

export interface ModelReport {
  readonly name: string
  readonly inputs: readonly TensorReport[]
  readonly outputs: readonly TensorReport[]
  /** The file's layers, before any pass. */
  readonly layers: readonly LayerReport[]
  readonly macs: number
  readonly weightBytes: number
  /** The first row is the file as it was read. */
  readonly passes: readonly PassReport[]
  readonly plan?: PlanReport
  /** Why there is no plan. */
  readonly refused?: { readonly where: string; readonly message: string; readonly hint: string | undefined }
}

const BINS = 32
const MOST_SCALES = 256

const figure = (x: number) => Number(x.toPrecision(4))

function quantText({ scale, zero, axis }: Quant, dtype: string): string {
  if (scale.length > 1) {
    const [lo, hi] = scale.reduce(([a, b], s) => [Math.min(a, s), Math.max(b, s)], [scale[0], scale[0]])
    return `${scale.length} scales along axis ${axis}, ${figure(lo)} to ${figure(hi)}`
  }
  const [s, z] = [scale[0], zero[0] ?? 0]
  const minus = z === 0 ? 'stored' : z < 0 ? `(stored + ${-z})` : `(stored - ${z})`
  const range: Readonly<Record<string, readonly [number, number]>> = { i8: [-128, 127], u8: [0, 255] }
  const ends = range[dtype]?.map((q) => figure(s * (q - z)))
  return `real = ${figure(s)} * ${minus}${ends ? `, from ${ends[0]} to ${ends[1]}` : ''}`
}

function tensorReport({ name, type }: { readonly name: string; readonly type: TensorType }): TensorReport {
  const { dtype, shape, quant } = type
  return { name, dtype, shape, bytes: bytesOf(type), ...(quant && { means: quantText(quant, dtype) }) }
}

function weightReport(v: Value, data: Data): WeightReport {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const x of data) {
    const n = Number(x)
    if (n < min) min = n
    if (n > max) max = n
  }
  const finite = Number.isFinite(min) && Number.isFinite(max)
  const bins = new Array<number>(finite ? BINS : 0).fill(0)
  if (finite)
    for (const x of data) {
      const at = max > min ? Math.floor(((Number(x) - min) / (max - min)) * BINS) : 0
      if (at >= 0) bins[Math.min(BINS - 1, at)]++
    }
  const scales = v.type.quant?.scale
  const some = scales && scales.length > 1 ? [...scales.slice(0, MOST_SCALES)].map(figure) : undefined
  return {
    ...tensorReport(v),
    min: finite ? figure(min) : 0,
    max: finite ? figure(max) : 0,
    bins,
    ...(some && { scales: some }),
  }
}

const constantsOf = (node: Node) => [...new Set(inputsOf(node))].filter((v) => v.storage === 'const' && v.data)

/** Bytes of the distinct constants among the inputs of `nodes`. */
export function constantBytes(nodes: readonly Node[]): number {
  const distinct = new Set<Data>(nodes.flatMap(constantsOf).map((v) => v.data!))
  return [...distinct].reduce((sum, data) => sum + data.byteLength, 0)
}

function layerReport(node: Node): LayerReport {
  return {
    name: node.from,
    op: node.op.name,
    macs: node.op.cost(node).macs,
    weightBytes: constantBytes([node]),
    outputBytes: node.outputs.reduce((sum, v) => sum + bytesOf(v.type), 0),
    outputs: node.outputs.map(tensorReport),
  }
}

function holds(outer: Place, inner: Place): boolean {
  return outer.offset <= inner.offset && inner.offset + inner.bytes <= outer.offset + outer.bytes
}

function buffersOf(plan: Plan): BufferReport[] {
  const { graph, places } = plan
  const indexOf = new Map(graph.nodes.map((node, i) => [node, i]))
  const uses = (values: readonly Value[]) => {
    const all = new Set(values)
    const layersWhere = (some: (node: Node) => readonly (Value | undefined)[]) =>
      graph.nodes.flatMap((node, i) => (some(node).some((v) => v && all.has(v)) ? [i] : []))
    return { written: layersWhere((node) => node.outputs), read: layersWhere((node) => node.inputs) }
  }
  const state = plan.state.map(
    ({ value, place: { offset, bytes } }): BufferReport => ({
      ...{ name: value.name, kind: 'state', offset, bytes, first: -1, last: graph.nodes.length },
      ...uses([value]),
    }),
  )
  const tensors = lifetimes(graph).map(
    ({ values, bytes, first, last }): BufferReport => ({
      ...{ name: values.map((v) => v.name).join(' -> '), kind: 'tensor', offset: places.get(values[0])!.offset },
      ...{ bytes, first, last, ...uses(values) },
    }),
  )
  const scratch = plan.steps.flatMap(({ node, call, places: at }) => {
    const i = indexOf.get(node)!
    return call.args.flatMap((arg, k): BufferReport[] =>
      'scratch' in arg
        ? [
            {
              ...{ name: `${call.kernel.bufs[k].name} of ${node.from}`, kind: 'scratch', offset: at[k].offset },
              ...{ bytes: at[k].bytes, first: i, last: i, written: [i], read: [i] },
            },
          ]
        : [],
    )
  })
  const nodeOf = (step: number) => indexOf.get(plan.steps[step].node)!
  const windows = (plan.external?.fetches ?? []).flatMap(({ from, place, start, needed, last }): BufferReport[] => {
    const read = plan.steps.flatMap(({ places: at }, i) =>
      i >= needed && i <= last && at.some((p) => p.segment === 'arena' && holds(place, p)) ? [nodeOf(i)] : [],
    )
    const lives = { first: nodeOf(start), last: nodeOf(last), written: [], read }
    const name = `constants of ${plan.steps[needed].node.from}`
    return from === 'weights' ? [{ name, kind: 'window', offset: place.offset, bytes: place.bytes, ...lives }] : []
  })
  return [...state, ...tensors, ...scratch, ...windows].filter((b) => b.bytes > 0)
}

/** What a plan reads from slow memory; undefined where it reads nothing. */
export function externalReport({ external, steps }: Plan): ExternalReport | undefined {
  if (!external) return undefined
  const imageBytes = external.weights?.bytes.length ?? 0
  const { fetches } = external
  return { imageBytes, reads: fetches.length, bytesRead: bytesRead(external), windowBytes: windowRam(external, steps) }
}

/** What there is to say of a plan. */
export function planReport(plan: Plan): PlanReport {
  const { arenaBytes, lowerBoundBytes, weightBytes, macs } = plan
  const producer = new Map(plan.graph.nodes.flatMap((node, i) => node.outputs.map((v) => [v, i] as const)))
  const layers = plan.graph.nodes.map((node, i): PlannedLayer => {
    const { recipe, liveBytes, weightBytes: planned } = plan.layers[i]
    return {
      ...layerReport(node),
      weightBytes: planned,
      after: [...new Set(inputsOf(node).flatMap((v) => producer.get(v) ?? []))],
      inputs: inputsOf(node)
        .filter((v) => v.storage !== 'const')
        .map(tensorReport),
      attrs: node.attrs,
      weights: constantsOf(node).map((v) => weightReport(v, v.data!)),
      recipe,
      liveBytes,
    }
  })
  const peak = layers.reduce((best, l, i) => (l.liveBytes > layers[best].liveBytes ? i : best), 0)
  const buffers = buffersOf(plan)
  const external = externalReport(plan)
  const figures = { arenaBytes, lowerBoundBytes, weightBytes, macs, ...(external && { external }) }
  return { target: plan.target.name, ...figures, layers, buffers, peak }
}

/** The nodes of `before` that `after` has no more, by operator and name. */
function goneFrom(before: Graph, after: Graph): { op: string; name: string }[] {
  const left = new Map<string, number>()
  const key = (node: Node) => `${node.op.name} ${node.from}`
  for (const node of after.nodes) left.set(key(node), (left.get(key(node)) ?? 0) + 1)
  return before.nodes.flatMap((node) => {
    const n = left.get(key(node)) ?? 0
    left.set(key(node), n - 1)
    return n > 0 ? [] : [{ op: node.op.name, name: node.from }]
  })
}

function passReport(name: string, graph: Graph, before: Graph): PassReport {
  return {
    name,
    nodes: graph.nodes.length,
    macs: graph.nodes.reduce((sum, node) => sum + node.op.cost(node).macs, 0),
    weightBytes: constantBytes(graph.nodes),
    tensorBytes: place(lifetimes(graph)).total,
    gone: goneFrom(before, graph),
  }
}

/** Reports on `graph` and on its plan for `target`, or on the given one. A graph that cannot be planned is reported with the reason. */
export function reportOf(graph: Graph, target: Target, made?: Plan): ModelReport {
  const layers = graph.nodes.map(layerReport)
  const passes: PassReport[] = [passReport('as read', verify(graph), graph)]
  let plan: PlanReport | undefined
  let refused: ModelReport['refused']
  try {
    let now = graph
    for (const { name, pass } of INFERENCE) {
      const next = verify(pass(now))
      passes.push(passReport(name, next, now))
      now = next
    }
    plan = planReport(made ?? makePlan(now, target))
  } catch (error) {
    if (!(error instanceof MoteError)) throw error
    refused = { where: error.where, message: error.message, hint: error.hint }
  }
  return {
    name: graph.name,
    inputs: graph.inputs.map(tensorReport),
    outputs: graph.outputs.map(tensorReport),
    layers,
    macs: layers.reduce((sum, l) => sum + l.macs, 0),
    weightBytes: constantBytes(graph.nodes),
    passes,
    ...(plan && { plan }),
    ...(refused && { refused }),
  }
}
