// The recipe for sums of float32 products: each nest of a kernel as tiles of rows by lanes, or lane by lane where both factors
// have lanes (depthwise convolutions).

import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Expr, Stmt } from '../../loops/ir.ts'
import { flattened } from '../../loops/layout.ts'
import { someStmt } from '../../loops/walk.ts'
import type { Recipe } from '../target.ts'
import { laneByLane } from './float_depthwise.ts'
import { nestOf, Parts } from './float_nest.ts'
import { tiles } from './float_product.ts'

function shaped(call: Call): Call | undefined {
  if (someStmt(call.kernel.body, (s) => s.s === 'asm')) return undefined
  const { name, bufs, body } = flattened(call.kernel)
  const parts = new Parts({ name, bufs, body })
  let found = false
  const go = (s: Stmt, env: ReadonlyMap<string, Expr>): Stmt => {
    const nest = nestOf(s)
    const work = nest && (tiles(nest, parts, env) ?? laneByLane(nest, parts, env))
    if (work) {
      found = true
      return work
    }
    if (s.s === 'block') return L.block(...s.body.map((t) => go(t, env)))
    return s.s === 'for' ? { ...s, body: go(s.body, new Map(env).set(s.v, L.ref(s.v))) } : s
  }
  const work = go(body, new Map())
  if (!found) return undefined
  const own = parts.buffers()
  return {
    kernel: L.kernel(name, [...bufs, ...own.map(([b]) => b)], work),
    args: [...call.args, ...own.map(([, arg]) => arg)],
  }
}

/** Sums of products of float32 with float32 or int8. */
export const floatSums: Recipe = { name: 'lanes of vmla', apply: shaped }
