import type { DType } from '../../ir/graph.ts'
import { f32ToF16 } from '../../loops/float.ts'
import type { Data } from '../../loops/ir.ts'
import { type OpCase, opCase } from '../case.ts'
import { cast } from './op.ts'

const REAL = [0, 0.5, 1.9, 127.5, 300, 65504, 65520, 2049.0001, 1.0009765625, 2 ** -25, 1e10, 2 ** 63, 1e300].flatMap(
  (v) => [v, -v],
)
const FLOATS = [...REAL, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]

const EDGES: Readonly<Record<string, Data>> = {
  f32: Float32Array.from(FLOATS),
  f64: Float64Array.from([...FLOATS, 1 + 2 ** -11 + 2 ** -40, 1 + 3 * 2 ** -11 - 2 ** -40]),
  f16: Uint16Array.from(FLOATS, f32ToF16),
  i8: Int8Array.of(0, 1, -1, 127, -128),
  u8: Uint8Array.of(0, 1, 127, 255),
  i16: Int16Array.of(0, -1, 300, 32767, -32768),
  i32: Int32Array.of(0, -1, 300, 2 ** 31 - 1, -(2 ** 31), 16777217),
  u32: Int32Array.of(0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 16777217, -127),
  i64: BigInt64Array.of(0n, -1n, 300n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n, 2n ** 40n + 1n, 9007199791611905n),
  bool: Uint8Array.of(0, 1),
}

const DTYPES = Object.keys(EDGES) as DType[]

export const cases: readonly OpCase[] = DTYPES.flatMap((from) =>
  DTYPES.map((to) =>
    opCase(`cast ${from} to ${to}`, (b) => {
      const edges = b.const('edges', { dtype: from, shape: [EDGES[from].length] }, EDGES[from])
      return [b.one(cast, [edges], { to }), b.one(cast, [b.input('x', { dtype: from, shape: [2, 5] })], { to })]
    }),
  ),
)
