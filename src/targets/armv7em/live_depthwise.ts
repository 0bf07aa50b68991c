// Depthwise convolutions of int8 whose weights or biases learn, with a bit for each result that says whether it was within int8:
// planes as for layers that do not learn, sums started from the bias as it stands. Weights are put into the words of a plane's
// routine channel by channel, so that flash holds them once and they may learn.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Stmt } from '../../loops/ir.ts'
import { unmasked } from '../masks.ts'
import { type LiveSum, liveSum } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { type Depthwise, depthwiseOf, rowsApart } from './depthwise.ts'
import { fillMeans, fillRoutine } from './gather.ts'
import { leftover } from './live.ts'
import { anySum, formNumbers, initial, type LiveForm, liveForm, type SumRange, sumRange } from './live_form.ts'
import {
  isResident,
  lanesOf,
  type Plane,
  planeMeans,
  planeOf,
  planeRoutine,
  planesMeans,
  planesRoutine,
} from './plane.ts'
import { epilogueWords } from './requantize.ts'

function sumsOf({ s, row, column, channels, weight }: Depthwise<LiveSum>): SumRange[] {
  const taps = [...Array(row.taps * column.taps).keys()]
  return Array.from({ length: channels }, (_, c) =>
    s.w.data
      ? sumRange(
          taps.map((t) => weight(c, Math.floor(t / column.taps), t % column.taps)),
          s.zeroX,
        )
      : anySum(taps.length, s.zeroX),
  )
}

/** The numbers of channel `c` into `to`: what its sum starts from beside the bias, requantisation, weights. */
function packing(
  { row, column, stored }: Depthwise<LiveSum>,
  plane: Plane,
  live: LiveForm,
  c: Expr,
  { w, numbers, zero, to }: { readonly w: Buf; readonly numbers: Buf; readonly zero: Expr; readonly to: Buf },
  name: (base: string) => string,
): Stmt {
  const own = epilogueWords(plane.form)
  const { lanes, words } = lanesOf(plane, isResident(plane))
  const [none, sum] = L.declare(name('sum'), 0)
  const weights = Array.from({ length: row.taps }, (_, kh) =>
    Array.from({ length: column.taps }, (_, kw) =>
      L.declare(
        name('tap'),
        L.load(w, L.add(L.mul(c, stored.channel), stored.base + kh * stored.row + kw * stored.column)),
      ),
    ),
  )
  const taps = weights.flat().flatMap(([declare, tap]) => [declare, L.set(sum, L.add(sum, tap))])
  const half = (word: number, top: boolean) => {
    const lane = lanes.find((l) => l.word === word && l.top === top)
    if (!lane) return undefined
    const scaled = L.op('shl', weights[lane.kh][lane.kw][1], live.gain)
    return top ? L.op('shl', scaled, 16) : L.op('and', scaled, 0xffff)
  }
  const packedWords = Array.from({ length: words }, (_, k) => {
    const [low, high] = [half(k, false), half(k, true)]
    return L.store(to, [1 + own + k], low && high ? L.op('or', low, high) : (low ?? high)!)
  })
  return L.block(
    none,
    ...taps,
    L.store(to, [0], L.op('wsub', L.int(0), L.op('shl', L.op('wmul', sum, zero), live.gain))),
    L.loop(name('k'), own, (k) => L.store(to, [L.add(k, 1)], L.load(numbers, L.add(L.mul(c, own), k)))),
    ...packedWords,
  )
}

