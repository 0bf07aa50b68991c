// The weight segment as a file of its own: a header that says which programs it is for and what its bytes are, then the
// bytes. Numbers are little-endian.

import type { Plan } from '../../plan/plan.ts'
import { layoutOf } from '../wasm/module.ts'

/** Mark, layout, hash of the bytes; then the bytes. */
export const WEIGHTS_HEADER = 16

const MARK = 'motewgts'

/** The weights of a program for any other whose weights have the same layout, and whose inputs and outputs the same types. */
export function weightsFile(plan: Plan): Uint8Array {
  const { weights } = plan
  const file = new Uint8Array(WEIGHTS_HEADER + weights.bytes.length)
  file.set(new TextEncoder().encode(MARK))
  const view = new DataView(file.buffer)
  view.setUint32(8, layoutOf(plan), true)
  view.setUint32(12, Number.parseInt(weights.hash, 16), true)
  file.set(weights.bytes, WEIGHTS_HEADER)
  return file
}
