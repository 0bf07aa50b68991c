// The routines of a plane: `planes` brings four channels side by side into planes with the padding around them, `plane` walks one. A
// word at an even place gives A(s) = (x[s], x[s + 2]) by SXTB16 and A(s + 1) by SXTB16 of the word turned by 8 bits; taps are
// taken in pairs (w[t], w[t + 2]) by SMLAD, the odd one out by SMLABB or SMLATB.

import * as L from '../../loops/build.ts'
import type { Buf, Expr, Routine, Stmt } from '../../loops/ir.ts'
import type { Products } from '../sum_of_products.ts'
import { addConstant, LR, loadWords, reg, routine } from './assembly.ts'
import type { Axis, Depthwise } from './depthwise.ts'
import { epilogueWords, type Form, requantized, requantizeMeans } from './requantize.ts'

/** Taps in pairs (w[t], w[t + 2]), and those left over. */
function tapsOf(taps: number): { pairs: number[]; singles: number[] } {
  const pairs: number[] = []
  const singles: number[] = []
  for (let t = 0; t < taps; t += 4) {
    const left = taps - t
    if (left >= 3) pairs.push(t)
    if (left >= 4) pairs.push(t + 1)
    if (left === 3) singles.push(t + 1)
    if (left < 3) for (let i = t; i < taps; i++) singles.push(i)
  }
  return { pairs, singles }
}

/** Where a tap's weight stands: in which of the channel's words, and in its upper half or not. */
interface Lane {
  readonly kh: number
  readonly kw: number
  readonly word: number
  readonly top: boolean
}

/** A plane's geometry, and what its routine is made for. */
export interface Plane {
  readonly row: Axis
  readonly column: Axis
  readonly channels: number
  /** Outputs at once. */
  readonly outputs: number
  /** Bytes of a row, and rows. */
  readonly width: number
  readonly height: number
  readonly form: Pick<Form, 'shift' | 'signed'>
  /** Sums start from what the call gives, and a bit for each result says whether it was within int8. */
  readonly masked?: boolean
}

const REGISTERS = 5

/** Whether the weights of all rows stay in registers. */
export function isResident({
  row,
  column,
  outputs,
  form,
  masked,
}: Omit<Plane, 'channels' | 'width' | 'height'>): boolean {
  const { pairs, singles } = tapsOf(column.taps)
  const free = 9 - outputs + (epilogueWords(form) > 2 || masked ? 0 : 1)
  return row.taps * pairs.length + Math.ceil((row.taps * singles.length) / 2) <= free
}

/** The lanes of every tap, and the words of one channel: pairs first, then single taps two in a word; row by row unless resident. */
export function lanesOf(
  { row, column }: Pick<Plane, 'row' | 'column'>,
  resident: boolean,
): { lanes: Lane[]; perRow: number; words: number } {
  const { pairs, singles } = tapsOf(column.taps)
  const rows = [...Array(row.taps).keys()]
  const lanes: Lane[] = []
  const perRow = pairs.length + Math.ceil(singles.length / 2)
  for (const kh of rows) {
    const first = resident ? kh * pairs.length : kh * perRow
    for (const [i, t] of pairs.entries())
      lanes.push({ kh, kw: t, word: first + i, top: false }, { kh, kw: t + 2, word: first + i, top: true })
    for (const [i, t] of singles.entries()) {
      const place = resident ? row.taps * pairs.length * 2 + kh * singles.length + i : (first + pairs.length) * 2 + i
      lanes.push({ kh, kw: t, word: place >> 1, top: place % 2 === 1 })
    }
  }
  const words = Math.max(...lanes.map((l) => l.word)) + 1
  return { lanes, perRow, words }
}

/** One instruction of a row: an input A(s) or one of its halves, by a word or half a word of weights, into an output. */
interface Product {
  readonly s: number
  readonly tap: number
  readonly half?: 'b' | 't'
  readonly output: number
}

