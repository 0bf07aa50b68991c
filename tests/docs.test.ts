import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { PNG } from 'pngjs'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { demoInputs, demoLabels, demoNet } from '../src/cli/demo_net.ts'
import { findChromium } from '../src/cli/rivals/engines.ts'
import { writeOnnx } from '../src/export/onnx.ts'
import { writeTflite } from '../src/export/tflite.ts'
import { writeNpy } from '../src/io/npy.ts'
import type { Graph } from '../src/ir/graph.ts'
import { conv2d, fullyConnected, mean } from '../src/ops/all.ts'
import { CaseBuilder, f32 } from '../src/ops/case.ts'
import { DEVICE_NAMES, missingDeviceTools } from '../src/run/device.ts'
import { hostCompiler } from '../src/run/host_c.ts'
import { isInstalled } from '../src/run/host_tool.ts'
import { typed } from './cli/console.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const GUIDES = readdirSync(`${root}docs`)
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)

/** Exported names of the library without a word of documentation at their declaration, members of exported types included. */
function undocumented(): string[] {
  const entry = `${root}src/index.ts`
  const config = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  const program = ts.createProgram([entry], { ...options, noEmit: true })
  const checker = program.getTypeChecker()
  const resolved = (s: ts.Symbol) => (s.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(s) : s)
  const written = (s: ts.Symbol) => s.getDocumentationComment(checker).length > 0
  const missing: string[] = []
  for (const exported of checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry)!)!)) {
    const symbol = resolved(exported)
    const namespace = (symbol.flags & ts.SymbolFlags.ValueModule) !== 0
    const names = namespace ? checker.getExportsOfModule(symbol) : [symbol]
    for (const one of names)
      if (!written(resolved(one))) missing.push(namespace ? `${exported.name}.${one.name}` : exported.name)
  }
  return missing
}

test('every name that the library exports is documented where it is declared', () => {
  expect(undocumented()).toEqual([])
}, 60_000)

test('links between the pages lead to files', () => {
  for (const page of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'bench/README.md', ...GUIDES]) {
    const folder = page.includes('/') ? page.slice(0, page.lastIndexOf('/') + 1) : ''
    for (const [, to] of readFileSync(root + page, 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g))
      expect(() => readFileSync(root + folder + to), `${page} links to ${to}`).not.toThrow(/ENOENT/)
  }
})

const scratch = `${root}.tmp/docs-${process.pid}`
const SCRIPTS: Readonly<Record<string, string>> = JSON.parse(readFileSync(`${root}package.json`, 'utf8')).scripts

/** Code of a language in a page. */
function blocks(page: string, language: string): string[] {
  const text = readFileSync(root + page, 'utf8')
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g'))].map((m) => m[1])
}

/** What installs and starts these tests, what tests/studio and tests/examples do, and packages that are not ours. */
const ELSEWHERE = [
  ...['npm ci', 'npm test', 'npm run studio:build', 'npm run models -- <folder>'],
  'npm install --no-save onnxruntime-web @litertjs/core @tensorflow/tfjs-tflite',
]

/** The command lines of a page, in order and each once: of its blocks, and of mote and npm scripts in its sentences. */
function commandsOf(page: string): string[] {
  const text = readFileSync(root + page, 'utf8')
  const own =
    /^(?: {4})?((?:npx mote|npm|gcc|arm-none-eabi-gcc|make|cmake|\.\/)[^#\n]*)|`((?:npx mote|npm run) [a-z][^`]*)`/gm
  const lines = [...text.matchAll(own)].flatMap((m) => (m[1] ?? m[2]).replace(/\s+/g, ' ').split('&&'))
  return [...new Set(lines.map((line) => line.trim()))].filter((line) => !ELSEWHERE.includes(line))
}

/** float32: every layer has a form in both file formats. */
function plainNet(): Graph {
  const b = new CaseBuilder('plain', 2)
  const x = b.input('picture', f32([1, 8, 8, 1]))
  const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], groups: 1, clamp: { min: 0 } }
  const filtered = b.one(conv2d, [x, b.floats('filters', [4, 3, 3, 1])], window)
  const pooled = b.one(mean, [filtered], { axes: [1, 2], keepDims: false })
  return b.graph([b.one(fullyConnected, [pooled, b.floats('classes', [5, 4])], { keepDims: false, clamp: {} })])
}

