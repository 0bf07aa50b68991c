// Axes in another order: axis d of the output is axis perm[d] of the input.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, Value } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { constantNumbers, int32Constant, reading } from '../tflite.ts'
import { elementOf, expectMoved } from './copy.ts'

export type Transpose = Attrs & { readonly perm: readonly number[] }

/** The same transposition with the fewest axes: those of extent 1 go, those that stay neighbours in order merge. */
function simplified(shape: readonly number[], perm: readonly number[]): { shape: number[]; perm: number[] } {
  const groups: number[][] = []
  for (const p of perm.filter((d) => shape[d] !== 1)) {
    const last = groups.at(-1)
    const before = last?.at(-1)
    const adjacent = before !== undefined && before < p && shape.slice(before + 1, p).every((d) => d === 1)
    if (last && adjacent) last.push(p)
    else groups.push([p])
  }
  const inOrder = [...groups].sort((a, b) => a[0] - b[0])
  return {
    shape: inOrder.map((g) => count(g.map((d) => shape[d]))),
    perm: groups.map((g) => inOrder.indexOf(g)),
  }
}

function movesNothing(node: Node<Transpose>): boolean {
  return simplified(node.inputs[0]!.type.shape, node.attrs.perm).shape.length <= 1
}

function lower(node: Node<Transpose>): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const s = simplified(x.type.shape, node.attrs.perm)
  const [shape, perm] = s.shape.length ? [s.shape, s.perm] : [[1], [0]]
  const X = L.buffer('x', elementOf(x), shape)
  const wanted = perm.map((p) => shape[p])
  const Y = L.buffer('y', elementOf(y), wanted, 'write')
  const body = L.loops(
    perm.map((p) => `i${p}`),
    wanted,
    (...at) => {
      const from = shape.map((_, d) => at[perm.indexOf(d)])
      return L.store(Y, at, L.load(X, ...from))
    },
  )
  return { kernel: L.kernel('transpose', [X, Y], body), args: [{ value: x }, { value: y }] }
}

/**
 * Axes in another order: axis d of the output is axis `perm`[d] of the input. The scale stays. TFLite TRANSPOSE, ONNX
 * Transpose.
 */
export const transpose: Op<Transpose> = {
  name: 'transpose',

  spelled: {
    tflite: [
      {
        name: 'TRANSPOSE',
        code: 39,
        options: { id: 26, fields: {} },
        read(build, node) {
          const perm = constantNumbers(node, 1, 'permutation', reading('transpose', node))
          return build.add(transpose, [node.inputs[0]], { perm }, node.result)
        },
        write({ inputs, outputs, attrs: { perm } }) {
          return { inputs: [inputs[0], int32Constant(`${outputs[0].name}/perm`, perm, [perm.length])], options: {} }
        },
      },
    ],
  },

  infer: ([x], { perm }) => [{ ...x!, shape: perm.map((p) => x!.shape[p]) }],

  check(node) {
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    const { perm } = node.attrs
    if (perm.length !== x.shape.length || x.shape.some((_, d) => !perm.includes(d)))
      throw new ModelError(layer(node), `[${perm}] is no permutation of the ${x.shape.length} axes of [${x.shape}]`)
    expectOutputs(node, transpose.infer([x], node.attrs))
    expectMoved(node)
  },

  eval(node, [x]) {
    const { shape } = node.inputs[0]!.type
    const { perm } = node.attrs
    const wanted = node.outputs[0].type.shape
    const Y = newData(elementOf(node.outputs[0]), x!.length)
    const at = shape.map(() => 0)
    for (let i = 0; i < x!.length; i++) {
      Y[perm.reduce((p, from, d) => p * wanted[d] + at[from], 0)] = x![i]
      for (let d = shape.length - 1; d >= 0 && ++at[d] === shape[d]; d--) at[d] = 0
    }
    return [Y]
  },

  lower,
  empty: true,
  quantize: () => ({ output: 'shared' }),
  cost: (node) => costOf(node, 0),
  inPlace: (node) => (movesNothing(node) ? [0] : []),
  effect: (node) => ({ does: movesNothing(node) ? 'copy' : 'transpose', perm: node.attrs.perm }),
}

/** A constant with its axes in another order, under the same name. */
export function transposed({ name, type, data }: Value, perm: readonly number[]): Value {
  const from: Value = { name, type: { dtype: type.dtype, shape: type.shape }, storage: 'const', data }
  const [turned] = transpose.infer([from.type], { perm })
  const to: Value = { name, type: turned, storage: 'const' }
  const node = { op: transpose, inputs: [from], outputs: [to], attrs: { perm }, from: name }
  return { ...to, data: transpose.eval(node, [data])[0] }
}
