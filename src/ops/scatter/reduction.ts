// What a scattered update does to the element that it meets, and the checks that both scatters share.

import { ModelError } from '../../errors.ts'
import type { DType, TensorType } from '../../ir/graph.ts'
import * as L from '../../loops/build.ts'
import type { Data, Expr } from '../../loops/ir.ts'

export type Reduction = 'none' | 'add' | 'mul' | 'min' | 'max'

const NUMBERS: readonly DType[] = ['f32', 'f64', 'i32', 'i64']

/** A reduction by its name in ONNX. */
export function reductionOf(name: string, where: string): Reduction {
  const found = (['none', 'add', 'mul', 'min', 'max'] as const).find((r) => r === name)
  if (!found) throw new ModelError(where, `reduction is "${name}", supported are none, add, mul, min, max`)
  return found
}

/** Anything can be overwritten; only unquantised numbers of 32 bits and more are added, multiplied and compared. */
export function expectReducible(x: TensorType, updates: TensorType, reduction: Reduction, where: string): void {
  if (updates.dtype !== x.dtype) throw new ModelError(where, `updates are ${updates.dtype}, input is ${x.dtype}`)
  if (reduction !== 'none' && (!NUMBERS.includes(x.dtype) || x.quant))
    throw new ModelError(where, `reduction ${reduction} of ${x.dtype}, supported are ${NUMBERS.join(', ')}`)
}

/** The element after an update: integers wrap. */
export function combined(reduction: Reduction, old: Expr, update: Expr): Expr {
  const float = old.type.num === 'f32' || old.type.num === 'f64'
  switch (reduction) {
    case 'none':
      return update
    case 'add':
      return L.op(float ? 'add' : 'wadd', old, update)
    case 'mul':
      return L.op(float ? 'mul' : 'wmul', old, update)
    default:
      return L.op(reduction, old, update)
  }
}

/** The same on data: the store rounds or wraps as the type does. */
export function combine(reduction: Reduction, Y: Data, at: number, update: number | bigint): void {
  const old = Y[at]
  const result = (): number | bigint => {
    if (reduction === 'none') return update
    if (reduction === 'min') return update < old ? update : old
    if (reduction === 'max') return old < update ? update : old
    if (typeof old === 'bigint') return reduction === 'add' ? old + (update as bigint) : old * (update as bigint)
    if (reduction === 'add') return old + (update as number)
    return Y instanceof Int32Array ? Math.imul(old, update as number) : old * (update as number)
  }
  Y[at] = result()
}
