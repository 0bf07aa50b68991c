// Contracts float32 sums of products in lanes: acc + a * b, which rounds the product and the sum, becomes `fma`, which rounds once. The
// result is another, mostly a closer one; only what asks for it gets it.

import { op } from './build.ts'
import type { Kernel, Stmt } from './ir.ts'
import { mapStmt } from './walk.ts'

function contractedSum(s: Stmt): Stmt {
  if (s.s !== 'set' || s.value.k !== 'op' || s.value.op !== 'add') return s
  const [acc, product] = s.value.args
  const sum = acc.k === 'var' && acc.name === s.name && acc.type.num === 'f32' && acc.type.lanes === 4
  if (!sum || product.k !== 'op' || product.op !== 'mul') return s
  return { ...s, value: op('fma', ...product.args, acc) }
}

/** The kernel with its sums contracted; the same kernel where there are none. */
export function contract(kernel: Kernel): Kernel {
  const body = mapStmt(kernel.body, (e) => e, contractedSum)
  return body === kernel.body ? kernel : { ...kernel, body }
}
