// Sums and maxima of int8 over rows of a tensor whose last axis is kept (means, pools): sums by SXTAB16, two elements in a
// register, maxima by SSUB8 and SEL, four. What is done with them stays a loop.

import type { Call } from '../../ir/op.ts'
import { type Affine, affine, loopRanges, rangeOf } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Elem, Expr, Routine, Stmt } from '../../loops/ir.ts'
import { type For, inside, mapExpr, substituteExpr } from '../../loops/walk.ts'
import type { Recipe } from '../target.ts'
import { addConstant, reg, routine, setConstant } from './assembly.ts'
import { flat } from './dense.ts'
import { shorten } from './shorten.ts'

/** The rows that one result is made of: their number where they are equally far apart, else the place of each. */
export interface Rows {
  readonly count: number
  readonly apart?: number
  readonly places: readonly number[]
}

export interface Kind {
  readonly op: 'add' | 'max'
  /** What results are. */
  readonly elem: Extract<Elem, 'i8' | 'i16' | 'i32'>
  /** Results that the machine makes at once. */
  readonly lanes: number
}

/** How a machine reduces rows; r0: the first row, r1: the results. */
export interface Reducer {
  kindOf(op: Kind['op'], rows: number): Kind | undefined
  routine(kind: Kind, rows: Rows, n: number): Routine
}

/** Rows that are not equally far apart. */
const UNROLLED = 16

export function nameOf({ op }: Kind, { count, apart, places }: Rows, n: number): string {
  return `${op}_rows_${apart === undefined ? places.join('_') : `${count}_${apart}`}_${n}`
}

/** Words of a row at once. */
const WORDS = 4

function kindOf(op: Kind['op'], rows: number): Kind | undefined {
  if (op === 'max') return { op, elem: 'i8', lanes: 4 }
  return rows < 256 ? { op, elem: 'i16', lanes: 4 } : undefined
}

function reduceRoutine(kind: Kind, rows: Rows, n: number): Routine {
  const { count, apart, places } = rows
  const size = kind.op === 'max' ? 1 : 2
  const some = (words: number): string[] => {
    const each = (f: (j: number) => readonly string[]) => Array.from({ length: words }, (_, j) => f(j)).flat()
    const [low, high] = [(j: number) => reg(4 + 2 * j), (j: number) => reg(5 + 2 * j)]
    const load = (to: string, j: number) => `ldr ${to}, [r3, #${4 * j}]`
    const first = each((j) =>
      kind.op === 'max'
        ? [load(low(j), j)]
        : [load('r12', j), `sxtb16 ${low(j)}, r12`, `sxtb16 ${high(j)}, r12, ror #8`],
    )
    const row = each((j) =>
      kind.op === 'max'
        ? [load('r12', j), `ssub8 ${high(j)}, ${low(j)}, r12`, `sel ${low(j)}, ${low(j)}, r12`]
        : [load('r12', j), `sxtab16 ${low(j)}, ${low(j)}, r12`, `sxtab16 ${high(j)}, ${high(j)}, r12, ror #8`],
    )
    const rest =
      apart === undefined
        ? places.slice(1).flatMap((p, i) => [...addConstant(3, p - places[i], 12), ...row])
        : count > 1
          ? [...setConstant(2, count - 1), '2:', ...addConstant(3, apart, 12), ...row, 'subs r2, r2, #1', 'bne 2b']
          : []
    const store = each((j) =>
      kind.op === 'max'
        ? [`str ${low(j)}, [r1], #4`]
        : [
            `pkhbt r12, ${low(j)}, ${high(j)}, lsl #16`,
            `pkhtb r3, ${high(j)}, ${low(j)}, asr #16`,
            'str r12, [r1], #4',
            'str r3, [r1], #4',
          ],
    )
    return ['mov r3, r0', ...first, ...rest, ...store, ...addConstant(0, 4 * words, 12)]
  }
  const whole = n >> 2
  const [turns, left] = [Math.floor(whole / WORDS), whole % WORDS]
  const over = n % 4 ? 4 - (n % 4) : 0
  return routine(nameOf(kind, rows, n), 0, [
    ...(turns > 1 ? [...setConstant(14, turns), '1:', ...some(WORDS), 'subs lr, lr, #1', 'bne 1b'] : []),
    ...(turns === 1 ? some(WORDS) : []),
    ...(left ? some(left) : []),
    ...(over ? [...addConstant(0, -over, 12), ...addConstant(1, -over * size, 12), ...some(1)] : []),
  ])
}

function conditions(e: Expr): readonly Expr[] {
  return e.k === 'op' && e.op === 'and' ? e.args.flatMap(conditions) : [e]
}

