// Elementwise int8 results (products, sums with a broadcast operand, changes of scale): the innermost loop becomes lanes of
// 32 bits, its expression one instruction or a few for each operation. The loop itself stays as what the routine means.

import { fingerprint } from '../../ir/hash.ts'
import type { Arg, Call } from '../../ir/op.ts'
import { type Affine, affine } from '../../loops/affine.ts'
import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Data, Expr, Routine, Stmt } from '../../loops/ir.ts'
import { type For, substituteExpr } from '../../loops/walk.ts'
import { flat } from '../armv7em/dense.ts'
import type { Recipe } from '../target.ts'
import { routine } from './assembly.ts'
import { formOf, requantize } from './requantize.ts'

const SCALARS = ['r4', 'r5', 'r6', 'r7', 'r8', 'r9', 'r10', 'r11', 'r12']
const VECTORS = ['q0', 'q1', 'q2', 'q3']
const FITS = 2 ** 31
/** Below this many elements a call costs more than it saves. */
const SHORTEST = 8

function argsOf(e: Expr | undefined, ...ops: readonly string[]): readonly Expr[] {
  return e?.k === 'op' && ops.includes(e.op) ? e.args : []
}

function dataOf(arg: Arg): Data | undefined {
  if ('data' in arg) return arg.data
  return 'value' in arg && arg.value.storage === 'const' ? arg.value.data : undefined
}

interface Range {
  readonly low: number
  readonly high: number
}

/** A register of lanes and what they may hold. */
interface Lanes extends Range {
  readonly q: string
}

/** Turns expressions into instructions on lanes along `v`; `undefined` where one has no such form. */
class Compiler {
  readonly body: string[] = []
  readonly constants: number[] = []
  readonly loads: { readonly load: Extract<Expr, { k: 'load' }>; readonly step: number }[] = []
  private readonly known: (e: Expr) => number | undefined
  private readonly step: (e: Extract<Expr, { k: 'load' }>) => number | undefined
  private readonly used = new Set<string>()

  constructor(known: Compiler['known'], step: Compiler['step']) {
    this.known = known
    this.step = step
  }

  private take(): string | undefined {
    const q = VECTORS.find((v) => !this.used.has(v))
    if (q) this.used.add(q)
    return q
  }

  private scalar(value: number): string {
    const at = this.constants.indexOf(value)
    return SCALARS[at < 0 ? this.constants.push(value) - 1 : at] ?? 'none'
  }

  private set(q: string, low: number, high: number, ...text: string[]): Lanes | undefined {
    this.body.push(...text)
    return low >= -FITS && high < FITS ? { q, low, high } : undefined
  }

  lanes(e: Expr): Lanes | undefined {
    if (e.k === 'load') {
      const step = this.step(e)
      const q = this.take()
      if (step === undefined || !q || this.loads.length === 2) return undefined
      const r = `r${this.loads.length}`
      this.loads.push({ load: e, step })
      return this.set(
        q,
        -128,
        127,
        ...(step ? [`vldrb.s32 ${q}, [${r}], #4`] : [`ldrsb r3, [${r}]`, `vdup.32 ${q}, r3`]),
      )
    }
    const [a, b] = argsOf(e, 'add', 'wadd', 'sub', 'mul')
    if (a && b && e.k === 'op') return this.binary(e.op, a, b)
    const [x, m, s] = argsOf(e, 'requant')
    return x && this.rounded(x, this.known(m), this.known(s))
  }

  private binary(op: string, a: Expr, b: Expr): Lanes | undefined {
    const [p, k] = [this.lanes(a), this.known(b)]
    if (!p) return undefined
    const { q, low, high } = p
    if (k !== undefined && op === 'mul') {
      const corners = [low * k, high * k]
      const left = Math.log2(k)
      const text = Number.isInteger(left)
        ? left
          ? [`vshl.s32 ${q}, ${q}, #${left}`]
          : []
        : [`vmul.i32 ${q}, ${q}, ${this.scalar(k)}`]
      return this.set(q, Math.min(...corners), Math.max(...corners), ...text)
    }
    if (k !== undefined) {
      const by = op === 'sub' ? -k : k
      return this.set(q, low + by, high + by, ...(by ? [`vadd.i32 ${q}, ${q}, ${this.scalar(by)}`] : []))
    }
    const r = this.lanes(b)
    if (!r) return undefined
    this.used.delete(r.q)
    if (op === 'mul') {
      const corners = [low * r.low, low * r.high, high * r.low, high * r.high]
      return this.set(q, Math.min(...corners), Math.max(...corners), `vmul.i32 ${q}, ${q}, ${r.q}`)
    }
    if (op === 'sub') return this.set(q, low - r.high, high - r.low, `vsub.i32 ${q}, ${q}, ${r.q}`)
    return this.set(q, low + r.low, high + r.high, `vadd.i32 ${q}, ${q}, ${r.q}`)
  }

