// The loop of a clamp: only the limits that are given, after a requantisation where the type changes.

import { type Node, sameQuant, type Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Expr } from '../../loops/ir.ts'
import { elementwise } from '../elementwise.ts'
import { parameters } from '../parameters.ts'
import { type Clamp, clampRange, quantizeMultiplier } from '../quant.ts'

/** The float32 quotient of the scales, as TensorFlow Lite computes it for activations. */
export function clampMultiplier(node: Node<Clamp>): { multiplier: number; shift: number } {
  const [x, y] = [node.inputs[0] as Value, node.outputs[0]]
  return quantizeMultiplier(Math.fround(x.type.quant!.scale[0] / y.type.quant!.scale[0]))
}

export function keepsType(node: Node<Clamp>): boolean {
  return sameQuant(node.inputs[0]!.type.quant, node.outputs[0].type.quant)
}

export function lower(node: Node<Clamp>): Call {
  const y = node.outputs[0].type
  const { lo, hi } = clampRange(y, node.attrs)
  if (keepsType(node)) {
    const limits = { ...(node.attrs.min !== undefined && { lo }), ...(node.attrs.max !== undefined && { hi }) }
    const p = parameters('limit', y.dtype === 'f32' ? 'f32' : 'i32', limits as Record<'lo' | 'hi', number>)
    const bounded = (v: Expr, limit: Expr | undefined, op: 'min' | 'max') => (limit ? L.op(op, v, limit) : v)
    return elementwise('clamp', node, p, (x) => [[], bounded(bounded(x, p.of.lo, 'max'), p.of.hi, 'min')])
  }
  const { multiplier, shift } = clampMultiplier(node)
  const [zx, zy] = [node.inputs[0]!.type.quant!.zero[0], y.quant!.zero[0]]
  const p = parameters('q', 'i32', { zx, zy, lo, hi, m: multiplier, s: shift })
  return elementwise('clamp', node, p, (x) => [
    [],
    L.clamp(L.op('wadd', L.requant(L.op('sub', x, p.of.zx), p.of.m, p.of.s), p.of.zy), p.of.lo, p.of.hi),
  ])
}
