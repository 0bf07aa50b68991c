// Instructions on an emulated Cortex-M4 and microseconds in WebAssembly for the nine golden models, with RAM, flash and
// the hash of the outputs, which must be TensorFlow Lite Micro's. Writes bench/results/baseline.json and baseline.md.
//
//   npm run build && node bench/baseline.mjs [--shared DIR] [--on wasm,cortex-m4] [--only NAME]
//
// Needs the models and goldens (`--shared`, MOTE_SHARED or ../shared) and, for cortex-m4, QEMU and gcc-arm-none-eabi.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    on: { type: 'string', default: 'wasm,cortex-m4' },
    only: { type: 'string', default: '' },
  },
})
const goldenDir = join(values.shared, 'golden', 'tflm')
if (!existsSync(goldenDir)) {
  console.error(`no goldens at ${goldenDir}; say where they are with --shared DIR`)
  process.exit(1)
}

const rows = []
for (const file of readdirSync(goldenDir).filter((f) => f.endsWith('.json') && f.includes(values.only))) {
  const golden = JSON.parse(readFileSync(join(goldenDir, file), 'utf8'))
  const name = file.replace('.json', '')
  process.stderr.write(`${name} …\n`)
  const args = [join(root, 'dist/cli/main.js'), 'bench', join(values.shared, golden.model)]
  const out = execFileSync('node', [...args, '--on', values.on, '--seed', '1', '--json'], { maxBuffer: 1 << 28 })
  const expected = golden.outputs['1'].map((o) => o.fnv1a)
  const { runs } = JSON.parse(out)
  for (const run of runs)
    if (JSON.stringify(run.outputFnv1a) !== JSON.stringify(expected))
      throw new Error(`${name} on ${run.on}: outputs ${run.outputFnv1a}, golden ${expected}`)
  rows.push({ name, macs: golden.macs, tflmM4: golden.insns?.m4_cmsis_O3, runs: runs.map(({ layers, ...run }) => run) })
}

const number = (n) => (n === undefined ? '–' : Math.round(n).toLocaleString('en-US'))
const table = [
  '| model | MACs | WASM µs (min / median) | Cortex-M4 instructions | per MAC | of TFLM + CMSIS-NN | arena | arena used | stack | code | weights |',
  '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
  ...rows.map(({ name, macs, tflmM4, runs }) => {
    const wasm = runs.find((r) => r.on === 'wasm')
    const m4 = runs.find((r) => r.on === 'cortex-m4')
    const ratio = m4?.instructions && tflmM4 ? `${(m4.instructions / tflmM4).toFixed(2)}×` : '–'
    const perMac = m4?.instructions ? (m4.instructions / macs).toFixed(2) : '–'
    const us = wasm ? `${number(wasm.minUs)} / ${number(wasm.medianUs)}` : '–'
    const ram = (m4 ?? wasm).arenaBytes
    return `| ${name} | ${number(macs)} | ${us} | ${number(m4?.instructions)} | ${perMac} | ${ratio} | ${number(ram)} | ${number(m4?.arenaUsedBytes)} | ${number(m4?.stackBytes)} | ${number(m4?.codeBytes)} | ${number((m4 ?? wasm).weightBytes)} |`
  }),
]
if (values.only) console.log(table.join('\n'))
else {
  mkdirSync(join(root, 'bench/results'), { recursive: true })
  const machine = { node: process.version, cpu: cpus()[0].model, date: new Date().toISOString().slice(0, 10) }
  writeFileSync(join(root, 'bench/results/baseline.json'), `${JSON.stringify({ machine, rows }, null, 1)}\n`)
  writeFileSync(
    join(root, 'bench/results/baseline.md'),
    [
      '# Baseline',
      '',
      'Made by `npm run build && node bench/baseline.mjs`. Outputs compared with the golden hashes before a figure is written.',
      `Instruction counts and bytes are exact (QEMU); microseconds are one thread of ${machine.cpu}, Node ${machine.node}, and noisy.`,
      '',
      ...table,
      '',
    ].join('\n'),
  )
  console.log(table.join('\n'))
}
