import { describe, expect, test } from 'vitest'
import { quantizeGraph } from '../../src/compress/quantize/quantize.ts'
import { compile } from '../../src/emit/program.ts'
import { Builder } from '../../src/ir/build.ts'
import { type Graph, type Quant, quantOf, type TensorType, type Value } from '../../src/ir/graph.ts'
import type { Attrs, Op } from '../../src/ir/op.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { count, type Data } from '../../src/loops/ir.ts'
import { OPS } from '../../src/ops/index.ts'
import { qasSgd, type Rounding } from '../../src/ops/optimizer/qas.ts'
import { maskedOf } from '../../src/ops/qas/masked.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { differentiate } from '../../src/train/grad.ts'
import { gradOf } from '../../src/train/rules.ts'
import { trainingStep } from '../../src/train/step.ts'
import { describeShared, sharedModel } from '../shared/shared.ts'
import { net, sample } from './pictures.ts'
import { int8Net, perChannel } from './stored_net.ts'

type Plain = Exclude<Data, BigInt64Array>
const f32 = (...shape: number[]): TensorType => ({ dtype: 'f32', shape })
const op = (name: string) => OPS.get(name) as Op
const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1] }

interface Case {
  readonly op: string
  readonly attrs: Attrs
  /** Operands of int8 (int32 where there are no scales: biases). */
  readonly inputs: readonly { readonly shape: readonly number[]; readonly quant?: Quant }[]
  readonly y?: Quant
}

const X = quantOf(0.05, -3)
const Y = quantOf(0.5, 5)
const pool = { kernel: [3, 3], stride: [2, 2], pad: [1, 1, 1, 1], clamp: {} }
const LAYERS: readonly Case[] = [
  {
    op: 'conv2d',
    attrs: { ...window, groups: 1, clamp: {} },
    inputs: [{ shape: [1, 5, 4, 3], quant: X }, { shape: [4, 3, 3, 3], quant: perChannel(4, 0) }, { shape: [4] }],
    y: Y,
  },
  {
    op: 'conv2d',
    attrs: { ...window, stride: [2, 2], pad: [0, 0, 1, 1], groups: 2, clamp: { min: 0 } },
    inputs: [{ shape: [1, 6, 6, 4], quant: X }, { shape: [4, 3, 3, 2], quant: quantOf(0.02, 0) }, { shape: [4] }],
    y: Y,
  },
  {
    op: 'depthwise_conv2d',
    attrs: { ...window, stride: [2, 2], pad: [0, 0, 1, 1], clamp: { min: 0, max: 6 } },
    inputs: [{ shape: [1, 6, 6, 2], quant: X }, { shape: [1, 3, 3, 4], quant: perChannel(4, 3) }, { shape: [4] }],
    y: quantOf(0.06, -100),
  },
  {
    op: 'fully_connected',
    attrs: { clamp: {}, keepDims: true },
    inputs: [{ shape: [2, 3, 6], quant: X }, { shape: [5, 6], quant: perChannel(5, 0) }, { shape: [5] }],
    y: Y,
  },
  {
    op: 'add',
    attrs: { clamp: { min: -4, max: 3 } },
    inputs: [
      { shape: [2, 3, 4], quant: X },
      { shape: [3, 1], quant: quantOf(0.03, 7) },
    ],
    y: quantOf(0.07, 2),
  },
  { op: 'quantize', attrs: { dtype: 'i8' }, inputs: [{ shape: [3, 5], quant: X }], y: quantOf(0.07, 2) },
]
const CASES: readonly Case[] = [
  ...LAYERS,
  { op: 'average_pool2d', attrs: pool, inputs: [{ shape: [1, 5, 5, 2], quant: X }] },
  { op: 'max_pool2d', attrs: pool, inputs: [{ shape: [1, 5, 5, 2], quant: X }] },
  {
    op: 'mean',
    attrs: { axes: [1, 2], keepDims: true },
    inputs: [{ shape: [1, 3, 4, 2], quant: X }],
    y: quantOf(0.04, 1),
  },
  { op: 'reshape', attrs: { shape: [3, 2] }, inputs: [{ shape: [2, 3], quant: X }], y: X },
  { op: 'transpose', attrs: { perm: [2, 0, 1] }, inputs: [{ shape: [2, 3, 4], quant: X }], y: X },
  { op: 'pad', attrs: { low: [1, 0], high: [0, 2], value: -3 }, inputs: [{ shape: [2, 3], quant: X }], y: X },
  { op: 'slice', attrs: { begin: [1, 2], size: [2, 3], step: [1, 1] }, inputs: [{ shape: [4, 5], quant: X }], y: X },
  {
    op: 'concat',
    attrs: { axis: 1 },
    inputs: [
      { shape: [2, 1, 3], quant: X },
      { shape: [2, 2, 3], quant: X },
    ],
    y: X,
  },
  { op: 'dequantize', attrs: {}, inputs: [{ shape: [2, 3], quant: X }] },
]

