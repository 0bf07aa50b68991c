// Where tiles read their windows: words of two halves, each an input times the gain of the sums. `direct` widens the windows of
// many pixels one after the other; `strip` widens the rows that a few lines of outputs read, with the padding around
// them, and either leaves windows where they are or gathers each into one run.

import { bug } from '../../errors.ts'
import { type Affine, termsWhere, toExpr } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, type Expr, I16X8, type Stmt } from '../../loops/ir.ts'
import { type For, substituteExpr } from '../../loops/walk.ts'
import { direct as directly, strip as stripOf, type Windows } from '../armv7em/dense.ts'
import type { Inputs } from './finish.ts'

/** Bytes of what is widened at once, about: half of a first-level cache. */
const AT_ONCE = 16384

/** Elements that stores of eight may reach beyond the last. */
const SLACK = 8

/** Windows of `lines` lines of `pixels` pixels at a time; the last block ends with the last line or pixel. */
export interface Source {
  readonly around: readonly For[]
  readonly blocks: number
  /** Lines or pixels from the first to that of a block. */
  readonly first: (block: Expr) => Expr
  readonly lines: number
  readonly pixels: number
  /** Pixels of what `first` counts: of a line, or 1. */
  readonly unit: number
  readonly runs: number
  readonly words: number
  /** Elements of `read` from one run, pixel and line to the next. */
  readonly apart: number
  readonly stride: number
  readonly line: number
  readonly scratch: readonly Buf[]
  /** Where tiles read. */
  readonly read: Buf
}

/** Words of two halves. */
export interface Halves extends Source {
  /** Widens a block. */
  readonly fill: (first: Expr, x: Buf, inputs: Inputs, name: (base: string) => string) => Stmt
}

/** A row that is written: elements of i16, or words of two. */
interface Row {
  readonly to: Buf
  readonly at: Expr
}

function put({ to, at }: Row, i: Expr | number, value: Expr): Stmt {
  if (to.elem === 'i16') return L.store(to, [L.add(at, i)], value)
  return L.store(to, [L.add(at, half(i))], L.op('bits', value))
}

/** An even number of elements in words. */
function half(i: Expr | number): Expr {
  if (typeof i === 'number') return L.int(i / 2)
  if (i.k === 'const') return L.int(i.value / 2)
  if (i.k === 'op' && i.op === 'mul' && i.args[1].k === 'const') return L.mul(i.args[0], i.args[1].value / 2)
  if (i.k === 'op' && i.op === 'add') return L.add(half(i.args[0]), half(i.args[1]))
  return bug('an element that begins no word')
}

/** `count` elements of x from `from` on, scaled up, to elements `start` and on of a row. */
function widen(
  row: Row,
  start: number,
  x: Buf,
  from: Expr,
  count: number,
  inputs: Inputs,
  name: (base: string) => string,
): Stmt {
  const eightAt = (i: Expr | number) => put(row, L.add(i, start), inputs.scaled(L.loadLanes(x, I16X8, L.add(from, i))))
  const whole = count >> 3
  const parts: Stmt[] = []
  if (whole > 0) parts.push(L.loop(name('i'), whole, (i) => eightAt(L.mul(i, 8))))
  const rest = count - 8 * whole
  if (count === 0) return L.block()
  if (whole > 0 && (rest % 2 === 0 || row.to.elem === 'i16')) return L.block(...parts, eightAt(count - 8))
  const one = (i: number) => L.mul(L.load(x, L.add(from, i)), inputs.gain)
  for (let i = 8 * whole; i < count; i += 2) {
    const at = i + start
    if (row.to.elem === 'i16') {
      parts.push(L.store(row.to, [L.add(row.at, at)], one(i)))
      if (i + 1 < count) parts.push(L.store(row.to, [L.add(row.at, at + 1)], one(i + 1)))
    } else {
      const low = L.and(one(i), 65535)
      const both = i + 1 < count ? L.op('or', low, L.op('shl', one(i + 1), 16)) : low
      parts.push(L.store(row.to, [L.add(row.at, at / 2)], both))
    }
  }
  return L.block(...parts)
}

/** At least `count` elements of a row from `start` on: the zero point. */
function pad(row: Row, start: number, count: number, zero: Expr, name: (base: string) => string): Stmt {
  const n = Math.ceil(count / 8)
  return n === 0 ? L.block() : L.loop(name('i'), n, (i) => put(row, L.add(L.mul(i, 8), start), zero))
}

