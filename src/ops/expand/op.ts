// Repeats the axes of extent 1 until the tensor has `shape` (NumPy's broadcasting rule): TFLite's BROADCAST_TO, ONNX's
// Expand. Tiling is this between two reshapes.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { elementOf, expectMoved } from '../shape/copy.ts'
import { constantNumbers, int32Constant, operand, operands, reading } from '../tflite.ts'

/** The output's shape. */
export type Expand = Attrs & { readonly shape: readonly number[] }

/** The input's shape with as many axes as the output's. */
function aligned(x: readonly number[], rank: number): number[] {
  return [...Array.from({ length: Math.max(0, rank - x.length) }, () => 1), ...x]
}

/** The shape of two shapes broadcast to one another. */
function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  const [x, y] = [aligned(a, rank), aligned(b, rank)]
  return x.map((d, i) => (d === 1 ? y[i] : d))
}

function lower(node: Node<Expand>): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const axes: { from: number; to: number }[] = []
  aligned(x.type.shape, y.type.shape.length).forEach((from, d) => {
    const to = y.type.shape[d]
    const last = axes.at(-1)
    if (to === 1) return
    if (last && (from === to) === (last.from === last.to))
      axes[axes.length - 1] = { from: last.from * from, to: last.to * to }
    else axes.push({ from, to })
  })
  if (!axes.length) axes.push({ from: 1, to: 1 })
  const X = L.buffer(
    'x',
    elementOf(x),
    axes.map((a) => a.from),
  )
  const wide = axes.map((a) => a.to)
  const Y = L.buffer('y', elementOf(y), wide, 'write')
  const body = L.loops(
    axes.map((_, d) => `i${d}`),
    wide,
    (...at) => L.store(Y, at, L.load(X, ...at.map((i, d) => (axes[d].from === axes[d].to ? i : 0)))),
  )
  return { kernel: L.kernel('expand', [X, Y], body), args: [{ value: x }, { value: y }] }
}

/**
 * Repeats axes of extent 1 until the tensor has `shape` (numpy broadcasting). Any type with one scale or none. Refuses
 * shapes that do not broadcast. TFLite BROADCAST_TO, ONNX Expand.
 */
export const expand: Op<Expand> = {
  name: 'expand',

  spelled: {
    tflite: [
      {
        name: 'BROADCAST_TO',
        code: 130,
        options: { id: 104, fields: {} },
        read(build, node) {
          const shape = constantNumbers(node, 1, 'shape', reading('expand', node))
          return build.add(expand, [operands(node, 1, 'expand')[0]], { shape }, node.result)
        },
        write: ({ inputs, outputs, attrs: { shape } }) => ({
          inputs: [inputs[0], int32Constant(`${outputs[0].name}/shape`, shape, [shape.length])],
          options: {},
        }),
      },
    ],
    onnx: [
      {
        name: 'Expand',
        read(build, node) {
          const where = reading('expand', node)
          const x = operand(node, 0, 'input', where)
          const shape = broadcast(x.type.shape, constantNumbers(node, 1, 'shape', where))
          return build.add(expand, [x], { shape }, node.result)
        },
      },
    ],
  },

  rebatch: ({ attrs: { shape } }, times) => ({ shape: shape.map((d, i) => (i === 0 ? d * times : d)) }),
  infer: ([x], { shape }): TensorType[] => [{ ...x!, shape }],

  check(node) {
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    const { shape } = node.attrs
    if (x.shape.length > shape.length || aligned(x.shape, shape.length).some((d, i) => d !== 1 && d !== shape[i]))
      throw new ModelError(layer(node), `input is [${x.shape}], which does not broadcast to [${shape}]`)
    expectOutputs(node, expand.infer([x], node.attrs))
    expectMoved(node)
  },

  eval(node, [x]) {
    const { shape } = node.attrs
    const from = aligned(node.inputs[0]!.type.shape, shape.length)
    const Y = newData(elementOf(node.outputs[0]), count(shape))
    const at = shape.map(() => 0)
    for (let i = 0; i < Y.length; i++) {
      Y[i] = x![at.reduce((p, c, d) => p * from[d] + (from[d] === 1 ? 0 : c), 0)]
      for (let d = shape.length - 1; d >= 0 && ++at[d] === shape[d]; d--) at[d] = 0
    }
    return [Y]
  },

  lower,
  empty: true,
  cost: (node) => costOf(node, 0),
}
