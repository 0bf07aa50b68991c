// Schemes of learning as text: a table, and the memory of one step over time.

import { bytesText, countText, table } from './figures.ts'
import { clip, type Terminal } from './terminal.ts'
import type { SchemeRow } from './train_page.ts'

const ROWS = 8

const PLANNED = { fast: 'planned for speed', small: 'by pieces', streamed: 'input row by row' }

/** `1.2 M`: instructions and MACs, in millions. */
const millions = (n: number) => `${(n / 1e6).toFixed(n < 1e7 ? 2 : 1)} M`

/** Headings ('>' sets a column to the right) and cells; columns that nothing is known of are left out. */
export function schemeTable(rows: readonly SchemeRow[]): { headings: readonly string[]; cells: readonly string[][] } {
  const given = (n: number | undefined, text: (n: number) => string) => (n === undefined ? undefined : text(n))
  const columns: readonly (readonly [string, (r: SchemeRow) => string | undefined])[] = [
    ['scheme', (r) => r.scheme],
    ['>learns', (r) => countText(r.learning)],
    ['>extra', (r) => bytesText(r.extra.total)],
    ['>arena', (r) => bytesText(r.arenaBytes)],
    ['>least', (r) => bytesText(r.smallBytes)],
    ['>streamed', (r) => given(r.streamedBytes, bytesText)],
    ['>RAM', (r) => given(r.measured?.ramBytes, bytesText)],
    ['>MACs', (r) => millions(r.macs)],
    ['>instructions', (r) => given(r.measured?.instructions, millions) ?? `~${millions(r.estimatedInstructions)}`],
    ['fits', (r) => r.fits && { fast: 'yes', small: 'by pieces', streamed: 'streamed', none: 'no' }[r.fits]],
  ]
  const shown = columns.filter(([, cell]) => rows.some((r) => cell(r) !== undefined))
  return {
    headings: shown.map(([heading]) => heading),
    cells: rows.map((r) => shown.map(([, cell]) => cell(r) ?? '-')),
  }
}

/** The live bytes of a step over time, as columns; where the loss is known a mark below. */
function chart(row: SchemeRow, sram: number | undefined, { columns, unicode }: Terminal): string[] {
  const { liveBytes, judged } = row
  const width = Math.min(columns - 12, liveBytes.length)
  const most = Math.max(...liveBytes, sram ?? 0)
  const at = (c: number) => Math.floor((c * liveBytes.length) / width)
  const columnsOf = Array.from({ length: width }, (_, c) =>
    Math.max(...liveBytes.slice(at(c), Math.max(at(c) + 1, at(c + 1)))),
  )
  const glyph = unicode ? '█' : '#'
  const lines = Array.from({ length: ROWS }, (_, k) => {
    const level = (most * (ROWS - k - 0.5)) / ROWS
    const limit = sram !== undefined && Math.abs(sram - (most * (ROWS - k)) / ROWS) <= most / ROWS / 2
    const cells = columnsOf.map((b) => (b >= level ? glyph : limit ? (unicode ? '─' : '-') : ' ')).join('')
    return `${bytesText(Math.round((most * (ROWS - k)) / ROWS)).padStart(10)} ${cells.trimEnd()}`
  })
  const loss = Math.min(width - 1, Math.floor((judged * width) / liveBytes.length))
  return [
    `memory of one step of ${row.scheme} over time (${PLANNED[row.plan]})`,
    ...lines,
    `${' '.repeat(11 + loss)}^ loss; forward before, backward after`,
  ]
}

/** The table, and the step of the best scheme that fits (of the first where nothing is said) over time. */
export function trainText(
  rows: readonly SchemeRow[],
  refused: readonly { readonly scheme: string; readonly message: string }[],
  { title, sram }: { readonly title: string; readonly sram: number | undefined },
  terminal: Terminal,
): string {
  const { headings, cells } = schemeTable(rows)
  const fitting = rows.filter((r) => r.fits !== 'none')
  const drawn = [...(fitting.length > 0 ? fitting : rows)].sort((a, b) => b.learning - a.learning).at(0)
  const differ = rows.filter((r) => r.measured?.same === false)
  return [
    clip(title, terminal.columns, terminal),
    '',
    ...(rows.length > 0 ? [table(headings, cells), ''] : []),
    'extra: weights, biases, kept inputs and masks, as published schemes count; arena: the plan for speed;',
    'least: the plan for memory; streamed: the input given row by row; ~ is estimated, --on measures',
    ...refused.map(({ scheme, message }) => `${scheme} is not possible: ${clip(message, 200, terminal)}`),
    ...differ.map(
      (r) => `THE RESULTS OF ${r.scheme} DIFFER on ${r.measured!.on} (this is a bug in mote, please report it)`,
    ),
    ...(drawn ? ['', ...chart(drawn, sram, terminal)] : []),
  ].join('\n')
}
