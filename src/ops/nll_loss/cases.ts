import { f32, type OpCase, opCase } from '../case.ts'
import { nllLoss } from './op.ts'

const FORMS = [
  { shape: [5, 4], ignore: undefined, weighted: false },
  { shape: [2, 4, 3], ignore: 1, weighted: true },
  { shape: [2, 4, 2, 3], ignore: -100, weighted: false },
  { shape: [3, 2, 2], ignore: undefined, weighted: true },
]

export const cases: readonly OpCase[] = FORMS.flatMap(({ shape, ignore, weighted }, i) =>
  (['none', 'sum', 'mean'] as const).map((reduction) =>
    opCase(`nll_loss f32: ${reduction}, [${shape}]${weighted ? ', weighted' : ''}, ignoring ${ignore}`, (b) => {
      const positions = [shape[0], ...shape.slice(2)]
      const target = b.input('t', { dtype: i % 2 ? 'i32' : 'i64', shape: positions })
      const weight = weighted ? b.floats('w', [shape[1]]) : undefined
      return b.one(nllLoss, [b.input('x', f32(shape)), target, weight], {
        reduction,
        ...(ignore !== undefined && { ignore }),
      })
    }),
  ),
)
