// Convolutions and fully connected layers of int8 whose weights or biases learn, with a bit for each result that says whether it
// was within int8. Weights are read as they stand, so none are packed and flash holds them once. Channels for which the short
// requantisation is not proved are computed again by plain loops.

import type { Arg, Call } from '../../ir/op.ts'
import type { Affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Stmt } from '../../loops/ir.ts'
import { flattened } from '../../loops/layout.ts'
import { mapStmt, visit } from '../../loops/walk.ts'
import { channelByChannel, type Masked, unmasked } from '../masks.ts'
import { type Access, type LiveSum, liveSum } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { direct, flat, overLines, placesIn, type Source, strip, type Windows, windowsOf } from './dense.ts'
import { rowCost, type Widen } from './gather.ts'
import { anySum, BIAS, cutForm, formNumbers, initial } from './live_form.ts'
import { centreMeans, centreRoutine, LIVE_PIXELS, type LiveTile, liveMeans, liveRoutine } from './live_tile.ts'

/** The plain loops for the channels that are left to them, and what they read. */
export function leftover(
  { plain, mask }: Masked,
  { y }: LiveSum,
  failed: readonly number[],
  name: (base: string) => string,
): { readonly body: Stmt; readonly bufs: readonly Buf[]; readonly args: readonly Arg[] } | undefined {
  if (failed.length === 0) return { body: L.block(), bufs: [], args: [] }
  const kernel = flattened(plain.kernel)
  const list = L.buffer(name('left'), 'i32', [failed.length])
  const body = channelByChannel(kernel.body, y.buf, y.buf.shape.at(-1)!, list, mask.buf, name)
  if (!body) return undefined
  const used = new Set<string>()
  visit(
    body,
    (s) => {
      if (s.s === 'store') used.add(s.buf)
    },
    (e) => {
      if (e.k === 'load') used.add(e.buf)
    },
  )
  const kept = kernel.bufs.map((b) => used.has(b.name))
  return {
    body,
    bufs: [...kernel.bufs.filter((_, i) => kept[i]), list],
    args: [...plain.args.filter((_, i) => kept[i]), { data: Int32Array.from(failed) }],
  }
}

/** Whether weights of a channel follow the order in which its window is read. */
function inOrder({ s, channelLoop, rows, length }: Windows<LiveSum>): boolean {
  const [w, x] = [flat(s.w), flat(s.x)]
  const runs = rows?.extent ?? 1
  const along = (v: string | undefined) => (v === undefined ? undefined : (w.terms.get(v) ?? 0))
  if (w.base !== 0 || (channelLoop && along(channelLoop.v) !== runs * length)) return false
  if (rows && runs > 1 && along(rows.v) !== length) return false
  return s.window.every((l) => l === rows || along(l.v) === (x.terms.get(l.v) ?? 0))
}

/** The sums that are added up for one result: over all channels, and over those that have weights of their own. */
function summands(plain: Call): LiveSum[] | undefined {
  const whole = liveSum(plain)
  if (whole) return [whole]
  const one = (kept: number): Call => {
    const body = mapStmt(
      plain.kernel.body,
      (e) => e,
      (s) => (s.s === 'block' && isPair(s.body) ? L.block(...s.body.filter((_, i) => i !== 3 - kept)) : s),
    )
    return { ...plain, kernel: { ...plain.kernel, body } }
  }
  const both = [1, 2].map((kept) => liveSum(one(kept)))
  return both.every((s) => s !== undefined) ? both : undefined
}

/** A start, two loops that add to it, and a store. */
function isPair(body: readonly Stmt[]): boolean {
  return body.map((s) => s.s).join() === 'let,for,for,store'
}

