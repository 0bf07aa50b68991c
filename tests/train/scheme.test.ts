import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { extraMemory } from '../../src/train/memory.ts'
import { channelNorms, chosenOf, learners, type Scheme, type Selection } from '../../src/train/scheme.ts'
import { appliedScheme, trainingStep } from '../../src/train/step.ts'
import { describeShared, sharedModel } from '../shared/shared.ts'
import { net, sample } from './pictures.ts'
import { int8Net } from './stored_net.ts'

type Plain = Exclude<Data, BigInt64Array>

/** Elements of channel `c` of the last axis, for each of `channels`. */
const part = (data: Plain, C: number, channels: readonly number[]) =>
  Array.from(data).filter((_, i) => channels.includes(i % C))

const PART: Selection = {
  biases: 3,
  layers: [
    { layer: 1, channels: [4, 1] },
    { layer: 2, channels: [0, 3, 5] },
  ],
}
const WHOLE: Selection = { biases: 3, layers: [{ layer: 1 }, { layer: 2 }] }

/** One step of each of two schemes on the same input: what the params are before and after, by the constant's name. */
function stepsOf(graph: Graph, schemes: readonly Scheme[], image: Data) {
  return schemes.map((learn) => {
    const { graph: step, params } = trainingStep(graph, { learn, rounding: 'nearest' })
    const out = reference(step).run([image, Int32Array.of(1), Float32Array.of(0.05)])
    const after = out.slice(out.length - params.length) as Plain[]
    return {
      outputs: out.slice(0, -params.length),
      after: new Map(params.map((p, i) => [p.of.name, after[i]])),
      params,
    }
  })
}

describe('some channels of a layer learn', () => {
  test.each([
    ['float32', net(), sample(new Xorshift32(1)).image, [8, 8]],
    ['int8', int8Net(), new Xorshift32(4).fill(int8Net().inputs[0].type), [6, 6]],
  ] as const)('%s: as those channels do where all learn', (kind, graph, image, channels) => {
    const [some, all] = stepsOf(graph, [PART, WHOLE], image)
    const int8 = kind === 'int8'
    if (int8) expect(some.outputs).toEqual(all.outputs)
    for (const [i, name] of ['w2', 'w3'].entries()) {
      const chosen = [...PART.layers![i].channels!].sort((a, b) => a - b)
      const wanted = part(all.after.get(name)!, channels[i], chosen)
      const got = Array.from(some.after.get(name)!)
      const before = some.params.find((p) => p.of.name === name)!
      expect(before.channels).toEqual(chosen)
      expect(got).not.toEqual(Array.from(before.param.data as Plain))
      if (int8) expect(got).toEqual(wanted)
      else for (const [k, v] of got.entries()) expect(v).toBeCloseTo(wanted[k], 6)
    }
    // What lies before tells whether the way back through both layers is the same.
    for (const name of ['b1', 'b2', 'b3', 'w4', 'b4']) {
      const [got, wanted] = [some, all].map((s) => Array.from(s.after.get(name)!))
      if (int8) expect(got).toEqual(wanted)
      else for (const [k, v] of got.entries()) expect(v).toBeCloseTo(wanted[k], 6)
    }
  })

  test.each([
    ['float32', net()],
    ['int8', int8Net()],
  ] as const)('%s: 10 steps have the same bits on every machine', async (_, model) => {
    const { graph } = trainingStep(model, { learn: PART })
    const programs = ['wasm', 'c'].map((target) => compile(graph, { target }))
    const machines = [reference(graph), runPlan(programs[0].plan, 0xa5), await instantiate(programs[0])]
    if (hostCompiler()) machines.push(runHostC(programs[1].plan))
    const random = new Xorshift32(3)
    for (let i = 0; i < 10; i++) {
      const given = [random.fill(model.inputs[0].type), Int32Array.of(i % 3), Float32Array.of(0.05)]
      const [first, ...others] = machines.map((m) => m.run(given))
      for (const other of others) expect(other).toEqual(first)
    }
  })

  test('only the learning weights are in RAM, once', () => {
    const ram = (learn: Scheme) => trainingStep(int8Net(), { learn }).graph
    const params = (graph: Graph) =>
      new Set(graph.nodes.flatMap((n) => n.inputs.filter((v) => v?.storage === 'param').map((v) => `${v!.type.shape}`)))
    expect([...params(ram(PART))]).toEqual(['6', '1,3,3,2', '6,1,1,3', '3,6', '3'])
  })

  test('a ratio takes the channels with the largest norm', () => {
    const graph = net()
    const [, , learner] = learners(graph)
    const [chosen] = chosenOf(graph, { layers: [{ layer: 2, ratio: 1 / 4 }] })
    const norms = channelNorms(learner)
    const order = Array.from(norms.keys()).sort((a, b) => norms[b] - norms[a])
    expect(new Set(chosen.learns as readonly number[])).toEqual(new Set(order.slice(0, 2)))
  })
})

