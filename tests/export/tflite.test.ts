import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readTflite } from '../../src/import/tflite.ts'
import { initialState } from '../../src/import/tflite_tables.ts'
import { Builder } from '../../src/ir/build.ts'
import { type Graph, quantOf, type TensorType } from '../../src/ir/graph.ts'
import type { Attrs, AttrValue } from '../../src/ir/op.ts'
import { printGraph } from '../../src/ir/print.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { f32, i8, type OpCase, opCase } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { hybridConv2d } from '../../src/ops/hybrid/op.ts'
import { OPS } from '../../src/ops/index.ts'
import { DEFAULTS, lstm } from '../../src/ops/recurrent/op.ts'
import { assign } from '../../src/ops/state/op.ts'
import { reference } from '../../src/run/reference.ts'
import { randomGraph } from '../support/random_graph.ts'

const modules = import.meta.glob<{ cases: readonly OpCase[] }>('../../src/ops/*/cases.ts', { eager: true })
const cases = [
  ...Object.values(modules).flatMap((m) => m.cases),
  lasting('lstm f32 between runs', false),
  lasting('lstm int8 between runs', true),
]

function sorted(value: AttrValue): AttrValue {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(sorted)
  const entries = Object.entries(value).filter(([, v]) => v !== undefined)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]))
}

/** The printed graph, attributes in alphabetical order, inferred dimensions as what they are, no absent last input. */
function printed(graph: Graph): string {
  const nodes = graph.nodes.map((n) => {
    const inferred = Array.isArray(n.attrs.shape) && n.attrs.shape.includes(-1)
    const inputs = n.inputs.at(-1) ? n.inputs : n.inputs.slice(0, -1)
    return { ...n, inputs, attrs: sorted(inferred ? { ...n.attrs, shape: n.outputs[0].type.shape } : n.attrs) as Attrs }
  })
  return printGraph({ ...graph, nodes })
}

/** Outputs of three runs one after another. */
function outputsOf(graph: Graph) {
  const random = new Xorshift32(7)
  const model = reference(graph)
  return [1, 2, 3].map(() => model.run(graph.inputs.map((v) => random.fill(v.type))))
}

/** Whether the file has an operator for every node, and reading names nothing anew: hybrid layers and LSTMs name their parts. */
function sameNodes(a: Graph, b: Graph): boolean {
  const names = (g: Graph) => g.nodes.map((n) => n.op.name).join()
  return names(a) === names(b) && !a.nodes.some((n) => n.op === hybridConv2d || n.op === lstm)
}

/** An LSTM that goes on where its last run ended. */
function lasting(name: string, quantised: boolean): OpCase {
  return opCase(name, (b) => {
    const q = (scale: number, zero: number) => (quantised ? { quant: quantOf(scale, zero) } : {})
    const dtype = quantised ? 'i8' : 'f32'
    const gates = quantised
      ? { quant: { scale: Float64Array.of(0.25, 0.5, 0.125, 0.0625), zero: new Int32Array(4), axis: 1 } }
      : {}
    const random = new Xorshift32(3)
    const constant = (label: string, type: TensorType) => b.const(label, type, random.fill(type))
    const state = (label: string, type: TensorType) => b.state(label, type, initialState(type))
    const h = state('h', { dtype, shape: [2, 5], ...q(0.01, 3) })
    const c = state('c', { dtype: quantised ? 'i16' : 'f32', shape: [2, 5], ...q(2 ** -11, 0) })
    const x = b.input('x', { dtype, shape: [2, 4, 3], ...q(0.05, -2) })
    const w = constant('w', { dtype, shape: [1, 4, 5, 3], ...gates })
    const r = constant('r', { dtype, shape: [1, 4, 5, 5], ...gates })
    const attrs = {
      direction: 'forward',
      activations: DEFAULTS.lstm,
      batchFirst: true,
      linearBeforeReset: false,
      cellClip: 0.5,
    } as const
    const all = b.add(lstm, [x, w, r, undefined, h, c], attrs, {
      types: [{ ...h.type, shape: [2, 4, 5] }, h.type, c.type],
    })
    b.add(assign, [h, all[1]], {})
    b.add(assign, [c, all[2]], {})
    return all[0]
  })
}

/** The graph read back from its file, or the reason why TensorFlow Lite cannot hold it. */
function throughFile(graph: Graph): Graph | ModelError {
  let bytes: Uint8Array
  try {
    bytes = writeTflite(graph)
  } catch (e) {
    if (e instanceof ModelError) return e
    throw e
  }
  return readTflite(bytes)
}

