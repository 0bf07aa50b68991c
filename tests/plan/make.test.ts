import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InputError } from '../../src/errors.ts'
import { Builder } from '../../src/ir/build.ts'
import { bytesOf, type Graph, type Value } from '../../src/ir/graph.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { lifetimes } from '../../src/ir/live.ts'
import { inPlace } from '../../src/passes/in_place.ts'
import { reorder } from '../../src/passes/reorder.ts'
import { makePlan } from '../../src/plan/make.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import type { Target } from '../../src/targets/target.ts'
import {
  accumulate,
  cat,
  flip,
  grow,
  head,
  i32,
  mix,
  randomGraph,
  randomInputs,
  reshape,
  scale,
  TARGET,
} from '../support/toy_ops.ts'

const seeds = fc.integer({ min: 1, max: 2 ** 30 })
const optimised = (graph: Graph) => inPlace(reorder(graph))

/** No two values of different buffers that are live together overlap, and all lie within the arena. */
function expectApart(plan: Plan): void {
  const lives = lifetimes(plan.graph)
  for (const a of lives)
    for (const v of a.values) {
      const p = plan.places.get(v)!
      expect(p.offset + p.bytes).toBeLessThanOrEqual(plan.arenaBytes)
      for (const b of lives) {
        if (a === b || a.spans.length > 1 || b.spans.length > 1 || a.last < b.first || b.last < a.first) continue
        for (const w of b.values) {
          const q = plan.places.get(w)!
          expect(p.offset + p.bytes <= q.offset || q.offset + q.bytes <= p.offset || p.bytes * q.bytes === 0).toBe(true)
        }
      }
    }
}

