// Writes a tensor that lives between runs: inputs are the state and its new content, there is no output. TFLite's
// ASSIGN_VARIABLE works on resource handles, so the importer, which resolves them, adds this node itself.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { elemOf, printTensorType, sameType, type Value } from '../../ir/graph.ts'
import type { Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Data, type Elem } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'

export type Assign = Record<string, never>

function copyInto(to: Data, from: Data): void {
  if (to instanceof BigInt64Array) to.set(from as BigInt64Array)
  else to.set(numbers(from))
}

/**
 * Writes a state: inputs are the state (storage `state` or `param`) and its new content, of the same type; no output.
 * TFLite ASSIGN_VARIABLE.
 */
export const assign: Op<Assign> = {
  name: 'assign',
  spelled: {},
  infer: () => [],

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    expectOutputs(node, [])
    const [state, value] = node.inputs as [Value, Value]
    if (state.storage !== 'state' && state.storage !== 'param')
      throw new ModelError(where, `writes "${state.name}", which is ${state.storage}, not state or param`)
    if (!sameType(state.type, value.type))
      throw new ModelError(
        where,
        `state "${state.name}" is ${printTensorType(state.type)}, its new content ${printTensorType(value.type)}`,
      )
    if (!elemOf(state.type.dtype))
      throw new ModelError(where, `state "${state.name}" is ${state.type.dtype}, which is packed`)
  },

  /** Changes the data of input 0. */
  eval(_, [state, value]) {
    copyInto(state!, value!)
    return []
  },

  lower(node) {
    const [state, value] = node.inputs as [Value, Value]
    const n = count(state.type.shape)
    const elem = elemOf(state.type.dtype) as Elem
    const X = L.buffer('x', elem, [n])
    const S = L.buffer('s', elem, [n], 'write')
    return {
      kernel: L.kernel(
        'assign',
        [X, S],
        L.parallel('i', n, (i) => L.store(S, [i], L.load(X, i))),
      ),
      args: [{ value }, { value: state }],
    }
  },

  cost(node) {
    const { bytesRead } = costOf({ ...node, inputs: [node.inputs[1]] }, 0)
    return { macs: 0, bytesRead, bytesWritten: bytesRead }
  },
  writesState: true,
}
