// What the page does in the browser: draws the report that is inlined as JSON. Every text goes in as a text node, so names
// from a model file cannot become markup. Its SHA-256 stands in the page's content security policy: it has no variable part.

export const SCRIPT = `
'use strict'
const report = JSON.parse(document.getElementById('report').textContent)
const plan = report.plan
const $ = (id) => document.getElementById(id)
function put(parent, node) { parent.append(node); return node }
function el(parent, name, attrs, text) {
  const node = document.createElement(name)
  for (const k in attrs || {}) node.setAttribute(k, attrs[k])
  if (text !== undefined) node.textContent = text
  return put(parent, node)
}
function svg(parent, name, attrs, text) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const k in attrs || {}) node.setAttribute(k, attrs[k])
  if (text !== undefined) node.textContent = text
  return put(parent, node)
}
const count = (n) => n.toLocaleString('en-US')
const bytes = (n) => n < 1024 ? n + ' B' : n < 1048576 ? (n / 1024).toFixed(n < 10240 ? 2 : 1) + ' KB' : (n / 1048576).toFixed(2) + ' MB'
const type = (t) => t.dtype + '[' + t.shape.join(', ') + ']'
const cut = (s, n) => s.length > n ? s.slice(0, n - 1) + '\\u2026' : s
const first = (s) => s.split(';')[0]
function facts(parent, rows) {
  const dl = el(parent, 'dl')
  for (const [k, v] of rows) if (v !== undefined && v !== '') { el(dl, 'dt', {}, k); el(dl, 'dd', {}, v) }
}
function press(node, act) {
  node.setAttribute('tabindex', '0')
  node.setAttribute('role', 'button')
  node.addEventListener('click', act)
  node.addEventListener('keydown', (e) => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); act() } })
}
function grid(parent, heads, rows) {
  const t = el(el(parent, 'div', { class: 'scroll' }), 'table')
  const top = el(el(t, 'thead'), 'tr')
  for (const h of heads) el(top, 'th', h[0] === '>' ? { class: 'n' } : {}, h.replace('>', ''))
  const body = el(t, 'tbody')
  return rows.map((row) => {
    const tr = el(body, 'tr')
    row.forEach((c, i) => el(tr, 'td', heads[i][0] === '>' ? { class: 'n' } : {}, c))
    return tr
  })
}

const marks = []
let chosen = -1
function choose(i) {
  chosen = i
  for (const [k, node] of marks) node.classList.toggle('on', k === i)
  const box = $('detail')
  box.replaceChildren()
  const l = plan.layers[i]
  el(box, 'h2', {}, 'Layer ' + (i + 1) + ': ' + l.op)
  const attr = (v) => typeof v === 'object' && v ? JSON.stringify(v).replace(/"/g, '').replace(/,/g, ', ') : String(v)
  facts(box, [
    ['name', l.name],
    ...l.inputs.map((t) => ['reads', first(t.name) + '  ' + type(t) + (t.means ? '; ' + t.means : '')]),
    ...l.outputs.map((t) => ['writes', first(t.name) + '  ' + type(t) + (t.means ? '; ' + t.means : '')]),
    ['work', count(l.macs) + ' multiply-accumulates' + (plan.macs ? ' (' + (100 * l.macs / plan.macs).toFixed(1) + '%)' : '')],
    ['constants', count(l.weightBytes) + ' B'],
    ['live RAM', count(l.liveBytes) + ' B'],
    ['loops', l.recipe],
    ...Object.keys(l.attrs).filter((k) => attr(l.attrs[k]) !== '{}').map((k) => [k, attr(l.attrs[k])]),
  ])
  for (const w of l.weights) {
    const f = el(box, 'div', { class: 'figure' })
    el(f, 'p', { class: 'small' }, first(w.name) + '  ' + type(w) + ', ' + bytes(w.bytes))
    if (w.means) el(f, 'p', { class: 'small soft' }, w.means)
    if (w.max > w.min) bars(f, w.bins, 'bin', 'stored values, ' + w.min + ' to ' + w.max)
    else if (w.bins.length) el(f, 'p', { class: 'small soft' }, 'all stored values are ' + w.min)
    if (w.scales) bars(f, w.scales, 'scale', 'scale of each channel, 0 to ' + Math.max(...w.scales).toPrecision(3))
  }
  mark(i)
}
function bars(parent, values, kind, label) {
  const top = Math.max(...values) || 1
  const w = 320, h = 56, s = svg(parent, 'svg', { viewBox: '0 0 ' + w + ' ' + (h + 1), width: '100%', role: 'img', 'aria-label': label })
  values.forEach((v, i) => svg(s, 'rect', { class: kind, x: i * w / values.length, width: Math.max(.8, w / values.length - .8), y: h - h * v / top, height: h * v / top }))
  svg(s, 'line', { class: 'axis', x1: 0, x2: w, y1: h, y2: h })
  el(parent, 'p', { class: 'small soft' }, label)
}

function drawGraph() {
  const L = plan.layers, W = 168, H = 40, GX = 22, GY = 26
  const depth = [], at = []
  L.forEach((l, i) => { depth[i] = l.after.reduce((d, j) => Math.max(d, depth[j] + 1), 0) })
  const rows = []
  L.forEach((l, i) => (rows[depth[i]] = rows[depth[i]] || []).push(i))
  const slot = []
  rows.forEach((r) => {
    const want = (i) => L[i].after.length ? L[i].after.reduce((s, j) => s + slot[j], 0) / L[i].after.length : 0
    r.sort((a, b) => want(a) - want(b) || a - b)
    r.forEach((i, k) => { slot[i] = k - (r.length - 1) / 2 })
  })
  const widest = Math.max(...rows.map((r) => r.length))
  const long = L.flatMap((l, i) => l.after.filter((j) => depth[i] - depth[j] > 1).map((j) => [j, i]))
  const side = long.length ? 34 : 6
  const width = widest * (W + GX) - GX + 2 * side, height = rows.length * (H + GY)
  L.forEach((l, i) => { at[i] = [width / 2 + slot[i] * (W + GX) - W / 2, 4 + depth[i] * (H + GY)] })
  const fit = Math.max(.68, Math.min(1, ($('graph').clientWidth || width) / width))
  const s = svg($('graph'), 'svg', { width: width * fit, height: height * fit, viewBox: '0 0 ' + width + ' ' + height })
  L.forEach((l, i) => l.after.forEach((j) => {
    const x1 = at[j][0] + W / 2, y1 = at[j][1] + H, x2 = at[i][0] + W / 2, y2 = at[i][1]
    const far = depth[i] - depth[j] > 1
    const d = far
      ? 'M' + (at[j][0] + W) + ' ' + (y1 - H / 2) + ' C' + (at[j][0] + W + 44) + ' ' + (y1 + 4) + ' ' + (at[i][0] + W + 44) + ' ' + (y2 - 4) + ' ' + (at[i][0] + W) + ' ' + (y2 + H / 2)
      : 'M' + x1 + ' ' + y1 + ' C' + x1 + ' ' + (y1 + GY / 2) + ' ' + x2 + ' ' + (y2 - GY / 2) + ' ' + x2 + ' ' + y2
    svg(s, 'path', { class: 'edge', d })
  }))
  const most = Math.max(1, ...L.map((l) => l.macs))
  L.forEach((l, i) => {
    const g = svg(s, 'g', { class: 'node', transform: 'translate(' + at[i] + ')' })
    svg(g, 'title', {}, l.name)
    svg(g, 'rect', { class: 'box', width: W, height: H, rx: 6 })
    svg(g, 'rect', { class: 'heat', x: 0, y: H - 3, height: 3, width: W * l.macs / most })
    svg(g, 'text', { x: 8, y: 16 }, (i + 1) + '  ' + cut(l.op, 20))
    svg(g, 'text', { class: 'tick', x: 8, y: 31 }, l.outputs.length ? cut(type(l.outputs[0]), 26) : '')
    press(g, () => choose(i))
    marks.push([i, g])
  })
}

let now
const pad = { l: 58, r: 10, t: 18, b: 30 }
let stepWidth = 10
function drawMemory() {
  const n = plan.layers.length, top = plan.arenaBytes || 1
  const room = Math.max(300, $('memory').clientWidth || 300)
  stepWidth = Math.max(6, Math.min(60, (room - pad.l - pad.r) / (n + 2)))
  const w = pad.l + pad.r + stepWidth * (n + 2), h = 330, ih = h - pad.t - pad.b
  const x = (i) => pad.l + (i + 1) * stepWidth, y = (b) => pad.t + ih - ih * b / top
  const s = svg($('memory'), 'svg', { width: w, height: h, viewBox: '0 0 ' + w + ' ' + h })
  now = svg(s, 'rect', { class: 'now', y: pad.t, height: ih, width: stepWidth, x: -99 })
  for (let k = 0; k <= 4; k++) {
    const b = top * k / 4
    svg(s, 'line', { class: 'axis', x1: pad.l, x2: w - pad.r, y1: y(b), y2: y(b) })
    svg(s, 'text', { class: 'tick', x: pad.l - 6, y: y(b) + 4, 'text-anchor': 'end' }, bytes(Math.round(b)))
  }
  const every = Math.ceil(28 / stepWidth)
  for (let i = 0; i < n; i += every) svg(s, 'text', { class: 'tick', x: x(i) + stepWidth / 2, y: h - 14, 'text-anchor': 'middle' }, i + 1)
  plan.buffers.forEach((b, k) => {
    const from = Math.max(-1, b.first), to = Math.min(n, b.last)
    const r = svg(s, 'rect', {
      class: 'buf ' + (b.kind === 'tensor' ? 'k' + k % 5 : b.kind),
      x: x(from), width: Math.max(2, (to - from + 1) * stepWidth), y: y(b.offset + b.bytes), height: Math.max(1, ih * b.bytes / top),
    })
    svg(r, 'title', {}, first(b.name) + ', ' + count(b.bytes) + ' B')
    const tell = () => {
      for (const other of s.querySelectorAll('.buf.on')) other.classList.remove('on')
      r.classList.add('on')
      const span = (i) => i < 0 ? 'the start' : i >= n ? 'the end' : 'layer ' + (i + 1)
      $('buffer').textContent = (b.kind === 'tensor' ? '' : b.kind + ' ') + b.name + ': ' + count(b.bytes) + ' B at address ' + count(b.offset) + ', from ' + span(b.first) + ' to ' + span(b.last)
    }
    press(r, tell)
    r.addEventListener('mouseenter', tell)
  })
  svg(s, 'line', { class: 'peakline', x1: x(plan.peak) + stepWidth / 2, x2: x(plan.peak) + stepWidth / 2, y1: pad.t, y2: pad.t + ih })
  const right = plan.peak < n / 2
  svg(s, 'text', { class: 'tick red', x: x(plan.peak) + stepWidth / 2 + (right ? 5 : -5), y: 12, 'text-anchor': right ? 'start' : 'end' }, 'peak, layer ' + (plan.peak + 1))
  svg(s, 'line', { class: 'bound', x1: pad.l, x2: w - pad.r, y1: y(plan.lowerBoundBytes), y2: y(plan.lowerBoundBytes) })
  svg(s, 'text', { class: 'tick', x: pad.l, y: h - 1 }, 'layer')
}
function mark(i) { if (now) now.setAttribute('x', pad.l + (i + 1) * stepWidth) }

for (const t of report.inputs) ports('input', t)
for (const t of report.outputs) ports('output', t)
function ports(kind, t) { facts($('ports'), [[kind, t.name + '  ' + type(t)], ['', t.means]].map(([k, v]) => [k || 'means', v])) }
const tile = (value, label) => { const t = el($('tiles'), 'div', { class: 'tile' }); el(t, 'b', {}, value); el(t, 'span', { class: 'soft small' }, label) }
tile(count(report.layers.length), plan ? 'layers; ' + count(plan.layers.length) + ' after passes' : 'layers')
tile(count(report.macs), 'multiply-accumulates')
tile(bytes(plan ? plan.weightBytes : report.weightBytes), 'weights')
if (plan) tile(bytes(plan.arenaBytes), 'RAM for tensors, ' + plan.target)
grid($('passes'), ['after', '>layers', '>MACs', '>weights', '>tensors in RAM'], report.passes.map((p) => [p.name, count(p.nodes), count(p.macs), bytes(p.weightBytes), bytes(p.tensorBytes)]))
for (const p of report.passes) if (p.gone.length) {
  const d = el($('passes'), 'details', { class: 'small' })
  el(d, 'summary', {}, p.name + ' removed ' + p.gone.length)
  for (const g of p.gone) el(d, 'div', { class: 'soft' }, g.op + '  ' + first(g.name))
}
if (plan && plan.layers.length) {
  const sum = $('bound')
  sum.textContent = 'Peak ' + count(plan.layers[plan.peak].liveBytes) + ' B at layer ' + (plan.peak + 1) + ' ' + plan.layers[plan.peak].op + '. The arena is ' + count(plan.arenaBytes) + ' B; ' + (plan.arenaBytes === plan.lowerBoundBytes ? 'no placement needs less.' : 'no placement needs less than ' + count(plan.lowerBoundBytes) + ' B (dotted line).')
  drawMemory()
  drawGraph()
  const rows = grid($('layers'), ['>#', 'layer', 'output', '>MACs', '>weights', '>live RAM', 'name'], plan.layers.map((l, i) => [i + 1, l.op, l.outputs.length ? type(l.outputs[0]) : '', count(l.macs), bytes(l.weightBytes), bytes(l.liveBytes), cut(first(l.name), 48)]))
  rows.forEach((tr, i) => { tr.classList.add('pick'); tr.addEventListener('click', () => choose(i)); marks.push([i, tr]) })
  choose(plan.peak)
} else {
  for (const id of ['memorybox', 'pair']) $(id).remove()
  grid($('layers'), ['>#', 'layer', 'output', '>MACs', '>weights', 'name'], report.layers.map((l, i) => [i + 1, l.op, l.outputs.length ? type(l.outputs[0]) : '', count(l.macs), bytes(l.weightBytes), cut(first(l.name), 48)]))
}
if (report.refused) $('refused').textContent = 'No plan: ' + report.refused.message + (report.refused.hint ? ' (' + report.refused.hint + ')' : '')
else $('refused').remove()
`