/** The scale of each element of an operand; a bias has that of its sums. */
function scalesOf(c: Case, i: number): (at: number) => number {
  const { shape, quant } = c.inputs[i]
  if (!quant) {
    const { scale } = c.inputs[1].quant!
    return (at) => c.inputs[0].quant!.scale[0] * scale[at % scale.length]
  }
  const inner = quant.axis === undefined ? 1 : count(shape.slice(quant.axis + 1))
  return (at) => quant.scale[Math.floor(at / inner) % quant.scale.length]
}

/** The case on int8, masked where it can be. */
function storedCase(c: Case): { build: Builder; given: Value[]; outputs: Value[] } {
  const build = new Builder('stored')
  const given = c.inputs.map(({ shape, quant }, i) =>
    build.input(`x${i}`, { dtype: quant ? 'i8' : 'i32', shape, ...(quant && { quant }) }),
  )
  const outputs = build.add(maskedOf(op(c.op)) ?? op(c.op), given, c.attrs, c.y ? { quant: c.y } : {})
  return { build, given, outputs }
}

function storedInputs(c: Case, random: Xorshift32): Plain[] {
  return c.inputs.map(({ shape, quant }) =>
    quant
      ? Int8Array.from({ length: count(shape) }, () => random.between(-127, 127))
      : Int32Array.from({ length: count(shape) }, () => random.between(-3000, 3000)),
  )
}

/** What the case computes on the reals that operands stand for, without its limits. */
function onReals(c: Case): (reals: readonly Float32Array[]) => Float32Array {
  const build = new Builder('real')
  const given = c.inputs.map(({ shape }, i) => build.input(`x${i}`, f32(...shape)))
  if (c.op.endsWith('quantize')) return ([x]) => x
  const attrs = { ...c.attrs, ...('clamp' in c.attrs && { clamp: {} }), ...('value' in c.attrs && { value: 0 }) }
  const run = reference(build.graph([build.one(op(c.op), given, attrs)]))
  return (reals) => run.run(reals)[0] as Float32Array
}

function realInputs(c: Case, stored: readonly Plain[]): Float32Array[] {
  return stored.map((data, i) => {
    const [scale, zero] = [scalesOf(c, i), c.inputs[i].quant?.zero[0] ?? 0]
    return Float32Array.from(data, (v, at) => scale(at) * (v - zero))
  })
}

const title = (c: Case) => `${c.op} ${JSON.stringify(c.attrs)}`

describe('masks', () => {
  test.each(LAYERS.map((c) => [title(c), c] as const))('%s: as the real results lie within the limits', (_, c) => {
    const { build, outputs } = storedCase({ ...c, y: quantOf(c.y!.scale[0] / 4, c.y!.zero[0]) })
    const model = reference(build.graph(outputs))
    const [scale, zero] = [outputs[0].type.quant!.scale[0], outputs[0].type.quant!.zero[0]]
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = (c.attrs.clamp ?? {}) as {
      min?: number
      max?: number
    }
    const lo = Math.max(-128, Math.round(min / scale) + zero)
    const hi = Math.min(127, Math.round(max / scale) + zero)
    const reals = onReals(c)
    const random = new Xorshift32(3)
    const seen = [0, 0]
    for (let round = 0; round < 20; round++) {
      const given = storedInputs(c, random)
      const mask = model.run(given)[1] as Uint8Array
      reals(realInputs(c, given)).forEach((real, i) => {
        const before = real / scale + zero
        const bit = (mask[i >> 3] >> (i & 7)) & 1
        seen[bit]++
        // Requantisation is within a hundredth of a step of the real result but for the rounding.
        const close = Math.min(Math.abs(before - (lo - 0.5)), Math.abs(before - (hi + 0.5))) < 0.02
        if (!close) expect(bit, `${before} in ${lo} ... ${hi}`).toBe(before > lo - 0.5 && before < hi + 0.5 ? 1 : 0)
      })
    }
    expect(Math.min(...seen)).toBeGreaterThan(10)
  })
})

