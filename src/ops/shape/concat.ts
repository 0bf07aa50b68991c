// Tensors one after another along an axis. All have one type: TensorFlow Lite Micro does not rescale either.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { inputsOf, type Node, type Value } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { operand, reading } from '../tflite.ts'
import { elementOf, expectMoved } from './copy.ts'

/** `axis` counts from 0. */
export type Concat = Attrs & { readonly axis: number }

function lower(node: Node<Concat>): Call {
  const y = node.outputs[0]
  const { axis } = node.attrs
  const outer = count(y.type.shape.slice(0, axis))
  const run = (v: Value) => count(v.type.shape.slice(axis))
  const inputs = inputsOf(node).filter((x) => run(x) > 0)
  const X = inputs.map((x, k) => L.buffer(`x${k}`, elementOf(x), [outer, run(x)]))
  const Y = L.buffer('y', elementOf(y), [outer, run(y)], 'write')
  const body = L.parallel('o', outer, (o) => {
    let from = 0
    return X.map((x, k) => {
      const start = from
      from += x.shape[1]
      return L.parallel(`i${k}`, x.shape[1], (i) => L.store(Y, [o, L.add(i, start)], L.load(x, o, i)))
    })
  })
  return {
    kernel: L.kernel('concat', [...X, Y], body),
    args: [...inputs.map((value) => ({ value })), { value: y }],
  }
}

/**
 * Tensors one after another along `axis`; the other axes agree. Any type; all tensors have one scale or none, the same
 * for all. TFLite CONCATENATION, ONNX Concat.
 */
export const concat: Op<Concat> = {
  name: 'concat',

  spelled: {
    tflite: [
      {
        name: 'CONCATENATION',
        code: 2,
        options: {
          id: 10,
          fields: {
            axis: { slot: 0, type: 'i32', default: 0 },
            fused_activation_function: { slot: 1, type: 'i8', default: 0 },
          },
        },
        read(build, node) {
          const where = reading('concat', node)
          const { options, inputs, result } = node
          if (options.fused_activation_function !== 0)
            throw new ModelError(where, `fused activation ${options.fused_activation_function}, only NONE is supported`)
          const axis = options.axis as number
          const rank = operand(node, 0, 'input', where).type.shape.length
          return build.add(concat, inputs, { axis: axis < 0 ? axis + rank : axis }, result)
        },
        write: ({ inputs, attrs: { axis } }) => ({ inputs, options: { axis, fused_activation_function: 0 } }),
      },
    ],
  },

  infer(inputs, { axis }) {
    const first = inputs[0]!
    const along = inputs.reduce((n, t) => n + t!.shape[axis], 0)
    return [{ ...first, shape: first.shape.map((d, i) => (i === axis ? along : d)) }]
  },

  check(node) {
    const where = layer(node)
    expectInputs(node, Math.max(1, node.inputs.length))
    const inputs = inputsOf(node).map((v) => v.type)
    const { axis } = node.attrs
    const [first] = inputs
    if (!Number.isInteger(axis) || axis < 0 || axis >= first.shape.length)
      throw new ModelError(where, `axis is ${axis}, input 0 has ${first.shape.length} dimensions`)
    for (const [i, t] of inputs.entries())
      if (t.shape.length !== first.shape.length || t.shape.some((d, k) => k !== axis && d !== first.shape[k]))
        throw new ModelError(
          where,
          `input ${i} is [${t.shape}], input 0 is [${first.shape}]; only axis ${axis} may differ`,
        )
    expectOutputs(node, concat.infer(inputs, node.attrs))
    for (let i = 0; i < inputs.length; i++) expectMoved(node, i)
  },

  eval(node, inputs) {
    const { shape } = node.outputs[0].type
    const Y = newData(elementOf(node.outputs[0]), count(shape))
    const outer = count(shape.slice(0, node.attrs.axis))
    let at = 0
    for (let o = 0; o < outer; o++)
      for (const x of inputs) {
        const run = x!.length / outer
        for (let i = 0; i < run; i++) Y[at++] = x![o * run + i]
      }
    return [Y]
  },

  lower,
  region({ attrs, inputs, outputs }, out) {
    const { shape } = outputs[0].type
    const whole = out.columns.to - out.columns.from === shape[2]
    if (shape.length !== 4 || attrs.axis < 2 || (attrs.axis === 2 && !whole)) return undefined
    const columns = (x: Value) => (attrs.axis === 2 ? { from: 0, to: x.type.shape[2] } : out.columns)
    return { inputs: inputs.map((x) => ({ rows: out.rows, columns: columns(x!) })), attrs }
  },
  empty: true,
  permute: ({ attrs: { axis } }, perm) => ({ attrs: { axis: perm[axis] }, perm }),
  quantize: () => ({ output: 'shared' }),
  cost: (node) => costOf(node, 0),
}
