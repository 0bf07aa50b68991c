import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import { type Browser, chromium, type Download, type Page } from 'playwright-core'
import { PNG } from 'pngjs'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoNet } from '../../src/cli/demo_net.ts'
import { projectFiles } from '../../src/emit/c/project.ts'
import { webFiles } from '../../src/emit/js/files.ts'
import { compile, type OutputFile, type Program } from '../../src/emit/program.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { quantizeReal } from '../../src/ops/quant.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { boardOf } from '../../src/targets/boards.ts'
import { describeShared, sharedBytes, sharedPath } from '../shared/shared.ts'
import { separable } from '../support/nets.ts'
import { onnxFile } from '../support/onnx_file.ts'
import { addressOf, BROWSER, serve, writeFiles } from '../support/site.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const PICTURES = `${root}.artifacts/studio`

let server: Server
let browser: Browser
let address: string

interface Visit {
  readonly page: Page
  /** Messages of the console, and faults of the page: none is expected. */
  readonly faults: string[]
  /** Addresses asked for, those of the worker included. */
  readonly asked: string[]
}

/** Opens the page, lets `act` use it, and holds it to its promises: no fault, and no request to anyone else. */
async function visit(
  options: { readonly width?: number; readonly dark?: boolean },
  act: (page: Page, v: Visit) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: 900 },
    colorScheme: options.dark ? 'dark' : 'light',
  })
  try {
    const page = await context.newPage()
    await page.addInitScript(() => {
      const blobs = new Map<string, Blob | MediaSource>()
      const create = URL.createObjectURL
      URL.createObjectURL = (blob) => {
        const url = create(blob)
        blobs.set(url, blob)
        return url
      }
      Object.assign(window, { blobs })
    })
    const v: Visit = { page, faults: [], asked: [] }
    page.on('pageerror', (e) => v.faults.push(e.message))
    page.on('console', (m) => v.faults.push(m.text()))
    context.on('request', (r) => v.asked.push(r.url()))
    await page.goto(address)
    await settled(page)
    await act(page, v)
    expect(v.faults).toEqual([])
    expect(v.asked.filter((url) => /worker.*\.js$/.test(url)).length).toBeGreaterThan(0)
    expect(v.asked.filter((url) => !url.startsWith(address) && !url.startsWith(`blob:${address}`))).toEqual([])
  } finally {
    await context.close()
  }
}

/** The worker has answered. */
const settled = (page: Page) =>
  page.waitForFunction(
    () => !document.body.classList.contains('busy') && document.querySelector('#verdict')!.className !== '',
  )

/** What the page does, and the answer to it. */
async function then(page: Page, act: () => Promise<unknown>): Promise<void> {
  await page.evaluate(() => {
    document.querySelector('#verdict')!.className = ''
  })
  await act()
  await settled(page)
}

/** A file let go over the page, as a hand does. */
async function drop(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  const data = await page.evaluateHandle(
    ([file, text]) => {
      const transfer = new DataTransfer()
      transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], file))
      return transfer
    },
    [name, Buffer.from(bytes).toString('base64')],
  )
  await page.dispatchEvent('#drop', 'drop', { dataTransfer: data })
}

const pictured = (page: Page, name: string) => page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true })

const bytesOf = ({ data }: OutputFile) => Buffer.from(data as Uint8Array)

async function saved(download: Download): Promise<Buffer> {
  return readFileSync(await download.path())
}

/** Every file that the page offers, by name: what its link holds. The policy of the page allows no fetch. */
async function offered(page: Page): Promise<Map<string, Buffer>> {
  const files = await page.locator('#files a').evaluateAll((links) =>
    Promise.all(
      (links as HTMLAnchorElement[]).map(async ({ href, download }) => {
        const blob = (window as unknown as { blobs: Map<string, Blob> }).blobs.get(href)!
        const bytes = new Uint8Array(await blob.arrayBuffer())
        let text = ''
        for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768))
        return [download, btoa(text)] as const
      }),
    ),
  )
  return new Map(files.map(([name, text]) => [name, Buffer.from(text, 'base64')]))
}

