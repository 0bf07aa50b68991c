import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { Builder } from '../../src/ir/build.ts'
import type { Graph, TensorType } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { count } from '../../src/loops/ir.ts'
import { add, averagePool2d, conv2d, depthwiseConv2d, fullyConnected, reshape, softmax } from '../../src/ops/all.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { type Optimizer, trainingStep } from '../../src/train/step.ts'

const f32 = (...shape: number[]): TensorType => ({ dtype: 'f32', shape })

/** A separable net with a residual connection for images of 8 x 8 and three classes. */
function net(batch = 1): Graph {
  const build = new Builder('net')
  const random = new Xorshift32(5)
  const weights = (name: string, fan: number, ...shape: number[]) =>
    build.const(
      name,
      f32(...shape),
      Float32Array.from({ length: count(shape) }, () => (random.next() / 2 ** 31 - 1) / Math.sqrt(fan)),
    )
  const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1] }
  const relu = { min: 0 }
  const x = build.input('image', f32(batch, 8, 8, 2))
  const a = build.one(
    conv2d,
    [x, weights('w1', 18, 8, 3, 3, 2), weights('b1', 8, 8)],
    { ...window, stride: [2, 2], pad: [0, 0, 1, 1], groups: 1, clamp: relu },
    { from: 'first' },
  )
  const d = build.one(
    depthwiseConv2d,
    [a, weights('w2', 9, 1, 3, 3, 8), weights('b2', 8, 8)],
    { ...window, clamp: relu },
    { from: 'depthwise' },
  )
  const p = build.one(
    conv2d,
    [d, weights('w3', 8, 8, 1, 1, 8), weights('b3', 8, 8)],
    { ...window, pad: [0, 0, 0, 0], groups: 1, clamp: {} },
    { from: 'pointwise' },
  )
  const sum = build.one(add, [a, p], { clamp: relu }, { from: 'residual' })
  const pooled = build.one(averagePool2d, [sum], { kernel: [4, 4], stride: [4, 4], pad: [0, 0, 0, 0], clamp: {} })
  const flat = build.one(reshape, [pooled], { shape: [batch, 8] })
  const logits = build.one(
    fullyConnected,
    [flat, weights('w4', 8, 3, 8), weights('b4', 8, 3)],
    { clamp: {}, keepDims: false },
    { from: 'classes' },
  )
  return build.graph([build.one(softmax, [logits], { beta: 1 })])
}

/** Stripes across, stripes down, or a blob, with noise. */
function sample(random: Xorshift32): { image: Float32Array; label: number } {
  const label = random.between(0, 2)
  const image = Float32Array.from({ length: 128 }, (_, i) => {
    const [row, column] = [Math.floor(i / 16), Math.floor(i / 2) % 8]
    const bright = label === 0 ? row % 2 : label === 1 ? column % 2 : Math.hypot(row - 3.5, column - 3.5) < 2.5 ? 1 : 0
    return bright + (random.next() / 2 ** 32 - 0.5)
  })
  return { image, label }
}

const RATE = Float32Array.of(0.1)

describe('a training step', () => {
  test.each<[string, Optimizer]>([
    ['sgd', { kind: 'sgd' }],
    ['momentum', { kind: 'momentum', momentum: 0.5 }],
    ['adam', { kind: 'adam' }],
  ])('%s: loss, outputs and params have the same bits on every machine', async (_, optimizer) => {
    const { graph } = trainingStep(net(), { learn: 'full', optimizer })
    const programs = ['wasm', 'c'].map((target) => compile(graph, { target }))
    const machines = [reference(graph), runPlan(programs[0].plan, 0xa5), await instantiate(programs[0])]
    if (hostCompiler()) machines.push(runHostC(programs[1].plan))
    const random = new Xorshift32(3)
    for (let i = 0; i < 5; i++) {
      const { image, label } = sample(random)
      const [first, ...others] = machines.map((m) => m.run([image, Int32Array.of(label), RATE]))
      // The reference hands out what params are after the step, as the others do.
      for (const other of others) expect(other).toEqual(first)
    }
  })

  test('learns three kinds of pictures from scratch', async () => {
    const { graph } = trainingStep(net(4), { learn: 'full' })
    const model = await instantiate(compile(graph))
    const random = new Xorshift32(9)
    const losses: number[] = []
    for (let i = 0; i < 400; i++) {
      const batch = Array.from({ length: 4 }, () => sample(random))
      const images = Float32Array.from(batch.flatMap((s) => [...s.image]))
      const labels = Int32Array.from(batch, (s) => s.label)
      losses.push(Number(model.run([images, labels, RATE])[0][0]))
    }
    const mean = (x: readonly number[]) => x.reduce((s, v) => s + v, 0) / x.length
    expect(mean(losses.slice(0, 20))).toBeGreaterThan(0.9)
    expect(mean(losses.slice(-50))).toBeLessThan(0.25)
  })

  test.each([
    ['last', ['w4', 'b4']],
    ['last-2', ['w3', 'b3', 'w4', 'b4']],
    ['bias-last-3', ['b2', 'b3', 'w4', 'b4']],
  ] as const)('%s learns %s and leaves the rest', (learn, names) => {
    const step = trainingStep(net(), { learn })
    expect(step.params.map(({ of }) => of.name)).toEqual(names)
    const { image, label } = sample(new Xorshift32(1))
    const model = reference(step.graph)
    const [, , ...after] = model.run([image, Int32Array.of(label), RATE])
    for (const [i, { of }] of step.params.entries()) expect(after[i]).not.toEqual(of.data)
  })

  test('biases alone keep no activation of what their layers read', () => {
    const bytes = (learn: 'bias-last-4' | 'full') =>
      compile(trainingStep(net(), { learn }).graph, { target: 'c' }).plan.arenaBytes
    expect(bytes('bias-last-4')).toBeLessThan(bytes('full'))
  })

  test('says which scheme there is', () => {
    expect(() => trainingStep(net(), { learn: 'last-9' })).toThrow(/last-9 asks for 9 layers, "net" has 4/)
    expect(() => trainingStep(net(), { learn: 'first' as never })).toThrow(/"first" is none/)
  })
})
