// What layers share some of whose channels have weights of their own.

import { ModelError } from '../../errors.ts'
import { type Quant, sameQuant, type TensorType } from '../../ir/graph.ts'
import type { Attrs } from '../../ir/op.ts'

/** `channels`: those of the input that stand apart, in the order in which they do. */
export type Partial<A extends Attrs> = A & { readonly channels: readonly number[] }

/** `channels` are different ones of `x`, and `part` is as they are. */
export function expectPart(x: TensorType, part: TensorType, channels: readonly number[], where: string): void {
  const C = x.shape.at(-1)!
  if (channels.some((c, i) => !Number.isInteger(c) || c < 0 || c >= C || channels.indexOf(c) !== i))
    throw new ModelError(where, `channels are [${channels}], expected different ones of ${C}`)
  const wanted = [...x.shape.slice(0, -1), channels.length]
  if (part.shape.length !== wanted.length || wanted.some((d, i) => d !== part.shape[i]))
    throw new ModelError(where, `part is [${part.shape}], expected [${wanted}]`)
  if (part.dtype !== x.dtype || !sameQuant(part.quant, x.quant))
    throw new ModelError(where, `part is ${part.dtype}, of ${x.dtype} with the scale of that expected`)
}

/** The quantisation of some slices along its axis; of all alike where there is one scale. */
export function partOfQuant(q: Quant, slices: readonly number[]): Quant {
  if (q.scale.length === 1) return q
  return { ...q, scale: Float64Array.from(slices, (c) => q.scale[c]), zero: Int32Array.from(slices, (c) => q.zero[c]) }
}
