// How well int8 nets learn on a device. An int8 net (mcunet-5fps, trained on ImageNet) with a frozen front learns a small set of
// pictures, one a step. Two tables: by which arithmetic (float32; stored int8 by stochastic, nearest and truncating rounding; float
// copies with and without quantisation-aware scaling; Table VII of Lin et al. 2022), and by which scheme (classifier, biases, last
// layers, released sparse ones, TinyTL; their Fig. 18) with the arena of the whole step for a Cortex-M7. The rate of each row is
// searched on pictures that are neither learned from nor judged. Writes bench/results/training_accuracy.{json,md}.
//
//   npm run build && node bench/training_accuracy.mjs [--shared DIR] [--only arithmetic|schemes, the other table stays]
//       [--data cifar10|cifar100|fashion_mnist] [--pictures N] [--epochs N] [--seeds N] [--more N] [--workers N]

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { compile, extraMemory, readModel, splitModel, trainingStep } from '../dist/index.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { releasedScheme } from '../dist/train/released.js'
import { learners } from '../dist/train/scheme.js'
import { appliedScheme } from '../dist/train/step.js'
import { apart, interval, latentsOf, percent, share, shuffled, tell } from './learning.mjs'
import { byCopy, byStep, floatFrom } from './trainees.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
    data: { type: 'string', default: 'cifar10' },
    pictures: { type: 'string', default: '600' },
    epochs: { type: 'string', default: '4' },
    seeds: { type: 'string', default: '5' },
    more: { type: 'string', default: '10' },
    workers: { type: 'string', default: '2' },
  },
})
const [PICTURES, EPOCHS, SEEDS, MORE, WORKERS] = ['pictures', 'epochs', 'seeds', 'more', 'workers'].map((k) =>
  Number(values[k]),
)
const VALIDATION = 500
const POOL = 4 * PICTURES

const model = readModel(new Uint8Array(readFileSync(join(values.shared, 'models/tiny_training/mcunet-5fps_int8.tflite'))))

/** A released scheme of the net, in the numbers of the layers of its back. */
function inBack(name, back) {
  const { biases, layers } = releasedScheme(model, learners(model), name)
  const before = learners(model).length - learners(back).length
  return { name, biases, layers: layers.map((l) => ({ ...l, layer: l.layer - before })) }
}

/** Rows: what learns, by which arithmetic (float32 where `float`), where the search for a rate starts, how many seeds. */
const TABLES = {
  arithmetic: {
    layers: 7,
    against: 'int8, stochastic',
    rows: {
      'float copy of int8': { learn: 'last-7', copy: 'qas', start: 0.003, seeds: MORE },
      'int8, stochastic': { learn: 'last-7', rounding: 'stochastic', start: 0.003, seeds: MORE },
      'float copy without scaling, Adam': { learn: 'last-7', copy: 'adam', start: 0.01 },
      'float copy without scaling': { learn: 'last-7', copy: 'plain', start: 0.03 },
      'int8, nearest': { learn: 'last-7', rounding: 'nearest', start: 0.003 },
      'int8, truncated': { learn: 'last-7', rounding: 'truncate', start: 0.003 },
      float32: { learn: 'last-7', float: true, start: 0.003 },
    },
  },
  schemes: {
    layers: 22,
    against: 'sparse-49kb',
    rows: {
      'tinytl, float32': { learn: 'tinytl', float: true, optimizer: { kind: 'adam' }, start: 0.001 },
      'last-13': { learn: 'last-13', start: 0.003 },
      'sparse-74kb': { learn: 'sparse-74kb', start: 0.003 },
      'sparse-49kb': { learn: 'sparse-49kb', start: 0.003 },
      'last-7': { learn: 'last-7', start: 0.003 },
      'last-4': { learn: 'last-4', start: 0.003 },
      'bias-last-22': { learn: 'bias-last-22', start: 0.01 },
      last: { learn: 'last', start: 0.01 },
    },
  },
}

/** Learns once: the share of `judged` that is right afterwards; 0 where it grows without bounds. */
async function once(back, row, classes, rate, seed, pool, judged) {
  const random = new Xorshift32(1000 + seed)
  const rows = shuffled(pool, random).slice(0, PICTURES)
  const learn = /^sparse/.test(row.learn) ? inBack(row.learn, back) : row.learn
  const { rounding, optimizer } = row
  const options = { learn, classes, seed: seed + 1, ...(rounding && { rounding }), ...(optimizer && { optimizer }) }
  const net = row.float ? floatFrom(back, 0) : back
  const trainee = await (row.copy ? byCopy(net, options, row.copy) : byStep(net, options))
  const all = EPOCHS * rows.length
  let step = 0
  try {
    for (let epoch = 0; epoch < EPOCHS; epoch++)
      for (const { latent, label } of shuffled(rows, random))
        trainee.train(latent, label, (rate / 2) * (1 + Math.cos((Math.PI * step++) / all)))
  } catch (error) {
    if (error.where !== 'train' && !(error instanceof RangeError)) throw error
    return 0
  }
  return share(await trainee.answers(judged))
}

/** The rate that is best on the validation pictures, from `start` up or down by half a decade as long as it gets better. */
async function searched(start, accuracyAt) {
  const tried = new Map()
  const at = async (i) => {
    if (!tried.has(i)) tried.set(i, await accuracyAt(Number((start * 10 ** (i / 2)).toPrecision(2))))
    return tried.get(i)
  }
  let i = 0
  for (const by of [1, -1]) while ((await at(i + by)) > (await at(i))) i += by
  const rateOf = (k) => Number((start * 10 ** (k / 2)).toPrecision(2))
  return { rate: rateOf(i), tried: Object.fromEntries([...tried].map(([k, a]) => [rateOf(k), a])) }
}

