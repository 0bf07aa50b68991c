// The reductions, one row each: what is done to an element, how elements combine, what is done to the result; and in
// which formats it is spelled.

import type { DType } from '../../ir/graph.ts'

export interface Reduction {
  readonly name: string
  /** 'exp': of the difference to the greatest element, which is added to the result. */
  readonly each?: 'abs' | 'square' | 'exp'
  readonly combine: 'add' | 'mul' | 'min' | 'max'
  /** The result over no elements, before `finish`. */
  readonly start: number
  readonly finish?: 'mean' | 'sqrt' | 'log'
  /** Unquantised dtypes. */
  readonly plain: readonly DType[]
  /** Quantised dtypes. */
  readonly quantised: readonly DType[]
  /** Names and numbers in the TFLite schema, and the input's dtype where the spelling is for that one only. */
  readonly tflite: readonly { readonly name: string; readonly code: number; readonly only?: DType }[]
  readonly onnx: string
}

const NUMBERS: readonly DType[] = ['f32', 'f64', 'f16', 'i32', 'i64']
const FLOATS: readonly DType[] = ['f32', 'f64', 'f16']
const ORDERED: readonly DType[] = [...NUMBERS, 'i16', 'i8', 'u8', 'bool']

const sum = { combine: 'add', start: 0, plain: NUMBERS, quantised: [], tflite: [] } as const

export const TABLE = {
  mean: {
    ...sum,
    name: 'mean',
    finish: 'mean',
    quantised: ['i8', 'i16'],
    tflite: [{ name: 'MEAN', code: 40 }],
    onnx: 'ReduceMean',
  },
  sum: { ...sum, name: 'sum', quantised: ['i8', 'i16'], tflite: [{ name: 'SUM', code: 74 }], onnx: 'ReduceSum' },
  prod: {
    ...sum,
    name: 'reduce_prod',
    combine: 'mul',
    start: 1,
    tflite: [{ name: 'REDUCE_PROD', code: 81 }],
    onnx: 'ReduceProd',
  },
  max: {
    name: 'reduce_max',
    combine: 'max',
    start: Number.NEGATIVE_INFINITY,
    plain: ORDERED,
    quantised: ['i8', 'i16', 'u8'],
    tflite: [
      { name: 'REDUCE_MAX', code: 82 },
      { name: 'REDUCE_ANY', code: 91, only: 'bool' },
    ],
    onnx: 'ReduceMax',
  },
  min: {
    name: 'reduce_min',
    combine: 'min',
    start: Number.POSITIVE_INFINITY,
    plain: ORDERED,
    quantised: ['i8', 'i16', 'u8'],
    tflite: [
      { name: 'REDUCE_MIN', code: 89 },
      { name: 'REDUCE_ALL', code: 140, only: 'bool' },
    ],
    onnx: 'ReduceMin',
  },
  l1: { ...sum, name: 'reduce_l1', each: 'abs', onnx: 'ReduceL1' },
  l2: { ...sum, name: 'reduce_l2', each: 'square', finish: 'sqrt', plain: FLOATS, onnx: 'ReduceL2' },
  sumSquare: { ...sum, name: 'reduce_sum_square', each: 'square', onnx: 'ReduceSumSquare' },
  logSum: { ...sum, name: 'reduce_log_sum', finish: 'log', plain: FLOATS, onnx: 'ReduceLogSum' },
  logSumExp: {
    ...sum,
    name: 'reduce_log_sum_exp',
    each: 'exp',
    finish: 'log',
    plain: FLOATS,
    onnx: 'ReduceLogSumExp',
  },
} as const satisfies Record<string, Reduction>
