// The table of operators, made from the list in `all.ts`.

import type { Op } from '../ir/op.ts'
import * as all from './all.ts'

/** Every operator by name. */
export const OPS: ReadonlyMap<string, Op> = new Map(Object.values(all as Record<string, Op>).map((op) => [op.name, op]))
