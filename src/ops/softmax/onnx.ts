// Softmax and LogSoftmax of ONNX along any axis: between transpositions that make it the last one. Before operator set 13 everything
// from the axis on is one row.

import type { Builder, NodeOptions } from '../../ir/build.ts'
import type { Value } from '../../ir/graph.ts'
import type { OnnxNode, OnnxSpelling } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { logSoftmax } from '../log_softmax/op.ts'
import { axisOf, numberAttr } from '../onnx.ts'
import { reshape } from '../shape/reshape.ts'
import { transpose } from '../shape/transpose.ts'
import { operand, reading } from '../tflite.ts'
import { softmax } from './op.ts'

/** `of` appends what works on the last axis. */
export function alongAxis(
  build: Builder,
  x: Value,
  axis: number,
  result: NodeOptions,
  of: (x: Value, options: NodeOptions) => Value,
): Value {
  const last = x.type.shape.length - 1
  if (axis === last) return of(x, result)
  const perm = x.type.shape.map((_, d) => (d === axis ? last : d === last ? axis : d))
  const inner = (what: string) => ({ from: result.from, names: [`${result.names?.[0] || result.from || 'x'}/${what}`] })
  const turned = build.one(transpose, [x], { perm }, inner('axis_last'))
  return build.one(transpose, [of(turned, inner('rows'))], { perm }, result)
}

/** Softmax and log softmax, which `of` appends for the last axis. */
export function readRows(
  build: Builder,
  node: OnnxNode,
  name: string,
  of: (x: Value, options: NodeOptions) => Value,
): readonly Value[] {
  const where = reading(name, node)
  const x = operand(node, 0, 'input', where)
  const { shape } = x.type
  const axis = axisOf(numberAttr(node, 'axis', node.opset < 13 ? 1 : -1), shape.length, where)
  if (node.opset >= 13 || axis === shape.length - 1) return [alongAxis(build, x, axis, node.result, of)]
  const inner = (what: string) => ({
    from: node.result.from,
    names: [`${node.result.names?.[0] || node.result.from || 'x'}/${what}`],
  })
  const rows = [count(shape.slice(0, axis)), count(shape.slice(axis))]
  const flat = of(build.one(reshape, [x], { shape: rows }, inner('rows')), inner('result'))
  return [build.one(reshape, [flat], { shape }, node.result)]
}

export const onnxSoftmax: OnnxSpelling = {
  name: 'Softmax',
  read: (build, node) =>
    readRows(build, node, 'softmax', (x, options) => build.one(softmax, [x], { beta: 1 }, options)),
}

export const onnxLogSoftmax: OnnxSpelling = {
  name: 'LogSoftmax',
  read: (build, node) => readRows(build, node, 'log_softmax', (x, options) => build.one(logSoftmax, [x], {}, options)),
}
