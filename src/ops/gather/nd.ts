// Slices of x at index tuples: y[b, m, q] = x[b, indices[b, m, 0], ..., indices[b, m, k - 1], q]. TFLite's GATHER_ND,
// ONNX's GatherND.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData, type Stmt } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { numberAttr } from '../onnx.ts'
import { elementOf, expectMoved } from '../shape/copy.ts'
import { operand, reading } from '../tflite.ts'
import { expectIndices, loadPosition, position } from './index.ts'

/** The first `batchDims` axes of input and indices are the same. */
export type GatherNd = Attrs & { readonly batchDims: number }

function sizes(node: Node<GatherNd>) {
  const { batchDims } = node.attrs
  const [x, indices] = node.inputs.map((v) => v!.type.shape)
  const K = indices[indices.length - 1]
  return {
    B: count(x.slice(0, batchDims)),
    M: count(indices.slice(batchDims, -1)),
    extents: x.slice(batchDims, batchDims + K),
    Q: count(x.slice(batchDims + K)),
  }
}

function lower(node: Node<GatherNd>): Call {
  const [x, indices] = [node.inputs[0]!, node.inputs[1]!]
  const y = node.outputs[0]
  const { B, M, extents, Q } = sizes(node)
  const X = L.buffer('x', elementOf(x), [B, ...extents, Q])
  const I = L.buffer('indices', elementOf(indices), [B, M, extents.length])
  const Y = L.buffer('y', elementOf(y), [B, M, Q], 'write')
  const body = L.loops(['b', 'm'], [B, M], (b, m) => {
    const found = extents.map((extent, k) => loadPosition(I, [b, m, L.int(k)], extent, `at${k}`))
    const declared: Stmt[] = found.flatMap(([stmts]) => stmts)
    const at = found.map(([, e]) => e)
    return [...declared, L.parallel('q', Q, (q) => L.store(Y, [b, m, q], L.load(X, b, ...at, q)))]
  })
  return { kernel: L.kernel('gather_nd', [X, I, Y], body), args: [{ value: x }, { value: indices }, { value: y }] }
}

function infer([x, indices]: readonly (TensorType | undefined)[], { batchDims }: GatherNd): TensorType[] {
  const K = indices!.shape[indices!.shape.length - 1]
  return [{ ...x!, shape: [...indices!.shape.slice(0, -1), ...x!.shape.slice(batchDims + K)] }]
}

/**
 * y[b, m, q] = x[b, indices[b, m, 0], ..., indices[b, m, k - 1], q], with `batchDims` axes b that both have. Any type
 * with one scale or none. Indices i32 or i64; negative ones count from the end, those outside are moved to the nearest
 * element. TFLite GATHER_ND (no batch axes), ONNX GatherND.
 */
export const gatherNd: Op<GatherNd> = {
  name: 'gather_nd',

  spelled: {
    tflite: [
      {
        name: 'GATHER_ND',
        code: 107,
        options: { id: 83, fields: {} },
        read: (build, { inputs, result }) => build.add(gatherNd, inputs, { batchDims: 0 }, result),
        write: ({ inputs, attrs }) => (attrs.batchDims === 0 ? { inputs, options: {} } : undefined),
      },
    ],
    onnx: [
      {
        name: 'GatherND',
        read(build, node) {
          const where = reading('gather_nd', node)
          const inputs = [operand(node, 0, 'data', where), operand(node, 1, 'indices', where)]
          return build.add(gatherNd, inputs, { batchDims: numberAttr(node, 'batch_dims', 0) }, node.result)
        },
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    const [x, indices] = node.inputs.map((v) => v!.type.shape)
    const { batchDims } = node.attrs
    const K = indices[indices.length - 1] ?? 0
    if (!(batchDims >= 0 && batchDims < indices.length) || K < 1 || batchDims + K > x.length)
      throw new ModelError(where, `indices are [${indices}] after ${batchDims} batch dimensions, input is [${x}]`)
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
    const { B, M, extents, Q } = sizes(node)
    const K = extents.length
    const Y = newData(elementOf(node.outputs[0]), B * M * Q)
    let i = 0
    for (let b = 0; b < B; b++)
      for (let m = 0; m < M; m++) {
        let at = b
        for (let k = 0; k < K; k++) at = at * extents[k] + position(indices![(b * M + m) * K + k], extents[k])
        for (let q = 0; q < Q; q++) Y[i++] = x![at * Q + q]
      }
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, 0),
}
