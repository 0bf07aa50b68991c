// An evaluation as text: the accuracy, each class, and the confusion matrix where it fits, else the most frequent confusions.

import type { Classification, Evaluation, Share } from './evaluation.ts'
import { countText, table } from './figures.ts'
import { clip, PLAIN, type Terminal } from './terminal.ts'

/** Classes up to which all are shown; of more, and of confusions, this many. */
const WHOLE = 20
const WORST = 12

const percent = (x: number | undefined) => (x === undefined ? '-' : `${(100 * x).toFixed(1)}%`)

const shareText = ({ correct, accuracy, interval: [lo, hi] }: Share, of: number) =>
  `${countText(correct)} of ${countText(of)} right: ${percent(accuracy)} (95%: ${percent(lo)} to ${percent(hi)})`

export function evaluationText(e: Evaluation, terminal: Terminal = PLAIN): string {
  if (e.kind === 'numbers')
    return `${countText(e.samples)} numbers: mean absolute error ${e.meanAbsoluteError.toPrecision(4)}, root mean square ${e.rootMeanSquareError.toPrecision(4)}`
  const matrix = e.classes.length <= WHOLE ? matrixText(e, terminal) : undefined
  return [
    shareText(e, e.samples),
    ...(e.top ? [`in the ${e.top.k} highest scores ${shareText(e.top, e.samples)}`] : []),
    '',
    classTable(e, terminal),
    ...(matrix === undefined ? confusions(e, terminal) : ['', matrix]),
  ].join('\n')
}

const name = (e: Classification, c: number, terminal: Terminal, most = 24) => clip(e.classes[c].name, most, terminal)

function classTable(e: Classification, terminal: Terminal): string {
  const present = e.classes.flatMap((c, i) => (c.samples > 0 || c.precision !== undefined ? [i] : []))
  const hidden = e.classes.length > WHOLE && present.length > WORST
  const recall = (i: number) => e.classes[i].recall ?? 1
  const shown = hidden ? [...present].sort((a, b) => recall(a) - recall(b) || a - b).slice(0, WORST) : present
  const rows = shown.map((i) => {
    const { samples, correct, recall, precision } = e.classes[i]
    return [
      String(i),
      name(e, i, terminal),
      countText(samples),
      countText(correct),
      percent(recall),
      percent(precision),
    ]
  })
  const text = table(['>#', 'class', '>inputs', '>right', '>recall', '>precision'], rows)
  return hidden ? `the ${WORST} of ${present.length} classes that are found least\n${text}` : text
}

/** Rows are the truth, columns what was predicted, without the names where these are too wide; undefined where all of it is. */
function matrixText(e: Classification, terminal: Terminal): string | undefined {
  const dot = terminal.unicode ? '·' : '.'
  const cells = e.confusion.map((row) => row.map((n) => (n === 0 ? dot : String(n))))
  const named = table(
    ['>#', 'predicted:', ...cells.map((_, i) => `>${i}`)],
    cells.map((row, i) => [String(i), name(e, i, terminal, 12), ...row]),
  )
  const all = [['', ...cells.map((_, i) => String(i))], ...cells.map((row, i) => [String(i), ...row])]
  const width = Math.max(...all.flat().map((cell) => cell.length))
  const bare = ['predicted:', ...all.map((row) => row.map((cell) => cell.padStart(width)).join(' '))].join('\n')
  return [named, bare].find((text) => text.split('\n').every((line) => line.length <= terminal.columns))
}

function confusions(e: Classification, terminal: Terminal): string[] {
  const pairs = e.confusion.flatMap((row, t) => row.flatMap((n, p) => (t !== p && n > 0 ? [{ t, p, n }] : [])))
  if (pairs.length === 0) return []
  const worst = pairs.sort((a, b) => b.n - a.n || a.t - b.t || a.p - b.p).slice(0, WORST)
  return [
    '',
    pairs.length > worst.length ? `the ${worst.length} most frequent of ${pairs.length} confusions` : 'confusions',
    table(
      ['class', 'taken for', '>times', '>of'],
      worst.map(({ t, p, n }) => [
        name(e, t, terminal),
        name(e, p, terminal),
        countText(n),
        countText(e.classes[t].samples),
      ]),
    ),
  ]
}
