// Hashes of results. The bits of a computed NaN are no promise of any machine, so every NaN counts as one.

import { fingerprint } from '../../src/ir/hash.ts'
import type { Data } from '../../src/loops/ir.ts'

/** The hash of a tensor's bytes, each NaN as the canonical one. */
export function hashOf(data: Data): string {
  return fingerprint(
    data instanceof Float32Array || data instanceof Float64Array
      ? data.map((x) => (Number.isNaN(x) ? Number.NaN : x))
      : data,
  )
}
