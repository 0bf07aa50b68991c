import { type OpCase, opCase } from '../case.ts'
import { cumsum } from './op.ts'

export const cases: readonly OpCase[] = (['f32', 'f64', 'i32', 'i64'] as const).flatMap((dtype) =>
  [false, true].flatMap((exclusive) =>
    [false, true].map((reverse) => {
      const name = `${exclusive ? 'exclusive' : 'inclusive'}${reverse ? ', from the end' : ''}`
      return opCase(`cumsum ${dtype}: ${name}`, (b) =>
        b.one(cumsum, [b.input('x', { dtype, shape: [2, 5, 3] })], { axis: 1, exclusive, reverse }),
      )
    }),
  ),
)
