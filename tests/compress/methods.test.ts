import { expect, test } from 'vitest'
import { calibrate } from '../../src/compress/quantize/calibrate.ts'
import { equalize } from '../../src/compress/quantize/equalize.ts'
import { aloneQuantized, layerNoise, ownLayers } from '../../src/compress/quantize/measure.ts'
import { prepare } from '../../src/compress/quantize/prepare.ts'
import { type QuantizeOptions, quantizeGraph } from '../../src/compress/quantize/quantize.ts'
import { quantOfRange, rangeOfStatistics } from '../../src/compress/quantize/range.ts'
import { roundChannel } from '../../src/compress/quantize/round.ts'
import { Statistics } from '../../src/compress/quantize/statistics.ts'
import type { Graph, Node } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { pairedDifference } from '../../src/report/quantization.ts'
import { mobile, noiseBetween, samplesOf } from './nets.ts'

const named = (graph: Graph, from: string): Node => graph.nodes.find((node) => node.from === from)!

/** About normal, from twelve uniform numbers. */
function normal(random: Xorshift32): number {
  let sum = 0
  for (let i = 0; i < 12; i++) sum += random.next() / 2 ** 32
  return sum - 6
}

function statisticsOf(parts: readonly Float32Array[], channels = 1): Statistics {
  const s = new Statistics(channels)
  for (const part of parts) s.add(part)
  return s
}

test('a histogram that grew part by part is the one of all parts at once, in its bins', () => {
  const random = new Xorshift32(3)
  const parts = Array.from({ length: 20 }, (_, i) =>
    Float32Array.from({ length: 500 }, () => normal(random) * 1.7 ** i),
  )
  const grown = statisticsOf(parts)
  const whole = new Float64Array(grown.bins.length)
  for (const x of parts.flatMap((p) => [...p])) whole[Math.floor(x / grown.width) + whole.length / 2]++
  expect(grown.bins).toEqual(whole)
  expect(grown.count).toBe(10000)
  expect(grown.least).toBe(Math.min(...parts.flatMap((p) => [...p])))
})

test('channels have their own ranges and means', () => {
  const s = statisticsOf([Float32Array.of(1, -2, 3, -4), Float32Array.of(5, 0)], 2)
  expect([...s.channelLeast]).toEqual([1, -4])
  expect([...s.channelMost]).toEqual([5, 0])
  expect([s.mean(0), s.mean(1)]).toEqual([3, -2])
})

test('an outlier widens minmax, and the other methods leave it out', () => {
  const random = new Xorshift32(9)
  const s = statisticsOf([Float32Array.from({ length: 60000 }, () => normal(random)), Float32Array.of(90)])
  const hi = (method: 'minmax' | 'percentile' | 'mse' | 'entropy') => rangeOfStatistics(s, method, 99.99).hi
  expect(hi('minmax')).toBe(90)
  expect(hi('mse')).toBeLessThan(90)
  expect(hi('entropy')).toBeLessThan(30)
  expect(hi('percentile')).toBeLessThan(5)
  for (const method of ['percentile', 'mse', 'entropy'] as const) expect(hi(method)).toBeGreaterThan(2)
  expect(rangeOfStatistics(s, 'percentile', 100).hi).toBe(90)
})

test('a range holds 0 at its zero point exactly, int16 is symmetric, and nothing but 0 has scale 1', () => {
  const of = (lo: number, hi: number, dtype: 'i8' | 'i16') => {
    const { scale, zero } = quantOfRange({ lo, hi }, dtype)
    return [scale[0], zero[0]]
  }
  expect(of(0, 25.5, 'i8')).toEqual([Math.fround(0.1), -128])
  expect(of(-25.5, 0, 'i8')).toEqual([Math.fround(0.1), 127])
  expect(of(-3, 1, 'i16')).toEqual([Math.fround(3 / 32767), 0])
  expect(quantOfRange({ lo: 0, hi: 0 }, 'i8').scale[0]).toBe(1)
})

test('equalising undoes factors between layers that one scale for all weights cannot bear', async () => {
  const net = prepare(mobile())
  const times = (from: string, input: number, factor: (i: number, length: number) => number) => {
    const data = named(net, from).inputs[input]!.data as Float32Array
    data.forEach((x, i) => {
      data[i] = x * factor(i, data.length)
    })
  }
  const size = (c: number) => 4 ** ((c % 5) - 2)
  times('stem', 1, (i, n) => size(Math.floor(i / (n / 10))))
  times('stem', 2, (i) => size(i))
  for (const from of ['depth', 'skip']) times(from, 1, (i) => 1 / size(i % 10))
  const samples = samplesOf(net, 12)
  const even = equalize(net, await calibrate(net, samples))
  expect(await noiseBetween([net, net.outputs[0]], [even, even.outputs[0]], samples)).toBeGreaterThan(100)
  const noise = async (how: QuantizeOptions) => {
    const { graph } = await quantizeGraph(net, samples, { weights: 'per-tensor', ...how })
    return noiseBetween([net, named(net, 'point').outputs[0]], [graph, named(graph, 'point').outputs[0]], samples)
  }
  expect(await noise({ equalize: true })).toBeGreaterThan((await noise({})) + 6)
})

