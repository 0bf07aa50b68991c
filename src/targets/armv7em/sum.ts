// Sums of two int8 tensors of one shape, requantised: sat8((offset + floor(ka * a / 2^8) + floor(kb * b / 2^8)) >> shift) by
// SMLAW, four elements at a time. Whether that is TensorFlow Lite's sum (three roundings) is checked for all 65,536 pairs.

import type { Call } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr, type Routine, type Stmt } from '../../loops/ir.ts'
import { argsOf, knownIn } from '../known.ts'
import { unmasked } from '../masks.ts'
import type { Recipe } from '../target.ts'
import { LR, routine, setConstant } from './assembly.ts'

/** One summand: 2^left * (x - zero), requantised. */
export interface Term {
  readonly buf: string
  readonly zero: number
  readonly left: number
  readonly multiplier: number
  readonly shift: number
}

export interface Sum {
  readonly a: Term
  readonly b: Term
  readonly y: string
  readonly elements: number
  readonly multiplier: number
  readonly shift: number
  readonly zero: number
}

const LONGEST = 22

/** The sum of two tensors of one shape that this call is, or undefined. */
export function sumOf(call: Call): Sum | undefined {
  const { kernel } = call
  const registers = new Map<string, Expr>()
  const number = knownIn(call, (name) => registers.get(name))
  const body = kernel.body.s === 'block' ? kernel.body.body : [kernel.body]
  for (const s of body.slice(0, -1)) {
    if (s.s !== 'let' || number(s.value) === undefined) return undefined
    registers.set(s.name, s.value)
  }
  const loop = body.at(-1)
  if (loop?.s !== 'for' || !loop.parallel || loop.body.s !== 'store') return undefined
  const store = loop.body
  const here = (at: readonly Expr[]) => at.length === 1 && at[0].k === 'var' && at[0].name === loop.v
  const [low, hi] = argsOf(store.value, 'min')
  const [value, lo] = argsOf(low, 'max')
  const [scaled, zero] = argsOf(value, 'add', 'wadd')
  const [sum, multiplier, shift] = argsOf(scaled, 'requant')
  const terms = argsOf(sum, 'add', 'wadd').map((e): Term | undefined => {
    const [shifted, m, s] = argsOf(e, 'requant')
    const [difference, factor] = argsOf(shifted, 'mul')
    const [x, z] = argsOf(difference, 'sub')
    const [by, times, right, from] = [number(m), number(factor), number(s), number(z)]
    if (x?.k !== 'load' || !here(x.at) || kernel.bufs.find((b) => b.name === x.buf)?.elem !== 'i8') return undefined
    if (by === undefined || times === undefined || right === undefined || from === undefined) return undefined
    return { buf: x.buf, zero: from, left: times, multiplier: by, shift: right }
  })
  const [a, b] = terms
  const [m, s, z] = [number(multiplier), number(shift), number(zero)]
  if (!a || !b || !here(store.at) || number(lo) !== -128 || number(hi) !== 127) return undefined
  if (m === undefined || s === undefined || z === undefined) return undefined
  return { a, b, y: store.buf, elements: loop.extent, multiplier: m, shift: s, zero: z }
}

interface Form {
  readonly a: number
  readonly b: number
  readonly offset: number
  readonly shift: number
}

/** floor(k * x * 2^8 / 2^16) of all int8 x. */
function scaled(k: number): Float64Array {
  return Float64Array.from({ length: 256 }, (_, i) => Math.floor((k * (i - 128)) / 256))
}

/** How much the output grows with a summand. */
export function slopeOf({ multiplier, shift }: Sum, term: Term): number {
  const real = (m: number, s: number) => m * 2 ** (s - 31)
  return term.left * real(term.multiplier, term.shift) * real(multiplier, shift)
}

/** The output of each pair of int8 between `low` and `high`: 256 for each a. */
export function levelsOf({ a, b, multiplier, shift, zero }: Sum, low = -128, high = 127): Int16Array {
  const parts = (t: Term) =>
    Int32Array.from({ length: 256 }, (_, i) => requant((i - 128 - t.zero) * t.left, t.multiplier, t.shift))
  const [pa, pb] = [parts(a), parts(b)]
  const levels = new Int16Array(65536)
  for (let i = 0; i < 256; i++)
    for (let j = 0; j < 256; j++)
      levels[256 * i + j] = Math.max(low, Math.min(high, requant((pa[i] + pb[j]) | 0, multiplier, shift) + zero))
  return levels
}

