// Draws a report in a browser. `draw` refers to nothing outside itself but its arguments, so that its own source text can be
// put into a page; every text goes in as a text node, so names from a model file cannot become markup.

import type { ModelReport, PlanReport, TensorReport } from './report.ts'
import type { timeline as drawTimeline, Figures } from './timeline.ts'

/** What `draw` is given of what it cannot refer to. */
export interface Tools extends Figures {
  readonly timeline: typeof drawTimeline
}

/** Fills `view` with the figures, the memory over time, the graph and the tables of `report`. */
export function draw(report: ModelReport, view: Element, { bytes, count, timeline }: Tools): void {
  type Attributes = Readonly<Record<string, string | number>>
  function made<E extends Element>(node: E, parent: Element, attributes: Attributes, text?: string): E {
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, String(v))
    if (text !== undefined) node.textContent = text
    parent.append(node)
    return node
  }
  const el = (parent: Element, name: string, attributes: Attributes = {}, text?: string) =>
    made(document.createElement(name), parent, attributes, text)
  const svg = (parent: Element, name: string, attributes: Attributes = {}, text?: string) =>
    made(document.createElementNS('http://www.w3.org/2000/svg', name), parent, attributes, text)
  function section(parent: Element, title: string): HTMLElement {
    const box = el(parent, 'section')
    el(box, 'h2', {}, title)
    return box
  }
  const type = (t: TensorReport) => `${t.dtype}[${t.shape.join(', ')}]`
  const cut = (s: string, n: number) => (s.length > n ? `${s.slice(0, n - 1)}\u2026` : s)
  const first = (s: string) => s.split(';')[0]
  function facts(parent: Element, rows: readonly (readonly [string, string | undefined])[]): void {
    const dl = el(parent, 'dl')
    for (const [k, v] of rows) {
      if (!v) continue
      el(dl, 'dt', {}, k)
      el(dl, 'dd', {}, v)
    }
  }
  function press(node: Element, act: () => void): void {
    node.setAttribute('tabindex', '0')
    node.setAttribute('role', 'button')
    node.addEventListener('click', act)
    node.addEventListener('keydown', (e) => {
      const { key } = e as KeyboardEvent
      if (key !== 'Enter' && key !== ' ') return
      e.preventDefault()
      act()
    })
  }
  function grid(parent: Element, heads: readonly string[], rows: readonly (readonly string[])[]): HTMLElement[] {
    const t = el(el(parent, 'div', { class: 'scroll' }), 'table')
    const top = el(el(t, 'thead'), 'tr')
    const side = (i: number): Attributes => (heads[i].startsWith('>') ? { class: 'n' } : {})
    heads.forEach((h, i) => {
      el(top, 'th', side(i), h.replace('>', ''))
    })
    const body = el(t, 'tbody')
    return rows.map((row) => {
      const tr = el(body, 'tr')
      row.forEach((c, i) => {
        el(tr, 'td', side(i), c)
      })
      return tr
    })
  }
  function bars(parent: Element, values: readonly number[], kind: string, label: string): void {
    const most = Math.max(...values) || 1
    const [w, h] = [320, 56]
    const s = svg(parent, 'svg', { viewBox: `0 0 ${w} ${h + 1}`, width: '100%', role: 'img', 'aria-label': label })
    const step = w / values.length
    values.forEach((v, i) => {
      const height = (h * v) / most
      svg(s, 'rect', { class: kind, x: i * step, width: Math.max(0.8, step - 0.8), y: h - height, height })
    })
    svg(s, 'line', { class: 'axis', x1: 0, x2: w, y1: h, y2: h })
    el(parent, 'p', { class: 'small soft' }, label)
  }

  const { plan } = report
  /** What stands for each layer, to be lit when it is chosen. */
  const marks: (readonly [layer: number, node: Element])[] = []
  view.replaceChildren()

  const tiles = el(view, 'div', { class: 'tiles' })
  const tile = (value: string, label: string) => {
    const t = el(tiles, 'div', { class: 'tile' })
    el(t, 'b', {}, value)
    el(t, 'span', { class: 'soft small' }, label)
  }
  tile(count(report.layers.length), plan ? `layers; ${count(plan.layers.length)} after passes` : 'layers')
  tile(count(report.macs), 'multiply-accumulates')
  tile(bytes(plan ? plan.weightBytes : report.weightBytes), 'weights')
  if (plan) tile(bytes(plan.arenaBytes), `RAM for tensors, ${plan.target}`)
  if (report.refused) {
    const { message, hint } = report.refused
    el(view, 'p', { id: 'refused' }, `No plan: ${message}${hint ? ` (${hint})` : ''}`)
  }
  if (plan && plan.layers.length > 0) {
    const showLayer = drawMemory(plan)
    const pair = el(view, 'div', { class: 'pair' })
    const graph = section(pair, 'Graph')
    const detail = el(pair, 'section', { id: 'detail' })
    const choose = (i: number) => {
      for (const [k, node] of marks) node.classList.toggle('on', k === i)
      describe(plan, i, detail)
      showLayer(i)
    }
    drawGraph(plan, graph, choose)
    ports()
    passes()
    const rows = grid(
      el(section(view, 'Layers'), 'div', { class: 'long' }),
      ['>#', 'layer', 'output', '>MACs', '>weights', '>live RAM', 'name'],
      plan.layers.map((l, i) => [...row(l, i), bytes(l.liveBytes), cut(first(l.name), 48)]),
    )
    rows.forEach((tr, i) => {
      tr.classList.add('pick')
      tr.addEventListener('click', () => choose(i))
      marks.push([i, tr])
    })
    choose(plan.peak)
  } else {
    ports()
    passes()
    grid(
      el(section(view, 'Layers'), 'div', { class: 'long' }),
      ['>#', 'layer', 'output', '>MACs', '>weights', 'name'],
      report.layers.map((l, i) => [...row(l, i), cut(first(l.name), 48)]),
    )
  }

  function row(l: ModelReport['layers'][number], i: number): string[] {
    return [String(i + 1), l.op, l.outputs.length > 0 ? type(l.outputs[0]) : '', count(l.macs), bytes(l.weightBytes)]
  }

  function ports(): void {
    const box = section(view, 'Inputs and outputs')
    for (const kind of ['input', 'output'] as const)
      for (const t of report[`${kind}s`])
        facts(box, [
          [kind, `${t.name}  ${type(t)}`],
          ['means', t.means],
        ])
  }

  function passes(): void {
    const box = section(view, 'What the passes did')
    grid(
      box,
      ['after', '>layers', '>MACs', '>weights', '>tensors in RAM'],
      report.passes.map((p) => [p.name, count(p.nodes), count(p.macs), bytes(p.weightBytes), bytes(p.tensorBytes)]),
    )
    for (const { name, gone } of report.passes) {
      if (gone.length === 0) continue
      const d = el(box, 'details', { class: 'small' })
      el(d, 'summary', {}, `${name} removed ${gone.length}`)
      for (const g of gone) el(d, 'div', { class: 'soft' }, `${g.op}  ${first(g.name)}`)
    }
  }

  function describe({ layers, macs }: NonNullable<typeof plan>, i: number, box: Element): void {
    const l = layers[i]
    const attribute = (v: unknown) =>
      typeof v === 'object' && v ? JSON.stringify(v).replace(/"/g, '').replace(/,/g, ', ') : String(v)
    const tensor = (t: TensorReport) => `${first(t.name)}  ${type(t)}${t.means ? `; ${t.means}` : ''}`
    box.replaceChildren()
    el(box, 'h2', {}, `Layer ${i + 1}: ${l.op}`)
    facts(box, [
      ['name', l.name],
      ...l.inputs.map((t) => ['reads', tensor(t)] as const),
      ...l.outputs.map((t) => ['writes', tensor(t)] as const),
      ['work', `${count(l.macs)} multiply-accumulates${macs ? ` (${((100 * l.macs) / macs).toFixed(1)}%)` : ''}`],
      ['constants', `${count(l.weightBytes)} B`],
      ['live RAM', `${count(l.liveBytes)} B`],
      ['loops', l.recipe],
      ...Object.entries(l.attrs).flatMap(([k, v]) => (attribute(v) === '{}' ? [] : [[k, attribute(v)] as const])),
    ])
    for (const w of l.weights) {
      const f = el(box, 'div', { class: 'figure' })
      el(f, 'p', { class: 'small' }, `${first(w.name)}  ${type(w)}, ${bytes(w.bytes)}`)
      if (w.means) el(f, 'p', { class: 'small soft' }, w.means)
      if (w.max > w.min) bars(f, w.bins, 'bin', `stored values, ${w.min} to ${w.max}`)
      else if (w.bins.length > 0) el(f, 'p', { class: 'small soft' }, `all stored values are ${w.min}`)
      if (w.scales) bars(f, w.scales, 'scale', `scale of each channel, 0 to ${Math.max(...w.scales).toPrecision(3)}`)
    }
  }

  function drawGraph({ layers }: NonNullable<typeof plan>, box: Element, choose: (i: number) => void): void {
    el(box, 'p', { class: 'small soft' }, 'Tap a layer. The bar in each is its share of the work.')
    const frame = el(box, 'div', { class: 'scroll', id: 'graph' })
    const [W, H, GX, GY] = [168, 40, 22, 26]
    let depth: number[] = []
    layers.forEach((l, i) => {
      depth[i] = l.after.reduce((d, j) => Math.max(d, depth[j] + 1), 0)
    })
    const beside = new Map<number, number>()
    for (const d of depth) beside.set(d, (beside.get(d) ?? 0) + 1)
    if (Math.max(...beside.values()) > 8) depth = layers.map((_, i) => i)
    const rows: number[][] = []
    depth.forEach((d, i) => {
      rows[d] = [...(rows[d] ?? []), i]
    })
    const slot: number[] = []
    for (const r of rows) {
      const want = (i: number) => {
        const { after } = layers[i]
        return after.length > 0 ? after.reduce((s, j) => s + slot[j], 0) / after.length : 0
      }
      r.sort((a, b) => want(a) - want(b) || a - b)
      r.forEach((i, k) => {
        slot[i] = k - (r.length - 1) / 2
      })
    }
    const widest = Math.max(...rows.map((r) => r.length))
    const side = layers.some((l, i) => l.after.some((j) => depth[i] - depth[j] > 1)) ? 34 : 6
    const width = widest * (W + GX) - GX + 2 * side
    const height = rows.length * (H + GY)
    const at = slot.map((k, i) => [width / 2 + k * (W + GX) - W / 2, 4 + depth[i] * (H + GY)])
    const fit = Math.max(0.68, Math.min(1, (frame.clientWidth || width) / width))
    const s = svg(frame, 'svg', { width: width * fit, height: height * fit, viewBox: `0 0 ${width} ${height}` })
    layers.forEach((l, i) => {
      for (const j of l.after) {
        const [x1, y1, x2, y2] = [at[j][0], at[j][1] + H, at[i][0], at[i][1]]
        const d =
          depth[i] - depth[j] > 1
            ? `M${x1 + W} ${y1 - H / 2} C${x1 + W + 44} ${y1 + 4} ${x2 + W + 44} ${y2 - 4} ${x2 + W} ${y2 + H / 2}`
            : `M${x1 + W / 2} ${y1} C${x1 + W / 2} ${y1 + GY / 2} ${x2 + W / 2} ${y2 - GY / 2} ${x2 + W / 2} ${y2}`
        svg(s, 'path', { class: 'edge', d })
      }
    })
    const most = Math.max(1, ...layers.map((l) => l.macs))
    layers.forEach((l, i) => {
      const g = svg(s, 'g', { class: 'node', transform: `translate(${at[i]})` })
      svg(g, 'title', {}, l.name)
      svg(g, 'rect', { class: 'box', width: W, height: H, rx: 6 })
      svg(g, 'rect', { class: 'heat', x: 0, y: H - 3, height: 3, width: (W * l.macs) / most })
      svg(g, 'text', { x: 8, y: 16 }, `${i + 1}  ${cut(l.op, 20)}`)
      svg(g, 'text', { class: 'tick', x: 8, y: 31 }, l.outputs.length > 0 ? cut(type(l.outputs[0]), 26) : '')
      press(g, () => choose(i))
      marks.push([i, g])
    })
  }

  /** Returns what points at a layer. */
  function drawMemory(plan: PlanReport): (layer: number) => void {
    const { layers, buffers, peak, ...of } = plan
    const box = section(view, 'Memory over time')
    const least = of.arenaBytes === of.lowerBoundBytes ? '' : ` than ${count(of.lowerBoundBytes)} B (dotted line)`
    el(
      box,
      'p',
      { class: 'small' },
      `Peak ${count(layers[peak].liveBytes)} B at layer ${peak + 1} ${layers[peak].op}. The arena is ${count(of.arenaBytes)} B; no placement needs less${least}.`,
    )
    const frame = el(box, 'div', { class: 'scroll', id: 'memory' })
    const said = el(
      box,
      'p',
      { class: 'small soft' },
      'Point at or tap a rectangle: each is a buffer, as wide as it lives and as high as it is large.',
    )
    const drawing = timeline(plan, Math.max(300, frame.clientWidth || 300), { bytes, count })
    const { width, height, step, top, bottom, left } = drawing
    const s = svg(frame, 'svg', { width, height, viewBox: `0 0 ${width} ${height}` })
    const now = svg(s, 'rect', { class: 'now', y: top, height: bottom - top, width: step, x: -99 })
    for (const { element, attributes, text, title, buffer } of drawing.marks) {
      const node = svg(s, element, attributes, text)
      if (title !== undefined) svg(node, 'title', {}, title)
      if (buffer === undefined) continue
      const b = buffers[buffer]
      const tell = () => {
        for (const other of s.querySelectorAll('.buf.on')) other.classList.remove('on')
        node.classList.add('on')
        const when = (i: number) => (i < 0 ? 'the start' : i >= layers.length ? 'the end' : `layer ${i + 1}`)
        const kind = b.kind === 'tensor' ? '' : `${b.kind} `
        said.textContent = `${kind}${b.name}: ${count(b.bytes)} B at address ${count(b.offset)}, from ${when(b.first)} to ${when(b.last)}`
      }
      press(node, tell)
      node.addEventListener('mouseenter', tell)
    }
    return (i) => now.setAttribute('x', String(left(i)))
  }
}
