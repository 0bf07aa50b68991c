// Walks a quantised model layer by layer over all samples at once: between two layers it holds, for each sample, the tensors that
// later layers read, so that nothing is computed twice. Decisions for layers behind the walk are final.

import type { Graph, Node, Value } from '../../ir/graph.ts'
import type { Data } from '../../loops/ir.ts'
import { samplesFor } from './measure.ts'
import { type Decisions, toIntegers } from './rewrite.ts'
import { forEachSample, type Samples, tap } from './run.ts'

/** The part of `graph` that computes `wanted` from `known`. */
function segment(graph: Graph, known: ReadonlySet<Value>, wanted: readonly Value[]): Graph {
  const need = new Set(wanted.filter((v) => !known.has(v)))
  const nodes: Node[] = []
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((v) => need.has(v))) continue
    nodes.unshift(node)
    for (const v of node.inputs) if (v && !known.has(v) && !v.data) need.add(v)
  }
  const read = new Set([...nodes.flatMap((node) => node.inputs), ...wanted])
  return { ...graph, inputs: [...known].filter((v) => read.has(v)), nodes, outputs: wanted }
}

export class Frontier {
  private readonly float: Graph
  private readonly samples: Samples
  /** The data of each held tensor of the float32 graph, in its stored form, by sample. */
  private held = new Map<Value, Data[]>()

  constructor(float: Graph, samples: Samples) {
    this.float = float
    this.samples = samples
  }

  /** The tensors of the float32 graph that are there before `node` and that it or later nodes read. */
  private before(node: Node): Value[] {
    const at = this.float.nodes.indexOf(node)
    const there = new Set(this.float.nodes.slice(0, at).flatMap((n) => n.outputs))
    return [...new Set(this.float.nodes.slice(at).flatMap((n) => n.inputs))].filter(
      (v) => v !== undefined && there.has(v),
    ) as Value[]
  }

  /** Goes on to `node` and calls `each` with its first input for every sample; `x` is that input's stored form. */
  async advance(node: Node, decisions: Decisions, each: (x: Value, data: Data, sample: number) => void): Promise<void> {
    const { float, samples, held } = this
    const { graph, became } = toIntegers(float, decisions)
    const stored = (v: Value) => became.get(v)!
    const live = this.before(node)
    const heads = [...held.keys()]
    const known = new Set([...graph.inputs, ...heads.map(stored)])
    const wanted = [...new Set([...live, node.inputs[0]!])]
    const part = segment(graph, known, wanted.map(stored))
    const tapped = await tap(part, wanted.map(stored))
    const own = samplesFor(graph, samples)
    const from = new Map<Value, (i: number) => Data>([
      ...graph.inputs.map((v, k): [Value, (i: number) => Data] => [v, (i) => own.inputs(i)[k]]),
      ...heads.map((v): [Value, (i: number) => Data] => [stored(v), (i) => held.get(v)![i]]),
    ])
    const next = new Map(live.map((v) => [v, [] as Data[]]))
    const inputs = { count: samples.count, inputs: (i: number) => part.inputs.map((v) => from.get(v)!(i)) }
    await forEachSample(inputs, tapped, (values, i) => {
      wanted.forEach((v, k) => {
        next.get(v)?.push(values[k])
        if (v === node.inputs[0]) each(stored(v), values[k], i)
      })
    })
    this.held = next
  }
}
