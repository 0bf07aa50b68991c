// Trains the demo's net from scratch on voices.bin, quantises it and writes digits.tflite: everything by mote itself, on one
// thread. Prints how often the float32 and the int8 net are right, on the voices it has learnt from and on others.
//
//   npm run build && node demo/train.mjs

import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Builder, compile, instantiate, ops, quantizeGraph, trainingStep, writeTflite } from '../dist/index.js'
import { Xorshift32 } from '../dist/ir/random.js'

const folder = dirname(fileURLToPath(import.meta.url))
const [BATCH, EPOCHS, RATE] = [16, 40, 0.003]
const random = new Xorshift32(7)
const uniform = () => random.next() / 2 ** 32

function read(name) {
  const about = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
  const stored = new Int8Array(readFileSync(join(folder, `${name}.bin`)))
  const size = stored.length / about.labels.length
  const rows = about.labels.map((label, i) => ({
    label,
    features: Float32Array.from(stored.subarray(i * size, (i + 1) * size), (q) => q * about.scale),
  }))
  return { ...about, rows }
}

const voices = read('voices')
const speakers = read('speakers')
const [FRAMES, COEFFICIENTS] = voices.shape

/** A separable net (DS-CNN, Zhang et al. 2017); `learned` holds weights by name. */
function net(batch, learned) {
  const build = new Builder('digits')
  const first = new Xorshift32(5)
  const weights = (name, fan, ...shape) => {
    const scale = fan ? Math.sqrt(3 / fan) : 0
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => (first.next() / 2 ** 31 - 1) * scale)
    return build.const(name, { dtype: 'f32', shape }, learned?.get(name) ?? data)
  }
  const window = (stride, pad) => ({ stride: [stride, stride], dilation: [1, 1], pad, clamp: { min: 0 } })
  const convolve = (x, name, kernel, channels, how) => {
    const depth = x.type.shape[3]
    const w = weights(`${name}/weights`, kernel * kernel * depth, channels, kernel, kernel, depth)
    return build.one(ops.conv2d, [x, w, weights(`${name}/bias`, 0, channels)], { ...how, groups: 1 }, { from: name })
  }
  const separable = (x, name, channels, how) => {
    const depth = x.type.shape[3]
    const operands = [x, weights(`${name}/depthwise/weights`, 9, 1, 3, 3, depth), weights(`${name}/depthwise/bias`, 0, depth)]
    const d = build.one(ops.depthwiseConv2d, operands, how, { from: `${name}/depthwise` })
    return convolve(d, `${name}/pointwise`, 1, channels, window(1, [0, 0, 0, 0]))
  }
  const x = build.input('features', { dtype: 'f32', shape: [batch, FRAMES, COEFFICIENTS, 1] })
  let y = convolve(x, 'first', 3, 16, window(2, [0, 0, 1, 1]))
  y = separable(y, 'block1', 32, window(2, [0, 0, 1, 1]))
  y = separable(y, 'block2', 32, window(1, [1, 1, 1, 1]))
  y = separable(y, 'block3', 64, window(1, [1, 1, 1, 1]))
  const [, height, width, channels] = y.type.shape
  const pool = { kernel: [height, width], stride: [1, 1], pad: [0, 0, 0, 0], clamp: {} }
  const flat = build.one(ops.reshape, [build.one(ops.averagePool2d, [y], pool)], { shape: [batch, channels] })
  const operands = [flat, weights('words/weights', channels, 10, channels), weights('words/bias', 0, 10)]
  const logits = build.one(ops.fullyConnected, operands, { clamp: {}, keepDims: false }, { from: 'words' })
  return build.graph([build.one(ops.softmax, [logits], { beta: 1 })])
}

/** Another way to say the same: earlier or later, faster or slower, louder or softer, with noise. */
function varied(features) {
  const [shift, pace] = [Math.round(8 * (uniform() - 0.5)), 0.85 + 0.3 * uniform()]
  const [gain, noise] = [0.8 + 0.4 * uniform(), 0.6 * uniform()]
  return features.map((_, i) => {
    const frame = Math.round((Math.floor(i / COEFFICIENTS) - FRAMES / 2) * pace + FRAMES / 2 + shift)
    const there = frame >= 0 && frame < FRAMES
    return (there ? gain * features[frame * COEFFICIENTS + (i % COEFFICIENTS)] : 0) + noise * (uniform() - 0.5)
  })
}

async function rightOf(graph, { rows }) {
  const model = await instantiate(compile(graph))
  const { quant } = graph.inputs[0].type
  const stored = (x) => Math.max(-128, Math.min(127, Math.round(x / quant.scale[0]) + quant.zero[0]))
  const right = rows.filter(({ features, label }) => {
    const [scores] = model.run([quant ? Int8Array.from(features, stored) : features])
    return scores.indexOf(Math.max(...scores)) === label
  })
  return `${right.length} of ${rows.length}`
}

const step = trainingStep(net(BATCH), { learn: 'full', optimizer: { kind: 'adam' } })
const model = await instantiate(compile(step.graph))
const { rows } = voices
const batches = Math.floor(rows.length / BATCH)
const started = performance.now()
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  const order = rows.map((_, i) => i)
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.between(0, i)
    ;[order[i], order[j]] = [order[j], order[i]]
  }
  let sum = 0
  for (let b = 0; b < batches; b++) {
    const batch = order.slice(b * BATCH, (b + 1) * BATCH).map((i) => rows[i])
    const rate = 0.5 * RATE * (1 + Math.cos((Math.PI * (epoch + b / batches)) / EPOCHS))
    const features = Float32Array.from(batch.flatMap((row) => [...varied(row.features)]))
    const [loss] = model.run([features, Int32Array.from(batch, (row) => row.label), Float32Array.of(rate)])
    sum += loss[0]
  }
  process.stderr.write(`\repoch ${epoch + 1} of ${EPOCHS}, loss ${(sum / batches).toFixed(3)} `)
}
process.stderr.write(`in ${((performance.now() - started) / 1000).toFixed(1)} s\n`)

const nothing = [new Float32Array(BATCH * FRAMES * COEFFICIENTS), new Int32Array(BATCH).fill(-1), Float32Array.of(0)]
const outputs = model.run(nothing).slice(-step.params.length)
const float = net(1, new Map(step.params.map(({ of }, i) => [of.name, outputs[i]])))
const { graph } = await quantizeGraph(float, { count: rows.length, inputs: (i) => [rows[i].features] })
for (const [name, g] of Object.entries({ float32: float, int8: graph }))
  console.log(`${name}: ${await rightOf(g, voices)} of the voices it learnt from, ${await rightOf(g, speakers)} of others`)
const file = writeTflite(graph)
writeFileSync(join(folder, 'digits.tflite'), file)
console.log(`digits.tflite: ${file.length} bytes`)
