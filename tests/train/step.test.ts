import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { type Optimizer, trainingStep } from '../../src/train/step.ts'
import { net, sample } from './pictures.ts'

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
