// Sums of products with a window of its own for each channel (depthwise convolutions). One channel at a time becomes a plane
// with the padding around it; a routine walks it by columns or by windows, whichever takes fewer instructions.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Routine, type Stmt } from '../../loops/ir.ts'
import { type Depthwise, depthwiseOf, rowsApart } from '../armv7em/depthwise.ts'
import { fillMeans } from '../armv7em/gather.ts'
import { sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { columnsCost, columnsRoutine } from './columns.ts'
import { fillRoutine, SLACK } from './gather.ts'
import {
  type Apart,
  type Plane,
  partsOf,
  placeOf,
  planeCost,
  planeMeans,
  planeOf,
  planeRoutine,
  range,
  usedRows,
} from './plane.ts'
import { type Form, formOf, requantizeMeans } from './requantize.ts'
import { windowsCost, windowsPadding, windowsRoutine } from './windows.ts'

/** The same with rows for columns. */
function turned(d: Depthwise): Depthwise {
  return { ...d, row: d.column, column: d.row, weight: (c, kh, kw) => d.weight(c, kw, kh) }
}

/** A way to walk a channel. */
interface Way {
  readonly d: Depthwise
  readonly plane: Plane
  readonly cost: number
  readonly routine: Routine
  /** Words of a channel: bias, multiplier, offset, left shift, then weights row by row. */
  readonly words: number
}

function waysOf(d: Depthwise, x: Apart, y: Apart, signed: boolean): Way[] {
  const ways: Way[] = []
  const way = (
    phases: number,
    costOf: (plane: Plane) => number | undefined,
    routineOf: (plane: Plane) => Routine,
    padding: (plane: Plane) => number,
  ) => {
    const plane = planeOf({ row: d.row, column: d.column, x, y, signed }, phases)
    const cost = plane && costOf(plane)
    if (!plane || cost === undefined) return
    const words = 4 + Math.ceil((d.row.taps * d.column.taps + padding(plane)) / 4)
    ways.push({ d, plane, cost: cost + planeCost(plane), routine: routineOf(plane), words })
  }
  way(d.column.stride, columnsCost, columnsRoutine, () => 0)
  way(1, windowsCost, windowsRoutine, windowsPadding)
  return ways
}

function sumsMeans(
  plane: Plane,
  planes: Buf,
  w: Buf,
  channel: Expr,
  y: Buf,
  to: Expr,
  name: (base: string) => string,
): Stmt {
  const { row, column, y: apart, phases, width, signed } = plane
  return L.loop(name('oh'), row.output, (oh) =>
    L.loop(name('ow'), column.output, (ow) => {
      const number = (k: number) => L.load(w, channel, k)
      const [start, acc] = L.declare(name('acc'), number(0))
      const at = L.add(L.mul(oh, row.stride * width), L.mul(ow, column.stride / phases))
      const products = range(column.taps).flatMap((kw) =>
        range(row.taps).map((kh) => {
          const i = kh * column.taps + kw
          const weight = L.op('shr', L.op('shl', number(4 + (i >> 2)), 24 - 8 * (i & 3)), 24)
          const tap = kh * width + placeOf(plane, kw)
          return L.set(acc, L.op('wadd', acc, L.op('wmul', L.load(planes, L.add(at, tap)), weight)))
        }),
      )
      const pixel = L.add(L.mul(oh, apart.row), L.mul(ow, apart.column))
      const value = requantizeMeans(signed, acc, [number(1), number(2), number(3)])
      return [start, ...products, L.store(y, [L.add(to, pixel)], value)]
    }),
  )
}

function pack({ s, channels, row, column, weight }: Depthwise, size: number, form: Form): Int32Array {
  const data = new Int32Array(channels * size)
  for (let c = 0; c < channels; c++) {
    let sum = 0
    for (const kw of range(column.taps))
      for (const kh of range(row.taps)) {
        const [i, v] = [kh * column.taps + kw, weight(c, kh, kw)]
        sum += v
        data[c * size + 4 + (i >> 2)] |= (v & 255) << (8 * (i & 3))
      }
    const { multiplier, offset, left } = form.channels[c]
    data.set([s.bias[c] - s.zeroX * sum, multiplier, offset, left], c * size)
  }
  return data
}

function shaped(call: Call): Call | undefined {
  const s = sumOfProducts(call)
  const given = s && depthwiseOf(s)
  if (!given || s.low !== -128 || s.high !== 127) return undefined
  const ranges = range(given.channels).map((c) => {
    let [low, high] = [s.bias[c], s.bias[c]]
    for (const kh of range(given.row.taps))
      for (const kw of range(given.column.taps)) {
        const [p, q] = [(-128 - s.zeroX) * given.weight(c, kh, kw), (127 - s.zeroX) * given.weight(c, kh, kw)]
        low += Math.min(p, q)
        high += Math.max(p, q)
      }
    return { low, high, multiplier: s.multiplier[c], shift: s.shift[c] }
  })
  const form = formOf(ranges, s.zeroY)
  if (!form) return undefined
  const { channels } = given
  const apart = (axis: 'input' | 'output'): Apart => ({ row: given.column[axis] * channels, column: channels })
  const over = ({ row, column }: Apart): Apart => ({ row: column, column: row })
  const [x0, y0] = [apart('input'), apart('output')]
  const separate = rowsApart(s.x.arg, usedRows(given)).length > 1
  const ways = [
    ...waysOf(given, x0, y0, form.signed),
    ...(separate ? [] : waysOf(turned(given), over(x0), over(y0), form.signed)),
  ]
  if (ways.length === 0) return undefined
  const { d, plane, routine, words } = ways.reduce((best, way) => (way.cost < best.cost ? way : best))
  const { row, column, width, height } = plane
  const rows = usedRows(plane)
  if (rows < 1) return undefined

  let names = 0
  const name = (base: string) => `${base}${names++}`
  const x = L.buffer('x', 'i8', [count(s.x.buf.shape)])
  const w = L.buffer('w', 'i32', [channels, words])
  const zero = L.buffer('zero', 'i32', [1])
  const y = L.buffer('y', 'i8', [count(s.y.buf.shape)], 'write')
  const planes = L.buffer('plane', 'i8', [width * height + SLACK], 'scratch')
  const bytes = L.op('wmul', L.op('and', L.load(zero, 0), 255), 0x01010101)
  const fill: Stmt = {
    s: 'asm',
    means: fillMeans(planes, L.int(0), width * height, L.load(zero, 0), name),
    routine: fillRoutine(width * height),
    args: [L.load(planes, 0), L.int(0), bytes],
  }
  const runs = separate ? rowsApart(s.x.arg, rows) : [[0, rows]]
  const image = (n: Expr): Stmt =>
    L.loop(name('c'), channels, (c) => {
      const gather = runs.map(([first, some]): Stmt => {
        const from = L.add(L.add(L.mul(n, row.input * column.input * channels), c), first * plane.x.row)
        const to = (row.before + first) * width
        return {
          s: 'asm',
          means: planeMeans(plane, some, x, from, planes, to, name),
          routine: planeRoutine(plane, some),
          args: [L.load(x, from), L.load(planes, to)],
        }
      })
      const to = L.add(L.mul(n, row.output * column.output * channels), c)
      const sums: Stmt = {
        s: 'asm',
        means: sumsMeans(plane, planes, w, c, y, to, name),
        routine,
        args: [L.load(planes, 0), L.load(w, c, 0), L.load(y, to)],
      }
      return [...gather, sums]
    })
  const body = d.batch ? L.loop('n', d.batch.extent, image) : image(L.int(0))
  const bordered = rows < height || partsOf(plane).reduce((n, p) => n + p.columns, 0) < width
  const bufs = [x, w, ...(bordered ? [zero] : []), y, planes]
  const zeroArg: Arg[] = bordered ? [{ data: Int32Array.of(s.zeroX) }] : []
  const args = [s.x.arg, { data: pack(d, words, form) }, ...zeroArg, s.y.arg, { scratch: true } as const]
  return { kernel: L.kernel(call.kernel.name, bufs, ...(bordered ? [fill] : []), body), args }
}

/** One channel as a plane, four columns of a few rows at once. */
export const depthwise: Recipe = { name: 'planes of vmla', byChannel: true, apply: shaped }
