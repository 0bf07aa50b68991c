// The targets by name. `c` is for whatever C99 compiler is at hand; `portable` and the Cortex-M names say which machine
// the benchmarks build for.

import { InputError } from '../errors.ts'
import { copies } from './armv7em/copy.ts'
import { dense } from './armv7em/dense.ts'
import { depthwise } from './armv7em/depthwise.ts'
import { shorten } from './armv7em/shorten.ts'
import { sum } from './armv7em/sum.ts'
import { dense as tiles } from './helium/dense.ts'
import { depthwise as lanePlanes } from './helium/depthwise.ts'
import { elementwise } from './helium/elementwise.ts'
import { reduce } from './helium/reduce.ts'
import { sum as laneSum } from './helium/sum.ts'
import { dotProducts, lanes, shareLoads } from './recipes.ts'
import type { Recipe, Target } from './target.ts'

const c = (name: string, recipes: readonly Recipe[] = []): Target => ({
  name,
  emits: 'c',
  align: 8,
  recipes: [...recipes, shareLoads(4), shareLoads(2)],
})

const TARGETS: readonly Target[] = [
  { name: 'wasm', emits: 'wasm', align: 16, recipes: [dotProducts(2, 4), lanes] },
  c('c'),
  c('portable'),
  c('cortex-m4', [dense, depthwise, sum, copies, shorten]),
  c('cortex-m7', [dense, depthwise, sum, copies, shorten]),
  c('cortex-m55', [tiles, lanePlanes, laneSum, elementwise, reduce, copies, shorten]),
]

export const TARGET_NAMES: readonly string[] = TARGETS.map((t) => t.name)

/** The target of that name, or InputError that lists the names there are. */
export function targetOf(name: string): Target {
  const target = TARGETS.find((t) => t.name === name)
  if (!target) throw new InputError('target', `"${name}" is not known`, `targets are ${TARGET_NAMES.join(', ')}`)
  return target
}
