// What gradient rules are written in: sums, products and functions of float32 values as nodes, and the way back from a
// broadcast operand.

import type { Builder } from '../ir/build.ts'
import { type Node, sameShape, type Value } from '../ir/graph.ts'
import type { Attrs } from '../ir/op.ts'
import { add, div, mul, sub } from '../ops/binary/op.ts'
import { clampGradient } from '../ops/gradients/clamp.ts'
import type { Clamp } from '../ops/quant.ts'
import { sum } from '../ops/reduce/op.ts'
import { reshape } from '../ops/shape/reshape.ts'

export interface Terms {
  number(value: number): Value
  add(a: Value, b: Value | number): Value
  sub(a: Value | number, b: Value | number): Value
  mul(a: Value, b: Value | number): Value
  div(a: Value | number, b: Value): Value
  /** Summed over `axes`, which stay with extent 1. */
  sum(x: Value, axes: readonly number[]): Value
  shaped(x: Value, shape: readonly number[]): Value
}

export function termsOf(build: Builder): Terms {
  const number = (value: number) => build.const('number', { dtype: 'f32', shape: [] }, Float32Array.of(value))
  const operand = (x: Value | number) => (typeof x === 'number' ? number(x) : x)
  const plain = { clamp: {} }
  return {
    number,
    add: (a, b) => build.one(add, [a, operand(b)], plain),
    sub: (a, b) => build.one(sub, [operand(a), operand(b)], plain),
    mul: (a, b) => build.one(mul, [a, operand(b)], plain),
    div: (a, b) => build.one(div, [operand(a), b], plain),
    sum: (x, axes) => build.one(sum, [x], { axes, keepDims: true }),
    shaped: (x, shape) => (sameShape(x.type.shape, shape) ? x : build.one(reshape, [x], { shape })),
  }
}

/** `g` of a result's shape as the gradient of an operand that was broadcast to it. */
export function unbroadcast(build: Builder, g: Value, shape: readonly number[]): Value {
  const wide = g.type.shape
  const aligned = [...new Array<number>(wide.length - shape.length).fill(1), ...shape]
  const axes = wide.flatMap((d, i) => (d !== 1 && aligned[i] === 1 ? [i] : []))
  const { sum, shaped } = termsOf(build)
  return shaped(axes.length > 0 ? sum(g, axes) : g, shape)
}

/** `g` through the node's fused activation. */
export function throughClamp<A extends Attrs & { readonly clamp: Clamp }>(
  build: Builder,
  node: Node<A>,
  g: Value,
): Value {
  const { clamp } = node.attrs
  if (clamp.min === undefined && clamp.max === undefined) return g
  return build.one(clampGradient, [g, node.outputs[0]], clamp)
}
