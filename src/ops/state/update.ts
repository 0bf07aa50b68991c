// Writes a part of a tensor that lives between runs: inputs are the state, the new content of a slice of `axis`, and
// where the slice begins (one int32, moved inside where it is not). There is no output. A key-value cache is such a state.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { bytesOf, elemOf, type Node, printTensorType, sameQuant, sameShape, type Value } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Data, type Elem } from '../../loops/ir.ts'
import { expectInputs, expectOutputs } from '../check.ts'
import { expectDtype } from '../quant.ts'

export type Update = Attrs & { readonly axis: number }

/** Slices before the axis, places along it, places written, elements after it. */
function sizes({ inputs, attrs: { axis } }: Node<Update>) {
  const [state, value] = inputs.map((v) => v!.type.shape)
  return { outer: count(state.slice(0, axis)), T: state[axis], n: value[axis], inner: count(state.slice(axis + 1)) }
}

/**
 * Writes a slice of a state along `axis`: inputs are the state, the new content, and where it begins (one i32, moved
 * inside where it is not); no output. Key-value caches are made of it.
 */
export const update: Op<Update> = {
  name: 'update',
  spelled: {},
  infer: () => [],

  check(node) {
    const where = layer(node)
    expectInputs(node, 3)
    expectOutputs(node, [])
    const [state, value, position] = node.inputs as Value[]
    const { axis } = node.attrs
    if (state.storage !== 'state' && state.storage !== 'param')
      throw new ModelError(where, `writes "${state.name}", which is ${state.storage}, not state or param`)
    if (!elemOf(state.type.dtype))
      throw new ModelError(where, `state "${state.name}" is ${state.type.dtype}, which is packed`)
    const T = state.type.shape[axis]
    const n = value.type.shape[axis]
    const slice = state.type.shape.map((d, i) => (i === axis ? n : d))
    if (
      !(n >= 1 && n <= T) ||
      value.type.dtype !== state.type.dtype ||
      !sameShape(value.type.shape, slice) ||
      !sameQuant(value.type.quant, state.type.quant)
    )
      throw new ModelError(
        where,
        `state "${state.name}" is ${printTensorType(state.type)}, the slice of axis ${axis} ${printTensorType(value.type)}`,
      )
    expectDtype(position.type, ['i32'], 'position', where)
    if (count(position.type.shape) !== 1)
      throw new ModelError(where, `position has ${count(position.type.shape)} elements, expected 1`)
  },

  /** Changes the data of input 0. */
  eval(node, [state, value, position]) {
    const { outer, T, n, inner } = sizes(node)
    const at = Math.max(0, Math.min(T - n, Number(position![0])))
    for (let o = 0; o < outer; o++) {
      const rows = value!.subarray(o * n * inner, (o + 1) * n * inner) as Data
      ;(state as { set(from: ArrayLike<unknown>, at: number): void }).set(
        rows as ArrayLike<unknown>,
        (o * T + at) * inner,
      )
    }
    return []
  },

  lower(node) {
    const [state, value, position] = node.inputs as Value[]
    const { outer, T, n, inner } = sizes(node)
    const elem = elemOf(state.type.dtype) as Elem
    const X = L.buffer('x', elem, [outer, n, inner])
    const P = L.buffer('p', 'i32', [1])
    const S = L.buffer('s', elem, [outer, T, inner], 'write')
    const [declare, at] = L.declare('at', L.clamp(L.load(P, 0), 0, T - n))
    return {
      kernel: L.kernel(
        'update',
        [X, P, S],
        declare,
        L.loops(['o', 't', 'i'], [outer, n, inner], (o, t, i) => L.store(S, [o, L.add(at, t), i], L.load(X, o, t, i))),
      ),
      args: [{ value }, { value: position }, { value: state }],
    }
  },

  cost(node) {
    const bytes = bytesOf(node.inputs[1]!.type)
    return { macs: 0, bytesRead: bytes + 4, bytesWritten: bytes }
  },
  writesState: true,
}
