// The list of operators, one line each.

export { addN } from './add_n/op.ts'
export { argmax, argmin } from './arg/op.ts'
export { batchNorm } from './batch_norm/op.ts'
export { add, div, mul, sub } from './binary/op.ts'
export { cast } from './cast/op.ts'
export { clamp } from './clamp/op.ts'
export { conv2d } from './conv2d/op.ts'
export { cumsum } from './cumsum/op.ts'
export { depthwiseConv2d } from './depthwise/op.ts'
export { expand } from './expand/op.ts'
export { fullyConnected } from './fully_connected/op.ts'
export { gatherElements } from './gather/elements.ts'
export { gatherNd } from './gather/nd.ts'
export { gather } from './gather/op.ts'
export { clampGradient } from './gradients/clamp.ts'
export { maxPoolGradient } from './gradients/max_pool.ts'
export { convInputGradient, convWeightGradient } from './gradients/window.ts'
export { hardSwish } from './hard_swish/op.ts'
export { dynamicQuantize } from './hybrid/dynamic.ts'
export { hybridConv2d } from './hybrid/op.ts'
export { logSoftmax } from './log_softmax/op.ts'
export { softmaxCrossEntropy } from './loss/cross_entropy.ts'
export { meanSquareError } from './loss/mean_square.ts'
export { lrn } from './lrn/op.ts'
export { matmul } from './matmul/op.ts'
export { nllLoss } from './nll_loss/op.ts'
export { normalize } from './normalize/op.ts'
export { oneHot } from './one_hot/op.ts'
export { anchored } from './optimizer/anchor.ts'
export { adam, momentum, sgd } from './optimizer/op.ts'
export { qasSgd } from './optimizer/qas.ts'
export { qasSgdWindow } from './optimizer/qas_window.ts'
export {
  bitwiseAnd,
  bitwiseOr,
  bitwiseXor,
  equal,
  floorDiv,
  floorMod,
  greater,
  greaterEqual,
  less,
  lessEqual,
  logicalAnd,
  logicalOr,
  logicalXor,
  maximum,
  minimum,
  notEqual,
  pow,
  prelu,
  remainder,
  squaredDifference,
} from './pairwise/op.ts'
export { partialConv2d } from './partial/conv2d.ts'
export { partialDepthwiseConv2d } from './partial/depthwise.ts'
export { indexAdd } from './partial/index_add.ts'
export { indexCopy } from './partial/index_copy.ts'
export { averagePool2d, lpPool2d, maxPool2d } from './pool/op.ts'
export { maskGradient } from './qas/mask_gradient.ts'
export {
  maskedAdd,
  maskedConv2d,
  maskedDepthwiseConv2d,
  maskedFullyConnected,
  maskedPartialConv2d,
  maskedPartialDepthwiseConv2d,
  maskedQuantize,
} from './qas/masked.ts'
export { dequantize, quantize } from './quantize/op.ts'
export { retype } from './quantize/retype.ts'
export { gru, lstm, rnn } from './recurrent/op.ts'
export {
  mean,
  reduceL1,
  reduceL2,
  reduceLogSum,
  reduceLogSumExp,
  reduceMax,
  reduceMin,
  reduceProd,
  reduceSumSquare,
  sum,
} from './reduce/op.ts'
export { resample } from './resample/op.ts'
export { resizeBilinear } from './resize_bilinear/op.ts'
export { resizeNearest } from './resize_nearest/op.ts'
export { scatterElements } from './scatter/elements.ts'
export { scatterNd } from './scatter/nd.ts'
export { select } from './select/op.ts'
export { concat } from './shape/concat.ts'
export { pad } from './shape/pad.ts'
export { paste } from './shape/paste.ts'
export { reshape } from './shape/reshape.ts'
export { splice } from './shape/splice.ts'
export { transpose } from './shape/transpose.ts'
export { logistic, tanh } from './sigmoid/op.ts'
export { fftAutoScale } from './signal/auto_scale.ts'
export { energy } from './signal/energy.ts'
export { filterBank } from './signal/filter_bank.ts'
export { filterBankLog } from './signal/log.ts'
export { pcan } from './signal/pcan.ts'
export { rfft } from './signal/rfft.ts'
export { spectralSubtraction } from './signal/spectral_subtraction.ts'
export { filterBankSquareRoot } from './signal/square_root.ts'
export { window } from './signal/window.ts'
export { slice } from './slice/op.ts'
export { softmax } from './softmax/op.ts'
export { assign } from './state/op.ts'
export { update } from './state/update.ts'
export { svdf } from './svdf/op.ts'
export { topK } from './top_k/op.ts'
export { transposeConv } from './transpose_conv/op.ts'
export {
  abs,
  bitwiseNot,
  ceil,
  celu,
  cos,
  elu,
  erf,
  exp,
  floor,
  gelu,
  geluTanh,
  hardSigmoid,
  isNan,
  leakyRelu,
  log,
  logicalNot,
  mish,
  neg,
  reciprocal,
  round,
  rsqrt,
  selu,
  sign,
  sin,
  softplus,
  softsign,
  sqrt,
  square,
  swish,
  thresholdedRelu,
} from './unary/op.ts'
export { updateSlice } from './update_slice/op.ts'