/** As few blocks as `most` at once allows, all of one size. */
export function blocksOf(all: number, most: number, multiple = 1): { blocks: number; size: number } {
  const blocks = Math.ceil(all / Math.max(1, most))
  const size = Math.min(all, multiple * Math.ceil(all / blocks / multiple))
  return { blocks: Math.ceil(all / size), size }
}

export function firstOf(all: number, size: number) {
  return (block: Expr) => L.op('min', L.mul(block, size), L.int(all - size))
}

/** Windows of one run that lie inside: pixels of one line, or of several where these follow each other. */
export function direct(windows: Windows): Halves {
  const { around, pixels, stride } = directly(windows)
  const { length, channels } = windows
  const words = Math.ceil(length / 2)
  // outputs of the next line follow those of this one
  const lineLoop = around.find((l) => windows.y.terms.get(l.v) === channels * pixels)
  const lines = lineLoop?.extent ?? 1
  const merged = lineLoop ? pixels : 1
  const most = Math.floor(AT_ONCE / (4 * words) / merged)
  const { blocks, size } = blocksOf(lineLoop ? lines : pixels, most, lineLoop ? 1 : 4)
  const outer = around.filter((l) => l !== lineLoop)
  const outerNames = new Set(outer.map((l) => l.v))
  const px = L.buffer('px', 'i32', [size * merged * words + SLACK / 2], 'scratch')
  const lineStep = lineLoop ? windows.x.terms.get(lineLoop.v)! : 0
  const base = toExpr({ ...termsWhere(windows.x, (v) => outerNames.has(v)), base: windows.x.base })
  return {
    around: outer,
    blocks,
    first: firstOf(lineLoop ? lines : pixels, size),
    lines: 1,
    pixels: size * merged,
    unit: merged,
    runs: 1,
    words,
    apart: 0,
    stride: words,
    line: 0,
    scratch: [px],
    read: px,
    fill(first, x, inputs, name) {
      const from = L.add(base, L.mul(first, lineLoop ? lineStep : stride))
      if (!lineLoop && stride === length && length % 2 === 0)
        return widen({ to: px, at: L.int(0) }, 0, x, from, size * length, inputs, name)
      const one = (at: Expr, to: Expr) => widen({ to: px, at: to }, 0, x, at, length, inputs, name)
      if (!lineLoop) return L.loop(name('i'), size, (i) => one(L.add(from, L.mul(i, stride)), L.mul(i, words)))
      return L.loop(name('l'), size, (l) =>
        L.loop(name('i'), pixels, (i) =>
          one(L.add(L.add(from, L.mul(l, lineStep)), L.mul(i, stride)), L.mul(L.add(L.mul(l, pixels), i), words)),
        ),
      )
    },
  }
}

/** Runs shorter than so many words are gathered. */
const SHORT = 8

/** Lines of outputs, and the rows of the input, with padding around them, that they read. */
export interface Lines {
  readonly around: readonly For[]
  /** Lines, and pixels of one. */
  readonly all: number
  readonly pixels: number
  /** Elements from one pixel to the next. */
  readonly stride: number
  /** Rows of a window, and from one line to the next. */
  readonly runs: number
  readonly down: number
  /** Elements of a row, and of these what is padding before the input, and what is copied from it. */
  readonly width: number
  readonly before: number
  readonly copied: number
  /** Where the i-th row from that of line `first` begins in the input, and whether it is in it. */
  from(first: Expr, i: Expr): Expr
  inside(first: Expr, i: Expr): Expr | undefined
}

