// Float32 models quantised by `mote quantize`, one command each, and what that costs: accuracy before and after on inputs that
// calibration did not use, with the 95% interval of the paired difference, beside the published int8 files of the same
// models; and each step of the way on MobileNet v1, in int8 and int4.
// Writes bench/results/quantize.json and quantize.md; `--only`, a part of a model's name or of "step by step", leaves the rest of
// them as it was.
//
//   npm run build && node bench/quantize.mjs [--shared DIR] [--only NAME] [--board cortex-m4]
//
// Needs the models and data (`--shared`, MOTE_SHARED or ../shared); `--board` also the emulator.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readModel } from '../dist/index.js'
import { compareModels } from '../dist/cli/comparison.js'
import { dataSets, json } from './data_sets.mjs'
import { classesOf, clustered, compareViews, viewsOf } from './views.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
    board: { type: 'string' },
  },
})
const data = dataSets(values.shared)
const { at, dir, quantizable, modelOf, judged } = data

const command = [join(root, 'dist/cli/main.js'), 'quantize']
function quantize(model, args, out) {
  const argv = [...command, at(`models/${model}`), '-o', out, '--force', '--json', ...args]
  const start = performance.now()
  const { stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8', maxBuffer: 2 ** 28 })
  const answer = JSON.parse(stdout || '{}')
  if (!answer.after) throw new Error(stderr || stdout)
  return { ...answer, seconds: (performance.now() - start) / 1000 }
}

function instructions(paths) {
  if (!values.board) return []
  const argv = [join(root, 'dist/cli/main.js'), 'bench', ...paths, '--on', values.board, '--json']
  const { stdout } = spawnSync(process.execPath, argv, { encoding: 'utf8', maxBuffer: 2 ** 28 })
  const answer = JSON.parse(stdout)
  return (answer.models ?? [answer]).map((m) => m.runs[0].instructions)
}

const MODELS = quantizable()
const TENSOR = ['--weights', 'per-tensor']
const ADAROUND = ['--rounding', 'adaround']
/** Steps by name, arguments, and the step that each is compared with. */
const WAY = [
  ['one scale for a tensor', [...TENSOR, '--no-correct-bias']],
  ['… + equalisation', [...TENSOR, '--equalize', '--no-correct-bias'], 0],
  ['… + equalisation + bias correction', [...TENSOR, '--equalize'], 1],
  ['… + equalisation + bias correction + adaround', [...TENSOR, '--equalize', ...ADAROUND], 2],
  ['a scale for each channel', ['--no-correct-bias'], 0],
  ['… + equalisation', ['--equalize', '--no-correct-bias'], 4],
  ['… + equalisation + bias correction', ['--equalize'], 5],
  ['… + equalisation + bias correction + adaround', ['--equalize', ...ADAROUND], 6],
  ['a scale for each channel + bias correction', [], 4],
  ['… + adaround', ADAROUND, 8],
  ['int4 weights', ['--to', 'int4', '--no-correct-bias']],
  ['… + bias correction', ['--to', 'int4'], 10],
  ['… + adaround', ['--to', 'int4', ...ADAROUND], 11],
  ['… in layers of 129 products and more', ['--to', 'int4', ...ADAROUND, '--short-sums', '129'], 12],
]

const short = ({ comparison: c, after, seconds }) => ({
  samples: c.samples,
  before: c.before?.correct,
  after: c.after?.correct,
  accuracy: c.accuracy,
  agree: c.agree,
  sqnr: c.sqnr,
  ...after,
  ...(seconds !== undefined && { seconds }),
})

/** The published int8 file on the inputs of the command's evaluation. */
async function published(entry) {
  const { graph, samples } = judged(entry)
  const bytes = readFileSync(at(`models/${entry.published}`))
  const comparison = await compareModels(graph, readModel(bytes), samples, undefined, () => {})
  return short({ comparison, after: { fileBytes: bytes.length } })
}

const results = join(root, 'bench/results')
const known = existsSync(join(results, 'quantize.json')) ? json(join(results, 'quantize.json')) : { models: [], way: [] }
const made = []
for (const entry of MODELS.filter((m) => m.name.includes(values.only))) {
  process.stderr.write(`${entry.name} …\n`)
  const out = join(dir, `${entry.name}.tflite`)
  const views = viewsOf(entry, data)
  const float = await classesOf(modelOf(entry), views)
  const seen = async (path) =>
    compareViews(float, await classesOf(readModel(readFileSync(path)), views), views)
  const ours = short(quantize(entry.model, [...entry.calibrate, ...entry.evaluate, '--rounding', 'adaround'], out))
  const [own, theirs] = instructions([out, at(`models/${entry.published}`)])
  const beside = await published(entry)
  made.push({
    name: entry.name,
    floatBytes: readFileSync(at(`models/${entry.model}`)).length,
    ours: { ...ours, ...(own && { instructions: own }), seen: await seen(out) },
    published: {
      ...beside,
      ...(theirs && { instructions: theirs }),
      seen: await seen(at(`models/${entry.published}`)),
    },
  })
}
const models = MODELS.flatMap(({ name }) => [...made, ...known.models].find((m) => m.name === name) ?? [])
const way = 'step by step'.includes(values.only) ? [] : known.way
if (way !== known.way) {
  const entry = MODELS[3]
  const views = viewsOf(entry, data)
  const float = await classesOf(modelOf(entry), views)
  const found = []
  for (const [what, args, than] of WAY) {
    process.stderr.write(`${what} ${args.join(' ')} …\n`)
    const out = join(dir, 'way.tflite')
    const answer = quantize(entry.model, [...entry.calibrate, ...entry.evaluate, ...args], out)
    found.push(await classesOf(readModel(readFileSync(out)), views))
    const same = (all) => all.map((c, i) => c.map((k, v) => Number(k === float[i][v])))
    const gain = (a, b) => clustered(same(b).map((c, i) => c.map((s, v) => s - same(a)[i][v])))
    way.push({
      ...{ what, args, ...short(answer), seen: compareViews(float, found.at(-1), views) },
      ...(than !== undefined && { than, gain: gain(found[than], found.at(-1)) }),
    })
  }
}

const points = (x) => `${x > 0 ? '+' : ''}${(100 * x).toFixed(2)}`
const difference = ({ difference, interval }) => `${points(difference)} (${points(interval[0])} to ${points(interval[1])})`
const percent = (n, of) => `${((100 * n) / of).toFixed(2)}%`
const line = (cells) => `| ${cells.join(' | ')} |`
const board = values.board ? [`instructions, ${values.board}`] : []
const row = (name, r) =>
  line([
    name,
    r.samples,
    percent(r.before, r.samples),
    percent(r.after, r.samples),
    difference(r.accuracy),
    percent(r.agree, r.samples),
    r.fileBytes.toLocaleString('en'),
    ...(values.board ? [r.instructions?.toLocaleString('en') ?? ''] : []),
  ])
const part = ({ difference, interval }) =>
  `${(100 * difference).toFixed(2)}% (${interval.map((x) => (100 * x).toFixed(2)).join(' to ')})`
const seenRow = (name, { seen: s }) =>
  line([
    name,
    s.views.toLocaleString('en'),
    s.inputs === s.judged ? s.inputs : `${s.inputs}, ${s.judged} with a class`,
    percent(s.before, 1),
    percent(s.after, 1),
    difference(s.accuracy),
    part(s.same),
  ])
const heads = ['model', 'inputs', 'float32', 'int8', 'difference, points (95%)', 'same answer', 'bytes', ...board]
const md = [
  '# Quantising float32 models',
  '',
  'Written by `node bench/quantize.mjs`. Inputs that calibration used are not among those counted. `published`: the int8 file',
  'that comes with the model, against the same float32 answers.',
  '',
  line(heads),
  line(heads.map(() => '---')),
  ...models.flatMap((m) => [row(m.name, m.ours), row(`${m.name}, published`, m.published)]),
  '',
  '## The same inputs, several views of each',
  '',
  'Photos as five windows of a larger picture, each also mirrored; small pictures mirrored; features of sound 20 and 40 ms',
  'earlier and later. Intervals count inputs, not views. `same answer` as float32 is also of photos that have no class of the model.',
  '',
  line(['model', 'views', 'of inputs', 'float32', 'int8', 'difference, points (95%)', 'same answer (95%)']),
  line(Array(7).fill('---')),
  ...models.flatMap((m) => [seenRow(m.name, m.ours), seenRow(`${m.name}, published`, m.published)]),
  ...(way.length > 0
    ? [
        '',
        '## Step by step: mobilenet_v1_0.25_224',
        '',
        'Right, difference: of the inputs as they are. The other columns: of all views. `gains`: how much more often the answer is',
        'that of float32 than in the step of the number in brackets.',
        '',
        line(['', 'step', 'right', 'difference (95%)', 'of views (95%)', 'same answer', 'gains (95%)', 'output, dB', 'bytes']),
        line(Array(9).fill('---')),
        ...way.map((w, i) =>
          line([
            i + 1,
            w.what,
            `${w.after} of ${w.samples}`,
            difference(w.accuracy),
            difference(w.seen.accuracy),
            percent(w.seen.same.difference, 1),
            w.gain ? `${difference(w.gain)} [${w.than + 1}]` : '',
            w.sqnr.toFixed(1),
            w.fileBytes.toLocaleString('en'),
          ]),
        ),
      ]
    : []),
  '',
].join('\n')
console.log(md)
mkdirSync(results, { recursive: true })
writeFileSync(join(results, 'quantize.json'), `${JSON.stringify({ models, way }, null, 1)}\n`)
writeFileSync(join(results, 'quantize.md'), md)
