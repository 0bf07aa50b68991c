// Numbers that two layers of one shape may differ in (zero points, limits, multipliers): kept in one small buffer, read
// into registers at the top of a kernel.

import type { Arg } from '../ir/op.ts'
import * as L from '../loops/build.ts'
import type { Buf, Expr, Stmt } from '../loops/ir.ts'

export interface Parameters<K extends string> {
  /** Empty where there are no parameters. */
  readonly bufs: readonly Buf[]
  readonly args: readonly Arg[]
  readonly head: readonly Stmt[]
  /** The register of each parameter, named after it. */
  readonly of: Readonly<Record<K, Expr>>
}

/** One buffer `name` of `values`, in the order of their keys. */
export function parameters<K extends string>(
  name: string,
  elem: 'i32' | 'f32',
  values: Readonly<Record<K, number>>,
): Parameters<K> {
  const keys = Object.keys(values) as K[]
  const numbers = keys.map((k) => values[k])
  const buf = L.buffer(name, elem, [keys.length])
  const declared = keys.map((k, i) => L.declare(k, L.load(buf, i)))
  return {
    bufs: keys.length ? [buf] : [],
    args: keys.length ? [{ data: elem === 'f32' ? Float32Array.from(numbers) : Int32Array.from(numbers) }] : [],
    head: declared.map(([stmt]) => stmt),
    of: Object.fromEntries(keys.map((k, i) => [k, declared[i][1]])) as Record<K, Expr>,
  }
}
