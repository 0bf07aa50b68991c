// Instructions, RAM and code of one training step of mcunet-5fps (int8, 128 x 128, batch 1, 10 classes) on emulated Cortex-M4 and
// M7, for several schemes, and where the instructions go. Outputs, masks and what has learned are compared with the reference
// before a figure is written. Writes bench/results/training_step.json and training_step.md.
//
//   npm run build && node bench/training_step.mjs [--shared DIR] [--only SCHEME, the figures of the others stay]
//
// Needs the model (`--shared`, MOTE_SHARED or ../shared), QEMU and gcc-arm-none-eabi.

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
const file = join(values.shared, 'models/tiny_training/mcunet-5fps_int8.tflite')
if (!existsSync(file)) {
  console.error(`no model at ${file}; say where the models are with --shared DIR`)
  process.exit(1)
}

const WAYS = [
  ['sparse-49kb', 'cortex-m7'],
  ['sparse-49kb', 'cortex-m4'],
  ['sparse-99kb', 'cortex-m7'],
  ['bias-last-20', 'cortex-m7'],
  ['last-2', 'cortex-m7'],
  ['full', 'cortex-m7'],
]
/** What a layer of the step is part of, by its operator. */
const PARTS = [
  ['forward, frozen', /^(conv2d|depthwise_conv2d|add|average_pool2d|fully_connected|dequantize)$/],
  ['forward, with masks', /^masked_/],
  ['gradients of inputs', /^conv_input_gradient$/],
  ['weights: gradients and updates', /^qas_sgd_window$/],
  ['the rest', /./],
]

const out = join(root, 'bench/results')
const stored = join(out, 'training_step.json')
const before = existsSync(stored) ? JSON.parse(readFileSync(stored, 'utf8')) : []
const model = readModel(readFileSync(file))
const measured = []
for (const [learn, on] of WAYS) {
  const same = before.find((r) => r.learn === learn && r.on === on)
  if (!learn.includes(values.only) && same) {
    measured.push(same)
    continue
  }
  const { graph } = trainingStep(model, { learn, classes: 10 })
  const { plan } = compile(graph, { target: on, name: 'model' })
  const random = new Xorshift32(1)
  const given = { label: Int32Array.of(3), rate: Float32Array.of(0.01) }
  const inputs = graph.inputs.map((v) => given[v.name] ?? random.fill(v.type))
  const expected = reference(graph).run(inputs).map(fingerprint)
  const run = benchDevice(plan, on, inputs)
  if (run.outputFnv1a.some((h, i) => h !== expected[i])) throw new Error(`${learn} on ${on} differs from the reference`)
  const parts = Object.fromEntries(PARTS.map(([name]) => [name, { instructions: 0, macs: 0 }]))
  for (const [i, { node }] of plan.steps.entries()) {
    const part = parts[PARTS.find(([, of]) => of.test(node.op.name))[0]]
    part.instructions += run.layers[i].instructions
    part.macs += node.op.cost(node).macs
  }
  const { instructions, arenaUsedBytes, stackBytes, codeBytes, weightBytes } = run
  measured.push({ learn, on, instructions, macs: plan.macs, arenaUsedBytes, stackBytes, codeBytes, weightBytes, parts })
  console.log(learn, on, (instructions / 1e6).toFixed(1), 'M')
}

const M = (n) => (n / 1e6).toFixed(2)
const table = (head, rows) => [head, head.map(() => '---'), ...rows].map((r) => `| ${r.join(' | ')} |`).join('\n')
const summary = measured.map((r) => [
  ...[r.learn, r.on, M(r.instructions), M(r.macs), (r.instructions / r.macs).toFixed(2)],
  ...[r.arenaUsedBytes, r.stackBytes, r.codeBytes, r.weightBytes].map((n) => n.toLocaleString('en')),
])
const shares = measured.map((r) => [
  ...[r.learn, r.on],
  ...PARTS.map(([name]) => {
    const { instructions, macs } = r.parts[name]
    // where most instructions are for something else there is nothing to divide
    return macs > instructions / 20 ? `${M(instructions)} (${(instructions / macs).toFixed(2)})` : M(instructions)
  }),
])
const text = `# One training step on a microcontroller

mcunet-5fps, int8, 128 x 128, batch 1, 10 classes; instructions by QEMU, layer by layer, the image held. Written by
\`node bench/training_step.mjs\`. TinyEngine's released graph of the scheme sparse-49kb takes 106.4 M instructions on a Cortex-M7.

${table(
  [
    'learns',
    'on',
    'instructions, M',
    'MACs, M',
    'for a MAC',
    'arena, bytes',
    'stack, bytes',
    'code, bytes',
    'constants, bytes',
  ],
  summary,
)}

Millions of instructions, and in brackets instructions for a multiply-accumulate:

${table(['learns', 'on', ...PARTS.map(([name]) => name)], shares)}
`
mkdirSync(out, { recursive: true })
writeFileSync(stored, `${JSON.stringify(measured, undefined, 1)}\n`)
writeFileSync(join(out, 'training_step.md'), text)
