// A report as text of a given width. Plain ASCII without escape codes unless the terminal is known to show more; names come
// from model files and are stripped of whatever a terminal would obey.

import { bytesText, countText, table } from './figures.ts'
import type { ExternalReport, ModelReport, PassReport, PlanReport, TensorReport } from './report.ts'

export interface Terminal {
  readonly columns: number
  readonly unicode: boolean
  readonly colour: boolean
}

export const PLAIN: Terminal = { columns: 80, unicode: false, colour: false }

/** Rows up to which a list is shown whole, and what is kept of a longer one. */
const WHOLE = 40
const ENDS = 4
const LARGEST = 16
/** Bytes a second of slow memory, where it is a card or a flash behind a plain bus. */
const SLOW = 10e6

/** One line without control characters (and without what is not ASCII where that cannot be shown), cut to `most`. */
export function clip(text: string, most: number, { unicode }: Terminal): string {
  const clean = text.replace(/[\p{C}\p{Z}]/gu, ' ')
  const shown = unicode ? clean : clean.replace(/[^ -~]/g, '?')
  if (shown.length <= most) return shown
  const mark = unicode ? '…' : '..'
  return most <= mark.length ? shown.slice(0, most) : mark + shown.slice(mark.length - most)
}

/** Fused layers of .tflite files carry the names of all their parts; the first says enough. */
const layerName = (name: string, most: number, terminal: Terminal) => clip(name.split(';')[0], most, terminal)

const typeText = ({ dtype, shape }: TensorReport) => `${dtype}[${shape.join(',')}]`

/** Indices of the rows to show: both ends and the largest; the others make one gap line per run. */
function shownRows(sizes: readonly number[], all: boolean): Set<number> {
  const n = sizes.length
  const order = sizes.map((_, i) => i)
  if (all || n <= WHOLE) return new Set(order)
  const largest = [...order].sort((a, b) => sizes[b] - sizes[a] || a - b).slice(0, LARGEST)
  return new Set([...order.slice(0, ENDS), ...order.slice(-ENDS), ...largest])
}

/** The lines of shown rows, with a line from `gap` for each run of others. A run of one is shown. */
function withGaps(
  n: number,
  shown: ReadonlySet<number>,
  row: (i: number) => string[],
  gap: (from: number, to: number) => string[],
) {
  const lines: string[][] = []
  for (let i = 0; i < n; i++) {
    let end = i
    while (end < n && !shown.has(end)) end++
    if (end - i > 1) {
      lines.push(gap(i, end))
      i = end
    }
    if (i < n) lines.push(row(i))
  }
  return lines
}

function ports(report: ModelReport, terminal: Terminal): string[] {
  const line = (kind: string, t: TensorReport) =>
    [
      `  ${kind}  ${layerName(t.name, 32, terminal)}  ${typeText(t)}`,
      ...(t.means ? [`          ${t.means}`] : []),
    ].join('\n')
  return [...report.inputs.map((t) => line('input ', t)), ...report.outputs.map((t) => line('output', t))]
}

function layerTable(report: ModelReport, terminal: Terminal, all: boolean): string {
  const { layers } = report
  const share = (i: number) =>
    Math.max(layers[i].macs / (report.macs || 1), layers[i].weightBytes / (report.weightBytes || 1))
  const shown = shownRows(
    layers.map((_, i) => share(i)),
    all,
  )
  const sum = (from: number, to: number, key: 'macs' | 'weightBytes') =>
    layers.slice(from, to).reduce((n, l) => n + l[key], 0)
  const figures = (from: number, to: number) => [
    countText(sum(from, to, 'macs')),
    bytesText(sum(from, to, 'weightBytes')),
  ]
  const dots = terminal.unicode ? '…' : '...'
  const row = (i: number) => {
    const l = layers[i]
    return [
      String(i + 1),
      clip(l.op, 20, terminal),
      l.outputs[0] ? clip(typeText(l.outputs[0]), 20, terminal) : '-',
      ...figures(i, i + 1),
    ]
  }
  const lines = withGaps(layers.length, shown, row, (from, to) => [dots, `${to - from} more`, '', ...figures(from, to)])
  const names = new Map(lines.map((line) => [line, layers[Number(line[0]) - 1]?.name ?? '']))
  const total = ['', 'total', '', countText(report.macs), bytesText(report.weightBytes)]
  const headings = ['>#', 'layer', 'output', '>MACs', '>weights']
  const used = Math.max(
    ...table(headings, [...lines, total])
      .split('\n')
      .map((l) => l.length),
  )
  const room = Math.max(8, terminal.columns - used - 2)
  const named = lines.map((line) => [...line, layerName(names.get(line)!, room, terminal)])
  return table([...headings, 'name'], [...named, [...total, '']])
}

