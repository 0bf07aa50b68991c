// Threads that share the runs of a WebAssembly program, in a browser: in a page that is cross-origin isolated and in one
// that is not, as they are and through a bundler.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { webFiles } from '../../src/emit/js/files.ts'
import { compile } from '../../src/emit/program.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { reference } from '../../src/run/reference.ts'
import { imageNet } from '../support/image_net.ts'
import { addressOf, BROWSER, serve, writeFiles } from '../support/site.ts'

const scratch = fileURLToPath(new URL(`../../.tmp/threads-browser-${process.pid}`, import.meta.url))
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }

const graph = imageNet('int8')
const picture = new Xorshift32(4).fill(graph.inputs[0].type) as Int8Array
const scores = Array.from(reference(graph).run([picture])[0] as Int8Array)
const given = `const picture = Int8Array.from(${JSON.stringify(Array.from(picture))})`

const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"
const page = (src: string) =>
  `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}"><script type="module" src="${src}"></script>`

let browser: Browser

function folder(name: string, code: string): string {
  const at = join(scratch, name)
  writeFiles(at, [
    ...webFiles(compile(graph, { name: 'shared', threads: 3 })),
    { name: 'index.html', data: page('page.js') },
    { name: 'page.js', data: code },
  ])
  return at
}

async function visited(at: string, headers: Readonly<Record<string, string>>) {
  const site = await serve(at, undefined, headers)
  const tab = await browser.newPage()
  const faults: string[] = []
  tab.on('pageerror', (e) => faults.push(e.message))
  try {
    await tab.goto(addressOf(site))
    const answer = await tab.waitForFunction(() => (window as unknown as { answer?: unknown }).answer, null, {
      timeout: 20_000,
    })
    expect(faults).toEqual([])
    return await answer.jsonValue()
  } finally {
    await tab.close()
    site.close()
  }
}

describe.skipIf(!BROWSER)(`threads in a browser${BROWSER ? '' : ' (needs chromium in /usr/bin)'}`, () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox'] })
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    rmSync(scratch, { recursive: true, force: true })
  })

  test('one, two and three give the same answers in an isolated page, which goes on meanwhile', async () => {
    const code = `
import { load as loadHere } from './shared.js'
import { load } from './shared.worker.js'
${given}
const answers = []
const order = []
for (const threads of [1, 2, 3]) {
  const model = await load({ threads })
  const run = model.run({ picture }).then(({ scores }) => (order.push('answer'), scores))
  order.push('went on')
  answers.push(Array.from(await run))
  for (let i = 0; i < 20; i++) await model.run({ picture })
  model.dispose()
}
const here = await loadHere({ threads: 2 }).catch((e) => e.message)
const alone = await loadHere({ threads: 1 })
window.answer = { answers, order, here, alone: Array.from(alone.run({ picture }).scores), isolated: crossOriginIsolated }
`
    expect(await visited(folder('isolated', code), ISOLATED)).toEqual({
      answers: [scores, scores, scores],
      order: ['went on', 'answer', 'went on', 'answer', 'went on', 'answer'],
      here: 'a page must not wait for its threads: import ./shared.worker.js',
      alone: scores,
      isolated: true,
    })
  })

  test('a page that is not isolated is told what is missing, or runs on one thread where it asks for that', async () => {
    const code = `
import { load } from './shared.worker.js'
${given}
const refused = await load({ threads: 2 }).catch((e) => e.message)
const answers = []
for (const how of [{ fallback: true }, { threads: 2, fallback: true }, { threads: 1 }]) {
  const model = await load(how)
  answers.push(Array.from((await model.run({ picture })).scores))
}
window.answer = { refused, answers, isolated: crossOriginIsolated }
`
    expect(await visited(folder('open', code), {})).toEqual({
      refused: expect.stringMatching(
        /cross-origin isolated.*Cross-Origin-Opener-Policy: same-origin.*Cross-Origin-Embedder-Policy: require-corp/,
      ),
      answers: [scores, scores, scores],
      isolated: false,
    })
  })

  test('dispose ends every thread', async () => {
    const code = `
import { load } from './shared.worker.js'
${given}
window.start = async () => {
  window.models = await Promise.all([load({ threads: 3 }), load({ threads: 2 })])
  for (const model of window.models) await model.run({ picture })
}
window.end = () => window.models.forEach((model) => model.dispose())
window.answer = true
`
    const site = await serve(folder('ended', code), undefined, ISOLATED)
    const tab = await browser.newPage()
    const client = await browser.newBrowserCDPSession()
    const workers = async () =>
      (await client.send('Target.getTargets')).targetInfos.filter(({ type }) => type === 'worker').length
    try {
      await tab.goto(addressOf(site))
      await tab.waitForFunction(() => (window as unknown as { answer?: unknown }).answer)
      for (let i = 0; i < 2; i++) {
        await tab.evaluate('start()')
        expect(await workers()).toBe(5)
        await tab.evaluate('end()')
        await expect.poll(workers, { timeout: 5000 }).toBe(0)
      }
    } finally {
      await tab.close()
      site.close()
    }
  })

  test('Vite builds a site from the same lines', async () => {
    const at = folder(
      'vite',
      `
import { load } from './shared.worker.js'
${given}
const model = await load({ threads: 2 })
window.answer = Array.from((await model.run({ picture })).scores)
`,
    )
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
    expect(await visited(out, ISOLATED)).toEqual(scores)
  })
})
