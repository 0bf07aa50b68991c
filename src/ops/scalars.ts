// What elementwise operators do to one element of each operand, by the register that holds it, and tensors as such
// numbers: f16 elements are float32 numbers in between, i64 elements bigints.

import { type DType, elemOf } from '../ir/graph.ts'
import { f16ToF32, f32ToF16 } from '../loops/float.ts'
import { type Data, type Elem, type Expr, type Num, newData, registerOf } from '../loops/ir.ts'
import type { Steps } from '../loops/math.ts'

export type Scalar = number | bigint
export type ScalarFn = (...x: never[]) => Scalar

/** A function on elements: a member for each kind of register on which it is defined. */
export interface Scalars {
  /** On real numbers; for f32 and f16 its exact result is rounded once, unless `f32` says otherwise. */
  readonly real?: (...x: number[]) => number
  /** On float32 numbers, every step rounded. */
  readonly f32?: (...x: number[]) => number
  /** On whole numbers of at most 32 bits; of the result, the low bits are stored. */
  readonly int?: (...x: number[]) => number
  readonly long?: (...x: bigint[]) => Scalar
  /** The same in the loop language: operands, then parameters; `num` is the operands' register. */
  expr(x: readonly Expr[], num: Num): Expr | Steps
}

/** The function for operands of one dtype; undefined where there is none. */
export function scalarFn(f: Omit<Scalars, 'expr'>, dtype: DType): ((...x: Scalar[]) => Scalar) | undefined {
  const elem = elemOf(dtype)
  const { real, f32, int, long } = f
  const of = (() => {
    switch (elem && registerOf(elem).num) {
      case 'f32':
        return f32 ?? (real && ((...x: number[]) => Math.fround(real(...x))))
      case 'f64':
        return real
      case 'i64':
        return long
      default:
        return int
    }
  })()
  return of as ((...x: Scalar[]) => Scalar) | undefined
}

/** The elements of a tensor as registers hold them. */
export function scalarsOf(data: Data | undefined): ArrayLike<Scalar> {
  if (data instanceof Uint16Array) return Float32Array.from(data, f16ToF32)
  return data as Exclude<Data, Uint16Array>
}

/** A tensor of `n` elements, `of(i)` each, stored as a kernel's store does. */
export function tensorOf(elem: Elem, n: number, of: (i: number) => Scalar): Data {
  const y = newData(elem, n)
  for (let i = 0; i < n; i++) {
    const v = of(i)
    if (y instanceof BigInt64Array) y[i] = v as bigint
    else y[i] = y instanceof Uint16Array ? f32ToF16(v as number) : (v as number)
  }
  return y
}

/** The statements and the result of an expression that may need statements. */
export function stepsOf(e: Expr | Steps): Steps {
  return 'k' in e ? [[], e] : e
}