function passTable(passes: readonly PassReport[], terminal: Terminal): string {
  const rows = passes.map((p) => [
    p.name,
    String(p.nodes),
    countText(p.macs),
    bytesText(p.weightBytes),
    bytesText(p.tensorBytes),
  ])
  const gone = passes.flatMap((p) =>
    p.gone.length === 0
      ? []
      : [
          `  ${p.name} removed ${p.gone.length}: ${p.gone
            .slice(0, 6)
            .map((g) => `${clip(g.op, 20, terminal)} ${layerName(g.name, 24, terminal)}`)
            .join(', ')}${p.gone.length > 6 ? `, ${p.gone.length - 6} more` : ''}`,
        ],
  )
  return [
    table(['after', '>layers', '>MACs', '>weights', '>tensors'], rows),
    ...gone.flatMap((line) => wrap(line, terminal.columns)),
  ].join('\n')
}

function wrap(line: string, columns: number): string[] {
  const lines: string[] = []
  let now = ''
  for (const word of line.split(/(?<=,) /)) {
    if (now && now.length + word.length + 1 > columns) {
      lines.push(now)
      now = `    ${word}`
    } else now = now ? `${now} ${word}` : word
  }
  return [...lines, now]
}

/** `[0, 100)` of the arena as cells: what layer `i` writes, reads, keeps for later, uses as working space, or leaves free. */
function strip(plan: PlanReport, i: number, cells: number, { unicode, colour }: Terminal): string {
  const glyphs = unicode
    ? { free: '·', keeps: '░', reads: '▒', scratch: '▚', writes: '█' }
    : { free: '.', keeps: '-', reads: '=', scratch: '~', writes: '#' }
  const codes = { free: '90', keeps: '90', reads: '36', scratch: '35', writes: '33' }
  const row = new Array<keyof typeof glyphs>(cells).fill('free')
  const order = ['free', 'keeps', 'reads', 'scratch', 'writes'] as const
  for (const b of plan.buffers) {
    if (b.first > i || b.last < i) continue
    const role =
      b.kind === 'scratch' ? 'scratch' : b.written.includes(i) ? 'writes' : b.read.includes(i) ? 'reads' : 'keeps'
    const to = Math.ceil(((b.offset + b.bytes) / plan.arenaBytes) * cells)
    for (let c = Math.floor((b.offset / plan.arenaBytes) * cells); c < Math.min(cells, to); c++)
      if (order.indexOf(role) > order.indexOf(row[c])) row[c] = role
  }
  if (!colour) return row.map((role) => glyphs[role]).join('')
  return row
    .map((role, c) => (role === row[c - 1] ? '' : `\x1b[${codes[role]}m`) + glyphs[role])
    .join('')
    .concat('\x1b[0m')
}

