// What a machine is to the compiler: a table. `recipes` are tried in order on each node's loops; the first that applies
// shapes them for the machine. A recipe looks at loops, never at which operator they came from.

import type { Call } from '../ir/op.ts'
import { simplify } from '../loops/simplify.ts'

/** A way to make loops fast on a machine, or undefined where the loops are not of the form it knows. */
export interface Recipe {
  readonly name: string
  /** Its loops read all of a channel (slice of the last axis) before they write that channel of the output, in this order. */
  readonly byChannel?: true
  apply(call: Call): Call | undefined
}

export interface Target {
  readonly name: string
  readonly emits: 'c' | 'wasm'
  /** Alignment in bytes of every tensor in the arena and in the weight segment. */
  readonly align: number
  readonly recipes: readonly Recipe[]
}

/** Loops as a target wants them. */
export interface Scheduled {
  readonly call: Call
  readonly recipe: string
}

function shaped(recipes: readonly Recipe[], call: Call): Scheduled | undefined {
  for (const recipe of recipes) {
    const shaped = recipe.apply(call)
    if (shaped) return { call: { ...shaped, kernel: simplify(shaped.kernel) }, recipe: recipe.name }
  }
  return undefined
}

/** The loops as the target wants them; the plain loops where no recipe applies. */
export function schedule(target: Target, call: Call): Scheduled {
  const plain = { ...call, kernel: simplify(call.kernel) }
  return shaped(target.recipes, plain) ?? { call: plain, recipe: 'plain' }
}

/** The same where the output may overwrite the input channel by channel; undefined where no such recipe applies. */
export function scheduleByChannel(target: Target, call: Call): Scheduled | undefined {
  const recipes = target.recipes.filter((r) => r.byChannel)
  return shaped(recipes, { ...call, kernel: simplify(call.kernel) })
}
