import { describe, expect, test } from 'vitest'
import { llama, weightsFrom } from '../../examples/llama.ts'
import { compile } from '../../src/emit/program.ts'
import { Builder } from '../../src/ir/build.ts'
import type { Graph, Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { count, type Data } from '../../src/loops/ir.ts'
import { add, averagePool2d, conv2d, depthwiseConv2d, fullyConnected, mul, reshape } from '../../src/ops/all.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import type { Scheme } from '../../src/train/scheme.ts'
import { trainingStep } from '../../src/train/step.ts'
import { blocksOf } from '../../src/train/tinytl.ts'
import { net } from './pictures.ts'
import { int8Net } from './stored_net.ts'

const CONFIG = { dim: 8, hidden: 12, layers: 2, heads: 2, kvHeads: 1, vocab: 7, positions: 4 }
const random = new Xorshift32(7)
const story = () =>
  llama(
    CONFIG,
    weightsFrom(CONFIG, (n) => random.fill({ dtype: 'f32', shape: [n] }) as Float32Array),
    'story',
  )

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape })

/** Two inverted bottlenecks, one with a residual connection and one of stride 2, with batch norms where `norms` says so. */
function bottlenecks(norms = false): Graph {
  const build = new Builder('bottlenecks')
  const numbers = new Xorshift32(11)
  const weights = (name: string, fan: number, ...shape: number[]) =>
    build.const(
      name,
      f32(...shape),
      Float32Array.from({ length: count(shape) }, () => (numbers.next() / 2 ** 31 - 1) / Math.sqrt(fan)),
    )
  const pixel = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1 }
  const normed = (x: Value, name: string, C: number) => {
    if (!norms) return x
    const scaled = build.one(mul, [x, weights(`${name}/scale`, 1, C)], { clamp: {} })
    return build.one(add, [scaled, weights(`${name}/shift`, 1, C)], { clamp: {} })
  }
  const block = (x: Value, name: string, [C, E, O]: number[], stride: number) => {
    const wide = build.one(conv2d, [x, weights(`${name}/w1`, C, E, 1, 1, C), weights(`${name}/b1`, C, E)], {
      ...pixel,
      clamp: { min: 0, max: 6 },
    })
    const deep = build.one(depthwiseConv2d, [wide, weights(`${name}/w2`, 9, 1, 3, 3, E), weights(`${name}/b2`, 9, E)], {
      stride: [stride, stride],
      dilation: [1, 1],
      pad: [1, 1, 1, 1],
      clamp: { min: 0, max: 6 },
    })
    const slim = build.one(
      conv2d,
      [deep, weights(`${name}/w3`, E, O, 1, 1, E), ...(norms ? [] : [weights(`${name}/b3`, E, O)])],
      { ...pixel, clamp: {} },
      { from: `${name}/project` },
    )
    const y = normed(slim, `${name}/norm`, O)
    return stride === 1 && C === O ? build.one(add, [x, y], { clamp: {} }, { from: `${name}/sum` }) : y
  }
  const x = build.input('image', f32(1, 8, 8, 4))
  const a = block(x, 'first', [4, 8, 4], 1)
  const b = block(a, 'second', [4, 6, 6], 2)
  const pooled = build.one(averagePool2d, [b], { kernel: [4, 4], stride: [4, 4], pad: [0, 0, 0, 0], clamp: {} })
  const flat = build.one(reshape, [pooled], { shape: [1, 6] })
  return build.graph([
    build.one(fullyConnected, [flat, weights('w', 6, 3, 6), weights('b', 6, 3)], { clamp: {}, keepDims: false }),
  ])
}

/** What is given at each step. */
type Steps = readonly (readonly Data[])[]
const RATE = Float32Array.of(0.05)
const images = (shape: readonly number[]): Steps => {
  const numbers = new Xorshift32(3)
  return [0, 2].map((label) => [numbers.fill(f32(...shape)), Int32Array.of(label)])
}
const CASES: readonly (readonly [Scheme, () => Graph, Steps])[] = [
  [
    'lora-2',
    story,
    [
      [1, 0, 2],
      [2, 1, 5],
    ].map((step) => step.map((v) => Int32Array.of(v))),
  ],
  [
    'adapter-3',
    story,
    [
      [1, 0, 2],
      [2, 1, 5],
    ].map((step) => step.map((v) => Int32Array.of(v))),
  ],
  ['lora-1', () => bottlenecks(), images([1, 8, 8, 4])],
  ['adapter-2', () => bottlenecks(), images([1, 8, 8, 4])],
  ['prompt-2', () => bottlenecks(), images([1, 8, 8, 4])],
  ['tinytl', () => bottlenecks(), images([1, 8, 8, 4])],
  ['bn-last', () => bottlenecks(true), images([1, 8, 8, 4])],
]

/** The graph with other numbers where it learns. */
function withParams(graph: Graph, data: ReadonlyMap<string, Data>): Graph {
  const values = new Map<Value, Value>()
  const to = (v: Value): Value => {
    if (v.storage !== 'param') return v
    const known = values.get(v) ?? { ...v, data: data.get(v.name)! }
    values.set(v, known)
    return known
  }
  return {
    ...graph,
    nodes: graph.nodes.map((n) => ({ ...n, inputs: n.inputs.map((v) => v && to(v)) })),
    outputs: graph.outputs.map(to),
  }
}

