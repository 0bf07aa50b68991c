// The routine that multiplies T pixels by C channels at once, for every group of C channels. Pixels come as pairs of words
// for each four inputs: P holds x[0] + 128 and x[2] + 128, Q holds 256 * x[1] + 127 - x[0] and 256 * x[3] + 127 - x[2].
// A weight word V holds 256 * w[0] + w[1] and 256 * w[2] + w[3], so that P * V + Q * sxtb16(V) = 256 * sum(x * w) + 32768 *
// (w[0] + w[2]) + 255 * (w[1] + w[3]): two SMLAD and half an SXTB16 for four products, and no widened weights in flash.

import * as L from '../../loops/build.ts'
import type { Buf, Expr, Stmt } from '../../loops/ir.ts'
import { LR, loadWords, reg, routine } from './assembly.ts'
import { epilogueWords, type Form, requantizeMeans, saturate } from './requantize.ts'

/** What a tile's routine is made for. */
export interface Tile {
  readonly pixels: number
  readonly channels: number
  /** Words of four inputs; the last `plain` of them have weights of 8 bits. */
  readonly words: number
  readonly plain: number
  /** Of a weight, which is unsigned below 8: 8 / bits words are one in memory. Of an output. */
  readonly bits: 8 | 4 | 2
  readonly to: 8 | 4 | 2
  /** Elements between neighbouring pixels of y. */
  readonly stride: number
  readonly form: Pick<Form, 'shift' | 'signed'>
}

/** The tiles whose accumulators, inputs and weights fit the registers, pixels first. */
export const TILES: readonly (readonly [number, number])[] = [
  [4, 2],
  [3, 2],
  [2, 2],
  [1, 5],
  [1, 4],
  [1, 3],
  [1, 2],
  [1, 1],
]

/** Words of weights of one channel as stored. */
export function storedWords({ words, plain, bits }: Pick<Tile, 'words' | 'plain' | 'bits'>): number {
  return Math.ceil(((words - plain) * bits) / 8) + plain
}

/** The registers that are loaded with inputs at once. */
function inputRegisters(pixels: number): number[] {
  return { 1: [2, 3], 2: [2, 3, 4, 5], 3: [2, 3, 4] }[pixels] ?? [2, 3]
}

/** Instructions for `groups` groups of channels. */
export function tileCost({ pixels, channels, words, form, bits }: Tile, groups: number): number {
  const unpacking = bits === 8 ? 0 : ((3 - bits / 4) * channels + 1) * words
  const products = pixels * channels
  const loads = { 1: 1, 2: 1, 3: 2 }[pixels] ?? 4
  const output = 4 + (form.signed ? 2 : 0) + (form.shift === undefined ? 1 : 0)
  return groups * (unpacking + words * (loads + 1 + channels + 2 * products) + products * output + channels + 9)
}

export function tileRoutine(tile: Tile) {
  const { pixels: T, channels: C, words, plain, bits, to, stride, form } = tile
  const X = inputRegisters(T)
  const free = [...Array(11).keys()].map((i) => i + 2).filter((r) => !X.includes(r))
  const acc = free.slice(0, T * C)
  const at = (c: number, i: number) => reg(acc[c * T + i])
  const V = [...free.slice(T * C), LR].slice(0, C)
  const spare = [0, ...X, ...[...free.slice(T * C), LR]]
  const y = spare.at(-1)!
  const own = spare.slice(1, 1 + epilogueWords(form))

  const multiply = (pixels: readonly number[]): string[] => [
    ...V.flatMap((v, c) => pixels.map((i, k) => `smlad ${at(c, i)}, ${reg(X[k])}, ${reg(v)}, ${at(c, i)}`)),
  ]
  const widen = V.map((v) => `sxtb16 ${reg(v)}, ${reg(v)}`)
  const all = [...Array(T).keys()]
  const per = 8 / bits
  /** The weights of a word, the `phase`th of those that stand in one. */
  const weights = (phase: number): string[] => {
    if (bits === 8) return [loadWords(1, V)]
    const names = V.map(reg)
    const again = C === 1 ? `ldr ${names[0]}, [r1, #-4]` : `ldmdb r1, {${names.join(', ')}}`
    return [
      phase === 0 ? loadWords(1, V) : again,
      ...names.flatMap((v) => [
        ...(phase === 0 ? [] : [`lsr ${v}, ${v}, #${bits * phase}`]),
        `and ${v}, ${v}, #${bits === 4 ? '0x0f0f0f0f' : '0x03030303'}`,
      ]),
    ]
  }
  const word = (weights: readonly string[]): string[] => {
    if (T <= 2) {
      const [P, Q] = [X.slice(0, T), X.slice(T)]
      const by = (inputs: readonly number[]) =>
        V.flatMap((v, c) => all.map((i) => `smlad ${at(c, i)}, ${reg(inputs[i])}, ${reg(v)}, ${at(c, i)}`))
      return [loadWords(0, X), ...weights, ...by(P), ...widen, ...by(Q)]
    }
    const parts = T === 3 ? [all] : [all.slice(0, 2), all.slice(2)]
    const half = (weights: readonly string[]) =>
      parts.flatMap((pixels, k) => [loadWords(0, X), ...(k === 0 ? weights : []), ...multiply(pixels)])
    return [...half(weights), ...half(widen)]
  }

  const packed = words - plain
  const [turns, unrolled] = turnsOf(packed, per)
  const loop = (label: string, slot: number) => [
    `ldr ${reg(X[0])}, [sp, #${slot}]`,
    `subs ${reg(X[0])}, ${reg(X[0])}, #1`,
    `str ${reg(X[0])}, [sp, #${slot}]`,
    `bne ${label}b`,
  ]
  const repeat = (n: number) => Array.from({ length: n }, (_, i) => word(weights(i % per))).flat()
  const rest = Array.from({ length: plain }, () => word([loadWords(1, V)])).flat()
  const sums =
    turns > 1
      ? [
          `movw ${reg(X[0])}, #${turns}`,
          `str ${reg(X[0])}, [sp, #4]`,
          '2:',
          ...repeat(unrolled),
          ...loop('2', 4),
          ...repeat(packed - turns * unrolled),
          ...rest,
        ]
      : [...repeat(packed), ...rest]
  const finish = V.flatMap((_, c) => [
    loadWords(1, own),
    ...all.flatMap((i) => {
      const a = at(c, i)
      const [m, offset, ...rest] = own.map(reg)
      const negative = form.signed ? rest.shift()! : ''
      const narrow =
        form.shift === undefined
          ? [`asr ${a}, ${a}, ${rest[0]}`, saturate(a, to, '')]
          : [saturate(a, to, `, asr #${form.shift}`)]
      return [
        ...(form.signed ? [`lsr r0, ${a}, #31`] : []),
        `smmla ${a}, ${a}, ${m}, ${offset}`,
        ...(form.signed ? [`mls ${a}, r0, ${negative}, ${a}`] : []),
        ...narrow,
        `strb ${a}, [${reg(y)}, #${i * stride + c}]`,
      ]
    }),
  ])
  const kind = `${form.signed ? 's' : ''}${form.shift ?? 'v'}`
  const narrow = bits === 8 && to === 8 ? '' : `_${bits}_${to}_${plain}`
  return routine(`tile_${T}x${C}_${4 * words}_${kind}_${stride}${narrow}`, 4, [
    '1:',
    loadWords(
      1,
      V.map((_, c) => acc[c * T]),
    ),
    ...V.flatMap((_, c) => all.slice(1).map((i) => `mov ${at(c, i)}, ${at(c, 0)}`)),
    ...sums,
    `ldr ${reg(y)}, [sp, #8]`,
    ...finish,
    `add ${reg(y)}, ${reg(y)}, #${C}`,
    `str ${reg(y)}, [sp, #8]`,
    ...loop('1', 12).slice(0, 3),
    'ldr r0, [sp, #0]',
    'bne 1b',
  ])
}

