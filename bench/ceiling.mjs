// What one thread of this engine can do at most, and how near each layer of a WebAssembly program comes: sums of products in
// registers alone (nothing loaded, eight sums at once), then every layer that multiplies, in multiply-accumulates a second.
//
//   npm run build
//   node bench/ceiling.mjs [folder of models]      (or another Node: npx node@24 bench/ceiling.mjs)
//
// Writes results/ceiling_node<version>.md.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { compileKernel } from '../dist/emit/wasm/kernel.js'
import { runsRelaxed } from '../dist/emit/wasm/relaxed.js'
import { compile, readModel } from '../dist/index.js'
import * as L from '../dist/loops/build.js'
import { F32X4, I32X4 } from '../dist/loops/ir.js'

const STEPS = 20_000
const SUMS = 8
const float = (n) => L.splat(L.float(n), 4)
const whole = (n) => L.splat(n, 4)
const halves = (e) => L.op('halves', e)
const KINDS = {
  'i32x4.dot_i16x8_s': { macs: 8, elem: 'i32', number: whole, sum: 'wadd', step: (a, w, x) => L.op('wadd', a, L.op('dot', halves(x), halves(w))) },
  'i32x4.relaxed_dot_i8x16_i7x16_add_s': { macs: 16, elem: 'i32', number: whole, sum: 'wadd', step: (a, w, x) => L.op('quad', w, x, a) },
  'f32x4 mul, add': { macs: 4, elem: 'f32', number: float, sum: 'add', step: (a, w, x) => L.op('add', a, L.op('mul', x, w)) },
}

/** Eight sums of four weights by two inputs that change with every step, so that nothing can be taken out of the loop. */
function kernel({ elem, number, sum, step }) {
  const type = elem === 'f32' ? F32X4 : I32X4
  const [W, Y] = [L.buffer('w', elem, [16]), L.buffer('y', elem, [4 * SUMS], 'write')]
  const declare = (name, values) => values.map((value, i) => L.declare(`${name}${i}`, value))
  const weights = declare('w', [0, 1, 2, 3].map((i) => L.loadLanes(W, type, 4 * i)))
  const inputs = declare('x', [number(1), number(2)])
  const sums = declare('a', new Array(SUMS).fill(number(0)))
  const next = inputs.map(([, x]) => L.set(x, L.op(sum, x, number(1))))
  const body = sums.map(([, a], i) => L.set(a, step(a, weights[i >> 1][1], inputs[i & 1][1])))
  const ends = sums.map(([, a], i) => L.store(Y, [4 * i], a))
  return L.kernel('ceiling', [W, Y], ...[...weights, ...inputs, ...sums].map(([d]) => d), L.loop('k', STEPS, () => [...next, ...body]), ...ends)
}

function least(run, times) {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < times; i++) {
    const start = performance.now()
    run()
    best = Math.min(best, performance.now() - start)
  }
  return best
}

const ceilings = {}
for (const [name, kind] of Object.entries(KINDS)) {
  if (name.includes('relaxed') && !runsRelaxed()) continue
  const env = { memory: new WebAssembly.Memory({ initial: 1 }) }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(compileKernel(kernel(kind))), { env })
  ceilings[name] = (STEPS * SUMS * kind.macs) / least(() => exports.kernel(0, 1024), 2000) / 1e6
}

const folder = process.argv[2] ?? join(process.env.MOTE_SHARED ?? new URL('../../shared', import.meta.url).pathname, 'models')
const MODELS = [
  'mlperf_tiny/kws_dscnn_int8.tflite',
  'mlperf_tiny/vww_mbv1_025_96_int8.tflite',
  'mlperf_tiny/ic_resnet8_int8.tflite',
  'mlperf_tiny/ad_autoenc_int8.tflite',
  'tflm/person_detect_int8.tflite',
  'tinyengine/mcunet_vww1_int8.tflite',
  'mlperf_tiny/ic_resnet8_fp32.tflite',
  'mlperf_tiny/vww_mbv1_025_96_fp32.tflite',
]
const lines = [
  `Node ${process.version} on ${cpus()[0].model.trim()}, one thread, least of many runs.`,
  '',
  '| in registers alone | GMAC/s |',
  '|---|--:|',
  ...Object.entries(ceilings).map(([name, speed]) => `| \`${name}\` | ${speed.toFixed(1)} |`),
]
const target = runsRelaxed() ? 'wasm-relaxed' : 'wasm'
for (const name of MODELS) {
  const path = join(folder, name)
  if (!existsSync(path)) continue
  const { plan, wasm } = compile(readModel(new Uint8Array(readFileSync(path))), { target })
  const { exports } = (await WebAssembly.instantiate(wasm)).instance
  exports.init()
  for (let i = 0; i < 100; i++) exports.run()
  lines.push('', `${name}: ${(1000 * least(exports.run, 200)).toFixed(0)} µs for ${(plan.macs / 1e6).toFixed(2)} M multiply-accumulates`, '', '| layer | schedule | output | µs | GMAC/s |', '|---|---|---|--:|--:|')
  plan.steps.forEach(({ node, recipe }, k) => {
    const { macs } = node.op.cost(node)
    if (macs === 0) return
    const us = 1000 * least(() => exports.run_layers(k, k + 1), 200)
    lines.push(`| ${node.op.name} | ${recipe} | ${node.outputs[0].type.shape.join(' x ')} | ${us.toFixed(1)} | ${(macs / us / 1000).toFixed(1)} |`)
  })
}
const text = `${lines.join('\n')}\n`
writeFileSync(new URL(`results/ceiling_node${process.versions.node.split('.')[0]}.md`, import.meta.url), text)
console.log(text)