/** `beyond`: values beyond the limits are told from those at them. */
function formOf(sum: Sum, beyond: boolean): Form | undefined {
  const [low, high] = beyond ? [-129, 128] : [-128, 127]
  const levels = levelsOf(sum, low, high)
  const [ra, rb] = [slopeOf(sum, sum.a), slopeOf(sum, sum.b)]
  const most = Math.min(LONGEST, Math.floor(22 - Math.log2(Math.max(Math.abs(ra), Math.abs(rb)))))
  if (most < 8) return undefined
  const unit = 2 ** most
  for (const da of [0, 1, -1, 2, -2])
    for (const db of [0, 1, -1, 2, -2]) {
      const [ka, kb] = [Math.round(ra * unit * 256) + da, Math.round(rb * unit * 256) + db]
      if (Math.abs(ka) >= 2 ** 31 || Math.abs(kb) >= 2 ** 31) continue
      const [fa, fb] = [scaled(ka), scaled(kb)]
      let [from, to] = [-(2 ** 30), 2 ** 30]
      for (let i = 0; i < 256 && from <= to; i++)
        for (let j = 0; j < 256; j++) {
          const level = levels[256 * i + j]
          const r = fa[i] + fb[j]
          if (level > low) from = Math.max(from, level * unit - r)
          if (level < high) to = Math.min(to, (level + 1) * unit - 1 - r)
        }
      const offset = Math.max(from, Math.min(to, 0))
      const fits = [fa[0], fa[255]].every((x) => [fb[0], fb[255]].every((z) => Math.abs(x + z + offset) < 2 ** 31))
      if (from <= to && fits) return { a: ka, b: kb, offset, shift: most }
    }
  return undefined
}

/** How a machine sums: as many elements as `count` steps of so many, r0: a, r1: b, r2: y, r3: ka, kb and the offset. */
export interface Adder {
  readonly step: number
  routine(count: number, shift: number): Routine
}

const lane = (to: number, from: number, k: number, half: string, start: string) =>
  `smlaw${half} r${to}, r${k}, r${from}, ${start}`

/** The sums of four elements: of bytes 0 to 3 in r8, r10, r9 and r11. */
const FOUR = [
  'ldr r6, [r0], #4',
  'ldr r7, [r1], #4',
  'bic r8, r6, #0x00ff00ff',
  'bic r9, r7, #0x00ff00ff',
  lane(10, 8, 3, 'b', 'r5'),
  lane(10, 9, 4, 'b', 'r10'),
  lane(11, 8, 3, 't', 'r5'),
  lane(11, 9, 4, 't', 'r11'),
  'lsl r6, r6, #8',
  'lsl r7, r7, #8',
  'bic r6, r6, #0x00ff00ff',
  'bic r7, r7, #0x00ff00ff',
  lane(8, 6, 3, 'b', 'r5'),
  lane(8, 7, 4, 'b', 'r8'),
  lane(9, 6, 3, 't', 'r5'),
  lane(9, 7, 4, 't', 'r9'),
]

function sumRoutine(words: number, shift: number): Routine {
  return routine(`sum_${words}_${shift}`, 0, [
    'ldmia r3, {r3, r4, r5}',
    ...setConstant(LR, words),
    '1:',
    ...FOUR,
    ...[8, 9, 10, 11].map((r) => `ssat r${r}, #8, r${r}, asr #${shift}`),
    'bfi r8, r10, #8, #8',
    'bfi r8, r9, #16, #8',
    'bfi r8, r11, #24, #8',
    'str r8, [r2], #4',
    'subs lr, lr, #1',
    'bne 1b',
  ])
}

/** The same eight at a time, with a bit for each that says whether it was within int8: their first byte is on the stack. */
function maskedRoutine(eights: number, shift: number): Routine {
  const four = (first: number) => [
    ...FOUR,
    ...[8, 10, 9, 11].flatMap((r, i) => [
      `ssat r6, #8, r${r}, asr #${shift}`,
      `cmp r6, r${r}, asr #${shift}`,
      'it eq',
      `orreq r12, r12, #${2 ** (first + i)}`,
      i === 0 ? 'mov r7, r6' : `bfi r7, r6, #${8 * i}, #8`,
    ]),
    'str r7, [r2], #4',
  ]
  return routine(`masked_sum_${eights}_${shift}`, 0, [
    'ldmia r3, {r3, r4, r5}',
    ...setConstant(LR, eights),
    '1:',
    'mov r12, #0',
    ...four(0),
    ...four(4),
    'ldr r6, [sp, #36]',
    'strb r12, [r6], #1',
    'str r6, [sp, #36]',
    'subs lr, lr, #1',
    'bne 1b',
  ])
}

