// Weights with a zero point in tiles: sum(x * (w - z)) is sum(x * w) - z * sum(x), and sum(x) is the same for every channel. It
// goes behind the words of a window as more of them: P holds the sums of two pieces of at most 256 inputs, Q nothing, and
// the weight word -256 * z twice, so that the tile's routine need not know.

import * as L from '../../loops/build.ts'
import type { Buf, Expr, Routine, Stmt } from '../../loops/ir.ts'
import { addConstant, routine, setConstant } from './assembly.ts'
import type { Widen } from './gather.ts'

/** Words of a piece: its sum fits 16 bits. */
const PIECE = 64

/** The windows that are summed, and how many inputs of a run's last word are among them. */
export interface Totals extends Widen {
  readonly last: number
}

interface Piece {
  readonly run: number
  readonly first: number
  readonly words: number
  /** Inputs that are summed. */
  readonly inputs: number
}

function piecesOf({ runs, words, last }: Totals): Piece[] {
  return Array.from({ length: runs }, (_, run) =>
    Array.from({ length: Math.ceil(words / PIECE) }, (_, p): Piece => {
      const first = p * PIECE
      const own = Math.min(PIECE, words - first)
      return { run, first, words: own, inputs: 4 * own - (first + own === words ? 4 - last : 0) }
    }),
  ).flat()
}

/** Words that the sums of windows take. */
export function totalWords({ runs, words }: Pick<Widen, 'runs' | 'words'>): number {
  return Math.ceil((runs * Math.ceil(words / PIECE)) / 2)
}

/** What a tile's weights hold there; undefined where 16 bits have no room for it. */
export function totalWeight(zero: number): number | undefined {
  return zero === -128 ? undefined : ((-256 * zero) & 0xffff) | ((-256 * zero) << 16)
}

export function totalsCost({ pixels, runs, words }: Widen): number {
  return 20 + pixels * (4 + runs * (3.5 * words + 8))
}

/** Adds the inputs at r3 to `total`; r12 is 0. */
function adds(total: string, { words, inputs }: Piece): string[] {
  const word = ['ldr r5, [r3], #4', 'eor r5, r5, #0x80808080', `usada8 ${total}, r5, r12, ${total}`]
  const rest = inputs & 3
  const whole = rest ? words - 1 : words
  const times = (n: number) => Array.from({ length: n }, () => word).flat()
  const turns = whole >> 2
  const loop = turns > 1 ? [`movw lr, #${turns}`, '2:', ...times(4), 'subs lr, lr, #1', 'bne 2b'] : times(4 * turns)
  const part = [word[0], word[1], `lsl r5, r5, #${8 * (4 - rest)}`, word[2]]
  return [...loop, ...times(whole & 3), ...(rest ? part : [])]
}

/** r0: the first pixel's window, r1: the words behind it. */
export function totalsRoutine(totals: Totals): Routine {
  const { pixels: T, runs, words, step, stride, last } = totals
  const pieces = piecesOf(totals)
  let at = 0
  const sum = (piece: Piece | undefined, total: string): string[] => {
    if (!piece) return [`movs ${total}, #0`]
    const from = piece.run * step + 4 * piece.first
    const moved = addConstant(3, from - at, 5)
    at = from + 4 * piece.words
    const start = [...setConstant(5, 128 * piece.inputs), `rsb ${total}, r5, #0`]
    return [...moved, ...start, ...adds(total, piece)]
  }
  const pairs = Array.from({ length: totalWords(totals) }, (_, k) => [
    ...sum(pieces[2 * k], 'r4'),
    ...sum(pieces[2 * k + 1], 'r6'),
    'pkhbt r4, r4, r6, lsl #16',
    `str r4, [r1, #${8 * T * k}]`,
    `str r12, [r1, #${8 * T * k + 4 * T}]`,
  ]).flat()
  return routine(`totals_${T}_${runs}x${4 * words - 4 + last}_${step}_${stride}`, 0, [
    'movs r12, #0',
    `movs r2, #${T}`,
    '1:',
    'mov r3, r0',
    ...pairs,
    ...addConstant(0, stride, 5),
    'adds r1, r1, #4',
    'subs r2, r2, #1',
    'bne 1b',
  ])
}

/** The same in loops: `x` is flat, `px` (words, 2, pixels), its words from `first` on. */
export function totalsMeans(
  totals: Totals,
  x: Buf,
  px: Buf,
  at: Expr,
  first: number,
  name: (base: string) => string,
): Stmt {
  const pieces = piecesOf(totals)
  return L.loop(name('i'), totals.pixels, (i) => {
    const sum = (piece: Piece | undefined): readonly [Stmt, Expr] => {
      if (!piece) return [L.block(), L.int(0)]
      const [declare, total] = L.declare(name('total'), L.int(0))
      const from = L.add(L.add(at, L.mul(i, totals.stride)), piece.run * totals.step + 4 * piece.first)
      const all = L.loop(name('j'), piece.inputs, (j) => L.set(total, L.add(total, L.load(x, L.add(from, j)))))
      return [L.block(declare, all), total]
    }
    return Array.from({ length: totalWords(totals) }, (_, k) => {
      const [[one, a], [other, b]] = [sum(pieces[2 * k]), sum(pieces[2 * k + 1])]
      return L.block(
        one,
        other,
        L.store(px, [first + k, 0, i], L.op('or', L.op('and', a, 0xffff), L.op('shl', b, 16))),
        L.store(px, [first + k, 1, i], L.int(0)),
      )
    })
  })
}
