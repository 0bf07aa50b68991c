// The ONNX conformance cases: what each asks for, what mote answers, and how close that has to be.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from '../../src/emit/program.ts'
import { ModelError } from '../../src/errors.ts'
import { NOT_UNDERSTOOD } from '../../src/import/fault.ts'
import { readOnnx } from '../../src/import/onnx.ts'
import { decodeModel } from '../../src/import/onnx_schema.ts'
import { readTensorFile } from '../../src/io/onnx_tensor.ts'
import { type DType, type Graph, sameShape, type Tensor } from '../../src/ir/graph.ts'
import { f16ToF32 } from '../../src/loops/float.ts'
import type { Data } from '../../src/loops/ir.ts'
import { runHostC } from '../../src/run/host_c.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import { sharedJson, sharedPath } from './shared.ts'

export interface OnnxCase {
  readonly suite: string
  readonly test: string
  readonly ops: readonly string[]
  readonly opset: Readonly<Record<string, number>>
  readonly dtypes: readonly string[]
}

export type Verdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'dtype'; readonly why: string }
  | { readonly kind: 'wrong'; readonly why: string }

const SUPPORTED = new Set('FLOAT FLOAT16 DOUBLE INT8 UINT8 INT16 INT32 INT64 BOOL'.split(' '))

/** All cases, or those that use one of the operators in MOTE_ONNX, or whose name is there. */
export function onnxCases(filter = process.env.MOTE_ONNX): OnnxCase[] {
  const all: OnnxCase[] = sharedJson('conformance/onnx/index.json')
  if (!filter) return all
  const wanted = new Set(filter.split(','))
  return all.filter((c) => wanted.has(c.test) || c.ops.some((op) => wanted.has(op)))
}

export interface DataSet {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly Tensor[]
}

function folderOf(c: OnnxCase): string {
  return sharedPath(join('conformance/onnx', c.suite, c.test))
}

function tensorsIn(folder: string, kind: string): Tensor[] {
  const out: Tensor[] = []
  for (let i = 0; existsSync(join(folder, `${kind}_${i}.pb`)); i++)
    out.push(readTensorFile(new Uint8Array(readFileSync(join(folder, `${kind}_${i}.pb`)))))
  return out
}

export function dataSets(c: OnnxCase): DataSet[] {
  const folder = folderOf(c)
  return readdirSync(folder)
    .filter((name) => name.startsWith('test_data_set_'))
    .map((name) => ({
      inputs: tensorsIn(join(folder, name), 'input'),
      outputs: tensorsIn(join(folder, name), 'output'),
    }))
}

function numbersOf(data: Data, dtype: DType): ArrayLike<number | bigint> {
  return dtype === 'f16' ? Array.from(data as Uint16Array, (v) => f16ToF32(v)) : data
}

/** What differs, as ONNX's own runner compares: integers exactly, floats within 1e-3 of the expected value and 1e-7. */
export function differs(got: Data, want: Tensor, rtol = 1e-3, atol = 1e-7): string | undefined {
  if (got.length !== want.data.length) return `has ${got.length} elements, expected ${want.data.length}`
  const [g, w] = [numbersOf(got, want.type.dtype), numbersOf(want.data, want.type.dtype)]
  const float = want.type.dtype.startsWith('f')
  for (let i = 0; i < g.length; i++) {
    const [a, b] = [Number(g[i]), Number(w[i])]
    const same = float
      ? a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= atol + rtol * Math.abs(b)
      : g[i] === w[i]
    if (!same) return `element ${i} is ${a}, expected ${b}`
  }
  return undefined
}

/** Which inputs of a case are known when it is compiled, from none to all: the first way that is not refused counts. */
const KNOWN: readonly ((t: Tensor, i: number) => boolean)[] = [
  () => false,
  (t, i) => i > 0 && t.type.dtype === 'i64',
  (_, i) => i > 0,
  (t) => t.type.dtype === 'i64',
  () => true,
]

/** The case's graph and the inputs that it still has. Throws the last ModelError. */
export function graphOf(c: OnnxCase, set: DataSet): { readonly graph: Graph; readonly inputs: readonly Data[] } {
  const bytes = new Uint8Array(readFileSync(join(folderOf(c), 'model.onnx')))
  const names = (decodeModel(bytes).graph?.inputs ?? []).map((info) => info.name ?? '')
  const given = new Map(names.map((name, i) => [name, set.inputs[i]]))
  let refused: unknown
  for (const known of KNOWN) {
    const constants = Object.fromEntries(
      names.flatMap((name, i) => (set.inputs[i] && known(set.inputs[i], i) ? [[name, set.inputs[i]]] : [])),
    )
    try {
      const graph = readOnnx(bytes, { constants })
      return { graph, inputs: graph.inputs.map((v) => given.get(v.name)!.data) }
    } catch (error) {
      if (!(error instanceof ModelError)) throw error
      refused = error
    }
  }
  throw refused
}

export type Runner = (graph: Graph, inputs: readonly Data[]) => Promise<readonly Data[]>

export const RUNNERS: Readonly<Record<string, Runner>> = {
  C: async (graph, inputs) => runHostC(compile(graph, { target: 'c' }).plan).run(inputs),
  reference: async (graph, inputs) => reference(graph).run(inputs),
  WebAssembly: async (graph, inputs) => {
    const program = compile(graph, { target: 'wasm' })
    return (await instantiateWasm(program.wasm!, program.plan)).run(inputs)
  },
}

/** What mote makes of a case with one runner. Anything but a ModelError while it is read is a wrong answer. */
export async function verdictOf(c: OnnxCase, run: Runner): Promise<Verdict> {
  const other = c.dtypes.find((d) => !SUPPORTED.has(d))
  if (other) return { kind: 'dtype', why: other }
  for (const set of dataSets(c)) {
    try {
      const { graph, inputs } = graphOf(c, set)
      const outputs = await run(graph, inputs)
      if (outputs.length !== set.outputs.length)
        return { kind: 'wrong', why: `has ${outputs.length} outputs, expected ${set.outputs.length}` }
      for (const [i, want] of set.outputs.entries()) {
        const { type } = graph.outputs[i]
        if (type.dtype !== want.type.dtype || !sameShape(type.shape, want.type.shape))
          return {
            kind: 'wrong',
            why: `output ${i} is ${type.dtype}[${type.shape}], expected ${want.type.dtype}[${want.type.shape}]`,
          }
        const why = differs(outputs[i], want)
        if (why) return { kind: 'wrong', why: `output ${i} ${why}` }
      }
    } catch (error) {
      // An operator that stumbles is reported as a fault of the file; on a conformance case it is ours.
      const ours = error instanceof ModelError && error.hint === NOT_UNDERSTOOD
      if (error instanceof ModelError) return { kind: ours ? 'wrong' : 'refused', why: error.message }
      return {
        kind: 'wrong',
        why: error instanceof Error ? `${error.stack}`.split('\n').slice(0, 4).join(' ') : `${error}`,
      }
    }
  }
  return { kind: 'pass' }
}
