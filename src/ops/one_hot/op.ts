// Rows that are `off` but for one `on`: y[p, d, q] = indices[p, q] is d ? on : off. A negative index counts from the end,
// one outside gives a row that is all off. Inputs indices (i32, i64) and values [off, on]. TFLite's ONE_HOT, ONNX's OneHot.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { expectIndices } from '../gather/index.ts'
import { axisOf, numberAttr } from '../onnx.ts'
import { concat } from '../shape/concat.ts'
import { elementOf } from '../shape/copy.ts'
import { reshape } from '../shape/reshape.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'

/** `axis` of the output along which the rows lie. */
export type OneHot = Attrs & { readonly axis: number; readonly depth: number }

function infer([indices, values]: readonly (TensorType | undefined)[], { axis, depth }: OneHot): TensorType[] {
  const shape = [...indices!.shape.slice(0, axis), depth, ...indices!.shape.slice(axis)]
  return [{ ...values!, shape }]
}

function sizes(node: Node<OneHot>) {
  const { shape } = node.inputs[0]!.type
  return { P: count(shape.slice(0, node.attrs.axis)), Q: count(shape.slice(node.attrs.axis)) }
}

/**
 * y[p, d, q] = values[indices[p, q] == d ? 1 : 0], with `depth` entries d along `axis` of the output. Indices i32 or
 * i64, negative ones from the end, outside: all off; values are [off, on], their type the output's. TFLite ONE_HOT,
 * ONNX OneHot.
 */
export const oneHot: Op<OneHot> = {
  name: 'one_hot',

  spelled: {
    tflite: [
      {
        name: 'ONE_HOT',
        code: 85,
        options: { id: 61, fields: { axis: { slot: 0, type: 'i32', default: 0 } } },
        read(build, node) {
          const where = reading('one_hot', node)
          const indices = operand(node, 0, 'indices', where)
          const [depth] = constantNumbers(node, 1, 'depth', where)
          const parts = [operand(node, 3, 'off value', where), operand(node, 2, 'on value', where)].map((v, i) =>
            build.one(reshape, [v], { shape: [1] }, { names: [`${node.result.names?.[0] ?? 'one_hot'}/${i}`] }),
          )
          const values = build.one(concat, parts, { axis: 0 })
          const axis = axisOf(node.options.axis as number, indices.type.shape.length + 1, where)
          return build.add(oneHot, [indices, values], { axis, depth }, node.result)
        },
      },
    ],
    onnx: [
      {
        name: 'OneHot',
        read(build, node) {
          const where = reading('one_hot', node)
          const [indices, values] = [operand(node, 0, 'indices', where), operand(node, 2, 'values', where)]
          const [depth] = constantNumbers(node, 1, 'depth', where)
          const axis = axisOf(numberAttr(node, 'axis', -1), indices.type.shape.length + 1, where)
          return build.add(oneHot, [indices, values], { axis, depth }, node.result)
        },
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    const [indices, values] = node.inputs.map((v) => v!.type)
    const { axis, depth } = node.attrs
    expectIndices(node.inputs[0]!, where)
    if (count(values.shape) !== 2) throw new ModelError(where, `values are [${values.shape}], expected off and on`)
    if (!Number.isInteger(depth) || depth < 1) throw new ModelError(where, `depth is ${depth}, expected at least 1`)
    if (!(axis >= 0 && axis <= indices.shape.length))
      throw new ModelError(where, `axis is ${axis}, indices have ${indices.shape.length} dimensions`)
    expectOutputs(node, infer([indices, values], node.attrs))
  },

  eval(node, [indices, values]) {
    const { P, Q } = sizes(node)
    const { depth } = node.attrs
    const Y = newData(elementOf(node.outputs[0]), P * depth * Q)
    for (let p = 0, i = 0; p < P; p++)
      for (let d = 0; d < depth; d++)
        for (let q = 0; q < Q; q++) {
          const index = Number(indices![p * Q + q])
          Y[i++] = values![(index < 0 ? index + depth : index) === d ? 1 : 0]
        }
    return [Y]
  },

  lower(node): Call {
    const [indices, values] = [node.inputs[0]!, node.inputs[1]!]
    const y = node.outputs[0]
    const { P, Q } = sizes(node)
    const { depth } = node.attrs
    const long = indices.type.dtype === 'i64'
    const k = (n: number) => (long ? L.long(n) : L.int(n))
    const I = L.buffer('indices', elementOf(indices), [P, Q])
    const V = L.buffer('values', elementOf(values), [2])
    const Y = L.buffer('y', elementOf(y), [P, depth, Q], 'write')
    const body = L.loops(['p', 'd', 'q'], [P, depth, Q], (p, d, q) => {
      const [declareI, i] = L.declare('index', L.load(I, p, q))
      const wrapped = L.select(L.lt(i, k(0)), L.op('wadd', i, k(depth)), i)
      const hit = L.op('eq', wrapped, long ? L.op('extend', d) : d)
      return [declareI, L.store(Y, [p, d, q], L.select(hit, L.load(V, 1), L.load(V, 0)))]
    })
    return { kernel: L.kernel('one_hot', [I, V, Y], body), args: [{ value: indices }, { value: values }, { value: y }] }
  },

  cost: (node) => costOf(node, 0),
}
