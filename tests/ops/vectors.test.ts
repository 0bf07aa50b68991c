import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import { quantOf } from '../../src/ir/graph.ts'
import { f32, i8 } from '../../src/ops/case.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { averagePool2d, maxPool2d } from '../../src/ops/pool/op.ts'
import { mean, reduceMultiplier, sum } from '../../src/ops/reduce/op.ts'
import { TABLE } from '../../src/ops/reduce/table.ts'
import { nearest } from '../../src/ops/resize_nearest/op.ts'
import { reference } from '../../src/run/reference.ts'

describe('average_pool2d int8 rounds half away from zero and counts only what is inside', () => {
  const run = (data: number[], shape: number[], attrs: Partial<Parameters<typeof averagePool2d.infer>[1]>) => {
    const b = new Builder()
    const x = b.input('x', i8(shape, 1, 5))
    const y = b.one(averagePool2d, [x], { kernel: [1, 2], stride: [1, 2], pad: [0, 0, 0, 0], clamp: {}, ...attrs })
    return [...reference(b.graph([y])).run([Int8Array.from(data)])[0]]
  }
  test('halves', () => {
    expect(run([1, 2, -1, -2, 0, 1, 0, -1, 127, 127, -128, -128], [1, 1, 12, 1], {})).toEqual([2, -2, 1, -1, 127, -128])
  })
  test('edges', () => {
    const attrs = { kernel: [3, 3], stride: [1, 1], pad: [1, 1, 1, 1] }
    expect(run([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1], attrs)).toEqual([3, 4, 4, 5, 5, 6, 6, 7, 7])
  })
})

test('max_pool2d f32 of negative numbers is the largest of them, not zero', () => {
  const b = new Builder()
  const x = b.input('x', f32([1, 2, 2, 1]))
  const y = b.one(maxPool2d, [x], { kernel: [2, 2], stride: [1, 1], pad: [1, 1, 1, 1], clamp: {} })
  const [out] = reference(b.graph([y])).run([Float32Array.of(-4, -3, -2, -1)])
  expect([...out]).toEqual([-4, -3, -3, -2, -1, -1, -2, -1, -1])
})

test('mean int8 folds 1 / n into the multiplier with as many bits as the shift leaves', () => {
  const multiplierOf = (axis: number, scaleIn: number, scaleOut: number) => {
    const b = new Builder()
    const x = b.input('x', i8([axis, 2], scaleIn, 0))
    const y = b.one(mean, [x], { axes: [0], keepDims: false }, { quant: quantOf(scaleOut, 0) })
    return reduceMultiplier(b.graph([y]).nodes[0] as Parameters<typeof reduceMultiplier>[0], TABLE.mean)
  }
  expect(multiplierOf(1, 1, 1)).toEqual({ multiplier: 2 ** 30, shift: 1 })
  expect(multiplierOf(8, 1, 1)).toEqual({ multiplier: 2 ** 30, shift: -2 })
  expect(multiplierOf(49, 1, 1)).toEqual({ multiplier: Math.floor(2 ** 35 / 49), shift: -4 })
  expect(multiplierOf(5, 2 ** -30, 2)).toEqual({ multiplier: Math.floor(2 ** 31 / 5), shift: -31 })
  expect(multiplierOf(5, 2 ** -31, 2)).toEqual({ multiplier: Math.floor(2 ** 30 / 5), shift: -31 })
})

test('mean and sum of int8 by hand', () => {
  const run = (op: typeof mean, data: number[], scaleOut: number) => {
    const b = new Builder()
    const x = b.input('x', i8([data.length], 0.5, -4))
    const y = b.one(op, [x], { axes: [0], keepDims: true }, { quant: quantOf(scaleOut, 10) })
    return reference(b.graph([y])).run([Int8Array.from(data)])[0][0]
  }
  expect(run(mean, [-4, 0, 4, 8], 0.5)).toBe(10 + 6)
  expect(run(mean, [-4, -3], 0.5)).toBe(10 + 1)
  expect(run(mean, [-4, -5], 0.5)).toBe(10)
  expect(run(mean, [-4, -4, -4, -6], 0.5)).toBe(10 - 1)
  expect(run(mean, [-4, 0, 4, 8], 1)).toBe(10 + 3)
  expect(run(sum, [-4, 0, 4, 8], 0.5)).toBe(10 + 24)
  expect(run(sum, [127, 127, 127], 0.5)).toBe(127)
})

