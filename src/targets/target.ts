// What a machine is to the compiler: a table. `recipes` are tried in order on each node's loops; the first that applies
// shapes them for the machine. A recipe looks at loops, never at which operator they came from.

import type { Call } from '../ir/op.ts'
import { simplify } from '../loops/simplify.ts'

/** A way to make loops fast on a machine, or undefined where the loops are not of the form it knows. */
export interface Recipe {
  readonly name: string
  apply(call: Call): Call | undefined
}

export interface Target {
  readonly name: string
  readonly emits: 'c' | 'wasm'
  /** Alignment in bytes of every tensor in the arena and in the weight segment. */
  readonly align: number
  readonly recipes: readonly Recipe[]
}

/** The loops as the target wants them; the plain loops where no recipe applies. */
export function schedule(target: Target, call: Call): { readonly call: Call; readonly recipe: string } {
  const plain = { ...call, kernel: simplify(call.kernel) }
  for (const recipe of target.recipes) {
    const shaped = recipe.apply(plain)
    if (shaped) return { call: { ...shaped, kernel: simplify(shaped.kernel) }, recipe: recipe.name }
  }
  return { call: plain, recipe: 'plain' }
}
