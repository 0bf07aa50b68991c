// What a machine is to the compiler: a table. `recipes` are tried in order on each node's loops; the first that applies
// shapes them for the machine. A recipe looks at loops, never at which operator they came from.

import type { Call } from '../ir/op.ts'
import { contract } from '../loops/contract.ts'
import { simplify } from '../loops/simplify.ts'
import { byBytes, isSubByte } from './sub_byte.ts'

/** A way to make loops fast on a machine, or undefined where the loops are not of the form it knows. */
export interface Recipe {
  readonly name: string
  /** Its loops read all of a channel (slice of the last axis) before they write that channel of the output, in this order. */
  readonly byChannel?: true
  /** It takes operands below 8 bits (`storageOf`). */
  readonly subByte?: true
  /** Its loops stay as they are, so that those of other layers differ from them in constants only and share their code. */
  readonly uniform?: true
  apply(call: Call): Call | undefined
}

export interface Target {
  readonly name: string
  readonly emits: 'c' | 'wasm'
  /** Alignment in bytes of every tensor in the arena and in the weight segment. */
  readonly align: number
  readonly recipes: readonly Recipe[]
  /** Float32 sums round once for each product, so that their last bits are others than those of other targets. */
  readonly fast?: true
}

/** Loops as a target wants them. */
export interface Scheduled {
  readonly call: Call
  readonly recipe: string
}

function shaped(recipes: readonly Recipe[], call: Call): Scheduled | undefined {
  for (const recipe of recipes) {
    const shaped = recipe.apply(call)
    if (!shaped) continue
    return { call: recipe.uniform ? shaped : { ...shaped, kernel: simplify(shaped.kernel) }, recipe: recipe.name }
  }
  return undefined
}

/** What the recipes make of loops: those for operands below 8 bits see them as they are, the others see bytes. */
function tried(recipes: readonly Recipe[], call: Call): { readonly made?: Scheduled; readonly plain: Call } {
  const plain = { ...call, kernel: simplify(call.kernel) }
  if (!isSubByte(plain)) return { made: shaped(recipes, plain), plain }
  const bytes = byBytes(plain)
  const made = shaped(
    recipes.filter((r) => r.subByte),
    plain,
  )
  return { made: made ?? shaped(recipes, bytes), plain: bytes }
}

const IS_FAST = ', fast'

/** Whether the loops that a recipe made were contracted. */
export const isFast = (recipe: string): boolean => recipe.endsWith(IS_FAST)

/** The loops as the target wants them; the plain loops where no recipe applies. */
export function schedule(target: Target, call: Call): Scheduled {
  const { made, plain } = tried(target.recipes, call)
  const scheduled = made ?? { call: plain, recipe: 'plain' }
  const kernel = target.fast ? contract(scheduled.call.kernel) : scheduled.call.kernel
  if (kernel === scheduled.call.kernel) return scheduled
  return { call: { ...scheduled.call, kernel }, recipe: `${scheduled.recipe}${IS_FAST}` }
}

/** The same where the output may overwrite the input channel by channel; undefined where no such recipe applies. */
export function scheduleByChannel(target: Target, call: Call): Scheduled | undefined {
  return tried(
    target.recipes.filter((r) => r.byChannel),
    call,
  ).made
}
