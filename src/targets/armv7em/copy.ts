// Loops that only move neighbouring bytes, by words and where everything stands at words by eight of them at once.

import { bytesOf } from '../../ir/graph.ts'
import type { Arg, Call } from '../../ir/op.ts'
import { coefficient } from '../../loops/affine.ts'
import { add, int, load, mul } from '../../loops/build.ts'
import type { Buf, Expr, Stmt } from '../../loops/ir.ts'
import { mapStmt, substituteExpr } from '../../loops/walk.ts'
import type { Recipe } from '../target.ts'
import { rowRoutine } from './gather.ts'

const LEAST = 16

function flat(buf: Buf, at: readonly Expr[]): Expr {
  return at.reduce<Expr>((sum, e, d) => add(mul(sum, buf.shape[d]), e), int(0))
}

function shaped(call: Call): Call | undefined {
  const bufs = new Map(call.kernel.bufs.map((b) => [b.name, b]))
  let found = false
  const body = mapStmt(
    call.kernel.body,
    (e) => e,
    (s): Stmt => {
      if (s.s !== 'for' || !s.parallel || s.body.s !== 'store' || s.extent < LEAST) return s
      const { buf, at, value } = s.body
      if (value.k !== 'load' || bufs.get(buf)!.elem !== 'i8' || bufs.get(value.buf)!.elem !== 'i8') return s
      const [to, from] = [flat(bufs.get(buf)!, at), flat(bufs.get(value.buf)!, value.at)]
      if (coefficient(to, s.v) !== 1 || coefficient(from, s.v) !== 1) return s
      found = true
      const start = (e: readonly Expr[]) => e.map((x) => substituteExpr(x, new Map([[s.v, int(0)]])))
      const index = [flat(bufs.get(buf)!, start(at)), flat(bufs.get(value.buf)!, start(value.at))]
      const arg = call.args[call.kernel.bufs.findIndex((b) => b.name === value.buf)]
      const words = index.every(isWord) && beginsAtWord(arg)
      const row = { before: 0, copied: s.extent, behind: 0, aligned: words }
      return {
        s: 'asm',
        means: s,
        routine: rowRoutine(row),
        args: [load(bufs.get(buf)!, ...start(at)), load(bufs.get(value.buf)!, ...start(value.at))],
      }
    },
  )
  return found ? { ...call, kernel: { ...call.kernel, body } } : undefined
}

/** Whether all parts of what the buffer is bound to begin at words. */
function beginsAtWord(arg: Arg): boolean {
  if (!('value' in arg) || !arg.value.parts) return true
  const size = bytesOf(arg.value.type) / arg.value.type.shape[1]
  return arg.value.parts.every((p) => (p.from * size) % 4 === 0)
}

/** Whether the index is a multiple of 4 whatever its loop variables are. */
function isWord(e: Expr): boolean {
  if (e.k === 'const') return e.value % 4 === 0
  if (e.k !== 'op') return false
  if (e.op === 'add') return e.args.every(isWord)
  return e.op === 'mul' && e.args.some(isWord)
}

/** Copies of neighbouring bytes. */
export const copies: Recipe = { name: 'copies by words', apply: shaped }
