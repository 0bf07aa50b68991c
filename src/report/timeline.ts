// The memory of a plan over time as a drawing: each buffer is a rectangle, as wide as it lives and as high as it is large.
// `timeline` gives the marks, which a page makes elements of; `timelineSvg` writes them as a file of its own. `timeline`
// refers to nothing outside itself but its arguments, so that its own source text can be put into a page.

import { bytesText, countText } from './figures.ts'
import { STYLE } from './page_style.ts'
import type { PlanReport } from './report.ts'

/** How figures are written: `bytesText` and `countText`. */
export interface Figures {
  readonly bytes: (n: number) => string
  readonly count: (n: number) => string
}

/** One element of the drawing; `buffer` is the index of the buffer that it stands for, `title` what it is called. */
export interface Mark {
  readonly element: 'rect' | 'line' | 'text'
  readonly attributes: Readonly<Record<string, string | number>>
  readonly text?: string
  readonly title?: string
  readonly buffer?: number
}

export interface Timeline {
  readonly width: number
  readonly height: number
  /** Where a layer begins, and how wide one is, in the units of the drawing. */
  readonly left: (layer: number) => number
  readonly step: number
  readonly top: number
  readonly bottom: number
  readonly marks: readonly Mark[]
}

/** The drawing for a space `room` units wide; wider where there are many layers. */
export function timeline(plan: PlanReport, room: number, { bytes, count }: Figures): Timeline {
  const { layers, buffers, peak, arenaBytes, lowerBoundBytes } = plan
  const pad = { l: 58, r: 10, t: 18, b: 30 }
  const n = layers.length
  const most = arenaBytes || 1
  const step = Math.max(6, Math.min(110, (room - pad.l - pad.r) / (n + 2)))
  const [width, height] = [pad.l + pad.r + step * (n + 2), 330]
  const tall = height - pad.t - pad.b
  const left = (i: number) => pad.l + (i + 1) * step
  const y = (b: number) => pad.t + tall - (tall * b) / most
  const marks: Mark[] = []
  for (let k = 0; k <= 4; k++) {
    const at = y((most * k) / 4)
    marks.push({ element: 'line', attributes: { class: 'axis', x1: pad.l, x2: width - pad.r, y1: at, y2: at } })
    const attributes = { class: 'tick', x: pad.l - 6, y: at + 4, 'text-anchor': 'end' }
    marks.push({ element: 'text', attributes, text: bytes(Math.round((most * k) / 4)) })
  }
  const every = Math.ceil(28 / step)
  for (let i = 0; i < n; i += every) {
    const attributes = { class: 'tick', x: left(i) + step / 2, y: height - 14, 'text-anchor': 'middle' }
    marks.push({ element: 'text', attributes, text: String(i + 1) })
  }
  buffers.forEach((b, k) => {
    const [from, to] = [Math.max(-1, b.first), Math.min(n, b.last)]
    const attributes = {
      class: `buf ${b.kind === 'tensor' ? `k${k % 5}` : b.kind}`,
      x: left(from),
      width: Math.max(2, (to - from + 1) * step),
      y: y(b.offset + b.bytes),
      height: Math.max(1, (tall * b.bytes) / most),
    }
    marks.push({ element: 'rect', attributes, title: `${b.name.split(';')[0]}, ${count(b.bytes)} B`, buffer: k })
  })
  const middle = left(peak) + step / 2
  marks.push({
    element: 'line',
    attributes: { class: 'peakline', x1: middle, x2: middle, y1: pad.t, y2: pad.t + tall },
  })
  const early = peak < n / 2
  const beside = { x: middle + (early ? 5 : -5), y: 12, 'text-anchor': early ? 'start' : 'end' }
  marks.push({ element: 'text', attributes: { class: 'tick red', ...beside }, text: `peak, layer ${peak + 1}` })
  const bound = y(lowerBoundBytes)
  marks.push({ element: 'line', attributes: { class: 'bound', x1: pad.l, x2: width - pad.r, y1: bound, y2: bound } })
  marks.push({ element: 'text', attributes: { class: 'tick', x: pad.l, y: height - 3 }, text: 'layer' })
  return { width, height, left, step, top: pad.t, bottom: pad.t + tall, marks }
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`).replace(/\p{Cc}/gu, ' ')
}

/** The drawing as SVG, names of buffers as tooltips: a file of its own in the colours of the page, or a part of one. */
export function timelineSvg(plan: PlanReport, room = 720, alone = true): string {
  const { width, height, marks } = timeline(plan, room, { bytes: bytesText, count: countText })
  const given = (attributes: Mark['attributes']) =>
    Object.entries(attributes)
      .map(([k, v]) => ` ${k}="${escaped(typeof v === 'number' ? String(Math.round(v * 100) / 100) : v)}"`)
      .join('')
  const lines = marks.map(({ element, attributes, text, title }) => {
    const inside = title === undefined ? escaped(text ?? '') : `<title>${escaped(title)}</title>`
    return `<${element}${given(attributes)}>${inside}</${element}>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg"${given({ width, height, viewBox: `0 0 ${width} ${height}` })}>`,
    ...(alone ? [`<style>${STYLE}svg { background: var(--card) }</style>`] : []),
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}