function productsOf(column: Axis, outputs: number): Product[] {
  const { pairs, singles } = tapsOf(column.taps)
  const products: Product[] = []
  const loaded = new Set<number>()
  for (let output = 0; output < outputs; output++)
    for (const tap of pairs) {
      const s = output * column.stride + tap
      products.push({ s, tap, output })
      loaded.add(s)
    }
  for (let output = 0; output < outputs; output++)
    for (const tap of singles) {
      const at = output * column.stride + tap
      const top = !loaded.has(at) && loaded.has(at - 2)
      const s = top ? at - 2 : at
      loaded.add(s)
      products.push({ s, tap, half: top ? 't' : 'b', output })
    }
  return products.sort((a, b) => a.s - b.s)
}

/** Bytes beyond the first input of a group that its loads reach. */
function reach(column: Axis, outputs: number): number {
  return Math.max(...productsOf(column, outputs).map((p) => (p.s & ~1) + 4))
}

function planeCost(plane: Omit<Plane, 'channels' | 'width' | 'height'>): number {
  const { row, column, outputs, form, masked } = plane
  const products = productsOf(column, outputs)
  const words = new Set(products.map((p) => p.s >> 1)).size
  const line = words + new Set(products.map((p) => p.s)).size + products.length + (isResident(plane) ? 0 : 1)
  const output = 3 + (form.signed ? 3 : 0) + (form.shift === undefined ? 1 : 0) + (masked ? 5 : 0)
  const groups = Math.ceil(column.output / outputs)
  return row.output * (groups * (row.taps * line + outputs * output + 10) + 6)
}

/**
 * r0: the plane, r1: the channel's numbers, r2: the channel's first output. Where it is masked r3: what is added to the sums'
 * start, and on the stack the first output's byte of the mask, and the channel's bit.
 */
