// Recognises sums of products in a kernel's loops, int8 first: for each output a bias, products (x - zero point) * w over a
// window, requantised, shifted to the output's zero point and clamped. What operator they came from does not matter.
// Everything that constants decide is evaluated, so that a recipe can pack weights and prove arithmetic off-line. Weights
// with a zero point, and sums that are scaled by float32, are recognised where the recipe has a form for them. Sums of
// float32 products, to which a bias is added at the end, are read off the same loops.

import type { Arg, Call } from '../ir/op.ts'
import { type Affine, affine } from '../loops/affine.ts'
import { type Buf, count, type Data, type Expr, type Stmt } from '../loops/ir.ts'
import { offsetOf } from '../loops/sub_byte.ts'
import { type For, inside } from '../loops/walk.ts'
import { storageOf } from './sub_byte.ts'

/** A buffer of the kernel, what it is bound to, and the index of each of its dimensions. */
export interface Access {
  readonly buf: Buf
  readonly arg: Arg
  readonly at: readonly Affine[]
}

/** What sums of products have in common, whatever their numbers. */
export interface Products {
  readonly x: Access
  /** Data where they are constant. */
  readonly w: Access & { readonly data?: Int8Array | Float32Array }
  readonly y: Access
  /** Loops over outputs, outermost first, and over the window of one output. */
  readonly outputs: readonly For[]
  readonly window: readonly For[]
  /** The axes of x whose index may lie outside; such products are left out. */
  readonly padded: readonly number[]
  readonly channels: number
  /** The number of an output's channel as a sum of output loops. */
  readonly channel: Affine
  /** Of stored outputs. */
  readonly low: number
  readonly high: number
}

export interface SumOfProducts extends Products {
  readonly w: Access & { readonly data: Int8Array }
  readonly zeroX: number
  readonly zeroY: number
  /** Of weights: 0 but where it was asked for. */
  readonly zeroW: number
  readonly bias: Int32Array
  readonly multiplier: Int32Array
  readonly shift: Int8Array
  readonly widths: Widths
  /** In place of multiplier and shift, which are 0: output = zeroY + nearest(float32(sum) * scale). */
  readonly scale?: Float32Array
}

/** Products and sums are rounded to float32 in the order of `window`; the bias is added to the whole sum. */
export interface FloatSum extends Products {
  readonly w: Access & { readonly data?: Float32Array }
  /** Of each channel. */
  readonly bias?: Access
}

/** What a recipe has a form for beside TensorFlow Lite's int8. */
export interface Accepted {
  readonly zeroW?: boolean
  readonly scale?: boolean
  /** Elements below 8 bits: `widths` says which; weights then are unsigned, with a zero point. */
  readonly subByte?: boolean
}

/** Bits of an element as stored. */
export interface Widths {
  readonly x: 8 | 4 | 2
  readonly w: 8 | 4 | 2
  readonly y: 8 | 4 | 2
}

function dataOf(arg: Arg): Data | undefined {
  if ('data' in arg) return arg.data
  return 'value' in arg && arg.value.storage === 'const' ? arg.value.data : undefined
}

/** The operation's arguments, where `e` is that operation. */
function argsOf(e: Expr | undefined, ...ops: readonly string[]): readonly Expr[] | undefined {
  return e?.k === 'op' && ops.includes(e.op) ? e.args : undefined
}

/** `body` as one statement after the declarations that precede it, blocks flattened. */
function flat(s: Stmt): readonly Stmt[] {
  return s.s === 'block' ? s.body.flatMap(flat) : [s]
}

/** The conditions of an `and`. */
function conditions(e: Expr): readonly Expr[] {
  const both = argsOf(e, 'and')
  return both ? both.flatMap(conditions) : [e]
}

function same(a: Affine, b: Affine): boolean {
  return a.base === b.base && a.terms.size === b.terms.size && [...a.terms].every(([v, c]) => b.terms.get(v) === c)
}