test('equalising at a ReLU6 keeps channels that reach 6, and so the outputs on what calibration saw', async () => {
  const net = prepare(mobile({ spread: 50, clamp: { min: 0, max: 6 } }))
  const samples = samplesOf(net, 12)
  const seen = await calibrate(net, samples)
  const depth = named(net, 'depth').outputs[0]
  const full = [...seen.get(depth)!.channelMost].map((m) => m === 6)
  expect(full.includes(true) && full.includes(false)).toBe(true)
  const even = equalize(net, seen)
  expect(await noiseBetween([net, net.outputs[0]], [even, even.outputs[0]], samples)).toBeGreaterThan(100)
  const again = await calibrate(even, samples)
  ;[...again.get(depth)!.channelMost].forEach((m, c) => {
    if (full[c]) expect(m).toBe(6)
    else expect(m).toBeLessThan(6)
  })
})

test('rounding as the outputs ask has no more error than the nearest, and no single step lowers it', () => {
  const random = new Xorshift32(4)
  const K = 12
  const rows = Array.from({ length: 200 }, () => {
    const common = normal(random)
    return Float64Array.from({ length: K }, () => common + 0.3 * normal(random))
  })
  const C = new Float64Array(K * K)
  for (const x of rows)
    for (let i = 0; i < K; i++) for (let j = 0; j < K; j++) C[i * K + j] += (x[i] * x[j]) / rows.length
  for (let channel = 0; channel < 20; channel++) {
    const real = Float64Array.from({ length: K }, () => normal(random))
    const scale = 0.7
    const error = (q: ArrayLike<number>) => {
      const off = Float64Array.from(real, (w, k) => scale * q[k] - w)
      return off.reduce((s, a, i) => s + a * off.reduce((t, b, j) => t + C[i * K + j] * b, 0), 0)
    }
    const nearest = Int32Array.from(real, (w) => Math.max(-7, Math.min(7, Math.round(w / scale))))
    const { integers: q, loss } = roundChannel(real, scale, C, new Float64Array(K), [-7, 7], 1e6)
    expect(loss).toBeGreaterThanOrEqual(error(q))
    expect(error(q)).toBeLessThanOrEqual(error(nearest))
    const ridge = 0.02 * Math.max(...C)
    for (let k = 0; k < K; k++)
      for (const step of [-1, 1]) {
        const other = q.slice()
        other[k] += step
        const size = (scale * other[k] - real[k]) ** 2 + (scale * q[k] - real[k]) ** 2
        if (Math.abs(other[k]) <= 7) expect(error(other)).toBeGreaterThan(error(q) - ridge * size - 1e-9)
      }
  }
})

test('bias correction and adaround lower the error of int4 models, the same for one seed', async () => {
  const net = mobile({ spread: 4, channels: 40 })
  const samples = samplesOf(net, 32)
  const others = samplesOf(net, 16, 77)
  const made = (options: QuantizeOptions) => quantizeGraph(net, samples, { weightBits: 4, ...options })
  const noise = async (options: QuantizeOptions) => {
    const q = await made(options)
    return noiseBetween([net, named(net, 'dense').outputs[0]], [q.graph, named(q.graph, 'dense').outputs[0]], others)
  }
  const nearest = await noise({})
  expect(await noise({ correctBias: true })).toBeGreaterThan(nearest + 0.5)
  expect(await noise({ rounding: 'adaround', correctBias: true })).toBeGreaterThan(nearest + 3)
  const data = async (seed: number) => {
    const { decisions } = await made({ rounding: 'adaround', seed })
    return [...decisions.weights.values()].map((w) => w.data)
  }
  expect(await data(2)).toEqual(await data(2))
})

test('the noise of a layer alone is less than that of the whole model', async () => {
  const net = mobile()
  const samples = samplesOf(net, 12)
  const q = await quantizeGraph(net, samples)
  const noise = await layerNoise(q, samples)
  expect(noise.map((l) => l.node.from)).toEqual(q.float.nodes.map((n) => n.from))
  expect(noise.every((l) => l.sqnr > 15 && (l.weightSqnr ?? 40) > 35)).toBe(true)
  expect(ownLayers(q).map((n) => n.from)).toEqual(['stem', 'depth', 'point', 'skip', 'sum', 'dense', 'scores'])
  const whole = await noiseBetween([net, net.outputs[0]], [q.graph, q.graph.outputs[0]], samples)
  const alone = aloneQuantized(q, ownLayers(q)[1])
  expect(alone.inputs[0].type.dtype).toBe('f32')
  expect(await noiseBetween([net, net.outputs[0]], [alone, alone.outputs[0]], samples)).toBeGreaterThan(whole)
})

test('the interval of a paired difference depends on the inputs on which both models differ', () => {
  const right = (n: number, from: number, to: number) => Array.from({ length: n }, (_, i) => i >= from && i < to)
  const same = pairedDifference(right(1000, 0, 900), right(1000, 0, 900))
  expect(same.difference).toBe(0)
  expect(same.interval[1] - same.interval[0]).toBeLessThan(0.005)
  const shifted = pairedDifference(right(1000, 0, 900), right(1000, 90, 980))
  expect(shifted.difference).toBeCloseTo(-0.01)
  expect(shifted.interval[0]).toBeLessThan(-0.03)
  expect(shifted.interval[1]).toBeGreaterThan(0.005)
})
