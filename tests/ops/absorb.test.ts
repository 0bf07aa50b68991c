import { describe, expect, test } from 'vitest'
import type { Graph, Node, Value } from '../../src/ir/graph.ts'
import { quantOf, sameQuant } from '../../src/ir/graph.ts'
import type { Effect, Op } from '../../src/ir/op.ts'
import { verify } from '../../src/ir/verify.ts'
import { count, type Data, newData } from '../../src/loops/ir.ts'
import { type CaseBuilder, f32, i8, opCase } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { averagePool2d, maxPool2d } from '../../src/ops/pool/op.ts'
import { clampRange } from '../../src/ops/quant.ts'
import { mean } from '../../src/ops/reduce/op.ts'
import { fuse } from '../../src/passes/fuse.ts'
import { reference } from '../../src/run/reference.ts'
import { difference, FILLS, inputsOfGraph } from './harness.ts'

type Plain = Exclude<Data, BigInt64Array>
const plain = (d: Data | undefined) => d as Plain

function neighbour<E extends Effect>(
  does: E['does'],
  effect: (node: Node) => E,
  evaluate: (node: Node, x: Plain, y: Plain, effect: E) => void,
): Op {
  return {
    name: `test_${does}`,
    spelled: {},
    check() {},
    infer: (types) => [types[0]!],
    eval(node, [x]) {
      const y = plain(newData(node.outputs[0].type.dtype as 'f32' | 'i8', count(node.outputs[0].type.shape)))
      evaluate(node, plain(x), y, effect(node))
      return [y]
    },
    lower: () => {
      throw new Error('is not lowered')
    },
    cost: () => ({ macs: 0, bytesRead: 0, bytesWritten: 0 }),
    effect,
  }
}

type Pads = Extract<Effect, { does: 'pad' }>
const pad = neighbour<Pads>(
  'pad',
  ({ attrs }) => attrs as unknown as Pads,
  (node, x, y, { low, value }) => {
    const [from, to] = [node.inputs[0]!.type.shape, node.outputs[0].type.shape]
    y.fill(value)
    for (let i = 0; i < x.length; i++) {
      let [rest, at] = [i, 0]
      const index = from.map(() => 0)
      for (let d = from.length - 1; d >= 0; d--) {
        index[d] = rest % from[d]
        rest = Math.floor(rest / from[d])
      }
      index.forEach((v, d) => {
        at = at * to[d] + v + low[d]
      })
      y[at] = x[i]
    }
  },
)

type Clamps = Extract<Effect, { does: 'clamp' }>
const clamp = neighbour<Clamps>(
  'clamp',
  ({ attrs }) => attrs as unknown as Clamps,
  (node, x, y, { min, max }) => {
    const { lo, hi } = clampRange(node.outputs[0].type, { min, max })
    x.forEach((v, i) => {
      const low = v < lo ? lo : v
      y[i] = hi < low ? hi : low
    })
  },
)

type Biases = Extract<Effect, { does: 'bias' }>
const bias = neighbour<Biases>(
  'bias',
  (node) => ({ does: 'bias', bias: node.inputs[1]! }),
  (node, x, y) => {
    const b = plain(node.inputs[1]!.data)
    x.forEach((v, i) => {
      y[i] = Math.fround(v + b[i % b.length])
    })
  },
)

function padded(b: CaseBuilder, x: Value, low: number[], high: number[], value: number): Value {
  const shape = x.type.shape.map((d, i) => d + low[i] + high[i])
  return b.one(pad, [x], { does: 'pad', low, high, value }, { types: [{ ...x.type, shape }] })
}

function clamped(b: CaseBuilder, x: Value, min: number, max: number): Value {
  return b.one(clamp, [x], { does: 'clamp', min, max }, { types: [x.type] })
}

interface Layer {
  readonly op: Op
  readonly input: readonly number[]
  make(b: CaseBuilder, x: Value, withBias?: boolean): Value
}

const window = { stride: [2, 1], dilation: [1, 1], pad: [0, 1, 0, 0] }

function weighted(op: Op, input: number[], filter: number[], axis: number, attrs: Record<string, unknown>): Layer {
  return {
    op,
    input,
    make(b, x, withBias = true) {
      const float = x.type.dtype === 'f32'
      const n = filter[axis]
      const w = float ? b.floats('w', filter) : b.weights('w', filter, 0.01, axis)
      const v = !withBias ? undefined : float ? b.floats('b', [n]) : b.bias('b', n)
      return b.one(op, [x, w, v], { clamp: {}, ...attrs } as never, float ? {} : { quant: quantOf(0.09, 5) })
    },
  }
}

function pooling(op: Op): Layer {
  const attrs = { kernel: [3, 2], stride: [1, 1], pad: [1, 0, 1, 1], clamp: {} }
  return { op, input: [1, 5, 4, 3], make: (b, x) => b.one(op, [x], attrs) }
}

