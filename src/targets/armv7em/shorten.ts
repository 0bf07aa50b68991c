// Requantises elementwise results (products of two tensors, a tensor's change of scale) in the short form, wherever the
// value before is bounded by the types of what is loaded and its multiplier is known off-line.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Elem, Expr, Stmt } from '../../loops/ir.ts'
import { mapStmt } from '../../loops/walk.ts'
import { argsOf, knownIn } from '../known.ts'
import type { Recipe } from '../target.ts'
import { type Channel, epilogueWords, type Output, requantizeMeans, shortForm } from './requantize.ts'

interface Range {
  readonly low: number
  readonly high: number
}

const RANGES: Partial<Record<Elem, Range>> = { i8: { low: -128, high: 127 }, i16: { low: -32768, high: 32767 } }

/** What takes the place of a requantisation of `x`, limits included: `registers` hold numbers that layers may differ in. */
type Shorter = (
  x: Expr,
  channel: Channel,
  output: Output,
  registers: (elem: 'i32' | 'f32', values: readonly number[]) => readonly Expr[],
) => Expr | undefined

/** The call with shorter forms of elementwise requantisation; undefined where none applies. */
export function shortened({ kernel, args }: Call, shorter: Shorter): Call | undefined {
  const elems = new Map(kernel.bufs.map((buf) => [buf.name, buf.elem]))
  const lets = new Map<string, Expr>()
  const changed = new Set<string>()
  mapStmt(
    kernel.body,
    (e) => e,
    (s) => {
      if (s.s === 'let') lets.set(s.name, s.value)
      if (s.s === 'set') changed.add(s.name)
      return s
    },
  )
  const number = knownIn({ kernel, args }, (name) => (changed.has(name) ? undefined : lets.get(name)))
  const rangeOf = (e: Expr): Range | undefined => {
    const known = number(e)
    if (known !== undefined) return { low: known, high: known }
    if (e.k === 'load') return RANGES[elems.get(e.buf)!]
    if (e.k === 'var') return changed.has(e.name) || !lets.has(e.name) ? undefined : rangeOf(lets.get(e.name)!)
    if (e.k !== 'op') return undefined
    const [a, b] = e.args.map(rangeOf)
    if (!a || !b) return undefined
    if (e.op === 'add') return { low: a.low + b.low, high: a.high + b.high }
    if (e.op === 'sub') return { low: a.low - b.high, high: a.high - b.low }
    if (e.op !== 'mul') return undefined
    const corners = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high]
    return { low: Math.min(...corners), high: Math.max(...corners) }
  }

  const numbers = { i32: [] as number[], f32: [] as number[] }
  const heads: Stmt[] = []
  const short = { i32: 'short', f32: 'short_f' } as const
  const registers = (elem: 'i32' | 'f32', values: readonly number[]) =>
    values.map((value) => {
      const i = numbers[elem].push(value) - 1
      const [declare, register] = L.declare(`${short[elem]}${i}`, L.load(L.buffer(short[elem], elem, [0]), i))
      heads.push(declare)
      return register
    })
  const body = mapStmt(kernel.body, (e) => {
    const [lower, hi] = argsOf(e, 'min')
    const [value, lo] = argsOf(lower, 'max')
    const [scaled, z] = argsOf(value, 'add', 'wadd')
    const [x, m, s] = argsOf(scaled, 'requant')
    const [multiplier, shift, zero, low, high] = [m, s, z, lo, hi].map(number)
    const known = multiplier !== undefined && shift !== undefined && zero !== undefined
    const range = known && low !== undefined && high !== undefined && rangeOf(x)
    return (range && shorter(x, { ...range, multiplier, shift }, { zero, low, high }, registers)) || e
  })
  const added = (['i32', 'f32'] as const).flatMap((elem): [Buf, Arg][] => {
    const data = elem === 'i32' ? Int32Array.from(numbers.i32) : Float32Array.from(numbers.f32)
    return data.length ? [[L.buffer(short[elem], elem, [data.length]), { data }]] : []
  })
  if (heads.length === 0) return undefined
  return {
    kernel: { ...kernel, bufs: [...kernel.bufs, ...added.map(([b]) => b)], body: L.block(...heads, body) },
    args: [...args, ...added.map(([, a]) => a)],
  }
}

const smmla: Shorter = (x, channel, output, registers) => {
  const form = output.low === -128 && output.high === 127 ? shortForm([channel], output) : undefined
  if (form?.shift === undefined) return undefined
  const { multiplier, offset, negative } = form.channels[0]
  const own = registers('i32', [multiplier, offset, negative].slice(0, epilogueWords(form)))
  return requantizeMeans(form, L.op('shl', x, 8), (k) => own[k])
}

/** Elementwise requantisation in its short form. */
export const shorten: Recipe = { name: 'short requantisation', apply: (call) => shortened(call, smmla) }
