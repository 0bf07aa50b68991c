// Requantises elementwise results (products of two tensors, a tensor's change of scale) in the short form, wherever the
// value before is bounded by the types of what is loaded and its multiplier is known off-line.

import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Expr } from '../../loops/ir.ts'
import { mapStmt } from '../../loops/walk.ts'
import type { Recipe } from '../target.ts'
import { epilogueWords, requantizeMeans, shortForm } from './requantize.ts'

interface Range {
  readonly low: number
  readonly high: number
}

function argsOf(e: Expr | undefined, ...ops: readonly string[]): readonly Expr[] {
  return e?.k === 'op' && ops.includes(e.op) ? e.args : []
}

function shaped({ kernel, args }: Call): Call | undefined {
  const bufs = new Map(kernel.bufs.map((buf, i) => [buf.name, { buf, arg: args[i] }]))
  const registers = new Map<string, Expr>()
  const changed = new Set<string>()
  mapStmt(
    kernel.body,
    (e) => e,
    (s) => {
      if (s.s === 'let') registers.set(s.name, s.value)
      if (s.s === 'set') changed.add(s.name)
      return s
    },
  )
  const number = (e: Expr | undefined): number | undefined => {
    if (e?.k === 'const') return e.value
    if (e?.k === 'var') return changed.has(e.name) ? undefined : number(registers.get(e.name))
    if (e?.k !== 'load' || e.at.length !== 1 || e.at[0].k !== 'const') return undefined
    const { arg } = bufs.get(e.buf)!
    const value = 'data' in arg ? arg.data[e.at[0].value] : undefined
    return value === undefined ? undefined : Number(value)
  }
  const rangeOf = (e: Expr): Range | undefined => {
    const known = number(e)
    if (known !== undefined) return { low: known, high: known }
    if (e.k === 'load') return bufs.get(e.buf)!.buf.elem === 'i8' ? { low: -128, high: 127 } : undefined
    if (e.k === 'var')
      return changed.has(e.name) || !registers.has(e.name) ? undefined : rangeOf(registers.get(e.name)!)
    if (e.k !== 'op') return undefined
    const [a, b] = e.args.map(rangeOf)
    if (!a || !b) return undefined
    if (e.op === 'add') return { low: a.low + b.low, high: a.high + b.high }
    if (e.op === 'sub') return { low: a.low - b.high, high: a.high - b.low }
    if (e.op !== 'mul') return undefined
    const corners = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high]
    return { low: Math.min(...corners), high: Math.max(...corners) }
  }

  const numbers: number[] = []
  const heads: ReturnType<typeof L.declare>[0][] = []
  const short = L.buffer('short', 'i32', [0])
  const shorten = (e: Expr): Expr => {
    const [low, hi] = argsOf(e, 'min')
    const [value, lo] = argsOf(low, 'max')
    const [scaled, zero] = argsOf(value, 'add', 'wadd')
    const [x, multiplier, shift] = argsOf(scaled, 'requant')
    const [m, s, z] = [number(multiplier), number(shift), number(zero)]
    if (number(lo) !== -128 || number(hi) !== 127 || m === undefined || s === undefined || z === undefined) return e
    const range = rangeOf(x)
    const form = range && shortForm([{ ...range, multiplier: m, shift: s }], { zero: z, low: -128, high: 127 })
    if (!form || form.shift === undefined) return e
    const { multiplier: short_, offset, negative } = form.channels[0]
    const first = numbers.length
    numbers.push(short_, offset, ...(form.signed ? [negative] : []))
    const own = Array.from({ length: epilogueWords(form) }, (_, k) => {
      const [declare, register] = L.declare(`short${first + k}`, L.load(short, first + k))
      heads.push(declare)
      return register
    })
    return requantizeMeans(form, L.op('shl', x, 8), (k) => own[k])
  }
  const body = mapStmt(kernel.body, shorten)
  if (numbers.length === 0) return undefined
  const buf = { ...short, shape: [numbers.length] }
  return {
    kernel: { ...kernel, bufs: [...kernel.bufs, buf], body: L.block(...heads, body) },
    args: [...args, { data: Int32Array.from(numbers) }],
  }
}

/** Elementwise requantisation in its short form. */
export const shorten: Recipe = { name: 'short requantisation', apply: shaped }