describe('gradients with respect to stored integers', () => {
  test.each(CASES.map((c) => [title(c), c] as const))('%s: as finite differences of the dequantised layer', (_, c) => {
    const { build, given, outputs } = storedCase(c)
    const { nodes } = build.graph([])
    const [y] = outputs
    const random = new Xorshift32(5)
    const seed = build.const('seed', f32(...y.type.shape), random.fill(f32(...y.type.shape)) as Float32Array)
    const gradients = differentiate(build, nodes, new Map([[y, seed]]), new Set(given))
    const stored = storedInputs(c, random)
    const backward = reference(build.graph([...given.map((v) => gradients.get(v)!), ...outputs.slice(1)]))
    const found = backward.run(stored)
    const mask = found[given.length] as Uint8Array | undefined
    const passes = (i: number) => (mask ? (mask[i >> 3] >> (i & 7)) & 1 : 1)
    const reals = realInputs(c, stored)
    const f = onReals(c)
    const sy = y.type.quant?.scale[0] ?? 1
    const value = (at: readonly Float32Array[]) =>
      f(at).reduce((sum, v, i) => sum + (passes(i) * v * (seed.data as Float32Array)[i]) / sy, 0)
    reals.forEach((x, k) => {
      const scale = scalesOf(c, k)
      for (let i = 0; i < x.length; i++) {
        const h = c.op === 'max_pool2d' ? scale(i) / 4 : 0.5
        const moved = (by: number) => reals.map((r, j) => (j === k ? r.map((v, at) => (at === i ? v + by : v)) : r))
        const wanted = ((value(moved(h)) - value(moved(-h))) / (2 * h)) * scale(i)
        const got = (found[k] as Float32Array)[i]
        // A maximum of equal int8 elements goes to the first; differences halve it.
        const ties = c.op === 'max_pool2d' && stored[k].indexOf(stored[k][i]) !== stored[k].lastIndexOf(stored[k][i])
        if (!ties)
          expect(Math.abs(got - wanted), `input ${k} at ${i}: ${got}, ${wanted}`).toBeLessThan(
            2e-3 * (1 + Math.abs(wanted)),
          )
      }
    })
  })

  test('every rule is tried', () => {
    // Parts of layers are compared with the whole ones in scheme.test.ts.
    const parts = ['masked_partial_conv2d', 'masked_partial_depthwise_conv2d']
    const tried = new Set([...CASES.map((c) => (maskedOf(op(c.op)) ?? op(c.op)).name), ...parts])
    expect([...OPS.values()].filter((o) => gradOf(o, 'stored') && !tried.has(o.name)).map((o) => o.name)).toEqual([])
  })

  test('what cannot be learned through is named', () => {
    const plain = new Builder('plain')
    const x = plain.input('x', { dtype: 'i8', shape: [1, 4], quant: X })
    const y = plain.one(OPS.get('logistic') as Op, [x], {}, { quant: quantOf(1 / 256, -128) })
    const { nodes } = plain.graph([y])
    const seed = plain.input('seed', f32(1, 4))
    expect(() => differentiate(plain, nodes, new Map([[y, seed]]), new Set([x]))).toThrow(
      /logistic of int8 has no gradient/,
    )
  })
})

interface Updated {
  readonly before: Plain
  after(gradient: Float32Array, rate: number): Plain
}

function updating(dtype: 'i8' | 'i32', rounding: Rounding, scale: readonly number[], before: Plain, step = 0): Updated {
  const build = new Builder('update')
  const shape = [before.length / scale.length, scale.length]
  const param = build.param('p', { dtype, shape }, before)
  const g = build.input('g', f32(...shape))
  const rate = build.input('rate', f32(1))
  const at = build.const('step', { dtype: 'i32', shape: [1] }, Int32Array.of(step))
  build.add(qasSgd, [param, g, rate, at], { scale, axis: 1, rounding, seed: 3, tensor: 1 })
  const graph = build.graph([param])
  return { before, after: (gradient, r) => reference(graph).run([gradient, Float32Array.of(r)])[0] as Plain }
}

