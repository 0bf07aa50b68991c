// Sums of products that share inputs between channels (convolutions, fully connected layers, matrix products by constants)
// as tiles of a few pixels by a few vectors of four channels. Inputs are made ready once for all channels, a block of pixels or
// lines at a time. In which form, and how many products an instruction takes, is what `Tiles` says.

import type { Arg, Call } from '../../ir/op.ts'
import { type Affine, termsWhere, toExpr } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Stmt } from '../../loops/ir.ts'
import { type Windows, windowsOf } from '../armv7em/dense.ts'
import { sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { panelsOf } from './finish.ts'
import type { Source } from './source.ts'

export type Name = (base: string) => string

/** Where a tile stands. */
export interface Place {
  readonly panel: Expr
  /** Line and pixel of the block. */
  readonly line: Expr
  readonly pixel: Expr
  /** Where its first window begins. */
  readonly from: Expr
  readonly y: Buf
  /** Where the channels of its `pixel`-th output begin. */
  to(pixel: L.E): Expr
}

export interface Tiles {
  readonly source: Source
  /** Of a tile: pixels, and vectors of four channels. */
  readonly pixels: number
  readonly vectors: number
  readonly head: readonly Stmt[]
  /** All but the input and the output. */
  readonly bufs: readonly (readonly [Buf, Arg])[]
  /** Makes the block ready that begins with line or pixel `first`. */
  fill(first: Expr, x: Buf, name: Name): Stmt
  tile(at: Place, name: Name): Stmt
}

/** What ways differ in; undefined where a layer does not suit. */
export interface Way {
  readonly name: string
  tiles(windows: Windows): Tiles | undefined
}

function shaped(call: Call, way: Way): Call | undefined {
  const s = sumOfProducts(call, { zeroW: true, scale: true })
  const windows = s && windowsOf(s)
  const tiles = windows && windows.channels >= 4 ? way.tiles(windows) : undefined
  if (!windows || !tiles) return undefined
  const { source, pixels, vectors } = tiles
  const { channels } = windows
  const panels = panelsOf(channels, 4 * vectors)
  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const x = L.buffer('x', 'i8', [count(s.x.buf.shape)])
  const y = L.buffer('y', 'i8', [count(s.y.buf.shape)], 'write')
  const outer = new Set(source.around.map((l) => l.v))
  const place = (a: Affine) => toExpr({ ...termsWhere(a, (v) => outer.has(v)), base: a.base })
  /** The index of the i-th of tiles of `size`; the last one ends with the last of all. */
  const placed = (base: string, i: Expr, size: number, all: number) =>
    L.declare(name(base), L.op('min', L.mul(i, size), L.int(all - size)))

  const block = L.loop(name('b'), source.blocks, (b) => {
    const [declareFirst, first] = L.declare(name('first'), source.first(b))
    const tileLoops = L.loop(name('p'), panels.length, (panel) => {
      const [declareChannel, channel] = placed('c', panel, 4 * vectors, channels)
      const lines = L.loop(name('l'), source.lines, (line) =>
        L.loop(name('t'), Math.ceil(source.pixels / pixels), (t) => {
          const [declarePixel, pixel] = placed('pixel', t, pixels, source.pixels)
          const from = L.add(L.mul(line, source.line), L.mul(pixel, source.stride))
          const output = L.add(L.mul(L.add(first, line), source.unit), pixel)
          const start = L.add(L.add(place(windows.y), L.mul(output, channels)), channel)
          const to = (p: L.E) => L.add(start, L.mul(p, channels))
          return [declarePixel, tiles.tile({ panel, line, pixel, from, y, to }, name)]
        }),
      )
      return [declareChannel, lines]
    })
    return [declareFirst, tiles.fill(first, x, name), tileLoops]
  })
  const body = source.around.reduceRight<Stmt>((inner, { v, extent }) => ({ s: 'for', v, extent, body: inner }), block)
  const scratch = source.scratch.map((buf) => [buf, { scratch: true }] as const)
  const bufs: (readonly [Buf, Arg])[] = [[x, s.x.arg], ...tiles.bufs, [y, s.y.arg], ...scratch]
  return {
    kernel: L.kernel(
      call.kernel.name,
      bufs.map(([buf]) => buf),
      ...tiles.head,
      body,
    ),
    args: bufs.map(([, arg]) => arg),
  }
}

export function denseBy(way: Way): Recipe {
  return { name: way.name, uniform: true, apply: (call) => shaped(call, way) }
}
