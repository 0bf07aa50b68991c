// What a recipe knows off-line of the numbers in a kernel's loops.

import type { Call } from '../ir/op.ts'
import type { Expr } from '../loops/ir.ts'

/** The operation's arguments, where `e` is one of these operations. */
export function argsOf(e: Expr | undefined, ...ops: readonly string[]): readonly Expr[] {
  return e?.k === 'op' && ops.includes(e.op) ? e.args : []
}

/** Says what a constant, a register in `registers`, or an element of the call's derived data is; undefined for all else. */
export function knownIn(
  { kernel, args }: Call,
  registers: (name: string) => Expr | undefined,
): (e: Expr | undefined) => number | undefined {
  const known = (e: Expr | undefined): number | undefined => {
    if (e?.k === 'const') return e.value
    if (e?.k === 'var') return known(registers(e.name))
    if (e?.k !== 'load' || e.at.length !== 1 || e.at[0].k !== 'const') return undefined
    const arg = args[kernel.bufs.findIndex((b) => b.name === e.buf)]
    const value = 'data' in arg ? arg.data[e.at[0].value] : undefined
    return value === undefined ? undefined : Number(value)
  }
  return known
}
