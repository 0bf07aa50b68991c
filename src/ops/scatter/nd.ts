// A copy of x with slices replaced, or combined with updates, at index tuples, in the order of the updates:
// y[indices[m, 0], ..., indices[m, k - 1], q] op= updates[m, q]. TFLite's SCATTER_ND (onto zeros), ONNX's ScatterND.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { elemOf, type Node, type TensorType } from '../../ir/graph.ts'
import { checkType } from '../../ir/limits.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { expectIndices, loadPosition, position } from '../gather/index.ts'
import { stringAttr } from '../onnx.ts'
import { elementOf, expectMoved } from '../shape/copy.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'
import { combine, combined, expectReducible, type Reduction, reductionOf } from './reduction.ts'

export type ScatterNd = Attrs & { readonly reduction: Reduction }

function sizes(node: Node<ScatterNd>) {
  const [x, indices] = node.inputs.map((v) => v!.type.shape)
  const K = indices[indices.length - 1]
  return { M: count(indices.slice(0, -1)), extents: x.slice(0, K), Q: count(x.slice(K)) }
}

function lower(node: Node<ScatterNd>): Call {
  const [x, indices, updates] = node.inputs.map((v) => v!)
  const y = node.outputs[0]
  const { M, extents, Q } = sizes(node)
  const X = L.buffer('x', elementOf(x), [count(x.type.shape)])
  const I = L.buffer('indices', elementOf(indices), [M, extents.length])
  const U = L.buffer('updates', elementOf(updates), [M, Q])
  const Y = L.buffer('y', elementOf(y), [count(extents), Q], 'write')
  const copy = L.loops(['i', 'j'], [count(extents), Q], (i, j) => L.store(Y, [i, j], L.load(X, L.add(L.mul(i, Q), j))))
  const scatter = L.loop('m', M, (m) => {
    const found = extents.map((extent, k) => loadPosition(I, [m, L.int(k)], extent, `at${k}`))
    const row = found.reduce((at, [, e], k) => L.add(L.mul(at, extents[k]), e), L.int(0))
    const [declareRow, r] = L.declare('row', row)
    return [
      ...found.flatMap(([stmts]) => stmts),
      declareRow,
      L.parallel('q', Q, (q) => L.store(Y, [r, q], combined(node.attrs.reduction, L.load(Y, r, q), L.load(U, m, q)))),
    ]
  })
  return {
    kernel: L.kernel('scatter_nd', [X, I, U, Y], copy, scatter),
    args: [{ value: x }, { value: indices }, { value: updates }, { value: y }],
  }
}

/**
 * A copy of x in which, in the order of the updates, y[indices[m, 0], ..., indices[m, k - 1], q] is replaced by or
 * combined with updates[m, q]. `reduction`: none, add, mul, min or max, the last four on f32, f64, i32 and i64 without
 * scales. Indices i32 or i64, those outside moved to the nearest element. TFLite SCATTER_ND (onto zeros), ONNX
 * ScatterND.
 */
export const scatterNd: Op<ScatterNd> = {
  name: 'scatter_nd',

  spelled: {
    tflite: [
      {
        name: 'SCATTER_ND',
        code: 122,
        options: { id: 97, fields: {} },
        read(build, node) {
          const where = reading('scatter_nd', node)
          const [indices, updates] = [operand(node, 0, 'indices', where), operand(node, 1, 'updates', where)]
          const type: TensorType = { ...updates.type, shape: constantNumbers(node, 2, 'shape', where) }
          checkType(type, where)
          const zeros = newData(elemOf(type.dtype) ?? 'u8', count(type.shape))
          const x = build.const(`${node.result.names?.[0] ?? 'scatter_nd'}/zeros`, type, zeros)
          return build.add(scatterNd, [x, indices, updates], { reduction: 'add' }, node.result)
        },
      },
    ],
    onnx: [
      {
        name: 'ScatterND',
        read(build, node) {
          const where = reading('scatter_nd', node)
          const inputs = ['data', 'indices', 'updates'].map((what, i) => operand(node, i, what, where))
          const reduction = reductionOf(stringAttr(node, 'reduction', 'none'), where)
          return build.add(scatterNd, inputs, { reduction }, node.result)
        },
      },
    ],
  },

  infer: ([x]) => [x!],

  check(node) {
    const where = layer(node)
    expectInputs(node, 3)
    const [x, indices, updates] = node.inputs.map((v) => v!.type)
    const K = indices.shape[indices.shape.length - 1] ?? 0
    if (K < 1 || K > x.shape.length)
      throw new ModelError(where, `indices are [${indices.shape}], input is [${x.shape}]`)
    const wanted = [...indices.shape.slice(0, -1), ...x.shape.slice(K)]
    if (updates.shape.length !== wanted.length || updates.shape.some((d, i) => d !== wanted[i]))
      throw new ModelError(where, `updates are [${updates.shape}], expected [${wanted}]`)
    expectIndices(node.inputs[1]!, where)
    expectReducible(x, updates, node.attrs.reduction, where)
    expectOutputs(node, [x])
    expectMoved(node)
    expectMoved(node, 2)
  },

  eval(node, [x, indices, updates]) {
    const { M, extents, Q } = sizes(node)
    const K = extents.length
    const Y = x!.slice()
    for (let m = 0; m < M; m++) {
      let at = 0
      for (let k = 0; k < K; k++) at = at * extents[k] + position(indices![m * K + k], extents[k])
      for (let q = 0; q < Q; q++) combine(node.attrs.reduction, Y, at * Q + q, updates![m * Q + q])
    }
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