function shaped(call: Call): Call | undefined {
  const masked = unmasked(call)
  const sums = masked && summands(masked.plain)
  const parts = sums?.map((s) => windowsOf(s))
  if (!masked || !sums || !parts?.every((w) => w !== undefined)) return undefined
  const [s] = sums
  const [windows, ownWindows] = parts
  const { channels } = windows
  if (s.low !== -128 || s.high !== 127 || channels % 8 !== 0 || 3 * channels > 4095) return undefined
  if (parts.some((w) => w.length % 4 !== 0 || !inOrder(w)) || sums.some((p) => p.zeroX !== s.zeroX)) return undefined
  if (sums.some((p) => (p.w.data ?? initial(p.w))?.includes(-128) ?? true)) return undefined
  const runs = windows.rows?.extent ?? 1
  const products = runs * windows.length + (ownWindows?.length ?? 0)
  const live = anySum(products, s.zeroX)[1] < BIAS ? cutForm(s) : undefined
  if (!live) return undefined
  const source = sourceOf(windows)
  const ownSource = ownWindows && direct(ownWindows)
  // channels of their own are read beside the others
  const beside = !ownSource || (!source.strip && source.around.length === 0 && ownSource.pixels === source.pixels)
  if (!beside || (ownWindows && (ownWindows.rows || ownWindows.x.base !== 0 || ownWindows.s.padded.length > 0)))
    return undefined
  const height = LIVE_PIXELS.find((n) => n <= source.pixels)!
  const words = windows.length / 4
  const widen: Widen = { pixels: height, runs, words, step: source.step, stride: source.stride }
  const all = runs * words
  const tile: LiveTile = {
    ...{ pixels: height, channels, form: live.form, gain: live.gain },
    words: ownWindows ? [all, ownWindows.length / 4] : [all],
  }

  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const flatBuf = ({ buf }: Access, access: Buf['access'] = 'read') =>
    L.buffer(buf.name, buf.elem, [count(buf.shape)], access)
  const [y, bias] = [flatBuf(s.y, 'write'), flatBuf(s.bias)]
  const [xs, ws] = [sums.map((p) => flatBuf(p.x)), sums.map((p) => flatBuf(p.w))]
  const mask = L.buffer(masked.mask.buf.name, 'u8', [count(masked.mask.buf.shape)], 'write')
  const numbers = L.buffer('numbers', 'i32', [formNumbers(live).length])
  const zeroBuf = L.buffer('zero', 'i32', [1])
  const px = L.buffer('px', 'i32', [tile.words.reduce((a, b) => a + b), 2, height], 'scratch')
  const rows = L.buffer('rows', 'i8', [runs * (source.strip?.width ?? 0)], 'scratch')
  const rest = leftover({ ...masked, mask: { ...masked.mask, buf: mask } }, s, live.failed, name)
  if (!rest) return undefined

  const [declare, zero] = L.declare(name('zero'), L.load(zeroBuf, 0))
  const places = placesIn(source)
  const bytesOf = (a: Affine): Affine => ({
    terms: new Map([...a.terms].map(([v, c]) => [v, c / 8])),
    base: a.base / 8,
  })
  const pair = L.op('wmul', L.op('and', L.sub(L.int(0), zero), 0xffff), 0x10001)
  const body = overLines(windows, source, height, runs, { x: xs[0], rows, zero }, name, (read, from, first) => {
    const gather = (how: Widen, x: Buf, at: Expr, word: number): Stmt => ({
      s: 'asm',
      means: centreMeans(how, x, zero, px, word, at, name),
      routine: centreRoutine(how),
      args: [L.load(x, at), L.load(px, word, 0, 0), pair],
    })
    const own = ownWindows &&
      ownSource && { pixels: height, runs: 1, words: ownWindows.length / 4, step: 0, stride: ownSource.stride }
    const at = {
      to: L.add(places(windows.y), L.mul(first, channels)),
      byte: L.add(places(bytesOf(windows.y)), L.mul(first, channels >> 3)),
    }
    const products: Stmt = {
      s: 'asm',
      means: liveMeans(tile, { px, w: ws, y, numbers, bias, mask }, at, name),
      routine: liveRoutine(tile),
      args: [
        ...[L.load(px, 0, 0, 0), L.load(ws[0], 0), L.load(y, at.to), L.load(numbers, 0)],
        ...[L.load(bias, 0), L.load(mask, at.byte), ...(own ? [L.load(ws[1], 0)] : [])],
      ],
    }
    const gathers = [gather(widen, read, from, 0), ...(own ? [gather(own, xs[1], L.mul(first, own.stride), all)] : [])]
    return [...gathers, products]
  })
  const scratch: Arg = { scratch: true }
  const own: [Buf, Arg][] = [
    ...sums.flatMap((p, i): [Buf, Arg][] => [
      [xs[i], p.x.arg],
      [ws[i], p.w.arg],
    ]),
    [bias, s.bias.arg],
    [numbers, { data: formNumbers(live) }],
    [zeroBuf, { data: Int32Array.of(s.zeroX) }],
    [y, s.y.arg],
    [mask, masked.mask.arg],
    [px, scratch],
    ...(source.strip ? [[rows, scratch] as [Buf, Arg]] : []),
  ]
  const known = new Set(own.map(([b]) => b.name))
  const more = rest.bufs.flatMap((b, i): [Buf, Arg][] => (known.has(b.name) ? [] : [[b, rest.args[i]]]))
  const bound = [...own, ...more]
  return {
    kernel: L.kernel(
      call.kernel.name,
      bound.map(([b]) => b),
      ...[declare, body, rest.body],
    ),
    args: bound.map(([, arg]) => arg),
  }
}

/** The input itself where windows are whole words in one run, else rows with the padding around them. */
function sourceOf(windows: Windows<LiveSum>): Source {
  const runs = windows.rows?.extent ?? 1
  const whole = windows.s.padded.length === 0
  const copied = strip(windows)
  if (!whole) return copied
  const there = direct(windows)
  return there.pixels >= copied.pixels || runs * rowCost(copied.strip!.row) > there.pixels ? there : copied
}

/** Tiles of pixels by one channel, from weights and biases as they stand. */
export const live: Recipe = { name: 'live tiles of smlad', apply: shaped }
