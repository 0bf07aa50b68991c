// Sums of products that share inputs between channels (convolutions, fully connected layers, matrix products by constants)
// as tiles of SMLAD: the windows of a few pixels are gathered and widened once and used for every channel, weights stay
// int8. Where windows reach into padding, or are no whole words, the rows of one line of outputs are first copied to a
// strip with the padding around them.

import type { Arg, Call } from '../../ir/op.ts'
import { type Affine, termsWhere, toExpr } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Stmt } from '../../loops/ir.ts'
import { type For, substituteExpr } from '../../loops/walk.ts'
import { type Products, type SumOfProducts, sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import {
  fillMeans,
  fillRoutine,
  packMeans,
  packRoutine,
  type Row,
  rowCost,
  rowMeans,
  rowRoutine,
  type Widen,
  widenCost,
  widenMeans,
  widenRoutine,
} from './gather.ts'
import { type Channel, epilogueWords, type Form, shortForm } from './requantize.ts'
import { storedWords, TILES, type Tile, tileCost, tileMeans, tileRoutine } from './tile.ts'
import { type Totals, totalsCost, totalsMeans, totalsRoutine, totalWeight, totalWords } from './weight_zero.ts'

/** An index into the buffer as one row of elements. */
export function flat({ buf, at }: Pick<Products['x'], 'buf' | 'at'>): Affine {
  const terms = new Map<string, number>()
  let base = 0
  let size = 1
  for (let d = at.length - 1; d >= 0; d--) {
    for (const [v, c] of at[d].terms) terms.set(v, (terms.get(v) ?? 0) + c * size)
    base += at[d].base * size
    size *= buf.shape[d]
  }
  return { terms, base }
}

const step = (a: Affine | undefined, loop: For | undefined) => (loop && a?.terms.get(loop.v)) ?? 0

/** Rows of a window that are copied one by one. */
const UNROLLED = 8

/** The sum as windows over images whose channels are neighbours. */
export interface Windows<S extends Products = SumOfProducts> {
  readonly s: S
  readonly channelLoop?: For
  readonly channels: number
  /** Over the pixels of one line, and over the other outputs. */
  readonly line?: For
  readonly around: readonly For[]
  readonly rows?: For
  /** Columns of a window that are no neighbours, and elements from one to the next. */
  readonly columns?: { readonly extent: number; readonly step: number }
  /** Elements of one row of a window, or of one column where these are no neighbours. */
  readonly length: number
  /** Input channels, and the input's columns. */
  readonly depth: number
  readonly width: number
  /** The index of the column, where the input has columns. */
  readonly column?: Affine
  readonly row?: { readonly index: Affine; readonly extent: number }
  readonly x: Affine
  readonly y: Affine
}

/** `apart`: neither columns of a window nor outputs of a line need be neighbours. */
export function windowsOf<S extends Products>(s: S, apart = false): Windows<S> | undefined {
  const { shape } = s.x.buf
  const rank = shape.length
  const { channels } = s
  if (!s.channel) return undefined
  const channelLoop = s.outputs.find((l) => s.channel.terms.get(l.v) === 1)
  const numbered = s.channel.base === 0 && s.channel.terms.size === (channelLoop ? 1 : 0)
  if (!numbered || (channelLoop?.extent ?? 1) !== channels) return undefined
  const [x, y] = [flat(s.x), flat(s.y)]
  if (step(x, channelLoop) !== 0 || (channelLoop && step(y, channelLoop) !== 1)) return undefined
  const outputs = s.outputs.filter((l) => l !== channelLoop)
  if (outputs.some((l) => s.w.at.some((a) => a.terms.has(l.v)))) return undefined

  const depthLoop = s.window.find((l) => step(s.x.at[rank - 1], l) === 1)
  const depth = shape[rank - 1]
  const last = s.x.at[rank - 1]
  if (last.base !== 0 || last.terms.size !== (depthLoop ? 1 : 0) || (depthLoop?.extent ?? 1) !== depth) return undefined
  const [column, row] = [s.x.at[rank - 2], s.x.at[rank - 3]]
  const rest = s.window.filter((l) => l !== depthLoop)
  const columns = rest.find((l) => (apart ? step(column, l) > 0 : step(column, l) === 1))
  const dilated = columns &&
    step(column, columns) > 1 && { extent: columns.extent, step: step(column, columns) * depth }
  const rows = rest.find((l) => l !== columns)
  if (rest.length > 2 || (rows && !row?.terms.has(rows.v))) return undefined
  const line = outputs.find((l) => step(column, l) !== 0)
  const names = new Set([line?.v, columns?.v])
  if (column && [...column.terms.keys()].some((v) => !names.has(v))) return undefined
  if (line && !apart && step(y, line) !== channels) return undefined
  if (s.padded.some((d) => d !== rank - 2 && d !== rank - 3)) return undefined
  return {
    s,
    channelLoop,
    channels,
    line,
    around: outputs.filter((l) => l !== line),
    rows,
    ...(dilated && { columns: dilated }),
    length: (dilated ? 1 : (columns?.extent ?? 1)) * depth,
    depth,
    width: shape[rank - 2] ?? 1,
    column,
    ...(row && s.padded.includes(rank - 3) && { row: { index: row, extent: shape[rank - 3] } }),
    x,
    y,
  }
}

/** Where the windows of a line of pixels are read. */
export interface Source {
  readonly around: readonly For[]
  readonly pixels: number
  /** Elements from one pixel's window to the next, from one row of a window to the next, and from one output to the next. */
  readonly stride: number
  readonly step: number
  readonly to: number
  readonly strip?: { readonly width: number; readonly row: Row; readonly start: Affine }
}

/** The input itself, lines merged where one goes on after the other. */
export function direct({ around, line, rows, x, y, channels }: Windows<Products>): Source {
  let pixels = line?.extent ?? 1
  let stride = step(x, line)
  const to = line ? step(y, line) : channels
  const left = [...around].sort((p, q) => step(y, p) - step(y, q))
  while (left.length && !rows && step(y, left[0]) === to * pixels) {
    if (pixels === 1) stride = step(x, left[0])
    else if (step(x, left[0]) !== stride * pixels) break
    pixels *= left.shift()!.extent
  }
  return { around: around.filter((l) => left.includes(l)), pixels, stride, step: step(x, rows), to }
}

export function strip(windows: Windows<Products>): Source {
  const { around, line, columns: apart, length, depth, width, column, x, y, channels } = windows
  const pixels = line?.extent ?? 1
  const stride = step(x, line)
  const at = column?.base ?? 0
  const first = Math.max(0, at)
  const before = Math.max(0, -at)
  const window = length + (apart ? (apart.extent - 1) * apart.step : 0)
  const columns = ((pixels - 1) * stride + window) / depth
  const copied = Math.max(0, Math.min(width - first, columns - before))
  const reach = (pixels - 1) * stride + 4 * Math.ceil(window / 4)
  const bytes = 4 * Math.ceil(Math.max(columns * depth, reach) / 4)
  const row = { before: before * depth, copied: copied * depth, aligned: depth % 4 === 0 }
  const start = { terms: x.terms, base: x.base + (first - at) * depth }
  return {
    around,
    pixels,
    stride,
    step: bytes,
    to: line ? step(y, line) : channels,
    strip: { width: bytes, row: { ...row, behind: bytes - row.before - row.copied }, start },
  }
}

/** Groups of channels that tiles take: all that fit, and one more that ends with the last channel. */
export function groupsOf(channels: number, size: number): number[] {
  const whole = Math.floor(channels / size)
  const starts = Array.from({ length: whole }, (_, g) => g * size)
  return channels % size === 0 ? starts : [...starts, channels - size]
}

function weightAt(s: SumOfProducts, { channelLoop }: Windows) {
  const w = flat(s.w)
  return (channel: number, at: readonly [For | undefined, number][]) =>
    s.w.data[w.base + channel * step(w, channelLoop) + at.reduce((sum, [loop, i]) => sum + i * step(w, loop), 0)]
}

/** The weights of one channel in words, row by row, filled up with zeros. */
export function channelWords(windows: Windows, channel: number): Int8Array {
  const { s, rows, length } = windows
  const words = Math.ceil(length / 4)
  const weight = weightAt(s, windows)
  const inner = s.window.filter((l) => l !== rows)
  const data = new Int8Array((rows?.extent ?? 1) * words * 4)
  const x = windows.x
  for (let r = 0; r < (rows?.extent ?? 1); r++) {
    const go = (d: number, at: [For | undefined, number][], offset: number): void => {
      if (d === inner.length) data[r * words * 4 + offset] = weight(channel, at)
      else for (let i = 0; i < inner[d].extent; i++) go(d + 1, [...at, [inner[d], i]], offset + i * step(x, inner[d]))
    }
    go(0, [[rows, r]], 0)
  }
  return data
}

/** Bias, weights and requantisation of every group, as the tile's routine reads them; `inputs` are those of a window. */
function pack(
  s: SumOfProducts,
  tile: Tile,
  form: Form,
  weights: readonly Int8Array[],
  groups: readonly number[],
  inputs: number,
) {
  const { channels: C, plain, bits } = tile
  const own = epilogueWords(tile.form)
  const stored = storedWords(tile)
  const size = C + stored * C + C * own
  const data = new Int32Array(groups.length * size)
  groups.forEach((first, g) => {
    for (let c = 0; c < C; c++) {
      const w = weights[first + c]
      let [start, even, odd] = [s.bias[first + c] + inputs * s.zeroX * s.zeroW, 0, 0]
      for (let k = stored - plain; k < stored; k++) data[g * size + C + k * C + c] = totalWeight(s.zeroW)!
      for (let k = 0; k < w.length / 4; k++) {
        const [a, b, p, q] = w.subarray(4 * k, 4 * k + 4)
        even += a + p
        odd += b + q
        const word = ((256 * a + b) & 0xffff) | ((256 * p + q) << 16)
        data[g * size + C + Math.floor((k * bits) / 8) * C + c] |= word << ((k * bits) % 8)
      }
      start -= s.zeroX * (even + odd)
      data[g * size + c] = (256 * start - 32768 * even - 255 * odd) | 0
      const { multiplier, offset, shift, negative } = form.channels[first + c]
      const numbers = [
        multiplier,
        offset,
        ...(form.signed ? [negative] : []),
        ...(form.shift === undefined ? [shift] : []),
      ]
      data.set(numbers, g * size + C + stored * C + c * own)
    }
  })
  return { data, size }
}

/** Of stored inputs. */
function inputsOf({ widths: { x } }: SumOfProducts): readonly [number, number] {
  return x === 8 ? [-128, 127] : [0, 2 ** x - 1]
}

export function rangesOf(s: SumOfProducts, weights: readonly (Int8Array | Int16Array)[]): Channel[] {
  return weights.map((row, c) => {
    let [low, high] = [s.bias[c], s.bias[c]]
    const [least, most] = inputsOf(s)
    for (const w of row) {
      const [p, q] = [(least - s.zeroX) * w, (most - s.zeroX) * w]
      low += Math.min(p, q)
      high += Math.max(p, q)
    }
    return { low, high, multiplier: s.multiplier[c], shift: s.shift[c] }
  })
}

/** Weights without their zero point; what fills up words stays 0. */
function centred({ s, length }: Windows, weights: readonly Int8Array[]): readonly (Int8Array | Int16Array)[] {
  if (s.zeroW === 0) return weights
  const run = 4 * Math.ceil(length / 4)
  return weights.map((w) => Int16Array.from(w, (v, i) => (i % run < length ? v - s.zeroW : 0)))
}

/** Outputs are limited by what their type holds alone. */
export function wholeRange({ low, high, widths: { y } }: SumOfProducts): boolean {
  return y === 8 ? low === -128 && high === 127 : low === 0 && high === 2 ** y - 1
}

/** Pixels below 8 bits begin at bytes: they have a multiple of four channels. */
function byFours({ s: { widths }, depth, channels }: Windows): boolean {
  return (widths.x === 8 || depth % 4 === 0) && (widths.y === 8 || channels % 4 === 0)
}

interface Choice {
  readonly tile: Tile
  readonly widen: Widen
  readonly source: Source
  /** Where weights have a zero point. */
  readonly totals?: Totals
}

/** The tile and the source that take the fewest instructions. */
function choose(windows: Windows, form: Form): Choice | undefined {
  const { s, channels, length, rows } = windows
  const words = Math.ceil(length / 4)
  const runs = rows?.extent ?? 1
  const apart = runs > 1 && windows.around.length === 0 && runs <= UNROLLED
  const { x, w: bits, y: to } = s.widths
  const whole = s.padded.length === 0 && length % 4 === 0 && !apart && x === 8 && to === 8
  let best: { cost: number; choice: Choice } | undefined
  for (const source of [...(whole ? [direct(windows)] : []), strip(windows)])
    for (const [pixels, size] of TILES) {
      if (pixels > source.pixels || size > channels || (pixels - 1) * channels + size > 4096) continue
      const widen = { pixels, runs, words, step: source.step, stride: source.stride }
      const totals = s.zeroW === 0 ? undefined : { ...widen, last: length - 4 * (words - 1) }
      const more = totals ? totalWords(totals) : 0
      const tile = { pixels, channels: size, words: words * runs + more, plain: more, bits, to, stride: channels, form }
      const groups = groupsOf(channels, size).length
      const turns = Math.ceil(source.pixels / pixels)
      const lines = source.around.reduce((n, l) => n * l.extent, 1)
      const copies = source.strip ? runs * rowCost({ ...source.strip.row, bits: x }) : 0
      const gather = widenCost(widen) + (totals ? totalsCost(totals) : 0)
      const cost = lines * (copies + turns * (gather + 20 + tileCost(tile, groups)))
      if (!best || cost < best.cost) best = { cost, choice: { tile, widen, source, ...(totals && { totals }) } }
    }
  return best?.choice
}

/** The byte of an element whose number in one is always 0. */
function inBytes({ terms, base }: Affine, bits: 8 | 4 | 2): Affine {
  const per = 8 / bits
  return { terms: new Map([...terms].map(([v, c]) => [v, c / per])), base: base / per }
}

/** An index of which only the loops around a line count. */
export function placesIn(source: Source): (a: Affine) => Expr {
  const outer = new Set(source.around.map((l) => l.v))
  return (a) => toExpr({ ...termsWhere(a, (v) => outer.has(v)), base: a.base })
}

/** Buffers that lines are read from: the input, and rows of it with the padding around them. */
export interface Lines {
  readonly x: Buf
  readonly rows: Buf
  /** The zero point. */
  readonly zero: Expr
  /** Of an element of x, and what happens to a line when it is done. */
  readonly bits?: 8 | 4 | 2
  readonly behind?: Stmt
}

/**
 * All lines of outputs, `height` pixels at a time: `part` is given where their windows are read, and the first one's number. The
 * last pixels of a line come twice where the line is no multiple of `height`.
 */
export function overLines(
  windows: Windows<Products>,
  source: Source,
  height: number,
  runs: number,
  { x, rows, zero, bits = 8, behind = L.block() }: Lines,
  name: (base: string) => string,
  part: (read: Buf, from: Expr, first: Expr) => Stmt[],
): Stmt {
  const outer = new Set(source.around.map((l) => l.v))
  const places = placesIn(source)
  const copyRows = (): Stmt => {
    if (!source.strip) return L.block()
    const { width } = source.strip
    const row = { ...source.strip.row, bits }
    const start = inBytes(source.strip.start, bits)
    const bytes = L.op('wmul', L.op('and', zero, 255), 0x01010101)
    const one = (r: Expr): Stmt => {
      const to = L.mul(r, width)
      const [index, guard] = [windows.row?.index, windows.row?.extent]
      const rowTerms = (a: Affine) =>
        toExpr({ ...termsWhere(a, (v) => outer.has(v) || v === windows.rows?.v), base: a.base })
      const named = new Map(windows.rows ? [[windows.rows.v, r]] : [])
      const at = (a: Affine) => substituteExpr(rowTerms(a), named)
      const copy: Stmt = {
        s: 'asm',
        means: rowMeans(row, rows, to, x, at(start), zero, name),
        routine: rowRoutine(row),
        args: [L.load(rows, to), L.load(x, at(start)), bytes],
      }
      if (!index || guard === undefined) return copy
      const fill: Stmt = {
        s: 'asm',
        means: fillMeans(rows, to, width, zero, name),
        routine: fillRoutine(width),
        args: [L.load(rows, to), L.int(0), bytes],
      }
      const inside = L.and(L.ge(at(index), 0), L.lt(at(index), guard))
      return { s: 'if', cond: inside, body: copy, else: fill }
    }
    // one line of outputs: its rows may stand apart
    if (source.around.length === 0 && runs <= UNROLLED)
      return L.block(...Array.from({ length: runs }, (_, r) => one(L.int(r))))
    return L.loop(name('r'), runs, one)
  }
  const turns = Math.ceil(source.pixels / height)
  const tiles = L.loop(name('t'), turns, (t) => {
    const even = source.pixels % height === 0
    const placed = L.mul(t, height)
    const [declare, first] = L.declare(name('p'), even ? placed : L.min(placed, source.pixels - height))
    const from = L.add(L.mul(first, source.stride), source.strip ? 0 : places(windows.x))
    return [declare, ...part(source.strip ? rows : x, from, first)]
  })
  return source.around.reduceRight<Stmt>(
    (inner, { v, extent }) => ({ s: 'for', v, extent, body: inner }),
    L.block(copyRows(), tiles, behind),
  )
}

function shaped(call: Call): Call | undefined {
  const s = sumOfProducts(call, { zeroW: true, subByte: true })
  const windows = s && windowsOf(s)
  if (!windows || !wholeRange(s) || !byFours(windows) || totalWeight(s.zeroW) === undefined) return undefined
  const weights = Array.from({ length: windows.channels }, (_, c) => channelWords(windows, c))
  // 256 * -128 - 128 has no place in 16 bits
  if (weights.some((w) => w.some((v, i) => i % 2 === 0 && v === -128 && w[i + 1] < 0))) return undefined
  const form = shortForm(rangesOf(s, centred(windows, weights)), { zero: s.zeroY, low: s.low, high: s.high })
  if (!form || (form.signed && form.shift === undefined)) return undefined
  const choice = choose(windows, form)
  if (!choice) return undefined
  const { tile, widen, source, totals } = choice

  let names = 0
  const name = (base: string) => `${base}${names++}`
  const groups = groupsOf(windows.channels, tile.channels)
  const packed = pack(s, tile, form, weights, groups, widen.runs * windows.length)
  const { x: bits, y: to } = s.widths
  const x = L.buffer('x', bits === 8 ? 'i8' : 'u8', [(count(s.x.buf.shape) * bits) / 8])
  const w = L.buffer('w', 'i32', [groups.length, packed.size])
  const y = L.buffer('y', to === 8 ? 'i8' : 'u8', [(count(s.y.buf.shape) * to) / 8], 'write')
  const elements = source.pixels * windows.channels
  const line = L.buffer('line', 'u8', [elements], 'scratch')
  const px = L.buffer('px', 'i32', [tile.words, 2, tile.pixels], 'scratch')
  const rowsOf = L.buffer('rows', 'i8', [widen.runs * (source.strip?.width ?? 0)], 'scratch')
  const zero = L.buffer('zero', 'i32', [1])
  const bufs: Buf[] = [
    x,
    w,
    ...(source.strip ? [zero] : []),
    y,
    px,
    ...(source.strip ? [rowsOf] : []),
    ...(to < 8 ? [line] : []),
  ]
  const args: Arg[] = [
    s.x.arg,
    { data: packed.data },
    ...(source.strip ? [{ data: Int32Array.of(s.zeroX) }] : []),
    s.y.arg,
    { scratch: true },
    ...(source.strip ? [{ scratch: true } as const] : []),
    ...(to < 8 ? [{ scratch: true } as const] : []),
  ]

  const places = placesIn(source)
  const made = to === 8 ? y : line
  const part = (group: number, n: number, channel: number, at: Expr): Stmt => ({
    s: 'asm',
    means: tileMeans(tile, px, w, made, group, n, L.add(at, channel), name),
    routine: tileRoutine(tile),
    args: [L.load(px, 0, 0, 0), L.load(w, group, 0), L.load(made, L.add(at, channel)), L.int(n)],
  })
  const behind = widen.runs * widen.words
  const packLine = (): Stmt => {
    if (to === 8) return L.block()
    const at = places(inBytes(windows.y, to))
    return {
      s: 'asm',
      means: packMeans(elements, to, y, at, line, name),
      routine: packRoutine(elements, to),
      args: [L.load(y, at), L.load(line, 0)],
    }
  }
  const body = overLines(
    windows,
    source,
    tile.pixels,
    widen.runs,
    { x, rows: rowsOf, zero: L.load(zero, 0), bits, behind: packLine() },
    name,
    (read, from, first) => {
      const gather: Stmt = {
        s: 'asm',
        means: widenMeans(widen, read, px, from, name),
        routine: widenRoutine(widen),
        args: [L.load(read, from), L.load(px, 0, 0, 0)],
      }
      const total: Stmt = totals
        ? {
            s: 'asm',
            means: totalsMeans(totals, read, px, from, behind, name),
            routine: totalsRoutine(totals),
            args: [L.load(read, from), L.load(px, behind, 0, 0)],
          }
        : L.block()
      const at = L.add(to === 8 ? places(windows.y) : 0, L.mul(first, tile.stride))
      const whole = Math.floor(windows.channels / tile.channels)
      return [
        gather,
        total,
        part(0, whole, 0, at),
        ...(groups.length > whole ? [part(whole, 1, windows.channels - tile.channels, at)] : []),
      ]
    },
  )
  return { kernel: L.kernel(call.kernel.name, bufs, body), args }
}

/** Tiles of pixels by channels. */
export const dense: Recipe = { name: 'tiles of smlad', subByte: true, apply: shaped }
