import { beforeAll, describe, expect, test } from 'vitest'
import { quantizeGraph } from '../../src/compress/quantize/quantize.ts'
import { compile, planOf } from '../../src/emit/program.ts'
import { Builder } from '../../src/ir/build.ts'
import type { Graph, TensorType } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { verify } from '../../src/ir/verify.ts'
import { count, type Data } from '../../src/loops/ir.ts'
import { add, averagePool2d, conv2d, depthwiseConv2d, fullyConnected, reshape } from '../../src/ops/all.ts'
import { backwardFrom, blocksOf, byChannels, updatesEarly } from '../../src/passes/blocks.ts'
import { inPlaceByChannel } from '../../src/passes/in_place.ts'
import { byStrips } from '../../src/passes/strips.ts'
import { makePlan } from '../../src/plan/make.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { targetOf } from '../../src/targets/index.ts'
import type { Scheme } from '../../src/train/scheme.ts'
import { trainingStep } from '../../src/train/step.ts'
import { describeShared, sharedModel } from '../shared/shared.ts'

const f32 = (...shape: number[]): TensorType => ({ dtype: 'f32', shape })

/** Inverted bottlenecks in int8: one that halves the image, one with a residual connection, unless that is left out. */
async function bottlenecks(residual = true): Promise<Graph> {
  const build = new Builder('bottlenecks')
  const random = new Xorshift32(5)
  const weights = (name: string, fan: number, ...shape: number[]) =>
    build.const(
      name,
      f32(...shape),
      Float32Array.from({ length: count(shape) }, () => (2 * (random.next() / 2 ** 31 - 1)) / Math.sqrt(fan)),
    )
  const window = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0] }
  const relu = { min: 0 }
  const conv = (from: string, x: ReturnType<Builder['input']>, outputs: number, clamp: { readonly min?: number }) => {
    const C = x.type.shape[3]
    const given = [x, weights(`${from}/w`, C, outputs, 1, 1, C), weights(`${from}/b`, 9, outputs)]
    return build.one(conv2d, given, { ...window, groups: 1, clamp }, { from })
  }
  const depthwise = (from: string, x: ReturnType<Builder['input']>, stride: number) => {
    const C = x.type.shape[3]
    const given = [x, weights(`${from}/w`, 9, 1, 3, 3, C), weights(`${from}/b`, 9, C)]
    const pad = stride === 2 ? [0, 0, 1, 1] : [1, 1, 1, 1]
    return build.one(depthwiseConv2d, given, { ...window, stride: [stride, stride], pad, clamp: relu }, { from })
  }
  const x = build.input('image', f32(1, 16, 16, 2))
  const a = conv('a/project', depthwise('a/depthwise', conv('a/expand', x, 12, relu), 2), 6, {})
  const b = conv('b/project', depthwise('b/depthwise', conv('b/expand', a, 20, relu), 1), 6, {})
  const sum = residual ? build.one(add, [a, b], { clamp: {} }, { from: 'residual' }) : b
  const pooled = build.one(averagePool2d, [sum], { kernel: [8, 8], stride: [8, 8], pad: [0, 0, 0, 0], clamp: {} })
  const flat = build.one(reshape, [pooled], { shape: [1, 6] })
  const given = [flat, weights('classes/w', 6, 3, 6), weights('classes/b', 6, 3)]
  const logits = build.one(fullyConnected, given, { clamp: {}, keepDims: false }, { from: 'classes' })
  const graph = build.graph([logits])
  const pictures = Array.from({ length: 8 }, () => [random.fill(x.type)])
  return (await quantizeGraph(graph, { count: 8, inputs: (i) => pictures[i] })).graph
}

type Machine = { run(given: readonly Data[]): Data[] }

const image = (random: Xorshift32) => Int8Array.from({ length: 512 }, () => random.between(-128, 127))

/** The params after some steps. */
function learned(machine: Machine, graph: Graph, steps: number): Data[] {
  const random = new Xorshift32(3)
  let last: Data[] = []
  for (let i = 0; i < steps; i++) last = machine.run([image(random), Int32Array.of(i % 3), Float32Array.of(0.02)])
  return last.slice(graph.learns!.outputs + 1)
}

const SCHEMES: readonly (readonly [string, Scheme])[] = [
  ['everything', 'full'],
  ['biases', 'bias-last-5'],
  ['some layers', 'last-4'],
  [
    'some channels',
    {
      biases: 6,
      layers: [
        { layer: 'b/expand', channels: [1, 4, 5] },
        { layer: 'a/project', ratio: 1 },
      ],
    },
  ],
]

