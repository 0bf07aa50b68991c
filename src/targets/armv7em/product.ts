// Products of int8 images by a number for each channel (the gates of squeeze and excitation), requantised: with (s - zb) * k in a
// register for each of four channels, sat8((offset + floor((s - zb) * k * (x - za) / 2^16)) >> shift) by SXTAB16, SMLAW and
// SSAT. Whether that is TensorFlow Lite's product (two roundings) is checked for all 65,536 pairs.

import type { Call } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Expr, Routine, Stmt } from '../../loops/ir.ts'
import { argsOf, knownIn } from '../known.ts'
import type { Recipe } from '../target.ts'
import { addConstant, reg, routine, setConstant } from './assembly.ts'

interface Factor {
  readonly buf: Buf
  readonly zero: number
}

interface Product {
  /** An image of (rows, channels). */
  readonly x: Factor
  /** One number for each channel. */
  readonly gate: Factor
  readonly y: Buf
  readonly rows: number
  readonly channels: number
  readonly multiplier: number
  readonly shift: number
  readonly zero: number
}

function productOf(call: Call): Product | undefined {
  const { kernel } = call
  const registers = new Map<string, Expr>()
  const known = knownIn(call, (name) => registers.get(name))
  const body = kernel.body.s === 'block' ? kernel.body.body : [kernel.body]
  for (const s of body.slice(0, -1)) {
    if (s.s !== 'let') return undefined
    registers.set(s.name, s.value)
  }
  const outer = body.at(-1)
  const inner = outer?.s === 'for' && outer.parallel ? outer.body : undefined
  if (outer?.s !== 'for' || inner?.s !== 'for' || !inner.parallel || inner.body.s !== 'store') return undefined
  const names = [outer.v, inner.v]
  const at = (indices: readonly Expr[], of: readonly string[]) =>
    indices.length === of.length && indices.every((e, d) => e.k === 'var' && e.name === of[d])
  const factor = (e: Expr | undefined, of: readonly string[]): Factor | undefined => {
    const [load, zero] = argsOf(e, 'sub')
    const buf = load?.k === 'load' && at(load.at, of) ? kernel.bufs.find((b) => b.name === load.buf) : undefined
    const from = known(zero)
    return buf?.elem === 'i8' && from !== undefined ? { buf, zero: from } : undefined
  }
  const store = inner.body
  const y = kernel.bufs.find((b) => b.name === store.buf)
  const [low, hi] = argsOf(store.value, 'min')
  const [value, lo] = argsOf(low, 'max')
  const [scaled, zero] = argsOf(value, 'add', 'wadd')
  const [product, m, s] = argsOf(scaled, 'requant')
  const [a, b] = argsOf(product, 'mul')
  const [x, gate] = [factor(a, names) ?? factor(b, names), factor(a, [inner.v]) ?? factor(b, [inner.v])]
  const [multiplier, shift, zeroY] = [known(m), known(s), known(zero)]
  if (!x || !gate || y?.elem !== 'i8' || !at(store.at, names)) return undefined
  if (known(lo) !== -128 || known(hi) !== 127) return undefined
  if (multiplier === undefined || shift === undefined || zeroY === undefined) return undefined
  const [rows, channels] = [outer.extent, inner.extent]
  if (y.shape[1] !== channels || x.buf.shape[1] !== channels) return undefined
  return { x, gate, y, rows, channels, multiplier, shift, zero: zeroY }
}

interface Form {
  readonly k: number
  readonly offset: number
  readonly shift: number
}

/** The form with the most bits below the output's units that fit, if it is the product for each pair. */
function formOf({ x, gate, multiplier, shift, zero }: Product): Form | undefined {
  const real = multiplier * 2 ** (shift - 31)
  const level = (a: number) => Math.max(-128, Math.min(127, requant(a, multiplier, shift) + zero))
  const spread = (f: Factor) => Math.max(127 - f.zero, 128 + f.zero)
  const most = Math.min(21, Math.floor(15 - Math.log2(real * spread(gate))))
  if (most < 1) return undefined
  const unit = 2 ** most
  const middle = Math.round(real * unit * 65536)
  for (const k of [middle, middle + 1, middle - 1, middle + 2, middle - 2]) {
    if (k <= 0 || k * spread(gate) >= 2 ** 31) continue
    let [from, to] = [-(2 ** 30), 2 ** 30]
    for (let s = -128 - gate.zero; s <= 127 - gate.zero && from <= to; s++)
      for (let v = -128 - x.zero; v <= 127 - x.zero; v++) {
        const [out, r] = [level(s * v), Math.floor((s * k * v) / 65536)]
        if (out > -128) from = Math.max(from, out * unit - r)
        if (out < 127) to = Math.min(to, (out + 1) * unit - 1 - r)
      }
    if (from <= to) return { k, offset: Math.max(from, Math.min(to, 0)), shift: most }
  }
  return undefined
}

