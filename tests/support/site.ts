// A folder as a web site, and the browser to see it with.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import type { OutputFile } from '../../src/emit/program.ts'

/** Where chromium is, if it is there. */
export const BROWSER = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html',
  js: 'text/javascript',
  mjs: 'text/javascript',
  wasm: 'application/wasm',
  css: 'text/css',
  svg: 'image/svg+xml',
  png: 'image/png',
}

/** Serves the files of a folder and nothing else, each with `headers`. */
export function serve(folder: string, types = TYPES, headers: Readonly<Record<string, string>> = {}): Promise<Server> {
  const made = createServer(({ url }, answer) => {
    if (url === '/favicon.ico') return answer.writeHead(204).end()
    const file = folder + (url === '/' ? '/index.html' : url!.replace(/\?.*/, ''))
    if (/\.\./.test(file) || !existsSync(file)) return answer.writeHead(404).end()
    const type = types[file.split('.').pop()!] ?? 'application/octet-stream'
    return answer.writeHead(200, { ...headers, 'content-type': type }).end(readFileSync(file))
  })
  return new Promise((ready) => made.listen(0, '127.0.0.1', () => ready(made)))
}

export const addressOf = (s: Server) => `http://127.0.0.1:${(s.address() as AddressInfo).port}/`

/** Writes files into a folder, which is made. */
export function writeFiles(folder: string, files: readonly OutputFile[]): void {
  for (const { name, data } of files) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, data)
  }
}

export interface Visit {
  /** Of chromium. */
  readonly args?: readonly string[]
  readonly dark?: boolean
  readonly permissions?: readonly string[]
}

/** Opens the page of a folder; nothing but itself may be asked for, and nothing may go wrong. */
export async function visitSite(folder: string, act: (page: Page) => Promise<void>, how: Visit = {}): Promise<void> {
  const site = await serve(folder)
  const browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox', ...(how.args ?? [])] })
  try {
    const context = await browser.newContext({
      viewport: { width: 1000, height: 760 },
      colorScheme: how.dark ? 'dark' : 'light',
      permissions: [...(how.permissions ?? [])],
    })
    const page = await context.newPage()
    const faults: string[] = []
    page.on('pageerror', (e) => faults.push(e.message))
    page.on('console', (m) => faults.push(m.text()))
    context.on('request', (r) => {
      if (!r.url().startsWith(addressOf(site)) && !/^(blob|data):/.test(r.url())) faults.push(r.url())
    })
    await page.goto(addressOf(site))
    await act(page)
    if (faults.length > 0) throw new Error(`the page went wrong: ${faults.join(', ')}`)
  } finally {
    await browser.close()
    site.close()
  }
}
