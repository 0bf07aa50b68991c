// int8 and int16 elements with scales, as TensorFlow Lite (Micro) computes them: |x| and the leaky ReLU rescaled in
// integers, 1 / sqrt(x) by Newton steps in fixed point, other functions as tables of float32 results. Where a function has
// no finite value, it is the least one that the output can hold.

import { ModelError } from '../../errors.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import type { Expr } from '../../loops/ir.ts'
import type { Steps } from '../../loops/math.ts'
import { inverseRoot } from '../fixed_point.ts'
import { inverseRootSteps } from '../fixed_point_steps.ts'
import { lut16 } from '../lut16.ts'
import { type Parameters, parameters } from '../parameters.ts'
import { quantizeMultiplier, rangeOf, roundAway } from '../quant.ts'
import type { Scalar } from '../scalars.ts'

type Of = (q: number) => number
type Ends = { readonly scale: number; readonly zero: number }

const f = Math.fround

function ends(type: TensorType): Ends {
  return { scale: type.quant!.scale[0], zero: type.quant!.zero[0] }
}

function limited(y: TensorType, v: number): number {
  const { min, max } = rangeOf(y.dtype)
  return Math.min(max, Math.max(min, v))
}

/** The function with the output's least real value where it has none of its own. */
function finite({ scale, zero }: Ends, y: TensorType, real: (x: Scalar) => Scalar): (x: number) => number {
  const least = f(f(scale) * (rangeOf(y.dtype).min - zero))
  return (x) => {
    const v = real(x) as number
    return Number.isFinite(v) ? v : v > 0 ? Number.POSITIVE_INFINITY : least
  }
}

/** The result for each stored int8, of a float32 function. */
export function tabulated(x: TensorType, y: TensorType, real: (x: Scalar) => Scalar): Of {
  const [from, to] = [ends(x), ends(y)]
  const inverse = f(1 / to.scale)
  const of = finite(to, y, real)
  return (q) => limited(y, roundAway(f(of(f(from.scale * (q - from.zero))) * inverse)) + to.zero)
}

/** The table of a float32 function of int16. */
export function table16(x: TensorType, y: TensorType, real: (x: Scalar) => Scalar): Int16Array {
  return lut16(ends(x), ends(y), finite(ends(y), y, real))
}

/** A sign's slope: the multiplier is applied without its sign. */
function sloped(real: number) {
  const { multiplier, shift } = quantizeMultiplier(Math.abs(real))
  return { multiplier, shift, sign: real < 0 ? -1 : 1 }
}

/** Two slopes, for what is below the zero point and for the rest. */
export interface Slopes {
  readonly below: ReturnType<typeof sloped>
  readonly above: ReturnType<typeof sloped>
}

export function slopesOf(x: TensorType, y: TensorType, alpha: number): Slopes {
  const [from, to] = [ends(x).scale, ends(y).scale]
  return { below: sloped(f(f(from * f(alpha)) / to)), above: sloped(f(from / to)) }
}

export function evalSlopes(node: Node, alpha: number): Of {
  const [x, y] = [node.inputs[0]!.type, node.outputs[0].type]
  const { below, above } = slopesOf(x, y, alpha)
  const [zx, zy] = [ends(x).zero, ends(y).zero]
  return (q) => {
    const m = q - zx < 0 ? below : above
    return limited(y, (m.sign * requant(q - zx, m.multiplier, m.shift) + zy) | 0)
  }
}

/** The numbers of a layer, and the result for a stored element in the loop language. */
interface Lowered {
  readonly numbers: Parameters<string>
  steps(q: Expr): Steps
}

export function lowerSlopes(node: Node, alpha: number): Lowered {
  const [x, y] = [node.inputs[0]!.type, node.outputs[0].type]
  const { below, above } = slopesOf(x, y, alpha)
  const { min, max } = rangeOf(y.dtype)
  const numbers = parameters('q', 'i32', {
    zx: ends(x).zero,
    zy: ends(y).zero,
    mb: below.multiplier,
    sb: below.shift,
    sign: below.sign,
    ma: above.multiplier,
    sa: above.shift,
  })
  const { zx, zy, mb, sb, sign, ma, sa } = numbers.of
  return {
    numbers,
    steps(q) {
      const d = L.op('sub', q, zx)
      const v = L.select(L.lt(d, 0), L.op('wmul', L.requant(d, mb, sb), sign), L.requant(d, ma, sa))
      return [[], L.clamp(L.op('wadd', v, zy), min, max)]
    },
  }
}

/** Fraction bits of 1 / sqrt(x) before it is rescaled. */
const KEPT = 20

function rootMultiplier(x: TensorType, y: TensorType) {
  const [from, to] = [ends(x).scale, ends(y).scale]
  const m = quantizeMultiplier(1 / f(f(Math.sqrt(from)) * to))
  if (m.shift - KEPT < -31)
    throw new ModelError('rsqrt', `input has scale ${from} and output ${to}, too large to be told apart from 0`)
  return m
}

export function evalRsqrt(x: TensorType, y: TensorType): Of {
  const [from, to] = [ends(x), ends(y)]
  const { multiplier, shift } = rootMultiplier(x, y)
  return (q) => {
    const v = q - from.zero
    if (v <= 0) return rangeOf(y.dtype).max
    const root = inverseRoot(v)
    const data = requant(1, root.multiplier, root.shift + KEPT)
    return limited(y, (requant(data, multiplier, shift - KEPT) + to.zero) | 0)
  }
}

/** int16, whose zero points are 0. */
export function lowerRsqrt(x: TensorType, y: TensorType): Lowered {
  const { multiplier, shift } = rootMultiplier(x, y)
  const { min, max } = rangeOf(y.dtype)
  const numbers = parameters('q', 'i32', { by: multiplier, shift: shift - KEPT })
  return {
    numbers,
    steps(q) {
      const [declare, v] = L.declare('v', q)
      const root = inverseRootSteps(v, 'root')
      const data = L.requant(L.int(1), root.multiplier, L.add(root.shift, KEPT))
      const result = L.clamp(L.requant(data, numbers.of.by, numbers.of.shift), min, max)
      return [[declare, ...root.stmts], L.select(L.op('gt', v, 0), result, max)]
    },
  }
}

/** The multiplier of |x|; none where the scale stays. */
function sizeMultiplier(x: TensorType, y: TensorType) {
  const [from, to] = [ends(x).scale, ends(y).scale]
  return from === to ? undefined : quantizeMultiplier(f(from / to))
}

export function evalAbs(x: TensorType, y: TensorType): Of {
  const [from, to] = [ends(x), ends(y)]
  const m = sizeMultiplier(x, y)
  return (q) => {
    const size = Math.abs(q - from.zero)
    return limited(y, m ? (requant(size, m.multiplier, m.shift) + to.zero) | 0 : size + to.zero)
  }
}

/** int16, whose zero points are 0. */
export function lowerAbs(x: TensorType, y: TensorType): Lowered {
  const m = sizeMultiplier(x, y)
  const { min, max } = rangeOf(y.dtype)
  const scale = (m ? { by: m.multiplier, shift: m.shift } : {}) as Record<'by' | 'shift', number>
  const numbers = parameters('q', 'i32', scale)
  const scaled = (v: Expr) => (m ? L.requant(v, numbers.of.by, numbers.of.shift) : v)
  return { numbers, steps: (q) => [[], L.clamp(scaled(L.op('abs', q)), min, max)] }
}
