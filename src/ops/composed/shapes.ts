// ONNX operators that give the same elements another shape: all are reshapes, since shapes are known while a model is read.

import { ModelError } from '../../errors.ts'
import type { Value } from '../../ir/graph.ts'
import type { OnnxNode, OnnxSpelling } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { axisOf, listOf, numberAttr } from '../onnx.ts'
import { reshape } from '../shape/reshape.ts'
import { operand, reading } from '../tflite.ts'

function reshaping(
  name: string,
  shapeOf: (x: Value, node: OnnxNode, where: string) => readonly number[],
): OnnxSpelling {
  return {
    name,
    read(build, node) {
      const where = reading(name.toLowerCase(), node)
      const x = operand(node, 0, 'data', where)
      return build.add(reshape, [x], { shape: shapeOf(x, node, where) }, node.result)
    },
  }
}

export const onnxReshape = reshaping('Reshape', (x, node, where) => {
  const wanted = listOf(node, 'shape', 1, where) ?? []
  const keepsZero = numberAttr(node, 'allowzero', 0) !== 0
  const shape = wanted.map((d, i) => (d === 0 && !keepsZero ? (x.type.shape[i] ?? 0) : d))
  const rest = count(x.type.shape) / count(shape.filter((d) => d !== -1))
  return shape.map((d) => (d === -1 ? rest : d))
})

export const onnxFlatten = reshaping('Flatten', (x, node, where) => {
  const { shape } = x.type
  const axis = numberAttr(node, 'axis', 1)
  const at = axis === shape.length ? axis : axisOf(axis, shape.length, where)
  return [count(shape.slice(0, at)), count(shape.slice(at))]
})

export const onnxSqueeze = reshaping('Squeeze', (x, node, where) => {
  const { shape } = x.type
  const axes = listOf(node, 'axes', 1, where)?.map((a) => axisOf(a, shape.length, where))
  const kept = axes?.find((a) => shape[a] !== 1)
  if (kept !== undefined) throw new ModelError(where, `squeezes axis ${kept}, which has ${shape[kept]} elements`)
  return shape.filter((d, i) => (axes ? !axes.includes(i) : d !== 1))
})

export const onnxUnsqueeze = reshaping('Unsqueeze', (x, node, where) => {
  const given = listOf(node, 'axes', 1, where) ?? []
  const rank = x.type.shape.length + given.length
  const axes = given.map((a) => axisOf(a, rank, where))
  if (new Set(axes).size !== axes.length) throw new ModelError(where, `axes [${given}] name one axis twice`)
  const rest = [...x.type.shape]
  return Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : (rest.shift() as number)))
})

export const onnxIdentity = reshaping('Identity', (x) => x.type.shape)
