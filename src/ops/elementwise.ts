// Operators with one input and one output of the same shape: their checks and their one flat loop.

import type { Node, TensorType, Value } from '../ir/graph.ts'
import type { Arg, Call } from '../ir/op.ts'
import * as L from '../loops/build.ts'
import { type Buf, count, type Elem, type Expr, type Stmt } from '../loops/ir.ts'
import { outputElem } from './check.ts'

/** What a kernel needs besides input and output. */
export interface Extra {
  readonly bufs: readonly Buf[]
  readonly args: readonly Arg[]
  readonly head: readonly Stmt[]
}

/** Each element of output 0 from the same element of input 0: `value` gives the statements to run first and the result. */
export function elementwise(
  name: string,
  node: Node,
  { bufs, args, head }: Extra,
  value: (x: Expr) => readonly [readonly Stmt[], Expr],
): Call {
  const [x, y] = [node.inputs[0] as Value, node.outputs[0]]
  const n = count(y.type.shape)
  const X = L.buffer('x', x.type.dtype as Elem, [n])
  const Y = L.buffer('y', outputElem(node), [n], 'write')
  const body = L.parallel('i', n, (i) => {
    const [stmts, result] = value(L.load(X, i))
    return [...stmts, L.store(Y, [i], result)]
  })
  return {
    kernel: L.kernel(name, [X, ...bufs, Y], ...head, body),
    args: [{ value: x }, ...args, { value: y }],
  }
}

/** The same type without what only the operator's user can know. */
export function shaped(type: TensorType, dtype = type.dtype): TensorType {
  return { dtype, shape: type.shape }
}
