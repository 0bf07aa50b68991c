// Instructions, RAM and code on emulated Cortex-M4, M7 and M55 for nine models, beside TensorFlow Lite Micro with CMSIS-NN
// and TinyEngine where figures of theirs are known; then RAM with the first layers by rows, beside TinyEngine's planner. A
// figure is written only where the outputs are the golden ones. Writes bench/results/microcontrollers.json and .md.
//
//   npm run build && node bench/microcontrollers.mjs [--shared DIR] [--on cortex-m4,cortex-m7,cortex-m55] [--only NAME]
//
// Needs the models and goldens (`--shared`, MOTE_SHARED or ../shared), QEMU and gcc-arm-none-eabi.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    on: { type: 'string', default: 'cortex-m4,cortex-m7,cortex-m55' },
    only: { type: 'string', default: '' },
  },
})
const goldenDir = join(values.shared, 'golden', 'tflm')
if (!existsSync(goldenDir)) {
  console.error(`no goldens at ${goldenDir}; say where they are with --shared DIR`)
  process.exit(1)
}

/** TinyEngine's instructions on a Cortex-M7, at its own flags. */
const TINY_ENGINE_M7 = {
  mcunet_vww1_int8: 34_530_000,
  mcunet_person_det_int8: 54_640_000,
  mcunetv2_large_int8: 509_400_000,
}
/** What TinyEngine's planner needs, input included. */
const TINY_ENGINE_RAM = {
  mcunet_vww0_int8: 60_800,
  mcunet_vww1_int8: 93_992,
  mcunet_in2_int8: 219_776,
  mcunet_in4_int8: 426_120,
}
const FIELD = { 'cortex-m4': 'm4_cmsis_O3', 'cortex-m7': 'm7_cmsis_O3', 'cortex-m55': 'm55_cmsis_O3' }

function bench(model, on, ...more) {
  const args = [join(root, 'dist/cli/main.js'), 'bench', join(values.shared, 'models', model)]
  return JSON.parse(
    execFileSync('node', [...args, '--on', on, '--seed', '1', '--json', ...more], { maxBuffer: 1 << 28 }),
  ).runs
}

const names = readdirSync(goldenDir).filter((f) => f.endsWith('.json') && f.includes(values.only))
const rows = []
for (const file of names) {
  const golden = JSON.parse(readFileSync(join(goldenDir, file), 'utf8'))
  const name = file.replace('.json', '')
  const expected = JSON.stringify(golden.outputs['1'].map((o) => o.fnv1a))
  for (const on of values.on.split(',')) {
    process.stderr.write(`${name} on ${on} …\n`)
    const [{ layers, ...run }] = bench(golden.model.replace(/^models\//, ''), on)
    if (JSON.stringify(run.outputFnv1a) !== expected)
      throw new Error(`${name} on ${on}: outputs ${run.outputFnv1a}, golden ${expected}`)
    const tflm = golden.insns?.[FIELD[on]]
    const tinyEngine = on === 'cortex-m7' ? TINY_ENGINE_M7[name] : undefined
    const best = Math.min(tflm ?? Infinity, tinyEngine ?? Infinity)
    const worst = [...(layers ?? [])].sort((a, b) => b.instructions - a.instructions)[0]
    rows.push({ name, macs: golden.macs, ...run, tflm, tinyEngine, ratio: run.instructions / best, worst })
  }
}
const memory = Object.entries(TINY_ENGINE_RAM)
  .filter(([name]) => name.includes(values.only))
  .map(([name, theirs]) => {
    process.stderr.write(`${name} by rows …\n`)
    const model = `tinyengine/${name}.tflite`
    const [whole] = bench(model, 'cortex-m7', '--stage', 'none')
    const [byRows] = bench(model, 'cortex-m7', '--stage', 'rows')
    const [streamed] = bench(model, 'cortex-m7', '--input', 'streamed')
    const hashes = new Set([whole, byRows, streamed].map((r) => String(r.outputFnv1a)))
    if (hashes.size > 1) throw new Error(`${name}: outputs differ by rows`)
    for (const run of [whole, byRows, streamed]) delete run.layers
    return { name, theirs, whole, byRows, streamed }
  })

const number = (n) => (n === undefined ? '–' : Math.round(n).toLocaleString('en-US'))
const mean = (list) => Math.exp(list.reduce((sum, x) => sum + Math.log(x), 0) / list.length)
const times = (x) => `${x.toFixed(3)}×`
const instructions = [
  '| model | on | instructions | per MAC | TFLM + CMSIS-NN | TinyEngine | of the better | arena | used | stack | code |',
  '|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
  ...rows.map(
    (r) =>
      `| ${r.name} | ${r.on} | ${number(r.instructions)} | ${(r.instructions / r.macs).toFixed(2)} | ${number(r.tflm)} | ${number(r.tinyEngine)} | ${times(r.ratio)} | ${number(r.arenaBytes)} | ${number(r.arenaUsedBytes)} | ${number(r.stackBytes)} | ${number(r.codeBytes)} |`,
  ),
  '',
  ...values.on.split(',').map((on) => {
    const ratios = rows.filter((r) => r.on === on).map((r) => r.ratio)
    return `${on}: geometric mean ${times(mean(ratios))}, largest ${times(Math.max(...ratios))} of the better rival.\n`
  }),
]
const ram = memory.length
  ? [
      '| model | TinyEngine | layer by layer | by rows | of TinyEngine | input streamed | of TinyEngine | instructions by rows, streamed / layer by layer |',
      '|---|--:|--:|--:|--:|--:|--:|--:|',
      ...memory.map(
        ({ name, theirs, whole, byRows, streamed }) =>
          `| ${name} | ${number(theirs)} | ${number(whole.arenaBytes)} | ${number(byRows.arenaBytes)} | ${times(byRows.arenaBytes / theirs)} | ${number(streamed.arenaBytes)} | ${times(streamed.arenaBytes / theirs)} | ${times(byRows.instructions / whole.instructions)}, ${times(streamed.instructions / whole.instructions)} |`,
      ),
      '',
      `Geometric means of TinyEngine's RAM: ${times(mean(memory.map((m) => m.byRows.arenaBytes / m.theirs)))} with the input held, ${times(mean(memory.map((m) => m.streamed.arenaBytes / m.theirs)))} streamed.`,
    ]
  : []
const page = [
  '# Microcontrollers',
  '',
  'Made by `npm run build && node bench/microcontrollers.mjs`. Outputs compared with the golden hashes before a figure is',
  'written; instructions (QEMU), RAM and code come from one build each, at -O2. TensorFlow Lite Micro was built at -O3.',
  '',
  ...instructions,
  '## RAM on a Cortex-M7, the first layers by rows',
  '',
  ...ram,
  '',
].join('\n')
console.log(page)
if (!values.only) {
  mkdirSync(join(root, 'bench/results'), { recursive: true })
  writeFileSync(join(root, 'bench/results/microcontrollers.json'), `${JSON.stringify({ rows, memory }, null, 1)}\n`)
  writeFileSync(join(root, 'bench/results/microcontrollers.md'), page)
}
