import { f32, i8, type OpCase, opCase } from '../case.ts'
import { type Normalize, normalize } from './op.ts'

interface Shape {
  input: number[]
  attrs: Partial<Normalize>
  scale?: boolean
  shift?: boolean
}

const SHAPES: Record<string, Shape> = {
  'layer, last axis': { input: [3, 7], attrs: { axis: 1, depth: 7 }, scale: true, shift: true },
  'layer, all outputs': { input: [2, 3, 4, 2], attrs: { axis: 2, depth: 8, outputs: 3 }, scale: true, shift: true },
  'layer, every axis, no scale': { input: [2, 5], attrs: { axis: 0, depth: 10, epsilon: 0.01 } },
  'layer, means only': { input: [4, 3], attrs: { axis: 1, depth: 3, outputs: 2 }, scale: true },
  'instances of a picture': { input: [2, 3, 4, 5], attrs: { axis: 1, groups: 3 }, scale: true, shift: true },
  'two groups': { input: [2, 6, 3], attrs: { axis: 1, groups: 2, depth: 3 }, scale: true, shift: true },
  'two groups of one scale': { input: [2, 6, 3], attrs: { axis: 1, groups: 2 }, scale: true, shift: true },
  'root mean square': { input: [2, 3, 5], attrs: { kind: 'rms', axis: 2, depth: 5 }, scale: true },
  'Euclidean norm': { input: [2, 3, 6], attrs: { kind: 'l2', axis: 2, depth: 6, epsilon: 1e-6 } },
}

const floats: readonly OpCase[] = Object.entries(SHAPES).map(([name, s]) =>
  opCase(`normalize f32: ${name}`, (b) => {
    const attrs: Normalize = { kind: 'layer', axis: 0, groups: 1, depth: 1, epsilon: 1e-5, outputs: 1, ...s.attrs }
    const channels = [attrs.groups * attrs.depth]
    const x = b.input('x', f32(s.input))
    const scale = s.scale ? b.floats('scale', channels) : undefined
    return b.add(normalize, [x, scale, s.shift ? b.floats('shift', channels) : undefined], attrs)
  }),
)

const INT8: readonly (readonly [readonly number[], number])[] = [
  [[2, 3, 6], -3],
  [[1, 5, 1], 0],
  [[7], 127],
  [[2, 700], -128],
]

export const cases: readonly OpCase[] = [
  ...floats,
  ...INT8.map(([shape, zero]) =>
    opCase(`normalize int8: Euclidean norm of [${shape}], zero point ${zero}`, (b) => {
      const axis = shape.length - 1
      const attrs: Normalize = { kind: 'l2', axis, groups: 1, depth: shape[axis], epsilon: 1e-6, outputs: 1 }
      return b.one(normalize, [b.input('x', i8(shape, 0.02, zero))], attrs)
    }),
  ),
]