/** The plan's RAM over time: one line per layer, the arena's addresses from left to right. */
function timeline(plan: PlanReport, terminal: Terminal, all: boolean): string {
  if (plan.arenaBytes === 0 || plan.layers.length === 0) return 'no layer needs RAM'
  const shown = shownRows(
    plan.layers.map((l) => l.liveBytes),
    all,
  )
  const number = String(plan.layers.length).length
  const live = Math.max(6, countText(plan.lowerBoundBytes).length + 2)
  const op = Math.min(18, Math.max(5, ...plan.layers.map((l) => l.op.length)))
  const cells = Math.max(12, Math.min(80, terminal.columns - number - op - live - 7))
  const row = (i: number) => [
    String(i + 1).padStart(number),
    clip(plan.layers[i].op, op, terminal).padEnd(op),
    `${countText(plan.layers[i].liveBytes)} B`.padStart(live),
    strip(plan, i, cells, terminal),
    i === plan.peak ? '*' : '',
  ]
  const gap = (from: number, to: number) => [
    (terminal.unicode ? '…' : '..').padStart(number),
    `${to - from} more`.padEnd(op),
    ' '.repeat(live),
    `up to ${countText(Math.max(...plan.layers.slice(from, to).map((l) => l.liveBytes)))} B`,
  ]
  const top = plan.layers[plan.peak]
  const at = plan.buffers.filter((b) => b.first <= plan.peak && b.last >= plan.peak).sort((a, b) => a.offset - b.offset)
  const key = terminal.unicode
    ? '█ writes  ▒ reads  ░ keeps for later  ▚ working space  · free'
    : '# writes  = reads  - keeps for later  ~ working space  . free'
  const lines = withGaps(plan.layers.length, shown, row, gap).map((cells) => cells.join(' ').trimEnd())
  const width = countText(plan.arenaBytes).length
  return [
    `${' '.repeat(number + op + live + 3)}0${`${countText(plan.arenaBytes)} B`.padStart(cells - 1)}`,
    ...lines,
    key,
    '',
    `peak ${countText(top.liveBytes)} B at layer ${plan.peak + 1} ${top.op} "${layerName(top.name, 28, terminal)}" (*)`,
    'live there:',
    ...at.map(
      (b) =>
        `  ${countText(b.offset).padStart(width)}  ${`${countText(b.bytes)} B`.padStart(width + 2)}  ${b.kind === 'tensor' ? '' : `${b.kind} `}${layerName(b.name, Math.max(16, terminal.columns - 2 * width - 20), terminal)}`,
    ),
  ].join('\n')
}

/** What slow memory costs: its size, what is read of it in one run, and the RAM that takes it in. */
export function externalText({ imageBytes, reads, bytesRead, windowBytes }: ExternalReport): string {
  const image = imageBytes > 0 ? `${countText(imageBytes)} B in slow memory, ` : ''
  const window = imageBytes > 0 ? ` into at most ${countText(windowBytes)} B of RAM` : ''
  const time = Math.ceil((1000 * bytesRead) / SLOW)
  return `${image}a run reads ${countText(bytesRead)} B in ${reads} copies${window}: ${time} ms at ${SLOW / 1e6} MB/s`
}

export interface TextOptions {
  /** The line above everything: the file and its form. */
  readonly title: string
  /** No row is left out of a long model. */
  readonly all: boolean
  /** With the table of passes. */
  readonly passes: boolean
}

/** The report as lines of at most `terminal.columns`, where names and counts allow it. */
export function reportText(
  report: ModelReport,
  { title, all, passes }: TextOptions,
  terminal: Terminal = PLAIN,
): string {
  const { plan, refused } = report
  const bound =
    plan &&
    (plan.arenaBytes === plan.lowerBoundBytes
      ? 'no placement needs less'
      : `lower bound ${countText(plan.lowerBoundBytes)} B`)
  const hidden = !all && Math.max(report.layers.length, plan?.layers.length ?? 0) > WHOLE
  return [
    clip(title, terminal.columns, terminal),
    ...ports(report, terminal),
    '',
    layerTable(report, terminal, all),
    '',
    ...(passes ? [passTable(report.passes, terminal), ''] : []),
    ...(plan
      ? [
          `RAM for ${plan.target}: ${countText(plan.arenaBytes)} B (${bound})`,
          `weights ${countText(plan.weightBytes)} B, ${plan.layers.length} layers after the passes`,
          ...(plan.external ? [externalText(plan.external)] : []),
          '',
          timeline(plan, terminal, all),
        ]
      : []),
    ...(refused
      ? [
          `no plan: ${clip(refused.message, 400, terminal)}${refused.hint ? `\n  hint: ${clip(refused.hint, 400, terminal)}` : ''}`,
        ]
      : []),
    ...(hidden ? ['', 'the smaller layers are summed up; --all shows every one'] : []),
  ].join('\n')
}