describe('makePlan', () => {
  test('gives plans that compute what the reference computes, on an arena full of rubbish', () => {
    fc.assert(
      fc.property(seeds, fc.boolean(), fc.constantFrom(1, 4, 16), (seed, better, align) => {
        const graph = randomGraph(seed, { nodes: 14, state: true })
        const plan = makePlan(better ? optimised(graph) : graph, { ...TARGET, align })
        const [a, b] = [reference(graph), runPlan(plan, 0xa5)]
        for (let run = 0; run < 3; run++) {
          const inputs = randomInputs(graph, seed + run)
          expect(b.run(inputs)).toEqual(a.run(inputs))
        }
        a.reset()
        b.reset()
        const inputs = randomInputs(graph, seed)
        expect(b.run(inputs)).toEqual(a.run(inputs))
      }),
    )
  })

  test('traces every tensor as the reference does, those in place too', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const graph = optimised(randomGraph(seed, { nodes: 12 }))
        const inputs = randomInputs(graph, seed)
        expect(runPlan(makePlan(graph, TARGET)).trace(inputs)).toEqual(reference(graph).trace(inputs))
      }),
    )
  })

  test('keeps live buffers apart, aligned, and the arena at least the lower bound', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(4, 16), (seed, align) => {
        const plan = makePlan(optimised(randomGraph(seed, { nodes: 20, state: true })), { ...TARGET, align })
        expectApart(plan)
        for (const p of plan.places.values()) expect(p.offset % align).toBe(0)
        for (const e of plan.weights.entries) expect(e.offset % align).toBe(0)
        expect(plan.arenaBytes).toBeGreaterThanOrEqual(plan.lowerBoundBytes)
        for (const l of plan.layers) expect(l.liveBytes).toBeLessThanOrEqual(plan.lowerBoundBytes)
        expect(plan.layers).toHaveLength(plan.graph.nodes.length)
        expect(plan.macs).toBe(plan.layers.reduce((n, l) => n + l.macs, 0))
      }),
    )
  })

  test('meets the lower bound on chains', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 12 }), (times) => {
        const build = new Builder()
        let x: Value = build.input('x', i32(4))
        for (const t of times) x = build.one(head, [build.one(grow, [x], { times: t })], { n: 4 })
        const plan = makePlan(optimised(build.graph([x])), TARGET)
        expect(plan.arenaBytes).toBe(plan.lowerBoundBytes)
      }),
    )
  })

  test('drops a reshape in place, keeps one that must copy, and stores no shape', () => {
    const build = new Builder()
    const x = build.input('x', i32(6))
    const shape = build.const('shape', i32(2), Int32Array.of(2, 3))
    const a = build.one(reshape, [x, shape], {}, { types: [i32(2, 3)], from: 'first' })
    const b = build.one(reshape, [a, shape], {}, { types: [i32(3, 2)], from: 'second' })
    const plan = makePlan(inPlace(build.graph([a, b])), TARGET)
    expect(plan.steps.map((s) => s.node.from)).toEqual(['second'])
    expect(plan.layers.map((l) => l.recipe)).toEqual(['none', 'plain'])
    expect(plan.weightBytes).toBe(0)
    expect(plan.places.has(shape)).toBe(false)
    const inputs = [Int32Array.of(1, 2, 3, 4, 5, 6)]
    expect(runPlan(plan).run(inputs)).toEqual([inputs[0], inputs[0]])
  })

  test('a step in place that changes elements is not dropped', () => {
    const build = new Builder()
    const x = build.input('x', i32(6))
    const plan = makePlan(inPlace(build.graph([build.one(head, [x], { n: 6 })])), TARGET)
    expect(plan.steps).toHaveLength(1)
  })

  test('stores each constant once, aligned, state after what steps read, and equal constants apart', () => {
    const build = new Builder()
    const x = build.input('x', i32(3))
    const data = Int32Array.of(2, 3, 5)
    const [a, b] = [build.const('a', i32(3), data.slice()), build.const('b', i32(3), data)]
    const s = build.state('s', i32(3), Int32Array.of(7, 7, 7))
    const y = build.one(scale, [build.one(scale, [x, a], {}, { from: 'one' }), b], {}, { from: 'two' })
    build.add(accumulate, [s, y], {})
    const plan = makePlan(build.graph([build.one(mix, [y, s], { bias: 0 })]), { ...TARGET, align: 16 })
    expect(plan.weights.entries).toEqual([
      { name: 'a', elem: 'i32', length: 3, offset: 0 },
      { name: 'one/d', elem: 'i32', length: 3, offset: 16 },
      { name: 'b', elem: 'i32', length: 3, offset: 32 },
      { name: 'two/d', elem: 'i32', length: 3, offset: 48 },
      { name: 's', elem: 'i32', length: 1, offset: 64 },
    ])
    expect(plan.weightBytes).toBe(68)
    expect([...new Int32Array(plan.weights.bytes.buffer, 0, 3)]).toEqual([2, 3, 5])
    expect(plan.places.get(a)).not.toEqual(plan.places.get(b))
    expect(plan.layers.map((l) => l.weightBytes)).toEqual([24, 24, 0, 0])
    expect(plan.state).toEqual([
      {
        value: s,
        place: { segment: 'arena', offset: 0, bytes: 12 },
        initial: { segment: 'weights', offset: 64, bytes: 4 },
      },
    ])
    expect(plan.weights.hash).toBe(fingerprint(plan.weights.bytes))
  })

  test('other weights of the same layout have the same layout id and another hash', () => {
    const planOf = (w: number[], name = 'w') => {
      const build = new Builder()
      const x = build.input('x', i32(2))
      return makePlan(build.graph([build.one(scale, [x, build.const(name, i32(2), Int32Array.from(w))], {})]), TARGET)
    }
    const [a, b, c] = [planOf([2, 3]), planOf([4, 5]), planOf([2, 3], 'other')]
    expect(a.weights.layoutId).toBe(b.weights.layoutId)
    expect(a.weights.hash).not.toBe(b.weights.hash)
    expect(a.weights.layoutId).not.toBe(c.weights.layoutId)
    expect(a.weights.layoutId).toMatch(/^[0-9a-f]{8}$/)
  })

  test('counts scratch while its step runs, and no longer', () => {
    const build = new Builder()
    const x = build.input('x', i32(8))
    const y = build.one(flip, [x], {}, { from: 'flip' })
    const plan = makePlan(build.graph([build.one(grow, [y], { times: 2 }, { from: 'grow' })]), TARGET)
    expect(plan.layers.map((l) => l.liveBytes)).toEqual([96, 96])
    expect(plan.arenaBytes).toBe(96)
    expect(plan.steps[0].places.map((p) => p.bytes)).toEqual([32, 32, 32])
  })

  test('uses the recipe of the target, scratch and all', () => {
    const build = new Builder()
    const x = build.input('x', i32(8))
    const graph = build.graph([build.one(cat, [build.one(grow, [x], { times: 2 }), x], {})])
    const twice: Target = {
      ...TARGET,
      recipes: [
        {
          name: 'with scratch',
          apply: ({ kernel, args }) =>
            kernel.name === 'grow'
              ? {
                  kernel: {
                    ...kernel,
                    bufs: [...kernel.bufs, { name: 's', elem: 'i32', shape: [5], access: 'scratch' }],
                  },
                  args: [...args, { scratch: true }],
                }
              : undefined,
        },
      ],
    }
    const plan = makePlan(graph, twice)
    expect(plan.layers.map((l) => l.recipe)).toEqual(['with scratch', 'plain'])
    expect(plan.layers[0].liveBytes).toBe(32 + 64 + 20)
    expect(plan.steps[0].places[2].bytes).toBe(20)
    const inputs = randomInputs(graph, 1)
    expect(runPlan(plan).run(inputs)).toEqual(reference(graph).run(inputs))
  })

  test('outputs may be inputs, constants and state', () => {
    const build = new Builder()
    const x = build.input('x', i32(2))
    const c = build.const('c', i32(2), Int32Array.of(8, 9))
    const s = build.state('s', i32(2), Int32Array.of(1, 1))
    build.add(accumulate, [s, x], {})
    const graph = build.graph([x, c, s])
    const [a, b] = [reference(graph), runPlan(makePlan(graph, TARGET))]
    const inputs = [Int32Array.of(5, 6)]
    expect(b.run(inputs)).toEqual([inputs[0], Int32Array.of(8, 9), Int32Array.of(6, 7)])
    expect(a.run(inputs)).toEqual([inputs[0], Int32Array.of(8, 9), Int32Array.of(6, 7)])
  })

  test('runners refuse inputs of another number, type or size', () => {
    const build = new Builder()
    const graph = build.graph([build.one(mix, [build.input('x', i32(2))], { bias: 0 })])
    for (const model of [reference(graph), runPlan(makePlan(graph, TARGET))]) {
      expect(() => model.run([])).toThrow(InputError)
      expect(() => model.run([new Int8Array(2)])).toThrow('input "x": takes i32 elements, got i8')
      expect(() => model.run([new Int32Array(3)])).toThrow('input "x": has shape [2], that is 2 elements, got 3')
    }
    expect(bytesOf(graph.inputs[0].type)).toBe(8)
  })
})
