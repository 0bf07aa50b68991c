// Routines that multiply the windows of a few pixels by the weights of all channels, 16 inputs at a time: VMLADAVA adds 16
// products to a scalar accumulator. With several pixels, two channels at a time, pixels in the lanes of the requantisation
// and four channels in each word that is stored; with one pixel, four channels at a time, channels in the lanes.

import * as L from '../../loops/build.ts'
import type { Buf, Expr, Routine, Stmt } from '../../loops/ir.ts'
import { advance, lanes, routine, setConstant } from './assembly.ts'
import { type Numbers, requantize, requantizeCost, requantizeMeans } from './requantize.ts'

export interface Tile {
  /** 1 to 4. */
  readonly pixels: number
  /** Inputs of a window. */
  readonly inputs: number
  /** Those that are meant; the others may be anything, their weights are 0. */
  readonly meant: number
  /** Bytes from one pixel's window to the next. */
  readonly stride: number
  /** Windows and their distances are at words. */
  readonly aligned: boolean
  /** Of y, from one pixel to the next. */
  readonly channels: number
  readonly signed: boolean
}

/** Channels that stand together in packed weights. */
export function together({ pixels }: Pick<Tile, 'pixels'>): number {
  return pixels === 1 ? 4 : 2
}

/** Channels of one turn of the routine. */
export function turnOf({ pixels, channels }: Pick<Tile, 'pixels' | 'channels'>): number {
  return pixels === 1 || channels % 4 === 0 ? 4 : 2
}

const wordsOf = (inputs: number) => Math.ceil(inputs / 4)

/** Words of packed channels that stand together: weights, then bias and numbers of each. */
export function packedWords(tile: Tile): number {
  return together(tile) * (wordsOf(tile.inputs) + 4)
}

/** Where word `j` of channel `c` stands. */
function wordAt(tile: Tile, c: number, j: number): number {
  const words = wordsOf(tile.inputs)
  const block = j >> 2
  const size = Math.min(4, words - 4 * block)
  return block * 4 * together(tile) + c * size + (j & 3)
}

/** Where number `k` (the bias, then those of `Numbers`) of channel `c` stands. */
function numberAt(tile: Tile, c: number, k: number): number {
  return together(tile) * wordsOf(tile.inputs) + (tile.pixels === 1 ? 4 * k + c : 4 * c + k)
}

/** Weights, bias and numbers of channels that stand together; the rest is 0 where they are fewer. */
export function packChannels(
  tile: Tile,
  channels: readonly { readonly weights: Int8Array; readonly bias: number; readonly numbers: Numbers }[],
): Int32Array {
  const data = new Int32Array(packedWords(tile))
  channels.forEach(({ weights, bias, numbers }, c) => {
    for (let i = 0; i < tile.inputs; i++) data[wordAt(tile, c, i >> 2)] |= (weights[i] & 255) << (8 * (i & 3))
    const { multiplier, offset, left } = numbers
    for (const [k, value] of [bias, multiplier, offset, left].entries()) data[numberAt(tile, c, k)] = value
  })
  return data
}

/** How the blocks of 16 inputs are walked: some at first, a loop of a few at a time, and a part of one. */
interface Walk {
  readonly first: number
  readonly turns: number
  readonly unrolled: number
  /** Inputs of the last, partial block. */
  readonly rest: number
}

/** Blocks without a loop: byte loads reach 127 bytes, word loads 508. */
const unrolledOf = (aligned: boolean) => (aligned ? 9 : 7)

function walkOf({ pixels, inputs, aligned }: Tile): Walk {
  const [whole, rest] = [inputs >> 4, inputs & 15]
  if (whole <= unrolledOf(aligned && pixels > 1)) return { first: whole, turns: 0, unrolled: 0, rest }
  const unrolled = [4, 3, 2].reduce((best, n) => ((whole - 1) % n < (whole - 1) % best ? n : best))
  const turns = Math.floor((whole - 1) / unrolled)
  return { first: whole - turns * unrolled, turns, unrolled, rest }
}

