import { type DType, quantOf, type TensorType } from '../../ir/graph.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { dequantize, quantize } from './op.ts'
import { retype } from './retype.ts'

const stored = (dtype: DType, shape: number[], scale: number, zero: number): TensorType => ({
  dtype,
  shape,
  quant: quantOf(scale, zero),
})

const TYPES: readonly (readonly [DType, number, number])[] = [
  ['i8', 1 / 128, 0],
  ['i8', 0.0039, -128],
  ['i8', 0.0021, 127],
  ['u8', 0.0078, 128],
  ['i16', 1 / 32768, 0],
]

export const cases: readonly OpCase[] = [
  ...TYPES.map(([dtype, scale, zero]) =>
    opCase(`quantize f32 to ${dtype}, scale ${scale}, zero point ${zero}`, (b) =>
      b.one(quantize, [b.input('x', f32([1, 3, 5, 7]))], { dtype }, { quant: quantOf(scale, zero) }),
    ),
  ),
  opCase('quantize halves, extremes, infinities and not-a-number', (b) => {
    const { POSITIVE_INFINITY: inf, NaN: nan } = Number
    const edge = [0, 0.5, 1.5, 2.5, 126.5, 127.5, 0.49999997, 1e9, 3e38, 1e-40, inf, nan, 8388609]
    const x = Float32Array.from(edge.flatMap((v) => [v, -v]))
    const v = b.const('x', f32([x.length]), x)
    return [1, 3e-39, 3e38].flatMap((s) =>
      [{}, { ties: 'even' as const }].map((ties) =>
        b.one(quantize, [v], { dtype: 'i8', ...ties }, { quant: quantOf(s, -1) }),
      ),
    )
  }),
  ...TYPES.map(([dtype, scale, zero]) =>
    opCase(`quantize f32 to ${dtype} with ties to even, scale ${scale}, zero point ${zero}`, (b) =>
      b.one(quantize, [b.input('x', f32([1, 3, 5, 7]))], { dtype, ties: 'even' }, { quant: quantOf(scale, zero) }),
    ),
  ),
  ...(['i32', 'i16', 'i8', 'u8'] as const).map((dtype) =>
    opCase(`retype ${dtype}`, (b) => b.one(retype, [b.input('x', { dtype, shape: [3, 7] })], {})),
  ),
  opCase('retype takes a scale away and gives another', (b) => {
    const plain = b.one(retype, [b.input('x', i8([3, 7], 0.1, 4))], {})
    return b.one(retype, [plain], {}, { quant: quantOf(0.3, -2) })
  }),
  ...TYPES.map(([dtype, scale, zero]) =>
    opCase(`dequantize ${dtype}, scale ${scale}, zero point ${zero}`, (b) =>
      b.one(dequantize, [b.input('x', stored(dtype, [2, 131], scale, zero))], {}),
    ),
  ),
  ...(
    [
      ['the same type', 'i8', 0.1, -3, 'i8', 0.1, -3],
      ['a smaller scale', 'i8', 0.1, -3, 'i8', 0.021, 50],
      ['a larger scale', 'i8', 0.1, -3, 'i8', 3.7, -128],
      ['unsigned', 'i8', 0.1, -3, 'u8', 0.1, 125],
      ['unsigned to signed', 'u8', 0.1, 125, 'i8', 0.1, -3],
      ['16 bits to 8', 'i16', 0.0004, 0, 'i8', 0.1, 7],
      ['8 bits to 32', 'i8', 0.1, -3, 'i32', 0.00003, 0],
      ['8 bits to 16', 'i8', 0.1, -3, 'i16', 0.0004, 0],
      ['16 bits to 16', 'i16', 0.0003, 0, 'i16', 0.0004, 0],
      ['16 bits to 32', 'i16', 0.0003, 0, 'i32', 0.000001, 0],
      ['32 bits to 8', 'i32', 0.02, 0, 'i8', 0.1, 7],
      ['32 bits to 16', 'i32', 0.0000003, 5, 'i16', 0.0004, 0],
    ] as const
  ).map(([name, from, sx, zx, to, sy, zy]) =>
    opCase(`requantize to ${name}`, (b) =>
      b.one(quantize, [b.input('x', stored(from, [257], sx, zx))], { dtype: to }, { quant: quantOf(sy, zy) }),
    ),
  ),
  opCase('dequantize, then quantize', (b) => {
    const x = b.one(dequantize, [b.input('x', i8([64], 0.03, 11))], {})
    return b.one(quantize, [x], { dtype: 'i8' }, { quant: quantOf(0.03, 11) })
  }),
]