const CONV = weighted(conv2d as Op, [1, 6, 5, 4], [3, 3, 3, 4], 0, { ...window, groups: 1 })
const DEPTHWISE = weighted(depthwiseConv2d as Op, [1, 6, 5, 4], [1, 3, 3, 8], 3, window)
const DENSE = weighted(fullyConnected as Op, [3, 8], [5, 8], 0, { keepDims: false })
const CONVOLUTIONS = [CONV, DEPTHWISE]
const WEIGHTED = [...CONVOLUTIONS, DENSE]
const CLAMPING = [...WEIGHTED, pooling(averagePool2d as Op), pooling(maxPool2d as Op)]

const inputOf = (b: CaseBuilder, shape: readonly number[], float: boolean) =>
  b.input('x', float ? f32(shape) : i8(shape, 0.05, -3))
const TYPES = [
  { type: 'f32', float: true },
  { type: 'int8', float: false },
]

function graphOf(make: (b: CaseBuilder) => Value): Graph {
  return verify(opCase('absorb', make).graph())
}

function expectSameBits(before: Graph, after: Graph): void {
  for (const fill of FILLS) {
    const given = inputsOfGraph(before, fill)
    const expected = reference(before).run(given)
    const got = reference(verify(after)).run(given)
    expected.forEach((data, i) => {
      expect(difference(data, got[i]), fill.name).toBeUndefined()
    })
  }
}

function expectAbsorbed(before: Graph, op: Op): void {
  const after = fuse(before)
  expect(after.nodes.map((n) => n.op.name)).toEqual([op.name])
  expect(sameQuant(before.outputs[0].type.quant, after.outputs[0].type.quant)).toBe(true)
  expectSameBits(before, after)
}

describe.each(TYPES)('$type', ({ float }) => {
  test.each(CONVOLUTIONS)('$op.name takes over a pad of its image', ({ op, input, make }) => {
    expectAbsorbed(
      graphOf((b) => make(b, padded(b, inputOf(b, input, float), [0, 1, 2, 0], [0, 2, 0, 0], float ? 0 : -3))),
      op,
    )
  })

  test.each(CONVOLUTIONS)('$op.name leaves pads that are not zeros of its image alone', ({ input, make }) => {
    const zero = float ? 0 : -3
    for (const [low, high, value] of [
      [[0, 1, 1, 0], [0, 1, 1, 0], zero + 1],
      [[0, 0, 0, 0], [1, 0, 0, 0], zero],
      [[0, 1, -1, 0], [0, 1, 0, 0], zero],
    ] as const) {
      const g = graphOf((b) => {
        const x = inputOf(b, input, float)
        const shape = x.type.shape.map((d, i) => d + low[i] + high[i])
        const attrs = { does: 'pad', low, high, value }
        return make(b, b.one(pad, [x], attrs, { types: [{ ...x.type, shape }] }))
      })
      expect(fuse(g).nodes).toHaveLength(2)
    }
  })

  test.each(CLAMPING)('$op.name takes over a clamp, and a second one', ({ op, input, make }) => {
    expectAbsorbed(
      graphOf((b) => clamped(b, make(b, inputOf(b, input, float)), 0, 1.5)),
      op,
    )
    expectAbsorbed(
      graphOf((b) => clamped(b, clamped(b, make(b, inputOf(b, input, float)), -0.5, 1), 0.25, 3)),
      op,
    )
    expectAbsorbed(
      graphOf((b) => clamped(b, clamped(b, make(b, inputOf(b, input, float)), 0, 1), 2, 3)),
      op,
    )
  })

  test('a layer whose result something else needs keeps its clamp apart', () => {
    const b = opCase('shared', (build) => {
      const y = CONV.make(build, inputOf(build, CONV.input, float))
      return [y, clamped(build, y, 0, 1)]
    }).graph()
    expect(fuse(b).nodes).toHaveLength(2)
  })

  test('mean takes over nothing', () => {
    const g = graphOf((b) => clamped(b, b.one(mean, [inputOf(b, [2, 4], float)], { axes: [1], keepDims: true }), 0, 1))
    expect(fuse(g)).toEqual(g)
  })
})

describe('a bias', () => {
  const added = (b: CaseBuilder, x: Value) =>
    b.one(bias, [x, b.floats('late', [x.type.shape[x.type.shape.length - 1]])], {}, { types: [x.type] })

  test.each(WEIGHTED)('is taken over by f32 $op.name without one', ({ op, input, make }) => {
    expectAbsorbed(
      graphOf((b) => added(b, make(b, inputOf(b, input, true), false))),
      op,
    )
    expectAbsorbed(
      graphOf((b) => clamped(b, added(b, make(b, inputOf(b, input, true), false)), 0, 1)),
      op,
    )
  })

  test.each(WEIGHTED)('stays apart where $op.name has a bias or a clamp already', ({ input, make }) => {
    const second = graphOf((b) => added(b, make(b, inputOf(b, input, true))))
    expect(fuse(second).nodes).toHaveLength(2)
    const late = graphOf((b) => added(b, clamped(b, make(b, inputOf(b, input, true), false), 0, 1)))
    expect(fuse(late).nodes).toHaveLength(2)
    expectSameBits(late, fuse(late))
  })

  test('stays apart after a pool', () => {
    const g = graphOf((b) => added(b, pooling(averagePool2d as Op).make(b, inputOf(b, [1, 5, 4, 3], true))))
    expect(fuse(g).nodes).toHaveLength(2)
  })
})
