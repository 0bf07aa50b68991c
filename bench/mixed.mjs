// Mixed precision: what kernels below 8 bits cost, and what limits of RAM and flash cost in accuracy.
// Kernels: one layer each, by bits of inputs and weights (outputs have the inputs' bits): instructions for a multiply-accumulate
// on an emulated board, and time on WebAssembly as a multiple of 8 x 8 bits (the least of interleaved rounds).
// Limits: float32 models quantised by `mote quantize --sram … --flash …`, both ways of choosing, beside 8 bits everywhere.
// Writes bench/results/mixed.json and mixed.md; `--only kernels`, or a part of a model's name, leaves the rest as it was.
//
//   npm run build && node bench/mixed.mjs [--shared DIR] [--only NAME] [--board cortex-m4]
//
// Needs the emulator, and for limits the models and data (`--shared`, MOTE_SHARED or ../shared).

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { emitWasm } from '../dist/emit/wasm/module.js'
import { Builder } from '../dist/ir/build.js'
import { quantOf } from '../dist/ir/graph.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { conv2d } from '../dist/ops/conv2d/op.js'
import { depthwiseConv2d } from '../dist/ops/depthwise/op.js'
import { fullyConnected } from '../dist/ops/fully_connected/op.js'
import { quantize } from '../dist/ops/quantize/op.js'
import { makePlan } from '../dist/plan/make.js'
import { benchDevice } from '../dist/run/device.js'
import { openWasm } from '../dist/run/wasm.js'
import { targetOf } from '../dist/targets/index.js'
import { dataSets, json } from './data_sets.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
    board: { type: 'string', default: 'cortex-m4' },
  },
})

const DTYPES = { 8: 'i8', 4: 'u4', 2: 'u2' }
const LAYERS = [
  { name: 'pointwise, 16 x 16 x 64 to 64', size: 16, inputs: 64, filter: [64, 1, 1, 64], pad: 0 },
  { name: '3 x 3, 16 x 16 x 32 to 32', size: 16, inputs: 32, filter: [32, 3, 3, 32], pad: 1 },
  { name: 'depthwise 3 x 3, 16 x 16 x 64', size: 16, inputs: 64, filter: [1, 3, 3, 64], pad: 1 },
  { name: 'fully connected, 256 to 64', size: 1, inputs: 256, filter: [64, 256] },
]
const BITS = [
  [8, 8],
  [8, 4],
  [8, 2],
  [4, 8],
  [4, 4],
  [4, 2],
  [2, 2],
]

/** Input int8, requantised to the layer's; weights that are as long as their sums make them. */
function layerNet({ size, inputs, filter, pad }, xBits, wBits) {
  const b = new Builder('layer')
  const random = new Xorshift32(5)
  const shape = filter.length === 2 ? [1, inputs] : [1, size, size, inputs]
  const typeOf = (bits, shape) => ({
    dtype: DTYPES[bits],
    shape,
    quant: quantOf(4 / (2 ** bits - 1), Math.round(0.4 * (2 ** bits - 1)) - (bits === 8 ? 128 : 0)),
  })
  const given = b.input('x', typeOf(8, shape))
  const type = typeOf(xBits, shape)
  const x = xBits === 8 ? given : b.one(quantize, [given], { dtype: type.dtype }, { types: [type] })
  const most = 2 ** (wBits - 1) - 1
  const data = Int8Array.from({ length: filter.reduce((p, d) => p * d) }, () => random.between(-most, most))
  const axis = filter[0] === 1 ? 3 : 0
  const outputs = filter[axis]
  const scale = new Float64Array(outputs).fill(Math.fround(1.5 / (most * Math.sqrt(data.length / outputs))))
  const quant = { scale, zero: new Int32Array(outputs), axis, ...(wBits < 8 && { bits: wBits }) }
  const w = b.const('w', { dtype: 'i8', shape: filter, quant }, data)
  const bias = b.const('b', { dtype: 'i32', shape: [outputs] }, new Int32Array(outputs))
  const pads = [pad, pad, pad, pad]
  const window = { stride: [1, 1], dilation: [1, 1], pad: pads, clamp: {} }
  const [op, attrs] =
    filter.length === 2
      ? [fullyConnected, { clamp: {}, keepDims: false }]
      : axis === 3
        ? [depthwiseConv2d, window]
        : [conv2d, { ...window, groups: 1 }]
  const to = typeOf(xBits, [...shape.slice(0, -1), outputs])
  const y = b.one(op, [x, w, bias], attrs, { types: [to] })
  const last = typeOf(8, to.shape)
  return b.graph([xBits === 8 ? y : b.one(quantize, [y], { dtype: 'i8' }, { types: [last] })])
}

