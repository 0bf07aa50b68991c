// Sums of products that share inputs between channels (convolutions, fully connected layers, matrix products by constants)
// as tiles of a few pixels by all channels. Windows of one run are read where they are; others are gathered first, from
// a strip with the padding around the rows where windows reach into it.

import type { Arg, Call } from '../../ir/op.ts'
import { type Affine, termsWhere, toExpr } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Stmt } from '../../loops/ir.ts'
import { substituteExpr } from '../../loops/walk.ts'
import { channelWords, direct, groupsOf, rangesOf, type Source, strip, windowsOf } from '../armv7em/dense.ts'
import { fillMeans, rowMeans } from '../armv7em/gather.ts'
import { sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { fillRoutine, type Gather, gatherCost, gatherMeans, gatherRoutine, rowRoutine, SLACK } from './gather.ts'
import { formOf } from './requantize.ts'
import { packChannels, packedWords, type Tile, tileCost, tileMeans, tileRoutine, together, turnOf } from './tile.ts'

type Windows = NonNullable<ReturnType<typeof windowsOf>>

/** Rows of a window that are copied one by one. */
const UNROLLED = 8

interface Choice {
  readonly tile: Tile
  readonly gather?: Gather
}

/** The number of pixels at once that takes the fewest instructions. */
function choose(windows: Windows, source: Source, signed: boolean): Choice | undefined {
  const { s, channels, length, rows, x } = windows
  const runs = rows?.extent ?? 1
  const size = 4 * Math.ceil((runs * length) / 4)
  const starts = source.strip ? [] : [x.base, ...s.outputs.map((l) => x.terms.get(l.v) ?? 0)]
  const aligned = [length, source.stride, ...starts].every((n) => n % 4 === 0)
  let best: { cost: number; choice: Choice } | undefined
  for (let pixels = 1; pixels <= Math.min(4, source.pixels); pixels++) {
    if (pixels > 1 && channels === 1) continue
    const gather: Gather | undefined =
      runs > 1
        ? { pixels, runs, length, step: source.step, stride: source.stride, size, slack: source.strip !== undefined }
        : undefined
    const tile: Tile = gather
      ? { pixels, inputs: size, meant: runs * length, stride: size, aligned: true, channels, signed }
      : { pixels, inputs: length, meant: length, stride: source.stride, aligned, channels, signed }
    const turns = Math.ceil(channels / turnOf(tile))
    const cost = Math.ceil(source.pixels / pixels) * ((gather ? gatherCost(gather) : 0) + 25 + tileCost(tile, turns))
    if (!best || cost < best.cost) best = { cost, choice: { tile, gather } }
  }
  return best?.choice
}

function shaped(call: Call): Call | undefined {
  const s = sumOfProducts(call)
  const windows = s && windowsOf(s)
  if (!windows || s.low !== -128 || s.high !== 127) return undefined
  const { channels, length } = windows
  // words, or halves of them, are stored where the channels fill them
  const stores = [4, 2, 1].find((n) => channels % n === 0)!
  if ([windows.y.base, ...windows.y.terms.values()].some((n) => n !== 1 && n % stores !== 0)) return undefined
  const runs = windows.rows?.extent ?? 1
  const weights = Array.from({ length: channels }, (_, c) => {
    const words = channelWords(windows, c)
    const padded = words.length / runs
    return Int8Array.from({ length: runs * length }, (_, i) => words[Math.floor(i / length) * padded + (i % length)])
  })
  const form = formOf(rangesOf(s, weights), s.zeroY)
  if (!form) return undefined
  const apart = runs > 1 && windows.around.length === 0 && runs <= UNROLLED
  const source = s.padded.length === 0 && !apart ? direct(windows) : strip(windows)
  const choice = choose(windows, source, form.signed)
  if (!choice) return undefined
  const { tile, gather } = choice

  let names = 0
  const name = (base: string) => `${base}${names++}`
  const G = together(tile)
  const groups = groupsOf(channels, Math.min(G, channels))
  const size = packedWords(tile)
  const data = new Int32Array(groups.length * size)
  groups.forEach((first, g) => {
    const own = weights.slice(first, first + G).map((w, k) => {
      const c = first + k
      const bias = s.bias[c] - s.zeroX * w.reduce((sum, v) => sum + v, 0)
      return { weights: w, bias: bias | 0, numbers: form.channels[c] }
    })
    data.set(packChannels(tile, own), g * size)
  })

  const x = L.buffer('x', 'i8', [count(s.x.buf.shape)])
  const w = L.buffer('w', 'i32', [groups.length, size])
  const y = L.buffer('y', 'i8', [count(s.y.buf.shape)], 'write')
  const zero = L.buffer('zero', 'i32', [1])
  const px = L.buffer('px', 'i8', [tile.pixels * (gather?.size ?? 0) + SLACK], 'scratch')
  const rowsOf = L.buffer('rows', 'i8', [runs * (source.strip?.width ?? 0) + SLACK], 'scratch')
  const scratch: Arg = { scratch: true }
  const bound: [Buf, Arg][] = [
    [x, s.x.arg],
    [w, { data }],
    ...(source.strip ? [[zero, { data: Int32Array.of(s.zeroX) }] as [Buf, Arg]] : []),
    [y, s.y.arg],
    ...(gather ? [[px, scratch] as [Buf, Arg]] : []),
    ...(source.strip ? [[rowsOf, scratch] as [Buf, Arg]] : []),
  ]

  const outer = new Set(source.around.map((l) => l.v))
  const place = (a: Affine) => toExpr({ ...termsWhere(a, (v) => outer.has(v)), base: a.base })
  const copyRows = (): Stmt => {
    if (!source.strip) return L.block()
    const { row, start, width } = source.strip
    const bytes = L.op('wmul', L.op('and', L.load(zero, 0), 255), 0x01010101)
    const one = (r: Expr): Stmt => {
      const to = L.mul(r, width)
      const rowTerms = (a: Affine) =>
        toExpr({ ...termsWhere(a, (v) => outer.has(v) || v === windows.rows?.v), base: a.base })
      const named = new Map(windows.rows ? [[windows.rows.v, r]] : [])
      const at = (a: Affine) => substituteExpr(rowTerms(a), named)
      const copy: Stmt = {
        s: 'asm',
        means: rowMeans(row, rowsOf, to, x, at(start), L.load(zero, 0), name),
        routine: rowRoutine(row),
        args: [L.load(rowsOf, to), L.load(x, at(start)), bytes],
      }
      if (!windows.row) return copy
      const { index, extent } = windows.row
      const fill: Stmt = {
        s: 'asm',
        means: fillMeans(rowsOf, to, width, L.load(zero, 0), name),
        routine: fillRoutine(width),
        args: [L.load(rowsOf, to), L.int(0), bytes],
      }
      return { s: 'if', cond: L.and(L.ge(at(index), 0), L.lt(at(index), extent)), body: copy, else: fill }
    }
    // one line of outputs: its rows may stand apart
    if (source.around.length === 0 && runs <= UNROLLED)
      return L.block(...Array.from({ length: runs }, (_, r) => one(L.int(r))))
    return L.loop(name('r'), runs, one)
  }
  const tiles = L.loop(name('t'), Math.ceil(source.pixels / tile.pixels), (t) => {
    const placed = L.mul(t, tile.pixels)
    const even = source.pixels % tile.pixels === 0
    const [declare, first] = L.declare(name('p'), even ? placed : L.min(placed, source.pixels - tile.pixels))
    const from = L.add(L.mul(first, source.stride), source.strip ? 0 : place(windows.x))
    const read = source.strip ? rowsOf : x
    const [window, windowAt] = gather ? [px, L.int(0)] : [read, from]
    const gathered: Stmt = gather
      ? {
          s: 'asm',
          means: gatherMeans(gather, read, from, px, name),
          routine: gatherRoutine(gather),
          args: [L.load(read, from), L.load(px, 0)],
        }
      : L.block()
    const to = L.add(place(windows.y), L.mul(first, channels))
    const part = (group: number, turns: number, channel: number): Stmt => ({
      s: 'asm',
      means: tileMeans(tile, window, windowAt, w, y, group, turns, L.add(to, channel), name, stored),
      routine: tileRoutine(tile, stored),
      args: [L.load(window, windowAt), L.load(w, group, 0), L.load(y, L.add(to, channel)), L.int(turns)],
    })
    const stored = Math.min(4, channels)
    const whole = Math.max(1, Math.floor(channels / turnOf(tile)))
    const done = whole * turnOf(tile)
    const last = groups.length - 1
    return [declare, gathered, part(0, whole, 0), ...(done < channels ? [part(last, 1, groups[last])] : [])]
  })
  const body = source.around.reduceRight<Stmt>(
    (inner, { v, extent }) => ({ s: 'for', v, extent, body: inner }),
    L.block(copyRows(), tiles),
  )
  return {
    kernel: L.kernel(
      call.kernel.name,
      bound.map(([b]) => b),
      body,
    ),
    args: bound.map(([, a]) => a),
  }
}

/** Tiles of pixels by channels. */
export const dense: Recipe = { name: 'tiles of vmladava', apply: shaped }
