// Operators of the file formats that are several of ours: they are read into those and never written. One line each.

import type { OnnxSpelling, TfliteSpelling } from '../ir/op.ts'
import { onnxClip, onnxRelu } from './clamp/onnx.ts'
import {
  onnxDepthToSpace,
  onnxSpaceToDepth,
  tfliteBatchToSpace,
  tfliteDepthToSpace,
  tfliteSpaceToBatch,
  tfliteSpaceToDepth,
} from './composed/blocks.ts'
import {
  onnxConstantOfShape,
  onnxRange,
  onnxShape,
  onnxSize,
  tfliteBroadcastArgs,
  tfliteFill,
  tfliteRange,
  tfliteRank,
  tfliteShape,
  tfliteZerosLike,
} from './composed/constants.ts'
import { onnxSoftmaxCrossEntropyLoss } from './composed/cross_entropy.ts'
import { onnxMean } from './composed/elementwise.ts'
import { tfliteEmbeddingLookup } from './composed/embedding.ts'
import { onnxGlobalPools } from './composed/global_pool.ts'
import { onnxLpNormalization } from './composed/lp_normalization.ts'
import { tfliteMirrorPad } from './composed/mirror_pad.ts'
import { onnxConstant, onnxDropout } from './composed/plain.ts'
import { onnxQuantize } from './composed/qdq.ts'
import { qlinear } from './composed/qlinear.ts'
import { onnxResize, onnxUpsample, tfliteResizeBilinear } from './composed/resize.ts'
import { onnxRotaryEmbedding } from './composed/rotary.ts'
import { onnxFlatten, onnxIdentity, onnxReshape, onnxSqueeze, onnxUnsqueeze } from './composed/shapes.ts'
import { onnxSplit, tflitePack, tfliteSplit, tfliteSplitV, tfliteUnpack } from './composed/split.ts'
import { onnxTile, tfliteTile } from './composed/tile.ts'
import { onnxConv } from './conv2d/onnx.ts'
import { onnxGemm } from './fully_connected/onnx.ts'
import { onnxDequantizeLinear } from './quantize/onnx.ts'
import { onnxConcat, onnxPad, onnxTranspose } from './shape/onnx.ts'
import { onnxLogSoftmax, onnxSoftmax } from './softmax/onnx.ts'
import { tfliteAssignVariable, tfliteCallOnce, tfliteReadVariable, tfliteVarHandle } from './state/tflite.ts'

export const TFLITE_READINGS: readonly TfliteSpelling[] = [
  tfliteBatchToSpace,
  tfliteDepthToSpace,
  tfliteSpaceToBatch,
  tfliteSpaceToDepth,
  tfliteBroadcastArgs,
  tfliteFill,
  tfliteRange,
  tfliteRank,
  tfliteShape,
  tfliteZerosLike,
  tfliteEmbeddingLookup,
  tflitePack,
  tfliteSplit,
  tfliteSplitV,
  tfliteUnpack,
  tfliteTile,
  tfliteMirrorPad,
  tfliteResizeBilinear,
  tfliteVarHandle,
  tfliteCallOnce,
  tfliteReadVariable,
  tfliteAssignVariable,
]

export const ONNX_READINGS: readonly OnnxSpelling[] = [
  onnxDepthToSpace,
  onnxSpaceToDepth,
  onnxConstantOfShape,
  onnxRange,
  onnxShape,
  onnxSize,
  onnxFlatten,
  onnxIdentity,
  onnxReshape,
  onnxSqueeze,
  onnxUnsqueeze,
  onnxSplit,
  onnxTile,
  onnxResize,
  onnxUpsample,
  onnxConstant,
  onnxDropout,
  onnxConv,
  onnxGemm,
  ...onnxGlobalPools,
  onnxLpNormalization,
  onnxRotaryEmbedding,
  onnxConcat,
  onnxPad,
  onnxTranspose,
  onnxLogSoftmax,
  onnxSoftmax,
  onnxSoftmaxCrossEntropyLoss,
  onnxClip,
  onnxRelu,
  onnxMean,
  onnxDequantizeLinear,
  onnxQuantize,
  ...qlinear,
]
