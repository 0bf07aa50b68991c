import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { Builder } from '../../src/ir/build.ts'
import { type Graph, quantOf } from '../../src/ir/graph.ts'
import { peak } from '../../src/ir/live.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { verify } from '../../src/ir/verify.ts'
import { add } from '../../src/ops/binary/op.ts'
import { CaseBuilder, f32, i8 } from '../../src/ops/case.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { inPlace, inPlaceByChannel } from '../../src/passes/in_place.ts'
import { makePlan } from '../../src/plan/make.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { TARGET_NAMES, targetOf } from '../../src/targets/index.ts'
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

interface Shape {
  readonly size: readonly [number, number, number]
  readonly kernel: number
  readonly stride: number
}

/** A depthwise layer on what nobody reads afterwards: int8 with a clamp at the zero point or without, or float32. */
function depthwise({ size: [H, W, C], kernel: k, stride }: Shape, kind: 'relu' | 'linear' | 'float'): Graph {
  const b = new CaseBuilder('depthwise', 3)
  const p = k >> 1
  const window = { stride: [stride, stride], dilation: [1, 1], pad: [p, p, p, p] }
  if (kind === 'float') {
    const x = b.input('x', f32([1, H, W, C]))
    const weights = [b.floats('w', [1, k, k, C]), b.floats('b', [C])]
    return b.graph([b.one(depthwiseConv2d, [x, ...weights], { ...window, clamp: {} })])
  }
  const x = b.input('x', i8([1, H, W, C], 0.05, -3))
  const weights = [b.weights('w', [1, k, k, C], 0.02, 3), b.bias('b', C, 900)]
  const quant = quantOf(0.1, kind === 'relu' ? -128 : 5)
  return b.graph([
    b.one(depthwiseConv2d, [x, ...weights], { ...window, clamp: kind === 'relu' ? { min: 0 } : {} }, { quant }),
  ])
}

describe('a depthwise layer in place of its input', () => {
  const dimension = fc.integer({ min: 1, max: 11 })
  const shapes = fc.record({
    size: fc.tuple(dimension, dimension, fc.integer({ min: 1, max: 11 })),
    kernel: fc.constantFrom(1, 3, 5, 7),
    stride: fc.constantFrom(1, 2),
  })

  test.each(TARGET_NAMES)('gives the same bits in the loops for %s', (target) => {
    fc.assert(
      fc.property(shapes, fc.constantFrom('relu', 'linear', 'float'), seeds, (shape, kind, seed) => {
        const graph = depthwise(shape, kind)
        const taken = verify(inPlaceByChannel(graph))
        expect(taken.nodes[0].inPlace).toBe(0)
        const inputs = [new Xorshift32(seed).fill(graph.inputs[0].type)]
        expect(runPlan(makePlan(taken, targetOf(target))).run(inputs)).toEqual(reference(graph).run(inputs))
      }),
      { numRuns: 30 },
    )
  })

  test('needs no second image', () => {
    const graph = depthwise({ size: [20, 20, 16], kernel: 3, stride: 1 }, 'relu')
    for (const [target, scratch] of [
      ['cortex-m4', 4 * 22 * 24],
      ['cortex-m55', 22 * 22 + 16],
    ] as const)
      expect(compile(graph, { target }).plan.arenaBytes).toBeLessThanOrEqual(20 * 20 * 16 + scratch + 16)
  })

  test('is taken on other targets where the budget asks for it', () => {
    const graph = depthwise({ size: [20, 20, 16], kernel: 3, stride: 1 }, 'relu')
    for (const target of ['c', 'wasm']) {
      const free = compile(graph, { target, stage: 'none' }).plan.arenaBytes
      expect(free).toBeGreaterThanOrEqual(2 * 20 * 20 * 16)
      expect(compile(graph, { target, stage: 'none', sram: free - 1 }).plan.arenaBytes).toBeLessThan(free)
    }
  })
})

describe('a sum in place of an operand', () => {
  test.each(TARGET_NAMES)('gives the same bits in the loops for %s, whatever is left over', (target) => {
    for (let n = 1; n <= 40; n++) {
      const b = new CaseBuilder('sum', 3)
      const [x, y] = [b.input('x', i8([1, n], 0.05, -3)), b.input('y', i8([1, n], 0.03, 7))]
      const graph = b.graph([b.one(add, [x, y], { clamp: {} }, { quant: quantOf(0.07, 1) })])
      const taken = verify(inPlace(graph))
      expect(taken.nodes[0].inPlace).toBeDefined()
      const random = new Xorshift32(n)
      const inputs = graph.inputs.map((v) => random.fill(v.type))
      expect(runPlan(makePlan(taken, targetOf(target))).run(inputs), `${n} elements`).toEqual(
        reference(graph).run(inputs),
      )
    }
  })
})
