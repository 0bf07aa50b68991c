import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { terminalOf } from '../../src/cli/terminal.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { pageOf, SCRIPT } from '../../src/report/page.ts'
import { reportOf } from '../../src/report/report.ts'
import { PLAIN, reportText } from '../../src/report/terminal.ts'
import { BOARDS, boardOf } from '../../src/targets/boards.ts'
import { TARGET_NAMES, targetOf } from '../../src/targets/index.ts'
import { folder, saved, typed } from '../cli/console.ts'
import { recurrent, residual, separable } from '../support/nets.ts'

const BROWSER = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const c = targetOf('c')
const dir = folder()

/** The net with every name replaced by one that tries to become markup, script and a terminal's orders. */
function hostile(): Graph {
  const bad = '</script><script>window.hit=1</script><img src=x onerror="window.hit=1">\x1b[31m\u2028'
  const graph = separable()
  const renamed = new Map<object, object>()
  const value = <T extends { name: string } | undefined>(v: T): T => {
    if (!v) return v
    if (!renamed.has(v)) renamed.set(v, { ...v, name: `${bad}${renamed.size}` })
    return renamed.get(v) as T
  }
  return {
    name: bad,
    inputs: graph.inputs.map(value),
    nodes: graph.nodes.map((n) => ({
      ...n,
      from: bad + n.from,
      inputs: n.inputs.map(value),
      outputs: n.outputs.map(value),
    })),
    outputs: graph.outputs.map(value),
  }
}

/** One net's layers many times over. */
function long(times: number): Graph {
  const { nodes, ...rest } = separable()
  return { ...rest, nodes: Array.from({ length: times }, () => nodes).flat() }
}

describe('the report', () => {
  test('says of every buffer where the plan put it, and no two that live together overlap', () => {
    for (const graph of [separable(), residual(), recurrent()]) {
      const { plan } = reportOf(graph, targetOf('wasm'))
      const buffers = plan!.buffers
      expect(Math.max(...buffers.map((b) => b.offset + b.bytes))).toBeLessThanOrEqual(plan!.arenaBytes)
      for (const a of buffers)
        for (const b of buffers)
          if (a !== b && a.first <= b.last && b.first <= a.last)
            expect(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset, `${a.name} and ${b.name}`).toBe(
              true,
            )
      expect(plan!.layers[plan!.peak].liveBytes).toBe(Math.max(...plan!.layers.map((l) => l.liveBytes)))
    }
  })

  test('counts every weight once in its bins, and tells what each pass removed', () => {
    const report = reportOf(separable(), c)
    for (const layer of report.plan!.layers)
      for (const w of layer.weights) expect(w.bins.reduce((n, k) => n + k, 0)).toBe(w.shape.reduce((n, d) => n * d, 1))
    expect(report.passes[0]).toMatchObject({ name: 'as read', nodes: separable().nodes.length, gone: [] })
    for (const [i, pass] of report.passes.entries())
      if (i > 0 && pass.name !== 'layout') expect(pass.gone.length).toBe(report.passes[i - 1].nodes - pass.nodes)
  })
})

describe('on a terminal', () => {
  test.each(Object.entries({ separable, residual }))('%s is shown as it was', async (name, net) => {
    const text = reportText(reportOf(net(), c), { title: name, all: false, passes: true })
    await expect(`${text}\n`).toMatchFileSnapshot(`${name}.inspect.txt`)
  })

  test('plain text is ASCII without escape codes in 80 columns, whatever the names', () => {
    for (const graph of [separable(), recurrent(), hostile()]) {
      const text = reportText(reportOf(graph, c), { title: graph.name, all: true, passes: true }, PLAIN)
      expect(text).toMatch(/^[\n -~]*$/)
      expect(Math.max(...text.split('\n').map((l) => l.length))).toBeLessThanOrEqual(80)
    }
  })

  test('a hostile name sends a colour terminal no codes but our own', () => {
    const text = reportText(reportOf(hostile(), c), { title: 'x', all: true, passes: true }, { ...PLAIN, colour: true })
    expect(text).toContain('\x1b[')
    expect(text).not.toContain('\x1b[31m')
  })

  test('colour and Unicode are for terminals that show them', () => {
    const utf8 = { TERM: 'xterm', LANG: 'en_GB.UTF-8' }
    expect(terminalOf({ isTTY: true, columns: 100 }, utf8)).toEqual({ columns: 100, unicode: true, colour: true })
    expect(terminalOf({ isTTY: true, columns: 100 }, { ...utf8, NO_COLOR: '1' }).colour).toBe(false)
    expect(terminalOf({ isTTY: true }, { TERM: 'xterm', LANG: 'C' }).unicode).toBe(false)
    expect(terminalOf({ isTTY: true, columns: 100 }, { ...utf8, TERM: 'dumb' })).toEqual(PLAIN)
    expect(terminalOf({}, utf8)).toEqual(PLAIN)
  })

  test('a long model is summed up unless all of it is asked for', () => {
    const one = reportOf(separable(), c)
    const report = { ...one, layers: long(40).nodes.map((_, i) => one.layers[i % one.layers.length]) }
    const lines = (all: boolean) => reportText(report, { title: 'long', all, passes: false }).split('\n').length
    expect(lines(true)).toBeGreaterThan(report.layers.length)
    expect(lines(false)).toBeLessThan(100)
  })
})

