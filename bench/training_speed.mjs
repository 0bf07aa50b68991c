// Times a step of training in float32 (forward, backward, SGD on all weights) on WebAssembly beside jax-js in the same process, in
// turns, at batches of 1 and 32: MLPerf Tiny's keyword spotter DS-CNN, and CNN-32, three 3x3 convolutions of 32 channels on images of
// 32x32x3. jax-js is given the same net with the same numbers, its step inside `jit`; losses of both are compared.
//
//   npm run build
//   npm install --no-save @jax-js/jax
//   node bench/training_speed.mjs [folder of models]
//
// jax-js is looked for beside the place that this is called from. Writes results/training_speed.{json,md}.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageFolder } from '../dist/cli/rivals/engines.js'
import { compile, readModel } from '../dist/index.js'
import { Builder } from '../dist/ir/build.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { conv2d, fullyConnected, mean } from '../dist/ops/all.js'
import { fold } from '../dist/passes/fold.js'
import { fuse } from '../dist/passes/fuse.js'
import { runPasses } from '../dist/passes/index.js'
import { prune } from '../dist/passes/prune.js'
import { real } from '../dist/passes/real.js'
import { instantiate } from '../dist/run/instantiate.js'
import { trainingStep } from '../dist/train/step.js'

const PACKAGE = '@jax-js/jax'
const RATE = 0.001
/** Steps whose losses are compared, and how far they may be apart. */
const [COMPARED, TOLERANCE] = [4, 1e-3]
const BATCHES = [1, 32]
const folder = process.argv[2] ?? join(process.env.MOTE_SHARED ?? new URL('../../shared', import.meta.url).pathname, 'models')

/** Three convolutions of 32 channels, the mean of each channel, and ten classes. */
function cnn32() {
  const build = new Builder('CNN-32')
  const random = new Xorshift32(1)
  const weights = (name, fan, ...shape) => {
    const type = { dtype: 'f32', shape }
    return build.const(name, type, random.fill(type).map((x) => x * Math.sqrt(6 / fan)))
  }
  const zeros = (name, n) => build.const(name, { dtype: 'f32', shape: [n] }, new Float32Array(n))
  const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], groups: 1, clamp: { min: 0 } }
  let x = build.input('image', { dtype: 'f32', shape: [1, 32, 32, 3] })
  for (const [i, channels] of [3, 32, 32].entries())
    x = build.one(conv2d, [x, weights(`w${i}`, 9 * channels, 32, 3, 3, channels), zeros(`b${i}`, 32)], window)
  const features = build.one(mean, [x], { axes: [1, 2], keepDims: false })
  const classes = [features, weights('w', 32, 10, 32), zeros('b', 10)]
  return build.graph([build.one(fullyConnected, classes, { clamp: {}, keepDims: false })])
}

/** The net with the numbers that it learns from: layers whose weights are stored as int8 in float32, activations fused. */
const asReals = (graph) => runPasses(graph, [real, prune, fold, fuse].map((pass) => ({ name: pass.name, pass })))

/** [N, H, W, C] as [N, C, H, W]. */
function channelsFirst(data, [N, H, W, C]) {
  const out = new Float32Array(data.length)
  for (let n = 0, i = 0; n < N; n++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++) for (let c = 0; c < C; c++, i++) out[((n * C + c) * H + h) * W + w] = data[i]
  return out
}

/** A step of the same net in jax-js: the forward pass node by node, weights as [O, I, KH, KW]. */
function jaxStep({ numpy: np, lax, nn, valueAndGrad, jit, tree, blockUntilReady }, graph, batch) {
  const layers = []
  let params = []
  const given = (data, shape) => {
    params.push(np.array(data).reshape(shape))
    return params.length - 1
  }
  for (const { op, attrs, inputs } of graph.nodes) {
    const [x, w, b] = inputs
    const { stride, pad, clamp } = attrs
    switch (op.name) {
      case 'conv2d':
      case 'depthwise_conv2d': {
        const [O, KH, KW, I] = w.type.shape
        const depthwise = op.name === 'depthwise_conv2d'
        const [outputs, group, data] = depthwise ? [I, 1, channelsFirst(w.data, [1, KH, KW, I])] : [O, I, channelsFirst(w.data, w.type.shape)]
        const [weight, bias] = [given(data, [outputs, group, KH, KW]), given(b.data, [1, outputs, 1, 1])]
        const padding = [[pad[0], pad[2]], [pad[1], pad[3]]]
        layers.push((p, v) => {
          const sum = lax.convGeneralDilated(v, p[weight], stride, padding, { featureGroupCount: depthwise ? I : 1 }).add(p[bias])
          return clamp.min === 0 ? nn.relu(sum) : sum
        })
        break
      }
      case 'average_pool2d':
        if (attrs.kernel.some((k, d) => k !== x.type.shape[1 + d])) throw new Error('average_pool2d is over a part of an image')
        layers.push((_, v) => np.mean(v, [2, 3]))
        break
      case 'mean':
        layers.push((_, v) => np.mean(v, [2, 3]))
        break
      case 'fully_connected': {
        const [weight, bias] = [given(w.data, w.type.shape), given(b.data, b.type.shape)]
        layers.push((p, v) => np.matmul(v, np.transpose(p[weight])).add(p[bias]))
        break
      }
      case 'reshape':
      case 'softmax':
        break
      default:
        throw new Error(`${op.name} is not written for jax-js here`)
    }
  }
  const [, H, W, C] = graph.inputs[0].type.shape
  const classes = graph.outputs[0].type.shape.at(-1)
  // each param is read once
  const loss = (p, image, target) => {
    const logits = layers.reduce((v, layer) => layer(p, v), image)
    return nn.logSoftmax(logits).mul(target).sum().mul(-1 / batch)
  }
  const step = jit((p, image, target) => {
    const [value, gradients] = valueAndGrad(loss)(tree.ref(p), image, target)
    return [value, p.map((x, i) => x.sub(gradients[i].mul(RATE)))]
  })
  return async (image, labels) => {
    const target = new Float32Array(batch * classes)
    labels.forEach((label, i) => {
      target[i * classes + label] = 1
    })
    const [value, next] = step(
      params,
      np.array(channelsFirst(image, [batch, H, W, C])).reshape([batch, C, H, W]),
      np.array(target).reshape([batch, classes]),
    )
    params = next
    await blockUntilReady(next)
    return (await value.data())[0]
  }
}

