import { count } from '../../loops/ir.ts'
import type { CaseBuilder } from '../case.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
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

export const cases: readonly OpCase[] = [
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
]
