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

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
    board: { type: 'string' },
  },
})
const { at, dir, quantizable, judged } = dataSets(values.shared)

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
const WAY = [
  ['one scale for a tensor', ['--weights', 'per-tensor', '--no-correct-bias']],
  ['… + equalisation', ['--weights', 'per-tensor', '--equalize', '--no-correct-bias']],
  ['a scale for each channel', ['--no-correct-bias']],
  ['… + equalisation', ['--equalize', '--no-correct-bias']],
  ['… + bias correction', []],
  ['… + adaround', ['--rounding', 'adaround']],
  ['… + equalisation', ['--equalize', '--rounding', 'adaround']],
  ['int4 weights', ['--to', 'int4', '--no-correct-bias']],
  ['… + bias correction', ['--to', 'int4']],
  ['… + adaround', ['--to', 'int4', '--rounding', 'adaround']],
  ['… in layers of 129 products and more', ['--to', 'int4', '--rounding', 'adaround', '--short-sums', '129']],
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
  const ours = short(quantize(entry.model, [...entry.calibrate, ...entry.evaluate, '--rounding', 'adaround'], out))
  const [own, theirs] = instructions([out, at(`models/${entry.published}`)])
  const beside = await published(entry)
  made.push({
    name: entry.name,
    floatBytes: readFileSync(at(`models/${entry.model}`)).length,
    ours: { ...ours, ...(own && { instructions: own }) },
    published: { ...beside, ...(theirs && { instructions: theirs }) },
  })
}
const models = MODELS.flatMap(({ name }) => [...made, ...known.models].find((m) => m.name === name) ?? [])
const way = 'step by step'.includes(values.only) ? [] : known.way
if (way !== known.way)
  for (const [what, args] of WAY) {
    process.stderr.write(`${what} ${args.join(' ')} …\n`)
    const answer = quantize(MODELS[3].model, [...MODELS[3].calibrate, ...MODELS[3].evaluate, ...args], join(dir, 'way.tflite'))
    way.push({ what, args, ...short(answer) })
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
  ...(way.length > 0
    ? [
        '',
        '## Step by step: mobilenet_v1_0.25_224',
        '',
        line(['step', 'right', 'difference, points (95%)', 'same answer', 'output, dB', 'bytes', 'seconds']),
        line(Array(7).fill('---')),
        ...way.map((w) =>
          line([
            w.what,
            `${w.after} of ${w.samples}`,
            difference(w.accuracy),
            `${w.agree}`,
            w.sqnr.toFixed(1),
            w.fileBytes.toLocaleString('en'),
            w.seconds.toFixed(0),
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