export function planeRoutine(plane: Plane): Routine {
  const { row, column, channels, outputs: U, width, form, masked } = plane
  const resident = isResident(plane)
  const products = productsOf(column, U)
  const { lanes, perRow, words } = lanesOf(plane, resident)
  const acc = Array.from({ length: U }, (_, i) => i + 4)
  const free = [...Array.from({ length: 8 - U }, (_, i) => 4 + U + i), LR]
  const own = epilogueWords(form)
  const weights = resident ? [...free, 1].slice(0, words) : free.slice(0, perRow)
  // on the stack: what each sum starts from, the requantisation, two counters, where the weights stand
  const numbers = 4 * U
  const groupSlot = numbers + 4 * own
  const [rowSlot, weightSlot, frame] = [groupSlot + 4, groupSlot + 8, groupSlot + 12]
  const whole = Math.floor(column.output / U)
  const over = column.output % U === 0 ? 0 : U - (column.output % U)
  const groups = whole + (over ? 1 : 0)

  const laneOf = new Map(lanes.map((l) => [`${l.kh} ${l.kw}`, l]))
  const line = (r: number): string[] => {
    const register = (word: number) => reg(weights[resident ? word : word - r * perRow])
    const by = (input: string, all: readonly Product[]) =>
      all.map(({ tap, half, output }) => {
        const lane = laneOf.get(`${r} ${tap}`)!
        const op = half ? `smla${half}${lane.top ? 't' : 'b'}` : 'smlad'
        return `${op} ${reg(acc[output])}, ${input}, ${register(lane.word)}, ${reg(acc[output])}`
      })
    const out = resident ? [] : [loadWords(1, weights)]
    for (const at of [...new Set(products.map((p) => p.s & ~1))]) {
      const [even, odd] = [products.filter((p) => p.s === at), products.filter((p) => p.s === at + 1)]
      out.push(`ldr r3, [r0, #${r * width + at}]`)
      if (even.length) out.push('sxtb16 r12, r3', ...by('r12', even))
      if (odd.length) out.push('sxtb16 r12, r3, ror #8', ...by('r12', odd))
    }
    return out
  }
  const [maskSlot, bitSlot] = [frame + 36, frame + 40]
  const masks = [
    `ldr r12, [sp, #${maskSlot}]`,
    `ldr r1, [sp, #${bitSlot}]`,
    ...acc
      .map(reg)
      .flatMap((a, i) => [
        ...(form.shift === undefined
          ? [`ssat r3, #8, ${a}`, `cmp r3, ${a}`]
          : [`ssat r3, #8, ${a}, asr #${form.shift}`, `cmp r3, ${a}, asr #${form.shift}`]),
        `strb r3, [r2, #${i * channels}]`,
        `ldrb r3, [r12, #${(i * channels) / 8}]`,
        ...['it eq', 'orreq r3, r3, r1'],
        `strb r3, [r12, #${(i * channels) / 8}]`,
      ]),
  ]
  const scaled = acc
    .map(reg)
    .flatMap((a) => [
      ...(form.signed ? [`cmp ${a}, #0`] : []),
      `smmla ${a}, ${a}, r3, r12`,
      ...(form.signed ? ['it lt', `sublt ${a}, ${a}, r1`] : []),
      ...(form.shift === undefined ? [`asr ${a}, ${a}, r1`] : []),
    ])
  const plain = acc
    .map(reg)
    .flatMap((a, i) => [
      ...(form.signed ? [`cmp ${a}, #0`] : []),
      `smmla ${a}, ${a}, r3, r12`,
      ...(form.signed ? ['it lt', `sublt ${a}, ${a}, r1`] : []),
      ...(form.shift === undefined
        ? [`asr ${a}, ${a}, r1`, `ssat ${a}, #8, ${a}`]
        : [`ssat ${a}, #8, ${a}, asr #${form.shift}`]),
      `strb ${a}, [r2, #${i * channels}]`,
    ])
  const counted = (slot: number) => [`ldr r3, [sp, #${slot}]`, 'subs r3, r3, #1', `str r3, [sp, #${slot}]`]
  const by = (outputs: number) => [
    ...addConstant(0, outputs * column.stride, 3),
    ...addConstant(2, outputs * channels, 3),
    ...(masked
      ? [`ldr r3, [sp, #${maskSlot}]`, ...addConstant(3, (outputs * channels) / 8, 12), `str r3, [sp, #${maskSlot}]`]
      : []),
  ]
  const back = by(-over)
  const again = over
    ? [...counted(groupSlot), 'beq 3f', 'cmp r3, #1', 'bne 2b', ...back, 'b 2b', '3:']
    : [...counted(groupSlot), 'bne 2b']
  return routine(
    `plane_${row.taps}x${column.taps}_${row.stride}${column.stride}_${row.output}x${column.output}_${width}_${channels}_${form.signed ? 's' : ''}${form.shift ?? 'v'}${masked ? '_masked' : ''}`,
    0,
    [
      `sub sp, sp, #${frame}`,
      ...(masked ? ['ldr r12, [r1], #4', 'add r3, r3, r12'] : ['ldr r3, [r1], #4']),
      ...acc.map((_, i) => `str r3, [sp, #${4 * i}]`),
      ...Array.from({ length: own }, (_, k) => ['ldr r3, [r1], #4', `str r3, [sp, #${numbers + 4 * k}]`]).flat(),
      ...(resident
        ? weights.map((w) => `ldr ${reg(w)}, [r1], #4`.replace('ldr r1, [r1], #4', 'ldr r1, [r1]'))
        : [`str r1, [sp, #${weightSlot}]`]),
      `movw r3, #${row.output}`,
      `str r3, [sp, #${rowSlot}]`,
      '1:',
      ...(groups > 1 ? [`movw r3, #${groups}`, `str r3, [sp, #${groupSlot}]`] : []),
      '2:',
      `ldmia sp, {${acc.map(reg).join(', ')}}`,
      ...Array.from({ length: row.taps }, (_, r) => line(r)).flat(),
      `ldrd r3, r12, [sp, #${numbers}]`,
      ...(own > 2 ? [`ldr r1, [sp, #${numbers + 8}]`] : []),
      ...(masked ? [...scaled, ...masks] : plain),
      ...(resident ? [] : [`ldr r1, [sp, #${weightSlot}]`]),
      ...by(U),
      ...(groups > 1 ? again : []),
      ...addConstant(0, row.stride * width - column.output * column.stride, 3),
      ...counted(rowSlot),
      'bne 1b',
      `add sp, sp, #${frame}`,
    ],
  )
}

