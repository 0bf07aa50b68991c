// Tiles of `dot`: inputs are widened and scaled up once for all channels, weights stay int8, an instruction takes two
// products a lane.

import * as L from '../../loops/build.ts'
import { channelWords, type Windows } from '../armv7em/dense.ts'
import type { Recipe } from '../target.ts'
import { denseBy, type Tiles } from './dense.ts'
import { finishOf, inputsOf, packFinish, panelsOf, weightZero } from './finish.ts'
import { direct, strip } from './source.ts'
import { packWeights, tileLoops, totals } from './tile.ts'

/** Instructions of a step other than products and loads. */
const LOOP = 4

/** Pixels at once, and vectors of four channels: what takes the fewest instructions with 15 registers. */
function shapeOf(pixels: number, channels: number, words: number): { pixels: number; vectors: number } {
  let best = { pixels: 1, vectors: 1, cost: Number.POSITIVE_INFINITY }
  for (const [vectors, most] of [
    [1, 8],
    [2, 4],
    [4, 1],
  ])
    for (let p = 1; p <= Math.min(most, pixels); p++) {
      if (4 * vectors > channels) continue
      const tiles = Math.ceil(pixels / p) * Math.ceil(channels / (4 * vectors))
      const cost = tiles * (words * (2 * p * vectors + p + 2 * vectors + LOOP) + 5 * p * vectors + 12)
      if (cost < best.cost) best = { pixels: p, vectors, cost }
    }
  return best
}

function pairs(windows: Windows): Tiles | undefined {
  const { s, channels, length } = windows
  const runs = windows.rows?.extent ?? 1
  const runLength = 2 * Math.ceil(length / 2)
  const weights = Array.from({ length: channels }, (_, c) => {
    const words = channelWords(windows, c)
    const padded = words.length / runs
    return Int8Array.from({ length: runs * runLength }, (_, i) => {
      const at = i % runLength
      return at < length ? words[Math.floor(i / runLength) * padded + at] : s.zeroW
    })
  })
  const finish = finishOf(
    s,
    weights.map((row) => (s.zeroW ? Int16Array.from(row, (v) => v - s.zeroW) : row)),
  )
  const source = s.padded.length === 0 && !windows.rows ? direct(windows) : strip(windows)
  if (!finish || !source) return undefined

  const { pixels, vectors } = shapeOf(source.pixels, channels, source.runs * source.words)
  const recentre = weightZero(s)
  const panels = panelsOf(channels, 4 * vectors)
  const packed = packFinish(finish, panels, vectors, pixels)
  const inputs = inputsOf(packed)
  // sum(x * (w - zero)) is sum(x * w) - zero * sum(x), which is the same for all channels
  const raised = recentre.zero && {
    by: L.sub(0, recentre.zero),
    buf: L.buffer('totals', 'i32', [source.lines * source.pixels], 'scratch'),
  }
  const packedWeights = packWeights(weights, vectors)
  const w = L.buffer('w', 'i8', [packedWeights.data.length])
  const tile = { ...source, pixels, vectors }
  return {
    source,
    pixels,
    vectors,
    head: [...recentre.head, ...inputs.head],
    bufs: [
      [w, packedWeights],
      ...recentre.bufs,
      ...(raised ? [[raised.buf, { scratch: true }] as const] : []),
      ...packed.bound,
    ],
    fill: (first, x, name) =>
      L.block(
        source.fill(first, x, inputs, name),
        ...(raised ? [totals(tile, source, source.read, raised.by, raised.buf, name)] : []),
      ),
    tile({ panel, line, pixel, from, y, to }, name) {
      const more = (p: number) => L.load(raised!.buf, L.add(L.add(L.mul(line, source.pixels), pixel), p))
      return tileLoops(tile, source.read, from, w, panel, packed, y, to, name, raised && more)
    },
  }
}

/** Tiles of pixels by channels. */
export const dense: Recipe = denseBy({ name: 'tiles of dot', tiles: pairs })