/** Instructions for `turns` turns. */
export function tileCost(tile: Tile, turns: number): number {
  const { pixels: P, channels, signed } = tile
  const { first, turns: loops, unrolled, rest } = walkOf(tile)
  const blocks = first + loops * unrolled + (rest ? 1 : 0)
  if (P === 1) return 20 + turns * (blocks * 9 + (loops ? loops + 4 : 0) + 12 + requantizeCost(signed))
  const resident = blocks === 1
  const block = resident ? 2 + 2 * P : 2 + 3 * P
  const pair = blocks * block + (rest && !resident ? 1 : 0) + (loops ? 2 * loops + 1 + P : 0)
  const output = 7 + 2 * (1 + requantizeCost(signed))
  const store = channels % 4 === 0 ? 3 : channels % 2 === 0 ? 8 : 11
  return 40 + turns * ((turnOf(tile) / 2) * (pair + output) + store)
}

const ACCUMULATORS = ['r0', 'r2', 'r4', 'r6', 'r8', 'r10', 'r12', 'lr']
const POINTERS = ['r1', 'r3', 'r5', 'r7']

/** r0: the first window, r1: packed weights, r2: y, r3: turns. */
export function tileRoutine(tile: Tile, stored = 4): Routine {
  return tile.pixels === 1 ? single(tile, stored) : several(tile)
}

function nameOf({ pixels, inputs, stride, aligned, channels, signed }: Tile): string {
  const kind = `${aligned ? '' : '_bytes'}${signed ? '_signed' : ''}`
  return pixels === 1 ? `helium_${inputs}${kind}` : `helium_${pixels}x${inputs}_${stride}_${channels}${kind}`
}

