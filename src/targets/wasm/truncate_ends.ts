// The numbers of truncations, slot by slot of all panels: rows of what sums start from, scale, shift, what it lacks and by what
// bits it differs where sums are negative. Shifts are near what rounding suggests, so that programs hold the distance, in units
// in the last place, and make the rows when they start; where some are not near, they hold the rows.

import type { Arg, Made } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Expr, Stmt } from '../../loops/ir.ts'
import { bitsOf } from './codes.ts'
import type { Truncated } from './truncate.ts'

const ROWS = ['start', 'scale', 'shift', 'fine', 'signed'] as const
type Row = (typeof ROWS)[number]

/** The limits of outputs and, for what is made, the shift without the half that rounding adds. */
const HEAD = 4
const RAISED = 128

export interface TruncationEnds {
  readonly buf: Buf
  readonly arg: Arg
  /** The index of slot 0 in a row; undefined where it is not needed. */
  readonly rows: Readonly<Record<Row, number | undefined>>
}

interface Layer {
  readonly zeroY: number
  readonly low: number
  readonly high: number
}

/** The bits of the shifts that rounding suggests, by those of the scale: a half of what the first of two roundings leaves. */
function suggested(base: number, scale: number): readonly [number, number] {
  const half = scale === 0 ? 0 : 2 ** Math.floor(Math.log2(scale))
  return [bitsOf(base + half), bitsOf(base - half)]
}

export function truncationEnds(
  { zeroY, low, high }: Layer,
  starts: readonly number[],
  channels: readonly Truncated[],
  panels: readonly number[],
  size: number,
): TruncationEnds {
  const differ = ({ shift, below }: Truncated) => bitsOf(shift) ^ bitsOf(below)
  const signed = channels.some((c) => differ(c) !== 0)
  const fine = channels.some((c) => c.fine !== 0)
  const rows = ROWS.filter((row) => (row === 'fine' ? fine : row === 'signed' ? signed : true))
  const slots = panels.length * size
  const base = RAISED + zeroY + 0.5
  const head = [low + RAISED, high + RAISED, bitsOf(base), 0]
  const data = new Int32Array(HEAD + rows.length * slots)
  data.set(head)
  const numbersOf = (c: number): Record<Row, number> => {
    const { scale, shift, fine } = channels[c]
    return {
      start: starts[c] | 0,
      scale: bitsOf(scale),
      shift: bitsOf(shift),
      fine: bitsOf(fine),
      signed: differ(channels[c]),
    }
  }
  for (const [p, first] of panels.entries())
    for (let i = 0; i < size; i++)
      for (const [r, row] of rows.entries()) data[HEAD + r * slots + p * size + i] = numbersOf(first + i)[row]

  const distances = channels.map(({ scale, shift, below }): [number, number] => {
    if (scale === 0) return [shift, below]
    const [above, under] = suggested(base, scale)
    return [bitsOf(shift) - above, bitsOf(below) - under]
  })
  const near = (n: number) => Number.isInteger(n) && n >= -(2 ** 15) && n < 2 ** 15
  const coded = !fine && distances.every(([above, under]) => near(above) && (!signed || near(under)))
  const source = () => {
    const words = signed ? distances.flat() : distances.map(([above]) => above)
    const pairs = Array.from(
      { length: Math.ceil(words.length / 2) },
      (_, i) => (words[2 * i] & 0xffff) | ((words[2 * i + 1] ?? 0) << 16),
    )
    return Int32Array.from([...head, ...starts, ...channels.map((c) => bitsOf(c.scale)), ...pairs])
  }
  return {
    buf: L.buffer('ends', 'i32', [data.length]),
    arg: coded ? { data, made: madeFrom(source(), starts.length, rows, panels, size, signed) } : { data },
    rows: Object.fromEntries(
      ROWS.map((row) => [row, rows.includes(row) ? HEAD + rows.indexOf(row) * slots : undefined]),
    ) as TruncationEnds['rows'],
  }
}

function madeFrom(
  source: Int32Array,
  channels: number,
  rows: readonly Row[],
  panels: readonly number[],
  size: number,
  signed: boolean,
): Made {
  const slots = panels.length * size
  const from = L.buffer('layer', 'i32', [source.length])
  const ends = L.buffer('ends', 'i32', [HEAD + rows.length * slots], 'write')
  const atPairs = HEAD + 2 * channels
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
      const put = (row: Row, value: Expr) =>
        L.store(ends, [L.add(L.add(L.mul(p, size), i), HEAD + rows.indexOf(row) * slots)], value)
      const scale = name('scale', L.load(from, L.add(c, HEAD + channels)))
      const base = L.op('fromBits', L.load(from, 2))
      const half = name('half', L.op('fromBits', L.and(scale, 0x7f800000)))
      const distance = (n: Expr) => {
        const pair = L.load(from, L.add(L.op('shr', n, L.int(1)), atPairs))
        const left = L.op('shl', L.and(L.op('xor', n, L.int(1)), 1), L.int(4))
        return name('distance', L.op('shr', L.op('shl', pair, left), L.int(16)))
      }
      const bits = (suggested: Expr, by: Expr) =>
        name(
          'shift',
          L.select(
            L.op('eq', scale, L.int(0)),
            L.op('bits', L.op('toF32', by)),
            L.op('wadd', L.op('bits', suggested), by),
          ),
        )
      const shift = bits(L.op('add', base, half), distance(signed ? L.mul(c, 2) : c))
      const below = signed ? bits(L.op('sub', base, half), distance(L.add(L.mul(c, 2), 1))) : undefined
      const stores = [
        put('start', L.load(from, L.add(c, HEAD))),
        put('scale', scale),
        put('shift', shift),
        ...(below ? [put('signed', L.op('xor', shift, below))] : []),
      ]
      return [...declared, ...stores]
    }),
  )
  const head = L.loop('n', HEAD, (n) => L.store(ends, [n], L.load(from, n)))
  return { kernel: L.kernel('truncations', [from, ends], head, body), from: [source] }
}