/** Name and content of each entry of an archive of stored entries; checks lengths and sums. */
function unzipped(bytes: Buffer): Map<string, Buffer> {
  const entries = new Map<string, Buffer>()
  const end = bytes.length - 22
  expect(bytes.readUInt32LE(end)).toBe(0x06054b50)
  let at = bytes.readUInt32LE(end + 16)
  for (let k = 0; k < bytes.readUInt16LE(end + 10); k++) {
    expect(bytes.readUInt32LE(at)).toBe(0x02014b50)
    const [sum, size, length] = [bytes.readUInt32LE(at + 16), bytes.readUInt32LE(at + 24), bytes.readUInt16LE(at + 28)]
    const name = bytes.subarray(at + 46, at + 46 + length).toString()
    const local = bytes.readUInt32LE(at + 42)
    expect(bytes.readUInt32LE(local)).toBe(0x04034b50)
    const start = local + 30 + bytes.readUInt16LE(local + 26)
    const data = bytes.subarray(start, start + size)
    expect(crc32(data), name).toBe(sum)
    entries.set(name, data)
    at += 46 + length
  }
  expect(at).toBe(end)
  return entries
}

/** The page offers what `program` is, one by one and in one archive. */
async function expectFiles(page: Page, program: Program): Promise<void> {
  const expected = program.wasm ? webFiles(program) : program.files
  const got = await offered(page)
  const archive = unzipped(got.get(`${program.name}.zip`)!)
  const around = program.wasm ? [] : projectFiles(program)
  const archives = [`${program.name}.zip`, ...(program.wasm ? [] : [`${program.name}-project.zip`])]
  expect([...got.keys()]).toEqual([...expected.map((f) => f.name), ...archives])
  if (!program.wasm)
    for (const [name, data] of unzipped(got.get(archives[1])!))
      expect(data.equals(bytesOf([...expected, ...around].find((f) => f.name === name)!)), name).toBe(true)
  expect([...archive.keys()]).toEqual(expected.map((f) => f.name))
  for (const file of expected) {
    expect(got.get(file.name)!.equals(bytesOf(file)), file.name).toBe(true)
    expect(archive.get(file.name)!.equals(bytesOf(file)), `${file.name} in the archive`).toBe(true)
  }
}

/** Adds to an input of open length what a file beside it holds. */
function openModel(): { readonly bytes: Uint8Array; readonly weights: Uint8Array } {
  const bytes = onnxFile({
    inputs: [{ name: 'x', type: 1, dims: [1, 'n'] }],
    constants: [{ name: 'k', type: 1, dims: [2], external: { location: 'w.bin', offset: '0', length: '8' } }],
    nodes: [{ op: 'Add', inputs: ['x', 'k'], outputs: ['y'] }],
    outputs: ['y'],
  })
  return { bytes, weights: new Uint8Array(Float32Array.of(1.5, -2).buffer) }
}

const drawn = (page: Page) =>
  page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    buffers: document.querySelectorAll('#memory .buf').length,
    nodes: document.querySelectorAll('#graph .node').length,
    verdict: document.querySelector('#verdict')!.textContent,
  }))

