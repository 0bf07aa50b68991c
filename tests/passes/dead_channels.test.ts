import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { type Graph, quantOf, type Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { verify } from '../../src/ir/verify.ts'
import { count, type Data } from '../../src/loops/ir.ts'
import {
  add,
  averagePool2d,
  clamp,
  concat,
  conv2d,
  depthwiseConv2d,
  fullyConnected,
  logistic,
  maxPool2d,
  mean,
  pad,
  reshape,
} from '../../src/ops/all.ts'
import { CaseBuilder, i8 } from '../../src/ops/case.ts'
import { deadChannels, narrowTo } from '../../src/passes/dead_channels.ts'
import { fuse } from '../../src/passes/fuse.ts'
import { reference } from '../../src/run/reference.ts'
import { randomGraph } from '../support/random_graph.ts'

const exact = narrowTo(1)
const ZERO = -128
const RELU = { min: 0 }
const Q = quantOf(0.05, ZERO)
const plainWindow = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0] }
const samePad = { ...plainWindow, pad: [1, 1, 1, 1] }

/** Inputs that are random, and those that are all one value: the extremes, 0, and the zero point. */
function inputs(graph: Graph): Data[][] {
  const random = new Xorshift32(7)
  const rounds = Array.from({ length: 6 }, () => graph.inputs.map((v) => random.fill(v.type)))
  const fills = [-128, 127, 0].map((value) =>
    graph.inputs.map((v) =>
      v.type.dtype === 'i8' ? new Int8Array(count(v.type.shape)).fill(value) : random.fill(v.type),
    ),
  )
  const ends = graph.inputs.map((v) =>
    v.type.dtype === 'i8'
      ? Int8Array.from({ length: count(v.type.shape) }, () => (random.between(0, 1) ? 127 : -128))
      : random.fill(v.type),
  )
  return [...rounds, ...fills, ends]
}

/** The graph after the pass, which computed the same on all `inputs`. */
function narrowed(graph: Graph, pass = exact): Graph {
  const after = verify(pass(verify(graph)))
  for (const x of inputs(graph)) expect(reference(after).run(x)).toEqual(reference(graph).run(x))
  return after
}

const macs = (graph: Graph) => graph.nodes.reduce((sum, node) => sum + node.op.cost(node).macs, 0)

/** Last dimensions of what the nodes compute. */
const widths = (graph: Graph) => graph.nodes.map((node) => node.outputs[0].type.shape.at(-1))

class Net extends CaseBuilder {
  readonly x = this.input('x', i8([1, 5, 6, 3], 0.04, -5))

  /** A bias that keeps the sums of the channels `fixed` at what the values of `fixed` ask for: far below, or far above. */
  private fixedBias(n: number, fixed: Readonly<Record<number, 'least' | 'most'>>): Value {
    const data = Int32Array.from({ length: n }, (_, c) =>
      fixed[c] ? (fixed[c] === 'least' ? -(2 ** 29) : 2 ** 29) : this.random.between(-3000, 3000),
    )
    return this.const('b', { dtype: 'i32', shape: [n] }, data)
  }

  /** A convolution whose channels `fixed` have one value: that of 0 or, of the other kind, that of 6. */
  conv(
    x: Value,
    n: number,
    fixed: Readonly<Record<number, 'least' | 'most'>> = {},
    size = 1,
    window = plainWindow,
  ): Value {
    const w = this.weights('w', [n, size, size, x.type.shape[3]], 0.004, 0)
    const attrs = { ...window, groups: 1, clamp: { min: 0, max: 6 } }
    return this.one(conv2d, [x, w, this.fixedBias(n, fixed)], attrs, { quant: Q })
  }

  depthwise(x: Value, fixed: Readonly<Record<number, 'least' | 'most'>> = {}, each = 1, window = samePad): Value {
    const n = x.type.shape[3] * each
    const w = this.weights('w', [1, 3, 3, n], 0.004, 3)
    return this.one(depthwiseConv2d, [x, w, this.fixedBias(n, fixed)], { ...window, clamp: RELU }, { quant: Q })
  }

  dense(x: Value, n = 3): Value {
    const w = this.weights('w', [n, count(x.type.shape.slice(1))], 0.02, 0)
    return this.one(fullyConnected, [x, w], { clamp: {}, keepDims: false }, { quant: quantOf(0.1, 3) })
  }
}

