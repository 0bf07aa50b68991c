// What threads gain: for each model the plain module and one whose runs two threads share (or `--threads`), in one
// process and in turns: least and median times, bytes of both modules and of their memory.
// Writes bench/results/threads.md.
//
//   npm run build && node bench/threads.mjs [--shared DIR] [--only NAME] [--threads 2] [--runs 200]
//
// Needs the models (`--shared`, MOTE_SHARED or ../shared) and as many idle processors as threads.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { compile, readModel, webFiles } from '../dist/index.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
    threads: { type: 'string', default: '2' },
    runs: { type: 'string', default: '200' },
  },
})
const threads = Number(values.threads)
const runs = Number(values.runs)
const models = join(values.shared, 'models')
if (!existsSync(models)) {
  console.error(`no models at ${models}; say where they are with --shared DIR`)
  process.exit(1)
}

const NAMES = [
  'mlperf_tiny/vww_mbv1_025_96_int8.tflite',
  'mlperf_tiny/vww_mbv1_025_96_fp32.tflite',
  'mlperf_tiny/ic_resnet8_int8.tflite',
  'mlperf_tiny/ic_resnet8_fp32.tflite',
  'tinyengine/mcunet_vww1_int8.tflite',
  'tinyengine/mcunet_in4_int8.tflite',
  'tflite_support/mobilenet_v1_0.25_224_quant.tflite',
  'tflite_support/mobilenet_v1_0.25_224_fp32.tflite',
  'onnx/mobilenet_v2_int8.onnx',
  'onnx/ultraface_rfb320_simplified.onnx',
].filter((name) => name.includes(values.only))

const ARRAYS = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array }
const folder = mkdtempSync(join(tmpdir(), 'mote-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
writeFileSync(join(folder, 'package.json'), '{"type":"module"}')

async function loaded(place, program, how) {
  const at = join(folder, place)
  mkdirSync(at)
  for (const { name, data } of webFiles(program)) writeFileSync(join(at, name), data)
  const { inputs, load } = await import(pathToFileURL(join(at, `${program.name}.js`)))
  const model = await load(how)
  let seed = 1
  const next = () => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) / 0x7fffffff
  const fill = ({ dtype, length }) =>
    ARRAYS[dtype].from({ length }, () => (dtype === 'float32' ? 2 * next() - 1 : Math.floor(256 * next()) - 128))
  const given = Object.fromEntries(Object.entries(inputs).map(([key, port]) => [key, fill(port)]))
  return { run: () => model.run(given), dispose: () => model.dispose() }
}

const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1]

function timed(works) {
  for (let i = 0; i < 20; i++) for (const { run } of works) run()
  const us = works.map(() => [])
  for (let i = 0; i < runs; i++)
    for (const [w, { run }] of works.entries()) {
      const from = performance.now()
      run()
      us[w].push((performance.now() - from) * 1000)
    }
  return us.map((times) => ({ least: Math.min(...times), median: median(times) }))
}

const rows = []
for (const [i, file] of NAMES.entries()) {
  const graph = readModel(readFileSync(join(models, file)))
  const [plain, shared] = [compile(graph, { name: 'model' }), compile(graph, { name: 'model', threads })]
  const levels = shared.plan.threads?.levels ?? []
  const works = [
    await loaded(`plain${i}`, plain),
    await loaded(`shared${i}`, shared, { threads: shared.plan.threads?.most ?? 1 }),
  ]
  const said = works.map(({ run }) => JSON.stringify(Object.values(run()).map((x) => Array.from(x))))
  if (said[0] !== said[1]) throw new Error(`${file}: the outputs differ`)
  const [a, b] = timed(works)
  for (const { dispose } of works) dispose()
  const name = file.replace(/.*\/|\.\w+$/g, '')
  const ratio = (x, y) => (x / y).toFixed(2)
  const kb = (bytes) => (bytes / 1024).toFixed(0)
  rows.push([
    ...[name, levels.length, a.least.toFixed(0), b.least.toFixed(0), ratio(a.least, b.least)],
    ...[a.median.toFixed(0), b.median.toFixed(0), ratio(a.median, b.median)],
    ...[kb(plain.wasm.length), kb(shared.wasm.length), kb(plain.plan.arenaBytes), kb(shared.plan.arenaBytes)],
  ])
  console.log(rows.at(-1).join('  '))
}

if (values.only === '') {
  const table = rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  writeFileSync(
    join(root, 'bench', 'results', 'threads.md'),
    `# What threads gain

\`node bench/threads.mjs --threads ${threads} --runs ${runs}\` · Node ${process.version}, ${cpus()[0].model.trim()}, ${cpus().length} processors

Plain module and ${threads} threads in one process, in turns; microseconds of \`run\`, least and median; KiB of the module and of the arena.
The least times are those of runs during which ${threads} processors were free.

| model | levels | plain | shared | × | plain, median | shared, median | × | module | shared | arena | shared |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
${table}
`,
  )
}
