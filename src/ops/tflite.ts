// What operators share in reading and writing .tflite: operands that must be there, constants that become attributes,
// and attributes that become constants again.

import { ModelError } from '../errors.ts'
import type { Value } from '../ir/graph.ts'
import type { OnnxNode, TfliteNode } from '../ir/op.ts'
import { f16ToF32 } from '../loops/float.ts'
import { count } from '../loops/ir.ts'

/** `reshape "flatten"`, for errors while an operator is read. */
export function reading(op: string, node: Pick<TfliteNode, 'result'> | Pick<OnnxNode, 'result'>): string {
  return `${op} "${node.result.from ?? node.result.names?.[0] ?? ''}"`
}

/** Input `i`, which must be present. */
export function operand(node: Pick<TfliteNode, 'inputs'>, i: number, what: string, where: string): Value {
  return (
    node.inputs[i] ??
    (() => {
      throw new ModelError(where, `${what} (input ${i}) is missing`)
    })()
  )
}

/** All inputs, of which the first `n` must be present. */
export function operands(
  node: Pick<TfliteNode, 'inputs'> & (Pick<TfliteNode, 'result'> | Pick<OnnxNode, 'result'>),
  n: number,
  op: string,
): readonly (Value | undefined)[] {
  for (let i = 0; i < n; i++) operand(node, i, 'an operand', reading(op, node))
  return node.inputs
}

/** The elements of a constant input, as numbers. */
export function constantNumbers(node: Pick<TfliteNode, 'inputs'>, i: number, what: string, where: string): number[] {
  const v = operand(node, i, what, where)
  if (v.storage !== 'const' || !v.data)
    throw new ModelError(
      where,
      `${what} "${v.name}" is computed while the model runs, this operator needs a constant`,
      'convert the model with fixed shapes',
    )
  return Array.from(v.data as ArrayLike<number | bigint>, (x) =>
    v.type.dtype === 'f16' ? f16ToF32(Number(x)) : Number(x),
  )
}

/** An int32 constant that stands for an attribute in a file. */
export function int32Constant(name: string, values: readonly number[], shape: readonly number[]): Value {
  if (count(shape) !== values.length) throw new RangeError(`int32Constant ${name}: ${values.length} in [${shape}]`)
  return { name, type: { dtype: 'i32', shape }, storage: 'const', data: Int32Array.from(values) }
}
