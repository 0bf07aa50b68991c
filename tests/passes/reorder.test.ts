import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { peak } from '../../src/ir/live.ts'
import { verify } from '../../src/ir/verify.ts'
import { inPlace } from '../../src/passes/in_place.ts'
import { reorder, reorderWith } from '../../src/passes/reorder.ts'
import { reference } from '../../src/run/reference.ts'
import { isOrderOf, ordersOf } from '../support/orders.ts'
import { accumulate, cat, grow, head, i32, mix, randomGraph, randomInputs } from '../support/toy_ops.ts'

const seeds = fc.integer({ min: 1, max: 2 ** 30 })
const placed = (graph: Graph) => peak(inPlace(graph)).bytes

describe('reorder', () => {
  test('never raises peak memory', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 40 }), fc.boolean(), (seed, nodes, state) => {
        const graph = randomGraph(seed, { nodes, state })
        expect(placed(reorder(graph))).toBeLessThanOrEqual(placed(graph))
        const plain = randomGraph(seed, { nodes, state, inPlace: false })
        expect(peak(reorder(plain)).bytes).toBeLessThanOrEqual(peak(plain).bytes)
      }),
      { numRuns: 60 },
    )
  })

  test('never raises the peak of a graph that is in place already', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const graph = inPlace(randomGraph(seed, { nodes: 20 }))
        expect(peak(verify(reorder(graph))).bytes).toBeLessThanOrEqual(peak(graph).bytes)
      }),
    )
  })

  test('finds the least peak of all orders', () => {
    let improved = 0
    fc.assert(
      fc.property(seeds, fc.boolean(), fc.boolean(), (seed, state, takesOver) => {
        const graph = randomGraph(seed, { nodes: 7, state, inPlace: takesOver })
        fc.pre(graph.nodes.length <= 8)
        let least = Number.POSITIVE_INFINITY
        for (const order of ordersOf(graph)) least = Math.min(least, placed(order))
        expect(placed(reorder(graph))).toBe(least)
        if (least < placed(graph)) improved++
      }),
      { numRuns: 200, seed: 7 },
    )
    expect(improved).toBeGreaterThan(10)
  })

  test('counts working space', () => {
    const scratch = (node: { from: string }) => (node.from === 'flip' ? 40 : 0)
    fc.assert(
      fc.property(seeds, (seed) => {
        const graph = randomGraph(seed, { nodes: 6, inPlace: false })
        let least = Number.POSITIVE_INFINITY
        for (const order of ordersOf(graph)) least = Math.min(least, peak(order, scratch).bytes)
        expect(peak(reorderWith(scratch)(graph), scratch).bytes).toBe(least)
      }),
      { numRuns: 60 },
    )
  })

  test('keeps the reference output, data order and state order', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const graph = randomGraph(seed, { nodes: 16, state: true })
        const better = verify(reorder(graph))
        expect(isOrderOf(graph, better.nodes)).toBe(true)
        const [a, b] = [reference(graph), reference(better)]
        for (let run = 0; run < 2; run++) {
          const inputs = randomInputs(graph, seed + run)
          expect(b.run(inputs)).toEqual(a.run(inputs))
        }
      }),
    )
  })

  test('keeps the given order where none is better', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const graph = randomGraph(seed, { nodes: 12 })
        const better = reorder(graph)
        expect(better === graph).toBe(placed(better) === placed(graph))
      }),
    )
  })

  test('runs the branch that leaves less behind first', () => {
    const build = new Builder()
    const x = build.input('x', i32(10))
    const wide = build.one(grow, [x], { times: 4 }, { names: ['wide'] })
    const small = build.one(head, [build.one(grow, [x], { times: 8 })], { n: 1 })
    const graph = build.graph([build.one(cat, [wide, small], {})])
    expect(peak(graph).bytes).toBe(4 * (10 + 40 + 80))
    expect(peak(reorder(graph)).bytes).toBe(4 * (10 + 80 + 1))
  })

  test('does not move a read of state across a write', () => {
    const build = new Builder()
    const x = build.input('x', i32(4))
    const s = build.state('s', i32(4), new Int32Array(4))
    const before = build.one(grow, [build.one(mix, [x, s], { bias: 0 })], { times: 8 })
    build.add(accumulate, [s, x], {})
    const after = build.one(head, [build.one(mix, [x, s], { bias: 0 })], { n: 1 })
    const graph = build.graph([build.one(cat, [before, after], {})])
    const better = reorder(graph)
    expect(isOrderOf(graph, better.nodes)).toBe(true)
    const inputs = randomInputs(graph, 3)
    expect(reference(better).run(inputs)).toEqual(reference(graph).run(inputs))
  })

  test('never raises peak memory when the exact search is cut short', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const graph = randomGraph(seed, { nodes: 30 })
        const better = verify(reorderWith(() => 0, 3)(graph))
        expect(placed(better)).toBeLessThanOrEqual(placed(graph))
      }),
    )
  })

  test('takes less than 200 ms for 160 nodes with residuals and branches in a bad order', () => {
    const build = new Builder()
    let x = build.input('x', i32(64))
    for (let k = 0; k < 18; k++) {
      const wide = [0, 1, 2].map((b) => build.one(grow, [x], { times: 2 + ((k + b) % 5) }))
      const branches = wide.map((w) => build.one(head, [w], { n: 64 }))
      x = build.one(mix, [...branches, x], { bias: k })
      x = build.one(head, [build.one(grow, [x], { times: 3 })], { n: 64 })
    }
    const graph = build.graph([x])
    expect(graph.nodes.length).toBe(162)
    const times = [1, 2, 3].map(() => {
      const began = performance.now()
      expect(placed(reorder(graph))).toBeLessThan(placed(graph) / 2)
      return performance.now() - began
    })
    expect(Math.min(...times)).toBeLessThan(200)
  })
})
