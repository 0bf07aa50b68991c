// The targets by name. `c` is for whatever C99 compiler is at hand; `portable` and the Cortex-M names say which machine
// the benchmarks build for.

import { InputError } from '../errors.ts'
import { copies } from './armv7em/copy.ts'
import { dense } from './armv7em/dense.ts'
import { depthwise } from './armv7em/depthwise.ts'
import { floatColumns } from './armv7em/float_columns.ts'
import { floatSums } from './armv7em/float_sums.ts'
import { live } from './armv7em/live.ts'
import { liveDepthwise } from './armv7em/live_depthwise.ts'
import { maskProducts } from './armv7em/mask_products.ts'
import { product } from './armv7em/product.ts'
import { reduce as halves } from './armv7em/reduce.ts'
import { shorten } from './armv7em/shorten.ts'
import { subByteDepthwise } from './armv7em/sub_byte_depthwise.ts'
import { maskedSum, sum } from './armv7em/sum.ts'
import { dense as tiles } from './helium/dense.ts'
import { depthwise as lanePlanes } from './helium/depthwise.ts'
import { elementwise } from './helium/elementwise.ts'
import { reduce } from './helium/reduce.ts'
import { sum as laneSum } from './helium/sum.ts'
import { dotProducts, followed, lanes, shareLoads } from './recipes.ts'
import type { Recipe, Target } from './target.ts'
import { apart } from './wasm/apart.ts'
import { dense as wasmDense } from './wasm/dense_pairs.ts'
import { depthwise as wasmDepthwise } from './wasm/depthwise_pairs.ts'
import { depthwiseQuads } from './wasm/depthwise_quads.ts'
import { floats } from './wasm/float.ts'
import { floatDepthwise } from './wasm/float_depthwise.ts'
import { floatOuter } from './wasm/float_outer.ts'
import { floatTaps } from './wasm/float_taps.ts'
import { quads } from './wasm/quads.ts'
import { shorten as wasmShorten } from './wasm/shorten.ts'
import { unpacked } from './wasm/sub_byte.ts'
import { sum as wasmSum } from './wasm/sum.ts'
import { winograd } from './wasm/winograd.ts'

const c = (name: string, recipes: readonly Recipe[] = []): Target => ({
  name,
  emits: 'c',
  align: 8,
  recipes: [...recipes, shareLoads(4), shareLoads(2)],
})

const moving = followed(copies, [shareLoads(4), shareLoads(2)])

const ARMV7EM = [
  dense,
  depthwise,
  subByteDepthwise,
  live,
  liveDepthwise,
  sum,
  maskedSum,
  product,
  halves,
  floatSums,
  floatColumns,
  maskProducts,
  moving,
  shorten,
]

const FLOAT = [floatOuter, floatTaps, floats, floatDepthwise]

const wasm = (name: string, own: readonly Recipe[] = []): Target => {
  const recipes = [
    ...own,
    ...[wasmDense, wasmDepthwise, wasmSum, wasmShorten],
    ...FLOAT,
    apart('float, phase by phase', FLOAT, [lanes]),
    ...[dotProducts(2, 4), lanes],
  ]
  return { name, emits: 'wasm', align: 16, recipes: [unpacked(recipes), ...recipes] }
}

// for engines whose relaxed dot product is exact for signed times unsigned bytes
const RELAXED = wasm('wasm-relaxed', [quads, depthwiseQuads])
const FAST: Target = { ...RELAXED, name: 'wasm-fast', recipes: [winograd, ...RELAXED.recipes], fast: true }

const TARGETS: readonly Target[] = [
  wasm('wasm'),
  RELAXED,
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

/** WebAssembly in place of `target` where the last bits of float32 sums may go for speed. Throws InputError for other machines. */
export function fastOf({ name, emits }: Target): Target {
  if (emits !== 'wasm') throw new InputError('fast', `is not available for ${name}`, 'choose wasm')
  return FAST
}
