// A benchmark as text: a table of machines, then for each that was measured by layers what each layer took.

import { type BenchLayer, type BenchRow, benchTable } from '../report/bench_page.ts'
import { bytesText, countText, table, timeText } from '../report/figures.ts'
import { shortName } from './model.ts'
import { bar } from './numbers.ts'

/** Layers that are shown of a long model, unless all are asked for. */
const SHOWN = 12
const BAR = 12

/** Steps of one layer added up; their stacks do not add up. */
function merged(layers: readonly BenchLayer[]): BenchLayer[] {
  const by = new Map<string, BenchLayer>()
  const sum = (a: number | undefined, b: number | undefined) => (a === undefined ? b : a + (b ?? 0))
  for (const layer of layers) {
    const seen = by.get(layer.name)
    if (!seen) by.set(layer.name, layer)
    else
      by.set(layer.name, {
        name: layer.name,
        instructions: sum(seen.instructions, layer.instructions),
        cycles: sum(seen.cycles, layer.cycles),
        estimatedCycles: sum(seen.estimatedCycles, layer.estimatedCycles),
        us: sum(seen.us, layer.us),
        ...(seen.stackBytes !== undefined && { stackBytes: Math.max(seen.stackBytes, layer.stackBytes ?? 0) }),
        ...(seen.mix && layer.mix && { mix: addMix(seen.mix, layer.mix) }),
      })
  }
  return [...by.values()]
}

type LayerMix = NonNullable<BenchLayer['mix']>

function addMix(a: LayerMix, b: LayerMix): LayerMix {
  const classes = Object.keys(a.instructions) as (keyof LayerMix['instructions'])[]
  return {
    instructions: Object.fromEntries(
      classes.map((c) => [c, a.instructions[c] + b.instructions[c]]),
    ) as LayerMix['instructions'],
    loadWords: a.loadWords + b.loadWords,
    storeWords: a.storeWords + b.storeWords,
    taken: a.taken + b.taken,
  }
}

const COLUMNS: readonly (readonly [
  heading: string,
  value: (l: BenchLayer) => number | undefined,
  text: (n: number) => string,
])[] = [
  ['time', (l) => l.us, timeText],
  ['cycles', (l) => l.cycles, countText],
  ['instructions', (l) => l.instructions, countText],
  ['~cycles', (l) => l.estimatedCycles, countText],
  ['alu', (l) => l.mix?.instructions.alu, countText],
  ['multiply', (l) => l.mix?.instructions.multiply, countText],
  ['vector', (l) => l.mix?.instructions.vector, countText],
  ['float', (l) => l.mix?.instructions.float, countText],
  ['divide', (l) => l.mix?.instructions.divide, countText],
  ['words loaded', (l) => l.mix?.loadWords, countText],
  ['stored', (l) => l.mix?.storeWords, countText],
  ['branches taken', (l) => l.mix?.taken, countText],
  ['stack', (l) => l.stackBytes, bytesText],
]

const weight = (l: BenchLayer) => l.us ?? l.cycles ?? l.instructions ?? 0

/** What each layer of a row took, the most expensive ones of a long model. */
function layersText({ on, layers = [] }: BenchRow, all: boolean): string[] {
  const every = merged(layers)
  const total = every.reduce((n, l) => n + weight(l), 0)
  const least = all ? 0 : [...every].sort((a, b) => weight(b) - weight(a))[SHOWN - 1]
  const shown = every.filter((l) => !least || weight(l) >= weight(least)).slice(0, all ? undefined : SHOWN)
  const columns = COLUMNS.filter(([, value]) => shown.some((l) => value(l)))
  if (columns.length === 0) return []
  const rows = shown.map((l) => {
    const share = total > 0 ? weight(l) / total : 0
    const cells = columns.map(([, value, text]) => {
      const n = value(l)
      return n === undefined ? '' : text(n)
    })
    return [shortName(l.name, 32), bar(share, BAR), `${(100 * share).toFixed(1)}%`, ...cells]
  })
  const left = every.length - shown.length
  return [
    '',
    `${on}, by layers${left > 0 ? `, the ${shown.length} of ${every.length} that take most (--all shows all)` : ''}`,
    table(['layer', '', '>', ...columns.map(([heading]) => `>${heading}`)], rows),
  ]
}

/** RAM and flash of a board, and what its figures would be on parts. */
function boardText(row: BenchRow): string[] {
  if (row.codeBytes === undefined && row.cycles === undefined) return []
  const { on, arenaBytes, arenaUsedBytes = 0, stackBytes, codeBytes, weightBytes, estimates = [] } = row
  const stack = stackBytes ? `, stack ${bytesText(stackBytes)} painted` : ''
  const code = codeBytes === undefined ? '' : `, code ${bytesText(codeBytes)}`
  const parts = estimates.map(({ board, clockHz, us, joules, note }) => [
    `  ${board}`,
    `${countText(clockHz / 1e6)} MHz`,
    `~${timeText(us)}`,
    `~${(joules * 1e3).toPrecision(3)} mJ`,
    note,
  ])
  return [
    '',
    `${on}: RAM ${bytesText(arenaBytes)} planned, ${bytesText(arenaUsedBytes)} painted${stack}; flash: weights ${bytesText(weightBytes)}${code}`,
    ...(parts.length > 0 ? [table(['', '>', '>', '>', ''], parts)] : []),
  ]
}

const ESTIMATED =
  '~ is an estimate: cycles by a model of the core, memory without waits; energy by the current that a data sheet names (docs/on-a-microcontroller.md)'

/** All rows of one model. */
export function benchText(rows: readonly BenchRow[], all: boolean): string[] {
  const { headings, cells } = benchTable(rows)
  return [
    table(headings, cells),
    ...rows.flatMap((row) => [...boardText(row), ...layersText(row, all)]),
    ...(rows.some((r) => r.estimatedCycles !== undefined) ? ['', ESTIMATED] : []),
  ]
}
