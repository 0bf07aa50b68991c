// A benchmark as one HTML page without any script: for each model a bar chart of its median times (a line over the middle
// half of the runs) and one of instructions, and the table below them.

import type { Mix } from '../targets/cycles.ts'
import { bytesText, countText, timeText } from './figures.ts'
import { escaped, shell } from './page.ts'

/** What one layer took. */
export interface BenchLayer {
  readonly name: string
  readonly instructions?: number
  readonly us?: number
  /** Counted by a board's clock. */
  readonly cycles?: number
  readonly estimatedCycles?: number
  readonly stackBytes?: number
  readonly mix?: Mix
}

/** What a part would need at its clock, by estimated cycles and the current that its data sheet names. */
export interface Estimate {
  readonly board: string
  readonly clockHz: number
  readonly us: number
  readonly joules: number
  readonly note: string
}

/** What one machine took for a model. What was not measured is absent. */
export interface BenchRow {
  readonly on: string
  readonly arenaBytes: number
  readonly weightBytes: number
  readonly outputFnv1a: readonly string[]
  readonly instructions?: number
  /** Counted by a board's clock. */
  readonly cycles?: number
  readonly clockHz?: number
  readonly estimatedCycles?: number
  readonly estimates?: readonly Estimate[]
  readonly minUs?: number
  readonly medianUs?: number
  /** Between the first and the third quartile of the runs. */
  readonly spreadUs?: number
  readonly quartilesUs?: readonly [first: number, third: number]
  readonly timedRuns?: number
  readonly arenaUsedBytes?: number
  readonly stackBytes?: number
  readonly codeBytes?: number
  readonly layers?: readonly BenchLayer[]
}

export interface BenchResult {
  readonly model: string
  readonly runs: readonly BenchRow[]
}

/** Headings ('>' sets a column to the right) and cells of the rows; columns that nothing was measured for are left out. */
export function benchTable(rows: readonly BenchRow[]): { headings: readonly string[]; cells: readonly string[][] } {
  const columns: readonly (readonly [string, (r: BenchRow) => string | undefined])[] = [
    ['on', (r) => r.on],
    ['>instructions', (r) => given(r.instructions, countText)],
    ['>cycles', (r) => given(r.cycles, countText) ?? given(r.estimatedCycles, (n) => `~${countText(n)}`)],
    ['>min', (r) => given(r.minUs, timeText)],
    ['>median', (r) => given(r.medianUs, timeText)],
    ['>spread', (r) => given(r.spreadUs, timeText)],
    ['>arena', (r) => bytesText(r.arenaBytes)],
    ['>stack', (r) => given(r.stackBytes, bytesText)],
    ['>code', (r) => given(r.codeBytes, bytesText)],
    ['>weights', (r) => bytesText(r.weightBytes)],
    ['output', (r) => r.outputFnv1a.join(' ')],
  ]
  const shown = columns.filter(([, cell]) => rows.some((r) => cell(r) !== undefined))
  return {
    headings: shown.map(([heading]) => heading),
    cells: rows.map((r) => shown.map(([, cell]) => cell(r) ?? '')),
  }
}

function given(value: number | undefined, text: (n: number) => string): string | undefined {
  return value === undefined ? undefined : text(value)
}

const [LABEL, BAR, LINE, FIGURE] = [110, 420, 26, 110]

/** What a bar is drawn of: `on` beside it, and the quartiles of a time. */
type Bar = Pick<BenchRow, 'on' | 'medianUs' | 'quartilesUs'>

/** A chart of one figure of each row; rows without it are left out. */
export function bars<R extends Bar>(
  title: string,
  rows: readonly R[],
  value: (r: R) => number | undefined,
  text: (n: number) => string,
): string {
  const shown = rows.flatMap((r) => {
    const n = value(r)
    return n === undefined ? [] : [{ r, n }]
  })
  if (shown.length === 0) return ''
  const most = Math.max(...shown.map(({ r, n }) => (r.medianUs === n ? (r.quartilesUs?.[1] ?? n) : n)), 1e-9)
  const x = (n: number) => (LABEL + (BAR * n) / most).toFixed(1)
  const drawn = shown.map(({ r, n }, i) => {
    const y = i * LINE
    const middle = y + LINE / 2
    const [first, third] = (r.medianUs === n && r.quartilesUs) || [n, n]
    return `<text x="0" y="${middle + 4}">${escaped(r.on)}</text>
<rect class="k0" x="${LABEL}" y="${y + 4}" width="${((BAR * n) / most).toFixed(1)}" height="${LINE - 8}"/>
<line class="bound" x1="${x(first)}" x2="${x(third)}" y1="${middle}" y2="${middle}"/>
<text x="${x(Math.max(n, third))}" dx="6" y="${middle + 4}">${text(n)}</text>`
  })
  const width = LABEL + BAR + FIGURE
  const height = shown.length * LINE
  return `<h2>${title}</h2>
<svg viewBox="0 0 ${width} ${height}" width="100%" role="img" aria-label="${title}">
${drawn.join('\n')}
</svg>`
}

/** A table; a heading that starts with '>' sets its column to the right. */
export function grid({ headings, cells }: ReturnType<typeof benchTable>): string {
  const side = (c: number) => (headings[c].startsWith('>') ? ' class="n"' : '')
  const line = (texts: readonly string[], tag: string) =>
    `<tr>${texts.map((t, c) => `<${tag}${side(c)}>${escaped(t)}</${tag}>`).join('')}</tr>`
  const head = headings.map((h) => h.replace('>', ''))
  return `<div class="scroll"><table>${line(head, 'th')}${cells.map((c) => line(c, 'td')).join('')}</table></div>`
}

/** The page; `title` is the line under its heading. Needs Web Crypto. */
export function benchPage(results: readonly BenchResult[], title: string): Promise<string> {
  const sections = results.map(
    ({ model, runs }) => `<section>
<p><b>${escaped(model)}</b></p>
${bars('Median time of a run', runs, (r) => r.medianUs, timeText)}
${bars('Instructions', runs, (r) => r.instructions, countText)}
${bars('Estimated cycles', runs, (r) => r.estimatedCycles, countText)}
${grid(benchTable(runs))}
</section>`,
  )
  return shell({ title: 'mote bench', heading: 'mote bench', under: title, body: sections.join('\n') })
}
