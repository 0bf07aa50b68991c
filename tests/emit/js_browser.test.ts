// The files of a WebAssembly program in a browser: as they are, in a worker, and through a bundler.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { webFiles } from '../../src/emit/js/files.ts'
import { compile } from '../../src/emit/program.ts'
import { relaxedProbe } from '../../src/emit/wasm/relaxed.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { reference } from '../../src/run/reference.ts'
import { recurrent, separable } from '../support/nets.ts'
import { addressOf, BROWSER, serve, writeFiles } from '../support/site.ts'

const scratch = fileURLToPath(new URL(`../../.tmp/js-browser-${process.pid}`, import.meta.url))

/** The first net is int8 without state, the second float32 with it. */
const nets = [separable(), recurrent()]
const NAMES = ['first', 'second']
const given = nets.map(({ inputs: [x] }) => Array.from({ length: 3 }, (_, i) => new Xorshift32(i + 1).fill(x.type)))
const expected = nets.map((graph: Graph, n) => {
  const model = reference(graph)
  return given[n].map((x) => Array.from(model.run([x])[0] as ArrayLike<number>))
})

/** Runs both nets, one after the other in turn, and says what they answer; `how` is how their modules are imported. */
const script = (from: (name: string) => string) => `
import { load as loadFirst } from '${from('first')}'
import { load as loadSecond } from '${from('second')}'
const inputs = ${JSON.stringify(given.map((list) => list.map((x) => Array.from(x as ArrayLike<number>))))}
const [first, second] = await Promise.all([loadFirst(), loadSecond()])
const answers = [[], []]
for (let i = 0; i < 3; i++) {
  answers[0].push(Array.from((await first.run({ picture: Int8Array.from(inputs[0][i]) })).scores))
  answers[1].push(Array.from((await second.run({ sample: Float32Array.from(inputs[1][i]) })).next))
}
const fault = await (async () => first.run({ picture: new Int8Array(3) }))().catch((e) => e.message)
first.dispose()
const ended = await (async () => first.run({ picture: new Int8Array(192) }))().catch((e) => e.message)
window.answer = { answers, fault, ended }
`
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"
const page = (src: string) =>
  `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}"><script type="module" src="${src}"></script>`

let browser: Browser

/** What the page in a folder answers, and which addresses it asked for. */
async function visited(folder: string, types?: Record<string, string>) {
  const site = await serve(folder, types)
  const context = await browser.newContext()
  try {
    const tab = await context.newPage()
    const faults: string[] = []
    const asked: string[] = []
    tab.on('pageerror', (e) => faults.push(e.message))
    tab.on('console', (m) => faults.push(m.text()))
    context.on('request', (r) => asked.push(new URL(r.url()).pathname))
    await tab.goto(addressOf(site))
    const answer = await tab.waitForFunction(() => (window as unknown as { answer?: unknown }).answer, null, {
      timeout: 20_000,
    })
    expect(faults).toEqual([])
    return { answer: await answer.jsonValue(), asked }
  } finally {
    await context.close()
    site.close()
  }
}

const RIGHT = {
  answers: expected,
  fault: 'input "picture" takes Int8Array of 192, got Int8Array of 3',
  ended: 'the model was disposed',
}

describe.skipIf(!BROWSER)(`in a browser${BROWSER ? '' : ' (needs chromium in /usr/bin)'}`, () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox'] })
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    rmSync(scratch, { recursive: true, force: true })
  })

  /** A page of its own with both programs beside it. */
  function folder(name: string, code: string, weights: 'inside' | 'separate' = 'inside'): string {
    const at = join(scratch, name)
    nets.forEach((graph, n) => {
      writeFiles(at, webFiles(compile(graph, { name: NAMES[n] }), { weights }))
    })
    writeFiles(at, [
      { name: 'index.html', data: page('page.js') },
      { name: 'page.js', data: code },
    ])
    return at
  }
  const here = script((name) => `./${name}.js`)
  const worker = script((name) => `./${name}.worker.js`)

  test('two models run in one page, a plain module under a policy', async () => {
    expect((await visited(folder('plain', here))).answer).toEqual(RIGHT)
  })

  test('relaxed instructions are asked for where they are exact, and one module is loaded', async () => {
    const at = folder('relaxed', here)
    const relaxed = compile(nets[0], { name: NAMES[0], target: 'wasm-relaxed' })
    const variants = { relaxed: { wasm: relaxed.wasm!, probe: relaxedProbe() } }
    writeFiles(at, webFiles(compile(nets[0], { name: NAMES[0] }), { variants }))
    const { answer, asked } = await visited(at)
    expect(answer).toEqual(RIGHT)
    expect(asked.filter((path) => /first.*\.wasm$/.test(path))).toHaveLength(1)
  })

  test('a server that does not know .wasm is served by bytes', async () => {
    const types = { html: 'text/html', js: 'text/javascript' }
    expect((await visited(folder('untyped', here), types)).answer).toEqual(RIGHT)
  })

  test('weights are asked for as files of their own', async () => {
    const { answer, asked } = await visited(folder('separate', here, 'separate'))
    expect(answer).toEqual(RIGHT)
    expect(asked).toEqual(expect.arrayContaining(['/first.weights', '/second.weights']))
  })

  test('in workers they answer the same, with the same faults', async () => {
    const { answer, asked } = await visited(folder('worker', worker, 'separate'))
    expect(answer).toEqual(RIGHT)
    expect(asked).toEqual(expect.arrayContaining(['/first.thread.js', '/second.thread.js']))
  })

  test('a page goes on while its worker runs, and a worker that cannot load says so', async () => {
    const code = `
import { load } from './first.worker.js'
const model = await load()
const picture = new Int8Array(192)
let order = []
const run = model.run({ picture }).then(() => order.push('answer'))
order.push('went on')
await run
const fault = await load({ module: '/missing.wasm' }).catch((e) => e.message)
const waiting = model.run({ picture }).catch((e) => e.message)
model.dispose()
window.answer = { order, fault, waiting: await waiting }
`
    const site = await serve(folder('alone', code))
    const tab = await browser.newPage()
    try {
      await tab.goto(addressOf(site))
      const answer = await tab.waitForFunction(() => (window as unknown as { answer?: unknown }).answer)
      expect(await answer.jsonValue()).toEqual({
        order: ['went on', 'answer'],
        fault: expect.stringContaining('/missing.wasm answers 404'),
        waiting: 'the model was disposed',
      })
    } finally {
      await tab.close()
      site.close()
    }
  })

  test.each([
    ['the page', here, 'inside'],
    ['workers', worker, 'separate'],
  ] as const)('Vite builds a site from the same lines, for %s', async (what, code, weights) => {
    const at = folder(`vite-${weights}`, code, weights)
    writeFileSync(join(at, 'index.html'), page('/page.js'))
    const out = join(at, 'dist')
    mkdirSync(out, { recursive: true })
    await build({
      root: at,
      base: './',
      logLevel: 'error',
      configFile: false,
      build: { target: 'es2022', outDir: out, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
    })
    expect(readdirSync(join(out, 'assets')).filter((f) => f.endsWith('.wasm'))).toHaveLength(2)
    expect((await visited(out)).answer, what).toEqual(RIGHT)
  })
})
