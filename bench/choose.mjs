// The scheme that the exact search chooses for mcunet-5fps (int8) against the released one, sparse-49kb, in the same RAM: the arena
// of the released scheme's step on a Cortex-M7, planned for memory, is the limit. Contributions are measured on CIFAR-10 in part of
// the training pictures, the rate of each scheme is found on them too; both are then compared on other pictures, over seeds. Writes
// bench/results/choose.{json,md}; measurements are kept in bench/results/choose.measured.json, from which a second run goes on.
//
//   npm run build && node bench/choose.mjs [--shared DIR] [--seeds N] [--learn N] [--judge N] [--layers K] [--epochs N] [--ratios LIST]

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MeasuredFile } from '../dist/cli/measured.js'
import { planOf } from '../dist/emit/program.js'
import { readModel } from '../dist/index.js'
import { readPacked } from '../dist/io/packed.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { chooseScheme, measurementKey } from '../dist/train/choose.js'
import { shuffled, trialsOf } from '../dist/train/contribution.js'
import { releasedScheme } from '../dist/train/released.js'
import { learners } from '../dist/train/scheme.js'
import { appliedScheme, trainingStep } from '../dist/train/step.js'
import { resize } from '../dist/web/resize.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    seeds: { type: 'string', default: '5' },
    learn: { type: 'string', default: '200' },
    judge: { type: 'string', default: '400' },
    layers: { type: 'string', default: '21' },
    epochs: { type: 'string', default: '2' },
    ratios: { type: 'string', default: '0.125,0.25,0.5,1' },
    plans: { type: 'string', default: '24' },
    out: { type: 'string', default: join(root, 'bench/results') },
  },
})
const [SEEDS, LEARN, JUDGE, LAYERS, EPOCHS, PLANS] = ['seeds', 'learn', 'judge', 'layers', 'epochs', 'plans'].map((k) =>
  Number(values[k]),
)
const RATIOS = values.ratios.split(',').map(Number)
const RATES = [0.003, 0.01, 0.03]
const [CLASSES, TARGET, SEED] = [10, 'cortex-m7', 1]
const tell = (text) => process.stderr.write(`\r${text}\x1b[K`)

const model = readModel(new Uint8Array(readFileSync(join(values.shared, 'models/tiny_training/mcunet-5fps_int8.tflite'))))
const [, height, width] = model.inputs[0].type.shape

/** So many pictures of a part of CIFAR-10, in an order of our own. */
function pictures(part, seed) {
  const { images, labels } = readPacked(join(values.shared, 'datasets/cifar10', `${part}.json`))
  const order = shuffled(images.length, new Xorshift32(seed))
  return (from, n) => {
    const of = order.slice(from, from + n)
    const inputs = of.map((i) => Int8Array.from(resize(images[i], width, height).data, (p) => p - 128))
    return { inputs, labels: of.map((i) => labels[i]) }
  }
}
const [known, unseen] = [pictures('train', 12345), pictures('test_a', 54321)]
const [train, validation, test] = [known(0, LEARN), known(LEARN, JUDGE), unseen(0, 2 * JUDGE)]
// more to learn from for the comparison than for each of the many trials
const more = known(LEARN + JUDGE, 2 * LEARN)

const ready = appliedScheme(model, { learn: 'last', classes: CLASSES, seed: SEED }).graph
const released = releasedScheme(ready, learners(ready), 'sparse-49kb')
const arenaOf = (learn) =>
  planOf(trainingStep(model, { learn, classes: CLASSES, seed: SEED }).graph, { target: TARGET, stage: 'rows' }).arenaBytes
tell('the released scheme: planning')
const sram = arenaOf(released)

const settings = { layers: LAYERS, ratios: RATIOS, epochs: EPOCHS, rates: RATES, repeats: 1, seed: SEED }
const store = join(values.out, 'choose.measured.json')
const notes = new MeasuredFile(store, measurementKey(model, [train, validation], settings), false)
const start = performance.now()
const chosen = await chooseScheme(model, train, validation, {
  ...{ ...settings, classes: CLASSES, sram, target: TARGET, plan: 'memory', plans: PLANS, notes },
  tell: (trial, done, of) => tell(of > 0 ? `${done + 1} of ${of}: ${trial}` : trial),
})
const minutes = (performance.now() - start) / 60_000

