// Tiles of quads: sums of products by four bytes a lane, for engines whose relaxed dot product is exact for signed weights and
// unsigned inputs (as x86's VPDPBUSD is): inputs are 128 higher, and sums start as much lower.

import * as L from '../../loops/build.ts'
import { count, type Expr, I8X4, I8X16, type Stmt } from '../../loops/ir.ts'
import { parameters } from '../../ops/parameters.ts'
import { channelWords, type Windows } from '../armv7em/dense.ts'
import type { Recipe } from '../target.ts'
import { direct, strip } from './bytes.ts'
import { denseBy, type Tiles } from './dense.ts'
import { panelsOf } from './finish.ts'
import { byPanels } from './panels.ts'
import { packTruncation, raise, raisedWord, truncationOf } from './truncate.ts'

/** Words of a run without a loop over them, at most. */
const UNROLLED = 3
/** Words that weights beyond a byte may add in any case. */
const BEYOND = 2

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** Pixels at once, and vectors of four channels, within 15 registers. */
function shapeOf(pixels: number, channels: number, words: number, raised: boolean) {
  let best = { pixels: 1, vectors: 1, cost: Number.POSITIVE_INFINITY }
  for (const [vectors, most] of [
    [1, 8],
    [2, 6],
    [3, 3],
    [4, 2],
    [8, 1],
  ])
    for (let p = 1; p <= Math.min(most, pixels); p++) {
      if (4 * vectors > channels) continue
      const tiles = Math.ceil(pixels / p) * Math.ceil(channels / (4 * vectors))
      const step = p * vectors + p * (raised ? 1 : 2) + vectors + 4
      const cost = tiles * (words * step + 6 * p * vectors + 12)
      if (cost < best.cost) best = { pixels: p, vectors, cost }
    }
  return best
}

/**
 * Weights less their zero point as bytes: what does not fit is left for words of its own after the others, the n-th of which is
 * for the word of inputs `beyond[n]`.
 */
function inBytes(weights: readonly (readonly number[])[]): { rows: readonly number[][]; beyond: readonly number[] } {
  const byte = (w: number) => Math.max(-128, Math.min(127, w))
  const has = new Set(weights.flatMap((row) => row.flatMap((w, i) => (byte(w) === w ? [] : [i >> 2]))))
  const beyond = [...has].sort((a, b) => a - b)
  const rest = (row: readonly number[]) =>
    beyond.flatMap((word) => range(4).map((i) => row[4 * word + i] - byte(row[4 * word + i])))
  return { rows: weights.map((row) => [...row.map(byte), ...rest(row)]), beyond }
}

/** Weights of every panel: of each word four of every channel. */
function packQuads(weights: readonly (readonly number[])[], size: number) {
  const rows = new Int8Array(weights[0].length * weights.length)
  for (const [c, row] of weights.entries())
    for (const [i, w] of row.entries()) rows[((i >> 2) * weights.length + c) * 4 + (i & 3)] = w
  const { data, made } = byPanels(new Int32Array(rows.buffer), weights.length, size)
  return { data: new Int8Array(data.buffer), made }
}

function tiles(windows: Windows): Tiles | undefined {
  const { s, channels, length } = windows
  const inside = s.padded.length === 0 && !windows.rows
  const x = L.buffer('x', 'i8', [count(s.x.buf.shape)])
  const source = inside ? direct(windows, x) : strip(windows)
  if (!source) return undefined
  const { runs, words } = source
  const weights = range(channels).map((c) =>
    Array.from(channelWords(windows, c), (w, i) => (i % (4 * words) < length ? w - s.zeroW : 0)),
  )
  const { rows, beyond } = inBytes(weights)
  if (beyond.length > Math.max(BEYOND, (runs * words) >> 4)) return undefined
  const truncation = truncationOf(s, weights)
  if (!truncation) return undefined
  const { pixels, vectors } = shapeOf(source.pixels, channels, runs * words, source.raised)
  const panels = panelsOf(channels, 4 * vectors)
  const lower = (c: number) => 128 * weights[c].reduce((n, w) => n + w, 0)
  const packed = packTruncation(truncation, lower, panels, vectors)
  const numbers = parameters('numbers', 'i32', { zero_x: raisedWord(s.zeroX) })
  const packedWeights = packQuads(rows, 4 * vectors)
  const w = L.buffer('w', 'i8', [packedWeights.data.length])
  const places = L.buffer('places', 'i32', [beyond.length])
  const placeOf = (word: number) => Math.floor(word / words) * source.apart + 4 * (word % words)
  const bordered = source.raised && !inside
  return {
    source,
    pixels,
    vectors,
    head: bordered ? numbers.head : [],
    bufs: [
      [w, packedWeights],
      ...(beyond.length > 0 ? [[places, { data: Int32Array.from(beyond, placeOf) }] as const] : []),
      ...(bordered ? numbers.bufs.map((buf, i) => [buf, numbers.args[i]] as const) : []),
      ...packed.bufs,
    ],
    fill: (first, x, name) => source.fill?.(first, x, L.op('bytes', L.splat(numbers.of.zero_x, 4)), name) ?? L.block(),
    tile({ panel, from, y, to }, name) {
      const starts = range(vectors).map((v) =>
        L.declare(name('start'), packed.start(L.add(L.mul(panel, 4 * vectors), 4 * v))),
      )
      const sums = range(pixels).map(() => starts.map(([, start]) => L.declare(name('acc'), start)))
      /** Of all words of the window the n-th, which stands at `place`. */
      const step = (n: Expr, place: Expr): Stmt[] => {
        const word = L.add(L.mul(panel, runs * words + beyond.length), n)
        const load = (v: number) => L.op('bits', L.loadLanes(w, I8X16, L.add(L.mul(word, 16 * vectors), 16 * v)))
        const loaded = pixels > 1 ? range(vectors).map((v) => L.declare(name('w'), load(v))) : []
        return [
          ...loaded.map(([declare]) => declare),
          ...sums.flatMap((row, p) => {
            const at = L.add(L.add(L.add(source.start, from), place), p * source.stride)
            const four = L.splat(L.op('bits', L.loadLanes(source.read, I8X4, at)), 4)
            const [declare, input] = L.declare(name('x'), source.raised ? four : raise(four))
            return [
              declare,
              ...row.map(([, acc], v) => L.set(acc, L.op('quad', loaded[v]?.[1] ?? load(v), input, acc))),
            ]
          }),
        ]
      }
      const together = words <= UNROLLED ? words : 1
      return L.block(
        ...starts.map(([declare]) => declare),
        ...sums.flatMap((row) => row.map(([declare]) => declare)),
        L.loop(name('r'), runs, (r) =>
          L.loop(name('k'), words / together, (k) =>
            range(together).flatMap((i) => {
              const word = L.add(L.mul(k, together), i)
              return step(L.add(L.mul(r, words), word), L.add(L.mul(r, source.apart), L.mul(word, 4)))
            }),
          ),
        ),
        beyond.length > 0
          ? L.loop(name('e'), beyond.length, (e) => step(L.add(e, runs * words), L.load(places, e)))
          : L.block(),
        packed.finish(
          panel,
          sums.map((row) => row.map(([, sum]) => sum)),
          y,
          to,
          name,
        ),
      )
    },
  }
}

/** Tiles of pixels by channels, four products a lane. */
export const quads: Recipe = denseBy({ name: 'tiles of quads', tiles })