function several(tile: Tile): Routine {
  const { pixels: P, stride, aligned, channels, signed } = tile
  const { first, turns, unrolled, rest } = walkOf(tile)
  const words = channels % 4 === 0
  const resident = first + turns * unrolled + (rest ? 1 : 0) === 1
  const X = Array.from({ length: P }, (_, p) => `q${4 + p}`)
  const from = POINTERS.slice(0, P)
  const acc = [0, 1].map((c) => ACCUMULATORS.slice(4 * c, 4 * c + P))
  // lanes without a pixel repeat another's
  const laneOf = (regs: readonly string[]) => [0, 1, 2, 3].map((i) => regs[i < P ? i : P === 3 ? 2 : i - 2])
  const load = aligned ? 'vldrw' : 'vldrb'
  const type = aligned ? 'u32' : 'u8'

  const inputsAt = (p: number, at: number, partial: boolean) => {
    const address = turns ? `[${from[p]}], #16` : `[${from[p]}${at ? `, #${at}` : ''}]`
    return `${load}${partial ? 't' : ''}.${type} ${X[p]}, ${turns && partial ? `[${from[p]}]` : address}`
  }
  const weights = (size: number) => ['q0', 'q1'].map((q) => `vldrw.u32 ${q}, [r9], #${size}`)
  const mask = ['vpst', 'vpstt', 'vpsttt', 'vpstttt'][P - 1]
  const block = (at: number, start: boolean, partial = false): string[] => {
    const multiply = (p: number) => [0, 1].map((c) => `vmladav${start ? '' : 'a'}.s8 ${acc[c][p]}, q${c}, ${X[p]}`)
    const loads = from.map((_, p) => inputsAt(p, at, partial))
    const w = weights(partial ? 4 * wordsOf(rest) : 16)
    if (resident) return [...w, ...from.flatMap((_, p) => multiply(p))]
    if (partial) return [...w, mask, ...loads, ...from.flatMap((_, p) => multiply(p))]
    return [...w, ...loads.flatMap((l, p) => [l, ...multiply(p)])]
  }
  const sums = [
    ...Array.from({ length: first }, (_, k) => block(16 * k, k === 0)).flat(),
    ...(turns
      ? [
          ...setConstant('r11', turns),
          '2:',
          ...Array.from({ length: unrolled }, () => block(0, false)).flat(),
          'subs r11, r11, #1',
          'bne 2b',
        ]
      : []),
    ...(rest ? block(16 * first, first === 0, true) : []),
    ...(turns ? from.flatMap((r) => advance(r, -16 * (first + turns * unrolled))) : []),
  ]
  const numbersOf = (c: number) => ACCUMULATORS.slice(4 * c, 4 * c + 4)
  const loaded = (registers: readonly string[]) => `ldm r9!, {${registers.join(', ')}}`
  const result = (q: string, c: number, spare?: string): string[] => {
    const [bias, ...numbers] = numbersOf(c)
    return [`vadd.i32 ${q}, ${q}, ${bias}`, ...requantize(q, numbers, spare)]
  }
  // the second of two signed channels may use what `between` sets free
  const both = (a: string, b: string, between: readonly string[], spares: readonly string[]): string[] => {
    const [p, q] = [lanes(a, laneOf(acc[0])), lanes(b, laneOf(acc[1]))]
    if (!signed) return [...sums, ...p, ...q, loaded(ACCUMULATORS), ...result(a, 0), ...result(b, 1), ...between]
    const first = [...p, loaded(numbersOf(0)), ...result(a, 0, spares[0])]
    return [...sums, ...first, ...between, ...q, loaded(numbersOf(1)), ...result(b, 1, spares[1])]
  }
  const counter = words && !turns
  const store = words
    ? ['vsri.32 q1, q0, #8', 'vstrw.32 q1, [q3, #4]!']
    : channels % 2 === 0
      ? [
          'vsri.32 q1, q0, #8',
          'vshr.u32 q1, q1, #16',
          'ldr r0, [sp]',
          'vstrh.32 q1, [r0, q3]',
          'adds r0, #2',
          'str r0, [sp]',
        ]
      : [
          'ldr r0, [sp]',
          ...['q0', 'q1'].flatMap((q) => [`vshr.u32 ${q}, ${q}, #24`, `vstrb.32 ${q}, [r0, q3]`, 'adds r0, #1']),
          'str r0, [sp]',
        ]
  const turn = words
    ? [
        ...both('q0', 'q2', [], ['q1', 'q1']),
        'vsri.32 q2, q0, #8',
        ...both('q0', 'q1', ['vsri.32 q0, q2, #8'], ['q1', 'q2']),
        ...store,
      ]
    : [...both('q0', 'q1', [], ['q1', 'q2']), ...store]
  const [head, ...others] = laneOf(['r4', 'r6', 'r8', 'r10'].slice(0, P))
  const places = ['r6', 'r8', 'r10'].slice(0, P - 1).flatMap((r, i) => advance(r, channels, ['r4', 'r6', 'r8'][i]))
  return routine(nameOf(tile), { vectors: P, words: counter ? 0 : 2 }, [
    words ? 'subs r4, r2, #4' : 'movs r4, #0',
    ...places,
    ...lanes('q3', [head, ...others]),
    ...(counter ? ['mov r11, r3'] : ['strd r2, r3, [sp]']),
    'mov r9, r1',
    'mov r1, r0',
    ...from.slice(1).flatMap((r, i) => advance(r, stride, from[i])),
    ...(rest ? [`movs r0, #${aligned ? wordsOf(rest) : rest}`, aligned ? 'vctp.32 r0' : 'vctp.8 r0'] : []),
    ...(resident ? [...(rest ? [mask] : []), ...from.map((_, p) => inputsAt(p, 0, rest > 0))] : []),
    '1:',
    ...turn,
    ...(counter ? ['subs r11, r11, #1'] : ['ldr r0, [sp, #4]', 'subs r0, r0, #1', 'str r0, [sp, #4]']),
    'bne 1b',
  ])
}