/** A folder with a model in both formats and inputs for it, called as the pages call them. */
function files(folder: string, model: Graph): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}/labels.txt`, demoLabels.join('\n'))
  writeFileSync(`${folder}/model.tflite`, writeTflite(model))
  writeFileSync(`${folder}/model.onnx`, writeOnnx(plainNet()))
  demoInputs().forEach(({ label, data }, i) => {
    const shape = [1, 8, 8, 1]
    const picture = new PNG({ width: 8, height: 8 })
    for (const [p, q] of data.entries()) picture.data.set([q + 128, q + 128, q + 128, 255], 4 * p)
    const png = PNG.sync.write(picture)
    mkdirSync(`${folder}/samples/${label}`, { recursive: true })
    writeFileSync(`${folder}/samples/${label}/${i}.png`, png)
    writeFileSync(`${folder}/picture.png`, png)
    writeFileSync(
      `${folder}/input.npy`,
      writeNpy({ dtype: 'f32', shape, data: Float32Array.from(data, (q) => (q + 128) / 255) }),
    )
  })
}

/** Programs of this machine that a command line needs and that are not there. */
function missing(line: string): string[] {
  const [program] = line.split(' ')
  if (/gcc$/.test(program)) return [program].filter((p) => !isInstalled(p))
  if (program === 'make' || program === 'cmake') {
    const tools = line.endsWith(' host') ? ['cc'] : ['arm-none-eabi-gcc', 'qemu-system-arm']
    return [program, ...tools].filter((p) => !isInstalled(p))
  }
  if (program === './model') return ['gcc'].filter((p) => !isInstalled(p))
  const on = / --on (\S+)/.exec(line)?.[1].split(',') ?? []
  const emulated = line.includes('--max-instructions') || on.some((name) => DEVICE_NAMES.includes(name))
  const device = emulated ? [...missingDeviceTools()] : []
  if (on.includes('chromium') && !findChromium()) device.push('chromium')
  return [...device, ...(on.includes('host-c') && !hostCompiler() ? ['a C compiler'] : [])]
}

async function runMote(argv: readonly string[]): Promise<void> {
  const at = argv.indexOf('-o')
  if (argv[0] === 'convert' || argv[0] === 'quantize') rmSync(argv[at + 1], { force: true })
  const { code, out, err } = await typed(...argv)
  expect(code, `mote ${argv.join(' ')}\n${out}\n${err}`).toBe(0)
}

/** Vite serves the page of the studio or of an example. */
async function openPage(script: string): Promise<void> {
  const [program, ...args] = script.split(' ')
  const server = spawn(process.execPath, [`${root}node_modules/${program}/bin/${program}.js`, ...args], { cwd: root })
  try {
    const address = await new Promise<string>((ready, failed) => {
      let said = ''
      server.stdout.on('data', (text) => {
        said += stripVTControlCharacters(`${text}`)
        const found = /http:\/\/\S+/.exec(said)
        if (found) ready(found[0])
      })
      server.on('exit', () => failed(new Error(`vite ended: ${said}`)))
    })
    expect(await (await fetch(address)).text()).toContain('<script type="module"')
  } finally {
    server.kill()
  }
}

/** Draws the pictures of docs/ with the sources at hand and compares them with those that are there. */
async function drawPictures(): Promise<void> {
  const script = readFileSync(`${root}docs/pictures.mjs`, 'utf8')
  mkdirSync(`${scratch}/drawn`, { recursive: true })
  writeFileSync(`${scratch}/drawn/pictures.ts`, script.replace(/'\.\.\/dist\/(.*)\.js'/g, `'${root}src/$1.ts'`))
  const printed = vi.spyOn(console, 'log').mockImplementation(() => {})
  await import(/* @vite-ignore */ `${scratch}/drawn/pictures.ts`)
  printed.mockRestore()
  const names = readdirSync(`${scratch}/drawn/pictures`)
  expect(names).toEqual(readdirSync(`${root}docs/pictures`))
  for (const name of names)
    expect(readFileSync(`${scratch}/drawn/pictures/${name}`, 'utf8'), `${name}: npm run docs:pictures`).toBe(
      readFileSync(`${root}docs/pictures/${name}`, 'utf8'),
    )
}

async function runScript(name: string): Promise<void> {
  const script = SCRIPTS[name]
  expect(script, `package.json has no script "${name}"`).toBeDefined()
  if (script.startsWith('node dist/cli/main.js ')) return runMote(script.split(' ').slice(2))
  if (name === 'docs:pictures') return drawPictures()
  if (['studio', 'browser', 'learn'].includes(name)) return openPage(script)
  expect.fail(`no test knows how to run "npm run ${name}"`)
}

async function runLine(line: string, folder: string): Promise<void> {
  const [program, ...words] = line.split(' ')
  if (program === 'npx') return runMote(words.slice(1))
  if (program === 'npm') return runScript(words.findLast((w) => !w.startsWith('-'))!)
  const { status, stdout, stderr } = spawnSync(program, words, { cwd: folder, encoding: 'utf8' })
  expect(status, `${line}\n${stderr}`).toBe(0)
  expect(stderr).toBe('')
  if (program === './model') expect(stdout).toMatch(/class 1: 0\.[89]/)
}

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe.each(['README.md', ...GUIDES].filter((page) => commandsOf(page).length > 0))('the commands of %s', (page) => {
  const folder = `${scratch}/${page.replace(/\W/g, '_')}`
  const before = process.cwd()
  beforeAll(() => {
    // Not every int8 layer has a form in .onnx, and the README converts in both directions.
    files(folder, page === 'README.md' ? plainNet() : demoNet())
    for (const code of blocks(page, 'c')) writeFileSync(`${folder}/${/^\/\* (\S+) \*\//.exec(code)![1]}`, code)
    process.chdir(folder)
  })
  afterAll(() => process.chdir(before))

  for (const line of commandsOf(page)) {
    const lacks = missing(line)
    test.skipIf(lacks.length > 0)(`${line}${lacks.length > 0 ? ` (needs ${lacks})` : ''}`, () => runLine(line, folder))
  }
})

test('the code of docs/how-it-works.md prints what the page says', async () => {
  mkdirSync(scratch, { recursive: true })
  const [code] = blocks('docs/how-it-works.md', 'ts')
  writeFileSync(`${scratch}/how.ts`, code.replace("'mote-ml'", `'${root}src/index.ts'`))
  const printed = vi.spyOn(console, 'log').mockImplementation(() => {})
  await import(/* @vite-ignore */ `${scratch}/how.ts`)
  const said = printed.mock.calls.map((words) => `${words.join(' ')}\n`).join('')
  printed.mockRestore()
  expect(said).toBe(blocks('docs/how-it-works.md', 'text')[0])
})
