// How well int8 nets learn on a device. An int8 net (mcunet-5fps, trained on ImageNet) with a frozen front learns a small set of
// pictures, one a step. Tables: by which arithmetic (float32; stored int8 by stochastic, nearest and truncating rounding; float
// copies with and without quantisation-aware scaling; Table VII of Lin et al. 2022), and by which scheme (classifier, biases, last
// layers, released sparse ones, TinyTL; their Fig. 18) with the arena of the whole step for a Cortex-M7, once more with four times
// the pictures. The rate of each row is searched on pictures that are neither learned from nor judged. Writes
// bench/results/training_accuracy.{json,md}.
//
//   npm run build && node bench/training_accuracy.mjs [--shared DIR] [--only arithmetic|schemes|more, other tables stay]
//       [--data cifar10|cifar100|fashion_mnist] [--pictures N] [--epochs N] [--seeds N] [--more N] [--judged N] [--workers N]

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
    pictures: { type: 'string', default: '400' },
    epochs: { type: 'string', default: '4' },
    seeds: { type: 'string', default: '5' },
    more: { type: 'string', default: '10' },
    judged: { type: 'string', default: '2000' },
    workers: { type: 'string', default: '2' },
  },
})
const [PICTURES, EPOCHS, SEEDS, MORE] = ['pictures', 'epochs', 'seeds', 'more'].map((k) => Number(values[k]))
const [JUDGED, WORKERS] = ['judged', 'workers'].map((k) => Number(values[k]))
const VALIDATION = 500

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
    layers: 4,
    against: 'int8, stochastic',
    rows: {
      float32: { learn: 'last-4', float: true, start: 0.003 },
      'float copy of int8': { learn: 'last-4', copy: 'qas', start: 0.003, seeds: MORE },
      'int8, stochastic': { learn: 'last-4', rounding: 'stochastic', start: 0.003, seeds: MORE },
      'int8, nearest': { learn: 'last-4', rounding: 'nearest', start: 0.003 },
      'int8, truncated': { learn: 'last-4', rounding: 'truncate', start: 0.003 },
      'float copy without scaling': { learn: 'last-4', copy: 'plain', start: 0.03 },
      'float copy without scaling, Adam': { learn: 'last-4', copy: 'adam', start: 0.01 },
    },
  },
  schemes: {
    layers: 22,
    against: 'sparse-49kb',
    rows: {
      'tinytl, float32': { learn: 'tinytl', float: true, optimizer: { kind: 'adam' }, start: 0.001 },
      'last-7': { learn: 'last-7', start: 0.003 },
      'last-4': { learn: 'last-4', start: 0.003 },
      'sparse-49kb': { learn: 'sparse-49kb', start: 0.003 },
      'bias-last-22': { learn: 'bias-last-22', start: 0.01 },
      last: { learn: 'last', start: 0.01 },
    },
  },
  'more pictures': {
    layers: 22,
    against: 'sparse-49kb',
    pictures: 4 * PICTURES,
    rows: {
      'last-4': { learn: 'last-4', start: 0.003 },
      'sparse-49kb': { learn: 'sparse-49kb', start: 0.003 },
      'bias-last-22': { learn: 'bias-last-22', start: 0.003 },
      last: { learn: 'last', start: 0.003 },
    },
  },
}

