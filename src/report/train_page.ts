// Schemes of learning as one HTML page without any script: the table, and for each scheme the memory of one step over time.

import type { Plan } from '../plan/plan.ts'
import { bytesText, countText } from './figures.ts'
import { escaped, shell } from './page.ts'
import { planReport } from './report.ts'
import { timelineSvg } from './timeline.ts'
import { schemeTable } from './train_text.ts'

/** What one scheme takes. Bytes. */
export interface SchemeRow {
  readonly scheme: string
  /** How many numbers learn. */
  readonly learning: number
  /** Beyond inference, by the counting of published schemes. */
  readonly extra: {
    readonly weights: number
    readonly biases: number
    readonly inputs: number
    readonly masks: number
    readonly total: number
  }
  /** The whole step's arena: planned for speed, for memory, and for memory with the input given row by row. */
  readonly arenaBytes: number
  readonly smallBytes: number
  readonly streamedBytes?: number
  /** Which of these fits the limit, the fastest first; absent where there is none. */
  readonly fits?: 'fast' | 'small' | 'streamed' | 'none'
  /** The plan that what follows is about. */
  readonly plan: 'fast' | 'small' | 'streamed'
  readonly macs: number
  readonly weightBytes: number
  readonly estimatedInstructions: number
  readonly measured?: {
    readonly on: string
    readonly instructions: number
    /** The arena up to the last byte that was written, the stack as far as it was, and both. */
    readonly arenaUsedBytes: number
    readonly stackBytes: number
    readonly ramBytes: number
    /** The results are those of the operators' meaning. */
    readonly same: boolean
  }
  /** What is live at each layer of the step, and how many of them the loss takes. */
  readonly liveBytes: readonly number[]
  readonly judged: number
  readonly made: Plan
}

function schemeSection(row: SchemeRow): string {
  const { scheme, extra, made } = row
  const parts = [
    ['weights', extra.weights],
    ['biases', extra.biases],
    ['kept inputs', extra.inputs],
    ['masks', extra.masks],
  ] as const
  const list = parts.map(([what, n]) => `${what} ${countText(n)} B`).join(', ')
  return `<section><h2>${escaped(scheme)}</h2>
<p class="small soft">extra ${bytesText(extra.total)}: ${list}</p>
<div class="scroll">${timelineSvg(planReport(made), 960, false)}</div></section>`
}

/** The page; `title` is the line under its heading. Needs Web Crypto. */
export function trainPage(rows: readonly SchemeRow[], name: string, title: string): Promise<string> {
  const { headings, cells } = schemeTable(rows)
  const side = (i: number) => (headings[i].startsWith('>') ? ' class="n"' : '')
  const line = (cell: 'th' | 'td', texts: readonly string[]) =>
    `<tr>${texts.map((t, i) => `<${cell}${side(i)}>${escaped(t.replace(/^>/, ''))}</${cell}>`).join('')}</tr>`
  const body = `<section><div class="scroll"><table><thead>${line('th', headings)}</thead>
<tbody>${cells.map((c) => line('td', c)).join('\n')}</tbody></table></div></section>
${rows.map(schemeSection).join('\n')}`
  return shell({ title: `${name}: learning on the device`, heading: `${name}: learning`, under: title, body })
}
