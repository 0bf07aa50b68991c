import { describe, expect, test } from 'vitest'
import {
  bytesOfTensors,
  bytesOfWeights,
  tensorsByRules,
  tensorsExactly,
  weightsByRules,
  weightsExactly,
} from '../../src/compress/quantize/choose.ts'
import { prepare } from '../../src/compress/quantize/prepare.ts'
import { narrowClasses, weightedNodes } from '../../src/compress/quantize/scales.ts'
import type { Sensitivity } from '../../src/compress/quantize/sensitivity.ts'
import type { Bits } from '../../src/compress/quantize/weights.ts'
import { quantizeWithin } from '../../src/compress/quantize/within.ts'
import { compile, planOf } from '../../src/emit/program.ts'
import { readModel } from '../../src/import/read.ts'
import { saveGraph } from '../../src/ir/file.ts'
import type { Graph, Node } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { mobile, samplesOf } from './nets.ts'

const net = prepare(mobile({ channels: 24 }))
const layers = weightedNodes(net)
const classes = narrowClasses(net)
const random = new Xorshift32(3)
const noises = () => {
  const four = 1 + random.between(0, 1000)
  return { 4: four, 2: four + random.between(1, 5000) }
}

function some(): { sizes: Map<Node, number>; sensitivity: Sensitivity } {
  const sizes = new Map(layers.slice(0, 6).map((n) => [n, random.between(1, 4000)]))
  const weights = new Map(layers.map((n) => [n, noises()]))
  return { sizes, sensitivity: { weights, activations: new Map(classes.map((c) => [c, noises()])) } }
}

const costOf = <K>(bits: ReadonlyMap<K, Bits>, of: ReadonlyMap<K, Readonly<Record<4 | 2, number>>>) =>
  [...bits].reduce((sum, [k, b]) => sum + (b === 8 ? 0 : of.get(k)![b]), 0)

/** The least cost of all choices that fit. */
function tried<K>(
  keys: readonly K[],
  of: ReadonlyMap<K, Readonly<Record<4 | 2, number>>>,
  fits: (bits: Map<K, Bits>) => boolean,
): number | undefined {
  let best: number | undefined
  for (let n = 0; n < 3 ** keys.length; n++) {
    const bits = new Map(keys.map((k, i): [K, Bits] => [k, ([8, 4, 2] as const)[Math.floor(n / 3 ** i) % 3]]))
    const cost = costOf(bits, of)
    if ((best === undefined || cost < best) && fits(bits)) best = cost
  }
  return best
}

describe('the bits of weights', () => {
  test('are those with the least noise of all choices that fit', () => {
    for (let round = 0; round < 8; round++) {
      const { sizes, sensitivity } = some()
      const all = [...sizes.values()].reduce((a, b) => a + b, 0)
      const room = Math.floor(all * (0.2 + round / 10))
      const bits = weightsExactly(sizes, sensitivity, room)
      const best = tried([...sizes.keys()], sensitivity.weights, (b) => bytesOfWeights(sizes, b) <= room)
      expect(bits && costOf(bits, sensitivity.weights)).toBe(best)
      if (bits) expect(bytesOfWeights(sizes, bits)).toBeLessThanOrEqual(room)
    }
  })

  test('by rules: the first layer within 5% of the largest share is cut first', () => {
    const [a, b, c] = layers
    const sizes = new Map([
      [a, 960],
      [b, 1000],
      [c, 100],
    ])
    const bits = (room: number) => [...(weightsByRules(sizes, room)?.values() ?? [])]
    expect(bits(2060)).toEqual([8, 8, 8])
    expect(bits(2059)).toEqual([4, 8, 8])
    expect(bits(1100)).toEqual([4, 4, 8])
    expect(bits(514)).toEqual([])
  })
})

describe('the bits of tensors', () => {
  test('are those with the least noise of all choices with which each step fits', () => {
    const most = bytesOfTensors(net, new Map(classes.map((c) => [c, 8])))
    for (let round = 0; round < 5; round++) {
      const { sensitivity } = some()
      const room = Math.floor(most * (0.3 + round * 0.15))
      const bits = tensorsExactly(net, sensitivity, room)
      const best = tried(classes, sensitivity.activations, (b) => bytesOfTensors(net, b) <= room)
      expect(bits && costOf(bits, sensitivity.activations)).toBe(best)
      const ruled = tensorsByRules(net, classes, room)
      if (ruled) expect(bytesOfTensors(net, ruled)).toBeLessThanOrEqual(room)
      if (ruled) expect(costOf(ruled, sensitivity.activations)).toBeGreaterThanOrEqual(best!)
    }
  })
})

const noiseOf = async (float: Graph, made: Graph): Promise<number> => {
  const { inputs } = samplesOf(float, 12, 9)
  const [a, b] = [await instantiate(compile(float)), await instantiate(compile(made))]
  let noise = 0
  for (let i = 0; i < 12; i++) {
    const [p, q] = [a.run(inputs(i))[0] as Float32Array, b.run(inputs(i))[0] as Float32Array]
    for (let k = 0; k < p.length; k++) noise += (p[k] - q[k]) ** 2
  }
  return noise
}

describe('a model within limits', () => {
  const float = mobile({ channels: 24 })
  const samples = samplesOf(float, 24, 2)
  const options = { io: 'float', correctBias: true } as const

  test('misses them with 8 bits and fits with fewer, measured noise choosing better than size alone', async () => {
    const target = 'cortex-m4'
    const noise: number[] = []
    for (const choose of ['exact', 'rules'] as const) {
      const first = await quantizeWithin(float, samples, options, { target, choose })
      expect(first.bits.weights.size).toBe(0)
      const before = first.eight
      const [sram, flash] = [Math.floor(before.arenaBytes * 0.8), Math.floor(before.weightBytes * 0.75)]
      const { quantized, bits } = await quantizeWithin(float, samples, options, { target, choose, sram, flash })
      const after = planOf(quantized.graph, { target, stage: 'none' })
      expect(after.arenaBytes).toBeLessThanOrEqual(sram)
      expect(after.weightBytes).toBeLessThanOrEqual(flash)
      expect(bits.activations.size).toBeGreaterThan(0)
      noise.push(await noiseOf(float, quantized.graph))

      const again = readModel(saveGraph(quantized.graph))
      const given = samples.inputs(0)
      const want = reference(quantized.graph).run(given)
      expect(reference(again).run(given)).toEqual(want)
      expect((await instantiate(compile(again))).run(given)).toEqual(want)
      const staged = planOf(again, { target, stage: 'rows' })
      expect(runPlan(staged, 0xa5).run(given)).toEqual(want)
    }
    expect(noise[0]).toBeLessThanOrEqual(noise[1])
  })

  test('is refused where 2 bits do not fit either, with what they take', async () => {
    const within = { target: 'cortex-m4', choose: 'rules', flash: 500 } as const
    await expect(quantizeWithin(float, samples, options, within)).rejects.toThrow(
      /needs \d+ bytes of weights \(limit 500\) with 2 bits wherever they are possible/,
    )
  })
})
