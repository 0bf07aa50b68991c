// Sums of float32 products whose factors both have lanes: gradients of depthwise convolutions, averages. Sixteen channels at a
// time, one sum goes over the part of its window that is inside; int8 is made float32 once for all sums of its channels.

import type { Affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Routine, type Stmt } from '../../loops/ir.ts'
import { type For, substitute, substituteExpr } from '../../loops/walk.ts'
import { floatRoutine, singles } from './assembly.ts'
import {
  begun,
  type Guard,
  keptIn,
  type Nest,
  type Operand,
  of,
  operandOf,
  type Parts,
  place,
  renamed,
} from './float_nest.ts'
import { type Strip, stripMeans, stripRoutine } from './float_tile.ts'

const MOST_LANES = 16
const HALF = 8
/** Elements of float32 in a strip. */
const LONGEST = 2048

/** r0: a, r1: b, r2: the sums, r3: columns, and rows in the upper half; on the stack bytes to the next column and row of each. */
function lanesRoutine(lanes: number): Routine {
  const parts = Array.from({ length: Math.ceil(lanes / HALF) }, (_, h) => Math.min(HALF, lanes - h * HALF))
  const last = parts.length - 1
  const products = parts.flatMap((n, h) => [
    `vldmia r10${h < last ? '!' : ''}, ${singles(16, n)}`,
    `vldmia r11${h < last ? '!' : ''}, ${singles(24, n)}`,
    ...Array.from({ length: n }, (_, l) => `vmla.f32 s${h * HALF + l}, s${16 + l}, s${24 + l}`),
  ])
  // nine registers and eight doubles are kept below
  return floatRoutine(`lanes_${lanes}`, [
    'ldr r12, [sp, #100]',
    'ldmia r12, {r4, r5, r6, r7}',
    ...(last ? [`sub r4, r4, #${4 * HALF * last}`, `sub r6, r6, #${4 * HALF * last}`] : []),
    'lsr r8, r3, #16',
    'uxth r9, r3',
    `vldmia r2, ${singles(0, lanes)}`,
    '1:',
    'mov r10, r0',
    'mov r11, r1',
    'mov r12, r9',
    '2:',
    ...products,
    'add r10, r10, r4',
    'add r11, r11, r6',
    'subs r12, r12, #1',
    'bne 2b',
    'add r0, r0, r5',
    'add r1, r1, r7',
    'subs r8, r8, #1',
    'bne 1b',
    `vstmia r2, ${singles(0, lanes)}`,
  ])
}

interface Span {
  readonly from: Expr
  readonly to: Expr
}

const shiftOf = (c: number) => [1, 2, 4, 8].indexOf(Math.abs(c))

/** The iterations of `l` that all guards allow; undefined where a guard's factor is no power of two. */
function spanOf(l: For, guards: readonly Guard[], env: ReadonlyMap<string, Expr>): Span | undefined {
  let [from, to]: [Expr, Expr] = [L.int(0), L.int(l.extent)]
  for (const { index, limit, op } of guards) {
    const c = of(index, l)
    if (c === 0) continue
    const by = shiftOf(c)
    if (by < 0) return undefined
    const rest = place({ terms: new Map([...index.terms].filter(([v]) => v !== l.v)), base: index.base }, env)
    // |c| * i >= bound, or < bound, where c > 0; else |c| * i < bound, or >= bound
    const bound = c > 0 ? L.sub(L.int(limit), rest) : L.add(L.sub(rest, limit), 1)
    const least = (op === 'ge') === c > 0
    const up = by === 0 ? bound : L.op('shr', L.add(bound, (1 << by) - 1), by)
    if (least) from = L.max(from, up)
    else to = L.min(to, up)
  }
  return { from, to }
}