/** Loops that add products up, and what is known of them. */
function readLoops({ kernel, args }: Call) {
  const bound = new Map(kernel.bufs.map((buf, i) => [buf.name, { buf, arg: args[i], data: dataOf(args[i]) }]))
  const constants = new Map<string, number>()
  const outputs: For[] = []
  let rest = flat(kernel.body)

  /** A number that is known off-line: a constant, a register that holds one, an element of constant data. */
  const known = (e: Expr): number | undefined => {
    if (e.k === 'const') return e.value
    if (e.k === 'var') return constants.get(e.name)
    if (e.k !== 'load' || e.at.length !== 1 || e.at[0].k !== 'const') return undefined
    const value = bound.get(e.buf)?.data?.[e.at[0].value]
    return value === undefined ? undefined : Number(value)
  }
  for (;;) {
    const declared = rest.length - (rest.at(-1)?.s === 'store' ? 3 : 1)
    for (const s of rest.slice(0, Math.max(0, declared))) {
      const value = s.s === 'let' ? known(s.value) : undefined
      if (s.s !== 'let' || value === undefined) return undefined
      constants.set(s.name, value)
      rest = rest.slice(1)
    }
    if (rest.length !== 1 || rest[0].s !== 'for' || !rest[0].parallel) break
    outputs.push(rest[0])
    rest = flat(rest[0].body)
  }
  if (rest.length !== 3) return undefined
  const [start, sum, store] = rest
  if (start.s !== 'let' || store.s !== 'store') return undefined

  const window: For[] = []
  const guards: Expr[] = []
  let inner: Stmt = sum
  for (;;) {
    if (inner.s === 'for' && !inner.parallel) window.push(inner)
    else if (inner.s === 'if' && !inner.else) guards.push(...conditions(inner.cond))
    else break
    const body = flat(inside(inner)[0])
    if (body.length !== 1) return undefined
    inner = body[0]
  }
  if (inner.s !== 'set' || inner.name !== start.name) return undefined
  const step = argsOf(inner.value, 'add', 'wadd')
  if (step?.[0].k !== 'var' || step[0].name !== start.name) return undefined
  const product = argsOf(step[1], 'mul')
  if (!product) return undefined

  const access = (e: Expr) => {
    if (e.k !== 'load') return undefined
    const sums = e.at.map((i) => affine(i))
    return sums.every((a) => a !== undefined) ? { ...bound.get(e.buf)!, at: sums } : undefined
  }
  const y = access({ k: 'load', buf: store.buf, at: store.at, type: store.value.type })
  const perChannel = (e: Expr): { data: Data; channel: Affine } | undefined => {
    if (e.k !== 'load' || e.at.length !== 1) return undefined
    const channel = affine(e.at[0])
    const { data, buf } = bound.get(e.buf)!
    return channel && data && data.length === count(buf.shape) ? { data, channel } : undefined
  }
  return y && { outputs, window, guards, start, product, end: store.value, y, known, access, perChannel }
}

