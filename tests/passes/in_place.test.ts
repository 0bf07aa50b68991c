import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import { peak } from '../../src/ir/live.ts'
import { verify } from '../../src/ir/verify.ts'
import { inPlace } from '../../src/passes/in_place.ts'
import { makePlan } from '../../src/plan/make.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { cat, grow, halve, i32, mix, narrow, randomGraph, randomInputs, TARGET } from '../support/toy_ops.ts'

const seeds = fc.integer({ min: 1, max: 2 ** 30 })

describe('inPlace', () => {
  test('gives graphs that verify, with the same outputs when buffers are shared', () => {
    let shared = 0
    fc.assert(
      fc.property(seeds, fc.boolean(), (seed, state) => {
        const graph = randomGraph(seed, { nodes: 14, state })
        const better = verify(inPlace(graph))
        shared += better.nodes.filter((n) => n.inPlace !== undefined).length
        const inputs = randomInputs(graph, seed)
        expect(runPlan(makePlan(better, TARGET)).run(inputs)).toEqual(reference(graph).run(inputs))
      }),
    )
    expect(shared).toBeGreaterThan(100)
  })

  test('never raises peak memory', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const graph = randomGraph(seed, { nodes: 25 })
        expect(peak(inPlace(graph)).bytes).toBeLessThanOrEqual(peak(graph).bytes)
      }),
    )
  })

  test('takes over a graph input and chains on', () => {
    const build = new Builder()
    const x = build.input('x', i32(8))
    const y = build.one(mix, [x], { bias: 1 })
    const graph = inPlace(build.graph([build.one(mix, [y, y], { bias: 2 })]))
    expect(graph.nodes.map((n) => n.inPlace)).toEqual([0, 0])
    expect(peak(graph).bytes).toBe(32)
  })

  test('takes the first input that dies', () => {
    const build = new Builder()
    const x = build.input('x', i32(8))
    const y = build.one(mix, [x], { bias: 1 })
    const z = build.one(mix, [x, y], { bias: 2 })
    const graph = inPlace(build.graph([build.one(mix, [x, z], { bias: 3 })]))
    expect(graph.nodes.map((n) => n.inPlace)).toEqual([undefined, 1, 0])
  })

  test('takes a larger buffer only where the peak asks for it', () => {
    const atPeak = new Builder()
    const small = atPeak.one(narrow, [atPeak.input('x', i32(8))], {})
    const alone = inPlace(atPeak.graph([small]))
    expect(alone.nodes[0].inPlace).toBe(0)
    expect(peak(alone).bytes).toBe(32)

    const below = new Builder()
    const wide = below.one(grow, [below.input('x', i32(8))], { times: 3 })
    const [a] = below.add(halve, [wide], {})
    const graph = inPlace(below.graph([below.one(narrow, [a], {})]))
    expect(graph.nodes[2].inPlace).toBeUndefined()
    expect(peak(graph).bytes).toBe(4 * (24 + 24))
  })

  test('leaves graph outputs, state, constants and smaller inputs alone', () => {
    const build = new Builder()
    const x = build.input('x', i32(4))
    const s = build.state('s', i32(4), new Int32Array(4))
    const c = build.const('c', i32(4), new Int32Array(4))
    const y = build.one(mix, [s, c], { bias: 0 })
    const z = build.one(mix, [y], { bias: 1 })
    const wider = build.one({ ...grow, inPlace: () => [0] }, [x], { times: 2 })
    const graph = inPlace(build.graph([y, z, wider]))
    expect(graph.nodes.map((n) => n.inPlace)).toEqual([undefined, undefined, undefined])
  })

  test('refuses a value that also stands where the operator reads it late', () => {
    const build = new Builder()
    const x = build.input('x', i32(4))
    const lateSecond = { ...mix, inPlace: () => [0] }
    const graph = inPlace(build.graph([build.one(lateSecond, [x, x], { bias: 0 })]))
    expect(graph.nodes[0].inPlace).toBeUndefined()
  })

  test('forgets a choice that is no longer legal', () => {
    const build = new Builder()
    const x = build.input('x', i32(4))
    const y = build.one(mix, [x], { bias: 0 })
    const graph = build.graph([build.one(cat, [x, y], {})])
    const stale = { ...graph, nodes: graph.nodes.map((n, i) => (i === 0 ? { ...n, inPlace: 0 } : n)) }
    expect(inPlace(stale).nodes[0].inPlace).toBeUndefined()
  })
})
