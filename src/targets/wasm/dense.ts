// Sums of products that share inputs between channels (convolutions, fully connected layers, matrix products by constants)
// as tiles of a few pixels by a few channels in lanes. Inputs are widened once for all channels; weights stay int8.

import type { Arg, Call } from '../../ir/op.ts'
import { type Affine, termsWhere, toExpr } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Stmt } from '../../loops/ir.ts'
import { channelWords, type Windows, windowsOf } from '../armv7em/dense.ts'
import { sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { finishOf, inputsOf, packFinish, panelsOf, weightZero } from './finish.ts'
import { direct, type Source, strip } from './source.ts'
import { packWeights, type Tile, tileLoops, totals } from './tile.ts'

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

function shaped(call: Call): Call | undefined {
  const s = sumOfProducts(call, { zeroW: true, scale: true })
  const windows = s && windowsOf(s)
  if (!windows || windows.channels < 4) return undefined
  const { channels, length } = windows
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
  if (!finish) return undefined
  const source = sourceOf(windows)
  if (!source) return undefined

  const { pixels, vectors } = shapeOf(source.pixels, channels, source.runs * source.words)
  const recentre = weightZero(s)
  const inputs = inputsOf(finish)
  const tile: Tile = { ...source, pixels, vectors }
  // sum(x * (w - zero)) is sum(x * w) - zero * sum(x), which is the same for all channels
  const raised = recentre.zero && {
    by: L.sub(0, recentre.zero),
    buf: L.buffer('totals', 'i32', [source.lines * source.pixels], 'scratch'),
  }
  const panels = panelsOf(channels, 4 * vectors)
  const packed = packFinish(finish, panels, vectors, pixels)
  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const x = L.buffer('x', 'i8', [count(s.x.buf.shape)])
  const data = packWeights(weights, panels, vectors)
  const w = L.buffer('w', 'i8', [data.length])
  const y = L.buffer('y', 'i8', [count(s.y.buf.shape)], 'write')
  const outer = new Set(source.around.map((l) => l.v))
  const place = (a: Affine) => toExpr({ ...termsWhere(a, (v) => outer.has(v)), base: a.base })

  const block = L.loop(name('b'), source.blocks, (b) => {
    const [declareFirst, first] = L.declare(name('first'), source.first(b))
    const fill = source.fill(first, x, inputs, name)
    const totalled = raised ? totals(tile, source, source.read, raised.by, raised.buf, name) : L.block()
    const tiles = L.loop(name('p'), panels.length, (panel) => {
      const even = channels % (4 * vectors) === 0
      const own = L.mul(panel, 4 * vectors)
      const [declareChannel, channel] = L.declare(
        name('c'),
        even ? own : L.op('min', own, L.int(channels - 4 * vectors)),
      )
      const line = L.loop(name('l'), source.lines, (l) =>
        L.loop(name('t'), Math.ceil(source.pixels / pixels), (t) => {
          const whole = source.pixels % pixels === 0
          const at = L.mul(t, pixels)
          const [declarePixel, pixel] = L.declare(
            name('pixel'),
            whole ? at : L.op('min', at, L.int(source.pixels - pixels)),
          )
          const from = L.add(L.mul(l, source.line), L.mul(pixel, source.stride))
          const output = L.add(L.mul(L.add(first, l), source.unit), pixel)
          const to = L.add(L.add(place(windows.y), L.mul(output, channels)), channel)
          const outputs = (p: L.E) => L.add(to, L.mul(p, channels))
          const more = raised && ((p: number) => L.load(raised.buf, L.add(L.add(L.mul(l, source.pixels), pixel), p)))
          return [declarePixel, tileLoops(tile, source.read, from, w, panel, packed, y, outputs, name, more)]
        }),
      )
      return [declareChannel, line]
    })
    return [declareFirst, fill, totalled, tiles]
  })
  const body = source.around.reduceRight<Stmt>((inner, { v, extent }) => ({ s: 'for', v, extent, body: inner }), block)
  const bufs: (readonly [Buf, Arg])[] = [
    [x, s.x.arg],
    [w, { data }],
    ...recentre.bufs,
    ...(raised ? [[raised.buf, { scratch: true }] as const] : []),
    inputs.buf,
    ...packed.data.map((d, i): [Buf, Arg] => [packed.bufs[i], { data: d }]),
    ...packed.bufs.slice(packed.data.length).map((buf): [Buf, Arg] => [buf, { scratch: true }]),
    [y, s.y.arg],
    ...source.scratch.map((buf): [Buf, Arg] => [buf, { scratch: true }]),
  ]
  return {
    kernel: L.kernel(
      call.kernel.name,
      bufs.map(([buf]) => buf),
      ...recentre.head,
      ...inputs.head,
      body,
    ),
    args: bufs.map(([, arg]) => arg),
  }
}

function sourceOf(windows: Windows): Source | undefined {
  return windows.s.padded.length === 0 && !windows.rows ? direct(windows) : strip(windows)
}

/** Tiles of pixels by channels. */
export const dense: Recipe = { name: 'tiles of dot', apply: shaped }