function single(tile: Tile, stored: number): Routine {
  const { signed } = tile
  const { first, turns, unrolled, rest } = walkOf(tile)
  const acc = ['r4', 'r6', 'r8', 'r10']
  const block = (at: number, start: boolean, partial = false): string[] => [
    ...(partial ? ['vpst'] : []),
    `vldrb${partial ? 't' : ''}.u8 q0, ${turns ? (partial ? '[r5]' : '[r5], #16') : `[r0${at ? `, #${at}` : ''}]`}`,
    ...acc.flatMap((r, c) => [
      `vldrw.u32 q${1 + (c % 3)}, [r1], #${partial ? 4 * wordsOf(rest) : 16}`,
      `vmladav${start ? '' : 'a'}.s8 ${r}, q${1 + (c % 3)}, q0`,
    ]),
  ]
  const tail = `movs r7, #${rest}`
  return routine(`${nameOf(tile)}${stored < 4 ? `_${stored}` : ''}`, {}, [
    ...(rest ? [tail, 'vctp.8 r7'] : []),
    '1:',
    ...(turns ? ['mov r5, r0'] : []),
    ...Array.from({ length: first }, (_, k) => block(16 * k, k === 0)).flat(),
    ...(turns
      ? [
          ...setConstant('r7', turns),
          'dls lr, r7',
          '2:',
          ...Array.from({ length: unrolled }, () => block(0, false)).flat(),
          'le lr, 2b',
        ]
      : []),
    ...(rest ? block(16 * first, first === 0, true) : []),
    ...lanes('q0', acc),
    'vldrw.u32 q1, [r1], #16',
    'vldrw.u32 q2, [r1], #16',
    'vadd.i32 q0, q0, q1',
    'vqrdmulh.s32 q0, q0, q2',
    ...(signed ? ['vshr.s32 q1, q0, #31', 'vadd.i32 q0, q0, q1'] : []),
    'vldrw.u32 q1, [r1], #16',
    'vldrw.u32 q2, [r1], #16',
    'vadd.i32 q0, q0, q1',
    'vqshl.s32 q0, q0, q2',
    'vshr.s32 q0, q0, #24',
    ...(stored < 4 ? [`movs r7, #${stored}`, 'vctp.32 r7', 'vpst', 'vstrbt.32 q0, [r2]'] : ['vstrb.32 q0, [r2], #4']),
    'subs r3, r3, #1',
    'bne 1b',
  ])
}

/** The same in loops: `turns` turns from packed channels `first` on, windows in `x` at `from`, outputs in `y` at `to`. */
export function tileMeans(
  tile: Tile,
  x: Buf,
  from: Expr,
  w: Buf,
  y: Buf,
  first: number,
  turns: number,
  to: Expr,
  name: (base: string) => string,
  stored = 4,
): Stmt {
  const { pixels, meant, stride, channels, signed } = tile
  const G = together(tile)
  const words = wordsOf(meant)
  const whole = meant >> 4
  return L.loop(name('g'), (turns * turnOf(tile)) / G, (g) => {
    const group = L.add(g, first)
    return L.loop(name('p'), pixels, (p) => {
      const window = L.add(from, L.mul(p, stride))
      return Array.from({ length: Math.min(G, stored) }, (_, c): Stmt => {
        const number = (k: number) => L.load(w, group, numberAt(tile, c, k))
        const [start, acc] = L.declare(name('acc'), number(0))
        const word = (at: Expr, i: Expr, bytes: number): Stmt[] => {
          const [declare, v] = L.declare(name('v'), L.load(w, group, at))
          const products = Array.from({ length: bytes }, (_, b) => {
            const weight = L.op('shr', b === 3 ? v : L.op('shl', v, 24 - 8 * b), 24)
            return L.set(acc, L.op('wadd', acc, L.op('wmul', L.load(x, L.add(L.add(window, i), b)), weight)))
          })
          return [declare, ...products]
        }
        const blocks = L.loop(name('k'), whole, (k) =>
          L.loop(name('j'), 4, (j) => {
            const at = L.add(L.add(L.mul(k, 4 * G), j), 4 * c)
            return word(at, L.add(L.mul(k, 16), L.mul(j, 4)), 4)
          }),
        )
        const rest = Array.from({ length: words - 4 * whole }, (_, j) =>
          word(
            L.int(wordAt(tile, c, 4 * whole + j)),
            L.int(16 * whole + 4 * j),
            Math.min(4, meant - 16 * whole - 4 * j),
          ),
        )
        const place = L.add(L.add(L.add(to, L.mul(g, G)), L.mul(p, channels)), c)
        const value = requantizeMeans(signed, acc, [number(1), number(2), number(3)])
        return L.block(start, ...(whole ? [blocks] : []), ...rest.flat(), L.store(y, [place], value))
      })
    })
  })
}
