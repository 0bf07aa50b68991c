import { type DType, elemOf, quantOf } from '../../ir/graph.ts'
import { f32ToF16 } from '../../loops/float.ts'
import { type Data, newData } from '../../loops/ir.ts'
import { i8, i16, type OpCase, opCase } from '../case.ts'
import * as ops from './op.ts'
import { ROWS, type Unary } from './table.ts'

const OPS = new Map(Object.values(ops).flatMap((op) => ('name' in op && 'spelled' in op ? [[op.name, op]] : [])))
const INF = Number.POSITIVE_INFINITY

const REAL = [0, 0.5, 1, 1.5, 2.5, 3.7, 1e-45, 1e-20, 0.3, 8.5, 17, 89, 105, 8388607.5, 1e30, 3e38, INF].flatMap(
  (v) => [v, -v],
)
const WHOLE = [0, 1, -1, 2, -3, 127, -128]

function edges(dtype: DType): Data {
  switch (dtype) {
    case 'bool':
      return Uint8Array.of(0, 1)
    case 'f16':
      return Uint16Array.from([...REAL, Number.NaN], f32ToF16)
    case 'f32':
      return Float32Array.from([...REAL, Number.NaN])
    case 'f64':
      return Float64Array.from([...REAL, Number.NaN])
    case 'i64':
      return BigInt64Array.from([...WHOLE.map(BigInt), 2n ** 63n - 1n, -(2n ** 63n)])
    default: {
      const data = newData(elemOf(dtype)!, WHOLE.length + 2) as Int32Array
      data.set([...WHOLE, 2 ** 31 - 1, -(2 ** 31)])
      return data
    }
  }
}

const EVERY = Int8Array.from({ length: 256 }, (_, i) => i - 128)

function ofRow([name, row]: [string, Unary]): OpCase[] {
  const op = OPS.get(name)!
  const attrs = Object.fromEntries(Object.entries(row.attrs ?? {}).map(([k, v]) => [k, Math.fround(v)]))
  const stored = name === 'abs' || name === 'rsqrt' || name === 'leaky_relu' || row.table?.includes('i8')
  const stored16 = name === 'abs' || name === 'rsqrt' || row.table?.includes('i16')
  return [
    ...row.dtypes.flatMap((dtype) => [
      opCase(`${name} ${dtype}`, (b) => b.one(op, [b.input('x', { dtype, shape: [3, 7] })], attrs)),
      opCase(`${name} ${dtype}: edges`, (b) => {
        const data = edges(dtype)
        return b.one(op, [b.const('x', { dtype, shape: [data.length] }, data)], attrs)
      }),
    ]),
    ...(stored
      ? [
          opCase(`${name} int8 with scales: every input`, (b) => {
            const quant = quantOf(0.02, -100)
            const all = b.const('x', i8([256], 0.05, -3), EVERY)
            return [
              b.one(op, [all], attrs, { quant }),
              b.one(op, [b.input('z', i8([3, 5], 0.004, -128))], attrs, { quant: quantOf(0.05, 7) }),
            ]
          }),
        ]
      : []),
    ...(stored16
      ? [
          opCase(`${name} int16 with scales`, (b) => {
            const edge = [0, 1, -1, 2, 3, 127, -128, 128, 4096, 32767, -32768, -32767]
            const data = b.const('x', i16([edge.length], 0.0003), Int16Array.from(edge))
            const x = b.input('z', i16([5, 40], 0.0002))
            return [data, x, x].map((v, i) => b.one(op, [v], attrs, { quant: quantOf([0.002, 0.0002, 0.00001][i], 0) }))
          }),
        ]
      : []),
  ]
}

export const cases: readonly OpCase[] = [
  ...Object.entries(ROWS as Record<string, Unary>).flatMap(ofRow),
  opCase('abs int8 with scales: one scale', (b) => b.one(ops.abs, [b.const('x', i8([256], 0.05, -3), EVERY)], {})),
  ...[0.25, -0.5].map((alpha) =>
    opCase(`leaky_relu int16 with scales: slope ${alpha}`, (b) => {
      const x = b.input('x', { dtype: 'i16', shape: [3, 9], quant: quantOf(0.0009, 0) })
      return b.one(ops.leakyRelu, [x], { alpha }, { quant: quantOf(0.0007, 0) })
    }),
  ),
]