const layerStep = (plan) => plan.steps.findIndex(({ node }) => node.op.cost(node).macs > 0)

function kernel(layer, x, w) {
  const graph = layerNet(layer, x, w)
  const plan = makePlan(graph, targetOf(values.board))
  const random = new Xorshift32(7)
  const report = benchDevice(
    plan,
    values.board,
    graph.inputs.map((v) => random.fill(v.type)),
  )
  const i = layerStep(plan)
  const { node } = plan.steps[i]
  return {
    bits: `${x}x${w}`,
    perMac: report.layers[i].instructions / node.op.cost(node).macs,
    weightBytes: plan.weightBytes,
  }
}

/** The least time of each combination as a multiple of the first's, from rounds in which each has its turn. */
async function times(layer) {
  const runs = await Promise.all(
    BITS.map(async ([x, w]) => {
      const plan = makePlan(layerNet(layer, x, w), targetOf('wasm'))
      const machine = await openWasm(emitWasm(plan), plan)
      const i = layerStep(plan)
      const macs = plan.steps[i].node.op.cost(plan.steps[i].node).macs
      const n = Math.ceil(4e6 / macs) * 4
      return () => {
        const start = performance.now()
        for (let k = 0; k < n; k++) machine.steps(i, i + 1)
        return performance.now() - start
      }
    }),
  )
  // engines compile a kernel twice, the second time while it runs
  for (const run of runs) for (const start = performance.now(); performance.now() < start + 1000; ) run()
  const rounds = Array.from({ length: 61 }, () => runs.map((run) => run()))
  const least = BITS.map((_, k) => Math.min(...rounds.map((r) => r[k])))
  return least.map((t) => t / least[0])
}

