import { type DType, quantOf } from '../../ir/graph.ts'
import { type OpCase, opCase } from '../case.ts'
import { select } from './op.ts'

const DTYPES: readonly DType[] = ['f32', 'f64', 'f16', 'i8', 'u8', 'i16', 'i32', 'i64', 'bool']

function of(
  name: string,
  dtype: DType,
  shapes: readonly (readonly number[])[],
  quant?: ReturnType<typeof quantOf>,
): OpCase {
  return opCase(`select ${name}`, (b) => {
    const type = (shape: readonly number[]) => ({ dtype, shape, ...(quant && { quant }) })
    const condition = b.input('c', { dtype: 'bool', shape: shapes[0] })
    return b.one(select, [condition, b.input('a', type(shapes[1])), b.input('b', type(shapes[2]))], {})
  })
}

export const cases: readonly OpCase[] = [
  ...DTYPES.map((dtype) =>
    of(dtype, dtype, [
      [3, 5],
      [3, 5],
      [3, 5],
    ]),
  ),
  of('int8 with scales', 'i8', [[2, 3], [2, 3], [3]], quantOf(0.05, -3)),
  of('f32: condition per row', 'f32', [
    [4, 1],
    [4, 3],
    [4, 3],
  ]),
  of('f32: all three broadcast', 'f32', [[2, 1, 1], [1, 3, 1], [4]]),
  of('f32: from a scalar', 'f32', [[2, 3], [], [2, 3]]),
]