/** Passes of the inner loop and words in each: about eight, as many as leave the fewest over. */
function turnsOf(words: number, per: number): [number, number] {
  if (words <= 10) return [1, words]
  const sizes = [8, 7, 6, 5].filter((n) => n % per === 0)
  const unrolled = sizes.reduce((best, n) => (words % n < words % best ? n : best))
  return [Math.floor(words / unrolled), unrolled]
}

/** The same in loops. `px` is (words, 2, pixels), `w` (groups, words of a group); `first` and `to` are its group and element. */
export function tileMeans(
  tile: Tile,
  px: Buf,
  w: Buf,
  y: Buf,
  first: number,
  groups: number,
  to: Expr,
  name: (base: string) => string,
): Stmt {
  const { pixels: T, channels: C, words, plain, bits, to: width, stride, form } = tile
  const stored = storedWords(tile)
  const own = epilogueWords(form)
  const word = (at: Expr, group: Expr, c: Expr) => L.load(w, group, L.add(L.add(L.mul(at, C), c), C))
  const unpacked = (k: Expr, of: (at: Expr) => Expr): Expr => {
    if (bits === 8) return of(k)
    const phase = L.mul(L.and(k, 8 / bits - 1), bits)
    return L.and(L.op('ushr', of(L.op('shr', k, bits === 4 ? 1 : 2)), phase), bits === 4 ? 0x0f0f0f0f : 0x03030303)
  }
  const products = (k: Expr, weight: Expr, acc: Expr, i: Expr): Stmt[] => {
    const [declare, v] = L.declare(name('v'), weight)
    return [
      declare,
      L.set(acc, L.op('smlad', L.load(px, k, 0, i), v, acc)),
      L.set(acc, L.op('smlad', L.load(px, k, 1, i), L.op('sxtb16', v), acc)),
    ]
  }
  return L.loop(name('g'), groups, (g) => {
    const group = L.add(g, first)
    return L.loop(name('i'), T, (i) =>
      L.loop(name('c'), C, (c) => {
        const [start, acc] = L.declare(name('acc'), L.load(w, group, c))
        const number = (k: number) => L.load(w, group, L.add(L.mul(c, own), C + stored * C + k))
        const value = requantizeMeans(form, acc, number, width)
        return [
          start,
          L.loop(name('k'), words - plain, (k) =>
            products(
              k,
              unpacked(k, (at) => word(at, group, c)),
              acc,
              i,
            ),
          ),
          plain === 0
            ? L.block()
            : L.loop(name('k'), plain, (k) => {
                const at = L.add(k, words - plain)
                return products(at, word(L.add(k, stored - plain), group, c), acc, i)
              }),
          L.store(y, [L.add(L.add(L.add(to, L.mul(g, C)), L.mul(i, stride)), c)], value),
        ]
      }),
    )
  })
}
