// Checks that every operator makes in the same words.

import { bug, ModelError } from '../errors.ts'
import { layer } from '../ir/build.ts'
import { bytesOf, elemOf, inputsOf, type Node, sameShape, type TensorType, type Value } from '../ir/graph.ts'
import type { Cost } from '../ir/op.ts'
import type { Elem } from '../loops/ir.ts'

/** The node's outputs have the dtypes and shapes that `expected` says; no tensor is without elements unless the operator takes that. */
export function expectOutputs(node: Node, expected: readonly TensorType[]): void {
  const where = layer(node)
  if (node.outputs.length !== expected.length)
    throw new ModelError(where, `has ${node.outputs.length} outputs, expected ${expected.length}`)
  expected.forEach((e, i) => {
    const t = node.outputs[i].type
    if (t.dtype !== e.dtype)
      throw new ModelError(where, `output "${node.outputs[i].name}" is ${t.dtype}, expected ${e.dtype}`)
    if (!sameShape(t.shape, e.shape) || t.shape.some((d) => !Number.isInteger(d) || d < 0))
      throw new ModelError(where, `output "${node.outputs[i].name}" has shape [${t.shape}], expected [${e.shape}]`)
  })
  const none = [...inputsOf(node), ...node.outputs].find((v) => v.type.shape.includes(0))
  if (none && !node.op.empty)
    throw new ModelError(where, `"${none.name}" has shape [${none.type.shape}], ${node.op.name} needs elements`)
}

/** The node has between `least` and `most` inputs, and the first `least` are present. */
export function expectInputs(node: Node, least: number, most = least): void {
  const present = node.inputs.filter((v) => v !== undefined).length
  if (node.inputs.length > most || node.inputs.slice(0, least).filter((v) => v !== undefined).length < least)
    throw new ModelError(
      layer(node),
      `has ${present} inputs, expected ${least === most ? least : `${least} to ${most}`}`,
    )
}

/** Element type of output `i` in kernels. */
export function outputElem(node: Node, i = 0): Elem {
  return elemOfValue(node.outputs[i])
}

/** Element type of a value in kernels. */
export function elemOfValue(v: Value): Elem {
  return elemOf(v.type.dtype) ?? bug(`"${v.name}" has packed elements of ${v.type.dtype}`)
}

/** A node that reads each present input and writes each output once. */
export function costOf(node: Node, macs: number): Cost {
  const sum = (types: readonly TensorType[]) => types.reduce((n, t) => n + bytesOf(t), 0)
  return {
    macs,
    bytesRead: sum(inputsOf(node).map((v) => v.type)),
    bytesWritten: sum(node.outputs.map((v) => v.type)),
  }
}
