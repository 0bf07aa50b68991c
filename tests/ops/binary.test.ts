import { describe, expect, test } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { Builder } from '../../src/ir/build.ts'
import { quantOf } from '../../src/ir/graph.ts'
import { broadcastAxes, broadcastShape } from '../../src/ops/binary/broadcast.ts'
import { add, mul, sub } from '../../src/ops/binary/op.ts'
import { f32, i8 } from '../../src/ops/case.ts'
import { clamp } from '../../src/ops/clamp/op.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { fuse } from '../../src/passes/fuse.ts'
import { reference } from '../../src/run/reference.ts'
import { bothResults, one } from './run_one.ts'
import { EVERY_INT8, fnv1a, inputsOfRow, TFLM_ROWS } from './tflm_rows.ts'

describe('int8 results are those of TensorFlow Lite Micro', () => {
  const ops = { add, sub, mul }
  for (const row of TFLM_ROWS) {
    const { a, b } = inputsOfRow(row)
    const { scale, zero } = row.y.quant!
    const min = row.least === -128 ? {} : { min: (row.least - zero[0]) * scale[0] }
    test.each(['add', 'sub', 'mul'] as const)(`%s, ${row.name}`, (name) => {
      const node = one(ops[name], [row.a, row.b], { clamp: min }, { quant: row.y.quant })
      const results = bothResults(node, [a, b])
      expect(fnv1a(results.eval)).toBe(row.hash[name])
      expect(fnv1a(results.kernel)).toBe(row.hash[name])
    })
    test(`relu to another scale, ${row.name}`, () => {
      const results = bothResults(one(clamp, [row.a], { min: 0 }, { quant: row.y.quant }), [EVERY_INT8])
      expect(fnv1a(results.eval)).toBe(row.hash.relu)
      expect(fnv1a(results.kernel)).toBe(row.hash.relu)
    })
  }
})

describe('int8 results follow the real numbers', () => {
  const all = Int8Array.from({ length: 65536 }, (_, i) => (i >> 8) - 128)
  const each = Int8Array.from({ length: 65536 }, (_, i) => (i & 255) - 128)
  const real = {
    add: (a: number, b: number) => a + b,
    sub: (a: number, b: number) => a - b,
    mul: (a: number, b: number) => a * b,
  }
  test.each([
    ['add', add, [0.05, -3], [0.11, 17], [0.09, 5]],
    ['sub', sub, [0.05, -128], [0.013, 127], [0.031, 0]],
    ['mul', mul, [0.05, 4], [0.02, -9], [0.041, -20]],
  ] as const)('%s of every pair is the nearest step, but for what double rounding costs', (name, op, a, b, y) => {
    const types = [i8([65536], a[0], a[1]), i8([65536], b[0], b[1])]
    const { eval: got } = bothResults(one(op, types, { clamp: {} }, { quant: quantOf(y[0], y[1]) }), [all, each])
    let worst = 0
    for (let i = 0; i < all.length; i++) {
      const exact = real[name](a[0] * (all[i] - a[1]), b[0] * (each[i] - b[1])) / y[0] + y[1]
      worst = Math.max(worst, Math.abs(Number(got[i]) - Math.min(127, Math.max(-128, exact))))
    }
    expect(worst).toBeLessThan(0.52)
  })
})

test('shapes broadcast as numpy says', () => {
  expect(broadcastShape([8, 1, 6, 1], [7, 1, 5])).toEqual([8, 7, 6, 5])
  expect(broadcastShape([], [3])).toEqual([3])
  expect(broadcastShape([2], [3])).toBeUndefined()
})

test('loops merge axes that broadcast alike', () => {
  expect(broadcastAxes([2, 3, 4, 8], [2, 3, 4, 8])).toEqual([{ extent: 192, moves: [true, true] }])
  expect(broadcastAxes([2, 3, 4, 8], [8])).toEqual([
    { extent: 24, moves: [true, false] },
    { extent: 8, moves: [true, true] },
  ])
  expect(broadcastAxes([1, 1, 1, 240], [1])).toEqual([{ extent: 240, moves: [true, false] }])
  expect(broadcastAxes([1], [1, 1])).toEqual([{ extent: 1, moves: [true, true] }])
})

test('only operands that are as large as the result may be overwritten', () => {
  const places = (a: number[], b: number[]) => {
    const { node } = one(add, [f32(a), f32(b)], { clamp: {} })
    return node.op.inPlace!(node)
  }
  expect(places([2, 3], [2, 3])).toEqual([0, 1])
  expect(places([2, 3], [3])).toEqual([0])
  expect(places([1, 3], [2, 1])).toEqual([])
})

