// The numbers of the ends of sums: those of the layer, then, slot by slot of all panels, rows of what sums start from, scale,
// magic, what negative sums are lowered by, multiplier and shift. Programs hold the layer's numbers and one start, multiplier and
// word for each channel, and make the rest when they start.

import type { Arg, Made } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Expr, Stmt } from '../../loops/ir.ts'
import { bitsOf, type Coding, MAGIC, MAGIC_BITS, numbersOf, wordOf } from './codes.ts'
import type { Finish } from './finish.ts'

/** The numbers of a layer: gain and its logarithm, the output's zero point and limits, the input's zero point scaled up, a base. */
const LAYER = ['gain', 'left', 'zero', 'low', 'high', 'zeroX', 'base'] as const
const HEAD = 8
const ROWS = ['start', 'scale', 'magic', 'negative', 'multiplier', 'shift'] as const
type Row = (typeof ROWS)[number]

export interface Ends {
  readonly buf: Buf
  readonly arg: Arg
  /** One of the layer's numbers. */
  layer(number: (typeof LAYER)[number]): Expr
  /** The index of slot 0 in a row. */
  readonly rows: Readonly<Record<Row, number | undefined>>
}

/** Panels with a channel for which nothing is proved; two that share a channel are both such or neither. */
function exactPanels({ form }: Finish, panels: readonly number[], size: number): boolean[] {
  const exact = panels.map((first) => form.channels.slice(first, first + size).some((c) => c === undefined))
  const [before, last] = [panels.length - 2, panels.length - 1]
  if (before >= 0 && panels[before] + size > panels[last]) {
    const either = exact[before] || exact[last]
    exact[before] = either
    exact[last] = either
  }
  return exact
}

export function endsOf(finish: Finish, panels: readonly number[], size: number): Ends {
  const { s, form, starts } = finish
  const { gain, signed, wide, base } = form
  const exact = exactPanels(finish, panels, size)
  const rows = ROWS.filter((row) =>
    row === 'negative' ? signed : row === 'start' || row === 'scale' || base === undefined,
  )
  const slots = panels.length * size
  const isExact = new Array<boolean>(starts.length).fill(false)
  for (const [p, first] of panels.entries()) isExact.fill(isExact[first] || exact[p], first, first + size)
  const proved = form.channels.map((numbers, c) => (isExact[c] ? undefined : numbers))

  const layer = [gain, Math.log2(gain), s.zeroY, s.low, s.high, s.zeroX * gain, base ?? 0, 0]
  const data = new Int32Array(HEAD + rows.length * slots)
  data.set(layer)
  const set = (row: Row, slot: number, value: number) => {
    const r = rows.indexOf(row)
    if (r >= 0) data[HEAD + r * slots + slot] = value
  }
  for (const [p, first] of panels.entries())
    for (let i = 0; i < size; i++) {
      const [slot, c] = [p * size + i, first + i]
      const numbers = proved[c]
      const changes = numbers?.choice !== undefined || base !== undefined
      set('start', slot, numbers && !changes ? 0 : (gain * starts[c] + (numbers?.offset ?? 0)) | 0)
      set('scale', slot, numbers ? bitsOf(numbers.scale) : 0)
      set('magic', slot, numbers ? MAGIC_BITS + numbers.magic - MAGIC : 0)
      set('negative', slot, numbers?.negative ?? 0)
      set('multiplier', slot, s.multiplier[c])
      set('shift', slot, s.shift[c])
    }
  const begin = starts.map((start, c) => {
    const numbers = proved[c]
    return numbers && !numbers.choice && base === undefined ? numbers.magic - MAGIC : start | 0
  })
  const own = starts.map((_, c) => (base === undefined ? s.multiplier[c] : bitsOf(proved[c]!.scale)))
  const words = base === undefined ? starts.map((_, c) => wordOf(s.shift[c], proved[c], form)) : []
  const buf = L.buffer('ends', 'i32', [data.length])
  const made = madeBy(rows, layer, [begin, own, words], panels, size, { signed, wide })
  return {
    buf,
    arg: { data, made },
    layer: (number) => L.load(buf, LAYER.indexOf(number)),
    rows: Object.fromEntries(
      ROWS.map((row) => [row, rows.includes(row) ? HEAD + rows.indexOf(row) * slots : undefined]),
    ) as Ends['rows'],
  }
}

