import { quantOf } from '../../ir/graph.ts'
import { i8, type OpCase, opCase } from '../case.ts'
import { addN } from './op.ts'

const CASES: readonly (readonly [number, number, number, number, number])[] = [
  [2, 0.05, -3, 0.1, 7],
  [3, 0.05, 0, 0.05, 0],
  [5, 0.02, -128, 0.001, 127],
]

export const cases: readonly OpCase[] = CASES.map(([n, sx, zx, sy, zy]) =>
  opCase(`add_n int8: ${n} summands, zero point ${zx}`, (b) => {
    const inputs = Array.from({ length: n }, (_, i) => b.input(`x${i}`, i8([3, 7], sx, zx)))
    return b.one(addN, inputs, {}, { quant: quantOf(sy, zy) })
  }),
)
