import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import { bytesOf, type Graph, inputsOf } from '../../src/ir/graph.ts'
import { lifetimes, liveBytes, peak } from '../../src/ir/live.ts'
import { inPlace } from '../../src/passes/in_place.ts'
import { cat, grow, i32, mix, narrow, randomGraph } from '../support/toy_ops.ts'

const table = (graph: Graph) =>
  lifetimes(graph).map((t) => [t.values.map((v) => v.name).join('>'), t.first, t.last, t.bytes])

/** Live bytes at each step, counted value by value: the definition. */
function counted(graph: Graph): number[] {
  const end = graph.nodes.length
  const moving = [...new Set([...graph.inputs, ...graph.nodes.flatMap((n) => n.outputs)])]
  return Array.from({ length: end + 2 }, (_, k) => {
    const step = k - 1
    const node = graph.nodes[step]
    const live = moving.filter((v) => {
      const born = graph.inputs.includes(v) ? -1 : graph.nodes.findIndex((n) => n.outputs.includes(v))
      const read = graph.nodes.findLastIndex((n) => inputsOf(n).includes(v))
      const dies = graph.outputs.includes(v) ? end : Math.max(born, read)
      return born <= step && step <= dies
    })
    const merged = node?.inPlace === undefined ? 0 : bytesOf(node.outputs[0].type)
    return live.reduce((sum, v) => sum + bytesOf(v.type), 0) - merged
  })
}

describe('lifetimes', () => {
  test('inputs live from before the first node to their last reader, outputs to the end', () => {
    const build = new Builder()
    const x = build.input('x', i32(2))
    const spare = build.input('spare', i32(3))
    const y = build.one(mix, [x], { bias: 0 }, { names: ['y'] })
    build.one(mix, [y], { bias: 0 }, { names: ['unread'] })
    const z = build.one(cat, [y, x], {}, { names: ['z'] })
    expect(table(build.graph([y, z]))).toEqual([
      ['x', -1, 2, 8],
      ['spare', -1, -1, 12],
      ['y', 0, 3, 8],
      ['unread', 1, 1, 8],
      ['z', 2, 3, 16],
    ])
    expect(spare.name).toBe('spare')
  })

  test('constants and state are not among them', () => {
    const build = new Builder()
    const s = build.state('s', i32(2), new Int32Array(2))
    const c = build.const('c', i32(2), new Int32Array(2))
    const graph = build.graph([build.one(mix, [s, c], { bias: 0 }, { names: ['y'] }), s])
    expect(table(graph)).toEqual([['y', 0, 1, 8]])
  })

  test('an output in place continues the buffer of its input, which may shrink', () => {
    const build = new Builder()
    const x = build.input('x', i32(4))
    const y = build.one(mix, [x], { bias: 0 }, { names: ['y'] })
    const z = build.one(narrow, [y], {}, { names: ['z'] })
    const graph = inPlace(build.graph([z]))
    expect(table(graph)).toEqual([['x>y>z', -1, 2, 16]])
    expect(lifetimes(graph)[0].spans).toEqual([
      { first: -1, from: 0, to: 16 },
      { first: 2, from: 0, to: 4 },
    ])
    expect(liveBytes(graph)).toEqual([16, 16, 16, 4])
  })
})

describe('peak', () => {
  test('names the node at which most is live, scratch included', () => {
    const build = new Builder()
    const x = build.input('x', i32(4))
    const wide = build.one(grow, [x], { times: 4 }, { from: 'wide' })
    const graph = build.graph([build.one(mix, [wide], { bias: 0 }, { from: 'last' })])
    expect(peak(graph)).toMatchObject({ bytes: 128, step: 1, node: { from: 'last' } })
    expect(peak(graph, (n) => (n.from === 'wide' ? 100 : 0))).toMatchObject({ bytes: 180, node: { from: 'wide' } })
  })

  test('of a graph without nodes is its inputs', () => {
    const build = new Builder()
    const x = build.input('x', i32(4))
    expect(peak(build.graph([x]))).toEqual({ bytes: 16, step: -1, node: undefined })
  })

  test('agrees with counting value by value', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 30 }), fc.boolean(), (seed, shared) => {
        const given = randomGraph(seed, { nodes: 15, state: true })
        const graph = shared ? inPlace(given) : given
        expect(liveBytes(graph)).toEqual(counted(graph))
      }),
    )
  })
})
