// Sums of products with a window of its own for each channel (depthwise convolutions). Four channels at a time become planes
// with the padding around them; a routine walks one plane. A word at an even place gives A(s) = (x[s], x[s + 2]) by
// SXTB16 and A(s + 1) by SXTB16 of the word turned by 8 bits; taps are taken in pairs (w[t], w[t + 2]) by SMLAD, the odd
// one out by SMLABB or SMLATB. Weights hold 256 * w, so that sums are as `requantize` wants them, or 128 * w where those have no
// room in 16 bits or their sums in 32.

import type { Arg, Call } from '../../ir/op.ts'
import type { Affine } from '../../loops/affine.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Routine, type Stmt } from '../../loops/ir.ts'
import type { For } from '../../loops/walk.ts'
import { type Products, type SumOfProducts, sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { addConstant, LR, loadWords, reg, routine } from './assembly.ts'
import { fillMeans, fillRoutine } from './gather.ts'
import { epilogueWords, type Form, requantizeMeans, shortForm } from './requantize.ts'

/** One axis of the window. */
export interface Axis {
  readonly input: number
  readonly output: number
  readonly taps: number
  readonly stride: number
  readonly before: number
}

export interface Depthwise<S extends Products = SumOfProducts> {
  readonly s: S
  readonly batch?: For
  readonly channels: number
  readonly row: Axis
  readonly column: Axis
  /** The weight of tap (row, column) of a channel. */
  weight(channel: number, kh: number, kw: number): number
}

const ONE: Axis = { input: 1, output: 1, taps: 1, stride: 1, before: 0 }

export function depthwiseOf<S extends Products>(s: S): Depthwise<S> | undefined {
  const { shape } = s.x.buf
  if (shape.length !== 4 || s.y.buf.shape.length !== 4) return undefined
  const [n, , , c] = s.x.at
  const loopOf = (a: Affine, loops: readonly For[]) => loops.find((l) => a.terms.has(l.v))
  const channel = loopOf(s.channel, s.outputs)
  const channels = shape[3]
  const only = (a: Affine, ...allowed: (For | undefined)[]) =>
    [...a.terms.keys()].every((v) => allowed.some((l) => l?.v === v))
  if (!channel || channel.extent !== channels || s.y.buf.shape[3] !== channels || !only(c, channel)) return undefined
  if (c.terms.get(channel.v) !== 1 || c.base !== 0 || s.channel.base !== 0) return undefined
  const axis = (d: number): (Axis & { out?: For; tap?: For }) | undefined => {
    const at = s.x.at[d]
    const out = loopOf(s.y.at[d], s.outputs)
    const tap = loopOf(at, s.window)
    if (!only(at, out, tap) || (tap && at.terms.get(tap.v) !== 1) || s.y.at[d].base !== 0) return undefined
    if (out && s.y.at[d].terms.get(out.v) !== 1) return undefined
    const stride = (out && at.terms.get(out.v)) ?? 1
    if (stride < 1) return undefined
    return { input: shape[d], output: out?.extent ?? 1, taps: tap?.extent ?? 1, stride, before: -at.base, out, tap }
  }
  const [rows, columns] = [axis(1), axis(2)]
  if (!rows || !columns || rows.before < 0 || columns.before < 0) return undefined
  const batch = loopOf(n, s.outputs)
  const known = new Set([batch, channel, rows.out, columns.out])
  if (s.outputs.some((l) => !known.has(l)) || s.window.some((l) => l !== rows.tap && l !== columns.tap))
    return undefined
  if (batch && (s.y.at[0].terms.get(batch.v) !== 1 || n.terms.get(batch.v) !== 1)) return undefined
  const strides = s.w.buf.shape.map((_, d) => count(s.w.buf.shape.slice(d + 1)))
  const along = (l: For | undefined) =>
    s.w.at.reduce((sum, a, d) => sum + ((l && a.terms.get(l.v)) ?? 0) * strides[d], 0)
  const base = s.w.at.reduce((sum, a, d) => sum + a.base * strides[d], 0)
  const [byChannel, byRow, byColumn] = [along(channel), along(rows.tap), along(columns.tap)]
  if (s.w.at.some((a) => !only(a, channel, rows.tap, columns.tap))) return undefined
  const weight = (ch: number, kh: number, kw: number) => s.w.data[base + ch * byChannel + kh * byRow + kw * byColumn]
  // a line of one column is a column of one line
  if (columns.input === 1 && columns.output === 1 && columns.taps === 1)
    return { s, batch, channels, row: ONE, column: rows, weight: (ch, _, kw) => weight(ch, kw, 0) }
  return { s, batch, channels, row: rows, column: columns, weight }
}

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
interface Plane {
  readonly row: Axis
  readonly column: Axis
  readonly channels: number
  /** Outputs at once. */
  readonly outputs: number
  /** Bytes of a row, and rows. */
  readonly width: number
  readonly height: number
  readonly form: Pick<Form, 'shift' | 'signed'>
}

const REGISTERS = 5

/** Whether the weights of all rows stay in registers. */
function isResident({ row, column, outputs, form }: Pick<Plane, 'row' | 'column' | 'outputs' | 'form'>): boolean {
  const { pairs, singles } = tapsOf(column.taps)
  const free = 9 - outputs + (epilogueWords(form) > 2 ? 0 : 1)
  return row.taps * pairs.length + Math.ceil((row.taps * singles.length) / 2) <= free
}

/** The lanes of every tap, and the words of one channel: pairs first, then single taps two in a word; row by row unless resident. */
function lanesOf(
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

function planeCost(plane: Pick<Plane, 'row' | 'column' | 'outputs' | 'form'>): number {
  const { row, column, outputs, form } = plane
  const products = productsOf(column, outputs)
  const words = new Set(products.map((p) => p.s >> 1)).size
  const line = words + new Set(products.map((p) => p.s)).size + products.length + (isResident(plane) ? 0 : 1)
  const output = 3 + (form.signed ? 3 : 0) + (form.shift === undefined ? 1 : 0)
  const groups = Math.ceil(column.output / outputs)
  return row.output * (groups * (row.taps * line + outputs * output + 10) + 6)
}

/** r0: the plane, r1: the channel's numbers, r2: the channel's first output. */
function planeRoutine(plane: Plane): Routine {
  const { row, column, channels, outputs: U, width, form } = plane
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
  const finish = acc
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
  const back = [...addConstant(0, -over * column.stride, 3), ...addConstant(2, -over * channels, 3)]
  const again = over
    ? [...counted(groupSlot), 'beq 3f', 'cmp r3, #1', 'bne 2b', ...back, 'b 2b', '3:']
    : [...counted(groupSlot), 'bne 2b']
  return routine(
    `plane_${row.taps}x${column.taps}_${row.stride}${column.stride}_${row.output}x${column.output}_${width}_${channels}_${form.signed ? 's' : ''}${form.shift ?? 'v'}`,
    0,
    [
      `sub sp, sp, #${frame}`,
      'ldr r3, [r1], #4',
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
      ...finish,
      ...(resident ? [] : [`ldr r1, [sp, #${weightSlot}]`]),
      ...addConstant(0, U * column.stride, 3),
      ...addConstant(2, U * channels, 3),
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
function planesRoutine({ column, channels, width }: Plane, rows: number, size: number): Routine {
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
function outputsOf(row: Axis, column: Axis, channels: number, form: Form): number | undefined {
  const { pairs, singles } = tapsOf(column.taps)
  let best: { outputs: number; cost: number } | undefined
  for (let outputs = 1; outputs <= Math.min(REGISTERS, column.output); outputs++) {
    const plane = { row, column, outputs, form }
    if (!isResident(plane) && pairs.length + Math.ceil(singles.length / 2) > 9 - outputs) continue
    if ((outputs - 1) * channels > 4095) continue
    const cost = planeCost(plane)
    if (!best || cost < best.cost) best = { outputs, cost }
  }
  return best?.outputs
}

function planeOf({ row, column, channels }: Depthwise, form: Form): Plane | undefined {
  const outputs = outputsOf(row, column, channels, form)
  if (outputs === undefined) return undefined
  const needed = (column.output - outputs) * column.stride + reach(column, outputs)
  const width = 4 * Math.ceil(Math.max(needed, column.before + column.input) / 4)
  const height = (row.output - 1) * row.stride + row.taps
  if ((row.taps - 1) * width + reach(column, outputs) > 4095 || 3 * channels > 4095) return undefined
  return { row, column, channels, outputs, width, height, form }
}

function planeMeans(
  plane: Plane,
  planes: Buf,
  from: Expr,
  w: Buf,
  channel: Expr,
  y: Buf,
  to: Expr,
  name: (base: string) => string,
): Stmt {
  const { row, column, channels, width, form } = plane
  const own = epilogueWords(form)
  const { lanes } = lanesOf(plane, isResident(plane))
  const number = (k: number) => L.load(w, channel, k)
  return L.loop(name('oh'), row.output, (oh) =>
    L.loop(name('ow'), column.output, (ow) => {
      const [start, acc] = L.declare(name('acc'), number(0))
      const at = L.add(L.add(from, L.mul(oh, row.stride * width)), L.mul(ow, column.stride))
      const products = lanes.map(({ kh, kw, word, top }) => {
        const weights = number(1 + own + word)
        const weight = L.op('shr', top ? weights : L.op('shl', weights, 16), 16)
        return L.set(acc, L.op('wadd', acc, L.op('wmul', L.load(planes, L.add(at, kh * width + kw)), weight)))
      })
      const pixel = L.add(L.mul(oh, column.output), ow)
      const value = requantizeMeans(form, acc, (k) => number(1 + k))
      return [start, ...products, L.store(y, [L.add(to, L.mul(pixel, channels))], value)]
    }),
  )
}

function planesMeans(
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

/** Start, requantisation and weights of every channel. */
function pack({ s, channels, weight }: Depthwise, plane: Plane, { form, gain }: Proved) {
  const own = epilogueWords(form)
  const { lanes, words } = lanesOf(plane, isResident(plane))
  const size = 1 + own + words
  const data = new Int32Array(channels * size)
  for (let c = 0; c < channels; c++) {
    const at = c * size
    let sum = 0
    for (const { kh, kw, word, top } of lanes) {
      const w = weight(c, kh, kw) - s.zeroW
      sum += w
      data[at + 1 + own + word] |= top ? (gain * w) << 16 : (gain * w) & 0xffff
    }
    const { multiplier, offset, shift, negative } = form.channels[c]
    data[at] = (gain * (s.bias[c] - s.zeroX * sum)) | 0
    data.set(
      [multiplier, offset, ...(form.signed ? [negative] : []), ...(form.shift === undefined ? [shift] : [])],
      at + 1,
    )
  }
  return { data, size }
}

/** A form, and by how much weights and sums are multiplied. */
interface Proved {
  readonly form: Form
  readonly gain: number
}

function formOf({ s, channels, row, column, weight }: Depthwise): Proved | undefined {
  let most = 0
  const rows = Array.from({ length: channels }, (_, c) => {
    let [low, high] = [s.bias[c], s.bias[c]]
    for (let kh = 0; kh < row.taps; kh++)
      for (let kw = 0; kw < column.taps; kw++) {
        const w = weight(c, kh, kw) - s.zeroW
        const [p, q] = [(-128 - s.zeroX) * w, (127 - s.zeroX) * w]
        most = Math.max(most, Math.abs(w + 0.5))
        low += Math.min(p, q)
        high += Math.max(p, q)
      }
    return { low, high, multiplier: s.multiplier[c], shift: s.shift[c] }
  })
  for (const gain of most < 128 ? [256, 128] : [128]) {
    const form = shortForm(rows, { zero: s.zeroY, low: s.low, high: s.high }, gain)
    if (form && !(form.signed && form.shift === undefined)) return { form, gain }
  }
  return undefined
}

/** The first `rows` rows of an image as runs [first, rows] that stand together. */
export function rowsApart(arg: Arg, rows: number): [number, number][] {
  if (!('value' in arg) || !arg.value.parts) return [[0, rows]]
  const runs: [number, number][] = []
  let first = 0
  for (const part of arg.value.parts) {
    if (first < rows) runs.push([first, Math.min(part.rows, rows - first)])
    first += part.rows
  }
  return runs
}

function shaped(call: Call): Call | undefined {
  const s = sumOfProducts(call, { zeroW: true })
  const d = s && depthwiseOf(s)
  if (!d || d.channels < 4 || s.low !== -128 || s.high !== 127) return undefined
  const proved = formOf(d)
  const plane = proved && planeOf(d, proved.form)
  if (!plane) return undefined
  const { row, column, channels, width, height } = plane
  const size = width * height
  const rows = Math.min(row.input, height - row.before)
  if (rows < 1) return undefined
  const packed = pack(d, plane, proved)
  let names = 0
  const name = (base: string) => `${base}${names++}`
  const x = L.buffer('x', 'i8', [count(s.x.buf.shape)])
  const w = L.buffer('w', 'i32', [channels, packed.size])
  const zero = L.buffer('zero', 'i32', [1])
  const y = L.buffer('y', 'i8', [count(s.y.buf.shape)], 'write')
  const planes = L.buffer('planes', 'i8', [4 * size], 'scratch')
  const bytes = L.op('wmul', L.op('and', L.load(zero, 0), 255), 0x01010101)
  const fill: Stmt = {
    s: 'asm',
    means: fillMeans(planes, L.int(0), 4 * size, L.load(zero, 0), name),
    routine: fillRoutine(4 * size, true),
    args: [L.load(planes, 0), L.int(0), bytes],
  }
  const inside = row.before * width + column.before
  const apart = rowsApart(s.x.arg, rows)
  /** Of four channels those from `skip` on: the others are done, and may be overwritten. */
  const quad = (n: Expr, first: Expr, skip = 0): Stmt[] => {
    const from = L.add(L.mul(n, row.input * column.input * channels), first)
    const gather = apart.map(([first, some]): Stmt => {
      const start = L.add(from, first * column.input * channels)
      const to = inside + first * width
      return {
        s: 'asm',
        means: planesMeans(plane, some, size, x, start, planes, to, name),
        routine: planesRoutine(plane, some, size),
        args: [L.load(x, start), L.load(planes, to)],
      }
    })
    const each = L.loop(name('k'), 4 - skip, (i) => {
      const k = L.add(i, skip)
      const [c, at] = [L.add(first, k), L.mul(k, size)]
      const to = L.add(L.mul(n, row.output * column.output * channels), c)
      return {
        s: 'asm',
        means: planeMeans(plane, planes, at, w, c, y, to, name),
        routine: planeRoutine(plane),
        args: [L.load(planes, at), L.load(w, c, 0), L.load(y, to)],
      }
    })
    return [...gather, each]
  }
  const image = (n: Expr): Stmt[] => [
    L.loop(name('q'), channels >> 2, (q) => quad(n, L.mul(q, 4))),
    ...(channels % 4 === 0 ? [] : quad(n, L.int(channels - 4), 4 - (channels % 4))),
  ]
  const body = d.batch ? L.loop('n', d.batch.extent, image) : L.block(...image(L.int(0)))
  const bordered = size !== rows * column.input
  const bufs = [x, w, ...(bordered ? [zero] : []), y, planes]
  const zeroArg: Arg[] = bordered ? [{ data: Int32Array.of(s.zeroX) }] : []
  const args = [s.x.arg, { data: packed.data }, ...zeroArg, s.y.arg, { scratch: true } as const]
  return { kernel: L.kernel(call.kernel.name, bufs, ...(bordered ? [fill] : []), body), args }
}

/** Four channels as planes, a few outputs of a row at once. */
export const depthwise: Recipe = { name: 'planes of smlad', byChannel: true, apply: shaped }