/** Learns once: the share of `judged` that is right afterwards; 0 where it grows without bounds. */
async function once(back, row, pictures, classes, rate, seed, pool, judged) {
  const random = new Xorshift32(1000 + seed)
  const rows = shuffled(pool, random).slice(0, pictures)
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

/** What a worker is asked: a search where `rate` is absent, else one run that is judged. */
function job(table, { name, rate, seed }, { pool, validation, test, classes }) {
  const { layers, rows, pictures = PICTURES } = TABLES[table]
  const { back } = splitModel(model, layers)
  const own = rows[name]
  if (rate !== undefined) return once(back, own, pictures, classes, rate, seed, pool, test)
  return searched(own.start, (r) => once(back, own, pictures, classes, r, 77, pool, validation))
}

/**
 * The arena of a step of the whole net on a Cortex-M7, planned for memory, and the published analytic count of what learning adds. A
 * float32 back is a program of its own that runs after its front: the larger of the two arenas.
 */
function memoryOf({ learn, float, optimizer }, layers, classes) {
  const { front, back } = splitModel(model, layers)
  const arenaOf = (graph) => compile(graph, { target: 'cortex-m7', stage: 'rows' }).plan.arenaBytes
  const net = float ? floatFrom(back, 0) : model
  const options = { learn, classes, ...(optimizer && { optimizer }) }
  const step = arenaOf(trainingStep(net, options).graph)
  return { arena: float ? Math.max(step, arenaOf(front)) : step, extra: extraMemory(appliedScheme(net, options)).total }
}

const stored = join(root, 'bench/results/training_accuracy.json')
const before = () => (existsSync(stored) ? JSON.parse(readFileSync(stored, 'utf8')) : {})

/** All of a table, stored as it grows: first the rates, then a run of each row for each seed. */
async function fill(table) {
  const { layers, rows, pictures = PICTURES } = TABLES[table]
  const { front } = splitModel(model, layers)
  const most = VALIDATION + 3 * pictures
  const { rows: known, classes } = await latentsOf(front, values.shared, values.data, 'train', most)
  const { rows: test } = await latentsOf(front, values.shared, values.data, 'test_a', JUDGED)
  const data = { ...apart(known, VALIDATION), test, classes }
  const names = Object.keys(rows)
  const results = Object.fromEntries(names.map((name) => [name, { runs: [] }]))
  const about = { data: values.data, pictures, epochs: EPOCHS, tested: test.length }
  const store = () =>
    writeFileSync(stored, `${JSON.stringify({ ...before(), [table]: { ...about, rows: results } }, undefined, 1)}\n`)
  if (table === 'schemes') for (const name of names) Object.assign(results[name], memoryOf(rows[name], layers, classes))
  const finding = new Map()
  const search = (name) => async (ask) => {
    finding.set(name, ask({ name }))
    Object.assign(results[name], await finding.get(name))
  }
  const run = (name, seed) => async (ask) => {
    const { rate } = await finding.get(name)
    results[name].runs[seed] = await ask({ name, rate, seed })
  }
  const seeds = Array.from({ length: Math.max(SEEDS, MORE) }, (_, seed) => seed)
  const waiting = [
    ...names.map(search),
    ...seeds.flatMap((seed) => names.filter((n) => seed < (rows[n].seeds ?? SEEDS)).map((name) => run(name, seed))),
  ]
  const all = waiting.length
  const work = async () => {
    const worker = new Worker(fileURLToPath(import.meta.url), { argv: process.argv.slice(2), workerData: { table, data } })
    const ask = (question) =>
      new Promise((answered, failed) => {
        worker.once('message', answered)
        worker.once('error', failed)
        worker.postMessage(question)
      })
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      await next(ask)
      store()
      tell(`${table}: ${all - waiting.length} of ${all}`)
    }
    await worker.terminate()
  }
  await Promise.all(Array.from({ length: WORKERS }, work))
  tell('')
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
    .filter(([, { runs }]) => runs.length > 0)
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

const ABOUT = {
  arithmetic: `## By arithmetic

The last four layers learn. \`int8\`: weights and biases exist as the stored integers alone. \`float copy\`: a float64 copy learns and is
rounded before each forward pass. \`without scaling\`: gradients with respect to stored integers are not divided by their scales squared.`,
  schemes: `## By scheme

Arena: every buffer of the whole step of the whole net for a Cortex-M7, planned for memory, image held, in bytes. TinyTL's modules and
biases are in float32 (Adam) beside the blocks of the last 22 layers; the front stays int8.`,
  'more pictures': `## By scheme, with more pictures

The arenas are those above.`,
}

if (isMainThread) {
  for (const name of Object.keys(TABLES)) if (name.includes(values.only)) await fill(name)
  const results = before()
  const parts = Object.keys(TABLES).filter((name) => results[name])
  const text = `# How well an int8 net learns

Made by \`npm run build && node bench/training_accuracy.mjs\`. mcunet-5fps in int8, trained on ImageNet, with a new float32 classifier;
batch 1, cosine rate, searched for each row on ${VALIDATION} pictures of their own. Percent right, means with 95% intervals over seeds;
differences are paired by seed.

${parts.map((name) => `${ABOUT[name]}\n\n${written(results[name], name)}`).join('\n')}`
  writeFileSync(join(root, 'bench/results/training_accuracy.md'), text)
  console.log(text)
} else {
  const { table, data } = workerData
  parentPort.on('message', async (question) => parentPort.postMessage(await job(table, question, data)))
}