test('layers of one shape share a kernel whatever their scales', () => {
  const kernel = (s: number, z: number) => {
    const { node } = one(add, [i8([4], s, z), i8([4], 0.3, 1)], { clamp: { min: 0 } }, { quant: quantOf(s + 0.2, z) })
    return node.op.lower(node).kernel
  }
  expect(kernel(0.1, 3)).toEqual(kernel(0.7, -128))
})

test('operands that do not fit are refused with both values', () => {
  const b = new Builder()
  const x = b.input('x', f32([2, 3]))
  expect(() => b.one(add, [x, b.input('y', f32([2]))], { clamp: {} })).toThrow(/\[2,3\] and \[2\]/)
  expect(() => b.one(mul, [x, b.input('z', i8([3], 1, 0))], { clamp: {} })).toThrow(ModelError)
  expect(() =>
    b.one(add, [b.input('p', i8([3], 1, 0)), b.input('q', i8([3], 1, 0))], { clamp: {} }, { quant: quantOf(1e-7, 0) }),
  ).toThrow(/too small/)
})

describe('a float addition of channels is a bias', () => {
  const effectOf = (shape: number[], other: number[], min?: number) => {
    const b = new Builder()
    const bias = b.const('b', f32(shape), new Float32Array(shape.reduce((n, d) => n * d, 1)))
    const y = b.one(add, [bias, b.input('x', f32(other))], { clamp: min === undefined ? {} : { min } })
    const [node] = b.graph([y]).nodes
    return node.op.effect!(node)?.does
  }
  test('of the last axis only, without a clamp', () => {
    expect(effectOf([5], [2, 3, 5])).toBe('bias')
    expect(effectOf([1, 1, 5], [2, 3, 5])).toBe('bias')
    expect(effectOf([1], [2, 3, 5])).toBeUndefined()
    expect(effectOf([3, 1], [2, 3, 5])).toBeUndefined()
    expect(effectOf([2, 3, 5], [2, 3, 5])).toBeUndefined()
    expect(effectOf([1, 1, 1, 5], [2, 3, 5])).toBeUndefined()
    expect(effectOf([5], [2, 3, 5], 0)).toBeUndefined()
  })

  test('a convolution takes it and the clamp after it over, with the same bits', () => {
    const b = new Builder()
    const x = b.input('x', f32([1, 4, 4, 3]))
    const w = b.const(
      'w',
      f32([5, 1, 1, 3]),
      Float32Array.from({ length: 15 }, (_, i) => Math.sin(i)),
    )
    const bias = b.const('b', f32([5]), Float32Array.from([0.1, -0.2, 0.3, 4, -5]))
    const attrs = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {} }
    const sum = b.one(add, [b.one(conv2d, [x, w], attrs), bias], { clamp: {} })
    const graph = b.graph([b.one(clamp, [sum], { min: 0, max: 1 })])
    const fused = fuse(graph)
    expect(fused.nodes.map((n) => n.op.name)).toEqual(['conv2d'])
    const input = Float32Array.from({ length: 48 }, (_, i) => Math.cos(i))
    expect(reference(fused).run([input])).toEqual(reference(graph).run([input]))
  })
})

test('an int8 addition takes over the clamp after it, with the same bits', () => {
  const b = new Builder()
  const y = i8([256], 0.07, -20).quant
  const [p, q] = [b.input('p', i8([256], 0.05, 3)), b.input('q', i8([256], 0.02, -9))]
  const graph = b.graph([b.one(clamp, [b.one(add, [p, q], { clamp: { min: -1 } }, { quant: y })], { min: 0, max: 3 })])
  const fused = fuse(graph)
  expect(fused.nodes.map((n) => n.op.name)).toEqual(['add'])
  const inputs = [EVERY_INT8, EVERY_INT8.slice().reverse()]
  expect(reference(fused).run(inputs)).toEqual(reference(graph).run(inputs))
})

test('a clamp that changes the scale is taken over by nobody', () => {
  const b = new Builder()
  const [p, q] = [b.input('p', i8([4], 0.05, 3)), b.input('q', i8([4], 0.02, -9))]
  const sum = b.one(add, [p, q], { clamp: {} }, { quant: quantOf(0.07, -20) })
  const graph = b.graph([b.one(clamp, [sum], { min: 0 }, { quant: quantOf(0.03, -128) })])
  expect(fuse(graph).nodes).toHaveLength(2)
})