/** r0: x, r1: four gates, r2: y, r3: k, -za in both halves, -zb, the offset. */
function productRoutine(rows: number, channels: number, shift: number): Routine {
  const unrolled = [4, 2].find((n) => rows % n === 0 && (n - 1) * channels < 4096) ?? 1
  const row = (i: number) => [
    `ldr r8, [r0, #${i * channels}]`,
    'sxtab16 r9, r10, r8',
    'sxtab16 r8, r10, r8, ror #8',
    'smlawb r12, r4, r9, r11',
    'smlawt r9, r6, r9, r11',
    'smlawb lr, r5, r8, r11',
    'smlawt r8, r7, r8, r11',
    ...['r12', 'lr', 'r9', 'r8'].map((r) => `ssat ${r}, #8, ${r}, asr #${shift}`),
    'bfi r12, lr, #8, #8',
    'bfi r12, r9, #16, #8',
    'bfi r12, r8, #24, #8',
    `str r12, [r2, #${i * channels}]`,
  ]
  return routine(`product_${rows}_${channels}_${shift}`, 0, [
    'ldmia r3, {r8, r10, r11, r12}',
    ...[4, 5, 6, 7].map((r, c) => `ldrsb ${reg(r)}, [r1, #${c}]`),
    ...[4, 5, 6, 7].flatMap((r) => [`add ${reg(r)}, ${reg(r)}, r11`, `mul ${reg(r)}, ${reg(r)}, r8`]),
    'mov r11, r12',
    ...setConstant(3, rows / unrolled),
    '1:',
    ...Array.from({ length: unrolled }, (_, i) => row(i)).flat(),
    ...[0, 2].flatMap((r) => addConstant(r, unrolled * channels, 8)),
    'subs r3, r3, #1',
    'bne 1b',
  ])
}

function shaped(call: Call): Call | undefined {
  const p = productOf(call)
  if (!p || p.channels < 4 || p.rows < 2) return undefined
  const form = formOf(p)
  if (!form) return undefined
  const { rows, channels } = p
  const bound = ({ name }: Buf) => call.args[call.kernel.bufs.findIndex((b) => b.name === name)]
  const x = L.buffer('x', 'i8', [rows, channels])
  const gate = L.buffer('gate', 'i8', [channels])
  const y = L.buffer('y', 'i8', [rows, channels], 'write')
  const k = L.buffer('k', 'i32', [5])
  // one channel, all rows
  const one = (c: Expr, name: string): Stmt => {
    const [declare, factor] = L.declare(`${name}k`, L.mul(L.add(L.load(gate, c), L.load(k, 2)), L.load(k, 0)))
    const each = L.loop(`${name}r`, rows, (r) => {
      const whole = L.op('mul', L.op('extend', factor), L.op('extend', L.sub(L.load(x, r, c), L.load(k, 4))))
      const sum = L.op('add', L.op('wrap', L.op('shr', whole, L.long(16))), L.load(k, 3))
      return L.store(y, [r, c], L.clamp(L.op('shr', sum, form.shift), -128, 127))
    })
    return L.block(declare, each)
  }
  const fours = L.loop('g', channels >> 2, (g): Stmt => {
    const first = L.mul(g, 4)
    return {
      s: 'asm',
      means: L.loop('i', 4, (i) => one(L.add(first, i), 'a')),
      routine: productRoutine(rows, channels, form.shift),
      args: [L.load(x, 0, first), L.load(gate, first), L.load(y, 0, first), L.load(k, 0)],
    }
  })
  const over = channels & 3
  const rest = over ? L.loop('j', over, (j) => one(L.add(j, channels - over), 'b')) : L.block()
  const pair = (-p.x.zero & 0xffff) | (-p.x.zero << 16) | 0
  const numbers = Int32Array.of(form.k, pair, -p.gate.zero, form.offset, p.x.zero)
  return {
    kernel: L.kernel(call.kernel.name, [x, gate, k, y], fours, rest),
    args: [bound(p.x.buf), bound(p.gate.buf), { data: numbers }, bound(p.y)],
  }
}

/** Four channels at a time. */
export const product: Recipe = { name: 'products of smlaw', apply: shaped }