/** One element where all are the same. */
const shared = (data: readonly number[]) => (data.every((x) => x === data[0]) ? data.slice(0, 1) : data)

/** The loops that make the rows; words that are not wide are stored in pairs. */
function madeBy(
  rows: readonly Row[],
  layer: readonly number[],
  [begin, own, words]: readonly (readonly number[])[],
  panels: readonly number[],
  size: number,
  coding: Coding,
): Made {
  const [factors, codes] = [shared(own), shared(words)]
  const pairs = coding.wide
    ? codes
    : Array.from(
        { length: Math.ceil(codes.length / 2) },
        (_, i) => (codes[2 * i] & 0xffff) | ((codes[2 * i + 1] ?? 0) << 16),
      )
  const data = Int32Array.from([...layer, ...begin, ...factors, ...pairs])
  const from = L.buffer('layer', 'i32', [data.length])
  const slots = panels.length * size
  const ends = L.buffer('ends', 'i32', [HEAD + rows.length * slots], 'write')
  const [atBegin, atFactors, atPairs] = [HEAD, HEAD + begin.length, HEAD + begin.length + factors.length]
  const number = (name: (typeof LAYER)[number]) => L.load(from, LAYER.indexOf(name))
  const last = panels[panels.length - 1]
  const body = L.loop('p', panels.length, (p) =>
    L.loop('i', size, (i) => {
      const declared: Stmt[] = []
      const name = (base: string, value: Expr): Expr => {
        const [declare, register] = L.declare(`${base}_${declared.length}`, value)
        declared.push(declare)
        return register
      }
      const c = name('c', L.add(L.op('min', L.mul(p, size), L.int(last)), i))
      const put = (row: Row, value: Expr) => {
        const r = rows.indexOf(row)
        return r < 0 ? [] : [L.store(ends, [L.add(L.add(L.mul(p, size), i), HEAD + r * slots)], value)]
      }
      const start = name('start', L.load(from, L.add(c, atBegin)))
      const factor = name('factor', L.load(from, factors.length === 1 ? atFactors : L.add(c, atFactors)))
      if (codes.length === 0) return [...declared, ...put('start', start), ...put('scale', factor)]
      const own = codes.length === 1 ? L.int(0) : c
      const pair = L.load(from, L.add(coding.wide ? own : L.op('shr', own, L.int(1)), atPairs))
      const left = L.op('shl', L.and(L.op('xor', own, L.int(1)), 1), L.int(4))
      const word = coding.wide ? pair : L.op('shr', L.op('shl', pair, left), L.int(16))
      const common = { gain: number('gain'), gainLog2: number('left'), zero: number('zero') }
      const numbers = numbersOf(factor, word, { ...common, low: number('low'), high: number('high') }, coding, name)
      const either = (a: Expr, b: Expr) => L.select(numbers.changes, a, b)
      const ifProved = (value: Expr) => L.select(numbers.proved, value, L.int(0))
      const scaled = L.op('wadd', L.op('wmul', start, number('gain')), ifProved(numbers.offset))
      const stores = [
        put('start', either(scaled, L.int(0))),
        put('scale', ifProved(either(numbers.scale, L.int(0)))),
        put('magic', ifProved(either(numbers.magic, L.op('wadd', start, L.int(MAGIC_BITS))))),
        put('negative', ifProved(either(numbers.negative, L.int(0)))),
        put('multiplier', factor),
        put('shift', numbers.shift),
      ]
      return [...declared, ...stores.flat()]
    }),
  )
  const head = L.loop('n', HEAD, (n) => L.store(ends, [n], L.load(from, n)))
  return { kernel: L.kernel('ends', [from, ends], head, body), from: [data] }
}
