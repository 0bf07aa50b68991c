// One node on its own: its meaning and its kernel.

import { Builder, type NodeOptions } from '../../src/ir/build.ts'
import type { Graph, Node, TensorType, Value } from '../../src/ir/graph.ts'
import type { Attrs, Op } from '../../src/ir/op.ts'
import { interpret } from '../../src/loops/interpret.ts'
import { count, type Data, newData } from '../../src/loops/ir.ts'

export interface One {
  readonly graph: Graph
  readonly node: Node
  readonly y: Value
}

/** A graph of one node on fresh inputs of the given types. */
export function one<A extends Attrs>(op: Op<A>, types: readonly TensorType[], attrs: A, options?: NodeOptions): One {
  const b = new Builder('one')
  const y = b.one(
    op,
    types.map((t, i) => b.input(`x${i}`, t)),
    attrs,
    options,
  )
  const graph = b.graph([y])
  return { graph, node: graph.nodes[0], y }
}

/** What `eval` answers, and what the kernel stores, for output 0. */
export function bothResults({ node, y }: One, inputs: readonly Data[]): { eval: Data; kernel: Data } {
  const { kernel, args } = node.op.lower(node)
  const out = newData(kernel.bufs.at(-1)!.elem, count(y.type.shape))
  interpret(
    kernel,
    args.map((arg) => {
      if ('data' in arg) return arg.data
      if ('scratch' in arg) throw new Error('no scratch here')
      return arg.value === y ? out : inputs[node.inputs.indexOf(arg.value)]
    }),
  )
  return { eval: node.op.eval(node, inputs)[0], kernel: out }
}
