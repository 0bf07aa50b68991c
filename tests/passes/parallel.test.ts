import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { InputError, ModelError } from '../../src/errors.ts'
import type { Graph, Node } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { verify } from '../../src/ir/verify.ts'
import { runPasses } from '../../src/passes/index.ts'
import { parallel } from '../../src/passes/parallel.ts'
import { levelsOf } from '../../src/plan/levels.ts'
import { makePlan } from '../../src/plan/make.ts'
import type { Place, Plan, Step } from '../../src/plan/plan.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { targetOf } from '../../src/targets/index.ts'
import { imageNet } from '../support/image_net.ts'
import { randomGraph } from '../support/random_graph.ts'

const WASM = targetOf('wasm')
const inputsOf = ({ inputs }: Graph, seed: number) => inputs.map((v, i) => new Xorshift32(seed + i).fill(v.type))

/** The steps of each level. */
function levelsOfSteps({ steps, threads }: Plan): Step[][] {
  return threads!.levels.map((first, k) => steps.slice(first, threads!.levels[k + 1] ?? steps.length))
}

const meet = (a: Place, b: Place) =>
  a.segment === b.segment && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes

/** What a step writes meets nothing that another of its level reads, writes or works in. */
function expectNoRace(plan: Plan): void {
  for (const level of levelsOfSteps(plan))
    for (const a of level) {
      const written = a.places.filter((_, k) => a.call.kernel.bufs[k].access !== 'read')
      for (const b of level)
        if (a !== b)
          expect(
            written.some((p) => b.places.some((q) => meet(p, q))),
            a.node.outputs[0].name,
          ).toBe(false)
    }
}

/** The plan with the nodes of each level in another order. */
function shuffled(plan: Plan, random: Xorshift32): Plan {
  const { nodes } = plan.graph
  const levels = levelsOf(nodes)
  const key = new Map(nodes.map((n) => [n, random.next()]))
  const order = [...nodes.keys()].sort(
    (a, b) => levels[a].first - levels[b].first || key.get(nodes[a])! - key.get(nodes[b])!,
  )
  return { ...plan, graph: { ...plan.graph, nodes: order.map((i) => nodes[i]) } }
}

describe('layers in blocks of rows', () => {
  test.each(['int8', 'float32'] as const)('of an %s net race for nothing and keep the bits in any order', (kind) => {
    const graph = imageNet(kind)
    const x = inputsOf(graph, 1)
    const right = reference(graph).run(x)
    for (const threads of [2, 3, 6]) {
      const plan = makePlan(parallel(runPasses(graph), threads), WASM)
      expect(plan.threads!.most).toBeGreaterThanOrEqual(threads)
      expectNoRace(plan)
      expect(runPlan(shuffled(plan, new Xorshift32(threads)), 0xa5).run(x)).toEqual(right)
    }
  })

  test('of random nets race for nothing and keep the bits in any order', () => {
    let shared = 0
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 30 }), fc.integer({ min: 2, max: 5 }), (seed, threads) => {
        const graph = randomGraph(seed)
        const plan = makePlan(parallel(runPasses(graph), threads, 0), WASM)
        if (!plan.threads) return
        shared++
        expectNoRace(plan)
        const x = inputsOf(graph, seed)
        expect(runPlan(shuffled(plan, new Xorshift32(seed)), 0xa5).run(x)).toEqual(reference(graph).run(x))
      }),
      { numRuns: 40 },
    )
    expect(shared).toBeGreaterThan(20)
  })

  test("run on one thread as the module runs them, with the reference's bits over runs and after reset", async () => {
    const graph = imageNet('int8')
    const model = await instantiate(compile(graph, { threads: 3 }))
    const expected = reference(graph)
    for (const seed of [1, 2]) {
      const x = inputsOf(graph, seed)
      expect(model.run(x)).toEqual(expected.run(x))
    }
    model.reset()
    expected.reset()
    const x = inputsOf(graph, 5)
    expect(model.trace(x).outputs).toEqual(expected.run(x))
  })

  test('are made only where a layer takes long enough', () => {
    const graph = runPasses(imageNet('int8'))
    const cut = (least: number) => parallel(graph, 4, least).nodes.filter((n) => n.beside).length
    expect(cut(0)).toBeGreaterThan(cut(2))
    expect(cut(2)).toBeGreaterThan(0)
    expect(cut(1e9)).toBe(0)
    expect(makePlan(parallel(graph, 4, 1e9), WASM).threads).toBeUndefined()
  })

  test('may not read each other, nor take over a buffer', () => {
    const graph = parallel(runPasses(imageNet('int8')), 2)
    const at = graph.nodes.findIndex((n) => n.beside)
    const damaged = (node: Partial<Node>) => () =>
      verify({ ...graph, nodes: graph.nodes.map((n, i) => (i === at ? { ...n, ...node } : n)) })
    expect(damaged({})).not.toThrow()
    expect(damaged({ inputs: [graph.nodes[at - 1].outputs[0]] })).toThrow(ModelError)
    expect(damaged({ inputs: [graph.nodes[at - 1].outputs[0]] })).toThrow('computed at the same time')
    expect(damaged({ inPlace: 0 })).toThrow('overwrites what may be read at the same time')
  })

  test('are for WebAssembly, for whole layers, and for a number of threads', () => {
    const graph = imageNet('int8')
    for (const [options, text] of [
      [{ target: 'c', threads: 2 }, 'not available for c'],
      [{ threads: 2, stage: 'rows' }, 'share whole layers'],
      [{ threads: 0 }, '0 is not a number from 1 to 64'],
      [{ threads: 2.5 }, '2.5 is not a number from 1 to 64'],
    ] as const) {
      expect(() => compile(graph, options)).toThrow(InputError)
      expect(() => compile(graph, options)).toThrow(text)
    }
    expect(compile(graph, { threads: 1 }).wasm).toEqual(compile(graph).wasm)
  })
})
