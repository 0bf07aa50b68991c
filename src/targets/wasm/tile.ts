// A tile: the sums of a few pixels by four channels in each of a few vectors, two products a lane and step by `dot`. Inputs
// are words of two halves, one of which goes to all lanes; weights stay int8, two of each of eight channels side by
// side. Sums start from the channel's offset and end as outputs.

import * as L from '../../loops/build.ts'
import { type Buf, type Expr, I16X8, I32X4, type Stmt } from '../../loops/ir.ts'
import type { Packed } from './finish.ts'
import { byPanels } from './panels.ts'
import { eight } from './requantize.ts'

export interface Tile {
  readonly pixels: number
  /** Of four channels. */
  readonly vectors: number
  /** Of a window, and words of each. */
  readonly runs: number
  readonly words: number
  /** Words from one run to the next, and from one pixel to the next. */
  readonly apart: number
  readonly stride: number
}

/** Of all windows at once: what a weight of 1 would give, `by` times. */
export function totals(
  { runs, words, apart, stride }: Tile,
  { lines, pixels, line }: { readonly lines: number; readonly pixels: number; readonly line: number },
  x: Buf,
  by: Expr,
  to: Buf,
  name: (base: string) => string,
): Stmt {
  const ones = eight(1)
  return L.loop(name('l'), lines, (l) =>
    L.loop(name('i'), pixels, (i) => {
      const [declareLanes, lanes] = L.declare(name('lanes'), L.splat(0, 4))
      const [declareTotal, total] = L.declare(name('total'), L.int(0))
      const from = L.add(L.mul(l, line), L.mul(i, stride))
      const rest = (word: Expr) => L.add(L.op('shr', L.op('shl', word, 16), 16), L.op('shr', word, 16))
      const one = L.loop(name('r'), runs, (r) => {
        const run = L.add(from, L.mul(r, apart))
        const four = (k: Expr) => L.op('halves', L.loadLanes(x, I32X4, L.add(run, L.mul(k, 4))))
        return [
          L.loop(name('k'), words >> 2, (k) => L.set(lanes, L.op('wadd', lanes, L.op('dot', four(k), ones)))),
          ...Array.from({ length: words & 3 }, (_, k) =>
            L.set(total, L.op('wadd', total, rest(L.load(x, L.add(run, (words & ~3) + k))))),
          ),
        ]
      })
      const sum = L.op('wadd', total, L.op('sum', lanes))
      return [declareLanes, declareTotal, one, L.store(to, [L.add(L.mul(l, pixels), i)], L.op('wmul', sum, by))]
    }),
  )
}

/** int8 weights of every panel: of each word two for every channel. */
export function packWeights(weights: readonly Int8Array[], vectors: number) {
  const words = Math.ceil(weights[0].length / 2)
  const rows = new Int8Array(words * weights.length * 2)
  for (const [c, row] of weights.entries())
    for (let i = 0; i < row.length; i++) rows[((i >> 1) * weights.length + c) * 2 + (i & 1)] = row[i]
  const { data, made } = byPanels(new Int16Array(rows.buffer), weights.length, 4 * vectors)
  return { data: new Int8Array(data.buffer), made }
}

/** One tile of panel `panel`: windows in `x`, words, from `from` on. */
export function tileLoops(
  tile: Tile,
  x: Buf,
  from: Expr,
  w: Buf,
  panel: Expr,
  packed: Packed,
  y: Buf,
  place: (pixel: L.E) => Expr,
  name: (base: string) => string,
  /** Added to all sums of a pixel. */
  more?: (pixel: number) => Expr,
): Stmt {
  const { pixels, vectors, runs, words, apart, stride } = tile
  const size = 4 * vectors
  const range = (n: number) => Array.from({ length: n }, (_, i) => i)
  const starts = range(vectors).map((v) => L.declare(name('start'), packed.start(L.add(L.mul(panel, size), 4 * v))))
  const sums = range(pixels).map((p) =>
    starts.map(([, first]) => L.declare(name('acc'), more ? L.op('wadd', first, L.splat(more(p), 4)) : first)),
  )
  const step = (at: (words: number) => Expr, weight: Expr): Stmt => {
    const loaded = range(vectors).map((v) =>
      L.declare(name('w'), L.loadLanes(w, I16X8, L.add(L.mul(weight, 2 * size), 8 * v))),
    )
    return L.block(
      ...loaded.map(([declare]) => declare),
      ...sums.flatMap((row, p) => {
        const [declare, pair] = L.declare(name('x'), L.op('halves', L.splat(L.load(x, at(p * stride)), 4)))
        const products = row.map(([, acc], v) => L.set(acc, L.op('wadd', acc, L.op('dot', pair, loaded[v][1]))))
        return [declare, ...products]
      }),
    )
  }
  const first = L.mul(panel, runs * words)
  const each = (body: (r: Expr) => Stmt) => (runs === 1 ? body(L.int(0)) : L.loop(name('r'), runs, body))
  const all = each((r) =>
    L.loop(name('k'), words, (k) =>
      step((p) => L.add(L.add(L.add(from, L.mul(r, apart)), k), p), L.add(L.add(first, L.mul(r, words)), k)),
    ),
  )
  return L.block(
    ...starts.map(([declare]) => declare),
    ...sums.flatMap((row) => row.map(([declare]) => declare)),
    all,
    packed.finish(
      panel,
      sums.map((row) => row.map(([, acc]) => acc)),
      y,
      place,
      name,
    ),
  )
}
