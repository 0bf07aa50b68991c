import { count } from '../../loops/ir.ts'
import type { CaseBuilder } from '../case.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { anchored } from './anchor.ts'
import { adam, momentum, sgd } from './op.ts'
import { qasSgd } from './qas.ts'
import { qasSgdWindow } from './qas_window.ts'

const RATE = Float32Array.of(0.125)

const remembered = (b: CaseBuilder, name: string) => b.state(name, f32([2, 3]), Float32Array.of(0, 0.5, 1, 0.25, 2, 4))

const PIXEL = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, depthwise: false }
const WINDOWS = [
  {
    name: 'a convolution',
    ...PIXEL,
    pad: [1, 1, 1, 1],
    x: [1, 5, 4, 3],
    shape: [4, 3, 3, 3],
    g: [1, 5, 4, 4],
    scale: [0.5, 4, 0, 1],
    axis: 0,
  },
  {
    name: 'depthwise',
    ...PIXEL,
    groups: 2,
    depthwise: true,
    x: [1, 5, 5, 2],
    shape: [1, 3, 3, 4],
    g: [1, 3, 3, 4],
    scale: [1, 0, 3, 9],
    axis: 3,
  },
  { name: 'fully connected, one scale', ...PIXEL, x: [2, 6], shape: [3, 6], g: [2, 3], scale: [2], axis: 0 },
  { name: 'fully connected', ...PIXEL, x: [2, 6], shape: [3, 6], g: [2, 3], scale: [1, 5, 0.5], axis: 0 },
]

const PARTS = [
  {
    ...{ name: 'some output channels', ...PIXEL, whole: [6, 1, 1, 3], part: { axis: 0, from: 2 }, shape: [3, 1, 1, 3] },
    ...{ x: [1, 2, 4, 3], g: [1, 2, 4, 3], scale: [0.5, 4, 1], axis: 0 },
  },
  {
    ...{ name: 'some input channels', ...PIXEL, whole: [3, 1, 1, 6], part: { axis: 3, from: 3 }, shape: [3, 1, 1, 2] },
    ...{ x: [1, 2, 4, 2], g: [1, 2, 4, 3], scale: [0.5, 4, 1], axis: 0 },
  },
  {
    ...{ name: 'some channels, depthwise', ...PIXEL, groups: 2, depthwise: true, whole: [1, 3, 3, 6] },
    ...{ part: { axis: 3, from: 1 }, shape: [1, 3, 3, 2], x: [1, 5, 5, 2], g: [1, 3, 3, 2], scale: [1, 2], axis: 3 },
  },
]

