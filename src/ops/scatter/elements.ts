// A copy of x with single elements replaced or combined, in the order of the updates: y[i with its `axis` component
// replaced by indices[i]] op= updates[i]. ONNX's ScatterElements and Scatter.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node } from '../../ir/graph.ts'
import type { Attrs, Call, OnnxNode, OnnxSpelling, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr, type Stmt } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { expectIndices, loadPosition, position } from '../gather/index.ts'
import { axisOf, numberAttr, stringAttr } from '../onnx.ts'
import { elementOf, expectMoved } from '../shape/copy.ts'
import { operand, reading } from '../tflite.ts'
import { combine, combined, expectReducible, type Reduction, reductionOf } from './reduction.ts'

/** `axis` counts from 0. */
export type ScatterElements = Attrs & { readonly axis: number; readonly reduction: Reduction }

function lower(node: Node<ScatterElements>): Call {
  const [x, indices, updates] = node.inputs.map((v) => v!)
  const y = node.outputs[0]
  const { axis, reduction } = node.attrs
  const X = L.buffer('x', elementOf(x), x.type.shape)
  const I = L.buffer('indices', elementOf(indices), indices.type.shape)
  const U = L.buffer('updates', elementOf(updates), updates.type.shape)
  const Y = L.buffer('y', elementOf(y), y.type.shape, 'write')
  const copy = L.loops(
    x.type.shape.map((_, d) => `c${d}`),
    x.type.shape,
    (...at) => L.store(Y, at, L.load(X, ...at)),
  )
  const nest = (at: readonly Expr[]): Stmt => {
    const d = at.length
    if (d < indices.type.shape.length) return L.loop(`i${d}`, indices.type.shape[d], (i) => nest([...at, i]))
    const [declare, p] = loadPosition(I, at, x.type.shape[axis], 'at')
    const to = at.map((i, k) => (k === axis ? p : i))
    return L.block(...declare, L.store(Y, to, combined(reduction, L.load(Y, ...to), L.load(U, ...at))))
  }
  return {
    kernel: L.kernel('scatter_elements', [X, I, U, Y], copy, nest([])),
    args: [{ value: x }, { value: indices }, { value: updates }, { value: y }],
  }
}

function spelling(name: string): OnnxSpelling<ScatterElements> {
  return {
    name,
    read(build, node: OnnxNode) {
      const where = reading('scatter_elements', node)
      const inputs = ['data', 'indices', 'updates'].map((what, i) => operand(node, i, what, where))
      const axis = axisOf(numberAttr(node, 'axis', 0), inputs[0].type.shape.length, where)
      const reduction = reductionOf(stringAttr(node, 'reduction', 'none'), where)
      return build.add(scatterElements, inputs, { axis, reduction }, node.result)
    },
  }
}

/**
 * A copy of x in which, in the order of the updates, y[i with its `axis` component replaced by indices[i]] is replaced
 * by or combined with updates[i]. `reduction`: none, add, mul, min or max, the last four on f32, f64, i32 and i64
 * without scales. Indices i32 or i64, those outside moved to the nearest element. ONNX ScatterElements.
 */
export const scatterElements: Op<ScatterElements> = {
  name: 'scatter_elements',
  spelled: { onnx: [spelling('ScatterElements'), spelling('Scatter')] },
  infer: ([x]) => [x!],

  check(node) {
    const where = layer(node)
    expectInputs(node, 3)
    const [x, indices, updates] = node.inputs.map((v) => v!.type)
    const { axis, reduction } = node.attrs
    if (!Number.isInteger(axis) || axis < 0 || axis >= x.shape.length)
      throw new ModelError(where, `axis is ${axis}, input has ${x.shape.length} dimensions`)
    if (indices.shape.length !== x.shape.length || indices.shape.some((d, i) => i !== axis && d > x.shape[i]))
      throw new ModelError(where, `indices are [${indices.shape}], input is [${x.shape}]`)
    if (updates.shape.length !== indices.shape.length || updates.shape.some((d, i) => d !== indices.shape[i]))
      throw new ModelError(where, `updates are [${updates.shape}], indices are [${indices.shape}]`)
    expectIndices(node.inputs[1]!, where)
    expectReducible(x, updates, reduction, where)
    expectOutputs(node, [x])
    expectMoved(node)
    expectMoved(node, 2)
  },

  eval(node, [x, indices, updates]) {
    const { axis, reduction } = node.attrs
    const [shape, wanted] = [node.inputs[0]!.type.shape, node.inputs[1]!.type.shape]
    const Y = x!.slice()
    const at = wanted.map(() => 0)
    for (let i = 0; i < count(wanted); i++) {
      const p = position(indices![i], shape[axis])
      const to = at.reduce((sum, c, d) => sum * shape[d] + (d === axis ? p : c), 0)
      combine(reduction, Y, to, updates![i])
      for (let d = wanted.length - 1; d >= 0 && ++at[d] === wanted[d]; d--) at[d] = 0
    }
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
