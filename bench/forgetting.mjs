// What a learner forgets. The ten classes of CIFAR-10 come two at a time; a frozen int8 front (mcunet-5fps, trained on ImageNet) makes
// latents of the pictures, and a back with a new classifier learns from them in true int8, one picture a step, each seen once. After
// the last two classes: how often is it right on all ten, and on the eight before? Plainly, with replay, with elastic weight
// consolidation, with distillation to what it was before each task. Writes bench/results/forgetting.{json,md}.
//
//   npm run build && node bench/forgetting.mjs [--shared DIR] [--seeds N] [--each N] [--layers K]

import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  compile,
  importanceOf,
  instantiate,
  instantiateLearner,
  learnedModel,
  Replay,
  readModel,
  splitModel,
  trainingStep,
} from '../dist/index.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { answers, apart, interval, latentsOf, percent, share, shuffled, tell } from './learning.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    seeds: { type: 'string', default: '5' },
    each: { type: 'string', default: '60' },
    layers: { type: 'string', default: '4' },
  },
})
const [SEEDS, EACH, LAYERS] = ['seeds', 'each', 'layers'].map((k) => Number(values[k]))
const [CLASSES, TASKS] = [10, 5]
const REPLAYED = 20
const PULLS = [1, 100, 10000]
const SHARES = [0.3, 0.6, 0.9]
const RATES = [0.0003, 0.001, 0.003, 0.01]

const softmaxOf = (logits) => {
  const most = Math.max(...logits)
  const e = Array.from(logits, (x) => Math.exp(x - most))
  const sum = e.reduce((a, b) => a + b)
  return e.map((x) => x / sum)
}
const model = readModel(new Uint8Array(readFileSync(join(values.shared, 'models/tiny_training/mcunet-5fps_int8.tflite'))))
const { front, back } = splitModel(model, LAYERS)
const [{ rows: known }, { rows: test }] = [
  await latentsOf(front, values.shared, 'cifar10', 'train', 3000),
  await latentsOf(front, values.shared, 'cifar10', 'test_a', 2000),
]
// rates and strengths are chosen on pictures that are neither learned from nor judged
const { validation, pool } = apart(known, 1000)
const latentBytes = pool[0].latent.byteLength

async function rightOf(graph, rows) {
  const right = await answers(graph, rows)
  const old = right.filter((_, i) => rows[i].label < CLASSES - CLASSES / TASKS)
  return { all: share(right), old: share(old) }
}

const learn = `last-${LAYERS}`
const oneHot = (label) => Float32Array.from({ length: CLASSES }, (_, c) => (c === label ? 1 : 0))

/** All tasks in turn. Returns the shares that are right at the end. */
async function run(method, { rate, strength = 0 }, seed, judge) {
  const random = new Xorshift32(1000 + seed)
  const byClass = Array.from({ length: CLASSES }, (_, c) => shuffled(pool.filter((r) => r.label === c), random).slice(0, EACH))
  const replay = new Replay({ classes: CLASSES, perClass: REPLAYED, seed })
  let step = trainingStep(back, { learn, classes: CLASSES, seed })
  let graph = step.model
  let importance
  for (let task = 0; task < TASKS; task++) {
    const classes = [2 * task, 2 * task + 1]
    const rows = shuffled(classes.flatMap((c) => byClass[c]), random)
    const shares = method === 'distillation'
    const anchor = method === 'EWC' && importance && { strength, importance }
    step = trainingStep(graph, { learn, seed: seed + task, ...(shares && { loss: 'shares' }), ...(anchor && { anchor }) })
    const learner = await instantiateLearner(compile(step.graph))
    const teacher = shares && task > 0 && (await instantiate(compile(graph)))
    for (const { latent, label } of rows) {
      const target = !shares ? label : oneHot(label)
      if (teacher) {
        const old = softmaxOf(teacher.run([latent])[0])
        for (let c = 0; c < CLASSES; c++) target[c] = (1 - strength) * target[c] + strength * old[c]
      }
      learner.train([latent], target, rate)
      if (method !== 'replay') continue
      replay.add(latent, label)
      const again = replay.draw()
      learner.train([again.example], again.label, rate)
    }
    graph = learnedModel(step, learner.learned())
    if (method === 'EWC') {
      const examples = rows.slice(0, 100).map(({ latent, label }) => ({ inputs: [latent], label: Int32Array.of(label) }))
      const now = await importanceOf(graph, { learn }, examples)
      importance = new Map([...now].map(([name, f]) => [name, f.map((x, i) => x + (importance?.get(name)?.[i] ?? 0))]))
    }
  }
  return rightOf(graph, judge)
}

const METHODS = {
  naive: [{}],
  replay: [{}],
  EWC: PULLS.map((strength) => ({ strength })),
  distillation: SHARES.map((strength) => ({ strength })),
}
const results = {}
for (const [method, choices] of Object.entries(METHODS)) {
  let chosen
  for (const choice of choices)
    for (const rate of RATES) {
      tell(`${method}: rate ${rate} ${JSON.stringify(choice)}`)
      let all = 0
      try {
        ;({ all } = await run(method, { ...choice, rate }, 77, validation))
      } catch (error) {
        if (error.where !== 'train') throw error // a rate at which weights grow without bounds
      }
      if (!chosen || all > chosen.all) chosen = { ...choice, rate, all }
    }
  const runs = []
  for (let seed = 0; seed < SEEDS; seed++) {
    tell(`${method}: seed ${seed + 1} of ${SEEDS}`)
    runs.push(await run(method, chosen, seed, test))
  }
  results[method] = { rate: chosen.rate, ...(chosen.strength !== undefined && { strength: chosen.strength }), runs }
}
tell('')

const naive = results.naive.runs
const rows = Object.entries(results).map(([method, { rate, strength, runs }]) => {
  const against = interval(runs.map((r, i) => r.all - naive[i].all))
  return `| ${method} | ${rate} | ${strength ?? '–'} | ${percent(interval(runs.map((r) => r.all)))} | ${percent(interval(runs.map((r) => r.old)))} | ${method === 'naive' ? '–' : percent(against)} |`
})
const about = { seeds: SEEDS, each: EACH, layers: LAYERS, replayed: REPLAYED, latentBytes, tested: test.length }
writeFileSync(join(root, 'bench/results/forgetting.json'), `${JSON.stringify({ ...about, results }, null, 1)}\n`)
const text = `# What a learner forgets

Made by \`npm run build && node bench/forgetting.mjs\`. CIFAR-10, two classes at a time, ${EACH} pictures of each, seen once, one a step;
the last ${LAYERS} layers of mcunet-5fps and a new classifier learn in true int8 from int8 latents of ${latentBytes} bytes. Judged on
${test.length} other pictures after the last two classes, ${SEEDS} seeds; percent right with 95% intervals, differences paired by seed.
Replay keeps ${REPLAYED} latents of each class (${CLASSES * REPLAYED * latentBytes} bytes) and takes two steps a picture.

| method | rate | strength | all ten classes | the eight before | all ten, against naive |
|---|--:|--:|--:|--:|--:|
${rows.join('\n')}
`
writeFileSync(join(root, 'bench/results/forgetting.md'), text)
console.log(text)
