// Records of an .onnx file as few as they can be: every node is written between the transpositions that bring images to
// ONNX's layout and back, and with every change of scale, and most of those meet their inverse. Goes: Identity,
// transpositions that cancel, and what nobody reads. Transpositions of constants are done here. Same bits.

import type { Graph, Value } from '../ir/graph.ts'
import type { OnnxRecord } from '../ir/op.ts'
import { transposed } from '../ops/shape/transpose.ts'

export interface Written extends OnnxRecord {
  readonly name: string
  readonly domain?: string
  readonly outputs: readonly Value[]
  readonly from: string
}

/** Which values are one in the file: a class is known by its input, output or constant, or else by its shortest name. */
class Names {
  private readonly next = new Map<Value, Value>()
  private readonly fixed: ReadonlySet<Value>

  constructor(graph: Graph) {
    this.fixed = new Set([...graph.inputs, ...graph.outputs])
  }

  of(v: Value): Value {
    const next = this.next.get(v)
    return next ? this.of(next) : v
  }

  /** Whether `x` and `y` can be one value; if so they are from here on. */
  join(x: Value, y: Value): boolean {
    const [a, b] = [this.of(x), this.of(y)]
    const [keepsA, keepsB] = [a, b].map((v) => this.fixed.has(v) || v.data !== undefined)
    if (a === b || (keepsA && keepsB)) return a === b
    if (keepsA || (!keepsB && a.name.length <= b.name.length)) this.next.set(b, a)
    else this.next.set(a, b)
    return true
  }
}

function permOf(r: Written | undefined): readonly number[] | undefined {
  return r?.name === 'Transpose' ? (r.attrs.perm as readonly number[]) : undefined
}

/** The records that are left of `all`, which compute the graph's outputs from its inputs. */
export function tidy(all: readonly Written[], graph: Graph): Written[] {
  const names = new Names(graph)
  const maker = new Map<Value, Written>()
  const kept: Written[] = []
  for (const record of all) {
    const [x] = record.inputs
    const [y] = record.outputs
    let r = record
    let perm = permOf(r)
    if (perm && x) {
      const before = maker.get(x)
      const first = permOf(before)
      if (before && first) {
        perm = perm.map((d) => first[d])
        r = { ...r, inputs: before.inputs, attrs: { perm } }
      }
      if (perm.every((d, i) => d === i)) r = { ...r, name: 'Identity', attrs: {} }
      else if (r.inputs[0]?.data && !graph.outputs.includes(y)) {
        names.join(y, transposed(r.inputs[0], perm))
        continue
      }
    }
    for (const v of r.outputs) maker.set(v, r)
    if (r.name === 'Identity' && r.inputs[0] && names.join(r.inputs[0], y)) {
      const source = maker.get(r.inputs[0])
      if (source) maker.set(y, source)
      else maker.delete(y)
      continue
    }
    kept.push(r)
  }
  const read = new Set<Value>(graph.outputs)
  const needed: Written[] = []
  for (const r of kept.reverse()) {
    const outputs = r.outputs.map((v) => names.of(v))
    if (!outputs.some((v) => read.has(v))) continue
    const inputs = r.inputs.map((v) => v && names.of(v))
    for (const v of inputs) if (v) read.add(v)
    needed.push({ ...r, inputs, outputs })
  }
  return needed.reverse()
}