const command = [join(root, 'dist/cli/main.js')]
function mote(...args) {
  const { stdout, stderr } = spawnSync(process.execPath, [...command, ...args, '--json'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  const answer = JSON.parse(stdout || '{}')
  if (answer.error || !stdout) throw new Error(stderr || stdout)
  return answer
}

function limitsOf({ at, dir, keywords, photos }) {
  const MODELS = [
    {
      name: 'kws_dscnn',
      model: 'mlperf_tiny/kws_dscnn_fp32.tflite',
      args: ['--calibrate', keywords(), '--evaluate', 'rest', '--samples', '100'],
      limits: [
        ['--flash', '24K'],
        ['--sram', '10K'],
        ['--sram', '10K', '--flash', '20K'],
      ],
    },
    {
      name: 'ic_resnet8',
      model: 'mlperf_tiny/ic_resnet8_fp32.tflite',
      args: ['--calibrate', at('datasets/cifar10/train'), '--evaluate', at('datasets/cifar10/test_a'), '--range', '0..255'],
      limits: [
        ['--flash', '50K'],
        ['--sram', '32K', '--flash', '50K'],
        ['--sram', '28K', '--flash', '32K'],
      ],
    },
    {
      name: 'mobilenet_v1_0.25_224',
      model: 'tflite_support/mobilenet_v1_0.25_224_fp32.tflite',
      args: [
        ...['--calibrate', at('datasets/flowers5/train'), '--range', '-1..1'],
        ...['--evaluate', at('datasets/imagenet_samples'), '--truth', photos()],
      ],
      limits: [
        ['--flash', '384K'],
        ['--sram', '256K'],
      ],
    },
  ]
  const quantized = (m, more) => {
    const file = join(dir, `${m.name}.mote`)
    const common = ['quantize', at(`models/${m.model}`), ...m.args, '--rounding', 'adaround', '-o', file, '--force']
    const answer = mote(...common, ...more)
    const compiled = mote('bench', file, '--on', values.board)
    const [run] = (compiled.models ?? [compiled])[0].runs
    const { comparison: c, layers } = answer
    const tally = (of) => [8, 4, 2].map((b) => layers.filter((l) => of(l) === b).length).join('/')
    const plan = mote('compile', file, '--target', values.board, '-o', dir, '--name', 'm', '--force').plan
    return {
      limits: more,
      samples: c.samples,
      before: c.before.correct,
      after: c.after.correct,
      accuracy: c.accuracy,
      arenaBytes: plan.arenaBytes,
      weightBytes: plan.weightBytes,
      weights: tally((l) => l.weightBits),
      tensors: tally((l) => l.outputBits),
      instructions: run.instructions,
    }
  }
  return MODELS.filter((m) => m.name.includes(values.only)).map((m) => {
    process.stderr.write(`${m.name} …\n`)
    const eight = quantized(m, [])
    const within = m.limits.flatMap((limits) =>
      ['exact', 'rules'].map((how) => {
        process.stderr.write(`  ${limits.join(' ')} ${how}\n`)
        return { how, ...quantized(m, [...limits, '--target', values.board, '--mixed', how]) }
      }),
    )
    return { name: m.name, eight, within }
  })
}

const results = join(root, 'bench/results')
const file = join(results, 'mixed.json')
const made = values.only === 'kernels' ? [] : limitsOf(dataSets(values.shared))
const measured = []
for (const layer of 'kernels'.includes(values.only) ? LAYERS : []) {
  process.stderr.write(`${layer.name} …\n`)
  const time = await times(layer)
  measured.push({ name: layer.name, rows: BITS.map(([x, w], i) => ({ ...kernel(layer, x, w), time: time[i] })) })
}
const known = existsSync(file) ? json(file) : { kernels: [], models: [] }
const kernels = measured.length > 0 ? measured : known.kernels
const models = [...known.models.filter((m) => !made.some((n) => n.name === m.name)), ...made]

const line = (cells) => `| ${cells.join(' | ')} |`
const points = (x) => `${x > 0 ? '+' : ''}${(100 * x).toFixed(2)}`
const difference = ({ difference, interval }) => `${points(difference)} (${points(interval[0])} to ${points(interval[1])})`
const thousands = (n) => n.toLocaleString('en')
const bits = BITS.map(([x, w]) => `${x}x${w}`)
const row = (what, how, r) =>
  line([
    what,
    how,
    thousands(r.arenaBytes),
    thousands(r.weightBytes),
    r.tensors,
    r.weights,
    `${r.after} of ${r.samples}`,
    difference(r.accuracy),
    thousands(r.instructions),
  ])
const md = [
  '# Mixed precision',
  '',
  'Written by `node bench/mixed.mjs`.',
  '',
  `## Kernels: instructions for a multiply-accumulate, ${values.board}`,
  '',
  'Bits of inputs x bits of weights; outputs have the bits of the inputs. In brackets: time on WebAssembly, 8x8 being 1.',
  '',
  line(['layer', ...bits]),
  line(['---', ...bits.map(() => '---')]),
  ...kernels.map((k) => line([k.name, ...k.rows.map((r) => `${r.perMac.toFixed(2)} (${r.time.toFixed(2)})`)])),
  '',
  `## Limits: what they cost, ${values.board}`,
  '',
  '`mote quantize --rounding adaround --sram … --flash …`. `exact`: by the measured noise of each choice, `rules`: largest first. Bits of',
  "tensors and weights as numbers of layers with 8/4/2. The difference is to the float32 model's answers, with its 95% interval.",
  ...models.flatMap((m) => [
    '',
    `### ${m.name} (float32: ${m.eight.before} of ${m.eight.samples})`,
    '',
    line(['limits', 'how', 'RAM', 'weights', 'tensors', 'weight bits', 'right', 'difference, points (95%)', 'instructions']),
    line(Array(9).fill('---')),
    row('none', '8 bits', m.eight),
    ...m.within.map((r) => row(r.limits.slice(0, r.limits.indexOf('--target')).join(' '), r.how, r)),
  ]),
  '',
].join('\n')
console.log(md)
mkdirSync(results, { recursive: true })
writeFileSync(file, `${JSON.stringify({ board: values.board, kernels, models }, null, 1)}\n`)
writeFileSync(join(results, 'mixed.md'), md)
