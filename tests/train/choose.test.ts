import { beforeAll, describe, expect, test } from 'vitest'
import { planOf } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import {
  type ChooseOptions,
  type ChosenScheme,
  chooseScheme,
  measurementKey,
  problemOf,
  selectionOf,
} from '../../src/train/choose.ts'
import { contributions, type Examples, trialsOf } from '../../src/train/contribution.ts'
import { extraMemory } from '../../src/train/memory.ts'
import { parseScheme } from '../../src/train/scheme_file.ts'
import { sumsOf } from '../../src/train/search.ts'
import { appliedScheme, trainingStep } from '../../src/train/step.ts'
import { int8Net, net, sample } from './pictures.ts'

/** Noisy pictures as a model takes them. */
function examples(model: Graph, n: number, seed: number): Examples {
  const random = new Xorshift32(seed)
  const { quant } = model.inputs[0].type
  const samples = Array.from({ length: n }, () => sample(random))
  const stored = (image: Float32Array) =>
    quant
      ? Int8Array.from(image, (x) => Math.max(-128, Math.min(127, Math.round(x / quant.scale[0]) + quant.zero[0])))
      : image
  return { inputs: samples.map(({ image }) => stored(image)), labels: samples.map(({ label }) => label) }
}

class Book {
  readonly known = new Map<string, number>()
  fresh = 0
  get(name: string): number | undefined {
    return this.known.get(name)
  }
  set(name: string, value: number): void {
    if (!this.known.has(name)) this.fresh++
    this.known.set(name, value)
  }
}

const settings = { layers: 3, ratios: [0.25, 1], epochs: 4, rates: [0.1], repeats: 1, seed: 1 }
const options = (notes: Book, sram: number): ChooseOptions => ({
  ...{ ...settings, classes: 3, sram, target: 'cortex-m7', plan: 'speed', plans: 30, notes },
})

let model: Graph
let train: Examples
let validation: Examples
let chosen: ChosenScheme
const book = new Book()
const SRAM = 2600

beforeAll(async () => {
  model = await int8Net()
  train = examples(model, 60, 11)
  validation = examples(model, 60, 12)
  chosen = await chooseScheme(model, train, validation, options(book, SRAM))
}, 60_000)

describe('choosing what learns of a small int8 net', () => {
  test('gives schemes whose compiled steps fit and differ from the last layer alone', () => {
    for (const { selection, arenaBytes, extraBytes } of [chosen.knapsack, chosen.evolution]) {
      const { graph } = trainingStep(model, { learn: selection, classes: 3, seed: 1 })
      expect(planOf(graph, { target: 'cortex-m7', stage: 'none' }).arenaBytes).toBe(arenaBytes)
      expect(arenaBytes).toBeLessThanOrEqual(SRAM)
      expect(extraMemory(appliedScheme(model, { learn: selection, classes: 3 })).total).toBe(extraBytes)
      expect(parseScheme(JSON.stringify(selection), 'scheme.json')).toEqual(selection)
    }
    expect(chosen.knapsack.expected).toBeGreaterThanOrEqual(chosen.evolution.expected)
    expect(chosen.knapsack.expected).toBeGreaterThan(chosen.contributions.last)
  })

  test('takes from each layer what can learn of it', () => {
    const { first, layers, biases } = chosen.contributions
    expect(first).toBe(0)
    expect(biases).toHaveLength(4)
    expect(layers.map((l) => l.map(({ ratio }) => ratio))).toEqual([
      [0.25, 1],
      [0.25, 1],
      [0.25, 1],
    ])
  })

  test('counts bytes of every scheme as extraMemory does', () => {
    const ready = appliedScheme(model, { learn: 'last', classes: 3 }).graph
    const problem = problemOf(ready, chosen.contributions)
    for (let biases = 0; biases <= 3; biases++)
      for (const items of [
        [-1, -1, -1],
        [-1, 0, -1],
        [1, -1, 0],
        [-1, -1, 1],
      ]) {
        const choice = { biases, items }
        const learn = selectionOf(chosen.contributions, choice, 'one')
        expect(sumsOf(problem, choice).bytes).toBe(extraMemory(appliedScheme(model, { learn, classes: 3 })).total)
      }
  })

  test('goes on where it was interrupted, and comes to the same', async () => {
    const again = new Book()
    const some = [...book.known].slice(0, 9)
    for (const [name, value] of some) again.known.set(name, value)
    expect(await chooseScheme(model, train, validation, options(again, SRAM))).toEqual(chosen)
    expect(again.fresh).toBe(book.known.size - 9)
    expect([...again.known]).toEqual([...book.known])
  })

  test('trains nothing again for another limit', async () => {
    const trained = [...book.known.keys()].filter((k) => !/^(arena|as a whole)/.test(k)).length
    const more = new Book()
    for (const [name, value] of book.known) more.known.set(name, value)
    const wide = await chooseScheme(model, train, validation, options(more, 10_000))
    expect(wide.contributions).toEqual(chosen.contributions)
    expect([...more.known.keys()].filter((k) => !/^(arena|as a whole)/.test(k)).length).toBe(trained)
    expect(wide.knapsack.expected).toBeGreaterThanOrEqual(chosen.knapsack.expected)
  })

  test('refuses a limit below what the last layer alone takes, and more layers than there are', async () => {
    await expect(chooseScheme(model, train, validation, options(book, 200))).rejects.toThrow(
      /^sram: is 200 bytes, a step of the last layer alone takes \d+ when it is planned for speed$/m,
    )
    await expect(chooseScheme(model, train, validation, { ...options(new Book(), SRAM), layers: 4 })).rejects.toThrow(
      'layers: to try are 4, "net" has 3 with weights before the last',
    )
  })
})

test('the key of measurements depends on model, examples and settings', () => {
  const keys = [
    measurementKey(model, [train, validation], settings),
    measurementKey(net(), [train, validation], settings),
    measurementKey(model, [validation, train], settings),
    measurementKey(model, [train, { ...validation, labels: [1, ...validation.labels.slice(1)] }], settings),
    measurementKey(model, [train, validation], { ...settings, seed: 2 }),
  ]
  expect(new Set(keys).size).toBe(5)
  expect(measurementKey(model, [train, validation], { ...settings })).toBe(keys[0])
})

test('trials of a frozen front and a back are those of the whole model', async () => {
  const ready = appliedScheme(model, { learn: 'last', classes: 3, seed: 1 }).graph
  const short = await trialsOf(ready, train, validation, { ...settings, layers: 1 })
  const whole = await trialsOf(ready, train, validation, settings)
  for (const learn of [{}, { biases: 1 }, { biases: 1, layers: [{ layer: 2, ratio: 0.25 }] }])
    expect(await short.accuracyOf(learn, 0.05, 0)).toBe(await whole.accuracyOf(learn, 0.05, 0))
})

test('parts of a net contribute that has something to learn, a rate that explodes none', async () => {
  const float = net()
  const [a, b] = [examples(float, 80, 3), examples(float, 60, 4)]
  const trials = await trialsOf(float, a, b, { ...settings, epochs: 6 })
  const gains = await contributions(float, trials, { ...settings, epochs: 6, rates: [0.05, 1e6] }, new Book())
  expect(gains.rates).toMatchObject({ biases: 0.05, weights: 0.05 })
  const most = Math.max(...gains.biases, ...gains.layers.flat().map(({ gain }) => gains.biases[3] + gain))
  expect(gains.last + most).toBeGreaterThan(0.9)
})