describe('dead channels', () => {
  test('a convolution without padding takes over any constant', () => {
    const net = new Net('conv')
    const a = net.conv(net.x, 5, { 1: 'least', 3: 'most' })
    const graph = net.graph([net.conv(a, 4, {}, 3)])
    const after = narrowed(graph)
    expect(widths(after)).toEqual([3, 4])
    expect(after.nodes[1].inputs[1]!.type.shape).toEqual([4, 3, 3, 3])
    expect(after.nodes[0].inputs[1]!.type.quant!.scale).toHaveLength(3)
  })

  test('a bias appears where there was none', () => {
    const net = new Net('no bias')
    const a = net.conv(net.x, 4, { 2: 'most' })
    const graph = net.graph([
      net.one(
        conv2d,
        [a, net.weights('w', [2, 1, 1, 4], 0.02)],
        { ...plainWindow, groups: 1, clamp: {} },
        { quant: Q },
      ),
    ])
    const after = narrowed(graph)
    expect(widths(after)).toEqual([3, 2])
    expect(after.nodes[1].inputs[2]!.data).not.toEqual(new Int32Array(2))
  })

  test('a convolution with padding takes over the zero point alone', () => {
    const net = new Net('padded conv')
    const a = net.conv(net.x, 5, { 1: 'least', 3: 'most' })
    const after = narrowed(net.graph([net.conv(a, 4, {}, 3, samePad)]))
    expect(widths(after)).toEqual([4, 4])
  })

  test('a constant input of a convolution with padding proves nothing at the border', () => {
    const net = new Net('border')
    const a = net.conv(net.x, 1, { 0: 'most' })
    const weights = Int8Array.from({ length: 18 }, (_, i) => (i < 9 ? 100 : i))
    const w = net.const('w', { dtype: 'i8', shape: [2, 3, 3, 1], quant: quantOf(0.0012, 0) }, weights)
    const attrs = { ...samePad, groups: 1, clamp: { min: 0, max: 6 } }
    const b = net.one(conv2d, [a, w], attrs, { quant: Q })
    expect(widths(narrowed(net.graph([net.conv(b, 2)])))).toEqual([1, 2, 2])
  })

  test('channels go through depthwise convolutions, pools, clamps and means', () => {
    const net = new Net('chain')
    const a = net.conv(net.x, 6, { 0: 'least', 5: 'most' })
    const b = net.depthwise(a, { 2: 'least' })
    const c = net.one(maxPool2d, [b], { kernel: [2, 2], stride: [1, 1], pad: [0, 0, 0, 0], clamp: {} }, { quant: Q })
    const d = net.one(
      averagePool2d,
      [c],
      { kernel: [2, 2], stride: [1, 1], pad: [1, 1, 1, 1], clamp: {} },
      { quant: Q },
    )
    const e = net.one(clamp, [d], { min: 0, max: 3 }, { quant: quantOf(0.03, -100) })
    const g = net.one(mean, [e], { axes: [1, 2], keepDims: false }, { quant: quantOf(0.04, 9) })
    const after = narrowed(net.graph([net.dense(g)]))
    // 0 has one value to the end, 2 is needed by nobody; 5 has another value at the border than inside.
    expect(widths(after)).toEqual([4, 4, 4, 4, 4, 4, 3])
  })

  test('a pad keeps the channel, unless it is by the same value', () => {
    for (const [value, fixed, width] of [
      [ZERO, 'least', 3],
      [ZERO + 1, 'least', 4],
      [ZERO, 'most', 4],
    ] as const) {
      const net = new Net('pad')
      const a = net.conv(net.x, 4, { 1: fixed })
      const b = net.one(pad, [a], { low: [0, 1, 0, 0], high: [0, 0, 1, 0], value }, { quant: Q })
      expect(widths(narrowed(net.graph([net.conv(b, 3)])))).toEqual([width, width, 3])
    }
  })

  test('a depthwise convolution with several outputs a channel drops them together', () => {
    const net = new Net('multiplier')
    const a = net.conv(net.x, 4)
    const b = net.depthwise(a, { 2: 'least', 3: 'most', 4: 'least' }, 2, plainWindow)
    expect(widths(narrowed(net.graph([net.conv(b, 3)])))).toEqual([3, 6, 3])
  })

  test('a fully connected layer of flat images drops all positions of a channel', () => {
    for (const reshaped of [false, true]) {
      const net = new Net('flat')
      const a = net.conv(net.x, 4, { 1: 'most', 2: 'least' })
      const flat = reshaped ? net.one(reshape, [a], { shape: [1, 120] }, { quant: Q }) : a
      const after = narrowed(net.graph([net.dense(flat)]))
      expect(after.nodes.at(-1)!.inputs[1]!.type.shape).toEqual([3, 60])
      expect(widths(after)).toEqual(reshaped ? [2, 60, 3] : [2, 3])
    }
  })

  test('a residual sum drops what both of its operands can', () => {
    const net = new Net('residual')
    const a = net.conv(net.x, 4, { 0: 'least', 1: 'least', 2: 'most' })
    const b = net.conv(net.conv(a, 4), 4, { 1: 'least', 2: 'most' })
    const sum = net.one(add, [a, b], { clamp: {} }, { quant: quantOf(0.1, -128) })
    const after = narrowed(net.graph([net.conv(sum, 3)]))
    const [first, , second, both] = widths(after)
    expect([first, second, both]).toEqual([2, 2, 2])
  })

  test('inputs and outputs of the model, and what operators read as a whole, keep their channels', () => {
    const net = new Net('ends')
    const a = net.conv(net.x, 4, { 0: 'least' })
    const b = net.conv(a, 4, { 1: 'least' })
    const c = net.one(concat, [b, b], { axis: 3 }, { quant: Q })
    const d = net.conv(c, 4, { 2: 'least' })
    const e = net.one(logistic, [d], {})
    expect(widths(narrowed(net.graph([a, e])))).toEqual([4, 4, 8, 4, 4])
  })

  test('what a wider range would not prove follows from the range of the input', () => {
    const net = new Net('range')
    const positive = (n: number, m: number) =>
      net.const('w', { dtype: 'i8', shape: [n, 1, 1, m], quant: quantOf(0.02, 0) }, new Int8Array(n * m).fill(20))
    const relu = net.conv(net.x, 4)
    const bias = net.const('b', { dtype: 'i32', shape: [3] }, Int32Array.of(0, -20 * 120 * 4, 0))
    const attrs = { ...plainWindow, groups: 1, clamp: RELU }
    const b = net.one(conv2d, [relu, positive(3, 4), bias], attrs, { quant: Q })
    expect(widths(narrowed(net.graph([net.conv(b, 2)])))).toEqual([4, 2, 2])
  })

  test('sums that may wrap prove nothing', () => {
    const net = new Net('wrap')
    const x = net.input('one', i8([1, 1, 1, 1], 1, 0))
    const w = net.const('w', { dtype: 'i8', shape: [2, 1, 1, 1], quant: quantOf(1, 0) }, Int8Array.of(127, 1))
    const b = net.const('b', { dtype: 'i32', shape: [2] }, Int32Array.of(127 * 128 + 500, 0))
    // Times 2^20 before the high product: both ends are positive, what lies between them is not.
    const quant = quantOf(2 ** -19, ZERO)
    const a = net.one(conv2d, [x, w, b], { ...plainWindow, groups: 1, clamp: {} }, { quant })
    expect(widths(narrowed(net.graph([net.conv(a, 2)])))).toEqual([2, 2])
  })

  test('random models compute the same without dead channels, before and after fusion', () => {
    let gone = 0
    for (let seed = 1; seed <= 40; seed++) {
      const graph = randomGraph(seed)
      for (const before of [graph, fuse(graph)]) {
        const after = narrowed(before)
        gone += macs(before) - macs(after)
      }
    }
    expect(gone).toBeGreaterThan(100)
  })

  test('one channel stays where all are dead, and as many as asked for', () => {
    const net = new Net('all')
    const a = net.conv(net.x, 6, { 0: 'most', 1: 'least', 2: 'most', 3: 'least', 4: 'most', 5: 'least' })
    const graph = net.graph([net.conv(a, 3)])
    expect(widths(narrowed(graph))).toEqual([1, 3])
    expect(widths(narrowed(graph, deadChannels))).toEqual([4, 3])
  })

  test('a fully connected layer with a scale for each output keeps two of them', () => {
    const net = new Net('scales')
    const w = net.weights('w', [4, 3], 0.02, 0)
    const b = net.const('b', { dtype: 'i32', shape: [4] }, Int32Array.of(2 ** 29, 2 ** 29, 5, 2 ** 29))
    const x = net.one(mean, [net.x], { axes: [1, 2], keepDims: false })
    const a = net.one(fullyConnected, [x, w, b], { clamp: {}, keepDims: false }, { quant: Q })
    expect(narrowed(net.graph([net.dense(a)])).nodes[1].inputs[1]!.type.quant!.scale.length).toBeGreaterThan(1)
  })

  test('weights that change later prove nothing', () => {
    const net = new Net('param')
    const a = net.conv(net.x, 4, { 1: 'least' })
    const graph = net.graph([net.conv(a, 2)])
    for (const learns of [1, 2]) {
      const learn = (v: Value | undefined, i: number) => v && (i === learns ? { ...v, storage: 'param' as const } : v)
      const nodes = graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(learn) }))
      expect(widths(exact({ ...graph, nodes }))).toEqual([4, 2])
    }
  })

  test('a weight that two layers share is cut for each of them', () => {
    const net = new Net('shared')
    const w = net.weights('w', [4, 1, 1, 3], 0.02, 0)
    const layer = (fixed: number) =>
      net.one(
        conv2d,
        [
          net.x,
          w,
          net.const(
            'b',
            { dtype: 'i32', shape: [4] },
            Int32Array.from({ length: 4 }, (_, c) => (c === fixed ? -(2 ** 29) : 0)),
          ),
        ],
        { ...plainWindow, groups: 1, clamp: RELU },
        { quant: Q },
      )
    expect(widths(narrowed(net.graph([net.conv(layer(1), 2), net.conv(layer(2), 2)])))).toEqual([3, 2, 3, 2])
  })

  test('programs keep all channels where that is asked for, and list narrowed tensors otherwise', () => {
    const net = new Net('program')
    const a = net.conv(net.x, 8, { 0: 'least', 1: 'least', 2: 'most', 5: 'least' })
    const graph = net.graph([net.conv(a, 3)])
    const absorbed = (keepChannels: boolean) => compile(graph, { keepChannels }).absorbed.map((v) => v.name)
    expect([absorbed(true), absorbed(false)]).toEqual([[], [a.name]])
  })
})