  private rounded(e: Expr, multiplier?: number, shift?: number): Lanes | undefined {
    const x = this.lanes(e)
    const spare = this.take()
    if (!x || !spare || multiplier === undefined || shift === undefined) return undefined
    this.used.delete(spare)
    const { q } = x
    const scale = 2 ** Math.max(0, shift)
    if (x.low * scale < -FITS || x.high * scale >= FITS) return undefined
    if (shift > 0) this.body.push(`vshl.s32 ${q}, ${q}, #${shift}`)
    this.body.push(`vqrdmulh.s32 ${q}, ${q}, ${this.scalar(multiplier)}`)
    if (shift < 0)
      this.body.push(
        `vshr.s32 ${spare}, ${q}, #31`,
        `vadd.i32 ${q}, ${q}, ${spare}`,
        `vrshl.s32 ${q}, ${this.scalar(shift)}`,
      )
    return { q, low: requant(x.low, multiplier, shift), high: requant(x.high, multiplier, shift) }
  }

  /** min(max(requant(x, m, s) + zero, -128), 127) */
  stored(e: Expr): string | undefined {
    const [low, hi] = argsOf(e, 'min')
    const [value, lo] = argsOf(low, 'max')
    const [scaled, zero] = argsOf(value, 'add', 'wadd')
    const [x, m, s] = argsOf(scaled, 'requant')
    if (!x || this.known(lo) !== -128 || this.known(hi) !== 127) return undefined
    const [multiplier, shift, z] = [m, s, zero].map(this.known)
    const sum = this.lanes(x)
    const spare = this.take()
    if (!sum || !spare || multiplier === undefined || shift === undefined || z === undefined) return undefined
    const form = formOf([{ ...sum, multiplier, shift }], z)
    if (!form) return undefined
    const [own] = form.channels
    const numbers = [own.multiplier, own.offset, own.left].map((n) => this.scalar(n))
    this.body.push(...requantize(sum.q, numbers, form.signed ? spare : undefined), `vshr.s32 ${sum.q}, ${sum.q}, #24`)
    return sum.q
  }
}

function shaped({ kernel, args }: Call): Call | undefined {
  const bound = new Map(kernel.bufs.map((buf, i) => [buf.name, { buf, data: dataOf(args[i]) }]))
  const numbers = new Map<string, number>()
  const known = (e: Expr | undefined): number | undefined => {
    if (e?.k === 'const') return e.value
    if (e?.k === 'var') return numbers.get(e.name)
    if (e?.k !== 'load' || e.at.length !== 1 || e.at[0].k !== 'const') return undefined
    const value = bound.get(e.buf)?.data?.[e.at[0].value]
    return value === undefined ? undefined : Number(value)
  }
  const body = kernel.body.s === 'block' ? kernel.body.body : [kernel.body]
  const heads = body.slice(0, -1)
  for (const s of heads) {
    const value = s.s === 'let' ? known(s.value) : undefined
    if (s.s !== 'let' || value === undefined) return undefined
    numbers.set(s.name, value)
  }
  const loops: For[] = []
  let inner: Stmt | undefined = body.at(-1)
  for (; inner?.s === 'for' && inner.parallel; inner = inner.body) loops.push(inner)
  const loop = loops.pop()
  if (inner?.s !== 'store' || !loop || loop.extent < SHORTEST) return undefined
  const store = inner

  const place = (buf: string, at: readonly Expr[]): Affine | undefined => {
    const sums = at.map((e) => affine(e))
    const own = bound.get(buf)!.buf
    return own.elem === 'i8' && sums.every((a) => a !== undefined) ? flat({ buf: own, at: sums }) : undefined
  }
  const stepOf = (buf: string, at: readonly Expr[]) => {
    const a = place(buf, at)
    const step = a && (a.terms.get(loop.v) ?? 0)
    return step === 0 || step === 1 ? step : undefined
  }
  if (stepOf(store.buf, store.at) !== 1) return undefined
  const compiler = new Compiler(known, (e) => stepOf(e.buf, e.at))
  const q = compiler.stored(store.value)
  const { loads, constants } = compiler
  if (!q || constants.length >= SCALARS.length) return undefined
  const [y, k] = [`r${loads.length}`, `r${loads.length + 1}`]
  const text = [...compiler.body, `vstrb.32 ${q}, [${y}], #4`]
  const extent = SCALARS[constants.length]
  const used = [...SCALARS.slice(0, constants.length), extent]
  const lanes: Routine = routine(`lanes_${fingerprint(text.join())}`, {}, [
    `ldm ${k}, {${used.join(', ')}}`,
    `dlstp.32 lr, ${extent}`,
    '1:',
    ...text,
    'letp lr, 1b',
  ])
  const start = new Map([[loop.v, L.int(0)]])
  const first = (buf: string, at: readonly Expr[]) =>
    L.load(bound.get(buf)!.buf, ...at.map((e) => substituteExpr(e, start)))
  const numbersOf: Buf = L.buffer('lanes', 'i32', [used.length])
  const asm: Stmt = {
    s: 'asm',
    means: L.block(...heads, loop),
    routine: lanes,
    args: [...loads.map(({ load }) => first(load.buf, load.at)), first(store.buf, store.at), L.load(numbersOf, 0)],
  }
  const around = loops.reduceRight<Stmt>((nested, { v, extent }) => ({ s: 'for', v, extent, body: nested }), asm)
  return {
    kernel: { ...kernel, bufs: [...kernel.bufs, numbersOf], body: around },
    args: [...args, { data: Int32Array.of(...constants, loop.extent) }],
  }
}

/** Elementwise results, four in lanes. */
export const elementwise: Recipe = { name: 'elements in lanes', apply: shaped }
