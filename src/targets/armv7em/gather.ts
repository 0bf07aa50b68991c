// Routines that bring inputs into the form that tiles want: `widen` turns the windows of T pixels into words P and Q,
// `row` copies one row of the input between borders of the zero point, `fill` makes a row that lies in the padding.

import * as L from '../../loops/build.ts'
import type { Buf, Expr, Routine, Stmt } from '../../loops/ir.ts'
import { elementIn } from '../../loops/sub_byte.ts'
import { addConstant, LR, reg, routine } from './assembly.ts'

/** The windows of `pixels` neighbours: each is `runs` runs of `words` words. Distances are in bytes. */
export interface Widen {
  readonly pixels: number
  readonly runs: number
  readonly words: number
  /** From one run to the next. */
  readonly step: number
  /** From one pixel to the next. */
  readonly stride: number
}

export function widenCost({ pixels, runs, words }: Widen): number {
  return 30 + runs * (words * (4 * pixels + 2) + pixels)
}

/** r0: the first pixel's window, r1: the words. */
export function widenRoutine({ pixels: T, runs, words, step, stride }: Widen): Routine {
  const from = [0, 2, 3, 12].slice(0, T)
  const P = [4, 5, 6, 7].slice(0, T)
  const Q = T === 4 ? [8, 9, 10, 11] : [8, 9, 10].slice(0, T)
  const word = [
    ...Q.map((q, i) => `ldr ${reg(q)}, [${reg(from[i])}], #4`),
    ...P.map((p, i) => `eor ${reg(p)}, ${reg(Q[i])}, #0x00800080`),
    ...P.map((p) => `uxtb16 ${reg(p)}, ${reg(p)}`),
    ...Q.map((q) => `eor ${reg(q)}, ${reg(q)}, #0x007f007f`),
    `stmia r1!, {${[...P, ...Q].map(reg).join(', ')}}`,
  ]
  const times = (n: number) => Array.from({ length: n }, () => word).flat()
  const loop = (n: number, body: readonly string[]) =>
    n === 1 ? body : [`movw lr, #${n}`, '1:', ...body, 'subs lr, lr, #1', 'bne 1b']
  const next = from.flatMap((r) => addConstant(r, step - 4 * words, P[0]))
  const pairs = words % 2 === 0 ? 2 : 1
  const body =
    words <= 4
      ? loop(runs, [...times(words), ...(runs > 1 ? next : [])])
      : Array.from({ length: runs }, (_, i) => [
          ...loop(words / pairs, times(pairs)),
          ...(i < runs - 1 ? next : []),
        ]).flat()
  const starts = from.slice(1).flatMap((r, i) => [`mov ${reg(r)}, ${reg(from[i])}`, ...addConstant(r, stride, LR)])
  return routine(`widen_${T}_${runs}x${words}_${step}_${stride}`, 0, [...starts, ...body])
}

/** The same in loops: `x` is flat, `px` (words of all runs, 2, pixels); `at` is the first pixel's first element. */
export function widenMeans(
  { pixels, runs, words, step, stride }: Widen,
  x: Buf,
  px: Buf,
  at: Expr,
  name: (base: string) => string,
): Stmt {
  return L.loop(name('r'), runs, (r) =>
    L.loop(name('k'), words, (k) =>
      L.loop(name('i'), pixels, (i) => {
        const start = L.add(L.add(L.add(at, L.mul(r, step)), L.mul(k, 4)), L.mul(i, stride))
        const byte = (n: number) => L.op('shl', L.op('and', L.load(x, L.add(start, n)), 255), 8 * n)
        const [declare, all] = L.declare(
          name('x'),
          L.op('or', L.op('or', byte(0), byte(1)), L.op('or', byte(2), byte(3))),
        )
        const word = L.add(L.mul(r, words), k)
        return [
          declare,
          L.store(px, [word, 0, i], L.op('uxtb16', L.op('xor', all, 0x00800080))),
          L.store(px, [word, 1, i], L.op('xor', all, 0x007f007f)),
        ]
      }),
    ),
  )
}

/** A row of bytes: what is copied, and how many zero points stand before and behind it. */
export interface Row {
  readonly before: number
  readonly copied: number
  readonly behind: number
  /** Everything stands at words. */
  readonly aligned: boolean
  /** Of an element of the input: below 8 the row is unpacked, four elements at a time. */
  readonly bits?: 8 | 4 | 2
}

export function rowCost({ before, copied, behind, aligned, bits = 8 }: Row): number {
  if (bits < 8) return 20 + (before + behind) / 4 + copied * 1.6
  return 20 + (before + behind) / 4 + (aligned ? copied / 14 : copied * 0.55)
}

/** Stores `count` bytes of the word in r2 at r0, which stands at a word where `aligned`. */
function fills(count: number, aligned = false): string[] {
  const words = count >> 2
  const loop = (times: number, store: string) => [`movw r3, #${times}`, '1:', store, 'subs r3, r3, #1', 'bne 1b']
  const word = 'str r2, [r0], #4'
  const single = (n: number) => (n > 8 ? loop(n, word) : Array.from({ length: n }, () => word))
  const [four, copied] = ['stmia r0!, {r2, r4, r5, r6}', [4, 5, 6].map((r) => `mov ${reg(r)}, r2`)]
  return [
    ...(aligned && words > 8 ? [...copied, ...loop(words >> 2, four), ...single(words & 3)] : single(words)),
    ...(count & 2 ? ['strh r2, [r0], #2'] : []),
    ...(count & 1 ? ['strb r2, [r0], #1'] : []),
  ]
}

