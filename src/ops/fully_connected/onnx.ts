// Gemm of ONNX: alpha * A * B + beta * C, A and B transposed where the node says so. A constant B of float32 makes it a
// fully connected layer; alpha and beta then go into weight and bias.

import { ModelError } from '../../errors.ts'
import type { OnnxSpelling } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { add, mul } from '../binary/op.ts'
import { inner } from '../conv2d/onnx.ts'
import { expand } from '../expand/op.ts'
import { matmul } from '../matmul/op.ts'
import { numberAttr } from '../onnx.ts'
import { reshape } from '../shape/reshape.ts'
import { transpose } from '../shape/transpose.ts'
import { operand, reading } from '../tflite.ts'
import { fullyConnected } from './op.ts'

export const onnxGemm: OnnxSpelling = {
  name: 'Gemm',
  read(build, node) {
    const where = reading('gemm', node)
    const [a, b, c] = [operand(node, 0, 'A', where), operand(node, 1, 'B', where), node.inputs[2]]
    if (a.type.shape.length !== 2 || b.type.shape.length !== 2)
      throw new ModelError(where, `A is [${a.type.shape}] and B [${b.type.shape}], both need 2 dimensions`)
    const [transA, transB] = [numberAttr(node, 'transA', 0) !== 0, numberAttr(node, 'transB', 0) !== 0]
    const { dtype } = a.type
    const scaled = (v: typeof a, by: number, what: string) => {
      if (by === 1) return v
      if (dtype !== 'f32') throw new ModelError(where, `has ${what} ${by} on ${dtype}, supported is that on f32`)
      const factor = build.const(`${node.result.names?.[0]}/${what}`, { dtype: 'f32', shape: [] }, Float32Array.of(by))
      return build.one(mul, [v, factor], { clamp: {} }, inner(node, `times_${what}`))
    }
    const turned = (v: typeof a, what: string) => build.one(transpose, [v], { perm: [1, 0] }, inner(node, what))
    const left = transA ? turned(a, 'a') : a
    const right = scaled(b, numberAttr(node, 'alpha', 1), 'alpha')
    const bias = c && scaled(c, numberAttr(node, 'beta', 1), 'beta')
    const N = b.type.shape[transB ? 0 : 1]
    if (right.storage === 'const' && dtype === 'f32') {
      const weight = transB ? right : turned(right, 'weight')
      const isRow = bias && bias.type.shape.slice(0, -1).every((d) => d === 1)
      const row =
        isRow && bias.storage === 'const'
          ? count(bias.type.shape) === N
            ? build.one(reshape, [bias], { shape: [N] }, inner(node, 'bias'))
            : build.one(
                expand,
                [build.one(reshape, [bias], { shape: [1] }, inner(node, 'bias'))],
                { shape: [N] },
                inner(node, 'row'),
              )
          : undefined
      const attrs = { clamp: {}, keepDims: true }
      if (!bias || row) return build.add(fullyConnected, [left, weight, row], attrs, node.result)
      const product = build.one(fullyConnected, [left, weight], attrs, inner(node, 'product'))
      return build.add(add, [product, bias], { clamp: {} }, node.result)
    }
    const attrs = { transA: false, transB }
    if (!bias) return build.add(matmul, [left, right], attrs, node.result)
    const product = build.one(matmul, [left, right], attrs, inner(node, 'product'))
    return build.add(add, [product, bias], { clamp: {} }, node.result)
  },
}