describe('updates of stored integers', () => {
  const scale = [0.02, 0.005, 0.5, 0]
  const random = new Xorshift32(17)
  const gradient = Float32Array.from({ length: 400 }, () => (random.next() / 2 ** 31 - 1) * 0.01)

  test.each([
    ['i8', 'nearest', 0.5],
    ['i8', 'stochastic', 1],
    ['i32', 'nearest', 0.5],
    ['i32', 'stochastic', 1],
  ] as const)(
    '%s, %s: the dequantised step is one of float32 sgd, within %f of a stored step',
    (dtype, rounding, most) => {
      const before = dtype === 'i8' ? new Int8Array(400) : new Int32Array(400)
      before.forEach((_, i) => {
        before[i] = random.between(-30, 30)
      })
      const after = updating(dtype, rounding, scale, before).after(gradient, 0.1)
      let moved = 0
      gradient.forEach((g, i) => {
        const s = scale[i % 4]
        if (s === 0) {
          expect(after[i]).toBe(before[i])
          return
        }
        // The gradient with respect to the real weight is that of the stored one over the scale.
        const real = s * before[i] - (0.1 * g) / s
        if (dtype === 'i8' && Math.abs(real / s) > 126) return
        expect(Math.abs(s * after[i] - real)).toBeLessThanOrEqual(s * most * 1.0001)
        if (after[i] !== before[i]) moved++
      })
      expect(moved).toBeGreaterThan(40)
    },
  )

  test('saturate at the limits of what is stored', () => {
    const far = new Float32Array(8).map((_, i) => (i % 2 ? 1 : -1) * 1e9)
    const bytes = updating(
      'i8',
      'stochastic',
      [1],
      Int8Array.from(far, (_, i) => i * 20 - 80),
    ).after(far, 1)
    expect([...bytes]).toEqual([127, -127, 127, -127, 127, -127, 127, -127])
    const words = (size: number) =>
      updating(
        'i32',
        'stochastic',
        [1],
        Int32Array.from(far, (v) => -size * Math.sign(v)),
      ).after(far, 2)
    expect([...words(1e9)]).toEqual([...far].map((v) => -(2 ** 30) * Math.sign(v)))
    // what is beyond already goes no further
    expect([...words(2e9)]).toEqual([...far].map((v) => -2e9 * Math.sign(v)))
  })

  test('stochastic rounding is unbiased, and another draw at every step', () => {
    const n = 1000
    for (const d of [0.3, -0.3, 0.02, 1.75]) {
      const sums = new Float64Array(n)
      const draws = Array.from({ length: 50 }, (_, step) =>
        updating('i8', 'stochastic', [1], new Int8Array(n), step).after(new Float32Array(n).fill(d), 1),
      )
      for (const draw of draws) for (let i = 0; i < n; i++) sums[i] -= draw[i]
      const mean = sums.reduce((a, b) => a + b, 0) / (50 * n)
      const share = d - Math.floor(d)
      const deviation = Math.sqrt((share * (1 - share)) / (50 * n))
      expect(Math.abs(mean - d)).toBeLessThan(4 * deviation)
      // Each element's 50 draws are independent as well: their sums scatter as those of coins do.
      const scatter = sums.reduce((a, s) => a + (s - 50 * d) ** 2, 0) / n
      expect(scatter / (50 * share * (1 - share))).toBeGreaterThan(0.8)
      expect(scatter / (50 * share * (1 - share))).toBeLessThan(1.2)
    }
  })

  test('truncation drops the fraction of the new value, towards zero', () => {
    const before = Int8Array.of(5, -5, 5, -5, 0, 1)
    const after = updating('i8', 'truncate', [1], before).after(Float32Array.of(0.1, 0.1, -0.1, -0.1, 0.9, 2.5), 1)
    expect([...after]).toEqual([4, -5, 5, -4, 0, -1])
  })
})

