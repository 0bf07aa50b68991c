// Matrix products in the file formats: TFLite's BATCH_MATMUL, ONNX's MatMul. A product with a constant float matrix is a
// fully connected layer; operands of one dimension are rows and columns of one.

import { ModelError } from '../../errors.ts'
import type { Builder } from '../../ir/build.ts'
import type { Value } from '../../ir/graph.ts'
import type { OnnxNode, OnnxSpelling, TfliteSpelling } from '../../ir/op.ts'
import { fullyConnected } from '../fully_connected/op.ts'
import { reshape } from '../shape/reshape.ts'
import { transpose } from '../shape/transpose.ts'
import { operand, reading } from '../tflite.ts'
import { type Matmul, matmul } from './op.ts'

export const tflite: TfliteSpelling<Matmul> = {
  name: 'BATCH_MATMUL',
  code: 126,
  options: {
    id: 101,
    fields: {
      adj_x: { slot: 0, type: 'bool', default: false },
      adj_y: { slot: 1, type: 'bool', default: false },
      asymmetric_quantize_inputs: { slot: 2, type: 'bool', default: false },
    },
  },
  read: (build, { inputs, options, result }) =>
    build.add(matmul, inputs, { transA: options.adj_x === true, transB: options.adj_y === true }, result),
  write({ inputs, attrs }) {
    if (attrs.scaling) return undefined
    return { inputs, options: { adj_x: attrs.transA, adj_y: attrs.transB, asymmetric_quantize_inputs: false } }
  },
}

/** A name for a node that the file does not have. */
export function inner({ result }: Pick<OnnxNode, 'result'>, what: string) {
  return { from: result.from, names: [`${result.names?.[0] || result.from || 'value'}/${what}`] }
}

/** a * b with numpy's rules for operands of one dimension. */
export function product(build: Builder, node: OnnxNode, a: Value, b: Value): Value {
  const [vectorA, vectorB] = [a.type.shape.length === 1, b.type.shape.length === 1]
  if (!vectorA && !vectorB) {
    if (b.storage === 'const' && b.type.shape.length === 2 && a.type.dtype === 'f32' && b.type.dtype === 'f32') {
      const weight = build.one(transpose, [b], { perm: [1, 0] }, inner(node, 'weight'))
      return build.one(fullyConnected, [a, weight], { clamp: {}, keepDims: true }, node.result)
    }
    return build.one(matmul, [a, b], { transA: false, transB: false }, node.result)
  }
  const row = vectorA ? build.one(reshape, [a], { shape: [1, a.type.shape[0]] }, inner(node, 'row')) : a
  const column = vectorB ? build.one(reshape, [b], { shape: [b.type.shape[0], 1] }, inner(node, 'column')) : b
  const full = build.one(matmul, [row, column], { transA: false, transB: false }, inner(node, 'product'))
  const { shape } = full.type
  const kept = [...shape.slice(0, -2), ...(vectorA ? [] : [shape.at(-2)!]), ...(vectorB ? [] : [shape.at(-1)!])]
  return build.one(reshape, [full], { shape: kept }, node.result)
}

export const onnx: OnnxSpelling<Matmul> = {
  name: 'MatMul',
  read(build, node) {
    const where = reading('matmul', node)
    const [a, b] = [operand(node, 0, 'first operand', where), operand(node, 1, 'second operand', where)]
    if (a.type.shape.length === 0 || b.type.shape.length === 0)
      throw new ModelError(
        where,
        `operands have shapes [${a.type.shape}] and [${b.type.shape}], scalars do not multiply`,
      )
    return [product(build, node, a, b)]
  },
}
