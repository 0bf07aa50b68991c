// Products of float32 by a factor for each column or for all, where a bit is set, else 0 (gradients through a requantisation that
// saturates): eight neighbours share a byte of bits, four bits at a time become the processor's flags.

import type { Call } from '../../ir/op.ts'
import { affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import type { Expr, Routine, Stmt } from '../../loops/ir.ts'
import { flattened } from '../../loops/layout.ts'
import { argsOf } from '../known.ts'
import type { Recipe } from '../target.ts'
import { floatRoutine } from './assembly.ts'

/** r0: g, r1: bits, r2: factors, r3: what is stored; on the stack rows, and eighths of a row. `one` factor for all, or a row of them. */
function maskRoutine(one: boolean): Routine {
  const clear = (from: number, bits: number) => [
    `lsl r6, r5, #${28 - bits}`,
    'msr apsr_nzcvq, r6',
    ...['pl', 'ne', 'cc', 'vc'].flatMap((c, i) => [`it ${c}`, `vmov${c}.f32 s${from + 3 - i}, s16`]),
  ]
  const lanes = [...Array(8).keys()]
  return floatRoutine(one ? 'masked_one' : 'masked', [
    'mov r4, #0',
    'vmov s16, r4',
    ...(one ? ['vldr s8, [r2]'] : []),
    'ldrd r4, r8, [sp, #100]',
    '1:',
    'mov r7, r2',
    'mov r12, r8',
    '2:',
    'ldrb r5, [r1], #1',
    'vldmia r0!, {s0-s7}',
    ...(one ? [] : ['vldmia r7!, {s8-s15}']),
    ...lanes.map((l) => `vmul.f32 s${l}, s${l}, s${one ? 8 : 8 + l}`),
    ...clear(0, 0),
    ...clear(4, 4),
    'vstmia r3!, {s0-s7}',
    'subs r12, r12, #1',
    'bne 2b',
    'subs r4, r4, #1',
    'bne 1b',
  ])
}

interface MaskProduct {
  readonly g: string
  readonly mask: string
  readonly factor: string
  readonly to: string
  readonly n: number
  /** Factors. */
  readonly columns: number
}

/** for n: to = select((mask[i >> 3] >> (i & 7)) & 1, g * factor, 0), buffers as rows of elements. */
function maskProductOf(body: Stmt): MaskProduct | undefined {
  const outer = body
  if (outer.s !== 'for' || !outer.parallel) return undefined
  const inner = outer.body.s === 'for' ? outer.body : undefined
  const work = inner ? inner.body : outer.body
  if (work.s !== 'block' || work.body.length !== 2) return undefined
  const [i, store] = work.body
  if (i.s !== 'let' || store.s !== 'store') return undefined
  const [bit, product, zero] = argsOf(store.value, 'select')
  const [shifted, lowest] = argsOf(bit, 'and')
  const [byte, place] = argsOf(shifted, 'ushr')
  const [g, factor] = argsOf(product, 'mul')
  if (zero?.k !== 'const' || !Object.is(zero.value, 0) || lowest?.k !== 'const' || lowest.value !== 1) return undefined
  if (byte?.k !== 'load' || g?.k !== 'load' || factor?.k !== 'load') return undefined
  const reads = (e: Expr | undefined, op: string, by: number) => {
    const [v, c] = argsOf(e, op)
    return v?.k === 'var' && v.name === i.name && c?.k === 'const' && c.value === by
  }
  if (!reads(byte.at[0], 'ushr', 3) || !reads(place, 'and', 7)) return undefined
  const columns = inner?.extent ?? 1
  const rowMajor = (e: Expr) => {
    const at = affine(e)
    if (!at || at.base !== 0 || at.terms.get(outer.v) !== columns) return false
    return inner ? at.terms.size === 2 && at.terms.get(inner.v) === 1 : at.terms.size === 1
  }
  const byColumn = affine(factor.at[0])
  const factors = inner
    ? byColumn?.terms.size === 1 && byColumn.terms.get(inner.v) === 1 && byColumn.base === 0
    : byColumn?.terms.size === 0 && byColumn.base === 0
  if (!factors || ![i.value, g.at[0], store.at[0]].every(rowMajor)) return undefined
  return { g: g.buf, mask: byte.buf, factor: factor.buf, to: store.buf, n: outer.extent * columns, columns }
}

function shaped(call: Call): Call | undefined {
  const { name, bufs, body } = flattened(call.kernel)
  const m = maskProductOf(body)
  if (!m) return undefined
  const buf = (n: string) => bufs.find((b) => b.name === n)!
  const all = [m.g, m.mask, m.factor, m.to].map(buf)
  if (all.some((b, k) => b.elem !== (k === 1 ? 'u8' : 'f32'))) return undefined
  const one = m.columns === 1
  const [rows, columns] = one ? [1, m.n] : [m.n / m.columns, m.columns]
  if (columns % 8 !== 0) return undefined
  const asm: Stmt = {
    s: 'asm',
    means: body,
    routine: maskRoutine(one),
    args: [...all.map((b) => L.load(b, 0)), L.int(rows), L.int(columns / 8)],
  }
  return { ...call, kernel: L.kernel(name, bufs, asm) }
}

/** Eight products at a time. */
export const maskProducts: Recipe = { name: 'masked vmul', apply: shaped }
