// The figures of a contest as people and machines read them: times, how many times mote's, and what of the first answer agrees.

import { bytesText, countText, table, timeText } from '../../report/figures.ts'
import type { RivalScore } from './rivals.ts'

export interface RivalRow {
  readonly engine: string
  readonly name: string
  /** Why there are no figures. */
  readonly error?: string
  readonly minUs?: number
  readonly medianUs?: number
  readonly spreadUs?: number
  readonly quartilesUs?: readonly [first: number, third: number]
  readonly runs?: number
  /** Median time by that of mote's program in the same engine. */
  readonly timesMote?: number
  /** From bytes to a model that is ready, and its first run. */
  readonly loadMs?: number
  readonly firstMs?: number
  readonly downloadBytes?: number
  /** Largest difference of an output to mote's, as part of the range of mote's outputs. */
  readonly difference?: number
}

function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  return low + (high - low) * (at % 1)
}

const round = (x: number, digits = 2) => Number(x.toFixed(digits))

/** Numbers on one scale: those of a model with float32 at its edges against stored ones are not compared. */
function differenceOf(ours: RivalScore['outputs'], theirs: RivalScore['outputs']): number | undefined {
  const [a, b] = [ours?.flat() ?? [], theirs?.flat() ?? []]
  if (a.length === 0 || a.length !== b.length) return undefined
  const range = Math.max(...a) - Math.min(...a) || 1
  return round(Math.max(...a.map((x, i) => Math.abs(x - b[i]))) / range, 4)
}

export function rivalRows(scores: readonly RivalScore[]): RivalRow[] {
  const medianOf = (s: RivalScore) =>
    s.us &&
    quantile(
      [...s.us].sort((a, b) => a - b),
      0.5,
    )
  return scores.map((s): RivalRow => {
    const { engine, name, error } = s
    if (error !== undefined || !s.us) return { engine, name, error: error ?? 'gave no figures' }
    const mote = scores.find((m) => m.engine === engine && m.name === 'mote')
    const [own, median] = [mote && medianOf(mote), medianOf(s)!]
    const sorted = [...s.us].sort((a, b) => a - b)
    const difference = mote && mote !== s && !s.floatEdges ? differenceOf(mote.outputs, s.outputs) : undefined
    const quartilesUs = [round(quantile(sorted, 0.25)), round(quantile(sorted, 0.75))] as const
    return {
      ...{ engine, name, minUs: round(sorted[0]), medianUs: round(median) },
      ...{ spreadUs: round(quartilesUs[1] - quartilesUs[0]), quartilesUs, runs: s.runs },
      ...(own !== undefined && { timesMote: round(median / own) }),
      ...{ loadMs: round(s.loadMs!), firstMs: round(s.firstMs!) },
      ...(s.downloadBytes !== undefined && { downloadBytes: s.downloadBytes }),
      ...(difference !== undefined && { difference }),
    }
  })
}

/** Geometric mean over models of the fastest JavaScript rival's time by mote's, for each engine that has one. */
export function geometricMean(ratios: readonly number[]): number {
  return Math.exp(ratios.reduce((s, r) => s + Math.log(r), 0) / ratios.length)
}

/** Headings and cells of the rows that have figures, and why the others have none. */
export function rivalTable(rows: readonly RivalRow[]) {
  const cells = rows.map((r) => [
    r.engine,
    r.name,
    ...(r.error === undefined
      ? [
          timeText(r.minUs!),
          timeText(r.medianUs!),
          timeText(r.spreadUs!),
          r.timesMote === undefined || r.name === 'mote' ? '' : `${r.timesMote.toFixed(2)}x`,
          `${r.loadMs!.toFixed(1)} ms`,
          `${r.firstMs!.toFixed(1)} ms`,
          r.downloadBytes === undefined ? '' : bytesText(r.downloadBytes),
          r.difference === undefined ? '' : `${(100 * r.difference).toFixed(1)}%`,
          countText(r.runs!),
        ]
      : [r.error.length > 90 ? `${r.error.slice(0, 87)}...` : r.error]),
  ])
  const headings = [
    'engine',
    'runtime',
    '>min',
    '>median',
    '>spread',
    '>by mote',
    '>load',
    '>first run',
    '>loads',
    '>differs',
    '>runs',
  ]
  const good = cells.filter((_, i) => rows[i].error === undefined)
  const bad = cells.filter((_, i) => rows[i].error !== undefined)
  return { headings, cells: good, missing: bad.map(([engine, name, why]) => `${engine}: ${name} is left out: ${why}`) }
}

export function rivalText(rows: readonly RivalRow[]): string {
  const { headings, cells, missing } = rivalTable(rows)
  return [...(cells.length > 0 ? [table(headings, cells)] : []), ...missing].join('\n')
}