/**
 * r0: the first of four channels in the input, r1: its place in the first plane; planes are `size` bytes apart. With the
 * flags of bytes 0 and 2 set, SEL puts the same channels of two pixels side by side.
 */
export function planesRoutine({ column, channels, width }: Plane, rows: number, size: number): Routine {
  const W = column.input
  const to = [1, 10, 11, 12]
  const four = (from: number) => [
    ...[0, 1, 2, 3].map((i) => `ldr ${reg(2 + i)}, [r0, #${(from + i) * channels}]`),
    ...['lsl r6, r3, #8', 'sel r6, r2, r6', 'lsl r7, r5, #8', 'sel r7, r4, r7'],
    ...['lsr r2, r2, #8', 'sel r2, r2, r3', 'lsr r4, r4, #8', 'sel r4, r4, r5'],
    ...[
      'pkhbt r3, r6, r7, lsl #16',
      'pkhbt r5, r2, r4, lsl #16',
      'pkhtb r7, r7, r6, asr #16',
      'pkhtb r4, r4, r2, asr #16',
    ],
    ...[3, 5, 7, 4].map((r, i) => `str ${reg(r)}, [${reg(to[i])}], #4`),
  ]
  const one = [
    'ldr r2, [r0]',
    'strb r2, [r1], #1',
    ...to.slice(1).flatMap((r) => ['lsr r2, r2, #8', `strb r2, [${reg(r)}], #1`]),
    ...addConstant(0, channels, 2),
  ]
  const groups = W >> 2
  const over = W % 4 === 0 ? 0 : 4 - (W % 4)
  const overlap = [
    ...addConstant(0, -over * channels, 2),
    ...to.map((r) => `sub ${reg(r)}, ${reg(r)}, #${over}`),
    ...four(0),
    ...addConstant(0, 4 * channels, 2),
  ]
  const twice = groups % 2 === 0 && 7 * channels < 4096 ? 2 : 1
  const fours = [...four(0), ...(twice === 2 ? four(4) : []), ...addConstant(0, 4 * twice * channels, 2)]
  const line =
    W < 4
      ? Array.from({ length: W }, () => one).flat()
      : [
          ...(groups > twice ? [`movw lr, #${groups / twice}`, '2:', ...fours, 'subs lr, lr, #1', 'bne 2b'] : fours),
          ...(over ? overlap : []),
        ]
  const counted = ['ldr r3, [sp]', 'subs r3, r3, #1', 'str r3, [sp]', 'bne 1b', 'add sp, sp, #4']
  return routine(`planes_${rows}x${W}_${width}_${size}_${channels}`, 0, [
    ...(rows > 1 ? [`movw r3, #${rows}`, 'push {r3}'] : []),
    ...(W < 4 ? [] : ['mov r2, #0x00ff00ff', 'uadd8 r2, r2, r2']),
    ...to.slice(1).flatMap((r, i) => [`mov ${reg(r)}, ${reg(to[i])}`, ...addConstant(r, size, 2)]),
    ...(rows > 1 ? ['1:'] : []),
    ...line,
    ...(rows > 1 ? [...to.flatMap((r) => addConstant(r, width - W, 2)), ...counted] : []),
  ])
}

