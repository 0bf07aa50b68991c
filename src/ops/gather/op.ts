// Slices of x along `axis`, in the order of `indices`: y[b, p, k, q] = x[b, p, indices[b, k], q], where b are the
// `batchDims` axes that both have. TFLite's GATHER and EMBEDDING_LOOKUP, ONNX's Gather.

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
import { expectIndices, loadPosition, positions } from './index.ts'

/** `axis` counts from 0; the first `batchDims` axes of input and indices are the same. */
export type Gather = Attrs & { readonly axis: number; readonly batchDims: number }

/** Sizes of the loops: batches, axes before, extent of the axis, indices of a batch, axes behind. */
function sizes(node: Node<Gather>) {
  const { axis, batchDims } = node.attrs
  const [x, indices] = node.inputs.map((v) => v!.type.shape)
  return {
    B: count(x.slice(0, batchDims)),
    P: count(x.slice(batchDims, axis)),
    N: x[axis],
    K: count(indices.slice(batchDims)),
    Q: count(x.slice(axis + 1)),
  }
}

function lower(node: Node<Gather>): Call {
  const [x, indices] = [node.inputs[0]!, node.inputs[1]!]
  const y = node.outputs[0]
  const { B, P, N, K, Q } = sizes(node)
  const X = L.buffer('x', elementOf(x), [B, P, N, Q])
  const I = L.buffer('indices', elementOf(indices), [B, K])
  const Y = L.buffer('y', elementOf(y), [B, P, K, Q], 'write')
  const body = L.loops(['b', 'p', 'k'], [B, P, K], (b, p, k) => {
    const [declare, at] = loadPosition(I, [b, k], N, 'at')
    return [...declare, L.parallel('q', Q, (q) => L.store(Y, [b, p, k, q], L.load(X, b, p, at, q)))]
  })
  return { kernel: L.kernel('gather', [X, I, Y], body), args: [{ value: x }, { value: indices }, { value: y }] }
}

function infer([x, indices]: readonly (TensorType | undefined)[], { axis, batchDims }: Gather): TensorType[] {
  const shape = [...x!.shape.slice(0, axis), ...indices!.shape.slice(batchDims), ...x!.shape.slice(axis + 1)]
  return [{ ...x!, shape }]
}

/**
 * y[b, p, k, q] = x[b, p, indices[b, k], q] along `axis`, with `batchDims` axes b that both have. Any type with one
 * scale or none. Indices i32 or i64; negative ones count from the end, those outside are moved to the nearest element.
 * TFLite GATHER, EMBEDDING_LOOKUP, ONNX Gather.
 */
export const gather: Op<Gather> = {
  name: 'gather',

  spelled: {
    tflite: [
      {
        name: 'GATHER',
        code: 36,
        options: {
          id: 23,
          fields: { axis: { slot: 0, type: 'i32', default: 0 }, batch_dims: { slot: 1, type: 'i32', default: 0 } },
        },
        read(build, node) {
          const where = reading('gather', node)
          const [x, indices] = [operand(node, 0, 'input', where), operand(node, 1, 'indices', where)]
          const axis = axisOf(node.options.axis as number, x.type.shape.length, where)
          const given = node.options.batch_dims as number
          const batchDims = given < 0 ? given + indices.type.shape.length : given
          return build.add(gather, [x, indices], { axis, batchDims }, node.result)
        },
        write: ({ inputs, attrs: { axis, batchDims } }) => ({ inputs, options: { axis, batch_dims: batchDims } }),
      },
    ],
    onnx: [
      {
        name: 'Gather',
        read(build, node) {
          const where = reading('gather', node)
          const [x, indices] = [operand(node, 0, 'data', where), operand(node, 1, 'indices', where)]
          const axis = axisOf(numberAttr(node, 'axis', 0), x.type.shape.length, where)
          return build.add(gather, [x, indices], { axis, batchDims: 0 }, node.result)
        },
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    const [x, indices] = node.inputs.map((v) => v!.type.shape)
    const { axis, batchDims } = node.attrs
    if (!Number.isInteger(axis) || axis < 0 || axis >= x.length)
      throw new ModelError(where, `axis is ${axis}, input has ${x.length} dimensions`)
    if (!(batchDims >= 0 && batchDims <= axis && batchDims <= indices.length))
      throw new ModelError(where, `has ${batchDims} batch dimensions, axis is ${axis}, indices are [${indices}]`)
    if (indices.slice(0, batchDims).some((d, i) => d !== x[i]))
      throw new ModelError(where, `input [${x}] and indices [${indices}] differ in the first ${batchDims} dimensions`)
    expectIndices(node.inputs[1]!, where)
    expectOutputs(
      node,
      infer(
        node.inputs.map((v) => v?.type),
        node.attrs,
      ),
    )
    expectMoved(node)
  },

  eval(node, [x, indices]) {
    const { B, P, N, K, Q } = sizes(node)
    const at = positions(indices!, N)
    const Y = newData(elementOf(node.outputs[0]), B * P * K * Q)
    let i = 0
    for (let b = 0; b < B; b++)
      for (let p = 0; p < P; p++)
        for (let k = 0; k < K; k++) for (let q = 0; q < Q; q++) Y[i++] = x![((b * P + p) * N + at[b * K + k]) * Q + q]
    return [Y]
  },

  lower,
  quantize: () => ({ output: 'shared' }),
  cost: (node) => costOf(node, 0),
}
