// Nodes that may run at the same time make a level. What one of them needs must stand apart from what any of the others
// needs: their lifetimes are made those of the level. The steps between levels are for one thread.

import type { Node } from '../ir/graph.ts'
import type { Item } from './place.ts'

/** For each node the first and the last of its level. */
export type Levels = readonly { readonly first: number; readonly last: number }[]

export function levelsOf(nodes: readonly Node[]): Levels {
  const first = nodes.map((_, i) => i)
  for (const [i, node] of nodes.entries()) if (node.beside) first[i] = first[i - 1]
  return first.map((f) => ({ first: f, last: first.lastIndexOf(f) }))
}

/** The item with what is in use of it at any step of a level in use at all of them. */
export function lasting<T extends Item>(item: T, levels: Levels): T {
  const at = (step: number) => levels[step] ?? { first: step, last: step }
  const spans = (item.spans ?? [{ first: item.first, from: 0, to: item.bytes }]).map((s, k, all) => ({
    ...s,
    first: at(s.first).first,
    last: at((all[k + 1]?.first ?? item.last + 1) - 1).last,
  }))
  const steps = [...new Set(spans.flatMap((s) => [s.first, s.last + 1]))].sort((a, b) => a - b)
  const last = steps.pop()! - 1
  const together = steps.map((first) => {
    const used = spans.filter((s) => s.first <= first && first <= s.last)
    return { first, from: Math.min(...used.map((s) => s.from)), to: Math.max(...used.map((s) => s.to)) }
  })
  return { ...item, first: steps[0], last, ...(item.spans && { spans: together }) }
}
