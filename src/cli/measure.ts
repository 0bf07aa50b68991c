// Times on the machine at hand: a warm-up, then as many runs as fit a second, at least so many as are asked for.

import type { Program } from '../emit/program.ts'
import type { Node } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'
import type { Plan } from '../plan/plan.ts'
import { HOST_CLOCK_HZ, servedHostC } from '../run/host_served.ts'
import { timeExchange } from '../run/serial_protocol.ts'
import { importsOf } from '../run/wasm.ts'

const BUDGET_MS = 1000
/** Bytes of inputs that a process is given at most beyond the runs that are asked for. */
const MOST_INPUT = 16e6

export interface Timing {
  readonly runs: number
  readonly minUs: number
  readonly medianUs: number
  /** Between the quartiles; absent with fewer than four runs. */
  readonly spreadUs?: number
  readonly quartilesUs?: readonly [first: number, third: number]
}

function median(sorted: readonly number[]): number {
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

function rounded(us: number): number {
  return Math.round(us * 100) / 100
}

/** The value at a share of the way through sorted numbers, between two of them where it falls so. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1)
  const [lo, hi] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  return lo + (hi - lo) * (at % 1)
}

/** What is timed: `runs` times at least and, with `fill`, for as long as its share of the time lasts. */
export interface Work {
  run(): void
  readonly runs: number
  readonly fill: boolean
}

/** Times several works in turns, one run of each after the other, so that what else the machine does slows all alike. */
export function measure(works: readonly Work[]): Timing[] {
  const spent = works.map(() => 0)
  for (const { run } of works) {
    const stop = performance.now() + BUDGET_MS
    for (let i = 0; i < 3 && performance.now() < stop; i++) run()
  }
  const us = works.map((): number[] => [])
  const wants = (w: number) => {
    const { runs, fill } = works[w]
    return us[w].length < runs || (fill && spent[w] < BUDGET_MS && us[w].length < 10_000)
  }
  for (let left = true; left; ) {
    left = false
    for (const [w, { run }] of works.entries()) {
      if (!wants(w)) continue
      left = true
      const from = performance.now()
      run()
      const ms = performance.now() - from
      spent[w] += ms
      us[w].push(ms * 1000)
    }
  }
  return us.map(timingOf)
}

function timingOf(us: readonly number[]): Timing {
  const times = us.toSorted((a, b) => a - b)
  const [first, third] = [quantile(times, 0.25), quantile(times, 0.75)]
  return {
    runs: times.length,
    minUs: rounded(times[0]),
    medianUs: rounded(median(times)),
    ...(times.length > 3 && {
      spreadUs: rounded(third - first),
      quartilesUs: [rounded(first), rounded(third)] as const,
    }),
  }
}

export interface LayerTime {
  readonly name: string
  readonly op: string
  readonly us: number
}

/** Medians of each step's times, added up by layer. */
function layerMedians({ steps }: Plan, us: readonly (readonly number[])[]): LayerTime[] {
  const total = new Map<Node, number>()
  steps.forEach(({ node }, s) => {
    total.set(node, (total.get(node) ?? 0) + median(us[s].toSorted((a, b) => a - b)))
  })
  return [...total].map(([node, sum]) => ({ name: node.from, op: node.op.name, us: rounded(sum) }))
}

/** Times C on this machine, in a process of its own: as often as asked for and, where that takes less, for a second. */
export function timeC(
  plan: Plan,
  inputs: readonly Data[],
  runs: number,
): { readonly outputs: readonly Data[]; readonly timing: Timing; readonly layers: readonly LayerTime[] } {
  const ask = servedHostC(plan)
  const us = (counts: number) => (counts / HOST_CLOCK_HZ) * 1e6
  const first = us(median(ask(timeExchange(plan, inputs, 3, 0)).runs.toSorted((a, b) => a - b)))
  const bytes = inputs.reduce((n, d) => n + d.byteLength, 0)
  const most = Math.min(1000, Math.ceil(MOST_INPUT / (bytes + 1)), Math.ceil((BUDGET_MS * 1000) / Math.max(first, 1)))
  const timed = ask(timeExchange(plan, inputs, Math.max(runs, most), Math.min(10, most)))
  return {
    outputs: timed.outputs,
    timing: timingOf(timed.runs.map(us)),
    layers: layerMedians(
      plan,
      timed.steps.map((counts) => counts.map(us)),
    ),
  }
}

/** Medians of each layer's time in a WebAssembly program: the same module, run step by step. */
export async function layerTimes(program: Program, runs: number): Promise<LayerTime[]> {
  const { instance } = await WebAssembly.instantiate(program.wasm as BufferSource, importsOf(program.plan))
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
  return layerMedians(program.plan, us)
}
