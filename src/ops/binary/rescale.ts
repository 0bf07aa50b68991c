// How quantised operands meet: the multipliers of add, sub and mul, in the order of operations of TensorFlow Lite Micro's
// Prepare steps (add and mul in float64, sub in float32).

import type { Node, Value } from '../../ir/graph.ts'
import { quantizeMultiplier } from '../quant.ts'

export interface Multiplier {
  readonly multiplier: number
  readonly shift: number
}

/** Operands are shifted left, scaled to half of the larger scale, combined, and scaled to the output. */
export interface Rescale {
  readonly leftShift: number
  readonly inputs: readonly [Multiplier, Multiplier]
  readonly output: Multiplier
  /** The output's real multiplier; must be below 1. */
  readonly real: number
}

function scales(node: Node): [number, number, number] {
  const [a, b] = node.inputs as [Value, Value]
  return [a.type.quant!.scale[0], b.type.quant!.scale[0], node.outputs[0].type.quant!.scale[0]]
}

/** For add (`round` keeps float64) and sub (`round` is Math.fround). */
export function sumRescale(node: Node, round: (x: number) => number): Rescale {
  const [a, b, y] = scales(node)
  const leftShift = node.outputs[0].type.dtype === 'i16' ? 15 : 20
  const twice = 2 * Math.max(a, b)
  const real = round(twice / round(2 ** leftShift * y))
  return {
    leftShift,
    inputs: [quantizeMultiplier(round(a / twice)), quantizeMultiplier(round(b / twice))],
    output: quantizeMultiplier(real),
    real,
  }
}

/** For mul: from the product of two offsets to the output. */
export function productRescale(node: Node): Multiplier {
  const [a, b, y] = scales(node)
  return quantizeMultiplier((a * b) / y)
}
