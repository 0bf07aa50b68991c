// The scales of a graph's tensors. Tensors that an operator makes share one scale are one class, with the range of all of
// them together; where an operator fixes its output's, that is the scale of the class.

import { type Graph, type Node, type Quant, readers, type Value } from '../../ir/graph.ts'
import { rangeOf } from '../../ops/quant.ts'
import type { Calibration } from './calibrate.ts'
import { EMPTY, type Method, quantOfRange, type Range, rangeOfStatistics, union } from './range.ts'
import { type Activations, formOf } from './rewrite.ts'

/**
 * Tensors that only a limit reads, at once or after moves: what lies outside the limits needs no room, it saturates to the
 * same. Reverse order, so that a tensor's readers are known.
 */
function limited(graph: Graph): Set<Value> {
  const reading = readers(graph)
  const found = new Set<Value>()
  const limits = (node: Node) =>
    node.op.effect?.(node)?.does === 'clamp' ||
    (formOf(node)?.output === 'shared' && node.outputs.every((v) => found.has(v)))
  for (const node of [...graph.nodes].reverse())
    for (const v of node.outputs) if (!graph.outputs.includes(v) && reading.get(v)?.every(limits)) found.add(v)
  return found
}

/** The tensors of each class, by any of them. A class with a fixed scale joins no other with one. */
function classesOf(
  graph: Graph,
  activations: Activations,
  saturated: ReadonlySet<Value>,
): { of: Map<Value, Value[]>; fixed: Map<Value, Quant> } {
  const of = new Map<Value, Value[]>()
  const fixed = new Map<Value, Quant>()
  const members = (v: Value): Value[] => {
    const known = of.get(v)
    if (known) return known
    const own = [v]
    of.set(v, own)
    return own
  }
  const join = (a: Value, b: Value) => {
    const [into, from] = [members(a), members(b)]
    if (into === from) return
    into.push(...from)
    for (const v of from) of.set(v, into)
  }
  const fixedOf = (v: Value) => members(v).some((m) => fixed.has(m))
  for (const node of graph.nodes) {
    const form = formOf(node)
    if (!form) continue
    if (form.output === 'fixed') {
      const type = { ...node.inputs[0]!.type, dtype: activations, quant: quantOfRange({ lo: -1, hi: 1 }, activations) }
      const { quant } = node.op.infer([type, ...node.inputs.slice(1).map((v) => v?.type)], node.attrs)[0]
      if (quant) fixed.set(node.outputs[0], quant)
    }
    const [x] = node.inputs
    if (x && saturated.has(x) && node.op.effect?.(node)?.does === 'clamp') join(node.outputs[0], x)
    if (form.output !== 'shared') continue
    const data = node.inputs.filter((v): v is Value => v?.type.dtype === 'f32' && v.storage !== 'const')
    const alone = data.length === 1
    for (const v of node.outputs) join(node.outputs[0], v)
    for (const v of data) if (alone || !fixedOf(v)) join(node.outputs[0], v)
  }
  return { of, fixed }
}

/** The types of tensors below 8 bits. */
export type Widths = ReadonlyMap<Value, 'u4' | 'u2'>

/**
 * The tensors that may have less than 8 bits, by classes that have one type: operators make and read them that can, and the
 * model's own inputs and outputs are not among them.
 */
export function narrowClasses(graph: Graph): Value[][] {
  const { of, fixed } = classesOf(graph, 'i8', limited(graph))
  const reading = readers(graph)
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((v) => [v, node])))
  const outside = new Set([...graph.inputs, ...graph.outputs])
  const can = (node: Node | undefined) => node && formOf(node)?.subByte
  const may = (v: Value) =>
    !outside.has(v) && !fixed.has(v) && can(makers.get(v)) && reading.get(v)?.every((node) => can(node))
  const made = [...makers.keys()].filter((v) => v.type.dtype === 'f32')
  return [...new Set(made.map((v) => of.get(v) ?? [v]))].filter((members) => members.every(may))
}

/** The quantisation of every float32 tensor that was calibrated; below 8 bits the range with the least squared error. */
export function scalesOf(
  graph: Graph,
  calibration: Calibration,
  how: {
    readonly activations: Activations
    readonly method: Method
    readonly percentile: number
    readonly widths?: Widths
  },
): Map<Value, Quant> {
  const saturated = limited(graph)
  const { of, fixed } = classesOf(graph, how.activations, saturated)
  const result = new Map<Value, Quant>()
  for (const v of calibration.keys()) {
    if (result.has(v)) continue
    const members = of.get(v) ?? [v]
    const width = how.widths?.get(v)
    const [method, levels] = width ? (['mse', rangeOf(width).max + 1] as const) : [how.method, undefined]
    const quant =
      members.map((m) => fixed.get(m)).find((q) => q) ??
      quantOfRange(
        members.reduce<Range>((range, m) => {
          const s = saturated.has(m) ? undefined : calibration.get(m)
          return s ? union(range, rangeOfStatistics(s, method, how.percentile, levels)) : range
        }, EMPTY),
        width ?? how.activations,
      )
    for (const m of members) result.set(m, quant)
  }
  return result
}

/** The nodes whose weights become integers. */
export function weightedNodes(graph: Graph): Node[] {
  return graph.nodes.filter((node) => formOf(node)?.weights)
}