async function row(table, name, { pool, validation, test, classes }) {
  const { layers, rows } = TABLES[table]
  const { back } = splitModel(model, layers)
  const own = rows[name]
  const found = await searched(own.start, (rate) => once(back, own, classes, rate, 77, pool, validation))
  const runs = []
  for (let seed = 0; seed < (own.seeds ?? SEEDS); seed++)
    runs.push(await once(back, own, classes, found.rate, seed, pool, test))
  return { ...found, runs }
}

/** The arena of a step of the whole net on a Cortex-M7, planned for memory, and the published analytic count of what learning adds. */
function memoryOf({ learn, float, optimizer }, layers, classes) {
  const { front } = splitModel(model, layers)
  const net = float ? floatFrom(model, front.nodes.length) : model
  const options = { learn, classes, ...(optimizer && { optimizer }) }
  const { plan } = compile(trainingStep(net, options).graph, { target: 'cortex-m7', stage: 'rows' })
  return { arena: plan.arenaBytes, extra: extraMemory(appliedScheme(net, options)).total }
}

async function tableOf(name) {
  const { layers, rows } = TABLES[name]
  const { front } = splitModel(model, layers)
  const { rows: known, classes } = await latentsOf(front, values.shared, values.data, 'train', VALIDATION + POOL)
  const { rows: test } = await latentsOf(front, values.shared, values.data, 'test_a', 3458)
  const data = { ...apart(known, VALIDATION), test, classes }
  const waiting = Object.keys(rows)
  const results = {}
  const one = async () => {
    const worker = new Worker(fileURLToPath(import.meta.url), { argv: process.argv.slice(2), workerData: { name, data } })
    const failed = new Promise((_, reject) => worker.once('error', reject))
    for (let own = waiting.shift(); own; own = waiting.shift()) {
      worker.postMessage(own)
      results[own] = await Promise.race([new Promise((done) => worker.once('message', done)), failed])
      tell('')
      console.log(name, own, results[own].rate, percent(interval(results[own].runs)))
    }
    await worker.terminate()
  }
  await Promise.all(Array.from({ length: WORKERS }, one))
  for (const [own, result] of Object.entries(results))
    if (name === 'schemes') Object.assign(result, memoryOf(rows[own], layers, classes))
  return {
    ...{ data: values.data, pictures: PICTURES, epochs: EPOCHS, tested: test.length },
    rows: Object.fromEntries(Object.keys(rows).map((own) => [own, results[own]])),
  }
}

function differences(rows, against) {
  return ({ runs }) => {
    const n = Math.min(runs.length, rows[against].runs.length)
    return percent(interval(Array.from({ length: n }, (_, i) => runs[i] - rows[against].runs[i])))
  }
}

function written({ data, pictures, epochs, tested, rows }, name) {
  const { layers, against } = TABLES[name]
  const difference = differences(rows, against)
  const memory = name === 'schemes'
  const bytes = (n) => n.toLocaleString('en-US')
  const lines = Object.entries(rows)
    .sort(([, a], [, b]) => interval(b.runs).mean - interval(a.runs).mean)
    .map(([own, r]) =>
      [
        ...[own, r.rate, r.runs.length, percent(interval(r.runs)), own === against ? '–' : difference(r)],
        ...(memory ? [bytes(r.arena), bytes(Math.round(r.extra))] : []),
      ].join(' | '),
    )
  const head = ['learns', 'rate', 'seeds', 'right', `against ${against}`, ...(memory ? ['arena', 'extra, analytic'] : [])]
  return `${data}: ${pictures} pictures drawn by each seed, ${epochs} epochs, one a step; ${tested} others judged; latents before the last
${layers} layers with weights.

| ${head.join(' | ')} |
|---|${head.slice(1).map(() => '--:|').join('')}
${lines.map((l) => `| ${l} |`).join('\n')}
`
}

if (isMainThread) {
  const stored = join(root, 'bench/results/training_accuracy.json')
  const results = existsSync(stored) ? JSON.parse(readFileSync(stored, 'utf8')) : {}
  for (const name of Object.keys(TABLES)) {
    if (!name.includes(values.only) && results[name]) continue
    results[name] = await tableOf(name)
    writeFileSync(stored, `${JSON.stringify(results, undefined, 1)}\n`)
  }
  const text = `# How well an int8 net learns

Made by \`npm run build && node bench/training_accuracy.mjs\`. mcunet-5fps in int8, trained on ImageNet, with a new float32 classifier;
batch 1, cosine rate, searched for each row on ${VALIDATION} pictures of their own. Percent right, means with 95% intervals over seeds;
differences are paired by seed.

## By arithmetic

The last seven layers learn. \`int8\`: weights and biases exist as the stored integers alone. \`float copy\`: a float64 copy learns and is
rounded before each forward pass. \`without scaling\`: gradients with respect to stored integers are not divided by their scales squared.

${written(results.arithmetic, 'arithmetic')}
## By scheme

Arena: every buffer of the whole step of the whole net for a Cortex-M7, planned for memory, image held, in bytes. TinyTL's modules and
biases are in float32 (Adam) in the same last seven blocks, the front stays int8.

${written(results.schemes, 'schemes')}`
  writeFileSync(join(root, 'bench/results/training_accuracy.md'), text)
  console.log(text)
} else {
  const { name, data } = workerData
  parentPort.on('message', async (own) => parentPort.postMessage(await row(name, own, data)))
}
