// A quantisation report as text: sizes before and after, the layers with their noise, what stays float32, and the accuracy.

import { evaluationText } from './evaluation_text.ts'
import { bytesText, countText, table } from './figures.ts'
import type { Comparison, Difference, Footprint, LayerEffect, QuantizationReport } from './quantization.ts'
import { clip, PLAIN, type Terminal } from './terminal.ts'

const points = (x: number) => `${x > 0 ? '+' : ''}${(100 * x).toFixed(2)}`

/** `-0.20 points (95%: -0.61 to +0.20)`. */
export function differenceText({ difference, interval: [lo, hi] }: Difference): string {
  return `${points(difference)} points (95%: ${points(lo)} to ${points(hi)})`
}

const decibels = (x: number | undefined) => (x === undefined ? '' : x.toFixed(1))

/** Rows of what both models take; `change` is the share that is left. */
export function footprintRows(before: Footprint, after: Footprint): string[][] {
  const row = (what: string, of: (f: Footprint) => number, text: (n: number) => string) => [
    what,
    text(of(before)),
    text(of(after)),
    of(before) === 0 ? '' : `${Math.round((100 * of(after)) / of(before))}%`,
  ]
  return [
    row('file', (f) => f.fileBytes, bytesText),
    row('weights', (f) => f.weightBytes, bytesText),
    row('RAM (arena)', (f) => f.arenaBytes, bytesText),
    row('multiply-accumulates', (f) => f.macs, countText),
  ]
}

/** Headings ('>' sets a column to the right) and cells of the layers. */
export function layerTable(layers: readonly LayerEffect[]): { headings: string[]; cells: string[][] } {
  const tried = layers.some((l) => l.alone)
  return {
    headings: [
      ...['layer', 'operator', '>bits', '>SQNR dB', '>weights dB'],
      ...(tried ? ['>alone, points', '95%'] : []),
    ],
    cells: layers.map((l) => [
      l.name,
      l.op,
      l.outputBits === undefined
        ? 'f32'
        : l.weightBits === undefined
          ? `${l.outputBits}`
          : `${l.weightBits}/${l.outputBits}`,
      decibels(l.sqnr),
      decibels(l.weightSqnr),
      ...(tried
        ? l.alone
          ? [points(l.alone.difference), `${points(l.alone.interval[0])} to ${points(l.alone.interval[1])}`]
          : ['', '']
        : []),
    ]),
  }
}

export function comparisonLines(c: Comparison): string[] {
  const share = (n: number) => `${((100 * n) / c.samples).toFixed(1)}%`
  const right = (e: Comparison['before']) =>
    e?.kind === 'classes'
      ? `${countText(e.correct)} right, ${(100 * e.accuracy).toFixed(2)}%`
      : e && `mean absolute error ${e.meanAbsoluteError.toPrecision(4)}`
  return [
    `${c.set}: ${countText(c.samples)} inputs, none of them used for calibration`,
    ...(c.before && c.after ? [`before: ${right(c.before)}`, `after:  ${right(c.after)}`] : []),
    ...(c.accuracy ? [`difference: ${differenceText(c.accuracy)}`] : []),
    ...(c.agree === undefined ? [] : [`both answer the same for ${countText(c.agree)}, ${share(c.agree)}`]),
    ...(c.sqnr === undefined ? [] : [`output: ${c.sqnr.toFixed(1)} dB signal to quantisation noise`]),
  ]
}

export function quantizationText(r: QuantizationReport, terminal: Terminal = PLAIN): string {
  const { headings, cells } = layerTable(r.layers)
  const most = Math.max(16, terminal.columns - 64)
  const named = cells.map(([name, ...rest]) => [clip(name.split(';')[0], most, terminal), ...rest])
  const after = r.comparison?.after
  return [
    ...r.steps,
    ...r.warnings.map((w) => `warning: ${w}`),
    '',
    table(['', '>before', '>after', '>'], footprintRows(r.before, r.after)),
    '',
    table(headings, named),
    ...(r.floats.length > 0
      ? [
          '',
          `stay float32: ${r.floats.length}`,
          ...r.floats.map(
            (f) => `  ${f.op} "${clip(f.name.split(';')[0], 40, terminal)}": ${clip(f.reason, 100, terminal)}`,
          ),
        ]
      : []),
    ...(r.comparison ? ['', ...comparisonLines(r.comparison)] : []),
    ...(after?.kind === 'classes' && after.classes.length <= 20 ? ['', evaluationText(after, terminal)] : []),
  ].join('\n')
}