describe('schemes that do not fit are refused', () => {
  test.each<[Scheme, RegExp]>([
    [{ layers: [{ layer: 3 }] }, /asks for layer 3, "net" has layers 0 to 2 before the last/],
    [{ layers: [{ layer: 'classes' }] }, /asks for layer "classes", which is the last and learns anyway/],
    [{ layers: [{ layer: 'nowhere' }] }, /layer "nowhere", which has no weights or is not there/],
    [{ layers: [{ layer: 1 }, { layer: 1 }] }, /asks for layer 1 twice/],
    [{ layers: [{ layer: 1, ratio: 2 }] }, /asks for a ratio of 2 of "depthwise", expected more than 0, up to 1/],
    [{ layers: [{ layer: 1, channels: [8] }] }, /asks for channel 8 of "depthwise", expected different ones of 8/],
    [{ layers: [{ layer: 1, channels: [] }] }, /asks for no channels of "depthwise"/],
    [{ biases: 4 }, /asks for 4 biases, "net" has 3 layers with weights before the last/],
    [
      { name: 'mine', parameters: ['w9'] },
      /mine has parameter "w9" learn, no layer's weights or bias and no float32 constant are called so/,
    ],
    ['sparse-50kb', /"sparse-50kb" is none that was released/],
    ['sparse-49kb', /sparse-49kb was found for mbv2-w0.35: "net" has 4 layers with weights, mbv2-w0.35 has 52/],
  ])('%j', (learn, message) => {
    expect(() => trainingStep(net(), { learn })).toThrow(message)
  })
})

const RELEASED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'mbv2-w0.35': { 49: 49.806640625, 73: 73.875, 99: 99.40625, 123: 123.5625, 138: 138.25 },
  'mcunet-5fps': { 49: 49.75, 74: 74.8125, 99: 99.84375, 124: 124.96875, 148: 148.40625 },
}
const released = Object.entries(RELEASED).flatMap(([name, schemes]) =>
  Object.entries(schemes).map(([kb, total]) => [name, `sparse-${kb}kb` as Scheme, total] as const),
)

describeShared('the released sparse schemes', () => {
  test.each(released)('%s, %s takes the published %f KB by their counting', (name, scheme, total) => {
    const graph = sharedModel(`models/tiny_training/${name}_int8.tflite`)
    expect(extraMemory(appliedScheme(graph, { learn: scheme, classes: 10 })).total / 1024).toBe(total)
  })

  test('are for their own nets', () => {
    const graph = sharedModel('models/tiny_training/mcunet-5fps_int8.tflite')
    expect(() => chosenOf(graph, 'sparse-73kb')).toThrow(
      /sparse-73kb was found for mbv2-w0.35: "main" has 43 layers with weights, mbv2-w0.35 has 52/,
    )
  })

  test.each([
    ['mcunet-5fps', 'sparse-49kb'],
    ['mbv2-w0.35', 'sparse-49kb'],
  ] as const)('%s, %s: steps with equal bits', async (name, learn) => {
    const model = sharedModel(`models/tiny_training/${name}_int8.tflite`)
    const { graph, params } = trainingStep(model, { learn, classes: 10 })
    const given = [new Xorshift32(1).fill(model.inputs[0].type), Int32Array.of(3), Float32Array.of(0.1)]
    const expected = reference(graph).run(given)
    expect((await instantiate(compile(graph))).run(given)).toEqual(expected)
    params.forEach(({ param }, i) => {
      expect(expected[expected.length - params.length + i]).not.toEqual(param.data)
    })
  })
})
