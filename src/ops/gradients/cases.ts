import { f32, i8, type OpCase, opCase } from '../case.ts'
import { clampGradient } from './clamp.ts'
import { maxPoolGradient } from './max_pool.ts'
import { convInputGradient, convWeightGradient } from './window.ts'

interface Convolution {
  readonly name: string
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly y: readonly number[]
  readonly stride: readonly number[]
  readonly pad: readonly number[]
  readonly dilation?: readonly number[]
  readonly groups?: number
  readonly depthwise?: boolean
}

const CONVOLUTIONS: readonly Convolution[] = [
  { name: '3x3', x: [2, 5, 4, 3], w: [4, 3, 3, 3], y: [2, 5, 4, 4], stride: [1, 1], pad: [1, 1, 1, 1] },
  { name: 'stride 2', x: [1, 6, 5, 2], w: [3, 3, 3, 2], y: [1, 3, 3, 3], stride: [2, 2], pad: [0, 1, 1, 1] },
  {
    name: 'stride 2, five channels',
    x: [1, 6, 5, 5],
    w: [4, 3, 3, 5],
    y: [1, 3, 3, 4],
    stride: [2, 2],
    pad: [0, 1, 1, 1],
  },
  { name: '1x1, stride 2', x: [1, 5, 4, 3], w: [2, 1, 1, 3], y: [1, 3, 2, 2], stride: [2, 2], pad: [0, 0, 0, 0] },
  {
    name: 'stride 3 over a window of 2',
    x: [1, 7, 7, 1],
    w: [2, 2, 2, 1],
    y: [1, 2, 2, 2],
    stride: [3, 3],
    pad: [0, 0, 0, 0],
  },
  {
    name: 'dilated',
    x: [1, 7, 6, 2],
    w: [2, 3, 2, 2],
    y: [1, 3, 4, 2],
    stride: [1, 1],
    pad: [0, 0, 0, 0],
    dilation: [2, 2],
  },
  {
    name: 'dilated with stride 2',
    x: [1, 9, 9, 1],
    w: [1, 3, 3, 1],
    y: [1, 3, 3, 1],
    stride: [2, 2],
    pad: [1, 1, 0, 0],
    dilation: [3, 2],
  },
  {
    name: 'two groups',
    x: [1, 4, 4, 4],
    w: [6, 3, 3, 2],
    y: [1, 4, 4, 6],
    stride: [1, 1],
    pad: [1, 1, 1, 1],
    groups: 2,
  },
  {
    name: 'depthwise, stride 2',
    x: [2, 6, 6, 3],
    w: [1, 3, 3, 3],
    y: [2, 3, 3, 3],
    stride: [2, 2],
    pad: [0, 0, 1, 1],
    groups: 3,
    depthwise: true,
  },
  {
    name: 'depthwise, five channels',
    x: [2, 5, 6, 5],
    w: [1, 3, 3, 5],
    y: [2, 5, 6, 5],
    stride: [1, 1],
    pad: [1, 1, 1, 1],
    groups: 5,
    depthwise: true,
  },
  {
    name: 'depthwise, two outputs a channel',
    x: [1, 5, 5, 2],
    w: [1, 5, 5, 4],
    y: [1, 5, 5, 4],
    stride: [1, 1],
    pad: [2, 2, 2, 2],
    groups: 2,
    depthwise: true,
  },
]

export const cases: readonly OpCase[] = [
  ...CONVOLUTIONS.flatMap(({ name, x, w, y, groups = 1, depthwise = false, dilation = [1, 1], stride, pad }) => {
    const attrs = { groups, depthwise, dilation, stride, pad }
    return [
      opCase(`gradient of the input, ${name}`, (b) =>
        b.one(convInputGradient, [b.input('g', f32(y)), b.floats('w', w)], { ...attrs, shape: x }),
      ),
      opCase(`gradient of the weights, ${name}`, (b) =>
        b.one(convWeightGradient, [b.input('x', f32(x)), b.input('g', f32(y))], { ...attrs, shape: w }),
      ),
      opCase(`gradient of the input on top of another, ${name}`, (b) =>
        b.one(convInputGradient, [b.input('g', f32(y)), b.weights('w', w, 0.02), b.input('before', f32(x))], {
          ...attrs,
          shape: x,
        }),
      ),
      opCase(`gradient of the weights on top of another, ${name}`, (b) =>
        b.one(convWeightGradient, [b.input('x', f32(x)), b.input('g', f32(y)), b.input('before', f32(w))], {
          ...attrs,
          shape: w,
        }),
      ),
      opCase(`gradient of the input of int8, ${name}`, (b) =>
        b.one(convInputGradient, [b.input('g', f32(y)), b.weights('w', w, 0.02)], { ...attrs, shape: x }),
      ),
      opCase(`gradient of the weights of int8, ${name}`, (b) =>
        b.one(convWeightGradient, [b.input('x', i8(x, 0.05, -3)), b.input('g', f32(y))], { ...attrs, shape: w }),
      ),
    ]
  }),
  ...[{ min: 0 }, { min: 0, max: 6 }, { max: 0.5 }].map((clamp) =>
    opCase(`gradient through limits ${JSON.stringify(clamp)}`, (b) =>
      b.one(clampGradient, [b.input('g', f32([2, 7])), b.input('y', f32([2, 7]))], clamp),
    ),
  ),
  ...[f32([2, 5, 5, 3]), i8([2, 5, 5, 3], 0.05, -3)].map((x) =>
    opCase(`gradient of a maximum over windows of ${x.dtype} that overlap`, (b) =>
      b.one(maxPoolGradient, [b.input('x', x), b.input('g', f32([2, 3, 3, 3]))], {
        kernel: [3, 3],
        stride: [2, 2],
        dilation: [1, 1],
        pad: [1, 1, 1, 1],
      }),
    ),
  ),
]
