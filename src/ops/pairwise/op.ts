// Elementwise operators with two operands and numpy broadcasting, from the rows of `table.ts`. Plain numbers on every
// dtype of the row; int8 and int16 with scales as TensorFlow Lite Micro computes them.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type DType, elemOf, type Node, sameQuant, type TensorType, type Value } from '../../ir/graph.ts'
import type { Attrs, OnnxSpelling, Op } from '../../ir/op.ts'
import { registerOf } from '../../loops/ir.ts'
import { broadcastCall, broadcastEval, broadcastShape } from '../binary/broadcast.ts'
import { expectInputs, expectOutputs } from '../check.ts'
import { ELEMENTWISE, NOTHING } from '../elementwise.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { type Scalar, scalarFn, stepsOf } from '../scalars.ts'
import { operands } from '../tflite.ts'
import { legacyBroadcast, perChannel, powSpelling, variadic } from './onnx.ts'
import { storedOf } from './stored.ts'
import { type Pairwise, ROWS } from './table.ts'

export type Plain = Attrs & Record<string, never>

/** Dtypes that the row takes with scales, by what it does to them. */
const STORED: Record<NonNullable<Pairwise['stored']>, readonly DType[]> = {
  raw: ['i8', 'i16'],
  compare: ['i8', 'i16'],
  difference: ['i8', 'i16'],
  slope: ['i8', 'i16'],
}

function isStored(node: Node): boolean {
  return node.inputs[0]?.type.quant !== undefined
}

function checkStored(node: Node, row: Pairwise): void {
  const where = layer(node)
  const [a, b] = (node.inputs as Value[]).map((v) => v.type)
  const y = node.outputs[0].type
  if (!row.stored || !STORED[row.stored].includes(a.dtype))
    throw new ModelError(
      where,
      `inputs are ${a.dtype} with a scale, supported are ${[...(row.stored ? STORED[row.stored] : []), 'numbers without one'].join(', ')}`,
    )
  const zeros = [perTensor(a, 'input 0', where), perTensor(b, 'input 1', where)]
  if (!row.result) zeros.push(perTensor(y, 'output', where))
  const shifted = zeros.find((q) => q.zero !== 0)
  if (a.dtype === 'i16' && shifted) throw new ModelError(where, `has zero point ${shifted.zero}, i16 needs 0`)
  if (row.stored === 'raw' && !(sameQuant(a.quant, b.quant) && sameQuant(a.quant, y.quant)))
    throw new ModelError(
      where,
      `inputs and output have scales ${zeros.map((q) => q.scale).join(', ')} and zero points ${zeros.map((q) => q.zero).join(', ')}, this operator needs one for all`,
    )
  if (row.stored === 'compare' && zeros.some((q) => q.scale >= 1))
    throw new ModelError(where, `has scale ${Math.max(...zeros.map((q) => q.scale))}, comparisons need scales below 1`)
}

function pairwise(
  name: string,
  row: Pairwise,
  onnx: (op: () => Op<Plain>) => readonly OnnxSpelling<Plain>[] = () => [],
) {
  const infer = ([a, b]: readonly (TensorType | undefined)[]): TensorType[] => {
    const type = { dtype: row.result ?? a!.dtype, shape: broadcastShape(a!.shape, b!.shape) ?? [] }
    return [row.stored === 'raw' && a!.quant ? { ...type, quant: a!.quant } : type]
  }
  const op: Op<Plain> = {
    name,
    spelled: {
      ...(row.tflite && {
        tflite: [
          {
            ...row.tflite,
            read: (build, { inputs, result }) => build.add(op, inputs, {}, result),
            write: ({ inputs }) => ({ inputs, options: {} }),
          },
        ],
      }),
      onnx: [
        ...(row.onnx
          ? [
              {
                name: row.onnx,
                read: (build, node) => build.add(op, legacyBroadcast(build, node), {}, node.result),
                write: ({ inputs }) => ({ inputs, attrs: {} }),
              } satisfies OnnxSpelling<Plain>,
            ]
          : []),
        ...onnx(() => op),
      ],
    },
    infer,

    check(node) {
      const where = layer(node)
      expectInputs(node, 2)
      const [a, b] = (node.inputs as Value[]).map((v) => v.type)
      const wanted = row.stored === 'slope' && a.dtype === 'i16' && a.quant ? 'i8' : a.dtype
      if (b.dtype !== wanted)
        throw new ModelError(where, `inputs are ${a.dtype} and ${b.dtype}, expected ${a.dtype} and ${wanted}`)
      if (!broadcastShape(a.shape, b.shape))
        throw new ModelError(where, `inputs have shapes [${a.shape}] and [${b.shape}], which do not broadcast`)
      expectOutputs(node, infer([a, b]))
      if (isStored(node)) checkStored(node, row)
      else expectDtype(a, row.dtypes, 'input', where)
    },

    eval(node, inputs) {
      const of = isStored(node) ? storedOf(node, row).of : scalarFn(row, node.inputs[0]!.type.dtype)
      return [broadcastEval(node, inputs, of as (...x: Scalar[]) => Scalar)]
    },

    lower(node) {
      if (isStored(node)) {
        const { numbers, expr } = storedOf(node, row)
        return broadcastCall(name, node, numbers, ([a, b]) => stepsOf(expr(a, b)))
      }
      const { num } = registerOf(elemOf(node.inputs[0]!.type.dtype)!)
      return broadcastCall(name, node, NOTHING, (x) => stepsOf(row.expr(x, num)))
    },

    quantize: () => (row.stored && !row.result ? { output: row.stored === 'raw' ? 'shared' : 'own' } : undefined),
    ...ELEMENTWISE,
  }
  return op
}

