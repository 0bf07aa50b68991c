// What a web page pays for each model: bytes as they are stored and as they travel (gzip), milliseconds from the module's
// bytes in memory to the first answer, in fresh processes, and the memory of a running model.
// Writes bench/results/web.md.
//
//   npm run build && node bench/web.mjs [--shared DIR] [--only NAME] [--runs 9]
//
// Needs the models (`--shared`, MOTE_SHARED or ../shared).

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { compile, readModel, webFiles } from '../dist/index.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
    runs: { type: 'string', default: '9' },
  },
})
const models = join(values.shared, 'models')
if (!existsSync(models)) {
  console.error(`no models at ${models}; say where they are with --shared DIR`)
  process.exit(1)
}

const START = `
import { readFileSync } from 'node:fs'
import { inputs, load } from './model.js'
const module = readFileSync(new URL('model.wasm', import.meta.url))
const array = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array }
const given = Object.fromEntries(Object.entries(inputs).map(([key, p]) => [key, new array[p.dtype](p.length)]))
const start = [performance.now(), process.cpuUsage()]
const model = await load({ module })
model.run(given)
const { user, system } = process.cpuUsage(start[1])
console.log(JSON.stringify([performance.now() - start[0], (user + system) / 1000]))
`

// Resident bytes of one model among many: memories are touched where weights and tensors are.
const MEMORY = `
import { readFileSync } from 'node:fs'
import { inputs, load } from './model.js'
const array = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array }
const given = Object.fromEntries(Object.entries(inputs).map(([key, p]) => [key, new array[p.dtype](p.length).fill(1)]))
const module = new WebAssembly.Module(readFileSync(new URL('model.wasm', import.meta.url)))
const alive = []
const make = async (n) => { for (let i = 0; i < n; i++) { const model = await load({ module }); model.run(given); alive.push(model) } }
const settled = async () => { for (let i = 0; i < 3; i++) { await new Promise((r) => setTimeout(r, 20)); gc() } return process.memoryUsage().rss }
await make(20)
const before = await settled()
await make(40)
console.log(Math.round((await settled() - before) / 40))
`

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1]
const kb = (n) => (n / 1024).toFixed(1)
const rows = []
const dir = mkdtempSync(join(tmpdir(), 'mote-web-'))
writeFileSync(join(dir, 'package.json'), '{"type":"module"}')
writeFileSync(join(dir, 'start.js'), START)
writeFileSync(join(dir, 'memory.js'), MEMORY)
for (const folder of readdirSync(models))
  for (const file of readdirSync(join(models, folder)).filter((f) => /\.(tflite|onnx)$/.test(f) && f.includes(values.only))) {
    const program = compile(readModel(readFileSync(join(models, folder, file))), { name: 'model' })
    const files = Object.fromEntries(webFiles(program).map((f) => [f.name, f.data]))
    for (const [name, data] of Object.entries(files)) writeFileSync(join(dir, name), data)
    const times = Array.from({ length: Number(values.runs) }, () =>
      JSON.parse(execFileSync(process.execPath, ['start.js'], { cwd: dir, encoding: 'utf8' })),
    )
    const resident = Number(execFileSync(process.execPath, ['--expose-gc', 'memory.js'], { cwd: dir, encoding: 'utf8' }))
    const { weightBytes, arenaBytes } = program.plan
    const wasm = files['model.wasm']
    const code = webFiles(program, { weights: 'separate' })[0].data
    const plan = weightBytes + arenaBytes
    rows.push(
      `| ${file} | ${kb(weightBytes)} | ${kb(code.length)} | ${kb(gzipSync(code).length)} | ${kb(gzipSync(wasm).length)} | ${files['model.js'].length} | ` +
        `${Math.min(...times.map((t) => t[0])).toFixed(1)} | ${median(times.map((t) => t[1])).toFixed(1)} | ${kb(plan)} | ${kb(resident - plan)} |`,
    )
    console.error(rows.at(-1))
  }
rmSync(dir, { recursive: true })
const text = [
  '# In a web page',
  '',
  'Made by `npm run build && node bench/web.mjs`. Sizes in KB (1024 bytes): weights, code of the module, that code and the whole',
  'module as they travel (gzip); the loader in bytes. From the bytes of the module in memory to the first answer, in fresh',
  'processes: milliseconds that passed (the least) and that processors spent (the median). Memory in KB: what the plan says',
  '(weights and tensors), and what a running model has resident beyond it, in a process that runs many.',
  `${cpus().length} cores of ${cpus()[0].model}, Node ${process.version}.`,
  '',
  '| model | weights | code | code, gzip | module, gzip | loader, B | first answer, ms | processors, ms | plan | beyond it |',
  '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
  ...rows,
  '',
].join('\n')
if (values.only) console.log(text)
else writeFileSync(join(root, 'bench/results/web.md'), text)