function shaped(call: Call): Call | undefined {
  const masked = unmasked(call)
  const s = masked && liveSum(masked.plain)
  const d = s && depthwiseOf(s)
  if (!masked || !d || d.channels % 8 !== 0 || s.low !== -128 || s.high !== 127) return undefined
  const { row, column, channels } = d
  const learned = s.w.data ?? initial(s.w)
  if (!learned || learned.includes(-128)) return undefined
  const live = liveForm(s, sumsOf(d))
  const plane = live && planeOf(d, live.form, true)
  if (!plane) return undefined
  const { width, height } = plane
  const own = epilogueWords(plane.form)
  const [planeSize, size] = [width * height, 1 + own + lanesOf(plane, isResident(plane)).words]
  const rows = Math.min(row.input, height - row.before)
  if (rows < 1) return undefined

  let names = 0
  const name = (base: string) => `${base}_${names++}`
  const flat = (buf: Buf, access: Buf['access'] = 'read') => L.buffer(buf.name, buf.elem, [count(buf.shape)], access)
  const [x, y, bias] = [flat(s.x.buf), flat(s.y.buf, 'write'), flat(s.bias.buf)]
  const mask = flat(masked.mask.buf, 'write')
  const stored = flat(s.w.buf)
  const numbers = L.buffer('numbers', 'i32', [channels * own])
  const one = L.buffer('one', 'i32', [size], 'scratch')
  const limits = L.buffer('limits', 'i32', [3])
  const planes = L.buffer('planes', 'i8', [4 * planeSize], 'scratch')
  const rest = leftover({ ...masked, mask: { ...masked.mask, buf: mask } }, s, live.failed, name)
  if (!rest) return undefined

  const [[lower, lo], [upper, hi], [declare, zero]] = ['lo', 'hi', 'zero'].map((n, i) =>
    L.declare(name(n), L.load(limits, i)),
  )
  const bytes = L.op('wmul', L.op('and', zero, 255), 0x01010101)
  const filled = (buf: Buf, bytesOf: number, value: Expr, pattern: Expr): Stmt => ({
    s: 'asm',
    means: fillMeans(buf, L.int(0), bytesOf, value, name),
    routine: fillRoutine(bytesOf, true),
    args: [L.load(buf, 0), L.int(0), pattern],
  })
  const inside = row.before * width + column.before
  const quad = (n: Expr, first: Expr): Stmt[] => {
    const from = L.add(L.mul(n, row.input * column.input * channels), first)
    const gather = rowsApart(s.x.arg, rows).map(([top, some]): Stmt => {
      const start = L.add(from, top * column.input * channels)
      const to = inside + top * width
      return {
        s: 'asm',
        means: planesMeans(plane, some, planeSize, x, start, planes, to, name),
        routine: planesRoutine(plane, some, planeSize),
        args: [L.load(x, start), L.load(planes, to)],
      }
    })
    const each = L.loop(name('k'), 4, (k) => {
      const [channel, c] = L.declare(name('c'), L.add(first, k))
      const at = L.mul(k, planeSize)
      const to = L.add(L.mul(n, row.output * column.output * channels), c)
      const start = L.op('shl', L.clamp(L.load(bias, c), lo, hi), live.gain)
      const byte = L.op('ushr', to, 3)
      const bit = L.op('shl', L.int(1), L.and(c, 7))
      const number = (i: number) => L.load(one, i)
      return [
        channel,
        packing(d, plane, live, c, { w: stored, numbers, zero, to: one }, name),
        {
          s: 'asm',
          means: planeMeans(plane, planes, at, number, y, to, name, { start, mask, byte, bit }),
          routine: planeRoutine(plane),
          args: [L.load(planes, at), number(0), L.load(y, to), start, L.load(mask, byte), bit],
        },
      ]
    })
    return [...gather, each]
  }
  const image = (n: Expr) => L.loop(name('q'), channels >> 2, (q) => quad(n, L.mul(q, 4)))
  const body = d.batch ? L.loop(name('n'), d.batch.extent, image) : image(L.int(0))
  const scratch: Arg = { scratch: true }
  const bound: [Buf, Arg][] = [
    [x, s.x.arg],
    [stored, s.w.arg],
    [numbers, { data: formNumbers(live) }],
    [one, scratch],
    [bias, s.bias.arg],
    [limits, { data: Int32Array.of(live.low, live.high, s.zeroX) }],
    [y, s.y.arg],
    [mask, masked.mask.arg],
    [planes, scratch],
  ]
  const known = new Set(bound.map(([b]) => b.name))
  const more = rest.bufs.flatMap((b, i): [Buf, Arg][] => (known.has(b.name) ? [] : [[b, rest.args[i]]]))
  const all = [...bound, ...more]
  const clear = filled(mask, count(mask.shape), L.int(0), L.int(0))
  const border = planeSize === rows * column.input ? L.block() : filled(planes, 4 * planeSize, zero, bytes)
  const kernel = L.kernel(
    call.kernel.name,
    all.map(([b]) => b),
    ...[lower, upper, declare, clear, border, body, rest.body],
  )
  return { kernel, args: all.map(([, arg]) => arg) }
}

/** Planes that are started from biases as they stand. */
export const liveDepthwise: Recipe = { name: 'live planes of smlad', apply: shaped }
