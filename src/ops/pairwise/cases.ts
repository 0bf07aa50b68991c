import { type DType, elemOf, quantOf, type TensorType } from '../../ir/graph.ts'
import { f32ToF16 } from '../../loops/float.ts'
import { type Data, newData } from '../../loops/ir.ts'
import { type OpCase, opCase } from '../case.ts'
import * as ops from './op.ts'
import { type Pairwise, ROWS } from './table.ts'

const OPS = new Map(Object.values(ops).map((op) => [op.name, op]))

const WHOLE = [0, 1, -1, 2, -3, 7, 100, -128, 127, -7]
const LARGE: Partial<Record<DType, readonly bigint[]>> = {
  i32: [2n ** 31n - 1n, -(2n ** 31n)],
  i64: [2n ** 63n - 1n, -(2n ** 63n), 2n ** 40n + 3n],
}
const REAL = [
  0,
  -0,
  1,
  -1,
  1.5,
  -2.25,
  1e-40,
  3e38,
  -3e38,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
]

/** The values at which operators on a dtype may go wrong. */
function edges(dtype: DType): Data {
  if (dtype === 'bool') return Uint8Array.of(0, 1)
  if (dtype === 'f32' || dtype === 'f64') return dtype === 'f32' ? Float32Array.from(REAL) : Float64Array.from(REAL)
  if (dtype === 'f16') return Uint16Array.from(REAL, f32ToF16)
  const all = [...WHOLE.map(BigInt), ...(LARGE[dtype] ?? [])]
  if (dtype === 'i64') return BigInt64Array.from(all)
  const data = newData(elemOf(dtype)!, all.length) as Int32Array
  data.set(all.map(Number))
  return data
}

const stored = (shape: readonly number[], dtype: DType, scale: number, zero: number): TensorType => ({
  dtype,
  shape,
  quant: quantOf(scale, zero),
})

function plain(name: string, row: Pairwise): OpCase[] {
  const op = OPS.get(name)!
  return row.dtypes.flatMap((dtype) => [
    opCase(`${name} ${dtype}: one per row`, (b) =>
      b.one(op, [b.input('a', { dtype, shape: [3, 5] }), b.input('b', { dtype, shape: [3, 1] })], {}),
    ),
    opCase(`${name} ${dtype}: every pair of edges`, (b) => {
      const data = edges(dtype)
      const a = b.const('a', { dtype, shape: [data.length, 1] }, data)
      return b.one(op, [a, b.const('b', { dtype, shape: [data.length] }, data.slice())], {})
    }),
  ])
}

function quantised(name: string, row: Pairwise): OpCase[] {
  const op = OPS.get(name)!
  const types = (dtype: DType): [TensorType, TensorType, [number, number]] => {
    const zero = dtype === 'i8' ? 1 : 0
    const a = stored([2, 7], dtype, 0.05, -3 * zero)
    const b = stored([7], row.stored === 'slope' ? 'i8' : dtype, 0.02, 9 * zero)
    return row.stored === 'raw' ? [a, { ...a, shape: [7] }, [0.05, -3 * zero]] : [a, b, [0.11, -20 * zero]]
  }
  const dtypes: readonly DType[] = row.stored === undefined ? [] : ['i8', 'i16']
  return dtypes.map((dtype) =>
    opCase(`${name} ${dtype} with scales`, (b) => {
      const [x, y, out] = types(dtype)
      const quant = row.result ? undefined : quantOf(...out)
      return b.one(op, [b.input('a', x), b.input('b', y)], {}, { quant })
    }),
  )
}

export const cases: readonly OpCase[] = [
  ...Object.entries(ROWS as Record<string, Pairwise>).flatMap(([name, row]) => [
    ...plain(name, row),
    ...quantised(name, row),
  ]),
  opCase('maximum f32: both operands broadcast', (b) =>
    b.one(
      ops.maximum,
      [b.input('a', { dtype: 'f32', shape: [2, 1, 3] }), b.input('b', { dtype: 'f32', shape: [4, 1] })],
      {},
    ),
  ),
]