/** The sum of products that this call is, or undefined. */
export function sumOfProducts(call: Call, accepted: Accepted = {}): SumOfProducts | undefined {
  const loops = readLoops(call)
  if (!loops || loops.start.value.type.num !== 'i32') return undefined
  const { outputs, window, start, product, y, known, access, perChannel } = loops
  const shifted = argsOf(product[0], 'sub')
  const zeroX = shifted ? known(shifted[1]) : 0
  const xLoad = shifted ? shifted[0] : product[0]
  const recentred = accepted.zeroW ? argsOf(product[1], 'sub') : undefined
  const zeroW = recentred ? known(recentred[1]) : 0
  const wLoad = recentred ? recentred[0] : product[1]
  if (zeroX === undefined || zeroW === undefined) return undefined
  const [x, w] = [access(xLoad), access(wLoad)]
  if (!x || !w || !(w.data instanceof Int8Array)) return undefined
  const [ofX, ofW, ofY] = [x, w, y].map((a) => (accepted.subByte ? storageOf(a.arg) : undefined))
  const elems = [x, w, y].map((a) => a.buf.elem)
  if (elems[0] !== (ofX ? 'u8' : 'i8') || elems[1] !== 'i8' || elems[2] !== (ofY ? 'u8' : 'i8')) return undefined
  if (ofW && zeroW !== 0) return undefined
  const offset = ofW ? offsetOf(ofW) : 0

  const padded = paddedAxes(loops.guards, x)
  const end = fixedEpilogue(loops.end, start.name, known)
  const floatEnd = end || !accepted.scale ? undefined : floatEpilogue(loops.end, start.name, known)
  if (!padded || (!end && !floatEnd)) return undefined
  const [multiplier, shift, scale] = [end?.multiplier, end?.shift, floatEnd?.scale].map((e) => e && perChannel(e))
  if (end && (!(multiplier?.data instanceof Int32Array) || !(shift?.data instanceof Int8Array))) return undefined
  if (floatEnd && !(scale?.data instanceof Float32Array)) return undefined
  const { channel, data } = (multiplier ?? scale)!
  const bias = start.value.k === 'const' ? undefined : perChannel(start.value)
  if (start.value.k === 'const' ? start.value.value !== 0 : !(bias?.data instanceof Int32Array)) return undefined
  if ((shift && !same(shift.channel, channel)) || (bias && !same(bias.channel, channel))) return undefined
  return {
    x,
    w: { buf: w.buf, arg: w.arg, at: w.at, data: ofW ? w.data.map((v) => v + offset) : w.data },
    y,
    outputs,
    window,
    padded,
    zeroX,
    zeroW: zeroW + offset,
    widths: { x: ofX?.bits ?? 8, w: ofW?.bits ?? 8, y: ofY?.bits ?? 8 },
    ...(end ?? floatEnd)!.numbers,
    channels: data.length,
    channel,
    bias: (bias?.data as Int32Array | undefined) ?? new Int32Array(data.length),
    multiplier: (multiplier?.data as Int32Array | undefined) ?? new Int32Array(data.length),
    shift: (shift?.data as Int8Array | undefined) ?? new Int8Array(data.length),
    ...(scale && { scale: scale.data as Float32Array }),
  }
}

/** Int8 sums whose weights and biases are read as they stand, since they learn: nothing of them is known off-line. */
export interface LiveSum extends Products {
  readonly zeroX: number
  readonly zeroY: number
  readonly multiplier: Int32Array
  readonly shift: Int8Array
  readonly bias: Access
}

/** The sum of products that this call is, whatever its weights and biases are; weights have no zero point. */
export function liveSum(call: Call): LiveSum | undefined {
  const loops = readLoops(call)
  if (!loops || loops.start.value.type.num !== 'i32') return undefined
  const { outputs, window, start, product, y, known, access, perChannel } = loops
  const shifted = argsOf(product[0], 'sub')
  const zeroX = shifted ? known(shifted[1]) : 0
  const [x, w, bias] = [access(shifted ? shifted[0] : product[0]), access(product[1]), access(start.value)]
  if (!x || !w || !bias || zeroX === undefined || [x, w, y].some((a) => a.buf.elem !== 'i8')) return undefined
  const padded = paddedAxes(loops.guards, x)
  const end = fixedEpilogue(loops.end, start.name, known)
  const [multiplier, shift] = [end?.multiplier, end?.shift].map((e) => e && perChannel(e))
  if (!padded || !end || !(multiplier?.data instanceof Int32Array) || !(shift?.data instanceof Int8Array))
    return undefined
  const { channel } = multiplier
  if (!same(shift.channel, channel) || bias.buf.elem !== 'i32' || bias.at.length !== 1 || !same(bias.at[0], channel))
    return undefined
  return {
    ...{ x, y, outputs, window, padded, zeroX, ...end.numbers, bias, channel, channels: multiplier.data.length },
    w: { buf: w.buf, arg: w.arg, at: w.at, ...(w.data instanceof Int8Array && { data: w.data }) },
    ...{ multiplier: multiplier.data, shift: shift.data },
  }
}