describe('a graph read back from its .tflite file', () => {
  const written = new Set<string>()

  it.each(cases.map((c) => [c.name, c] as const))('is the same graph with the same outputs: %s', (_, c) => {
    const graph = c.graph()
    const back = throughFile(graph)
    if (back instanceof ModelError) {
      const layers = [...graph.nodes.map((n) => n.from), ...graph.nodes.flatMap((n) => n.inputs.map((v) => v?.name))]
      expect(layers.some((name) => back.where.includes(`"${name}"`))).toBe(true)
      expect(back.hint).toBeTruthy()
      return
    }
    for (const node of graph.nodes) written.add(node.op.name)
    if (sameNodes(graph, back)) expect(printed(back)).toBe(printed(graph))
    else expect(printed(throughFile(back) as Graph)).toBe(printed(back))
    expect(outputsOf(back)).toEqual(outputsOf(graph))
  })

  it('computes the same where the graph is a random one, unless that clamps to limits that no activation has', () => {
    let same = 0
    for (let seed = 1; seed <= 40; seed++) {
      const graph = randomGraph(seed)
      const back = throughFile(graph)
      if (back instanceof ModelError) expect(back.message).toMatch(/no operator for .*(= clamp\(|clamp: \{m)/)
      else {
        expect(outputsOf(back), `seed ${seed}`).toEqual(outputsOf(graph))
        same++
      }
    }
    expect(same).toBeGreaterThan(10)
  })

  it('was written for every operator that has cases and a way to be written', () => {
    const writable = [...OPS.values()].filter((op) => op.spelled.tflite?.some((s) => s.write))
    const tried = new Set(cases.flatMap((c) => c.graph().nodes.map((n) => n.op.name)))
    expect(writable.map((op) => op.name).filter((name) => tried.has(name) && !written.has(name))).toEqual([])
  })
})

const POINTWISE = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {} }

function twoBranches(): Graph {
  const c = opCase('two branches', (b) => {
    const x = b.input('x', i8([1, 4, 4, 8], 0.05, -3))
    const w = b.weights('w', [8, 1, 1, 8], 0.01, 0)
    const y = b.one(conv2d, [x, w, b.bias('b', 8)], POINTWISE, { quant: quantOf(0.1, 4), names: ['y'] })
    const z = b.one(conv2d, [y, w, undefined], POINTWISE, { quant: quantOf(0.2, -1), names: ['z'] })
    return [z, x, y, w]
  })
  return c.graph()
}

describe('writeTflite', () => {
  it('keeps several outputs, an output that is an input, one that is constant, and an absent input', () => {
    const graph = twoBranches()
    const back = readTflite(writeTflite(graph))
    expect(printed(back)).toBe(printed(graph))
    expect(back.outputs[1]).toBe(back.inputs[0])
    expect(back.outputs[3].storage).toBe('const')
    expect(back.nodes[1].inputs[2]).toBeUndefined()
  })

  it('keeps the scales of every channel bit for bit', () => {
    const graph = twoBranches()
    const back = readTflite(writeTflite(graph))
    expect(back.nodes[0].inputs[1]!.type.quant).toEqual(graph.nodes[0].inputs[1]!.type.quant)
  })

  it('writes the data of a value once, at a multiple of 16 bytes', () => {
    const graph = twoBranches()
    const bytes = writeTflite(graph)
    const weights = graph.nodes[0].inputs[1]!.data as Int8Array
    const at = Array.from({ length: bytes.length - weights.length }, (_, i) => i).filter((i) =>
      weights.every((w, k) => bytes[i + k] === (w & 255)),
    )
    expect(at.length).toBe(1)
    expect(at[0] % 16).toBe(0)
  })

  it('is the same file each time', () => {
    expect(writeTflite(twoBranches())).toEqual(writeTflite(twoBranches()))
  })

  it('names the layer that TensorFlow Lite cannot express', () => {
    const b = new Builder()
    const x = b.input('x', f32([1, 4, 4, 1]))
    const w = b.const('w', f32([1, 1, 1, 1]), Float32Array.of(1))
    const y = b.one(conv2d, [x, w], { ...POINTWISE, clamp: { min: -3 } }, { names: ['odd'], from: 'odd' })
    expect(() => writeTflite(b.graph([y]))).toThrow(/^conv2d "odd": TensorFlow Lite has no operator for odd = conv2d/)
  })
})
