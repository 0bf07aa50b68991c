import { quantOf } from '../../ir/graph.ts'
import { f32, i8, i16, type OpCase, opCase } from '../case.ts'
import { averagePool2d, lpPool2d, maxPool2d, type Pool } from './op.ts'

interface Shape {
  input: number[]
  attrs: Partial<Pool> & Pick<Pool, 'kernel'>
}

const SHAPES: Record<string, Shape> = {
  '2x2 by 2': { input: [1, 4, 6, 8], attrs: { kernel: [2, 2], stride: [2, 2] } },
  'global, odd channels': { input: [1, 5, 3, 7], attrs: { kernel: [5, 3] } },
  '3x3 SAME': { input: [1, 5, 6, 4], attrs: { kernel: [3, 3], pad: [1, 1, 1, 1] } },
  'stride 2, odd padding, ReLU6, batch 2': {
    input: [2, 6, 7, 3],
    attrs: { kernel: [3, 2], stride: [2, 2], pad: [0, 0, 1, 1], clamp: { min: 0, max: 6 } },
  },
  ReLU: { input: [1, 4, 4, 8], attrs: { kernel: [2, 2], clamp: { min: 0 } } },
  'window of one, rows skipped': { input: [1, 5, 4, 2], attrs: { kernel: [1, 1], stride: [2, 1] } },
  'window larger than the image': { input: [1, 2, 3, 4], attrs: { kernel: [4, 5], pad: [3, 2, 2, 4] } },
}

const MORE: Record<string, Shape> = {
  'dilated, padded': { input: [1, 6, 7, 3], attrs: { kernel: [2, 3], dilation: [2, 2], pad: [1, 1, 0, 2] } },
  'padding counted': {
    input: [1, 4, 5, 2],
    attrs: { kernel: [3, 3], stride: [2, 2], pad: [1, 1, 2, 1], counted: [1, 1, 1, 1] },
  },
}

const more: readonly OpCase[] = Object.entries(MORE).flatMap(([name, s]) => {
  const attrs: Pool = { stride: [1, 1], pad: [0, 0, 0, 0], clamp: {}, ...s.attrs }
  const x = f32(s.input)
  return [
    opCase(`average_pool2d f32: ${name}`, (b) => b.one(averagePool2d, [b.input('x', x)], attrs)),
    opCase(`average_pool2d int8: ${name}`, (b) => b.one(averagePool2d, [b.input('x', i8(s.input, 0.1, 3))], attrs)),
    opCase(`average_pool2d uint8: ${name}`, (b) =>
      b.one(averagePool2d, [b.input('x', { dtype: 'u8', shape: s.input, quant: quantOf(0.1, 130) })], attrs),
    ),
    opCase(`max_pool2d f32: ${name}`, (b) => b.one(maxPool2d, [b.input('x', x)], attrs)),
    opCase(`max_pool2d u8: ${name}`, (b) => b.one(maxPool2d, [b.input('x', { dtype: 'u8', shape: s.input })], attrs)),
    opCase(`max_pool2d i8: ${name}`, (b) => b.one(maxPool2d, [b.input('x', { dtype: 'i8', shape: s.input })], attrs)),
    ...[1, 2].flatMap((p) =>
      [true, false].map((mean) =>
        opCase(`lp_pool2d f32: p ${p}, ${mean ? 'mean' : 'sum'}, ${name}`, (b) =>
          b.one(lpPool2d, [b.input('x', x)], { ...attrs, p, mean }),
        ),
      ),
    ),
  ]
})

const plain: readonly OpCase[] = Object.entries(SHAPES).flatMap(([name, s]) => {
  const attrs: Pool = { stride: [1, 1], pad: [0, 0, 0, 0], clamp: {}, ...s.attrs }
  const norm = opCase(`lp_pool2d f32: ${name}`, (b) =>
    b.one(lpPool2d, [b.input('x', f32(s.input))], { ...attrs, p: 2, mean: true }),
  )
  const others = [averagePool2d, maxPool2d].flatMap((op) => [
    opCase(`${op.name} int8: ${name}`, (b) => b.one(op, [b.input('x', i8(s.input, 0.05, -3))], attrs)),
    opCase(`${op.name} int16: ${name}`, (b) => b.one(op, [b.input('x', i16(s.input, 0.0003))], attrs)),
    opCase(`${op.name} f32: ${name}`, (b) => b.one(op, [b.input('x', f32(s.input))], attrs)),
  ])
  return [...others, norm]
})

export const cases: readonly OpCase[] = [...plain, ...more]