const biases = { biases: released.biases }
const SCHEMES = {
  'last layer': {},
  [`biases of ${released.biases} layers`]: biases,
  'sparse-49kb, released': released,
  knapsack: chosen.knapsack.selection,
  evolution: chosen.evolution.selection,
}
const [judged, tested] = [await trialsOf(ready, more, validation, settings), await trialsOf(ready, more, test, settings)]
const noted = async (id, measure) => {
  if (notes.get(id) === undefined) notes.set(id, await measure())
  return notes.get(id)
}
const results = {}
for (const [name, learn] of Object.entries(SCHEMES)) {
  const what = JSON.stringify({ ...learn, name: undefined })
  let best = { accuracy: -1 }
  for (const rate of RATES) {
    tell(`${name}: rate ${rate}`)
    const accuracy = await noted(`search ${what} ${rate}`, () => judged.accuracyOf(learn, rate, 0))
    if (accuracy > best.accuracy) best = { accuracy, rate }
  }
  const runs = []
  for (let seed = 1; seed <= SEEDS; seed++) {
    tell(`${name}: seed ${seed} of ${SEEDS}`)
    runs.push(await noted(`test ${what} ${seed}`, () => tested.accuracyOf(learn, best.rate, seed)))
  }
  results[name] = { rate: best.rate, arena: name === 'sparse-49kb, released' ? sram : arenaOf(learn), runs, learn }
}
tell('')

/** Student's t for 95% with n - 1 degrees of freedom. */
const T = [0, 12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]
function interval(xs) {
  const mean = xs.reduce((a, b) => a + b) / xs.length
  const deviation = Math.sqrt(xs.reduce((s, x) => s + (x - mean) ** 2, 0) / Math.max(1, xs.length - 1))
  return `${(100 * mean).toFixed(1)} ± ${((100 * (T[xs.length - 1] ?? 1.96) * deviation) / Math.sqrt(xs.length)).toFixed(1)}`
}
const base = results['sparse-49kb, released'].runs
const rows = Object.entries(results).map(([name, { rate, arena, runs, learn }]) => {
  const layers = (learn.layers ?? []).map((l) => (l.ratio === 1 ? l.layer : `${l.layer}:${l.ratio}`)).join(' ')
  const against = name === 'sparse-49kb, released' ? '–' : interval(runs.map((r, i) => r - base[i]))
  return `| ${name} | ${learn.biases ?? 0} | ${layers || '–'} | ${arena.toLocaleString('en')} | ${rate} | ${interval(runs)} | ${against} |`
})
const { knapsack, evolution, measured, contributions } = chosen
const shown = (x) => (100 * x).toFixed(1)
const text = `# Choosing what learns

Made by \`npm run build && node bench/choose.mjs --seeds ${SEEDS} --learn ${LEARN} --judge ${JUDGE} --layers ${LAYERS} --epochs ${EPOCHS} --ratios ${values.ratios} --plans ${PLANS}\`.
mcunet-5fps in true int8 with a new float32 classifier, CIFAR-10. The limit is the arena of the released sparse-49kb on a Cortex-M7, planned
for memory: ${sram.toLocaleString('en')} bytes. Contributions: ${LEARN} pictures to learn from, ${JUDGE} to judge, ${EPOCHS} epochs, once each. The comparison:
${2 * LEARN} other pictures to learn from, ${EPOCHS} epochs, ${2 * JUDGE} of the test set to judge, ${SEEDS} seeds (order and rounding), rate found for each scheme on the
${JUDGE}. Percent right with 95% intervals over seeds (the pictures are the same for all), differences paired by seed.

| learns | biases | weights, layer:ratio | arena, bytes | rate | right | against the released |
|---|--:|---|--:|--:|--:|--:|
${rows.join('\n')}

The knapsack expected ${shown(knapsack.expected)}% of its scheme (bound ${shown(knapsack.bound)}%, ${knapsack.compiled} schemes compiled), evolution ${shown(evolution.expected)}% (${evolution.compiled}); the better one
came to ${shown(measured)}% when it learnt as a whole on the same pictures, the last layer alone to ${shown(contributions.last)}%, biases of ${LAYERS} layers to ${shown(contributions.last + contributions.biases[LAYERS])}%.
What is between expected and measured is that gains do not add up, and that the largest of many noisy gains is too large.
`
const about = { settings: { ...settings, learn: LEARN, judge: JUDGE, seeds: SEEDS }, sram, contributions, knapsack, evolution, measured }
writeFileSync(join(values.out, 'choose.json'), `${JSON.stringify({ ...about, results }, undefined, 1)}\n`)
writeFileSync(join(values.out, 'choose.md'), text)
if (existsSync(store)) rmSync(store)
console.log(text, `${minutes.toFixed(1)} minutes for contributions and searches`)