async function moteStep(graph, batch) {
  const { graph: training } = trainingStep(graph, { learn: 'full', batch })
  const program = compile(training)
  const model = await instantiate(program)
  const rate = Float32Array.of(RATE)
  const arena = program.plan.arenaBytes
  return { macs: program.plan.macs, arena, step: (image, labels) => Number(model.run([image, labels, rate])[0][0]) }
}

const median = (times) => times.sort((a, b) => a - b)[times.length >> 1]
const rival = packageFolder(PACKAGE)
const version = rival && JSON.parse(readFileSync(join(rival, 'package.json'), 'utf8')).version
const jax = rival && (await import(pathToFileURL(join(rival, 'dist/index.js')).href))
if (jax) {
  await jax.init('wasm')
  jax.defaultDevice('wasm')
}
const file = join(folder, 'mlperf_tiny/kws_dscnn_fp32.tflite')
const nets = [['CNN-32', cnn32()]]
if (existsSync(file)) nets.unshift(['DS-CNN', asReals(readModel(new Uint8Array(readFileSync(file))))])
else console.error(`${file} is not there`)

const results = []
for (const [name, graph] of nets)
  for (const batch of BATCHES) {
    const random = new Xorshift32(7)
    const [image] = graph.inputs
    const type = { ...image.type, shape: [batch, ...image.type.shape.slice(1)] }
    const images = random.fill(type)
    const classes = graph.outputs[0].type.shape.at(-1)
    const labels = Int32Array.from({ length: batch }, () => random.between(0, classes - 1))
    const mote = await moteStep(graph, batch)
    const row = { name, batch, macs: mote.macs, arena: mote.arena }
    results.push(row)
    let other
    try {
      if (!jax) throw new Error(`not installed: npm install --no-save ${PACKAGE}`)
      other = jaxStep(jax, graph, batch)
      row.losses = []
      for (let i = 0; i < COMPARED; i++) row.losses.push([mote.step(images, labels), await other(images, labels)])
      const apart = row.losses.find(([a, b]) => !(Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a))))
      if (apart) throw new Error(`losses differ: ${apart.join(', ')}`)
    } catch (error) {
      row.error = error.message
      other = undefined
    }
    const times = { mote: [], other: [] }
    const rounds = batch === 1 ? 15 : 5
    for (let i = 0; i < 20; i++) mote.step(images, labels)
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 5; i++) {
        const start = performance.now()
        mote.step(images, labels)
        times.mote.push(performance.now() - start)
      }
      if (!other) continue
      const start = performance.now()
      await other(images, labels)
      times.other.push(performance.now() - start)
    }
    Object.assign(row, { minMs: Math.min(...times.mote), medianMs: median(times.mote) })
    if (other) Object.assign(row, { rivalMinMs: Math.min(...times.other), rivalMedianMs: median(times.other) })
    console.error(JSON.stringify(row))
  }

const ms = (x) => (x === undefined ? '–' : x.toFixed(2))
const lines = [
  `A step of training in ms, minimum / median, in turns in one process of Node ${process.version} on ${cpus()[0].model.trim()}; jax-js ${version ?? 'is not there'},`,
  'its `wasm` device (Node has no WebGPU), inside `jit`. A ratio is of minima.',
  '',
  '| net | batch | multiply-accumulates | mote | jax-js | ratio | GMAC/s | arena, bytes |',
  '|---|---|---|---|---|---|---|---|',
  ...results.map((r) => {
    const cells = [`${ms(r.minMs)} / ${ms(r.medianMs)}`, `${ms(r.rivalMinMs)} / ${ms(r.rivalMedianMs)}`]
    const ratio = r.rivalMinMs === undefined ? '–' : `${(r.rivalMinMs / r.minMs).toFixed(0)}x`
    return `| ${r.name} | ${r.batch} | ${r.macs} | ${cells.join(' | ')} | ${ratio} | ${(r.macs / r.minMs / 1e6).toFixed(1)} | ${r.arena} |`
  }),
  ...results.filter((r) => r.error).map((r) => `\njax-js is left out for ${r.name}, batch ${r.batch}: ${r.error}`),
]
writeFileSync(new URL('results/training_speed.json', import.meta.url), `${JSON.stringify(results, null, 1)}\n`)
writeFileSync(new URL('results/training_speed.md', import.meta.url), `${lines.join('\n')}\n`)
console.log(lines.join('\n'))