/**
 * The larger of a and b with numpy broadcasting. f32, f64, f16 and integers without scales; i8 and i16 where both and
 * the output have one scale. TFLite MAXIMUM, ONNX Max.
 */
export const maximum = pairwise('maximum', ROWS.maximum, (op) => [variadic('Max', op)])
/** The smaller of a and b; types as `maximum`. TFLite MINIMUM, ONNX Min. */
export const minimum = pairwise('minimum', ROWS.minimum, (op) => [variadic('Min', op)])
/** (a - b)^2 with numpy broadcasting. f32, i32 (wraps), i8 and i16 with scales. TFLite SQUARED_DIFFERENCE. */
export const squaredDifference = pairwise('squared_difference', ROWS.squared_difference)
/** floor(a / b) with numpy broadcasting. f32, i8, i16, i32, i64 without scales. TFLite FLOOR_DIV. */
export const floorDiv = pairwise('floor_div', ROWS.floor_div)
/** a - b * trunc(a / b) with numpy broadcasting, a where b is 0: the sign of a. Integers. ONNX Mod with fmod 1. */
export const remainder = pairwise('remainder', ROWS.remainder)
/**
 * a - b * floor(a / b) with numpy broadcasting, a where b is 0: the sign of b. Integers. TFLite FLOOR_MOD, ONNX Mod.
 */
export const floorMod = pairwise('floor_mod', ROWS.floor_mod, (op) => [
  {
    name: 'Mod',
    read: (build, node) =>
      build.add(node.attrs.fmod === 1 ? remainder : op(), operands(node, 2, 'Mod'), {}, node.result),
    write: ({ inputs }) => ({ inputs, attrs: { fmod: 0 } }),
  },
])
/**
 * a^b with numpy broadcasting. f32, f16, i32 and i64 (which wrap; a negative exponent leaves what truncation does).
 * TFLite POW, ONNX Pow.
 */
export const pow = pairwise('pow', ROWS.pow, (op) => [powSpelling(op)])
/**
 * x where x >= 0, otherwise x * slope, with numpy broadcasting. f32, f16, f64; i8 with scales, i16 with an i8 slope.
 * TFLite PRELU, ONNX PRelu.
 */
export const prelu = pairwise('prelu', ROWS.prelu, (op) => [
  {
    name: 'PRelu',
    read: (build, node) => build.add(op(), perChannel(build, node), {}, node.result),
    write: ({ inputs }) => ({ inputs, attrs: {} }),
  },
])
/**
 * a == b as bool, with numpy broadcasting. f32, f64, f16 and integers without scales; i8 and i16 with scales below 1,
 * which are compared as reals; bool. TFLite EQUAL, ONNX Equal.
 */
export const equal = pairwise('equal', ROWS.equal)
/** a != b as bool; types as `equal`. TFLite NOT_EQUAL. */
export const notEqual = pairwise('not_equal', ROWS.not_equal)
/**
 * a < b as bool, with numpy broadcasting. f32, f64, f16 and integers without scales; i8 and i16 with scales below 1,
 * which are compared as reals. TFLite LESS, ONNX Less.
 */
export const less = pairwise('less', ROWS.less)
/** a <= b as bool; types as `less`. TFLite LESS_EQUAL, ONNX LessOrEqual. */
export const lessEqual = pairwise('less_equal', ROWS.less_equal)
/** a > b as bool; types as `less`. TFLite GREATER, ONNX Greater. */
export const greater = pairwise('greater', ROWS.greater)
/** a >= b as bool; types as `less`. TFLite GREATER_EQUAL, ONNX GreaterOrEqual. */
export const greaterEqual = pairwise('greater_equal', ROWS.greater_equal)
/** Whether both are true, with numpy broadcasting. bool. TFLite LOGICAL_AND, ONNX And. */
export const logicalAnd = pairwise('logical_and', ROWS.logical_and)
/** Whether either is true, with numpy broadcasting. bool. TFLite LOGICAL_OR, ONNX Or. */
export const logicalOr = pairwise('logical_or', ROWS.logical_or)
/** Whether exactly one is true, with numpy broadcasting. bool. ONNX Xor. */
export const logicalXor = pairwise('logical_xor', ROWS.logical_xor)
/** a & b bit by bit, with numpy broadcasting. i8, u8, i16, i32, i64. ONNX BitwiseAnd. */
export const bitwiseAnd = pairwise('bitwise_and', ROWS.bitwise_and)
/** a | b bit by bit, with numpy broadcasting. i8, u8, i16, i32, i64. ONNX BitwiseOr. */
export const bitwiseOr = pairwise('bitwise_or', ROWS.bitwise_or)
/** a ^ b bit by bit, with numpy broadcasting. i8, u8, i16, i32, i64. ONNX BitwiseXor. */
export const bitwiseXor = pairwise('bitwise_xor', ROWS.bitwise_xor)
