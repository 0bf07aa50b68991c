// Sums of products by four bytes a lane, for engines whose relaxed dot product is exact for signed weights and unsigned inputs
// (as x86's VPDPBUSD is): inputs are read as they stand, 128 higher, and the sums start as much lower. Tiles of a few pixels by a
// few vectors of four channels; windows whose rows are no whole words are left to other recipes.

import type { Arg, Call } from '../../ir/op.ts'
import { type Affine, termsWhere, toExpr } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, I32X4, type Stmt } from '../../loops/ir.ts'
import { type For, substituteExpr } from '../../loops/walk.ts'
import { parameters } from '../../ops/parameters.ts'
import { channelWords, direct, strip, type Windows, windowsOf } from '../armv7em/dense.ts'
import { sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { finishOf, packFinish, panelsOf } from './finish.ts'

/** From int8 to numbers without a sign, four at a time. */
const TOP = 0x80808080 | 0
const RAISED = 128

/** Words of windows: where each pixel's begins, and what is copied before. */
interface Words {
  readonly around: readonly For[]
  readonly pixels: number
  readonly runs: number
  readonly length: number
  /** Words from one run, and from one pixel, to the next. */
  readonly apart: number
  readonly stride: number
  readonly first: Expr
  readonly read: Buf
  /** What is read is raised already. */
  readonly raised: boolean
  readonly fill?: Stmt
}

function quarter(a: Affine): Affine | undefined {
  const terms = new Map([...a.terms].map(([v, c]) => [v, c / 4]))
  const whole = [a.base / 4, ...terms.values()].every(Number.isInteger)
  return whole ? { terms, base: a.base / 4 } : undefined
}

function ofAround(a: Affine, around: readonly For[]): Affine {
  const names = new Set(around.map((l) => l.v))
  return { ...termsWhere(a, (v) => names.has(v)), base: a.base }
}

/** Channels from which on it pays to raise inputs once, and words that are raised at most: what a first-level cache holds. */
const MANY = 24
const MOST_WORDS = 6144

const raise = (e: Expr) => L.op('xor', e, L.splat(TOP, 4))

function plainWords(windows: Windows, x: Buf, name: (base: string) => string): Words | undefined {
  const { around, pixels, stride } = direct(windows)
  const first = quarter(ofAround(windows.x, around))
  if (!first || stride % 4 !== 0 || windows.length % 4 !== 0) return undefined
  const length = windows.length / 4
  const all = pixels * length
  if (stride === windows.length && all >= 4 && all <= MOST_WORDS && windows.channels >= MANY) {
    const read = L.buffer('raised', 'i32', [all], 'scratch')
    const one = (at: L.E) => L.store(read, [at], raise(L.loadLanes(x, I32X4, L.add(toExpr(first), at))))
    const rest = all % 4 === 0 ? [] : [one(all - 4)]
    const fill = L.block(
      L.loop(name('i'), all >> 2, (i) => one(L.mul(i, 4))),
      ...rest,
    )
    return { around, pixels, runs: 1, length, apart: 0, stride: length, first: L.int(0), read, raised: true, fill }
  }
  return { around, pixels, runs: 1, length, apart: 0, stride: stride / 4, first: toExpr(first), read: x, raised: false }
}

/** Rows with padding around them, of one line of outputs. */
function rowWords(windows: Windows, x: Buf, zero: Expr, name: (base: string) => string): Words | undefined {
  const { around, pixels, stride, strip: strips } = strip(windows)
  const { length, depth, rows, row } = windows
  if (!strips || depth % 4 !== 0 || length % 4 !== 0 || stride % 4 !== 0) return undefined
  const runs = rows?.extent ?? 1
  const width = Math.ceil(strips.width / 4)
  const [before, copied] = [strips.row.before / 4, strips.row.copied / 4]
  const start = quarter({
    ...termsWhere(strips.start, (v) => v !== rows?.v && around.some((l) => l.v === v)),
    base: strips.start.base,
  })
  const down = rows ? (strips.start.terms.get(rows.v) ?? 0) / 4 : 0
  if (!start || ![down, before, copied].every(Number.isInteger)) return undefined
  const buf = L.buffer('rows', 'i32', [runs * width + 4], 'scratch')
  const border = L.splat(zero, 4)
  const put = (at: L.E, i: L.E, value: Expr) => L.store(buf, [L.add(at, i)], value)
  const fillWords = (at: Expr, from: number, n: number): Stmt[] =>
    n <= 0 ? [] : [L.loop(name('i'), Math.ceil(n / 4), (i) => put(at, L.add(L.mul(i, 4), from), border))]
  const fill = L.loop(name('i'), runs, (r) => {
    const at = L.mul(r, width)
    const from = L.add(toExpr(start), L.mul(r, down))
    const whole = copied >> 2
    const one = (i: L.E, lanes: boolean) =>
      lanes
        ? put(at, L.add(i, before), raise(L.loadLanes(x, I32X4, L.add(from, i))))
        : put(at, L.add(i, before), L.op('xor', L.load(x, L.add(from, i)), L.int(TOP)))
    const copy = L.block(
      ...fillWords(at, 0, before),
      ...(whole > 0 ? [L.loop(name('i'), whole, (i) => one(L.mul(i, 4), true))] : []),
      ...Array.from({ length: copied - 4 * whole }, (_, i) => one(4 * whole + i, false)),
      ...fillWords(at, before + copied, width - before - copied),
    )
    if (!row) return copy
    const index = toExpr(row.index)
    const at0 = rows ? substituteExpr(index, new Map([[rows.v, r]])) : index
    const inside = L.and(L.ge(at0, 0), L.lt(at0, row.extent))
    return L.when(inside, copy, L.block(...fillWords(at, 0, width)))
  })
  return {
    ...{ around, pixels, runs, length: length / 4, apart: width, stride: stride / 4 },
    ...{ first: L.int(0), read: buf, raised: true, fill },
  }
}

/** Pixels at once, and vectors of four channels, within 15 registers. */
function shapeOf(pixels: number, channels: number, words: number, raised: boolean) {
  let best = { pixels: 1, vectors: 1, cost: Number.POSITIVE_INFINITY }
  for (const [vectors, most] of [
    [1, 8],
    [2, 6],
    [3, 3],
    [4, 2],
  ])
    for (let p = 1; p <= Math.min(most, pixels); p++) {
      if (4 * vectors > channels) continue
      const tiles = Math.ceil(pixels / p) * Math.ceil(channels / (4 * vectors))
      const step = p * vectors + p * (raised ? 1 : 2) + vectors + 4
      const cost = tiles * (words * step + 8 * p * vectors + 12)
      if (cost < best.cost) best = { pixels: p, vectors, cost }
    }
  return best
}

/** The input seen as words; undefined where it does not begin at one. */
function wordsOf(arg: Arg): Arg | undefined {
  if (!('value' in arg) || !arg.from) return arg
  return arg.from % 4 === 0 ? { ...arg, from: arg.from / 4 } : undefined
}

/** Weights of every panel: of each word four of every channel. */
function packQuads(weights: readonly Int8Array[], panels: readonly number[], size: number): Int32Array {
  const words = weights[0].length / 4
  const bytes = new Int8Array(panels.length * words * size * 4)
  panels.forEach((first, p) => {
    for (let c = 0; c < size; c++)
      for (let i = 0; i < weights[0].length; i++)
        bytes[((p * words + (i >> 2)) * size + c) * 4 + (i & 3)] = weights[first + c][i]
  })
  return new Int32Array(bytes.buffer)
}

function shaped(call: Call): Call | undefined {
  const s = sumOfProducts(call, { zeroW: true, scale: true })
  const windows = s && windowsOf(s)
  if (!windows || windows.channels < 4 || s.zeroW !== 0 || count(s.x.buf.shape) % 4 !== 0) return undefined
  const given = wordsOf(s.x.arg)
  if (!given) return undefined
  const { channels, length } = windows
  const runs = windows.rows?.extent ?? 1
  const weights = Array.from({ length: channels }, (_, c) => {
    const padded = channelWords(windows, c)
    const each = padded.length / runs
    return Int8Array.from({ length: runs * length }, (_, i) => padded[Math.floor(i / length) * each + (i % length)])
  })
  const proved = finishOf(s, weights)
  if (!proved) return undefined
  const lower = (c: number) => RAISED * weights[c].reduce((n, w) => n + w, 0)
  const finish = { ...proved, starts: proved.starts.map((start, c) => start - lower(c)) }
  const numbers = parameters('numbers', 'i32', {
    left: Math.log2(finish.form.gain),
    zero_x: (((s.zeroX + RAISED) & 255) * 0x01010101) | 0,
  })

  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const x = L.buffer('x', 'i32', [count(s.x.buf.shape) / 4])
  const inside = s.padded.length === 0 && !windows.rows
  const words = inside ? plainWords(windows, x, name) : rowWords(windows, x, numbers.of.zero_x, name)
  if (!words) return undefined
  const { pixels, vectors } = shapeOf(words.pixels, channels, words.runs * words.length, words.raised)
  const size = 4 * vectors
  const panels = panelsOf(channels, size)
  const packed = packFinish(finish, panels, vectors, pixels)
  const data = packQuads(weights, panels, size)
  const w = L.buffer('w', 'i32', [data.length])
  const y = L.buffer('y', 'i8', [count(s.y.buf.shape)], 'write')
  const range = (n: number) => Array.from({ length: n }, (_, i) => i)
  const start = toExpr(ofAround(windows.y, words.around))

  const tile = (panel: Expr, channel: Expr, pixel: Expr): Stmt[] => {
    const sums = range(pixels).map(() => range(vectors).map(() => L.declare(name('acc'), L.splat(0, 4))))
    const from = L.add(words.first, L.mul(pixel, words.stride))
    const step = (r: Expr, k: Expr): Stmt[] => {
      const weight = L.mul(L.add(L.add(L.mul(panel, words.runs * words.length), L.mul(r, words.length)), k), size)
      const loaded = range(vectors).map((v) => L.declare(name('w'), L.loadLanes(w, I32X4, L.add(weight, 4 * v))))
      return [
        ...loaded.map(([declare]) => declare),
        ...sums.flatMap((row, p) => {
          const at = L.add(L.add(L.add(from, L.mul(r, words.apart)), k), p * words.stride)
          const word = L.splat(L.load(words.read, at), 4)
          const [declare, four] = L.declare(name('x'), words.raised ? word : L.op('xor', word, L.splat(TOP, 4)))
          return [declare, ...row.map(([, acc], v) => L.set(acc, L.op('quad', loaded[v][1], four, acc)))]
        }),
      ]
    }
    const ends = sums.map((row) =>
      row.map(([, acc], v) => {
        const scaled = L.op('shl', acc, L.splat(numbers.of.left, 4))
        return L.declare(name('sum'), L.op('wadd', scaled, packed.start(L.add(L.mul(panel, size), 4 * v))))
      }),
    )
    const to = L.add(L.add(start, L.mul(pixel, channels)), channel)
    return [
      ...sums.flatMap((row) => row.map(([declare]) => declare)),
      L.loop(name('r'), words.runs, (r) => L.loop(name('k'), words.length, (k) => step(r, k))),
      ...ends.flatMap((row) => row.map(([declare]) => declare)),
      packed.finish(
        panel,
        ends.map((row) => row.map(([, sum]) => sum)),
        y,
        (p) => L.add(to, L.mul(p, channels)),
        name,
      ),
    ]
  }
  const last = (whole: boolean, at: Expr, most: number) => (whole ? at : L.op('min', at, L.int(most)))
  const body = L.loop(name('p'), panels.length, (panel) => {
    const [declareChannel, channel] = L.declare(
      name('c'),
      last(channels % size === 0, L.mul(panel, size), channels - size),
    )
    const pixelLoop = L.loop(name('t'), Math.ceil(words.pixels / pixels), (t) => {
      const whole = words.pixels % pixels === 0
      const [declarePixel, pixel] = L.declare(name('pixel'), last(whole, L.mul(t, pixels), words.pixels - pixels))
      return [declarePixel, ...tile(panel, channel, pixel)]
    })
    return [declareChannel, pixelLoop]
  })
  const all = L.block(...(words.fill ? [words.fill] : []), body)
  const nest = words.around.reduceRight<Stmt>((inner, { v, extent }) => ({ s: 'for', v, extent, body: inner }), all)
  const bufs: [Buf, Arg][] = [
    [x, given],
    [w, { data }],
    ...numbers.bufs.map((buf, i): [Buf, Arg] => [buf, numbers.args[i]]),
    ...packed.data.map((d, i): [Buf, Arg] => [packed.bufs[i], { data: d }]),
    ...packed.bufs.slice(packed.data.length).map((buf): [Buf, Arg] => [buf, { scratch: true }]),
    [y, s.y.arg],
    ...(words.fill ? [[words.read, { scratch: true }] as [Buf, Arg]] : []),
  ]
  return {
    kernel: L.kernel(
      call.kernel.name,
      bufs.map(([buf]) => buf),
      ...numbers.head,
      nest,
    ),
    args: bufs.map(([, arg]) => arg),
  }
}

/** Tiles of pixels by channels, four products a lane. */
export const quads: Recipe = { name: 'tiles of quads', apply: shaped }