function copies(count: number, aligned: boolean): string[] {
  const step = aligned
    ? ['ldmia r1!, {r4, r5, r6, r7, r8, r9, r10, r11}', 'stmia r0!, {r4, r5, r6, r7, r8, r9, r10, r11}']
    : []
  const word = ['ldr r3, [r1], #4', 'str r3, [r0], #4']
  const block = aligned ? step : Array.from({ length: 8 }, () => word).flat()
  const blocks = count >> 5
  return [
    ...(blocks > 1 ? [`movw r12, #${blocks}`, '1:', ...block, 'subs r12, r12, #1', 'bne 1b'] : blocks ? block : []),
    ...Array.from({ length: (count & 31) >> 2 }, () => word).flat(),
    ...(count & 2 ? ['ldrh r3, [r1], #2', 'strh r3, [r0], #2'] : []),
    ...(count & 1 ? ['ldrb r3, [r1], #1', 'strb r3, [r0], #1'] : []),
  ]
}

/** Four elements of `bits` bits in the low ones of `r` become its bytes. */
export function spreadBytes(r: string, bits: 4 | 2): string[] {
  const [far, pairs, near, each] = bits === 4 ? [8, '0x00ff00ff', 4, '0x0f0f0f0f'] : [12, '0x000f000f', 6, '0x03030303']
  const step = (by: string | number, mask: string | number) => [
    `orr ${r}, ${r}, ${r}, lsl #${by}`,
    `and ${r}, ${r}, #${mask}`,
  ]
  return [...step(far, pairs), ...step(near, each)]
}

function unpacks(count: number, bits: 4 | 2): string[] {
  const load = bits === 4 ? 'ldrh r3, [r1], #2' : 'ldrb r3, [r1], #1'
  const four = [load, ...spreadBytes('r3', bits), 'str r3, [r0], #4']
  const groups = count >> 2
  const twice = groups % 2 === 0 ? 2 : 1
  const body = Array.from({ length: twice }, () => four).flat()
  return groups > twice ? [`movw r12, #${groups / twice}`, '1:', ...body, 'subs r12, r12, #1', 'bne 1b'] : body
}

/** r0: to, r1: from, r2: the zero point in each byte. */
export function rowRoutine({ before, copied, behind, aligned, bits = 8 }: Row): Routine {
  if (bits < 8)
    return routine(`row_${before}_${copied}_${behind}_of_${bits}`, 0, [
      ...fills(before),
      ...unpacks(copied, bits as 4 | 2),
      ...fills(behind),
    ])
  const name = `row_${before}_${copied}_${behind}${aligned ? '' : '_bytes'}`
  return routine(name, 0, [...fills(before), ...copies(copied, aligned), ...fills(behind)])
}

/** r0: to, r2: the zero point in each byte. `aligned`: it begins at a word. */
export function fillRoutine(count: number, aligned = false): Routine {
  return routine(`fill_${count}${aligned ? '_words' : ''}`, 0, fills(count, aligned))
}

/** The same in loops: into `strip` at `to`, from `x` at `from` (in bytes), with `zero` around it. */
export function rowMeans(
  { before, copied, behind, bits = 8 }: Row,
  strip: Buf,
  to: Expr,
  x: Buf,
  from: Expr,
  zero: Expr,
  name: (base: string) => string,
): Stmt {
  return L.block(
    fillMeans(strip, to, before, zero, name),
    L.loop(name('i'), copied, (i) => L.store(strip, [L.add(L.add(to, i), before)], elementAt(x, from, i, bits))),
    fillMeans(strip, L.add(to, before + copied), behind, zero, name),
  )
}

/** Element `i` behind byte `from`. */
export function elementAt(x: Buf, from: Expr, i: Expr, bits: 8 | 4 | 2): Expr {
  if (bits === 8) return L.load(x, L.add(from, i))
  return elementIn(L.load(x, L.add(from, L.op('shr', i, bits === 4 ? 1 : 2))), i, { bits, signed: false })
}

/** Elements `n` bytes from r1 on become packed at r0. */
export function packRoutine(n: number, bits: 4 | 2): Routine {
  const half = ['orr r3, r3, r3, lsr #4', 'uxtb16 r3, r3', 'orr r3, r3, r3, lsr #8', 'strh r3, [r0], #2']
  const quarter = ['orr r3, r3, r3, lsr #6', 'orr r3, r3, r3, lsr #12', 'strb r3, [r0], #1']
  const body = ['ldr r3, [r1], #4', ...(bits === 4 ? half : quarter)]
  const groups = n >> 2
  const twice = groups % 2 === 0 ? 2 : 1
  return routine(`pack_${n}_to_${bits}`, 0, [
    `movw r12, #${groups / twice}`,
    '1:',
    ...Array.from({ length: twice }, () => body).flat(),
    'subs r12, r12, #1',
    'bne 1b',
  ])
}

/** The same in loops: `n` elements of `from`, into `to` from byte `at` on. */
export function packMeans(n: number, bits: 4 | 2, to: Buf, at: Expr, from: Buf, name: (base: string) => string): Stmt {
  const per = 8 / bits
  return L.loop(name('i'), n / per, (i) => {
    const one = (k: number) => L.op('shl', L.load(from, L.add(L.mul(i, per), k)), k * bits)
    const byte = Array.from({ length: per }, (_, k) => one(k)).reduce((a, b) => L.op('or', a, b))
    return L.store(to, [L.add(at, i)], byte)
  })
}

/** `count` elements `zero` in `strip` from `to` on. */
export function fillMeans(strip: Buf, to: Expr, count: number, zero: Expr, name: (base: string) => string): Stmt {
  return count === 0 ? L.block() : L.loop(name('i'), count, (i) => L.store(strip, [L.add(to, i)], zero))
}
