// How quantised operands meet: the multipliers of add, sub, mul and div, in the order of operations of TensorFlow Lite
// Micro's Prepare steps (add and mul in float64, sub and div in float32).

import type { Node, Value } from '../../ir/graph.ts'
import { clz, rdivpot, srdhm } from '../../loops/arith.ts'
import { oneOverOnePlus } from '../fixed_point.ts'
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

/** For div: from the quotient of two offsets to the output. */
export function quotientRescale(node: Node): Multiplier {
  const [a, b, y] = scales(node)
  return quantizeMultiplier(Math.fround(a / Math.fround(b * y)))
}

/** Stored int8 divisors, from -128 on: 1 / |offset| as a Q31 number in [1/2, 1) over 2^shift; 0 for the zero point. */
export function reciprocals(node: Node): { inverse: Int32Array; shift: Int32Array } {
  const sizes = Int32Array.from({ length: 256 }, (_, i) => Math.abs(i - 128 - node.inputs[1]!.type.quant!.zero[0]))
  return {
    inverse: sizes.map((v) => (v === 0 ? 0 : oneOverOnePlus(v * 2 ** clz(v) - 2 ** 31))),
    shift: sizes.map((v) => (v === 0 ? 0 : 31 - clz(v))),
  }
}

/** The quotient of two offsets in units of the output; 0 over the zero point, as plain whole numbers have it. */
export function evalQuotient(node: Node): (a: number, b: number) => number {
  const [za, zb] = node.inputs.map((v) => v!.type.quant!.zero[0])
  const { multiplier, shift } = quotientRescale(node)
  const { inverse, shift: right } = reciprocals(node)
  return (a, b) => {
    const v = b < zb ? za - a : a - za
    const room = v === 0 ? 31 : clz(v < 0 ? ~v : v) - 1
    const exponent = room + right[b + 128] - shift
    return exponent > 31 ? 0 : rdivpot(srdhm(srdhm(v * 2 ** room, inverse[b + 128]), multiplier), exponent)
  }
}
