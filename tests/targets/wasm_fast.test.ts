import { describe, expect, test } from 'vitest'
import { relaxedVariant } from '../../src/emit/js/files.ts'
import { compile } from '../../src/emit/program.ts'
import { fusedProbe, runsRelaxed } from '../../src/emit/wasm/relaxed.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { isFast } from '../../src/targets/target.ts'
import { trainingStep } from '../../src/train/step.ts'
import { describeShared, sharedModel } from '../shared/shared.ts'
import { separable } from '../support/nets.ts'
import { net, sample } from '../train/pictures.ts'

type Outputs = readonly ArrayLike<number | bigint>[]

/** The largest difference, as part of the largest magnitude. */
function apart(expected: Outputs, found: Outputs): number {
  const all = (outputs: Outputs) => outputs.flatMap((y) => Array.from(y, Number))
  const [a, b] = [all(expected), all(found)]
  expect(b.length).toBe(a.length)
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]))) / Math.max(...a.map(Math.abs))
}

async function expectClose(graph: Graph, inputs: Parameters<ReturnType<typeof reference>['run']>[0]): Promise<void> {
  const program = compile(graph, { fast: true })
  const expected = reference(graph).run(inputs)
  const fused = runPlan(program.plan, 0x5a).run(inputs)
  expect(apart(expected, fused)).toBeLessThan(1e-5)
  if (!runsRelaxed(fusedProbe())) return
  expect(apart(expected, (await instantiate(program)).run(inputs))).toBeLessThan(1e-5)
}

describe('fast float32 sums', () => {
  test('are in the plan by name, where a model has some, and only where they are asked for', () => {
    const recipes = (graph: Graph, fast: boolean) => compile(graph, { fast }).plan.steps.map((s) => s.recipe)
    expect(recipes(net(), true).filter(isFast)).toEqual(['float tiles, fast', 'float rows, fast', 'float tiles, fast'])
    expect(recipes(net(), false).filter(isFast)).toEqual([])
    expect(recipes(separable(), true).filter(isFast)).toEqual([])
    expect(compile(net(), { fast: true }).target).toBe('wasm-fast')
  })

  test('round once: not the bits of the exact program, but close ones, gradients too', async () => {
    const { graph } = trainingStep(net(), { learn: 'full' })
    const { image, label } = sample(new Xorshift32(3))
    const inputs = [image, Int32Array.of(label), Float32Array.of(0.1)]
    const fused = runPlan(compile(graph, { fast: true }).plan, 0).run(inputs)
    expect(apart(reference(graph).run(inputs), fused)).toBeGreaterThan(0)
    await expectClose(graph, inputs)
  })

  test('are a variant of a web program with a probe of their own', () => {
    expect(relaxedVariant(net())).toEqual({})
    expect(relaxedVariant(net(), { fast: true }).relaxed.probe).toEqual(fusedProbe())
  })

  test('are refused for C', () => {
    expect(() => compile(net(), { target: 'c', fast: true })).toThrow(/fast: is not available for c/)
  })
})

describeShared('fast float32 models', () => {
  test.each(['mlperf_tiny/ad_autoenc_fp32.tflite', 'onnx/mnist_cnn.onnx', 'imu/magic_wand_5spells_fp32.tflite'])(
    '%s stays within 1e-5 of the exact outputs',
    (file) => {
      const graph = sharedModel(`models/${file}`)
      const random = new Xorshift32(9)
      return expectClose(
        graph,
        graph.inputs.map((v) => random.fill(v.type)),
      )
    },
  )
})