describe('a training step of an int8 model', () => {
  test.each([
    ['stochastic', undefined],
    ['nearest', undefined],
    ['truncate', 4],
  ] as const)('%s, %s classes: 20 steps have the same bits on every machine', async (rounding, classes) => {
    const { graph, params } = trainingStep(int8Net(), { learn: 'full', rounding, classes })
    const programs = ['wasm', 'c'].map((target) => compile(graph, { target }))
    const machines = [reference(graph), runPlan(programs[0].plan, 0xa5), await instantiate(programs[0])]
    if (hostCompiler()) machines.push(runHostC(programs[1].plan))
    const random = new Xorshift32(3)
    let last: Data[] = []
    for (let i = 0; i < 20; i++) {
      const image = Int8Array.from({ length: 72 }, () => random.between(-128, 127))
      const given = [image, Int32Array.of(i % 3), Float32Array.of(0.05)]
      const [first, ...others] = machines.map((m) => m.run(given))
      for (const other of others) expect(other).toEqual(first)
      last = first
    }
    const [w1, , w2, b2] = last.slice(last.length - params.length) as Plain[]
    const kept = (data: Plain, of: Value, every: number) =>
      data.filter((_, i) => i % every === 2).every((v, i) => v === (of.data as Plain)[i * every + 2])
    expect(kept(w2, params[2].of, 6) && kept(b2, params[3].of, 6)).toBe(true)
    expect(kept(w2, params[2].of, 3)).toBe(false)
    expect(params[2].stored!.scale[2]).toBe(0)
    if (rounding !== 'truncate') expect(w1.some((v) => Math.abs(v) === 127)).toBe(true)
  })

  test('what learns is the stored integers: int8 weights, int32 biases, and a float32 classifier where one is asked for', () => {
    const types = (classes?: number) =>
      trainingStep(int8Net(), { learn: 'last-2', classes }).params.map(
        ({ param }) => `${param.type.dtype} ${param.type.shape}`,
      )
    expect(types()).toEqual(['i8 6,1,1,6', 'i32 6', 'i8 3,6', 'i32 3'])
    expect(types(5)).toEqual(['i8 6,1,1,6', 'i32 6', 'f32 5,6', 'f32 5'])
  })

  test('the gradient of int8 weights is never kept', () => {
    const { graph } = trainingStep(int8Net(), { learn: 'full' })
    const names = graph.nodes.map((n) => n.op.name)
    expect(names.filter((name) => name === 'qas_sgd_window').length).toBe(4)
    expect(names).not.toContain('conv_weight_gradient')
  })

  test('other optimizers and too few classes are refused', () => {
    const step = (options: object) => () => trainingStep(int8Net(), { learn: 'last', ...options })
    expect(step({ optimizer: { kind: 'adam' } })).toThrow(/is adam, int8 weights and their biases learn by sgd/)
    expect(step({ classes: 1 })).toThrow(/are 1, expected a whole number from 2 on/)
  })

  test('a net learns new classes with stochastic rounding, less well with nearest, and not at all with truncation', async () => {
    const float = trainingStep(net(), { learn: 'full' })
    const teacher = await instantiate(compile(float.graph))
    const random = new Xorshift32(9)
    let after: Data[] = []
    for (let i = 0; i < 800; i++) {
      const { image, label } = sample(random)
      after = teacher.run([image, Int32Array.of(label), Float32Array.of(0.1)])
    }
    const learned = new Map(float.params.map(({ of }, i) => [of.name, after[after.length - float.params.length + i]]))
    const start = net()
    const trained: Graph = {
      ...start,
      nodes: start.nodes.map((n) => ({
        ...n,
        inputs: n.inputs.map((v) => (v && learned.has(v.name) ? { ...v, data: learned.get(v.name)! } : v)),
      })),
    }
    const pictures = Array.from({ length: 32 }, () => [sample(random).image])
    const { graph } = await quantizeGraph(trained, { count: 32, inputs: (i) => pictures[i] }, { io: 'float' })
    const lossAfter = async (rounding: Rounding) => {
      const model = await instantiate(compile(trainingStep(graph, { learn: 'full', rounding }).graph))
      const given = new Xorshift32(9)
      let sum = 0
      for (let i = 0; i < 1000; i++) {
        const { image, label } = sample(given)
        const [loss] = model.run([image, Int32Array.of((label + 1) % 3), Float32Array.of(0.003)])
        if (i >= 800) sum += Number(loss[0])
      }
      return sum / 200
    }
    const [stochastic, nearest, truncate] = [
      await lossAfter('stochastic'),
      await lossAfter('nearest'),
      await lossAfter('truncate'),
    ]
    expect(stochastic).toBeLessThan(0.15)
    expect(nearest).toBeGreaterThan(2 * stochastic)
    expect(truncate).toBeGreaterThan(0.95 * Math.log(3))
  })
})

describeShared('training steps of real int8 models', () => {
  test.each(
    ['mcunet-5fps', 'mbv2-w0.35'].flatMap((name) =>
      (['bias-last-3', 'last-2'] as const).map((learn) => [name, learn] as const),
    ),
  )('%s, %s: compiles for cortex-m7 and wasm, and steps with equal bits', async (name, learn) => {
    const model = sharedModel(`models/tiny_training/${name}_int8.tflite`)
    const { graph, params } = trainingStep(model, { learn, classes: 10 })
    expect(compile(graph, { target: 'cortex-m7' }).plan.arenaBytes).toBeLessThan(300_000)
    const given = [new Xorshift32(1).fill(model.inputs[0].type), Int32Array.of(3), Float32Array.of(0.01)]
    const expected = reference(graph).run(given)
    expect((await instantiate(compile(graph))).run(given)).toEqual(expected)
    params.forEach(({ of }, i) => {
      expect(expected[expected.length - params.length + i]).not.toEqual(of.data)
    })
  })
})