describe('the backward pass by groups of channels', () => {
  let plain: Graph
  let joined: Graph
  beforeAll(async () => {
    plain = await bottlenecks(false)
    joined = await bottlenecks()
  })

  const grouped = (graph: Graph, size: number) => {
    const early = updatesEarly(graph)
    const blocks = blocksOf(early)
    expect(blocks.length).toBeGreaterThan(0)
    return verify(byChannels(early, new Map(blocks.map((b) => [b, size]))))
  }

  test.each(SCHEMES.flatMap(([name, learn]) => [1, 7].map((size) => [name, size, learn] as const)))(
    '%s, %i channels at a time: has the bits of the whole where nothing comes past a block',
    (_, size, learn) => {
      const { graph } = trainingStep(plain, { learn })
      const made = grouped(graph, size)
      expect(learned(reference(made), graph, 5)).toEqual(learned(reference(graph), graph, 5))
    },
  )

  test.each(SCHEMES)('%s: differs by the order of sums alone where a gradient comes past a block', (_, learn) => {
    const { graph } = trainingStep(joined, { learn, rounding: 'nearest' })
    const [expected, got] = [graph, grouped(graph, 4)].map((g) => learned(reference(g), graph, 1))
    const changes = expected.flatMap((data, i) => Array.from(data as Int8Array, (v, k) => v - Number(got[i][k])))
    expect(changes.filter((d) => d !== 0).length).toBeLessThan(changes.length / 50)
    expect(Math.max(...changes.map(Math.abs))).toBeLessThanOrEqual(1)
  })

  test.each([2, 3])(
    '%i strips of rows: weights have the bits of the whole, biases differ by the order of sums',
    (strips) => {
      const { graph, params } = trainingStep(plain, { learn: 'full', rounding: 'nearest' })
      const whole = grouped(graph, 4)
      const made = byStrips(whole, backwardFrom(whole) + 10, strips)
      expect(made).toBeDefined()
      expect(made!.nodes.filter((n) => n.op.name === 'conv_weight_gradient').length).toBeGreaterThan(strips)
      const [expected, got] = [graph, verify(made!)].map((g) => learned(reference(g), graph, 1))
      params.forEach(({ param }, i) => {
        if (param.type.dtype === 'i8') expect(got[i], param.name).toEqual(expected[i])
        else for (const [k, v] of got[i].entries()) expect(Math.abs(Number(v) - Number(expected[i][k]))).toBeLessThan(2)
      })
      const plan = makePlan(inPlaceByChannel(made!), targetOf('c'))
      expect(learned(runPlan(plan, 0x5a), graph, 1)).toEqual(learned(reference(made!), graph, 1))
    },
  )

  test.each([SCHEMES[0], SCHEMES[3]])(
    '%s: a step in less memory has the same bits on every machine',
    async (_, learn) => {
      const { graph } = trainingStep(joined, { learn })
      const [wasm, c] = ['wasm', 'c'].map((target) => {
        const sram = Math.round(0.8 * planOf(graph, { target, stage: 'none' }).arenaBytes)
        const program = compile(graph, { target, sram })
        expect(program.plan.graph.nodes.length).toBeGreaterThan(1.2 * graph.nodes.length)
        return program
      })
      const machines: Machine[] = [runPlan(c.plan, 0x5a), await instantiate(wasm)]
      if (hostCompiler()) machines.push(runHostC(c.plan))
      const expected = learned(reference(wasm.plan.graph), graph, 2)
      for (const machine of machines) expect(learned(machine, graph, 2)).toEqual(expected)
    },
  )

  test('takes less memory, and no more than asked for', () => {
    const { graph } = trainingStep(joined, { learn: 'full' })
    const bytes = (options: object) => planOf(graph, { target: 'cortex-m7', ...options }).arenaBytes
    const whole = bytes({ stage: 'none' })
    const least = bytes({ stage: 'rows' })
    expect(least).toBeLessThan(0.6 * whole)
    const sram = Math.round((whole + least) / 2)
    expect(bytes({ sram })).toBeLessThanOrEqual(sram)
    expect(bytes({ sram: whole })).toBeGreaterThan(least)
  })

  test('the rows of an image are pushed where no layer that learns reads them, and else refused', () => {
    const streamed = (learn: Scheme) =>
      planOf(trainingStep(joined, { learn }).graph, { target: 'cortex-m7', stage: 'rows', input: 'streamed' })
    expect(streamed('bias-last-4').streamed?.rows.length).toBe(16)
    expect(() => streamed('full')).toThrow(/none of these to learn/)
  })
})

describeShared('steps of real models in less memory', () => {
  test('MobileNet V2 learns the biases of its last 25 convolutions within 80,000 bytes, its image included', () => {
    const model = sharedModel('models/tiny_training/mbv2-w0.35_int8.tflite')
    const { graph } = trainingStep(model, { learn: 'bias-last-26', classes: 10 })
    expect(planOf(graph, { target: 'cortex-m7', sram: 80_000 }).arenaBytes).toBeLessThanOrEqual(80_000)
  })
})
