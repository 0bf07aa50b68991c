import { quantOf } from '../../ir/graph.ts'
import { i8, type OpCase, opCase } from '../case.ts'
import { cumsum } from './op.ts'

const ENDS: readonly (readonly [number, number, number, number])[] = [
  [0.05, -3, 0.1, 7],
  [0.02, 0, 0.001, -128],
]

const stored: readonly OpCase[] = ENDS.flatMap(([sx, zx, sy, zy]) =>
  [false, true].map((exclusive) =>
    opCase(`cumsum int8: ${exclusive ? 'exclusive, from the end' : 'inclusive'}, zero point ${zx}`, (b) => {
      const attrs = { axis: 1, exclusive, reverse: exclusive }
      return b.one(cumsum, [b.input('x', i8([2, 20, 3], sx, zx))], attrs, { quant: quantOf(sy, zy) })
    }),
  ),
)

const plain: readonly OpCase[] = (['f32', 'f64', 'i32', 'i64'] as const).flatMap((dtype) =>
  [false, true].flatMap((exclusive) =>
    [false, true].map((reverse) => {
      const name = `${exclusive ? 'exclusive' : 'inclusive'}${reverse ? ', from the end' : ''}`
      return opCase(`cumsum ${dtype}: ${name}`, (b) =>
        b.one(cumsum, [b.input('x', { dtype, shape: [2, 5, 3] })], { axis: 1, exclusive, reverse }),
      )
    }),
  ),
)

export const cases: readonly OpCase[] = [...plain, ...stored]
