// ONNX's SoftmaxCrossEntropyLoss: the negative log likelihood of the log softmax over the classes of x[N, C, ...].

import type { OnnxSpelling } from '../../ir/op.ts'
import { logSoftmax } from '../log_softmax/op.ts'
import { inner } from '../matmul/spellings.ts'
import { lossAttrs, nllLoss } from '../nll_loss/op.ts'
import { alongAxis } from '../softmax/onnx.ts'
import { operand, reading } from '../tflite.ts'

export const onnxSoftmaxCrossEntropyLoss: OnnxSpelling = {
  name: 'SoftmaxCrossEntropyLoss',
  read(build, node) {
    const where = reading('softmax_cross_entropy', node)
    const [x, labels] = [operand(node, 0, 'scores', where), operand(node, 1, 'labels', where)]
    const [loss, probabilities] = node.result.names ?? []
    const named = probabilities ? { from: node.result.from, names: [probabilities] } : inner(node, 'log_prob')
    const log = alongAxis(build, x, 1, named, (v, options) => build.one(logSoftmax, [v], {}, options))
    const y = build.one(nllLoss, [log, labels, ...node.inputs.slice(2)], lossAttrs(node), {
      from: node.result.from,
      ...(loss && { names: [loss] }),
    })
    return node.outputs > 1 ? [y, log] : [y]
  },
}
