// Sums of float32 over all rows of a tensor, one for each column, in the order of the rows: gradients of biases. Sixteen columns
// at a time.

import type { Call } from '../../ir/op.ts'
import { affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import type { Expr, Routine, Stmt } from '../../loops/ir.ts'
import { flattened } from '../../loops/layout.ts'
import { type For, mapStmt } from '../../loops/walk.ts'
import type { Recipe } from '../target.ts'
import { floatRoutine, singles } from './assembly.ts'

const COLUMNS = 16

/** r0: the first row, r1: the sums, r2: rows, r3: bytes from one to the next. */
function columnsRoutine(columns: number): Routine {
  return floatRoutine(`columns_${columns}`, [
    `vldmia r1, ${singles(0, columns)}`,
    '1:',
    `vldmia r0, ${singles(16, columns)}`,
    'add r0, r0, r3',
    ...Array.from({ length: columns }, (_, c) => `vadd.f32 s${c}, s${c}, s${16 + c}`),
    'subs r2, r2, #1',
    'bne 1b',
    `vstmia r1, ${singles(0, columns)}`,
  ])
}

interface Columns {
  readonly loop: For
  readonly rows: For
  readonly x: string
  readonly y: string
  /** Of the first row, and elements from one to the next. */
  readonly at: (column: Expr) => Expr
  readonly apart: number
}

/** acc = 0; for rows: acc = acc + x; y = acc */
function columnsOf(s: Stmt): Columns | undefined {
  if (s.s !== 'for' || !s.parallel || s.body.s !== 'block' || s.body.body.length !== 3) return undefined
  const [start, rows, store] = s.body.body
  if (start.s !== 'let' || start.value.k !== 'const' || !Object.is(start.value.value, 0)) return undefined
  if (start.value.type.num !== 'f32' || rows.s !== 'for' || rows.body.s !== 'set' || store.s !== 'store')
    return undefined
  const { value } = rows.body
  if (value.k !== 'op' || value.op !== 'add' || value.args[0].k !== 'var' || value.args[1].k !== 'load')
    return undefined
  const own = [rows.body.name, value.args[0].name, store.value.k === 'var' ? store.value.name : '']
  const [x, y] = [affine(value.args[1].at[0]), affine(store.at[0])]
  if (own.some((name) => name !== start.name) || !x || !y) return undefined
  if (x.terms.get(s.v) !== 1 || y.terms.get(s.v) !== 1 || y.terms.size !== 1 || y.base !== 0) return undefined
  if (x.terms.size !== 2 || x.base !== 0) return undefined
  const apart = x.terms.get(rows.v)
  if (apart === undefined || apart < 1 || s.extent < 4 || rows.extent < 2) return undefined
  return { loop: s, rows, x: value.args[1].buf, y: store.buf, at: (column) => column, apart }
}

function shaped(call: Call): Call | undefined {
  const { name: kernelName, bufs, body } = flattened(call.kernel)
  let names = 0
  const name = (base: string) => `${base}_${names++}`
  let found = false
  const work = mapStmt(
    body,
    (e) => e,
    (s): Stmt => {
      const c = columnsOf(s)
      if (!c) return s
      const [x, y] = [c.x, c.y].map((n) => bufs.find((b) => b.name === n)!)
      if (x.elem !== 'f32' || y.elem !== 'f32') return s
      found = true
      const part = (first: Expr, columns: number): Stmt => ({
        s: 'asm',
        means: L.parallel(name('c'), columns, (i) => {
          const at = L.add(first, i)
          const [start, acc] = L.declare(name('acc'), L.load(y, at))
          const add = L.loop(name('r'), c.rows.extent, (r) =>
            L.set(acc, L.add(acc, L.load(x, L.add(L.mul(r, c.apart), at)))),
          )
          return [start, add, L.store(y, [at], acc)]
        }),
        routine: columnsRoutine(columns),
        args: [L.load(x, first), L.load(y, first), L.int(c.rows.extent), L.int(4 * c.apart)],
      })
      const n = c.loop.extent
      const left = n % COLUMNS
      return L.block(
        L.parallel(name('k'), n, (i) => L.store(y, [i], L.float(0))),
        ...(n >= COLUMNS ? [L.loop(name('g'), Math.floor(n / COLUMNS), (g) => part(L.mul(g, COLUMNS), COLUMNS))] : []),
        ...(left ? [part(L.int(n - left), left)] : []),
      )
    },
  )
  return found ? { ...call, kernel: L.kernel(kernelName, bufs, work) } : undefined
}

/** Sums of columns, sixteen at a time. */
export const floatColumns: Recipe = { name: 'columns of vadd', apply: shaped }
