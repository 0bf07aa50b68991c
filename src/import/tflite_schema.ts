// The part of the TensorFlow Lite schema that mote walks: tables as slots, types and defaults; element types; names of
// builtin operators, by number. Source: schema.fbs, version 3.

import type { DType } from '../ir/graph.ts'
import type { TfliteSpelling } from '../ir/op.ts'
import type { Field } from './flatbuffer.ts'

export const IDENTIFIER = 'TFL3'

export const MODEL = {
  version: { slot: 0, type: 'u32' },
  operator_codes: { slot: 1, type: 'table[]' },
  subgraphs: { slot: 2, type: 'table[]' },
  description: { slot: 3, type: 'string' },
  buffers: { slot: 4, type: 'table[]' },
  metadata: { slot: 6, type: 'table[]' },
} as const satisfies Record<string, Field>

export const OPERATOR_CODE = {
  deprecated_builtin_code: { slot: 0, type: 'i8' },
  custom_code: { slot: 1, type: 'string' },
  version: { slot: 2, type: 'i32', default: 1 },
  builtin_code: { slot: 3, type: 'i32' },
} as const satisfies Record<string, Field>

export const SUBGRAPH = {
  tensors: { slot: 0, type: 'table[]' },
  inputs: { slot: 1, type: 'i32[]' },
  outputs: { slot: 2, type: 'i32[]' },
  operators: { slot: 3, type: 'table[]' },
  name: { slot: 4, type: 'string' },
} as const satisfies Record<string, Field>

export const TENSOR = {
  shape: { slot: 0, type: 'i32[]' },
  type: { slot: 1, type: 'i8' },
  buffer: { slot: 2, type: 'u32' },
  name: { slot: 3, type: 'string' },
  quantization: { slot: 4, type: 'table' },
  is_variable: { slot: 5, type: 'bool' },
  sparsity: { slot: 6, type: 'table' },
  external_buffer: { slot: 10, type: 'u32' },
} as const satisfies Record<string, Field>

export const QUANTIZATION = {
  scale: { slot: 2, type: 'f32[]' },
  zero_point: { slot: 3, type: 'i64[]' },
  details_type: { slot: 4, type: 'u8' },
  quantized_dimension: { slot: 6, type: 'i32' },
} as const satisfies Record<string, Field>

export const OPERATOR = {
  opcode_index: { slot: 0, type: 'u32' },
  inputs: { slot: 1, type: 'i32[]' },
  outputs: { slot: 2, type: 'i32[]' },
  builtin_options_type: { slot: 3, type: 'u8' },
  builtin_options: { slot: 4, type: 'table' },
  custom_options: { slot: 5, type: 'u8[]' },
} as const satisfies Record<string, Field>

/** `offset` and `size` place data outside the FlatBuffer, for files beyond 2 GB; valid where offset > 1. */
export const BUFFER = {
  data: { slot: 0, type: 'u8[]' },
  offset: { slot: 1, type: 'u64' },
  size: { slot: 2, type: 'u64' },
} as const satisfies Record<string, Field>

/** Code of each element type; a bit tensor has none. */
export const TYPE_CODES = {
  f32: 0,
  f16: 1,
  i32: 2,
  u8: 3,
  i64: 4,
  bool: 6,
  i16: 7,
  i8: 9,
  f64: 10,
  u64: 12,
  u32: 15,
  i4: 17,
  i2: 19,
} as const satisfies Partial<Record<DType, number>>

const TYPE_NAMES = (
  'FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 RESOURCE VARIANT ' +
  'UINT32 UINT16 INT4 BFLOAT16 INT2 UINT4 FLOAT8_E4M3FN FLOAT8_E5M2'
).split(' ')

export function dtypeOfCode(code: number): DType | undefined {
  return Object.entries(TYPE_CODES).find(([, c]) => c === code)?.[0] as DType | undefined
}

export function typeName(code: number): string {
  return TYPE_NAMES[code] ?? `number ${code}`
}

/** Operator codes up to this number are also written in the field that older readers know. */
export const LARGEST_OLD_CODE = 127
export const CUSTOM = 32

/** What tells operators of a file apart: their code, of custom operators their name. */
export function keyOf({ code, name }: Pick<TfliteSpelling, 'code' | 'name'>): number | string {
  return code === CUSTOM ? name : code
}

const OPERATOR_NAMES = (
  'ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR ' +
  'FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC ' +
  'LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH ' +
  'SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER ' +
  'BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE ' +
  'BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ' +
  'ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE ' +
  'TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK ' +
  'LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL ' +
  'FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL ' +
  'REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND ' +
  'HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM ' +
  'BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS ' +
  'HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ' +
  'ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU ' +
  'DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 ' +
  'UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE ' +
  'STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE ' +
  'STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE ' +
  'STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG ' +
  'STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT ' +
  'STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT ' +
  'STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL ' +
  'STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE ' +
  'STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE'
).split(' ')

/** `RFFT2D`, or `number 300` for one that the schema does not name. */
export function operatorName(code: number): string {
  return OPERATOR_NAMES[code] ?? `number ${code}`
}