/** The nest's work sixteen lanes at a time, or undefined where its loops are of another kind. */
export function laneByLane(nest: Nest, parts: Parts, outermost: ReadonlyMap<string, Expr>): Stmt | undefined {
  const { outputs, window, guards, start, rest } = nest
  const { name } = parts
  const kept = keptIn(nest, parts.bufs)
  const [f, g] = nest.factors.map((e) => operandOf(e, parts.bufs))
  if (!f || !g || kept === 'other' || (f.shift && g.shift)) return undefined
  const [a, b] = f.shift ? [g, f] : [f, g]
  const lane = outputs.find((l) => of(a.at, l) === 1 && of(b.at, l) === 1 && (!kept || of(kept.at, l) === 1))
  if (!lane || lane.extent < 4 || guards.some((x) => x.index.terms.has(lane.v))) return undefined
  if (guards.some((x) => window.filter((l) => of(x.index, l) !== 0).length > 1)) return undefined
  const [column, row, ...outside] = window.toReversed()
  if (outside.some((l) => guards.some((x) => of(x.index, l) !== 0))) return undefined
  const around = outputs.filter((l) => l !== lane)
  const pixels = b.shift ? rowsOfLanes(b, lane) : undefined
  if (b.shift && (pixels === undefined || pixels * HALF > LONGEST)) return undefined
  const most = pixels !== undefined && pixels * MOST_LANES > LONGEST ? HALF : MOST_LANES

  /** Sums of `lanes` lanes from `first` on. */
  const group = (first: Expr, lanes: number): Stmt | undefined => {
    const strip = L.buffer(parts.strip, 'f32', [0], 'scratch')
    const made: Stmt[] = []
    if (b.shift && pixels !== undefined) {
      parts.stripSize = Math.max(parts.stripSize, pixels * lanes)
      const shape: Strip = { rows: pixels, lanes, apart: lane.extent }
      made.push({
        s: 'asm',
        means: stripMeans(shape, b.buf, first, b.shift, strip, name),
        routine: stripRoutine(shape),
        args: [L.load(b.buf, first), L.load(strip, 0), b.shift, L.int(pixels | (lane.extent << 16))],
      })
    }
    const inStrip = (at: Affine): Affine => ({
      terms: new Map([...at.terms].filter(([v]) => v !== lane.v).map(([v, c]) => [v, (c / lane.extent) * lanes])),
      base: (at.base / lane.extent) * lanes,
    })
    const other: Operand = b.shift ? { buf: strip, at: inStrip(b.at) } : b
    const [names, turns] = [around, outside].map((loops) => loops.map((l) => name(l.v)))
    const env = new Map(outermost).set(lane.v, first)
    for (const [i, l] of around.entries()) env.set(l.v, L.ref(names[i]))
    for (const [i, l] of outside.entries()) env.set(l.v, L.ref(turns[i]))
    const spans = [row, column].map((l) => (l ? spanOf(l, guards, env) : { from: L.int(0), to: L.int(1) }))
    if (!spans.every((s) => s !== undefined)) return undefined
    const declared = spans.flatMap((s) => [L.declare(name('from'), s.from), L.declare(name('to'), s.to)])
    const [r0, r1, c0, c1] = declared.map(([, v]) => v)
    const begin = new Map(env)
    if (row) begin.set(row.v, r0)
    begin.set(column.v, c0)
    const sums = kept ? kept.buf : L.buffer(parts.sums, 'f32', [0], 'scratch')
    const to = kept ? place(kept.at, env) : L.int(0)
    const along = (at: Affine, l: For | undefined) => (l ? of(at, l) : 0)
    const distances = [a.at, other.at].flatMap((at) => [4 * along(at, column), 4 * along(at, row)])
    const within = (v: Expr, [from, end]: readonly Expr[]) => L.and(L.ge(v, from), L.lt(v, end))
    const means = L.parallel(name('l'), lanes, (l) =>
      L.loop(name('r'), row?.extent ?? 1, (r) =>
        L.when(
          within(r, [r0, r1]),
          L.loop(name('c'), column.extent, (c) => {
            const at = new Map(env).set(column.v, c)
            if (row) at.set(row.v, r)
            const product = L.mul(
              L.load(a.buf, L.add(place(a.at, at), l)),
              L.load(other.buf, L.add(place(other.at, at), l)),
            )
            const here = L.add(to, l)
            return L.when(within(c, [c0, c1]), L.store(sums, [here], L.add(L.load(sums, here), product)))
          }),
        ),
      ),
    )
    const [rows, columns] = [L.sub(r1, r0), L.sub(c1, c0)]
    const products = L.when(L.and(L.op('gt', rows, 0), L.op('gt', columns, 0)), {
      s: 'asm',
      means,
      routine: lanesRoutine(lanes),
      args: [
        L.load(a.buf, place(a.at, begin)),
        L.load(other.buf, place(other.at, begin)),
        L.load(sums, to),
        L.op('or', columns, L.op('shl', rows, 16)),
        L.load(L.buffer(parts.table, 'i32', [0]), parts.number(distances)),
      ],
    })
    const more = guards.filter((x) => window.every((l) => of(x.index, l) === 0))
    const cond = more
      .map((x) => L.op(x.op, place(x.index, env), x.limit))
      .reduce<Expr | undefined>((all, e) => (all ? L.and(all, e) : e), undefined)
    const inside = outside.reduce<Stmt>((s, l, i) => L.loop(turns[i], l.extent, () => s), products)
    const guarded = cond ? L.when(cond, inside) : inside
    const one = [...declared.map(([s]) => s), ...(kept ? [guarded] : handed(first, lanes, env, guarded))]
    const nested = around.reduceRight<Stmt>((s, l, i) => L.loop(names[i], l.extent, () => s), L.block(...one))
    return L.block(...made, nested)
  }

  /** Sums in scratch, and what is done with them. */
  const handed = (first: Expr, lanes: number, env: ReadonlyMap<string, Expr>, products: Stmt): Stmt[] => {
    parts.sumsSize = Math.max(parts.sumsSize, lanes)
    const T: Buf = L.buffer(parts.sums, 'f32', [0], 'scratch')
    const at = (l: Expr) => new Map(env).set(lane.v, L.add(first, l))
    return [
      L.loop(name('l'), lanes, (l) => L.store(T, [l], substituteExpr(start.value, at(l)))),
      products,
      L.loop(name('l'), lanes, (l) =>
        substitute(renamed(L.block(...rest), name), new Map(at(l)).set(start.name, L.load(T, l))),
      ),
    ]
  }

  const groups = Math.floor(lane.extent / most)
  const left = lane.extent % most
  const whole =
    groups > 1 ? [groupLoop(name(lane.v), groups, most, group)] : groups === 1 ? [group(L.int(0), most)] : []
  const all = [...whole, ...(left ? [group(L.int(lane.extent - left), left)] : [])]
  if (!all.every((s) => s !== undefined)) return undefined
  return L.block(...(kept ? [begun(nest, kept, outermost, name)] : []), ...all)
}

function groupLoop(
  v: string,
  extent: number,
  lanes: number,
  group: (first: Expr, lanes: number) => Stmt | undefined,
): Stmt | undefined {
  const body = group(L.mul(L.ref(v), lanes), lanes)
  return body && L.loop(v, extent, () => body)
}

/** The pixels of a buffer whose neighbours are lanes; undefined where it is of another kind. */
function rowsOfLanes({ buf, at }: Operand, lane: For): number | undefined {
  const n = lane.extent
  const size = count(buf.shape)
  const even = [...at.terms].every(([v, c]) => v === lane.v || c % n === 0)
  return even && at.base % n === 0 && size % n === 0 && size / n < 2 ** 15 ? size / n : undefined
}