/** The sums or maxima over rows that this call takes, by the machine's routine. */
export function reduced({ kernel, args }: Call, machine: Reducer): Call | undefined {
  const bufs = new Map(kernel.bufs.map((b) => [b.name, b]))
  const ranges = loopRanges(kernel)
  const body = kernel.body.s === 'block' ? kernel.body.body : [kernel.body]
  const heads = body.slice(0, -1)
  if (heads.some((s) => s.s !== 'let')) return undefined
  const around: For[] = []
  let inner: Stmt | undefined = body.at(-1)
  for (; inner?.s === 'for' && inner.parallel; inner = inner.body) around.push(inner)
  const loop = around.pop()
  if (!loop || inner?.s !== 'block' || inner.body.length !== 3) return undefined
  const [start, sum, store] = inner.body
  if (start.s !== 'let' || store.s !== 'store' || start.value.type.num !== 'i32') return undefined

  const holds = (e: Expr): boolean => {
    if (e.k !== 'op' || (e.op !== 'ge' && e.op !== 'lt')) return false
    const [index, limit] = e.args.map((a) => affine(a))
    const range = index && rangeOf(index, ranges)
    if (!range || !limit || limit.terms.size > 0) return false
    return e.op === 'ge' ? range.low >= limit.base : range.high < limit.base
  }
  const window: For[] = []
  let step: Stmt = sum
  while (step.s !== 'set') {
    if (step.s === 'for' && !step.parallel) window.push(step)
    else if (step.s !== 'if' || step.else || !conditions(step.cond).every(holds)) return undefined
    const next: Stmt = inside(step)[0]
    step = next.s === 'block' && next.body.length === 1 ? next.body[0] : next
  }
  const { value } = step
  if (step.name !== start.name || value.k !== 'op' || window.length === 0) return undefined
  const op = value.op === 'max' ? 'max' : value.op === 'add' || value.op === 'wadd' ? 'add' : undefined
  const [acc, load] = value.args
  if (!op || acc.k !== 'var' || acc.name !== start.name || load.k !== 'load') return undefined
  const x = bufs.get(load.buf)!
  const sums = load.at.map((e) => affine(e))
  if (x.elem !== 'i8' || !sums.every((a) => a !== undefined)) return undefined
  const at: Affine = flat({ buf: x, at: sums })
  if (at.terms.get(loop.v) !== 1) return undefined

  let places = [0]
  for (const l of window)
    places = places.flatMap((p) => Array.from({ length: l.extent }, (_, i) => p + i * (at.terms.get(l.v) ?? 0)))
  const apart = (places[1] ?? 0) - places[0]
  const even = places.every((p, i) => p === i * apart)
  const kind = machine.kindOf(op, places.length)
  if (!kind || loop.extent < kind.lanes || (!even && places.length > UNROLLED)) return undefined
  const rows: Rows = { count: places.length, ...(even && { apart }), places }

  const results: Buf = L.buffer('results', kind.elem, [loop.extent], 'scratch')
  const c = L.ref(loop.v)
  const to = new Map([[loop.v, L.int(0)], ...window.map((l) => [l.v, L.int(0)] as const)])
  const least = op === 'max' ? -128 : 0
  const name = 'result'
  const [declare, result] = L.declare(name, least)
  const one = window.reduceRight<Stmt>(
    (nested, { v, extent }) => L.loop(v, extent, () => nested),
    L.set(result, L.op(op, result, load)),
  )
  const asm: Stmt = {
    s: 'asm',
    means: L.loop(loop.v, loop.extent, () => [declare, one, L.store(results, [c], result)]),
    routine: machine.routine(kind, rows, loop.extent),
    args: [L.load(x, ...load.at.map((e) => substituteExpr(e, to))), L.load(results, 0)],
  }
  const v = `${loop.v}_`
  const again = new Map([[loop.v, L.ref(v)]])
  const from = L.op(op, L.load(results, L.ref(v)), start.value)
  const finished = L.parallel(v, loop.extent, () => [
    { ...start, value: substituteExpr(from, again) },
    {
      ...store,
      at: store.at.map((e) => substituteExpr(e, again)),
      value: mapExpr(store.value, (e) => (e.k === 'var' && e.name === loop.v ? L.ref(v) : e)),
    },
  ])
  const nest = around.reduceRight<Stmt>(
    (nested, { v: name, extent }) => ({ s: 'for', v: name, extent, body: nested }),
    L.block(asm, finished),
  )
  return {
    kernel: { ...kernel, bufs: [...kernel.bufs, results], body: L.block(...heads, nest) },
    args: [...args, { scratch: true }],
  }
}

/** Four neighbours at a time; sums of up to 255 rows. */
export const reduce: Recipe = {
  name: 'rows by halves',
  apply(call) {
    const rows = reduced(call, { kindOf, routine: reduceRoutine })
    return rows && (shorten.apply(rows) ?? rows)
  },
}
