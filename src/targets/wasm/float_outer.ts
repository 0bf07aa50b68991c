// Float32 sums over pixels of one operand's channels times another's (the gradients of weights: products of what a layer reads
// and the gradient of what it computes) as tiles of a few channels of one by a few vectors of four of the other. Pixels go in
// blocks whose operands stay in the nearest cache; between blocks sums wait in the result, so that each is one sum in the order of the
// plain loops. Columns of padding are zeros around a copy of the image, rows outside are skipped.

import type { Arg, Call } from '../../ir/op.ts'
import type { Affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, F32X4, type Stmt } from '../../loops/ir.ts'
import { flat } from '../armv7em/dense.ts'
import { type Access, floatSum } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { fillRow, SLACK } from './float.ts'
import { asBefore, finite } from './float_weights.ts'
import { columnsOf, outerOf, partsOf, type Strip, shapeOf, step, stripsOf } from './outer.ts'

/** Bytes of operands in one block, where of the single one so many channels are counted. */
const NEAR = 32768

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

function shaped(call: Call): Call | undefined {
  const s = floatSum(call)
  const outer = s && outerOf(s)
  if (!outer) return undefined
  const { vector, single, length, others, around } = outer
  const rank = vector.buf.shape.length
  const [rowAxis, columnAxis] = [rank - 3, rank - 2]
  if (s.padded.some((d) => d !== rowAxis && d !== columnAxis)) return undefined
  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const given = new Map(
    [s.x, s.w, s.y].map(({ buf }) => [buf.name, L.buffer(buf.name, 'f32', [count(buf.shape)], buf.access)]),
  )
  const bufOf = ({ buf }: Access) => given.get(buf.name)!

  // columns of padding: an image at a time is copied to rows that have room for them
  const column = vector.at[columnAxis]
  const ends = s.padded.includes(columnAxis) ? columnsOf(column, [...s.window, ...s.outputs]) : undefined
  const width = vector.buf.shape[columnAxis]
  const depth = vector.buf.shape[rank - 1]
  const before = ends ? Math.max(0, -ends.low) : 0
  const behind = ends ? Math.max(0, ends.high - width + 1) : 0
  const wide = width + before + behind
  const image = ends && s.window.find((l) => step(vector.at[0], l) === 1)
  if (ends && rank !== 4) return undefined
  if (ends && vector.at[0].terms.size !== (image ? 1 : 0)) return undefined
  const height = vector.buf.shape[rowAxis] ?? 1
  const rows = L.buffer('rows', 'f32', [height * wide * depth + SLACK], 'scratch')
  const copied = ends && {
    buf: { ...rows, shape: [height, wide, depth] },
    at: [vector.at[rowAxis], shifted(column, before), vector.at[rank - 1]],
  }
  const read = ends ? rows : bufOf(vector)
  const v = flat(copied ?? vector)
  const [o, y] = [flat(single), flat(s.y)]

  const pixels = s.window.filter((l) => l !== image)
  if (image && s.window[0] !== image) return undefined
  const near = Math.floor(NEAR / 4 / (length + Math.min(others?.extent ?? 1, 64)))
  const parts = partsOf(pixels, near)
  const whole = !image && parts.every((p) => p.outside === 1)
  const vectors = Math.ceil(length / 4)
  const shape = shapeOf(others?.extent ?? 1, vectors)
  // sums that wait do so in the result, or apart where vectors overlap
  const apart = !whole && length % 4 !== 0
  const waiting = L.buffer('sums', 'f32', [(count(s.y.buf.shape) / length) * vectors * 4], 'scratch')

  /** An index by loops around, over pixels, and over channels; what is not said is 0. */
  const at = (a: Affine, of: ReadonlyMap<string, Expr>): Expr => {
    let sum: Expr = L.int(0)
    for (const [n, c] of a.terms) if (of.has(n)) sum = L.add(sum, L.mul(of.get(n)!, c))
    return L.add(sum, a.base)
  }
  const guards = s.padded.includes(rowAxis) ? [vector.at[rowAxis]] : []
  const place = (vectorIndex: Expr) =>
    length % 4 === 0 ? L.mul(vectorIndex, 4) : L.op('min', L.mul(vectorIndex, 4), L.int(length - 4))
  /** Where sums wait: of the element of the result that begins at `first`, vector by vector. */
  const waitAt = (first: Expr, index: Expr): Expr =>
    apart ? L.add(L.mul(L.op('div', first, L.int(length)), vectors * 4), L.mul(index, 4)) : L.add(first, place(index))
  const sumsIn = apart ? waiting : bufOf(s.y)

  const tile = (of: ReadonlyMap<string, Expr>, channel: Expr, index: Expr, a: Strip, b: Strip): Stmt[] => {
    const starts = range(b.size).map((k) => L.declare(name('at'), place(L.add(index, k))))
    const firsts = range(a.size).map((k) => {
      const own = others ? new Map(of).set(others.v, L.add(channel, k)) : of
      return L.declare(name('to'), at(y, own))
    })
    const sums = firsts.map(([, first]) =>
      range(b.size).map((k) =>
        L.declare(
          name('acc'),
          whole ? L.splat(L.float(0), 4) : L.loadLanes(sumsIn, F32X4, waitAt(first, L.add(index, k))),
        ),
      ),
    )
    const products = (of: ReadonlyMap<string, Expr>): Stmt[] => {
      const loaded = starts.map(([, start]) => L.declare(name('v'), L.loadLanes(read, F32X4, L.add(at(v, of), start))))
      return [
        ...loaded.map(([declare]) => declare),
        ...sums.flatMap((row, k) => {
          const own = others ? new Map(of).set(others.v, L.add(channel, k)) : of
          const [declare, lanes] = L.declare(name('o'), L.splat(L.load(bufOf(single), at(o, own)), 4))
          return [declare, ...row.map(([, acc], j) => L.set(acc, L.add(acc, L.mul(loaded[j][1], lanes))))]
        }),
      ]
    }
    const over = (d: number, of: ReadonlyMap<string, Expr>): Stmt[] => {
      if (d === parts.length) return products(of)
      const { loop, inside } = parts[d]
      return [
        L.loop(name(loop.v), inside, (i) => {
          const all = new Map(of).set(loop.v, L.add(of.get(loop.v) ?? L.int(0), i))
          const guarded = guards.filter((g) => g.terms.has(loop.v))
          const body = over(d + 1, all)
          if (guarded.length === 0) return body
          const row = at(guarded[0], all)
          return L.when(L.and(L.ge(row, 0), L.lt(row, height)), body)
        }),
      ]
    }
    return [
      ...starts.map(([declare]) => declare),
      ...firsts.map(([declare]) => declare),
      ...sums.flatMap((row) => row.map(([declare]) => declare)),
      ...over(0, of),
      ...sums.flatMap((row, i) =>
        row.map(([, acc], k) => {
          const first = firsts[i][1]
          if (whole) return L.store(bufOf(s.y), [L.add(first, starts[k][1])], acc)
          return L.store(sumsIn, [waitAt(first, L.add(index, k))], acc)
        }),
      ),
    ]
  }
  const tiles = (of: ReadonlyMap<string, Expr>): Stmt[] =>
    stripsOf(others?.extent ?? 1, shape.others).flatMap((a) =>
      L.loop(name('o'), a.tiles, (i) =>
        stripsOf(vectors, shape.vectors).map((b) =>
          L.loop(name('t'), b.tiles, (j) =>
            tile(of, L.add(L.mul(i, a.size), a.first), L.add(L.mul(j, b.size), b.first), a, b),
          ),
        ),
      ),
    )
  const nest = (
    loops: readonly { v: string; extent: number; by: number }[],
    body: (of: Map<string, Expr>) => Stmt[],
  ) => {
    const go = (d: number, of: Map<string, Expr>): Stmt[] => {
      if (d === loops.length) return body(of)
      const { v: n, extent, by } = loops[d]
      return [L.loop(name(n), extent, (i) => go(d + 1, new Map(of).set(n, L.mul(i, by))))]
    }
    return go(0, new Map())
  }
  const copyImage = (of: ReadonlyMap<string, Expr>): Stmt[] => {
    if (!ends) return []
    const own = image ? L.mul(of.get(image.v)!, height * width * depth) : L.int(0)
    const row = { before: before * depth, copied: width * depth, behind: behind * depth }
    return [
      L.loop(name('h'), height, (h) =>
        fillRow(row, rows, L.mul(h, wide * depth), bufOf(vector), L.add(own, L.mul(h, width * depth)), undefined, name),
      ),
    ]
  }
  const blocks = (of: ReadonlyMap<string, Expr>): Stmt[] =>
    nest(
      parts.map((p) => ({ v: p.loop.v, extent: p.outside, by: p.inside })),
      (block) =>
        nest(
          around.map((l) => ({ v: l.v, extent: l.extent, by: 1 })),
          (own) => tiles(new Map([...of, ...block, ...own])),
        ),
    )
  const work = nest(image ? [{ v: image.v, extent: image.extent, by: 1 }] : [], (of) => [
    ...copyImage(of),
    ...blocks(of),
  ])
  const clear = whole ? [] : [clearAll(sumsIn, name)]
  const moved = apart
    ? [
        L.loop(name('i'), count(s.y.buf.shape) / length, (i) =>
          L.loop(name('t'), vectors, (t) =>
            L.store(
              bufOf(s.y),
              [L.add(L.mul(i, length), place(t))],
              L.loadLanes(waiting, F32X4, L.add(L.mul(i, vectors * 4), L.mul(t, 4))),
            ),
          ),
        ),
      ]
    : []
  const unsure = ends ? finite(bufOf(single), name) : undefined
  const plain = unsure && asBefore(call, given, name)
  const bufs: (readonly [Buf, Arg])[] = [
    [bufOf(s.x), s.x.arg],
    [bufOf(s.w), s.w.arg],
    ...(plain?.bufs ?? []),
    [bufOf(s.y), s.y.arg],
    ...(ends ? [[rows, { scratch: true }] as const] : []),
    ...(apart ? [[waiting, { scratch: true }] as const] : []),
  ]
  const fast = L.block(...clear, ...work, ...moved)
  return {
    kernel: L.kernel(
      call.kernel.name,
      bufs.map(([buf]) => buf),
      ...(unsure ? [...unsure.statements, L.when(unsure.flag, fast, plain!.body)] : [fast]),
    ),
    args: bufs.map(([, arg]) => arg),
  }
}

function clearAll(buf: Buf, name: (base: string) => string): Stmt {
  const n = count(buf.shape)
  return L.block(
    L.loop(name('i'), n >> 2, (i) => L.store(buf, [L.mul(i, 4)], L.splat(L.float(0), 4))),
    ...range(n % 4).map((i) => L.store(buf, [n - 1 - i], L.float(0))),
  )
}

function shifted(a: Affine, by: number): Affine {
  return { terms: a.terms, base: a.base + by }
}

/** Tiles of channels by channels. */
export const floatOuter: Recipe = { name: 'float tiles over pixels', apply: shaped }
