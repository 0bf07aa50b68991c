// int8 and int16 elements with scales, as TensorFlow Lite Micro computes them: |x| and the leaky ReLU rescaled in
// integers, 1 / sqrt(x) by Newton steps in fixed point, other functions of int8 as a table of 256 float32 results.

import { ModelError } from '../../errors.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import { clz, requant, srdhm } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import type { Expr } from '../../loops/ir.ts'
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

/** The result for each stored int8, of a float32 function. */
export function tabulated(x: TensorType, y: TensorType, real: (x: Scalar) => Scalar): Of {
  const [from, to] = [ends(x), ends(y)]
  const inverse = f(1 / to.scale)
  return (q) => limited(y, roundAway(f((real(f(from.scale * (q - from.zero))) as number) * inverse)) + to.zero)
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

export function lowerSlopes(node: Node, alpha: number): { numbers: Parameters<string>; expr: (x: Expr) => Expr } {
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
    expr(q) {
      const d = L.op('sub', q, zx)
      const v = L.select(L.lt(d, 0), L.op('wmul', L.requant(d, mb, sb), sign), L.requant(d, ma, sa))
      return L.clamp(L.op('wadd', v, zy), min, max)
    },
  }
}

/** 1 / sqrt(x) of a whole number x as multiplier and shift of `requant`: five Newton steps from 1 in Q3.28. */
function inverseRoot(x: number): { multiplier: number; shift: number } {
  if (x <= 1) return { multiplier: 2 ** 31 - 1, shift: 0 }
  const pairs = ((clz(x) - 1) >> 1) - 1
  const q = (x << (2 * pairs)) >> 1
  const half = (q + 1) >> 1
  const rescale = (v: number, bits: number) => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, v * 2 ** bits))
  let y = 2 ** 28
  for (let i = 0; i < 5; i++) {
    const cube = rescale(srdhm(srdhm(y, y), y), 6)
    y = rescale((srdhm(2 ** 28 + 2 ** 27, y) - srdhm(half, cube)) | 0, 3)
  }
  const shift = 11 - pairs
  const multiplier = srdhm(y, 1518500250)
  return shift < 0 ? { multiplier: multiplier << -shift, shift: 0 } : { multiplier, shift: -shift }
}

export function evalRsqrt(x: TensorType, y: TensorType): Of {
  const [from, to] = [ends(x), ends(y)]
  const { multiplier, shift } = quantizeMultiplier(1 / f(f(Math.sqrt(from.scale)) * to.scale))
  const kept = 20
  if (shift - kept < -31)
    throw new ModelError(
      'rsqrt',
      `input has scale ${from.scale} and output ${to.scale}, too large to be told apart from 0`,
    )
  return (q) => {
    const v = q - from.zero
    if (v <= 0) return rangeOf(y.dtype).max
    const root = inverseRoot(v)
    const data = requant(1, root.multiplier, root.shift + kept)
    return limited(y, (requant(data, multiplier, shift - kept) + to.zero) | 0)
  }
}

export function evalAbs(x: TensorType, y: TensorType): Of {
  const [from, to] = [ends(x), ends(y)]
  if (from.scale === to.scale) return (q) => limited(y, Math.abs(q - from.zero) + to.zero)
  const { multiplier, shift } = quantizeMultiplier(f(from.scale / to.scale))
  return (q) => limited(y, (requant(Math.abs(q - from.zero), multiplier, shift) + to.zero) | 0)
}