describe.each(CASES)('%s of %o', (learn, model, steps) => {
  const original = model()
  const { graph, params } = trainingStep(original, { learn })

  test('starts from what the model computes', () => {
    const [a, b] = [reference(original), reference(graph)]
    for (const given of steps) {
      const expected = a.run(given.slice(0, original.inputs.length))[0] as Float32Array
      const got = b.run([...given, Float32Array.of(0)])[1] as Float32Array
      for (const [i, v] of got.entries()) expect(v).toBeCloseTo(expected[i], 5)
    }
  })

  test('its gradients are finite differences of the loss', () => {
    const numbers = new Xorshift32(19)
    const last = steps.at(-1)!
    const start = new Map<string, Float32Array>(
      params.map(({ param }) => [
        param.name,
        Float32Array.from(param.data as Float32Array, (v) => v + (numbers.next() / 2 ** 32 - 0.5) * 0.4),
      ]),
    )
    const lossAt = (data: ReadonlyMap<string, Data>) => {
      const m = reference(withParams(graph, data))
      return Number(m.run([...last, Float32Array.of(0)])[0][0])
    }
    const m = reference(withParams(graph, start))
    const after = m.run([...last, Float32Array.of(1)])
    let moved = 0
    for (const [k, { param }] of params.entries()) {
      const before = start.get(param.name)!
      const now = after[after.length - params.length + k] as Float32Array
      for (const i of new Set([0, before.length >> 1, before.length - 1])) {
        const slope = (h: number) => {
          const at = (d: number) =>
            lossAt(new Map([...start, [param.name, before.map((v, j) => (j === i ? v + d : v))]]))
          return (at(h) - at(-h)) / (2 * h)
        }
        const [wide, wanted] = [slope(2 ** -8), slope(2 ** -10)]
        // No activation reaches its limit on the way.
        if (Math.abs(wide - wanted) > 0.01 * (0.05 + Math.abs(wanted))) continue
        const got = before[i] - now[i]
        if (Math.abs(wanted) > 1e-4) moved++
        expect(Math.abs(got - wanted), `${param.name} at ${i}: ${got}, ${wanted}`).toBeLessThan(
          0.02 * (0.05 + Math.abs(wanted)),
        )
      }
    }
    expect(moved).toBeGreaterThan(2)
  })

  test('has the same bits on every machine', async () => {
    const programs = ['wasm', 'c'].map((target) => compile(graph, { target }))
    const machines = [reference(graph), runPlan(programs[0].plan, 0xa5), await instantiate(programs[0])]
    if (hostCompiler()) machines.push(runHostC(programs[1].plan))
    for (const given of [...steps, ...steps]) {
      const [first, ...others] = machines.map((m) => m.run([...given, RATE]))
      for (const other of others) expect(other).toEqual(first)
    }
  })
})

describe('what is added', () => {
  test('blocks are found: what they read, where they end', () => {
    expect(blocksOf(bottlenecks()).map(({ input, end, stride }) => [input.name, end.from, stride])).toEqual([
      ['image', 'first/sum', 1],
      ['first/sum', 'second/project', 2],
    ])
  })

  test('the classifier learns beside it where it is new', () => {
    const names = (classes?: number) =>
      trainingStep(net(), { learn: 'adapter-2', classes }).params.map((p) => p.of.name)
    const own = ['down', 'down bias', 'up', 'up bias'].map((what) => `residual/adapter/${what}`)
    expect(names()).toEqual(own)
    expect(names(5)).toEqual(['classifier/weights', 'classifier/biases', ...own])
  })

  test('adam learns with tinytl, which starts from zero scales', () => {
    const { graph } = trainingStep(bottlenecks(), { learn: 'tinytl', optimizer: { kind: 'adam' } })
    const model = reference(graph)
    const [given] = images([1, 8, 8, 4])
    const losses = Array.from({ length: 8 }, () => Number(model.run([...given, Float32Array.of(0.01)])[0][0]))
    expect(losses.at(-1)).toBeLessThan(losses[0] / 2)
  })
})

describe('schemes without a place are refused', () => {
  test.each<[Scheme, () => Graph, RegExp]>([
    ['lora-2', int8Net, /lora-2 adds to layers with constant float32 weights, "int8" has none before its last/],
    ['adapter-2', int8Net, /adapter-2 adds to residual connections of float32, "int8" has none/],
    ['prompt-1', int8Net, /prompt-1 adds to a float32 image, "int8" takes i8 \[1,6,6,2\]/],
    ['prompt-1', story, /prompt-1 adds to a float32 image, "story" takes i32 \[1\], i32 \[1\]/],
    ['prompt-4', net, /prompt-4 is a frame of 4 pixels, the image has 8 x 8/],
    ['tinytl', int8Net, /tinytl adds a module to each block .* in float32, "int8" has none/],
    ['bn-last', net, /bn-last learns scales and shifts of batch norms, "net" has none: they are folded/],
    ['lora-0', net, /lora-0 asks for 0, expected 1 or more/],
  ])('%s', (learn, model, message) => {
    expect(() => trainingStep(model(), { learn })).toThrow(message)
  })
})
