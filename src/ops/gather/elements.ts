// One element of x for each index: y[i] = x[i with its `axis` component replaced by indices[i]]. ONNX's GatherElements.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { axisOf, numberAttr } from '../onnx.ts'
import { elementOf, expectMoved } from '../shape/copy.ts'
import { operand, reading } from '../tflite.ts'
import { expectIndices, loadPosition, position } from './index.ts'

/** `axis` counts from 0. */
export type GatherElements = Attrs & { readonly axis: number }

function lower(node: Node<GatherElements>): Call {
  const [x, indices] = [node.inputs[0]!, node.inputs[1]!]
  const y = node.outputs[0]
  const { axis } = node.attrs
  const X = L.buffer('x', elementOf(x), x.type.shape)
  const I = L.buffer('indices', elementOf(indices), indices.type.shape)
  const Y = L.buffer('y', elementOf(y), y.type.shape, 'write')
  const names = y.type.shape.map((_, d) => `i${d}`)
  const body = L.loops(names, y.type.shape, (...at) => {
    const [declare, p] = loadPosition(I, at, x.type.shape[axis], 'at')
    return [...declare, L.store(Y, at, L.load(X, ...at.map((i, d) => (d === axis ? p : i))))]
  })
  return {
    kernel: L.kernel('gather_elements', [X, I, Y], body),
    args: [{ value: x }, { value: indices }, { value: y }],
  }
}

function infer([x, indices]: readonly (TensorType | undefined)[]): TensorType[] {
  return [{ ...x!, shape: indices!.shape }]
}

/**
 * y[i] = x[i with its `axis` component replaced by indices[i]]; y has the shape of indices. Any type with one scale or
 * none. Indices i32 or i64; negative ones count from the end, those outside are moved to the nearest element. ONNX
 * GatherElements.
 */
export const gatherElements: Op<GatherElements> = {
  name: 'gather_elements',

  spelled: {
    onnx: [
      {
        name: 'GatherElements',
        read(build, node) {
          const where = reading('gather_elements', node)
          const [x, indices] = [operand(node, 0, 'data', where), operand(node, 1, 'indices', where)]
          const axis = axisOf(numberAttr(node, 'axis', 0), x.type.shape.length, where)
          return build.add(gatherElements, [x, indices], { axis }, node.result)
        },
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    const [x, indices] = node.inputs.map((v) => v!.type.shape)
    const { axis } = node.attrs
    if (!Number.isInteger(axis) || axis < 0 || axis >= x.length)
      throw new ModelError(where, `axis is ${axis}, input has ${x.length} dimensions`)
    if (indices.length !== x.length || indices.some((d, i) => i !== axis && d > x[i]))
      throw new ModelError(where, `indices are [${indices}], input is [${x}]; only axis ${axis} may be longer`)
    expectIndices(node.inputs[1]!, where)
    expectOutputs(node, infer(node.inputs.map((v) => v?.type)))
    expectMoved(node)
  },

  eval(node, [x, indices]) {
    const { axis } = node.attrs
    const { shape } = node.inputs[0]!.type
    const wanted = node.outputs[0].type.shape
    const Y = newData(elementOf(node.outputs[0]), count(wanted))
    const at = wanted.map(() => 0)
    for (let i = 0; i < Y.length; i++) {
      const p = position(indices![i], shape[axis])
      Y[i] = x![at.reduce((sum, c, d) => sum * shape[d] + (d === axis ? p : c), 0)]
      for (let d = wanted.length - 1; d >= 0 && ++at[d] === wanted[d]; d--) at[d] = 0
    }
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, 0),
}