export const cases: readonly OpCase[] = [
  ...(['f32', 'i8', 'i32'] as const).map((dtype) =>
    opCase(`anchored to where ${dtype} came from`, (b) => {
      const type = { dtype, shape: [5] }
      const data = { f32: Float32Array, i8: Int8Array, i32: Int32Array }[dtype]
      const p = b.param('p', type, data.of(1, -100, 27, 0, 3))
      const origin = b.const('origin', type, data.of(1, 127, 20, -1, 4))
      const importance = b.const('importance', f32([5]), Float32Array.of(2, 0.125, 0, 1, 0.3))
      return b.one(anchored, [b.input('g', f32([5])), p, origin, importance], { strength: 0.7 })
    }),
  ),
  opCase('sgd', (b) => {
    const p = b.param('p', f32([2, 3]), Float32Array.of(1, -1, 2, 0, 3, 0.1))
    b.add(sgd, [p, b.input('g', f32([2, 3])), b.const('rate', f32([1]), RATE)], {})
    return p
  }),
  opCase('momentum', (b) => {
    const p = b.param('p', f32([2, 3]), Float32Array.of(1, -1, 2, 0, 3, 0.1))
    const v = remembered(b, 'v')
    b.add(momentum, [p, b.input('g', f32([2, 3])), b.const('rate', f32([1]), RATE), v], { momentum: 0.9 })
    return [p, v]
  }),
  opCase('adam', (b) => {
    const p = b.param('p', f32([2, 3]), Float32Array.of(1, -1, 2, 0, 3, 0.1))
    const [m, v] = [remembered(b, 'm'), remembered(b, 'v')]
    const attrs = { beta1: 0.9, rest1: 0.1, beta2: 0.999, rest2: 0.001, epsilon: 1e-8 }
    b.add(adam, [p, b.input('g', f32([2, 3])), b.const('rate', f32([1]), RATE), m, v], attrs)
    return [p, m, v]
  }),
  ...(['stochastic', 'nearest', 'truncate'] as const).flatMap((rounding) => [
    opCase(`qas_sgd, ${rounding}, int8 with a scale for each channel`, (b) => {
      const data = Int8Array.from({ length: 30 }, (_, i) => (i % 2 ? -1 : 1) * (127 - 4 * i))
      const w = b.param('w', { dtype: 'i8', shape: [2, 3, 5] }, data)
      const step = b.const('step', { dtype: 'i32', shape: [1] }, Int32Array.of(7))
      const attrs = { scale: [0.25, 0, 0.01], axis: 1, rounding, seed: 1, tensor: 2 }
      b.add(qasSgd, [w, b.input('g', f32([2, 3, 5])), b.const('rate', f32([1]), RATE), step], attrs)
      return w
    }),
    opCase(`qas_sgd, ${rounding}, int32 that saturates`, (b) => {
      const data = Int32Array.of(2 ** 31 - 1, -(2 ** 31), 0, 5, -5, 2 ** 31 - 1, -(2 ** 31), 1000)
      const bias = b.param('b', { dtype: 'i32', shape: [8] }, data)
      const step = b.const('step', { dtype: 'i32', shape: [1] }, Int32Array.of(-1))
      const attrs = { scale: [1e-5, 1e-5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.01], axis: 0, rounding, seed: -9, tensor: 0 }
      b.add(qasSgd, [bias, b.input('g', f32([8])), b.const('rate', f32([1]), RATE), step], attrs)
      return bias
    }),
  ]),
  ...WINDOWS.flatMap(({ name, shape, x, g, scale, axis, ...window }) =>
    (['stochastic', 'nearest'] as const).map((rounding) =>
      opCase(`qas_sgd_window, ${rounding}, ${name}`, (b) => {
        const data = Int8Array.from({ length: count(shape) }, (_, i) => ((i * 37) % 255) - 127)
        const w = b.param('w', { dtype: 'i8', shape }, data)
        const step = b.const('step', { dtype: 'i32', shape: [1] }, Int32Array.of(7))
        const given = [b.input('x', i8(x, 0.05, -3)), b.input('g', f32(g)), b.const('rate', f32([1]), RATE), step]
        b.add(qasSgdWindow, [w, ...given], { ...window, shape, scale, axis, rounding, seed: 1, tensor: 2 })
        return w
      }),
    ),
  ),
  opCase('qas_sgd of some biases', (b) => {
    const bias = b.param('b', { dtype: 'i32', shape: [7] }, Int32Array.of(5, -5, 100, 7, -3, 9, 12))
    const step = b.const('step', { dtype: 'i32', shape: [1] }, Int32Array.of(7))
    const attrs = { scale: [0.5, 0.01, 1], axis: 0, rounding: 'stochastic', seed: 1, tensor: 2 } as const
    const given = [b.input('g', f32([3])), b.const('rate', f32([1]), RATE), step]
    b.add(qasSgd, [bias, ...given], { ...attrs, part: { axis: 0, from: 2 } })
    return bias
  }),
  ...PARTS.map(({ name, whole, part, shape, x, g, scale, axis, ...window }) =>
    opCase(`qas_sgd_window of ${name}`, (b) => {
      const data = Int8Array.from({ length: count(whole) }, (_, i) => ((i * 37) % 255) - 127)
      const w = b.param('w', { dtype: 'i8', shape: whole }, data)
      const step = b.const('step', { dtype: 'i32', shape: [1] }, Int32Array.of(7))
      const given = [b.input('x', i8(x, 0.05, -3)), b.input('g', f32(g)), b.const('rate', f32([1]), RATE), step]
      const attrs = { ...window, shape, scale, axis, rounding: 'stochastic', seed: 1, tensor: 2, part } as const
      b.add(qasSgdWindow, [w, ...given], attrs)
      return w
    }),
  ),
]
