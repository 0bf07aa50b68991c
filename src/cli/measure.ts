// Times on the machine at hand: a warm-up, then as many runs as fit a second, at least `runs`.

import type { Program } from '../emit/program.ts'
import type { Node } from '../ir/graph.ts'

const BUDGET_MS = 1000

export interface Timing {
  readonly runs: number
  readonly minUs: number
  readonly medianUs: number
}

function median(sorted: readonly number[]): number {
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

function rounded(us: number): number {
  return Math.round(us * 100) / 100
}

/** Times `work`, at least `runs` times and, with `fill`, for as long as a second lasts. */
export function measure(work: () => void, runs: number, fill = true): Timing {
  const stop = performance.now() + BUDGET_MS
  for (let i = 0; i < 3 && performance.now() < stop; i++) work()
  const us: number[] = []
  while (us.length < runs || (fill && performance.now() < stop && us.length < 10_000)) {
    const from = performance.now()
    work()
    us.push((performance.now() - from) * 1000)
  }
  us.sort((a, b) => a - b)
  return { runs: us.length, minUs: rounded(us[0]), medianUs: rounded(median(us)) }
}

/** Medians of each layer's time in a WebAssembly program: the same module, run step by step. */
export async function layerTimes(program: Program, runs: number): Promise<{ name: string; op: string; us: number }[]> {
  const { instance } = await WebAssembly.instantiate(program.wasm as BufferSource, {})
  const exports = instance.exports as Readonly<Record<string, (...args: number[]) => void>>
  const { steps } = program.plan
  const us = steps.map((): number[] => [])
  exports.init()
  for (let i = 0; i < 3; i++) exports.run()
  const stop = performance.now() + BUDGET_MS
  for (let i = 0; i < runs || (performance.now() < stop && i < 1000); i++)
    steps.forEach((_, s) => {
      const from = performance.now()
      exports.run_layers(s, s + 1)
      us[s].push((performance.now() - from) * 1000)
    })
  const total = new Map<Node, number>()
  steps.forEach(({ node }, s) => {
    total.set(node, (total.get(node) ?? 0) + median(us[s].sort((a, b) => a - b)))
  })
  return [...total].map(([node, sum]) => ({ name: node.from, op: node.op.name, us: rounded(sum) }))
}
