// A quantisation report as one HTML page without any script: tiles of what both models take, the accuracy with the interval of
// the difference, a bar for each layer's noise and the accuracy lost by that layer alone, and the table below them.

import { escaped, shell } from './page.ts'
import type { Comparison, LayerEffect, QuantizationReport } from './quantization.ts'
import { comparisonLines, footprintRows, layerTable } from './quantization_text.ts'

/** Widths in pixels of names, bars and figures. */
const NAME = 260
const BAR = 480
const ROW = 20

const short = (name: string) => {
  const first = name.split(';')[0]
  return first.length <= 36 ? first : `…${first.slice(-35)}`
}

function bars(layers: readonly LayerEffect[]): string {
  const most = Math.max(1, ...layers.map((l) => l.sqnr ?? 0))
  const rows = layers.map((l, i) => {
    const width = l.sqnr === undefined ? BAR : Math.max(0, (l.sqnr / most) * BAR)
    const text = l.sqnr === undefined ? 'equal' : `${l.sqnr.toFixed(1)} dB`
    const y = i * ROW
    return `<text x="${NAME - 8}" y="${y + 14}" text-anchor="end">${escaped(short(l.name))}</text>
<rect class="k0" x="${NAME}" y="${y + 3}" width="${width.toFixed(1)}" height="13"/><text class="tick" x="${NAME + width + 6}" y="${y + 14}">${text}</text>`
  })
  const width = NAME + BAR + 70
  return `<svg width="${width}" height="${layers.length * ROW + 4}" role="img" aria-label="signal to quantisation noise of each layer">${rows.join('\n')}</svg>`
}

/** For each layer a point and its interval, in points of accuracy, around a line at 0. */
function lossChart(layers: readonly LayerEffect[]): string {
  const tried = layers.flatMap((l) => (l.alone ? [{ name: l.name, ...l.alone }] : []))
  if (tried.length === 0) return ''
  const most = Math.max(...tried.flatMap((t) => t.interval.map(Math.abs)), 1e-4)
  const x = (v: number) => (NAME + BAR / 2 + (v / most) * (BAR / 2)).toFixed(1)
  const rows = tried.map((t, i) => {
    const y = i * ROW + 10
    return `<text x="${NAME - 8}" y="${y + 4}" text-anchor="end">${escaped(short(t.name))}</text>
<line class="axis" x1="${x(t.interval[0])}" x2="${x(t.interval[1])}" y1="${y}" y2="${y}"/><circle class="k1" cx="${x(t.difference)}" cy="${y}" r="4"/>
<text class="tick" x="${NAME + BAR + 8}" y="${y + 4}">${(100 * t.difference).toFixed(2)}</text>`
  })
  const height = tried.length * ROW + 4
  return `<section><h2>Accuracy, this layer alone quantised</h2><p class="soft small">Points gained or lost, and the 95% interval of each.</p><div class="scroll"><svg width="${NAME + BAR + 70}" height="${height}" role="img" aria-label="accuracy gained or lost by each layer"><line class="bound" x1="${x(0)}" x2="${x(0)}" y1="0" y2="${height}"/>${rows.join('\n')}</svg></div></section>`
}

function comparison(c: Comparison | undefined): string {
  if (!c) return ''
  return `<section><h2>Before and after</h2>${comparisonLines(c)
    .map((line) => `<p>${escaped(line)}</p>`)
    .join('')}</section>`
}

function tableOf(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = headings.map((h) => (h.startsWith('>') ? ' class="n"' : ''))
  const cells = (row: readonly string[], tag: string) =>
    `<tr>${row.map((cell, i) => `<${tag}${right[i]}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  return `<table>${cells(
    headings.map((h) => h.replace(/^>/, '')),
    'th',
  )}${rows.map((row) => cells(row, 'td')).join('')}</table>`
}

/** The page; it loads nothing and runs nothing. */
export function quantizationPage(r: QuantizationReport): Promise<string> {
  const tiles = footprintRows(r.before, r.after).map(
    ([what, before, after, left]) =>
      `<div class="tile"><span class="soft small">${escaped(what)}</span><b>${escaped(after)}</b><span class="soft small">before: ${escaped(before)}${left ? ` (${escaped(left)})` : ''}</span></div>`,
  )
  const { headings, cells } = layerTable(r.layers)
  const floats = r.floats.map((f) => `<li>${escaped(`${f.op} "${short(f.name)}": ${f.reason}`)}</li>`).join('')
  return shell({
    title: `${r.model}: quantised`,
    heading: r.model,
    under: r.steps.join('; '),
    body: `${r.warnings.map((w) => `<p>warning: ${escaped(w)}</p>`).join('')}
<div class="tiles">${tiles.join('')}</div>
${comparison(r.comparison)}
<section><h2>Signal to quantisation noise</h2><p class="soft small">Of each layer's output against the float32 model's, on the same inputs.</p><div class="scroll">${bars(r.layers)}</div></section>
${lossChart(r.layers)}
${floats ? `<section><h2>Layers that stay float32</h2><ul>${floats}</ul></section>` : ''}
<section class="long"><h2>Layers</h2><div class="scroll">${tableOf(
      headings,
      cells.map(([name, ...rest]) => [short(name), ...rest]),
    )}</div></section>`,
  })
}