/** Buffers of `n` elements, and the value of one before it is saturated. */
function elements(n: number, form: Form) {
  const [a, b] = [L.buffer('a', 'i8', [n]), L.buffer('b', 'i8', [n])]
  const y = L.buffer('y', 'i8', [n], 'write')
  const k = L.buffer('k', 'i32', [3])
  const part = (x: Expr, factor: Expr): Expr => {
    const whole = L.op('mul', L.op('extend', x), L.op('extend', factor))
    return L.op('wrap', L.op('shr', whole, L.long(8)))
  }
  const before = (i: Expr): Expr => {
    const first = L.op('add', part(L.load(a, i), L.load(k, 0)), L.load(k, 2))
    return L.op('shr', L.op('add', first, part(L.load(b, i), L.load(k, 1))), form.shift)
  }
  return { a, b, y, k, before }
}

export function summed(call: Call, { step, routine }: Adder): Call | undefined {
  const sum = sumOf(call)
  const form = sum && formOf(sum, false)
  if (!form) return undefined
  const bound = (name: string) => call.args[call.kernel.bufs.findIndex((b) => b.name === name)]
  const n = sum.elements
  const steps = Math.floor(n / step)
  if (steps === 0 || call.kernel.bufs.some((b) => b.name === sum.y && count(b.shape) !== n)) return undefined
  const { a, b, y, k, before } = elements(n, form)
  const one = (i: Expr): Stmt => L.store(y, [i], L.clamp(before(i), -128, 127))
  const quads: Stmt = {
    s: 'asm',
    means: L.loop('i', step * steps, one),
    routine: routine(steps, form.shift),
    args: [L.load(a, 0), L.load(b, 0), L.load(y, 0), L.load(k, 0)],
  }
  const rest = n % step === 0 ? L.block() : L.loop('j', n % step, (j) => one(L.add(j, step * steps)))
  return {
    kernel: L.kernel(call.kernel.name, [a, b, k, y], quads, rest),
    args: [bound(sum.a.buf), bound(sum.b.buf), { data: Int32Array.of(form.a, form.b, form.offset) }, bound(sum.y)],
  }
}

/** Four sums at a time. */
export const sum: Recipe = {
  name: 'sums of smlaw',
  apply: (call) => summed(call, { step: 4, routine: sumRoutine }),
}

function masked(call: Call): Call | undefined {
  const found = unmasked(call)
  const sum = found && sumOf(found.plain)
  const form = sum && formOf(sum, true)
  if (!found || !sum || !form || sum.elements % 8 !== 0) return undefined
  const { plain } = found
  const bound = (name: string) => plain.args[plain.kernel.bufs.findIndex((b) => b.name === name)]
  const n = sum.elements
  const { a, b, y, k, before } = elements(n, form)
  const mask = L.buffer('mask', 'u8', [n / 8], 'write')
  const means = L.loop('j', n / 8, (j) => {
    const [none, bits] = L.declare('bits', 0)
    const eight = L.loop('i', 8, (bit) => {
      const [where, i] = L.declare('at', L.add(L.mul(j, 8), bit))
      const [declare, v] = L.declare('before', before(i))
      const within = L.and(L.ge(v, -128), L.op('le', v, 127))
      return [
        where,
        declare,
        L.store(y, [i], L.clamp(v, -128, 127)),
        L.set(bits, L.op('or', bits, L.op('shl', within, bit))),
      ]
    })
    return [none, eight, L.store(mask, [j], bits)]
  })
  const asm: Stmt = {
    s: 'asm',
    means,
    routine: maskedRoutine(n / 8, form.shift),
    args: [L.load(a, 0), L.load(b, 0), L.load(y, 0), L.load(k, 0), L.load(mask, 0)],
  }
  const numbers = { data: Int32Array.of(form.a, form.b, form.offset) }
  return {
    kernel: L.kernel(call.kernel.name, [a, b, k, y, mask], asm),
    args: [bound(sum.a.buf), bound(sum.b.buf), numbers, bound(sum.y), found.mask.arg],
  }
}

/** Eight sums at a time, with their mask. */
export const maskedSum: Recipe = { name: 'masked sums of smlaw', apply: masked }
