import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeOnnx } from '../../src/export/onnx.ts'
import { readOnnx } from '../../src/import/onnx.ts'
import { decodeModel } from '../../src/import/onnx_schema.ts'
import { Builder } from '../../src/ir/build.ts'
import { type Graph, quantOf } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { add } from '../../src/ops/binary/op.ts'
import type { OpCase } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { gelu, swish } from '../../src/ops/unary/op.ts'
import { reference } from '../../src/run/reference.ts'
import { randomGraph } from '../support/random_graph.ts'

const modules = import.meta.glob<{ cases: readonly OpCase[] }>('../../src/ops/*/cases.ts', { eager: true })
const cases = Object.values(modules)
  .flatMap((m) => m.cases)
  .map((c) => ({ name: c.name, graph: c.graph() }))

function outputsOf(graph: Graph) {
  const random = new Xorshift32(7)
  const model = reference(graph)
  return [1, 2, 3].map(() => model.run(graph.inputs.map((v) => random.fill(v.type))))
}

/** The file, or undefined where the graph is refused by an error of ours. */
function written(graph: Graph): Uint8Array | undefined {
  try {
    return writeOnnx(graph)
  } catch (error) {
    if (error instanceof ModelError) return undefined
    throw error
  }
}

function sum(limits: { min?: number }): Graph {
  const b = new Builder('sum')
  const [x, y] = ['x', 'y'].map((name) => b.input(name, { dtype: 'f32', shape: [2, 3] }))
  return b.graph([b.one(add, [x, y], { clamp: limits }, { names: ['z'], from: 'total' })])
}

describe('the .onnx writer', () => {
  it('writes every case of an operator so that reading gives the same bits, or refuses it', () => {
    const exported = new Set<string>()
    for (const c of cases) {
      const file = written(c.graph)
      if (!file) continue
      expect(outputsOf(readOnnx(file)), c.name).toEqual(outputsOf(c.graph))
      for (const node of c.graph.nodes) exported.add(node.op.name)
    }
    expect([...exported].sort()).toEqual(
      expect.arrayContaining(['add', 'conv2d', 'depthwise_conv2d', 'fully_connected']),
    )
  })

  it('writes random graphs so that reading gives the same bits, where ONNX has their arithmetic', () => {
    let same = 0
    for (let seed = 1; seed <= 150; seed++) {
      const graph = randomGraph(seed)
      const file = written(graph)
      if (!file) continue
      expect(outputsOf(readOnnx(file)), `seed ${seed}`).toEqual(outputsOf(graph))
      same++
    }
    expect(same).toBeGreaterThan(20)
  })

  it('writes images as they are where transpositions cancel', () => {
    const b = new Builder('net')
    const x = b.input('x', { dtype: 'f32', shape: [1, 6, 6, 2] })
    const w = b.const('w', { dtype: 'f32', shape: [2, 3, 3, 2] }, new Float32Array(36).fill(0.5))
    const attrs = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: { min: 0 } }
    const y = b.one(conv2d, [b.one(conv2d, [x, w], attrs), w], attrs, { names: ['y'] })
    const types = decodeModel(writeOnnx(b.graph([y]))).graph!.nodes.map((n) => n.opType)
    expect(types).toEqual(['Transpose', 'Conv', 'Clip', 'Conv', 'Clip', 'Transpose'])
  })

  it('asks for the first operator set that has what it writes', () => {
    const opset = (op: typeof swish) => {
      const b = new Builder('net')
      const x = b.input('x', { dtype: 'f32', shape: [2] })
      return decodeModel(writeOnnx(b.graph([b.one(op, [x], op === swish ? { alpha: 1 } : {})]))).opsets[0].version
    }
    expect([opset(gelu), opset(swish)]).toEqual([20n, 24n])
  })

  it('writes the limits of a sum as a node of its own, under names that are all different', () => {
    const { nodes } = decodeModel(writeOnnx(sum({ min: 0 }))).graph!
    expect(nodes.map((n) => n.opType)).toEqual(['Add', 'Clip'])
    expect(new Set(nodes.map((n) => n.name)).size).toBe(2)
    expect(outputsOf(readOnnx(writeOnnx(sum({ min: 0 }))))).toEqual(outputsOf(sum({ min: 0 })))
  })

  it('refuses the integer arithmetic of .tflite by an error that names the layer', () => {
    const b = new Builder('net')
    const x = b.input('x', { dtype: 'i8', shape: [4], quant: quantOf(0.5, 3) })
    const graph = b.graph([b.one(add, [x, x], { clamp: {} }, { names: ['y'], from: 'total', quant: quantOf(0.25, 3) })])
    expect(() => writeOnnx(graph)).toThrow(ModelError)
    expect(() => writeOnnx(graph)).toThrow(/total.*integer arithmetic/)
  })
})
