// Weights and input in slow memory: RAM, flash, bytes read and instructions on an emulated Cortex-M7, beside the program
// that holds everything inside. The hook copies by words with the processor, so that instructions include the copies; with
// DMA they do not. Outputs are compared with the golden ones, or the reference's, before a figure is written. Writes
// bench/results/external.json and external.md.
//
//   npm run build && node bench/external.mjs [--shared DIR] [--only NAME, the figures of the others stay]
//
// Needs the models and goldens (`--shared`, MOTE_SHARED or ../shared), QEMU and gcc-arm-none-eabi.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compile, readModel } from '../dist/index.js'
import { fingerprint } from '../dist/ir/hash.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { externalReport } from '../dist/report/report.js'
import { benchDevice } from '../dist/run/device.js'
import { reference } from '../dist/run/reference.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
  },
})
if (!existsSync(join(values.shared, 'golden/tflm'))) {
  console.error(`no goldens at ${join(values.shared, 'golden/tflm')}; say where they are with --shared DIR`)
  process.exit(1)
}

const ON = 'cortex-m7'
const MODELS = [
  ['mlperf_tiny', 'kws_dscnn_int8'],
  ['tinyengine', 'mcunet_vww1_int8'],
  ['tinyengine', 'mcunet_in2_int8'],
  ['tinyengine', 'mcunetv2_large_int8'],
]
const external = { external: 'weights' }
/** What is compiled; figures of each group are compared with its first. */
const WAYS = (window) => [
  ['layer by layer, inside', { stage: 'none' }],
  ['weights outside', { stage: 'none', ...external }],
  ['… not read ahead', { stage: 'none', ...external, prefetch: 'none' }],
  [`… window ${window / 1024} KB`, { stage: 'none', ...external, window }],
  ['by pieces, inside', { stage: 'rows' }],
  [`… weights outside, window ${window / 1024} KB`, { stage: 'rows', ...external, window }],
  ['… input outside as well', { stage: 'rows', ...external, window, input: 'external' }],
]

const measured = []
for (const [folder, name] of MODELS.filter(([, n]) => n.includes(values.only))) {
  const goldenFile = join(values.shared, 'golden/tflm', `${name}.json`)
  const golden = existsSync(goldenFile) ? JSON.parse(readFileSync(goldenFile, 'utf8')) : undefined
  const graph = readModel(readFileSync(join(values.shared, 'models', folder, `${name}.tflite`)))
  const random = new Xorshift32(1)
  const inputs = graph.inputs.map((v) => random.fill(v.type))
  const expected = golden?.outputs['1'].map((o) => o.fnv1a) ?? reference(graph).run(inputs).map(fingerprint)
  const window = name.startsWith('kws') ? 2048 : 8192
  let inside
  for (const [way, options] of WAYS(window)) {
    process.stderr.write(`${name}: ${way} …\n`)
    try {
      const { plan } = compile(graph, { target: ON, ...options })
      const run = benchDevice(plan, ON, inputs)
      if (String(run.outputFnv1a) !== String(expected))
        throw new Error(`${name}, ${way}: outputs ${run.outputFnv1a}, expected ${expected}`)
      if (!options.external) inside = run.instructions
      const slow = externalReport(plan)
      const figures = { arenaBytes: plan.arenaBytes, lowerBoundBytes: plan.lowerBoundBytes, weightBytes: plan.weightBytes, ...slow }
      const { instructions, codeBytes, stackBytes } = run
      measured.push({ name, way, ...figures, codeBytes, stackBytes, instructions, overhead: instructions / inside - 1 })
    } catch (error) {
      if (error.name !== 'BudgetError' && error.name !== 'InputError') throw error
      measured.push({ name, way, refused: error.message })
    }
  }
}

const file = join(root, 'bench/results/external.json')
const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
const results = MODELS.flatMap(([, name]) => {
  const own = measured.filter((r) => r.name === name)
  return own.length > 0 ? own : before.filter((r) => r.name === name)
})

const number = (n) => (n === undefined ? '–' : Math.round(n).toLocaleString('en-US'))
const percent = (x) => (x === 0 ? '' : `${(100 * x).toFixed(2)}%`)
const page = [
  '# Slow memory',
  '',
  'Made by `npm run build && node bench/external.mjs` on an emulated Cortex-M7. Outputs are the golden ones. Flash is the',
  'weights that stay inside and code; a run reads each byte of the image once. More instructions than inside, the copies',
  'by the processor included (with DMA these are gone); reading takes as long as bytes / speed of the memory, less what runs',
  'meanwhile.',
  '',
  '| model | where | RAM | of it windows, at most | flash: weights | code | in slow memory | read in a run | copies | instructions | more |',
  '|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
  ...results.map((r) =>
    r.refused
      ? `| ${r.name} | ${r.way} | refused: ${r.refused} |||||||||`
      : `| ${r.name} | ${r.way} | ${number(r.arenaBytes)} | ${number(r.windowBytes)} | ${number(r.weightBytes)} | ${number(r.codeBytes)} | ${number(r.imageBytes)} | ${number(r.bytesRead)} | ${number(r.reads)} | ${number(r.instructions)} | ${percent(r.overhead)} |`,
  ),
  '',
].join('\n')
console.log(page)
mkdirSync(join(root, 'bench/results'), { recursive: true })
writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`)
writeFileSync(join(root, 'bench/results/external.md'), page)