test('nearest rows follow float32 where it differs from exact arithmetic', () => {
  expect([...nearest(3, 6, false, false)]).toEqual([0, 0, 1, 1, 2, 2])
  expect(nearest(26, 22, false, false)[11]).toBe(12)
  expect(nearest(39, 33, false, false)[22]).toBe(25)
  expect(nearest(6, 37, false, true)[18]).toBe(2)
  expect(nearest(32, 15, true, false)[7]).toBe(15)
  expect([...nearest(14, 12, true, true)]).toEqual([1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13])
  expect([...nearest(4, 38, true, true)].filter((i) => i === 1)).toHaveLength(13)
})

describe('an error names the layer and both values', () => {
  const b = new Builder()
  const image = b.input('x', i8([1, 4, 4, 6], 0.1, 0))
  const weights = (shape: number[]) => b.const('w', i8(shape, 0.1, 0), new Int8Array(shape.reduce((n, d) => n * d, 1)))
  const from = 'layer 7'

  test('depthwise_conv2d with channels that are no multiple', () => {
    const attrs = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], clamp: {} }
    expect(() => b.add(depthwiseConv2d, [image, weights([1, 3, 3, 8])], attrs, { quant: quantOf(1, 0), from })).toThrow(
      'depthwise_conv2d "layer 7": weight has 8 channels, expected a multiple of the input\'s 6',
    )
  })
  test('fully_connected with another number of inputs', () => {
    const types = [i8([1, 5], 1, 0)]
    expect(() =>
      b.add(fullyConnected, [image, weights([5, 7])], { clamp: {}, keepDims: false }, { types, from }),
    ).toThrow('fully_connected "layer 7": input [1,4,4,6] has 96 elements, expected a multiple of the weight\'s 7')
  })
  test('pools that change the quantisation, or have empty windows', () => {
    const attrs = { kernel: [2, 2], stride: [1, 1], pad: [0, 0, 0, 0], clamp: {} }
    expect(() => b.add(averagePool2d, [image], attrs, { quant: quantOf(0.1, 1), from })).toThrow(
      /average_pool2d "layer 7": output has scale .* zero point 1, input has .* 0; they must agree/,
    )
    expect(() => b.add(maxPool2d, [image], { ...attrs, pad: [0, 2, 0, 0] }, { from })).toThrow(
      'max_pool2d "layer 7": padding [0,2,0,0] leaves windows [2,2] without an element of [1,4,4,6]',
    )
  })
  test('mean over axes that the input lacks', () => {
    expect(() => b.add(mean, [image], { axes: [4], keepDims: true }, { from })).toThrow(
      'mean "layer 7": axes [4] must rise and lie within the input\'s 4 dimensions',
    )
  })
})

test('axes of a file count from the end, in any order, and once', () => {
  const b = new Builder()
  const x = b.input('x', f32([2, 3, 4]))
  const axes = b.const('axes', { dtype: 'i32', shape: [3] }, Int32Array.of(-1, 0, 2))
  const [read] = mean.spelled.tflite!
  const [y] = read.read!(b, {
    inputs: [x, axes],
    options: { keep_dims: false },
    result: { types: [f32([3])], from: 'gap' },
  })
  expect(b.graph([y]).nodes[0].attrs).toEqual({ axes: [0, 2], keepDims: false })
  expect(() =>
    read.read!(b, { inputs: [x, x], options: { keep_dims: false }, result: { types: [f32([3])], from: 'gap' } }),
  ).toThrow(/mean "gap": axes "x" are temp f32, must be a constant of i32/)
})
