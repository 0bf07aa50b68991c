// Rows of several images one below the other: y[N, sum of rows, W, C] of x_k[N, H_k, W, C], from each `rows[k]` rows that
// begin at row `from[k]`. What the `stage` pass makes windows and whole images of; where all inputs are taken whole and
// stand in the output's buffer already, there is nothing to do.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { inputsOf, type Node, type TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { elementOf, expectMoved } from './copy.ts'

/** For each input its first row and how many are taken. */
export type Splice = Attrs & { readonly from: readonly number[]; readonly rows: readonly number[] }

/** The row of the graph's input that a node with `receives` waits for. */
export function receivedRow(node: Node): number {
  return (node.attrs as unknown as Splice).from[0]
}

/** Elements of one row. */
function rowSize(shape: readonly number[]): number {
  return count(shape.slice(2))
}

function lower(node: Node<Splice>): Call {
  const y = node.outputs[0]
  const { from, rows } = node.attrs
  const [N] = y.type.shape
  const size = rowSize(y.type.shape)
  const inputs = inputsOf(node)
  const X = inputs.map((x, k) => L.buffer(`x${k}`, elementOf(x), [N, count(x.type.shape) / N]))
  const Y = L.buffer('y', elementOf(y), [N, count(y.type.shape) / N], 'write')
  const body = L.parallel('n', N, (n) => {
    let at = 0
    return X.map((x, k) => {
      const start = at
      at += rows[k] * size
      return L.parallel(`i${k}`, rows[k] * size, (i) =>
        L.store(Y, [n, L.add(i, start)], L.load(x, n, L.add(i, from[k] * size))),
      )
    })
  })
  return {
    kernel: L.kernel('splice', [...X, Y], body),
    args: [...inputs.map((value) => ({ value })), { value: y }],
  }
}

/** Rows of several images one below the other. Inputs x_k[N, H_k, W, C], any element type; see `Splice` for the attributes. */
export const splice: Op<Splice> = {
  name: 'splice',
  spelled: {},

  infer([first], { rows }): TensorType[] {
    const shape = first!.shape.map((d, i) => (i === 1 ? rows.reduce((a, b) => a + b, 0) : d))
    return [{ ...first!, shape }]
  },

  check(node) {
    const where = layer(node)
    const { from, rows } = node.attrs
    expectInputs(node, Math.max(1, node.inputs.length))
    const types = inputsOf(node).map((v) => v.type)
    const [first] = types
    if (first.shape.length < 2 || from.length !== types.length || rows.length !== types.length)
      throw new ModelError(where, `takes rows ${rows} from ${from} of ${types.length} inputs of [${first.shape}]`)
    for (const [k, { shape }] of types.entries()) {
      if (shape.length !== first.shape.length || shape.some((d, i) => i !== 1 && d !== first.shape[i]))
        throw new ModelError(where, `input ${k} is [${shape}], input 0 is [${first.shape}]; only rows may differ`)
      const inside = [from[k], rows[k]].every((n) => Number.isInteger(n)) && from[k] >= 0 && rows[k] >= 1
      if (!inside || from[k] + rows[k] > shape[1])
        throw new ModelError(
          where,
          `takes rows ${from[k]} to ${from[k] + rows[k]} of input ${k}, which has ${shape[1]}`,
        )
    }
    expectOutputs(node, splice.infer(types, node.attrs))
    for (let i = 0; i < types.length; i++) expectMoved(node, i)
  },

  eval(node, inputs) {
    const { shape } = node.outputs[0].type
    const { from, rows } = node.attrs
    const Y = newData(elementOf(node.outputs[0]), count(shape))
    const size = rowSize(shape)
    let at = 0
    for (let n = 0; n < shape[0]; n++)
      for (const [k, x] of inputs.entries()) {
        const start = (n * node.inputs[k]!.type.shape[1] + from[k]) * size
        for (let i = 0; i < rows[k] * size; i++) Y[at++] = x![start + i]
      }
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, 0),
}
