// Float32 sums over pixels of products channel by channel (the gradients of a depthwise convolution's weights), four channels in
// lanes: the sums of a row of taps go together, so that the other operand is loaded once for these. Pixels at the edges whose windows
// reach into padding stand at known columns and leave taps out; rows outside are skipped. Each sum keeps the order of the loops.

import type { Call } from '../../ir/op.ts'
import type { Affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr, F32X4, type Stmt } from '../../loops/ir.ts'
import type { For } from '../../loops/walk.ts'
import { flat } from '../armv7em/dense.ts'
import { floatSum } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { panelsOf } from './finish.ts'

/** Registers for sums. */
const REGISTERS = 12
/** Pixels of a line at the edges, at most. */
const EDGES = 16

const range = (n: number) => Array.from({ length: n }, (_, i) => i)
const step = (a: Affine, l: For | undefined) => (l && a.terms.get(l.v)) ?? 0
const ONE: For = { s: 'for', v: '', extent: 1, body: L.block() }

function shaped(call: Call): Call | undefined {
  const s = floatSum(call)
  if (!s || s.w.data || s.bias || Number.isFinite(s.low) || Number.isFinite(s.high)) return undefined
  const [x, w, y] = [flat(s.x), flat(s.w), flat(s.y)]
  const channel = s.outputs.find((l) => [x, w, y].every((a) => step(a, l) === 1))
  if (!channel || channel.extent < 4 || s.window.length === 0) return undefined
  const rank = s.x.buf.shape.length
  const [row, column] = [s.x.at[rank - 3], s.x.at[rank - 2]]
  const taps = s.outputs.filter((l) => l !== channel)
  if (!column || taps.some((l) => step(w, l) !== 0) || s.padded.some((d) => d !== rank - 3 && d !== rank - 2))
    return undefined
  const [tap = ONE, line = ONE] = [taps, s.window].map((loops) => loops.find((l) => column.terms.has(l.v)))
  if (column.terms.size !== [tap, line].filter((l) => l !== ONE).length || tap.extent > REGISTERS) return undefined
  // the line is the innermost loop, so that edges stand where they belong in the order
  if (line !== ONE && s.window.at(-1) !== line) return undefined
  const width = s.x.buf.shape[rank - 2]
  const valid = (pixel: number, k: number) => {
    const at = column.base + pixel * step(column, line) + k * step(column, tap)
    return !s.padded.includes(rank - 2) || (at >= 0 && at < width)
  }
  const inside = range(line.extent).filter((pixel) => range(tap.extent).every((k) => valid(pixel, k)))
  const [first, behind] = inside.length > 0 ? [inside[0], inside[inside.length - 1] + 1] : [line.extent, line.extent]
  if (line.extent - inside.length > EDGES || behind - first !== inside.length) return undefined

  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const [X, W, Y] = [s.x, s.w, s.y].map(({ buf }) => L.buffer(buf.name, 'f32', [count(buf.shape)], buf.access))
  const vectors = Math.max(1, Math.min(Math.floor(REGISTERS / tap.extent), channel.extent >> 2))
  const size = 4 * vectors
  const panels = panelsOf(channel.extent, size)
  const at = (a: Affine, of: ReadonlyMap<string, Expr>): Expr =>
    [...a.terms].reduce<Expr>((sum, [n, c]) => (of.has(n) ? L.add(sum, L.mul(of.get(n)!, c)) : sum), L.int(a.base))
  const nest = (loops: readonly For[], of: Map<string, Expr>, body: (of: Map<string, Expr>) => Stmt[]): Stmt[] => {
    const [loop, ...rest] = loops
    if (!loop) return body(of)
    return [L.loop(name(loop.v), loop.extent, (i) => nest(rest, new Map(of).set(loop.v, i), body))]
  }

  const panel = (of: Map<string, Expr>): Stmt[] => {
    const sums = range(tap.extent).map(() => range(vectors).map(() => L.declare(name('acc'), L.splat(L.float(0), 4))))
    const pixel = (of: ReadonlyMap<string, Expr>, i: Expr, used: readonly number[]): Stmt[] => {
      const here = new Map(of).set(line.v, i)
      const given = range(vectors).map((v) => L.declare(name('w'), L.loadLanes(W, F32X4, L.add(at(w, here), 4 * v))))
      return [
        ...given.map(([declare]) => declare),
        ...used.flatMap((k) =>
          sums[k].map(([, acc], v) => {
            const from = L.add(at(x, new Map(here).set(tap.v, L.int(k))), 4 * v)
            return L.set(acc, L.add(acc, L.mul(L.loadLanes(X, F32X4, from), given[v][1])))
          }),
        ),
      ]
    }
    const edge = (of: ReadonlyMap<string, Expr>, from: number, to: number) =>
      range(to - from).flatMap((i) => {
        const used = range(tap.extent).filter((k) => valid(from + i, k))
        return used.length > 0 ? pixel(of, L.int(from + i), used) : []
      })
    const lines = nest(
      s.window.filter((l) => l !== line),
      of,
      (of) => {
        const pixels = [
          ...edge(of, 0, first),
          L.loop(name('i'), inside.length, (i) => pixel(of, L.add(i, first), range(tap.extent))),
          ...edge(of, behind, line.extent),
        ]
        if (!s.padded.includes(rank - 3)) return pixels
        const h = at(row, of)
        return [L.when(L.and(L.ge(h, 0), L.lt(h, s.x.buf.shape[rank - 3])), pixels)]
      },
    )
    return [
      ...sums.flatMap((row) => row.map(([declare]) => declare)),
      ...lines,
      ...sums.flatMap((row, k) =>
        row.map(([, acc], v) => L.store(Y, [L.add(at(y, new Map(of).set(tap.v, L.int(k))), 4 * v)], acc)),
      ),
    ]
  }
  const body = L.loop(name('p'), panels.length, (p) => {
    const even = channel.extent % size === 0
    const from = even ? L.mul(p, size) : L.op('min', L.mul(p, size), L.int(channel.extent - size))
    const [declare, c] = L.declare(name('c'), from)
    return [
      declare,
      ...nest(
        taps.filter((l) => l !== tap),
        new Map([[channel.v, c]]),
        panel,
      ),
    ]
  })
  return {
    kernel: L.kernel(call.kernel.name, [X, W, Y], body),
    args: [s.x.arg, s.w.arg, s.y.arg],
  }
}

/** Rows of taps, four channels at once. */
export const floatTaps: Recipe = { name: 'float taps over pixels', apply: shaped }
