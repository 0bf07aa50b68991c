// Elements as another type: floats to whole numbers truncated (and saturated where they do not fit 32 or 64 bits, of
// which the low bits are kept), numbers to bool by whether they are zero, everything else to the nearest. Scales are not
// looked at. u32 takes the low 32 bits of a whole number.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type DType, elemOf, type TensorType } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { longToF32, toI32, toI64 } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import { f32ToF16 } from '../../loops/float.ts'
import { count, type Data, type Expr, type Num, newData, registerOf } from '../../loops/ir.ts'
import { elemOfValue, expectInputs, expectOutputs } from '../check.ts'
import { ELEMENTWISE, elementwise, NOTHING } from '../elementwise.ts'
import { numberAttr } from '../onnx.ts'
import { expectDtype } from '../quant.ts'
import { type Scalar, scalarsOf } from '../scalars.ts'
import { operand, operands, reading } from '../tflite.ts'
import { unsigned } from '../unsigned.ts'

export type Cast = Attrs & { readonly to: DType }

const DTYPES: readonly DType[] = ['f32', 'f64', 'f16', 'i8', 'u8', 'i16', 'i32', 'u32', 'i64', 'bool']

/** Numbers of the element types in ONNX files, and in .tflite files. */
const CODES: Partial<Record<DType, { readonly onnx: number; readonly tflite: number }>> = {
  f32: { onnx: 1, tflite: 0 },
  u8: { onnx: 2, tflite: 3 },
  i8: { onnx: 3, tflite: 9 },
  i16: { onnx: 5, tflite: 7 },
  i32: { onnx: 6, tflite: 2 },
  i64: { onnx: 7, tflite: 4 },
  bool: { onnx: 9, tflite: 6 },
  f16: { onnx: 10, tflite: 1 },
  f64: { onnx: 11, tflite: 10 },
  u32: { onnx: 12, tflite: 15 },
}

/** f64 to the float32 from which the nearest f16 is the f64's too: truncated, the last bit 1 where anything was lost. */
function toOdd(x: Expr): readonly [Parameters<typeof L.kernel>[2][], Expr] {
  const [declareX, v] = L.declare('v', x)
  const [declareNear, near] = L.declare('near', L.op('toF32', v))
  const [declareBack, back] = L.declare('back', L.op('toF64', near))
  const bits = L.op('bits', near)
  const above = L.op('gt', L.op('abs', back), L.op('abs', v))
  const odd = L.op('or', L.op('wsub', bits, above), 1)
  return [[declareX, declareNear, declareBack], L.op('fromBits', L.select(L.op('eq', back, v), bits, odd))]
}

function convert(x: Expr, from: Num, to: Num): Expr {
  if (from === to) return x
  switch (to) {
    case 'f32':
      return L.op('toF32', x)
    case 'f64':
      return L.op('toF64', x)
    case 'i64':
      return from === 'i32' ? L.op('extend', x) : L.op('toI64', x)
    default:
      return from === 'i64' ? L.op('wrap', x) : L.op('toI32', x)
  }
}

const cell = new DataView(new ArrayBuffer(4))

/** The f16 nearest to an f64, through a float32 of which the last bit says that something was lost. */
function nearestHalf(x: number): number {
  const near = Math.fround(x)
  if (near === x || Number.isNaN(x)) return f32ToF16(near)
  cell.setFloat32(0, near)
  const bits = cell.getUint32(0)
  cell.setUint32(0, (Math.abs(near) > Math.abs(x) ? bits - 1 : bits) | 1)
  return f32ToF16(cell.getFloat32(0))
}

