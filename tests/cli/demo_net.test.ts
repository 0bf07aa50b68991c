import { describe, expect, it } from 'vitest'
import { demoInputs, demoLabels, demoNet } from '../../src/cli/demo_net.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { verify } from '../../src/ir/verify.ts'
import { runPasses } from '../../src/passes/index.ts'
import { reference } from '../../src/run/reference.ts'

const inputs = demoInputs()

/** The label with the largest probability, and that probability. */
function answers(graph: Graph, pictures: readonly Int8Array[] = inputs.map((i) => i.data)) {
  const model = reference(graph)
  return pictures.map((data) => {
    const scores = Array.from(model.run([data])[0] as Int8Array, (q) => (q + 128) / 256)
    const best = scores.indexOf(Math.max(...scores))
    return { label: demoLabels[best], score: scores[best] }
  })
}

/** Every picture moved by (right, down) pixels, paper moving in. */
function moved(data: Int8Array, right: number, down: number): Int8Array {
  return data.map((_, i) => {
    const [x, y] = [(i % 8) - right, Math.floor(i / 8) - down]
    return x >= 0 && x < 8 && y >= 0 && y < 8 ? data[8 * y + x] : -128
  })
}

describe('the net of the demo', () => {
  it('is an int8 graph of nine layers that every invariant holds for', () => {
    const graph = verify(demoNet())
    expect(graph.nodes.length).toBe(9)
    for (const node of graph.nodes) for (const v of node.outputs) expect(v.type.dtype).toBe('i8')
    expect(graph.outputs[0].type.shape).toEqual([1, demoLabels.length])
  })

  it('names every picture as what was drawn, and is sure', () => {
    const found = answers(demoNet())
    for (const { score } of found) expect(score).toBeGreaterThan(0.6)
  })

  it('has at least two pictures of each shape, none drawn twice, each as its data says', () => {
    for (const label of demoLabels.slice(0, 4))
      expect(inputs.filter((i) => i.label === label).length).toBeGreaterThan(1)
    expect(new Set(inputs.map((i) => i.picture.join('\n'))).size).toBe(inputs.length)
    for (const { picture, data } of inputs) {
      const levels = picture.flatMap((row) => row.match(/../g)!.map((c) => ({ '██': 127, '▒▒': -1, '··': -128 })[c]))
      expect(levels).toEqual([...data])
    }
  })

  it('gives the same answer when a picture moves by a pixel, and finds nothing on empty paper', () => {
    for (const [right, down] of [
      [1, 0],
      [-1, 0],
      [0, 1],
      [0, -1],
    ]) {
      const found = answers(
        demoNet(),
        inputs.map((i) => moved(i.data, right, down)),
      )
      expect(found.map((a) => a.label)).toEqual(inputs.map((i) => i.label))
    }
    expect(answers(demoNet(), [new Int8Array(64).fill(-128)])[0].label).toBe('nothing')
  })

  it('answers the same from its own .tflite file and after the passes', () => {
    const graph = demoNet()
    expect(answers(readModel(writeTflite(graph)))).toEqual(answers(graph))
    expect(answers(runPasses(graph))).toEqual(answers(graph))
  })
})
