import { quantOf } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import type { Clamp } from '../quant.ts'
import { clamp } from './op.ts'

const CLAMPS: Record<string, Clamp> = {
  ReLU: { min: 0 },
  ReLU6: { min: 0, max: 6 },
  '-1 to 1': { min: -1, max: 1 },
  'upper limit': { max: 0.25 },
  'no limit': {},
}

export const cases: readonly OpCase[] = [
  ...Object.entries(CLAMPS).flatMap(([name, attrs]) => [
    opCase(`clamp int8: ${name}`, (b) => b.one(clamp, [b.input('x', i8([1, 3, 5, 7], 0.05, -3))], attrs)),
    opCase(`clamp f32: ${name}`, (b) => b.one(clamp, [b.input('x', f32([3, 11]))], attrs)),
    opCase(`clamp int8: ${name}, to another scale`, (b) =>
      b.one(clamp, [b.input('x', i8([1, 37], 0.05, -3))], attrs, { quant: quantOf(0.021, -128) }),
    ),
  ]),
  opCase('clamp int8: to a smaller scale, saturating', (b) =>
    b.one(clamp, [b.input('x', i8([65], 0.5, 4))], { min: 0 }, { quant: quantOf(0.004, -100) }),
  ),
  opCase('clamp int16: ReLU6', (b) =>
    b.one(clamp, [b.input('x', { dtype: 'i16', shape: [9], quant: quantOf(0.0005, 0) })], { min: 0, max: 6 }),
  ),
]
