// What elementwise operators have in common: their checks, their answers, and the flat loop of those with one operand.

import { bytesOf, type Node, sameShape, type TensorType, type Value } from '../ir/graph.ts'
import type { Arg, Attrs, Call, Channels, Cost, Narrowed, Region } from '../ir/op.ts'
import * as L from '../loops/build.ts'
import { type Buf, count, type Expr, type Stmt } from '../loops/ir.ts'
import { together } from './channels.ts'
import { costOf, elemOfValue, outputElem } from './check.ts'

/** What a kernel needs besides input and output. */
export interface Extra {
  readonly bufs: readonly Buf[]
  readonly args: readonly Arg[]
  readonly head: readonly Stmt[]
}

export const NOTHING: Extra = { bufs: [], args: [], head: [] }

/** Each element of output 0 from the same element of input 0: `value` gives the statements to run first and the result. */
export function elementwise(
  name: string,
  node: Node,
  { bufs, args, head }: Extra,
  value: (x: Expr) => readonly [readonly Stmt[], Expr],
): Call {
  const [x, y] = [node.inputs[0] as Value, node.outputs[0]]
  const n = count(y.type.shape)
  const X = L.buffer('x', elemOfValue(x), [n])
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

/** What every elementwise operator answers alike, whatever it computes. */
export const ELEMENTWISE = {
  empty: true,
  cost: (node: Node): Cost => costOf(node, 0),

  /** Operands as large as the result, element by element. */
  inPlace(node: Node): readonly number[] {
    const y = node.outputs[0].type
    return node.inputs.flatMap((v, i) =>
      v && count(v.type.shape) === count(y.shape) && bytesOf(v.type) === bytesOf(y) ? [i] : [],
    )
  },

  /** The same rectangle of every operand, along axes that are not broadcast. */
  region<A extends Attrs>({ inputs, outputs, attrs }: Node<A>, out: Region) {
    const { shape } = outputs[0].type
    const whole = out.columns.to - out.columns.from === shape[2]
    const between = (v: Value | undefined) => v && (v.type.shape.length === 3 || (v.type.shape.length === 2 && !whole))
    if (shape.length !== 4 || inputs.some(between)) return undefined
    const along = (v: Value | undefined): Region | undefined => {
      if (v?.type.shape.length !== 4) return undefined
      const [, H, W] = v.type.shape
      const one = { from: 0, to: 1 }
      return { rows: H === shape[1] ? out.rows : one, columns: W === shape[2] ? out.columns : one }
    }
    return { inputs: inputs.map(along), attrs }
  },

  /** A channel goes from all operands and the result at once. */
  narrow<A extends Attrs>(node: Node<A>, free: Channels): Narrowed | undefined {
    const { shape } = node.outputs[0].type
    const alike = node.outputs.length === 1 && node.inputs.every((v) => v && sameShape(v.type.shape, shape))
    return alike ? together(node, free) : undefined
  },

  /** The order of the axes is nothing to an element. */
  permute<A extends Attrs>({ attrs }: Node<A>, perm: readonly number[]) {
    return { attrs, perm }
  },
} as const
