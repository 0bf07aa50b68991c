import { describe, expect, test } from 'vitest'
import { emitWasm } from '../../src/emit/wasm/module.ts'
import type { Graph, Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { CaseBuilder, f32 } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { convInputGradient, convWeightGradient } from '../../src/ops/gradients/window.ts'
import { matmul } from '../../src/ops/matmul/op.ts'
import { makePlan } from '../../src/plan/make.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import { targetOf } from '../../src/targets/index.ts'
import { hashOf } from '../support/bits.ts'

interface Window {
  readonly stride?: number
  readonly pad?: readonly number[]
  readonly dilation?: number
  readonly clamp?: { readonly min?: number; readonly max?: number }
}

const SAME = [1, 1, 1, 1]

/** Layers whose weights are given while the program runs, and their gradients, side by side. */
function learning(): Graph {
  const b = new CaseBuilder('learning', 7)
  const outputs: Value[] = []
  let n = 0
  const input = (...shape: number[]) => b.input(`in${n++}`, f32(shape))
  const attrs = ({ stride = 1, pad = [0, 0, 0, 0], dilation = 1, clamp = { min: 0 } }: Window) => ({
    ...{ stride: [stride, stride], dilation: [dilation, dilation], pad, clamp },
  })
  const extent = (size: number, taps: number, before: number, behind: number, { stride = 1, dilation = 1 }: Window) =>
    Math.floor((size + before + behind - (taps - 1) * dilation - 1) / stride) + 1
  const layer = ([N, H, W, C]: number[], [kh, kw]: number[], O: number, window: Window = {}) => {
    const a = attrs(window)
    const depthwise = O === 0
    const channels = depthwise ? C : O
    const weights = depthwise ? [1, kh, kw, C] : [O, kh, kw, C]
    const [top, left, bottom, right] = a.pad
    const y = [N, extent(H, kh, top, bottom, window), extent(W, kw, left, right, window), channels]
    const x = input(N, H, W, C)
    const w = input(...weights)
    const g = input(...y)
    const { clamp: _, ...own } = { ...a, groups: depthwise ? C : 1, depthwise }
    const from = (what: string) => ({ from: `${what} ${depthwise ? 'depthwise' : 'conv'} ${outputs.length}` })
    outputs.push(
      depthwise
        ? b.one(depthwiseConv2d, [x, w, input(channels)], a, from('forward'))
        : b.one(conv2d, [x, w, input(channels)], { ...a, groups: 1 }, from('forward')),
      b.one(convInputGradient, [g, w], { ...own, shape: [N, H, W, C] }, from('input')),
      b.one(convWeightGradient, [x, g], { ...own, shape: weights }, from('weights')),
    )
  }
  const dense = (rows: number, K: number, N: number) => {
    const [x, w, g] = [input(rows, K), input(N, K), input(rows, N)]
    const from = (what: string) => ({ from: `${what} dense ${outputs.length}` })
    outputs.push(
      b.one(fullyConnected, [x, w, input(N)], { clamp: {}, keepDims: false }, from('forward')),
      b.one(matmul, [g, w], { transA: false, transB: false }, from('input')),
      b.one(matmul, [g, x], { transA: true, transB: false }, from('weights')),
    )
  }
  layer([1, 5, 4, 8], [1, 1], 6)
  layer([3, 5, 4, 7], [1, 1], 9)
  layer([2, 6, 7, 4], [3, 3], 8, { pad: SAME })
  layer([2, 6, 6, 3], [3, 3], 5, { pad: SAME })
  layer([1, 9, 11, 5], [3, 3], 7, { pad: [0, 1, 1, 0], clamp: {} })
  layer([1, 8, 8, 4], [3, 3], 4, { pad: [0, 0, 1, 1], stride: 2 })
  layer([2, 9, 4, 1], [5, 4], 12, { pad: [2, 1, 2, 2], stride: 2 })
  layer([1, 7, 6, 8], [1, 1], 8, { stride: 2 })
  layer([1, 9, 9, 4], [3, 3], 4, { pad: [2, 2, 2, 2], dilation: 2 })
  layer([2, 40, 3, 4], [3, 3], 4, { pad: SAME })
  layer([1, 3, 3, 4], [3, 3], 4, { pad: SAME })
  layer([1, 40, 40, 16], [1, 1], 33)
  layer([2, 6, 6, 8], [3, 3], 0, { pad: SAME })
  layer([1, 7, 9, 5], [3, 3], 0, { pad: [0, 0, 1, 1], stride: 2 })
  layer([1, 12, 8, 12], [5, 5], 0, { pad: [2, 2, 2, 2] })
  layer([2, 25, 5, 16], [3, 3], 0, { pad: SAME })
  dense(1, 16, 12)
  dense(32, 20, 10)
  return b.graph(outputs)
}

const wasm = targetOf('wasm')

describe('float32 layers that learn on WebAssembly', () => {
  const graph = learning()
  const plan = makePlan(graph, wasm)

  test('are tiles, but for gradients of images with less than four channels and outer products', () => {
    const recipes = plan.steps.map((s) => `${s.node.from}: ${s.recipe}`)
    expect(recipes.filter((r) => !/: float[, ]/.test(r))).toEqual([
      'input conv 9: plain',
      'input conv 18: plain',
      'weights dense 48: 4 lanes',
    ])
  })

  test.each<[string, (random: Xorshift32) => number | undefined]>([
    ['random numbers', () => undefined],
    ['zeros of both signs', (random) => [0, -0, undefined, undefined][random.between(0, 3)]],
    ['only -0', () => -0],
    ['infinities', (random) => (random.between(0, 40) === 0 ? Number.POSITIVE_INFINITY : undefined)],
    ['no numbers', (random) => (random.between(0, 40) === 0 ? Number.NaN : undefined)],
  ])('give the reference bits for %s', async (_, odd) => {
    const random = new Xorshift32(5)
    const inputs = graph.inputs.map((v) => (random.fill(v.type) as Float32Array).map((x) => odd(random) ?? x))
    const expected = reference(graph).run(inputs).map(hashOf)
    const model = await instantiateWasm(emitWasm(plan), plan)
    const named = (hashes: readonly (string | number)[]) => hashes.map((h, i) => `${graph.nodes[i].from} ${h}`)
    expect(named(model.run(inputs).map(hashOf))).toEqual(named(expected))
    expect(runPlan(plan, 0x5a).run(inputs).map(hashOf)).toEqual(expected)
  })
})
