// Sums of two int8 tensors of one shape, requantised: sat8((offset + ka * a + kb * b) >> (15 + shift)) eight at a time. Factors
// of 30 bits are an upper and a lower half each, so that `dot` multiplies a pair (a, b) by both: the sum of the lower halves
// and the offset's gives what carries. Whether that is TensorFlow Lite's sum (three roundings) is checked for all pairs.

import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr, I16X8, type Stmt } from '../../loops/ir.ts'
import { levelsOf, type Sum, slopeOf, sumOf } from '../armv7em/sum.ts'
import type { Recipe } from '../target.ts'

interface Form {
  readonly a: number
  readonly b: number
  readonly offset: number
  /** Beyond the lower halves. */
  readonly shift: number
}

const HALF = 15

function formOf(sum: Sum): Form | undefined {
  const [ra, rb] = [slopeOf(sum, sum.a), slopeOf(sum, sum.b)]
  // upper halves, and their sums, fit 16 and 32 bits
  const shift = Math.min(16, Math.floor(14 - Math.log2(Math.max(Math.abs(ra), Math.abs(rb)))))
  if (shift < 0) return undefined
  const levels = levelsOf(sum)
  const unit = 2 ** (HALF + shift)
  for (const da of [0, 1, -1, 2, -2])
    for (const db of [0, 1, -1, 2, -2]) {
      const [a, b] = [Math.round(ra * unit) + da, Math.round(rb * unit) + db]
      let [from, to] = [-(2 ** 45), 2 ** 45]
      for (let i = 0; i < 256 && from <= to; i++)
        for (let j = 0; j < 256; j++) {
          const level = levels[256 * i + j]
          const r = a * (i - 128) + b * (j - 128)
          if (level > -128) from = Math.max(from, level * unit - r)
          if (level < 127) to = Math.min(to, (level + 1) * unit - 1 - r)
        }
      const offset = Math.max(from, Math.min(to, 0))
      const fits = Math.abs(a) < 2 ** 29 && Math.abs(b) < 2 ** 29 && Math.abs(offset) < 2 ** 44
      if (from <= to && fits) return { a, b, offset, shift }
    }
  return undefined
}

const lower = (n: number) => n - upper(n) * 2 ** HALF
const upper = (n: number) => Math.floor(n / 2 ** HALF)
const pair = (a: number, b: number) => (a & 0xffff) | (b << 16)

function shaped(call: Call): Call | undefined {
  const sum = sumOf(call)
  const n = sum?.elements ?? 0
  if (!sum || n < 8 || call.kernel.bufs.some((b) => b.name === sum.y && count(b.shape) !== n)) return undefined
  const form = formOf(sum)
  if (!form) return undefined
  const bound = (name: string) => call.args[call.kernel.bufs.findIndex((b) => b.name === name)]
  const [a, b] = [L.buffer('a', 'i8', [n]), L.buffer('b', 'i8', [n])]
  const y = L.buffer('y', 'i8', [n], 'write')
  const k = L.buffer('k', 'i32', [5])
  const numbers = [0, 1, 2, 3].map((i) => {
    const word = L.splat(L.load(k, i), 4)
    return L.declare(['upper', 'lower', 'offset', 'carried'][i], i < 2 ? L.op('halves', word) : word)
  })
  const [high, low, offset, carried] = numbers.map(([, register]) => register)
  const some = (i: Expr, t: string): Stmt[] => {
    const [declareA, xa] = L.declare(`a${t}`, L.loadLanes(a, I16X8, i))
    const [declareB, xb] = L.declare(`b${t}`, L.loadLanes(b, I16X8, i))
    const four = (pairs: Expr): Expr => {
      const carry = L.op('shr', L.op('add', L.op('dot', pairs, low), carried), L.splat(HALF, 4))
      return L.op('shr', L.op('add', L.op('add', L.op('dot', pairs, high), offset), carry), L.splat(L.load(k, 4), 4))
    }
    const eight = L.op('narrow', four(L.op('zipLow', xa, xb)), four(L.op('zipHigh', xa, xb)))
    const limit = (value: number): Expr => ({ k: 'op', op: 'splat', args: [L.int(value)], type: I16X8 })
    return [declareA, declareB, L.store(y, [i], L.clamp(eight, limit(-128), limit(127)))]
  }
  const last = n % 8 ? some(L.int(n - 8), '1') : []
  const body = [
    ...numbers.map(([declare]) => declare),
    // the last eight are read before the output may overwrite some of them
    ...last.slice(0, 2),
    L.loop('i', n >> 3, (i) => some(L.mul(i, 8), '0')),
    ...last.slice(2),
  ]
  const data = Int32Array.of(
    pair(upper(form.a), upper(form.b)),
    pair(lower(form.a), lower(form.b)),
    upper(form.offset),
    lower(form.offset),
    form.shift,
  )
  return {
    kernel: L.kernel(call.kernel.name, [a, b, k, y], L.block(...body)),
    args: [bound(sum.a.buf), bound(sum.b.buf), { data }, bound(sum.y)],
  }
}

/** Eight sums at a time. */
export const sum: Recipe = { name: 'sums of dot', apply: shaped }
