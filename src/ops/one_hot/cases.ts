import { type OpCase, opCase } from '../case.ts'
import { oneHot } from './op.ts'

export const cases: readonly OpCase[] = (['i32', 'i64'] as const).flatMap((indices) =>
  (['f32', 'i32', 'i64', 'i8', 'bool'] as const).flatMap((dtype) =>
    [0, 1, 2].map((axis) =>
      opCase(`one_hot ${dtype} of ${indices}: axis ${axis}`, (b) => {
        const i = b.input('i', { dtype: indices, shape: [2, 3] })
        return b.one(oneHot, [i, b.input('v', { dtype, shape: [2] })], { axis, depth: 3 })
      }),
    ),
  ),
)
