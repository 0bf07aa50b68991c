// What a run gave, for machines and for people: output tensors, scores as bars, hashes of every tensor.

import type { Program } from '../emit/program.ts'
import { type Graph, printTensorType, type Value } from '../ir/graph.ts'
import { fingerprint } from '../ir/hash.ts'
import { f16ToF32 } from '../loops/float.ts'
import type { Data } from '../loops/ir.ts'
import { table } from '../report/figures.ts'
import { realOf, type Score } from '../report/scores.ts'
import type { Port, Trace } from '../run/model.ts'
import { tensorId } from './model.ts'
import { bar } from './numbers.ts'

/** JSON has no infinities, NaN or large whole numbers: those are written as strings. */
function numberJson(x: number | bigint): number | string {
  const n = Number(x)
  return typeof x === 'bigint' ? (Number.isSafeInteger(n) ? n : `${x}`) : Number.isFinite(n) ? n : `${n}`
}

export function outputJson(port: Port, data: Data) {
  const values: (number | string)[] = []
  for (const x of data) values.push(numberJson(data instanceof Uint16Array ? f16ToF32(Number(x)) : x))
  return { name: port.name, dtype: port.type.dtype, shape: [...port.type.shape], data: values }
}

export interface TraceEntry {
  readonly tensor: number | string
  readonly name: string
  readonly fnv1a: string
}

/**
 * Hashes of the model's tensors that the program computes, in the program's order; tensors that were known at compile
 * time come first. `trace` may hold more: what a pass made is no tensor of the model.
 */
export function traceEntries(graph: Graph, program: Program, trace: Trace): TraceEntry[] {
  const own = new Set(graph.nodes.flatMap((node) => node.outputs.map((v) => v.name)))
  const planned = program.plan.graph.nodes.flatMap((node) => node.outputs).filter((v) => own.has(v.name))
  const names = new Set([...planned, ...program.absorbed].map((v) => v.name))
  const constants = new Map(
    program.plan.graph.nodes
      .flatMap((node) => node.inputs)
      .concat(program.plan.graph.outputs)
      .flatMap((v) => (v?.storage === 'const' ? [[v.name, v] as const] : [])),
  )
  const folded = graph.nodes.flatMap((node) => node.outputs).filter((v) => !names.has(v.name))
  const computed = new Map(trace.tensors.map(({ value, data }) => [value.name, data]))
  const entry = (v: Value, data: Data | undefined): TraceEntry[] =>
    data ? [{ tensor: tensorId(v), name: v.name, fnv1a: fingerprint(data) }] : []
  return [
    ...folded.flatMap((v) => entry(v, constants.get(v.name)?.data)),
    ...planned.flatMap((v) => entry(v, computed.get(v.name))),
  ]
}

/** Scores as bars, for people. The highest one fills the bar. */
export function scoreChart(scores: readonly Score[], width = 30): string {
  const most = Math.max(...scores.map((s) => Math.abs(s.score)), Number.MIN_VALUE)
  const rows = scores.map(({ label, score }) => [label, score.toPrecision(4), bar(score / most, width)])
  return table(['', '>', ''], rows)
}

/** The first elements of a tensor as reals. */
export function valuesLine(port: Port, data: Data, most = 8): string {
  const shown = Array.from(data.slice(0, most) as ArrayLike<number | bigint>, (x) =>
    Number(realOf(port.type, x).toPrecision(5)),
  )
  const rest = data.length > most ? ` … ${data.length - most} more` : ''
  return `${port.name}  ${printTensorType(port.type)}  ${shown.join(' ')}${rest}`
}
