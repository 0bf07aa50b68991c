// Sums and maxima of int8 over rows of a tensor whose last axis is kept (means, pools): all of the last axis in lanes, wide
// enough for the sums. What is done with them stays a loop.

import type { Call } from '../../ir/op.ts'
import { type Affine, affine, loopRanges, rangeOf } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Elem, Expr, Routine, Stmt } from '../../loops/ir.ts'
import { type For, inside, mapExpr, substituteExpr } from '../../loops/walk.ts'
import { flat } from '../armv7em/dense.ts'
import type { Recipe } from '../target.ts'
import { advance, routine, setConstant } from './assembly.ts'

/** The rows that one result is made of: their number where they are equally far apart, else the place of each. */
interface Rows {
  readonly count: number
  readonly apart?: number
  readonly places: readonly number[]
}

interface Kind {
  readonly op: 'add' | 'max'
  /** What lanes hold. */
  readonly elem: Extract<Elem, 'i8' | 'i16' | 'i32'>
  readonly lanes: number
}

const VECTORS = 6
/** Rows that are not equally far apart. */
const UNROLLED = 16

const bits = ({ elem }: Kind) => Number(elem.slice(1))

function kindOf(op: Kind['op'], rows: number): Kind {
  if (op === 'max') return { op, elem: 'i8', lanes: 16 }
  return rows < 256 ? { op, elem: 'i16', lanes: 8 } : { op, elem: 'i32', lanes: 4 }
}

/** r0: the first row, r1: the results. */
function reduceRoutine(kind: Kind, { count, apart, places }: Rows, n: number): Routine {
  const { op, lanes } = kind
  const load = bits(kind) === 8 ? 'vldrb.u8' : `vldrb.s${bits(kind)}`
  const store = { i8: 'vstrb.8', i16: 'vstrh.16', i32: 'vstrw.32' }[kind.elem]
  const name = `${op}_rows_${apart === undefined ? places.join('_') : `${count}_${apart}`}_${n}`
  const combine = (q: string) => (op === 'max' ? `vmax.s8 ${q}, ${q}, q0` : `vadd.i${bits(kind)} ${q}, ${q}, q0`)
  const some = (vectors: number): string[] => {
    const all = Array.from({ length: vectors }, (_, j) => `q${1 + j}`)
    const row = all.flatMap((q, j) => [`${load} q0, [r3${j ? `, #${j * lanes}` : ''}]`, combine(q)])
    const first = all.map((q, j) => `${load} ${q}, [r3${j ? `, #${j * lanes}` : ''}]`)
    const rest =
      apart === undefined
        ? places.slice(1).flatMap((p, i) => [...advance('r3', p - places[i]), ...row])
        : count > 1
          ? [...setConstant('r2', count - 1), 'dls lr, r2', '2:', ...advance('r3', apart), ...row, 'le lr, 2b']
          : []
    return [
      'mov r3, r0',
      ...first,
      ...rest,
      ...all.map((q) => `${store} ${q}, [r1], #16`),
      ...advance('r0', vectors * lanes),
    ]
  }
  const whole = Math.floor(n / lanes)
  const [turns, left] = [Math.floor(whole / VECTORS), whole % VECTORS]
  const over = n % lanes ? lanes - (n % lanes) : 0
  return routine(name, { vectors: whole < 4 ? 0 : 3 }, [
    ...(turns > 1 ? [...setConstant('r4', turns), '1:', ...some(VECTORS), 'subs r4, r4, #1', 'bne 1b'] : []),
    ...(turns === 1 ? some(VECTORS) : []),
    ...(left ? some(left) : []),
    ...(over ? [...advance('r0', -over), ...advance('r1', (-over * bits(kind)) / 8), ...some(1)] : []),
  ])
}

function conditions(e: Expr): readonly Expr[] {
  return e.k === 'op' && e.op === 'and' ? e.args.flatMap(conditions) : [e]
}

function shaped({ kernel, args }: Call): Call | undefined {
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
  const kind = kindOf(op, places.length)
  if (loop.extent < kind.lanes || (!even && places.length > UNROLLED)) return undefined
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
    routine: reduceRoutine(kind, rows, loop.extent),
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

/** Sums and maxima over rows. */
export const reduce: Recipe = { name: 'rows in lanes', apply: shaped }
