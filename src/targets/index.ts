// The targets by name. `c` is for whatever C99 compiler is at hand; `portable` and the Cortex-M names say which machine
// the benchmarks build for.

import { InputError } from '../errors.ts'
import { copies } from './armv7em/copy.ts'
import { dense } from './armv7em/dense.ts'
import { depthwise } from './armv7em/depthwise.ts'
import { product } from './armv7em/product.ts'
import { reduce as halves } from './armv7em/reduce.ts'
import { shorten } from './armv7em/shorten.ts'
import { sum } from './armv7em/sum.ts'
import { dense as tiles } from './helium/dense.ts'
import { depthwise as lanePlanes } from './helium/depthwise.ts'
import { elementwise } from './helium/elementwise.ts'
import { reduce } from './helium/reduce.ts'
import { sum as laneSum } from './helium/sum.ts'
import { dotProducts, followed, lanes, shareLoads } from './recipes.ts'
import type { Recipe, Target } from './target.ts'
import { dense as wasmDense } from './wasm/dense.ts'
import { depthwise as wasmDepthwise } from './wasm/depthwise.ts'
import { floats } from './wasm/float.ts'
import { floatDepthwise } from './wasm/float_depthwise.ts'
import { quads } from './wasm/quads.ts'
import { shorten as wasmShorten } from './wasm/shorten.ts'
import { sum as wasmSum } from './wasm/sum.ts'

const c = (name: string, recipes: readonly Recipe[] = []): Target => ({
  name,
  emits: 'c',
  align: 8,
  recipes: [...recipes, shareLoads(4), shareLoads(2)],
})

const moving = followed(copies, [shareLoads(4), shareLoads(2)])

const ARMV7EM = [dense, depthwise, sum, product, halves, moving, shorten]

const wasm = (name: string, recipes: readonly Recipe[] = []): Target => ({
  name,
  emits: 'wasm',
  align: 16,
  recipes: [
    ...recipes,
    ...[wasmDense, wasmDepthwise, wasmSum, wasmShorten, floats, floatDepthwise],
    ...[dotProducts(2, 4), lanes],
  ],
})

const TARGETS: readonly Target[] = [
  wasm('wasm'),
  // for engines whose relaxed dot product is exact for signed times unsigned bytes
  wasm('wasm-relaxed', [quads]),
  c('c'),
  c('portable'),
  c('cortex-m4', ARMV7EM),
  c('cortex-m7', ARMV7EM),
  c('cortex-m55', [tiles, lanePlanes, laneSum, elementwise, reduce, moving, shorten]),
]

export const TARGET_NAMES: readonly string[] = TARGETS.map((t) => t.name)

/** The target of that name, or InputError that lists the names there are. */
export function targetOf(name: string): Target {
  const target = TARGETS.find((t) => t.name === name)
  if (!target) throw new InputError('target', `"${name}" is not known`, `targets are ${TARGET_NAMES.join(', ')}`)
  return target
}