/** Undefined where rows of a window are not neighbours. */
export function linesOf(windows: Windows): Lines | undefined {
  const { rows, s, channels } = windows
  const { around, pixels, stride, strip: strips } = stripOf(windows)
  if (!strips) return undefined
  const { row, start, width } = strips
  const rowIndex = s.x.at[s.x.at.length - 3]
  if (rows && rowIndex?.terms.get(rows.v) !== 1) return undefined
  const lineLoop = around.find((l) => rowIndex?.terms.has(l.v))
  if (lineLoop && windows.y.terms.get(lineLoop.v) !== channels * pixels) return undefined
  const down = lineLoop ? rowIndex.terms.get(lineLoop.v)! : 1
  const outer = around.filter((l) => l !== lineLoop)
  const outerNames = new Set(outer.map((l) => l.v))
  const kept = (a: Affine, first: Expr, i: Expr) => {
    const terms = termsWhere(a, (v) => outerNames.has(v) || v === lineLoop?.v || v === rows?.v)
    const named = new Map<string, Expr>([
      ...(lineLoop ? [[lineLoop.v, first] as const] : []),
      ...(rows ? [[rows.v, i] as const] : []),
    ])
    const sum = substituteExpr(toExpr({ ...terms, base: a.base }), named)
    // without a loop over the rows of a window a line of outputs is one row down
    return rows ? sum : L.add(sum, L.mul(i, lineLoop ? (a.terms.get(lineLoop.v) ?? 0) / down : 0))
  }
  return {
    around: outer,
    all: lineLoop?.extent ?? 1,
    pixels,
    stride,
    runs: rows?.extent ?? 1,
    down,
    width,
    before: row.before,
    copied: row.copied,
    from: (first, i) => kept(start, first, i),
    inside(first, i) {
      if (!windows.row) return undefined
      const index = kept(windows.row.index, first, i)
      return L.and(L.ge(index, 0), L.lt(index, windows.row.extent))
    },
  }
}

/** Rows with padding around them. */
export function strip(windows: Windows): Halves | undefined {
  const lines = linesOf(windows)
  if (!lines) return undefined
  const { length, depth } = windows
  const { around, all, pixels, stride, runs, down, before, copied } = lines
  const runWords = Math.ceil(length / 2)
  const width = 2 * Math.ceil(lines.width / 2)
  const behind = width - before - copied
  const gathers = runWords < SHORT || [length, stride, before, copied, depth].some((n) => n % 2 !== 0) || runs === 1
  const perLine = 2 * down * width + (gathers ? 4 * pixels * runs * runWords : 0)
  const { blocks, size } = blocksOf(all, Math.floor(AT_ONCE / perLine))
  const height = (size - 1) * down + runs
  const words = gathers ? runs * runWords : runWords
  const rowsOf = L.buffer(
    'rows',
    gathers ? 'i16' : 'i32',
    [(height * width) / (gathers ? 1 : 2) + SLACK * (gathers ? 2 : 1)],
    'scratch',
  )
  const px = L.buffer('px', 'i32', [size * pixels * words + SLACK / 2], 'scratch')
  return {
    around,
    blocks,
    first: firstOf(all, size),
    lines: gathers ? 1 : size,
    pixels: gathers ? size * pixels : pixels,
    unit: pixels,
    runs: gathers ? 1 : runs,
    words,
    apart: gathers ? 0 : width / 2,
    stride: gathers ? words : stride / 2,
    line: gathers ? 0 : (down * width) / 2,
    scratch: gathers ? [rowsOf, px] : [rowsOf],
    read: gathers ? px : rowsOf,
    fill(first, x, inputs, name) {
      const fillRows = L.loop(name('i'), height, (i) => {
        const to: Row = { to: rowsOf, at: L.mul(i, gathers ? width : width / 2) }
        const copy = L.block(
          pad(to, 0, before, inputs.zeros, name),
          widen(to, before, x, lines.from(first, i), copied, inputs, name),
          pad(to, before + copied, behind, inputs.zeros, name),
        )
        const inside = lines.inside(first, i)
        return inside ? L.when(inside, copy, pad(to, 0, width, inputs.zeros, name)) : copy
      })
      if (!gathers) return fillRows
      const gather = L.loop(name('l'), size, (l) =>
        L.loop(name('i'), pixels, (i) =>
          L.loop(name('r'), runs, (r) => {
            const from = L.add(L.mul(L.add(L.mul(l, down), r), width), L.mul(i, stride))
            const to = L.add(L.mul(L.add(L.mul(l, pixels), i), words), L.mul(r, runWords))
            return Array.from({ length: Math.ceil(length / 8) }, (_, j) =>
              L.store(px, [L.add(to, 4 * j)], L.op('bits', L.loadLanes(rowsOf, I16X8, L.add(from, 8 * j)))),
            )
          }),
        ),
      )
      return L.block(fillRows, gather)
    },
  }
}
