// Where tiles of quads read their windows: bytes, four of which are a word, 128 higher than the input. `direct` takes windows
// where they stand, or raises a block of pixels that follow each other; `strip` raises the rows that a few lines of outputs
// read, with the padding around them. A word may begin at any byte; what it has beyond its window meets weights of zero.

import { type Affine, termsWhere, toExpr } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, type Expr, I8X16, type Stmt } from '../../loops/ir.ts'
import { direct as directly, type Windows } from '../armv7em/dense.ts'
import { blocksOf, firstOf, linesOf, type Source } from './source.ts'
import { raise } from './truncate.ts'

/** Bytes of what is raised at once, about: half of a first-level cache. */
const AT_ONCE = 24576
/** Bytes that stores of sixteen, and words, may reach beyond the last. */
const SLACK = 16
/** Channels from which on it pays to raise inputs once. */
const MANY = 24

export interface Bytes extends Source {
  /** Where the first window of `read` begins. */
  readonly start: Expr
  /** What is read is raised already. */
  readonly raised: boolean
  /** Raises a block; `zeros` are sixteen zero points, raised. */
  readonly fill?: (first: Expr, x: Buf, zeros: Expr, name: (base: string) => string) => Stmt
}

/** `count` bytes of x from `from` on, raised, to `at` and on. */
function copy(to: Buf, at: Expr, x: Buf, from: Expr, count: number, name: (base: string) => string): Stmt {
  const sixteen = (i: L.E) =>
    L.store(to, [L.add(at, i)], L.op('bytes', raise(L.op('bits', L.loadLanes(x, I8X16, L.add(from, i))))))
  const one = (i: L.E) => L.store(to, [L.add(at, i)], L.op('xor', L.load(x, L.add(from, i)), L.int(-128)))
  const whole = Math.floor(count / 16)
  if (whole === 0) return L.loop(name('i'), count, one)
  return L.block(
    L.loop(name('i'), whole, (i) => sixteen(L.mul(i, 16))),
    ...(count % 16 ? [sixteen(count - 16)] : []),
  )
}

/** At least `count` bytes from `at` on: zero points. */
function pad(to: Buf, at: Expr, count: number, zeros: Expr, name: (base: string) => string): Stmt {
  const n = Math.ceil(count / 16)
  return n === 0 ? L.block() : L.loop(name('i'), n, (i) => L.store(to, [L.add(at, L.mul(i, 16))], zeros))
}

/** Windows of one run that lie inside; undefined where one that is no whole words does not follow the other. */
export function direct(windows: Windows, x: Buf): Bytes | undefined {
  const { around, pixels, stride } = directly(windows)
  const { length, channels } = windows
  const words = Math.ceil(length / 4)
  const names = new Set(around.map((l) => l.v))
  const base = toExpr({ ...termsWhere(windows.x, (v) => names.has(v)), base: windows.x.base } as Affine)
  const own = { around, lines: 1, runs: 1, words, apart: 0, line: 0, stride }
  const follow = stride === length || pixels === 1
  if (length % 4 === 0 && (!follow || channels < MANY))
    return {
      ...own,
      blocks: 1,
      first: () => L.int(0),
      pixels,
      unit: 1,
      scratch: [],
      read: x,
      start: base,
      raised: false,
    }
  if (!follow) return undefined
  const { blocks, size } = blocksOf(pixels, Math.floor(AT_ONCE / length), 4)
  const read = L.buffer('raised', 'i8', [size * length + SLACK], 'scratch')
  return {
    ...own,
    stride: length,
    ...{ blocks, first: firstOf(pixels, size), pixels: size, unit: 1, scratch: [read], read },
    ...{ start: L.int(0), raised: true },
    fill: (first, x, _, name) => copy(read, L.int(0), x, L.add(base, L.mul(first, length)), size * length, name),
  }
}

/** Rows with padding around them; undefined where rows of a window are not neighbours. */
export function strip(windows: Windows): Bytes | undefined {
  const lines = linesOf(windows)
  if (!lines) return undefined
  const { around, all, pixels, stride, runs, down, width, before, copied } = lines
  const { blocks, size } = blocksOf(all, Math.floor((AT_ONCE / width - runs) / down) + 1)
  const height = (size - 1) * down + runs
  const read = L.buffer('rows', 'i8', [height * width + SLACK], 'scratch')
  return {
    ...{ around, blocks, first: firstOf(all, size), lines: size, pixels, unit: pixels, runs },
    ...{ words: Math.ceil(windows.length / 4), apart: width, stride, line: down * width },
    ...{ scratch: [read], read, start: L.int(0), raised: true },
    fill(first, x, zeros, name) {
      return L.loop(name('i'), height, (i) => {
        const at = L.mul(i, width)
        const row = L.block(
          pad(read, at, before, zeros, name),
          copy(read, L.add(at, before), x, lines.from(first, i), copied, name),
          pad(read, L.add(at, before + copied), width - before - copied, zeros, name),
        )
        const inside = lines.inside(first, i)
        return inside ? L.when(inside, row, pad(read, at, width, zeros, name)) : row
      })
    },
  }
}
