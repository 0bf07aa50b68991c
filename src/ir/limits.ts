// What a graph may ask for, whatever file it came from. Beyond these limits it is refused before memory is taken for it,
// so that a small file, damaged or hostile, stays a small matter.

import { ModelError } from '../errors.ts'
import { bytesOf, type TensorType } from './graph.ts'

/** Dimensions of a tensor in a file. */
export const MAX_RANK = 8
/** Bytes of one tensor, and of a program's RAM and constants together: what 32-bit signed offsets can address. */
export const MAX_BYTES = 2 ** 31 - 1
/** Bytes that constants may grow to beyond what the file holds, computed or filled in while it is read and compiled. */
export const FOLD_BYTES = 2 ** 26
/** No node of more multiply-accumulates is computed while a graph is read or compiled. */
export const FOLD_MACS = 2 ** 26
/** Entries of one table that a reading makes from a few numbers of the file. */
const MAX_TABLE = 2 ** 22

/** Throws ModelError unless the dimensions are whole numbers, the size is bounded and scales are positive and finite. */
export function checkType(type: TensorType, where: string): void {
  const { dtype, shape, quant } = type
  if (shape.some((d) => !Number.isInteger(d) || d < 0))
    throw new ModelError(where, `has shape [${shape}], dimensions must be whole numbers`)
  if (!(bytesOf(type) <= MAX_BYTES))
    throw new ModelError(where, `is ${dtype}[${shape}], that is more than ${MAX_BYTES} bytes`)
  const wrong = quant?.scale.find((s) => !(s > 0 && Number.isFinite(s)))
  if (wrong !== undefined) throw new ModelError(where, `has the scale ${wrong}, scales are positive`)
}

/** `n`, the length of a table that is to be made. Throws ModelError where it is no whole number or too large. */
export function tableLength(n: number, what: string, where: string): number {
  if (Number.isInteger(n) && n >= 0 && n <= MAX_TABLE) return n
  throw new ModelError(where, `${what} is ${n}, expected a whole number up to ${MAX_TABLE}`)
}