/** Outputs at once that take the fewest instructions. */
function outputsOf(row: Axis, column: Axis, channels: number, form: Form, masked: boolean): number | undefined {
  const { pairs, singles } = tapsOf(column.taps)
  let best: { outputs: number; cost: number } | undefined
  for (let outputs = 1; outputs <= Math.min(REGISTERS, column.output); outputs++) {
    const plane = { row, column, outputs, form, masked }
    if (!isResident(plane) && pairs.length + Math.ceil(singles.length / 2) > 9 - outputs) continue
    if ((outputs - 1) * channels > 4095) continue
    const cost = planeCost(plane)
    if (!best || cost < best.cost) best = { outputs, cost }
  }
  return best?.outputs
}

export function planeOf({ row, column, channels }: Depthwise<Products>, form: Form, masked = false): Plane | undefined {
  const outputs = outputsOf(row, column, channels, form, masked)
  if (outputs === undefined) return undefined
  const needed = (column.output - outputs) * column.stride + reach(column, outputs)
  const width = 4 * Math.ceil(Math.max(needed, column.before + column.input) / 4)
  const height = (row.output - 1) * row.stride + row.taps
  if ((row.taps - 1) * width + reach(column, outputs) > 4095 || 3 * channels > 4095) return undefined
  return { row, column, channels, outputs, width, height, form, ...(masked && { masked }) }
}

/** What a masked plane is given beside its numbers, and where the first output's bit stands. */
export interface PlaneMask {
  readonly start: Expr
  readonly mask: Buf
  readonly byte: Expr
  readonly bit: Expr
}

export function planeMeans(
  plane: Plane,
  planes: Buf,
  from: Expr,
  number: (k: number) => Expr,
  y: Buf,
  to: Expr,
  name: (base: string) => string,
  masked?: PlaneMask,
): Stmt {
  const { row, column, channels, width, form } = plane
  const own = epilogueWords(form)
  const { lanes } = lanesOf(plane, isResident(plane))
  return L.loop(name('oh'), row.output, (oh) =>
    L.loop(name('ow'), column.output, (ow) => {
      const [start, acc] = L.declare(name('acc'), masked ? L.op('wadd', number(0), masked.start) : number(0))
      const at = L.add(L.add(from, L.mul(oh, row.stride * width)), L.mul(ow, column.stride))
      const products = lanes.map(({ kh, kw, word, top }) => {
        const weights = number(1 + own + word)
        const weight = L.op('shr', top ? weights : L.op('shl', weights, 16), 16)
        return L.set(acc, L.op('wadd', acc, L.op('wmul', L.load(planes, L.add(at, kh * width + kw)), weight)))
      })
      const pixel = L.add(L.mul(oh, column.output), ow)
      const here = L.add(to, L.mul(pixel, channels))
      const numberAt = (k: number) => number(1 + k)
      if (!masked) return [start, ...products, L.store(y, [here], requantizeMeans(form, acc, numberAt))]
      const [declare, value] = L.declare(name('value'), requantized(form, acc, numberAt))
      const byte = L.add(masked.byte, L.mul(pixel, channels / 8))
      const within = L.and(L.ge(value, -128), L.op('le', value, 127))
      const bits = L.op('or', L.load(masked.mask, byte), L.select(within, masked.bit, 0))
      return [
        start,
        ...products,
        declare,
        L.store(y, [here], L.clamp(value, -128, 127)),
        L.store(masked.mask, [byte], bits),
      ]
    }),
  )
}

export function planesMeans(
  plane: Plane,
  rows: number,
  size: number,
  x: Buf,
  from: Expr,
  planes: Buf,
  to: number,
  name: (base: string) => string,
): Stmt {
  const { column, channels, width } = plane
  return L.loop(name('h'), rows, (h) =>
    L.loop(name('w'), column.input, (w) =>
      L.loop(name('c'), 4, (c) => {
        const source = L.add(L.add(from, L.mul(L.add(L.mul(h, column.input), w), channels)), c)
        const target = L.add(L.add(L.add(L.mul(c, size), L.mul(h, width)), w), to)
        return L.store(planes, [target], L.load(x, source))
      }),
    ),
  )
}
