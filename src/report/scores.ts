// What the numbers of a tensor say: stored elements as the reals that they stand for, and the highest of them.

import { InputError } from '../errors.ts'
import type { TensorType } from '../ir/graph.ts'
import { f16ToF32 } from '../loops/float.ts'
import type { Data } from '../loops/ir.ts'
import { topK } from '../web/classes.ts'

/** The value that a stored element stands for. */
export function realOf(type: TensorType, x: number | bigint): number {
  if (type.dtype === 'f16') return f16ToF32(Number(x))
  const q = type.quant
  return q && q.scale.length === 1 ? q.scale[0] * (Number(x) - q.zero[0]) : Number(x)
}

export interface Score {
  readonly label: string
  readonly score: number
}

/** The `k` highest values of a tensor as reals, highest first, the earlier first among equals. */
export function topScores(type: TensorType, data: Data, k: number, labels?: readonly string[]): Score[] {
  if (labels && labels.length !== data.length)
    throw new InputError('--labels', `has ${labels.length} labels, the output has ${data.length} elements`)
  const scores = Array.from(data as ArrayLike<number | bigint>, (x) => realOf(type, x))
  return topK(scores, k, labels).map(({ label, score }) => ({ label, score }))
}
