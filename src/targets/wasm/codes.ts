// The numbers with which sums are requantised in float32 follow from multiplier and shift, but for small choices that a search
// made: units in the last place of the scale, the level, and by how much offsets differ from what rounding suggests. Ten bits
// for each channel say which, and stand beside its shift, so that programs compute the rest when they start.

import * as L from '../../loops/build.ts'
import { type Expr, F64, I64 } from '../../loops/ir.ts'

/** The numbers of a channel. */
export interface Numbers {
  /** Undefined where the output never changes. */
  readonly choice?: Choice
  /** Added to the sum and its gain. */
  readonly offset: number
  readonly scale: number
  /** 1.5 * 2^23 + level. */
  readonly magic: number
  /** Added where a' is negative, in forms that are `signed`. */
  readonly negative: number
}

/** What is the same for all channels: the output's zero point and limits, and how much sums are scaled up, a power of two. */
export interface Common {
  readonly gain: number
  readonly zero: number
  readonly low: number
  readonly high: number
  readonly signed: boolean
}

export const MAGIC = 1.5 * 2 ** 23
/** The bits of MAGIC, which a whole number may be added to. */
export const MAGIC_BITS = 0x4b400000

/** Levels are multiples of it. */
const LEVEL = 32

const KEYS = ['ulps', 'level', 'offset', 'negative'] as const
export type Choice = Readonly<Record<(typeof KEYS)[number], number>>

/** Of a layer: whether negative sums are lowered, and whether words have 32 bits in place of 16. */
export interface Coding {
  readonly signed: boolean
  readonly wide: boolean
}

/** Bits of a word below the shift. */
const bitsOfCode = ({ wide }: Coding) => (wide ? 22 : 10)
/** The last code: nothing is proved, the channel is requantised as specified. Before it: the output never changes. */
const exactOf = (coding: Coding) => 2 ** bitsOfCode(coding) - 1

/** Up to how much choices differ from nothing. */
export function mostOf({ signed, wide }: Coding): Choice {
  if (wide)
    return signed
      ? { ulps: 12, level: 0, offset: 200, negative: 200 }
      : { ulps: 12, level: 4, offset: 1000, negative: 0 }
  return signed ? { ulps: 4, level: 0, offset: 5, negative: 4 } : { ulps: 4, level: 4, offset: 5, negative: 0 }
}

/** 0, 1, -1, 2, -2 and so on. */
export function outward(most: number): number[] {
  return Array.from({ length: 2 * most + 1 }, (_, i) => (i % 2 ? (i + 1) / 2 : -i / 2 + 0))
}

/** A channel's shift and code. */
export function wordOf(shift: number, numbers: Numbers | undefined, coding: Coding): number {
  const most = mostOf(coding)
  const exact = exactOf(coding)
  const code = (choice: Choice) => KEYS.reduce((n, key) => n * (2 * most[key] + 1) + choice[key] + most[key], 0)
  return shift * (exact + 1) + (!numbers ? exact : numbers.choice ? code(numbers.choice) : exact - 1)
}

const cell = new DataView(new ArrayBuffer(4))

/** The float32 of these bits. */
export function floatOf(bits: number): number {
  cell.setInt32(0, bits)
  return cell.getFloat32(0)
}

export function bitsOf(x: number): number {
  cell.setFloat32(0, x)
  return cell.getInt32(0)
}

/** What follows from multiplier and shift without a choice of offsets. */
export function suggested(multiplier: number, shift: number, common: Common, ulps: number, level: number) {
  const { gain, zero, low, high, signed } = common
  const nominal = (multiplier * 2 ** (shift - 31)) / gain
  const scale = floatOf(bitsOf(nominal) + ulps)
  const own = signed ? zero : LEVEL * level
  // the first of two roundings adds half of a unit of its own
  const half = shift < 0 ? (gain * 2 ** 30) / multiplier : 0
  const nearest = (x: number) => Math.floor(x + 0.5)
  // where the scale's error does not count: in the middle of the outputs
  const above = (high - zero) / 2
  const below = (low - zero) / 2
  const offset = nearest(signed ? above / scale - above / nominal + half : (zero - own) / scale + half)
  return { scale, magic: MAGIC + own, offset, negative: nearest(below / scale - below / nominal - half) - offset }
}

/** The same as `suggested` and a choice, in loops. */
export function numbersOf(
  multiplier: Expr,
  word: Expr,
  common: Readonly<Record<'gain' | 'gainLog2' | 'zero' | 'low' | 'high', Expr>>,
  coding: Coding,
  name: (base: string, value: Expr) => Expr,
) {
  const { signed } = coding
  const { gain, gainLog2, zero, low, high } = common
  const most = mostOf(coding)
  const exact = exactOf(coding)
  const shift = name('shift', L.op('shr', word, L.int(bitsOfCode(coding))))
  const code = name('code', L.and(word, exact))
  const choice = {} as Record<keyof Choice, Expr>
  let rest = code
  for (const key of KEYS.toReversed()) {
    const n = 2 * most[key] + 1
    choice[key] = n === 1 ? L.int(0) : L.sub(L.op('rem', rest, L.int(n)), most[key])
    if (n > 1) rest = name('rest', L.op('div', rest, L.int(n)))
  }
  const f64 = (e: Expr) => L.op('toF64', e)
  const real = (value: number): Expr => ({ k: 'const', type: F64, value })
  const exponent = L.op('sub', L.op('sub', shift, gainLog2), L.int(31))
  const plain = L.op('bits', L.op('toF32', multiplier))
  const lowered = name('bits', L.op('wadd', L.op('wadd', plain, L.op('shl', exponent, L.int(23))), choice.ulps))
  const scale = name('scale', f64(L.op('fromBits', lowered)))
  const power = L.op('shl', L.op('extend', L.op('add', exponent, L.int(1023))), { k: 'const', type: I64, value: 52 })
  const nominal = name('nominal', L.op('mul', f64(multiplier), L.op('fromBits', power)))
  const own = name('own', signed ? zero : L.mul(choice.level, LEVEL))
  const rounding = L.op('div', L.op('mul', f64(gain), real(2 ** 30)), f64(multiplier))
  const half = name('half', L.select(L.lt(shift, 0), rounding, real(0)))
  const nearest = (e: Expr) => L.op('toI32', L.op('floor', L.op('add', e, real(0.5))))
  const middle = (to: Expr) => {
    const x = name('middle', L.op('mul', f64(L.op('sub', to, zero)), real(0.5)))
    return L.op('sub', L.op('div', x, scale), L.op('div', x, nominal))
  }
  const level = () => L.op('div', f64(L.op('sub', zero, own)), scale)
  const offset = name('offset', nearest(L.op('add', signed ? middle(high) : level(), half)))
  const negative = signed ? L.op('wsub', nearest(L.op('sub', middle(low), half)), offset) : L.int(0)
  return {
    proved: name('proved', L.op('ne', code, L.int(exact))),
    changes: name('changes', L.op('ne', code, L.int(exact - 1))),
    shift,
    scale: lowered,
    magic: L.op('wadd', own, L.int(MAGIC_BITS)),
    offset: L.op('wadd', offset, choice.offset),
    negative: L.op('min', L.op('wadd', negative, choice.negative), L.int(0)),
  }
}