/** The sum of float32 products that this call is, or undefined. */
export function floatSum(call: Call): FloatSum | undefined {
  const loops = readLoops(call)
  if (!loops) return undefined
  const { outputs, window, start, product, y, known, access } = loops
  const [x, w] = product.map(access)
  if (!x || !w || [x, w, y].some((a) => a.buf.elem !== 'f32')) return undefined
  // a sum that starts from +0 never is -0, so that adding 0 does not change it
  if (start.value.k !== 'const' || !Object.is(start.value.value, 0)) return undefined
  const padded = paddedAxes(loops.guards, x)
  const end = limited(loops.end, known, { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY })
  if (!padded || !end) return undefined
  const { value, ...limits } = end
  const [sum, added] = argsOf(value, 'add') ?? [value]
  const bias = added && access(added)
  if (sum.k !== 'var' || sum.name !== start.name || (added && bias?.at.length !== 1)) return undefined
  return {
    x,
    w: { buf: w.buf, arg: w.arg, at: w.at, ...(w.data instanceof Float32Array && { data: w.data }) },
    y,
    outputs,
    window,
    padded,
    ...limits,
    channels: bias ? count(bias.buf.shape) : y.buf.shape.at(-1)!,
    channel: bias?.at[0] ?? y.at.at(-1)!,
    ...(bias && { bias }),
  }
}

/** The axes of x that `guards` keep inside its shape; undefined where a guard is of another kind. */
function paddedAxes(guards: readonly Expr[], x: Access): number[] | undefined {
  const axes = new Set<number>()
  for (const guard of guards) {
    const [index, limit] = argsOf(guard, 'ge', 'lt') ?? []
    const sum = index && affine(index)
    if (!sum || limit?.k !== 'const') return undefined
    const least = guard.k === 'op' && guard.op === 'ge'
    const axis = x.at.findIndex((a, d) => same(a, sum) && limit.value === (least ? 0 : x.buf.shape[d]))
    if (axis < 0) return undefined
    axes.add(axis)
  }
  return [...axes]
}

/** The value between limits, and these where there are some. */
function limited(
  e: Expr,
  known: (e: Expr) => number | undefined,
  limits: { readonly low: number; readonly high: number },
): { value: Expr; low: number; high: number } | undefined {
  let value = e
  let { low, high } = limits
  for (const [op, side] of [
    ['min', 'high'],
    ['max', 'low'],
  ] as const) {
    const args = argsOf(value, op)
    if (!args) continue
    const limit = known(args[1])
    if (limit === undefined) return undefined
    if (side === 'low') low = limit
    else high = limit
    value = args[0]
  }
  return { value, low, high }
}

/** min(max(requant(acc, m[c], s[c]) + zero, low), high) */
function fixedEpilogue(e: Expr, acc: string, known: (e: Expr) => number | undefined) {
  const inner = limited(e, known, { low: -128, high: 127 })
  if (!inner) return undefined
  const { value, ...limits } = inner
  const sum = argsOf(value, 'add', 'wadd')
  const zeroY = sum ? known(sum[1]) : 0
  const requant = argsOf(sum ? sum[0] : value, 'requant')
  if (zeroY === undefined || requant?.[0].k !== 'var' || requant[0].name !== acc) return undefined
  return { numbers: { zeroY, ...limits }, multiplier: requant[1], shift: requant[2] }
}

/** 1.5 * 2^23: what is added to it is rounded to a whole number, in the sum's lower bits. */
const MAGIC = 12582912

/** bits(min(max(float(acc) * m[c], low), high) + MAGIC) + (zero - bits(MAGIC)) */
function floatEpilogue(e: Expr, acc: string, known: (e: Expr) => number | undefined) {
  const [bits, base] = argsOf(e, 'add') ?? []
  const [real] = argsOf(bits, 'bits') ?? []
  const [clamped, magic] = argsOf(real, 'add') ?? []
  const offset = base && known(base)
  if (!clamped || known(magic) !== MAGIC || offset === undefined) return undefined
  const zeroY = offset + 0x4b400000
  const inner = limited(clamped, known, { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY })
  const [sum, scale] = argsOf(inner?.value, 'mul') ?? []
  const [whole] = argsOf(sum, 'toF32') ?? []
  if (!inner || whole?.k !== 'var' || whole.name !== acc) return undefined
  return { numbers: { zeroY, low: inner.low + zeroY, high: inner.high + zeroY }, scale }
}