describe.skipIf(!BROWSER)(`the studio${BROWSER ? '' : ' (needs chromium in /usr/bin)'}`, () => {
  beforeAll(async () => {
    mkdirSync(PICTURES, { recursive: true })
    await build({ configFile: `${root}studio/vite.config.ts`, logLevel: 'warn' })
    server = await serve(`${root}studio/dist`)
    address = addressOf(server)
    browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox'] })
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  test('is alive at once: the demo net is compiled, drawn and run', async () => {
    await visit({}, async (page) => {
      const program = compile(demoNet())
      expect(await drawn(page)).toMatchObject({ wide: 1280, nodes: program.plan.graph.nodes.length })
      await expectFiles(page, program)
      const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#files a').first().click()])
      expect(download.suggestedFilename()).toBe(webFiles(program)[0].name)
      expect((await saved(download)).equals(bytesOf(webFiles(program)[0]))).toBe(true)

      await page.fill('#seed', '7')
      await page.click('#run')
      await page.waitForSelector('.scores')
      const model = await instantiate(program)
      const [scores] = model.run([new Xorshift32(7).fill(model.inputs[0].type)])
      const { scale, zero } = model.outputs[0].type.quant!
      const reals = Array.from(scores as Int8Array, (q) => String(Number((scale[0] * (q - zero[0])).toPrecision(4))))
      expect(await page.textContent('#result p:last-child')).toBe(reals.join('  '))
      await pictured(page, 'demo-desktop-light')
    })
  })

  test('compiles a dropped file for a core, on a phone in the dark', async () => {
    await visit({ width: 360, dark: true }, async (page) => {
      const bytes = writeTflite(demoNet())
      await then(page, () => drop(page, 'dropped.tflite', bytes))
      await then(page, () => page.selectOption('#target', 'cortex-m4'))
      await expectFiles(page, compile({ ...readModel(bytes), name: 'dropped' }, { target: 'cortex-m4' }))
      expect(await drawn(page)).toMatchObject({ wide: 360, nodes: 9 })
      expect(await page.isVisible('#trial')).toBe(false)
      await pictured(page, 'dropped-phone-dark')
    })
  })

  test('a board brings its limits, and what does not fit is told as the library tells it', async () => {
    await visit({}, async (page) => {
      const { target, sram, flash } = boardOf('nRF52840')
      await then(page, () => page.selectOption('#target', 'nRF52840'))
      expect(await page.inputValue('#sram')).toBe('256K')
      expect((await drawn(page)).verdict).toMatch(/^Fits nRF52840/)
      await expectFiles(page, compile(demoNet(), { target, sram, flash }))

      await page.fill('#sram', '100')
      await then(page, () => page.press('#sram', 'Enter'))
      expect(() => compile(demoNet(), { target, sram: 100, flash })).toThrow('limit is 100; peak at')
      const refused = await drawn(page)
      expect(refused.verdict).toMatch(/^Does not fit.*limit is 100; peak at .*no placement of these tensors/)
      expect(refused.buffers).toBeGreaterThan(0)
      expect(await page.locator('#files a').count()).toBe(0)
      await pictured(page, 'does-not-fit-desktop-light')

      await page.fill('#sram', 'much')
      await then(page, () => page.press('#sram', 'Enter'))
      expect((await drawn(page)).verdict).toContain('RAM: "much" is not a size')
    })
  })

  test('a file that is no model is refused with the reason, and the next one is taken', async () => {
    await visit({ width: 360 }, async (page) => {
      await then(page, () => drop(page, '<img src=x>.onnx', new TextEncoder().encode('{"not": "a model, at all"}')))
      expect((await drawn(page)).verdict).toContain('is not a file that mote reads: it is text')
      expect(await page.locator('#model-name img').count()).toBe(0)
      await pictured(page, 'no-model-phone-light')
      await then(page, () => page.click('#demo'))
      expect((await drawn(page)).verdict).toMatch(/^Compiled for wasm/)
    })
  })

  test('work is cancelled at once and taken up again', async () => {
    await visit({}, async (page) => {
      const stopped = await page.evaluate(() => {
        document.querySelector<HTMLButtonElement>('#demo')!.click()
        document.querySelector<HTMLButtonElement>('#cancel')!.click()
        return document.querySelector('#verdict')!.textContent
      })
      expect(stopped).toBe('Stopped')
      await page.waitForTimeout(300)
      expect((await drawn(page)).verdict).toBe('Stopped')
      await then(page, () => page.click('#cancel'))
      expect((await drawn(page)).verdict).toMatch(/^Compiled for wasm/)
    })
  })

  test('its policy keeps the page from asking anyone anything', async () => {
    await visit({}, async (page, { faults }) => {
      const tried = await page.evaluate(async () => {
        const meta = document.querySelector('meta[http-equiv="Content-Security-Policy"]')
        const refused = await fetch('/icon.svg').then(
          () => false,
          () => true,
        )
        return { policy: meta?.getAttribute('content'), refused }
      })
      expect(tried.refused).toBe(true)
      expect(tried.policy).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; /)
      expect(tried.policy).not.toMatch(/connect-src|unsafe-inline|'unsafe-eval'|https?:|\*/)
      expect(faults.splice(0).every((f) => f.includes('Content Security Policy'))).toBe(true)
    })
    // The policy of a page does not reach its worker, so its script must name no way to send.
    const folder = `${root}studio/dist/assets`
    const scripts = readdirSync(folder).filter((f) => f.endsWith('.js'))
    expect(scripts).toHaveLength(2)
    for (const name of scripts) {
      const code = readFileSync(`${folder}/${name}`, 'utf8').replaceAll(': await fetch(x)', '') // text of the loader of programs
      const ways = /\bfetch\(|XMLHttpRequest|WebSocket|WebTransport|EventSource|sendBeacon|RTCPeer|importScripts/g
      expect([...code.matchAll(ways)].map(([way]) => `${way} in ${name}`)).toEqual([])
    }
  })

  test('a model comes with the file of its weights, and with the shapes that it leaves open', async () => {
    const { bytes, weights } = openModel()
    await visit({}, async (page) => {
      const files = (given: readonly [string, Uint8Array][]) =>
        page.setInputFiles(
          '#file',
          given.map(([name, data]) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(data) })),
        )
      await then(page, () => files([['net.onnx', bytes]]))
      expect((await drawn(page)).verdict).toMatch(/leaves dimension 1 open \(n\).*give its shape: --shape x=/)
      await page.fill('#shapes', 'x=1,2')
      await then(page, () => page.press('#shapes', 'Enter'))
      expect((await drawn(page)).verdict).toContain('keeps weights in "w.bin"')

      const both: [string, Uint8Array][] = [
        ['w.bin', weights],
        ['net.onnx', bytes],
      ]
      await then(page, () => files(both))
      await page.fill('#shapes', '--shape x=1,2')
      await then(page, () => page.press('#shapes', 'Enter'))
      const graph = readModel(bytes, { external: () => weights, shapes: { x: [1, 2] } })
      await expectFiles(page, compile({ ...graph, name: 'net' }))
    })
  })

  test('the page of docs/in-a-web-page.md runs under its own policy', async () => {
    const guide = readFileSync(`${root}docs/in-a-web-page.md`, 'utf8')
    const code = (language: string) => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(guide)![1]
    const program = compile(separable(), { target: 'wasm', name: 'model' })
    const folder = `${root}.tmp/web-page-${process.pid}`
    mkdirSync(folder, { recursive: true })
    writeFileSync(`${folder}/index.html`, code('html'))
    writeFileSync(`${folder}/page.js`, code('js'))
    const picture = new PNG({ width: 8, height: 8 })
    const random = new Xorshift32(5)
    picture.data.forEach((_, i) => {
      picture.data[i] = i % 4 === 3 ? 255 : random.between(0, 255)
    })
    writeFileSync(`${folder}/picture.png`, PNG.sync.write(picture))
    writeFiles(folder, webFiles(program))
    const site = await serve(folder)
    const page = await browser.newPage()
    try {
      const faults: string[] = []
      page.on('pageerror', (e) => faults.push(e.message))
      page.on('console', (m) => faults.push(m.text()))
      await page.goto(addressOf(site))
      await page.waitForFunction(() => document.querySelector('output')!.value !== '' || undefined, null, {
        timeout: 5e3,
      })
      const { scale, zero } = program.plan.graph.inputs[0].type.quant!
      const bytes = [...picture.data].filter((_, i) => i % 4 < 3)
      const model = await instantiate(program)
      const [scores] = model.run([Int8Array.from(bytes, (byte) => quantizeReal(byte / 255, scale[0], zero[0]))])
      const stored = [...(scores as Int8Array)]
      const best = stored.indexOf(Math.max(...stored))
      expect(await page.textContent('#answer')).toBe(`class ${best}`)
      expect(faults).toEqual([])
    } finally {
      await page.close()
      site.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })

  describeShared('shared models', () => {
    test.each([
      ['mlperf_tiny/kws_dscnn_int8', false],
      ['tinyengine/mcunet_in4_int8', true],
    ])('%s becomes the same bytes in the page as in Node', async (path, dark) => {
      const file = `models/${path}.tflite`
      const name = path.split('/')[1]
      const graph = { ...readModel(sharedBytes(file)), name }
      await visit({ dark }, async (page) => {
        await then(page, () => page.setInputFiles('#file', sharedPath(file)))
        await expectFiles(page, compile(graph, { target: 'wasm' }))
        await pictured(page, `${name}-wasm`)
        await then(page, () => page.selectOption('#target', 'cortex-m4'))
        const program = compile(graph, { target: 'cortex-m4' })
        await expectFiles(page, program)
        const { nodes, buffers, wide } = await drawn(page)
        expect(nodes).toBe(program.plan.graph.nodes.length)
        expect(buffers).toBeGreaterThan(nodes / 2)
        expect(wide).toBe(1280)
        await page.setViewportSize({ width: 360, height: 800 })
        await page.waitForFunction(() => document.documentElement.scrollWidth === 360)
        await pictured(page, `${name}-cortex-m4-phone`)
      })
    })
  })
})