function evaluate(x: ArrayLike<Scalar>, n: number, from: DType, to: DType): Data {
  const y = newData(elemOf(to)!, n)
  const float = to === 'f32' || to === 'f64' || to === 'f16'
  for (let i = 0; i < n; i++) {
    const v = from === 'u32' ? BigInt(Number(x[i]) >>> 0) : x[i]
    if (to === 'bool') y[i] = Number(v) === 0 ? 0 : 1
    else if (y instanceof BigInt64Array) y[i] = typeof v === 'bigint' ? v : toI64(v)
    else if (y instanceof Uint16Array) y[i] = nearestHalf(Number(v))
    else if (float) y[i] = typeof v === 'bigint' && to === 'f32' ? longToF32(v) : Number(v)
    else if (typeof v === 'bigint' || to === 'u32')
      y[i] = Number(BigInt.asIntN(32, typeof v === 'bigint' ? v : toI64(v)))
    else y[i] = toI32(v)
  }
  return y
}

/**
 * Elements as type `to`: floats to integers truncated and saturated, anything to bool by whether it is zero, the rest
 * to the nearest. f32, f64, f16, i8, u8, i16, i32, u32, i64, bool; scales are not looked at. TFLite CAST, ONNX Cast.
 */
export const cast: Op<Cast> = {
  name: 'cast',

  spelled: {
    tflite: [
      {
        // How converters widen float16 weights; `dequantize` reads it.
        name: 'DEQUANTIZE',
        code: 6,
        options: { id: 38, fields: {} },
        write: ({ inputs, attrs }) =>
          inputs[0]!.type.dtype === 'f16' && attrs.to === 'f32' ? { inputs, options: {} } : undefined,
      },
      {
        name: 'CAST',
        code: 53,
        options: {
          id: 37,
          fields: {
            in_data_type: { slot: 0, type: 'i8', default: 0 },
            out_data_type: { slot: 1, type: 'i8', default: 0 },
          },
        },
        read: (build, { inputs, result }) => build.add(cast, inputs, { to: result.types[0].dtype }, result),
        write: ({ inputs, attrs }) => ({
          inputs,
          options: {
            in_data_type: CODES[inputs[0]!.type.dtype]!.tflite,
            out_data_type: CODES[attrs.to]!.tflite,
          },
        }),
      },
    ],
    onnx: [
      {
        name: 'Cast',
        read(build, node) {
          const code = numberAttr(node, 'to', 0)
          const to = DTYPES.find((d) => CODES[d]!.onnx === code)
          if (!to)
            throw new ModelError(
              reading('Cast', node),
              `casts to element type ${code}, supported are ${DTYPES.join(', ')}`,
            )
          return build.add(cast, operands(node, 1, 'Cast'), { to }, node.result)
        },
        write: ({ inputs, attrs }) => ({ inputs, attrs: { to: CODES[attrs.to]!.onnx } }),
      },
      {
        name: 'CastLike',
        read(build, node) {
          const like = operand(node, 1, 'the tensor whose type is wanted', reading('CastLike', node))
          return build.add(cast, [operands(node, 1, 'CastLike')[0]], { to: like.type.dtype }, node.result)
        },
      },
    ],
  },

  infer: ([x], { to }): TensorType[] => [{ dtype: to, shape: x!.shape }],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, DTYPES, 'input', where)
    expectDtype({ dtype: node.attrs.to, shape: [] }, DTYPES, 'output', where)
    expectOutputs(node, cast.infer([x], node.attrs))
  },

  eval: (node, [x]) => [
    evaluate(scalarsOf(x), count(node.outputs[0].type.shape), node.inputs[0]!.type.dtype, node.attrs.to),
  ],

  lower(node) {
    const wide = node.inputs[0]!.type.dtype === 'u32'
    const from = wide ? 'i64' : registerOf(elemOfValue(node.inputs[0]!)).num
    const { to } = node.attrs
    return elementwise('cast', node, NOTHING, (loaded) => {
      const x = wide ? unsigned(loaded) : loaded
      if (to === 'bool') return [[], L.op('ne', x, L.constantOf(x.type, 0))]
      if (to === 'f16' && from === 'f64') return toOdd(x)
      const float = from === 'f32' || from === 'f64'
      if (to === 'u32' && float) return [[], L.op('wrap', L.op('toI64', x))]
      return [[], convert(x, from, registerOf(elemOf(to)!).num)]
    })
  },

  ...ELEMENTWISE,
}