describe('as a page', () => {
  test('loads nothing, runs no code but its own, and holds hostile names as data', async () => {
    const page = await pageOf(reportOf(hostile(), c), '<b>title</b>')
    const tags = [...page.replace(SCRIPT, '').matchAll(/<[^>]*>/g)].map((m) => m[0])
    expect(tags.filter((tag) => /\s(src|href|on\w+|style)\s*=|<(img|link|iframe|object|base)\b/i.test(tag))).toEqual([])
    expect(page).not.toMatch(/@import|url\(|fetch\(|unsafe-|<b>|<img/)
    expect(page.match(/<script/g)).toHaveLength(2)
    expect(page.match(/<\/script>/g)).toHaveLength(2)
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:\/\//)
    const data = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(page)![1]
    expect(JSON.parse(data).name).toBe(hostile().name)
  })

  test('its script parses and puts no text in as markup', () => {
    const { diagnostics } = ts.transpileModule(SCRIPT, { reportDiagnostics: true, compilerOptions: { allowJs: true } })
    expect(diagnostics).toEqual([])
    expect(SCRIPT).not.toMatch(/innerHTML|outerHTML|insertAdjacent|document\.write|eval/)
  })

  test('the command writes it, and leaves a file alone that is no page of ours', async () => {
    const model = saved(dir, separable())
    const page = join(dir, 'page.html')
    expect((await typed('inspect', model, '--html', page)).out).toContain(`wrote ${page}`)
    expect((await typed('inspect', model, '--html', page)).code).toBe(0)
    const refused = await typed('inspect', model, '--html', model)
    expect(refused.err).toContain('is no page that mote wrote')
  })

  test.skipIf(!BROWSER)(
    `a browser draws it at 360 pixels${BROWSER ? '' : ' (needs chromium in /usr/bin)'}`,
    async () => {
      const file = join(dir, 'hostile.html')
      writeFileSync(file, await pageOf(reportOf(hostile(), c), 'hostile'))
      const browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox'] })
      try {
        const view = await browser.newPage({ viewport: { width: 360, height: 740 } })
        const faults: string[] = []
        const asked: string[] = []
        view.on('pageerror', (e) => faults.push(e.message))
        view.on('console', (m) => faults.push(m.text()))
        view.on('request', (r) => asked.push(r.url()))
        await view.goto(pathToFileURL(file).href)
        const seen = () =>
          view.evaluate(() => ({
            width: document.documentElement.scrollWidth,
            hit: 'hit' in window,
            nodes: document.querySelectorAll('#graph .node').length,
            buffers: document.querySelectorAll('#memory .buf').length,
            detail: document.querySelector('#detail h2')!.textContent,
          }))
        const { plan } = reportOf(hostile(), c)
        expect(await seen()).toMatchObject({
          width: 360,
          hit: false,
          nodes: plan!.layers.length,
          buffers: plan!.buffers.length,
        })
        await view.locator('#graph .node').nth(2).click()
        expect((await seen()).detail).toContain('Layer 3')
        expect(faults).toEqual([])
        expect(asked).toEqual([pathToFileURL(file).href])
      } finally {
        await browser.close()
      }
    },
    60_000,
  )
})

describe('boards', () => {
  test('every board has a target that there is, and unknown ones list them all', () => {
    for (const b of BOARDS) expect(TARGET_NAMES).toContain(b.target)
    expect(boardOf('rp2040').name).toBe('RP2040')
    expect(() => boardOf('C64')).toThrow('--board: "C64" is not known')
  })

  test('a board brings target and limits, and the answer says how to call the program', async () => {
    const model = saved(dir, separable())
    const { code, out } = await typed('compile', model, '--board', 'nRF52840', '-o', join(dir, 'nrf'))
    expect(code).toBe(0)
    expect(out).toMatch(/separable for nRF52840 \(cortex-m4\)/)
    expect(out).toMatch(/RAM for tensors +704 B, 0\.3% of 256\.0 KB/)
    expect(out).toContain('separable_run(&model);')
    expect(out).toContain('picture [1, 8, 8, 3]')
  })

  test('what does not fit is told what would', async () => {
    const { code, err } = await typed('compile', saved(dir, separable()), '--sram', '100', '-o', dir)
    expect(code).toBe(1)
    expect(err).toMatch(/limit is 100.*\n {2}hint: .*it fits --sram \d+; boards that hold it: STM32F412/)
  })
})
