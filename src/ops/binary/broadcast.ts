// Numpy broadcasting of operands, as the least number of loops: axes of extent 1 go, neighbours that broadcast alike
// merge.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Data, type Expr } from '../../loops/ir.ts'
import type { Steps } from '../../loops/math.ts'
import { elemOfValue, outputElem } from '../check.ts'
import type { Extra } from '../elementwise.ts'
import { type Scalar, scalarsOf, tensorOf } from '../scalars.ts'

/** The shape of the result, or undefined where the operands do not broadcast. Aligned at the last axis. */
export function broadcastShape(...shapes: (readonly number[])[]): number[] | undefined {
  const rank = Math.max(...shapes.map((s) => s.length))
  const out: number[] = []
  for (let d = 0; d < rank; d++) {
    const extents = shapes.map((s) => s[s.length - rank + d] ?? 1)
    const wide = extents.find((e) => e !== 1) ?? 1
    if (extents.some((e) => e !== 1 && e !== wide)) return undefined
    out.push(wide)
  }
  return out
}

/** One loop: its extent, and which operands move with it. */
export interface Axis {
  readonly extent: number
  readonly moves: readonly boolean[]
}

/** The loops over the result of operands of these shapes, outermost first; at least one. */
export function broadcastAxes(...shapes: (readonly number[])[]): Axis[] {
  const axes: Axis[] = []
  const shape = broadcastShape(...shapes) ?? []
  shape.forEach((extent, d) => {
    if (extent === 1) return
    const moves = shapes.map((s) => (s[s.length - shape.length + d] ?? 1) !== 1)
    const last = axes.at(-1)
    if (last?.moves.every((m, i) => m === moves[i]))
      axes[axes.length - 1] = { extent: last.extent * extent, moves: last.moves }
    else axes.push({ extent, moves })
  })
  return axes.length ? axes : [{ extent: 1, moves: shapes.map(() => true) }]
}

/** Output 0 from the node's operands, element by element: `of` gives the statements to run first and the result. */
export function broadcastCall(name: string, node: Node, extra: Extra, of: (x: Expr[]) => Steps): Call {
  const operands = node.inputs as Value[]
  const axes = broadcastAxes(...operands.map((v) => v.type.shape))
  const names = ['a', 'b', 'c']
  const bufs = operands.map((v, side) => {
    const shape = axes.filter((axis) => axis.moves[side]).map((axis) => axis.extent)
    return L.buffer(names[side], elemOfValue(v), shape.length ? shape : [1])
  })
  const extents = axes.map((axis) => axis.extent)
  const Y = L.buffer('y', outputElem(node), extents, 'write')
  const body = L.loops(
    axes.map((_, d) => `i${d}`),
    extents,
    (...i) => {
      const [stmts, result] = of(
        bufs.map((buf, side) => {
          const moving = i.filter((_, d) => axes[d].moves[side])
          return L.load(buf, ...(moving.length ? moving : [0]))
        }),
      )
      return [...stmts, L.store(Y, i, result)]
    },
  )
  return {
    kernel: L.kernel(name, [...bufs, ...extra.bufs, Y], ...extra.head, body),
    args: [...operands.map((value) => ({ value })), ...extra.args, { value: node.outputs[0] }],
  }
}

/** Output 0 of an elementwise node, `element` of the operands' elements. */
export function broadcastEval(
  node: Node,
  inputs: readonly (Data | undefined)[],
  element: (...x: Scalar[]) => Scalar,
): Data {
  const { shape } = node.outputs[0].type
  const steps = node.inputs.map((v) => {
    const s = v!.type.shape
    return shape.map((_, d) => {
      const own = d - shape.length + s.length
      return own < 0 || s[own] === 1 ? 0 : count(s.slice(own + 1))
    })
  })
  const operands = inputs.map(scalarsOf)
  const at = shape.map(() => 0)
  return tensorOf(outputElem(node), count(shape), () => {
    const y = element(...operands.map((x, k) => x[steps[k].reduce((sum, n, d) => sum + n * at[d], 0)]))
    for (let d = shape.length - 1; d >= 0 && ++at[d] === shape[d]; d--) at[d] = 0
    return y
  })
}
