import { quantOf } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { hardSwish } from './op.ts'

const SCALES: readonly (readonly [number, number, number, number])[] = [
  [0.05, -3, 0.04, 5],
  [0.3, 0, 0.3, -128],
  [0.003, 100, 0.002, -10],
  [8, -128, 3, 0],
]

export const cases: readonly OpCase[] = [
  ...SCALES.map(([sx, zx, sy, zy]) =>
    opCase(`hard_swish int8: every input, scale ${sx} to ${sy}`, (b) => {
      const all = Int8Array.from({ length: 256 }, (_, i) => i - 128)
      const quant = quantOf(sy, zy)
      return [
        b.one(hardSwish, [b.const('all', i8([1, 256], sx, zx), all)], {}, { quant }),
        b.one(hardSwish, [b.input('x', i8([2, 3, 5], sx, zx))], {}, { quant }),
      ]
    }),
  ),
  opCase('hard_swish f32', (b) => b.one(hardSwish, [b.input('x', f32([3, 17]))], {})),
  opCase('hard_swish f32: around its corners', (b) => {
    const x = Float32Array.of(-1e30, -4, -3.0000002, -3, -2.9999998, -1, -0, 0, 1, 2.9999998, 3, 3.0000002, 4, 1e30)
    return b.one(hardSwish, [b.const('x', f32([x.length]), x)], {})
  }),
]
