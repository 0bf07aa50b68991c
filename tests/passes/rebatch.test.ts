import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { add, matmul, reshape, slice, softmax, sum } from '../../src/ops/all.ts'
import { CaseBuilder, f32 } from '../../src/ops/case.ts'
import { rebatch } from '../../src/passes/rebatch.ts'
import { reference } from '../../src/run/reference.ts'
import { separable } from '../support/nets.ts'
import { net } from '../train/pictures.ts'

type Data = Float32Array | Int8Array

/** The outputs of images one by one, side by side. */
function oneByOne(graph: Graph, images: readonly Data[]): number[][] {
  const model = reference(graph)
  const all = images.map((image) => model.run([image]).map((y) => Array.from(y as Data)))
  return all[0].map((_, i) => all.flatMap((outputs) => outputs[i]))
}

describe('a model for several images at once', () => {
  test.each<[string, () => Graph]>([
    ['int8 net', separable],
    ['float32 net', net],
    [
      'net that cuts and reshapes',
      () => {
        const b = new CaseBuilder('cut')
        const x = b.input('x', f32([1, 4, 6]))
        const part = b.one(slice, [x], { begin: [0, 1, 0], size: [1, 2, 6], step: [1, 1, 1] })
        const rows = b.one(reshape, [part], { shape: [2, 6] })
        const y = b.one(matmul, [rows, b.floats('w', [6, 3])], { transA: false, transB: false })
        const back = b.one(reshape, [b.one(add, [y, b.floats('b', [3])], { clamp: {} })], { shape: [1, -1] })
        return b.graph([b.one(softmax, [back], { beta: 1 })])
      },
    ],
  ])('%s: gives what it gives one by one', (_, of) => {
    const graph = of()
    const batch = rebatch(graph, 3)
    expect(batch.inputs[0].type.shape).toEqual([3, ...graph.inputs[0].type.shape.slice(1)])
    const random = new Xorshift32(4)
    const images = Array.from({ length: 3 }, () => random.fill(graph.inputs[0].type) as Data)
    const all = random.fill(batch.inputs[0].type) as Data
    images.forEach((image, i) => {
      all.set(image, i * image.length)
    })
    const outputs = reference(batch)
      .run([all])
      .map((y) => Array.from(y as Data))
    expect(outputs).toEqual(oneByOne(graph, images))
  })

  test('is the same where the number stays', () => {
    const graph = net(2)
    expect(rebatch(graph, 2)).toBe(graph)
  })

  test('says which layer mixes images, and what is no number of images', () => {
    const b = new CaseBuilder('mixed')
    const x = b.input('x', f32([1, 4]))
    const graph = b.graph([b.one(sum, [x], { axes: [0], keepDims: false }, { from: 'over images' })])
    expect(() => rebatch(graph, 2)).toThrow(/sum "over images": makes \[4\] of 2 images, expected \[8\]/)
    expect(() => rebatch(net(), 1.5)).toThrow(/batch: is 1.5, "net" takes 1 images at once/)
    expect(() => rebatch(net(2), 3)).toThrow(/batch: is 3, "net" takes 2/)
  })
})
