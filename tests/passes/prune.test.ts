import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import { inputsOf } from '../../src/ir/graph.ts'
import { verify } from '../../src/ir/verify.ts'
import { prune } from '../../src/passes/prune.ts'
import { reference } from '../../src/run/reference.ts'
import { accumulate, halve, i32, mix, randomGraph, randomInputs } from '../support/toy_ops.ts'

describe('prune', () => {
  test('drops what nobody reads, with all that led to it', () => {
    const build = new Builder()
    const x = build.input('x', i32(4))
    const y = build.one(mix, [x], { bias: 1 }, { from: 'kept' })
    build.one(mix, [build.one(mix, [y], { bias: 2 })], { bias: 3 })
    expect(prune(build.graph([y])).nodes.map((n) => n.from)).toEqual(['kept'])
  })

  test('keeps a node of which one output is read, and the writers of state', () => {
    const build = new Builder()
    const x = build.input('x', i32(4))
    const s = build.state('s', i32(4), new Int32Array(4))
    const [a] = build.add(halve, [x], {})
    build.add(accumulate, [s, build.one(mix, [x], { bias: 1 })], {})
    const graph = build.graph([a])
    expect(prune(graph)).toBe(graph)
  })

  test('keeps the reference output, and leaves nothing more to drop', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 30 }), (seed) => {
        const graph = randomGraph(seed, { nodes: 20, state: true })
        const less = verify(prune(graph))
        const read = new Set([...less.outputs, ...less.nodes.flatMap(inputsOf)])
        for (const n of less.nodes) expect(n.op.writesState || n.outputs.some((v) => read.has(v))).toBe(true)
        const inputs = randomInputs(graph, seed)
        const [a, b] = [reference(graph), reference(less)]
        expect(b.run(inputs)).toEqual(a.run(inputs))
        expect(b.run(inputs)).toEqual(a.run(inputs))
      }),
    )
  })
})
