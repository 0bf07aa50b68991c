// Run-time indices: a negative one counts from the end, and what is then still outside is clamped to the nearest element,
// so that no index reads or writes outside its tensor. (The file formats call such an index an error.)

import { ModelError } from '../../errors.ts'
import type { Value } from '../../ir/graph.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Data, Expr, Stmt } from '../../loops/ir.ts'

/** Refuses indices that are not i32 or i64. */
export function expectIndices(indices: Value, where: string): void {
  if (indices.type.dtype !== 'i32' && indices.type.dtype !== 'i64')
    throw new ModelError(where, `indices are ${indices.type.dtype}, supported are i32, i64`)
}

/** The position that an index of an axis of `extent` means. */
export function position(index: number | bigint, extent: number): number {
  const i = Number(index)
  return Math.min(extent - 1, Math.max(0, i < 0 ? i + extent : i))
}

/** All positions of an array of indices into one axis. */
export function positions(indices: Data, extent: number): Int32Array {
  return Int32Array.from(indices as ArrayLike<number | bigint>, (i) => position(i, extent))
}

/** The same in loops: declares registers named after `name` and gives the position as i32. */
export function loadPosition(indices: Buf, at: readonly Expr[], extent: number, name: string): [Stmt[], Expr] {
  const long = indices.elem === 'i64'
  const k = (n: number) => (long ? L.long(n) : L.int(n))
  const [declare, i] = L.declare(`${name}_index`, L.load(indices, ...at))
  const wrapped = L.select(L.lt(i, k(0)), L.op('wadd', i, k(extent)), i)
  const clamped = L.clamp(wrapped, k(0), k(extent - 1))
  const [place, at0] = L.declare(name, long ? L.op('wrap', clamped) : clamped)
  return [[declare, place], at0]
}
