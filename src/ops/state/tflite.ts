// Resource variables of .tflite files. The importer knows which tensor is a handle of which variable and hands the state
// itself to what reads and writes it: VAR_HANDLE and CALL_ONCE, which gives variables their first content, compute nothing.

import type { TfliteSpelling } from '../../ir/op.ts'
import { reshape } from '../shape/reshape.ts'
import { operand, reading } from '../tflite.ts'
import { assign } from './op.ts'

export const tfliteVarHandle = {
  name: 'VAR_HANDLE',
  code: 142,
  options: { id: 111, fields: { container: { slot: 0, type: 'string' }, shared_name: { slot: 1, type: 'string' } } },
  read: () => [],
} as const satisfies TfliteSpelling

export const tfliteCallOnce = {
  name: 'CALL_ONCE',
  code: 129,
  options: { id: 103, fields: { init_subgraph_index: { slot: 0, type: 'i32', default: 0 } } },
  silent: true,
  read: () => [],
} as const satisfies TfliteSpelling

/** A copy, which keeps what the variable holds here while it is written later. */
export const tfliteReadVariable: TfliteSpelling = {
  name: 'READ_VARIABLE',
  code: 143,
  read(build, node) {
    const state = operand(node, 0, 'the variable', reading('read_variable', node))
    return build.add(reshape, [state], { shape: state.type.shape }, node.result)
  },
}

export const tfliteAssignVariable = {
  name: 'ASSIGN_VARIABLE',
  code: 144,
  silent: true,
  read: (build, node) => build.add(assign, node.inputs, {}, { from: node.result.from }),
} as const satisfies TfliteSpelling
