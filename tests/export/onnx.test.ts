import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeOnnx } from '../../src/export/onnx.ts'
import { readOnnx } from '../../src/import/onnx.ts'
import { decodeModel } from '../../src/import/onnx_schema.ts'
import { Builder } from '../../src/ir/build.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { add } from '../../src/ops/binary/op.ts'
import type { OpCase } from '../../src/ops/case.ts'
import { reference } from '../../src/run/reference.ts'

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

  it('writes the limits of a sum as a node of its own, under names that are all different', () => {
    const { nodes } = decodeModel(writeOnnx(sum({ min: 0 }))).graph!
    expect(nodes.map((n) => n.opType)).toEqual(['Add', 'Clip'])
    expect(new Set(nodes.map((n) => n.name)).size).toBe(2)
    expect(outputsOf(readOnnx(writeOnnx(sum({ min: 0 }))))).toEqual(outputsOf(sum({ min: 0 })))
  })

  it('refuses tensors with scales by an error that names the layer', () => {
    const quantised = cases.find((c) => c.graph.nodes.some((n) => n.outputs.some((v) => v.type.quant)))!
    expect(() => writeOnnx(quantised.graph)).toThrow(ModelError)
    expect(() => writeOnnx(quantised.graph)).toThrow(/scales of/)
  })
})
