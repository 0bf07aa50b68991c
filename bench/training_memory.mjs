// RAM and instructions of one training step on an emulated Cortex-M7: published sparse and bias schemes of two int8 nets (128 x 128,
// batch 1, 10 classes), and all of MobileNetV2, each as planned for speed and within a limit, with the image held and row by row. The
// arena is painted before the run, and outputs and what has learned are compared with the reference before a figure is written.
// Writes bench/results/training_memory.json and training_memory.md.
//
//   npm run build && node bench/training_memory.mjs [--shared DIR] [--only NET, the figures of the other stay]
//
// Needs the models (`--shared`, MOTE_SHARED or ../shared), QEMU and gcc-arm-none-eabi.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compile, readModel } from '../dist/index.js'
import { fingerprint } from '../dist/ir/hash.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { benchDevice } from '../dist/run/device.js'
import { reference } from '../dist/run/reference.js'
import { trainingStep } from '../dist/train/step.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
  },
})
const KB = 1024
/** Net, scheme, and the limits with the image held and row by row. */
const WAYS = [
  ['mcunet-5fps', 'sparse-49kb', 121, 79],
  ['mbv2-w0.35', 'bias-last-26', 99, 54],
  ['mbv2-w0.35', 'sparse-99kb', 158, 112],
  ['mbv2-w0.35', 'full', 512, undefined],
]

const out = join(root, 'bench/results')
const stored = join(out, 'training_memory.json')
const before = existsSync(stored) ? JSON.parse(readFileSync(stored, 'utf8')) : []
const measured = []
for (const [net, learn, held, streamed] of WAYS) {
  const options = [
    { name: 'for speed', stage: 'none' },
    { name: `held, ${held} KB`, sram: held * KB },
    ...(streamed
      ? [
          { name: `row by row, ${streamed} KB`, sram: streamed * KB, input: 'streamed' },
          { name: 'held, the least', stage: 'rows' },
        ]
      : []),
  ]
  const known = before.filter((r) => r.net === net && r.learn === learn)
  if (!net.includes(values.only) && known.length > 0) {
    measured.push(...known)
    continue
  }
  const model = readModel(readFileSync(join(values.shared, `models/tiny_training/${net}_int8.tflite`)))
  const { graph } = trainingStep(model, { learn, classes: 10 })
  const inputs = [new Xorshift32(1).fill(model.inputs[0].type), Int32Array.of(3), Float32Array.of(0.01)]
  for (const { name, ...way } of options) {
    const { plan } = compile(graph, { target: 'cortex-m7', name: 'model', ...way })
    const expected = reference(plan.graph)
      .run(inputs)
      .map((d) => fingerprint(new Uint8Array(d.buffer, d.byteOffset, d.byteLength)))
    const run = benchDevice(plan, 'cortex-m7', inputs)
    if (run.outputFnv1a.some((h, i) => h !== expected[i])) throw new Error(`${net} ${learn} ${name}: other results`)
    measured.push({
      ...{ net, learn, plan: name, arena: plan.arenaBytes, painted: run.arenaUsedBytes, stack: run.stackBytes },
      ...{ lowerBound: plan.lowerBoundBytes, weights: plan.weightBytes, code: run.codeBytes },
      ...{ macs: plan.macs, instructions: run.instructions },
    })
    console.log(measured.at(-1))
  }
}

const n = (x) => x.toLocaleString('en-US')
const rows = measured.map((r) =>
  [r.net, r.learn, r.plan, n(r.arena), n(r.painted), n(r.stack), n(r.weights), n(r.code), n(r.macs), n(r.instructions)].join(
    ' | ',
  ),
)
const text = `# RAM of a training step

One step on an emulated Cortex-M7: int8, 128 x 128, batch 1, 10 classes. Arena: every buffer of the step, forward pass and what
learns included, in bytes; painted: up to the last byte that was written. bias-last-26: the biases of 25 convolutions, and the new
classifier. \`node bench/training_memory.mjs\`

| net | learns | plan | arena | painted | stack | constants | code | MACs | instructions |
|---|---|---|---:|---:|---:|---:|---:|---:|---:|
${rows.map((r) => `| ${r} |`).join('\n')}
`
mkdirSync(out, { recursive: true })
writeFileSync(stored, `${JSON.stringify(measured, undefined, 2)}\n`)
writeFileSync(join(out, 'training_memory.md'), text)
