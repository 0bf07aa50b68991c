// Sums of int8 elements of one scale as TensorFlow Lite Micro's CUMSUM and ADD_N form them: offsets 19 bits up, from the
// offset of the stored 0 on, requantised where a sum is wanted. That a sum starts there and not at zero is theirs.

import type { TensorType } from '../ir/graph.ts'
import { requant } from '../loops/arith.ts'
import * as L from '../loops/build.ts'
import type { Expr } from '../loops/ir.ts'
import { type Parameters, parameters } from './parameters.ts'
import { quantizeMultiplier } from './quant.ts'

const UP = 19

export interface RunningSum {
  readonly start: number
  add(sum: number, q: number): number
  stored(sum: number): number
}

function multiplierOf(x: TensorType, y: TensorType) {
  return quantizeMultiplier((2 * x.quant!.scale[0]) / (2 ** (UP + 1) * y.quant!.scale[0]))
}

/** Whether the sums of `x` can be stored as `y`: scales may differ by less than 2^19. */
export function canSum(x: TensorType, y: TensorType): boolean {
  return x.quant!.scale[0] / y.quant!.scale[0] < 2 ** UP
}

export function runningSum(x: TensorType, y: TensorType): RunningSum {
  const [zx, zy] = [x.quant!.zero[0], y.quant!.zero[0]]
  const { multiplier, shift } = multiplierOf(x, y)
  return {
    start: -zx << UP,
    add: (sum, q) => (sum + ((q - zx) << UP)) | 0,
    stored: (sum) => Math.max(-128, Math.min(127, (requant(sum, multiplier, shift) + zy) | 0)),
  }
}

/** The same in the loop language. */
export function runningSumSteps(x: TensorType, y: TensorType) {
  const { multiplier, shift } = multiplierOf(x, y)
  const [zx, zy] = [x.quant!.zero[0], y.quant!.zero[0]]
  const numbers: Parameters<string> = parameters('ends', 'i32', { zx, zy, by: multiplier, shift })
  const of = numbers.of
  const up = (v: Expr) => L.mul(v, 2 ** UP)
  return {
    numbers,
    start: up(L.op('neg', of.zx)),
    add: (sum: Expr, q: Expr) => L.op('wadd', sum, up(L.op('sub', q, of.zx))),
    stored: (sum: Expr) => L.clamp(L.op('wadd', L.requant(sum, of.by, of.shift), of.zy), -128, 127),
  }
}
