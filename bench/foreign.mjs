// Files that `mote quantize` writes, read by others: .tflite by tfjs-tflite and LiteRT.js in headless Chromium, .onnx by
// onnxruntime in Node and onnxruntime-web in Chromium. Each reader runs the same real inputs that mote runs, none of which
// calibrated the model: elements of the answers that are equal, the largest difference (in steps of the output's scale, where
// the model ends in integers), inputs with the same best class, and accuracy beside mote's. TensorFlow Lite's kernels round
// sums in fixed point, and so does mote; where a reader rounds them in float32 (XNNPACK), its answers are also counted against
// mote's arithmetic of that kind. The published int8 file is read beside those that mote wrote. A reader that refuses a
// file, or is not installed beside the place that this is called from, is named with its reason.
// Writes bench/results/foreign.json and foreign.md; `--only`, a part of a model's name, leaves the rest as it was.
//
//   npm run build
//   npm install --no-save onnxruntime-node onnxruntime-web @litertjs/core @tensorflow/tfjs-tflite
//   node bench/foreign.mjs [--shared DIR] [--only NAME] [--inputs 100]
//
// Needs the models and data (`--shared`, MOTE_SHARED or ../shared) and Chromium.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromiumEngine, findChromium, nodeEngine, packageFolder } from '../dist/cli/rivals/engines.js'
import { RIVALS } from '../dist/cli/rivals/rivals.js'
import { samplesFor } from '../dist/compress/quantize/measure.js'
import { compile, instantiate, readModel } from '../dist/index.js'
import { dataSets, json } from './data_sets.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
    inputs: { type: 'string', default: '100' },
  },
})
const { at, dir, quantizable, judged } = dataSets(values.shared)

/** What is written, by the arguments of `mote quantize`; LiteRT.js takes no integers of 8 or 16 bits. */
const FORMS = [
  ['int8, published', '.tflite', undefined],
  ['int8', '.tflite', []],
  ['int8, float32 edges', '.tflite', ['--io', 'float']],
  ['int16x8, float32 edges', '.tflite', ['--to', 'int16x8', '--io', 'float']],
  ['int4, float32 edges', '.tflite', ['--to', 'int4', '--io', 'float']],
  ['dynamic', '.tflite', ['--to', 'dynamic']],
  ['float16', '.tflite', ['--to', 'float16']],
  ['int8', '.onnx', []],
  ['int8, float32 edges', '.onnx', ['--io', 'float']],
  ['float16', '.onnx', ['--to', 'float16']],
]
const CALIBRATED = (args) => !args.includes('dynamic') && !args.includes('float16')

function fileOf({ model, published, calibrate }, format, args) {
  const out = join(dir, `model${format}`)
  if (!args) {
    copyFileSync(at(`models/${published}`), out)
    return out
  }
  const inputs = CALIBRATED(args) ? calibrate : []
  const argv = ['quantize', at(`models/${model}`), '-o', out, '--force', '--json', ...inputs, ...args]
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), ...argv], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return out
}

const ARRAYS = { f32: 'Float32Array', i8: 'Int8Array', u8: 'Uint8Array', i16: 'Int16Array' }
const DTYPES = { f32: 'float32', i8: 'int8', u8: 'uint8', i16: 'int16' }

/** A reader's opener as text for the engine, after which all inputs of the file beside the model have gone through it. */
const throughAll = (open, array) => ({
  toString: () => `async (given) => {
  const opened = await (${open})(given)
  const { length } = given.inputs[0].values
  const file = (await given.bytes(given.model.replace(/[^/]*$/, 'inputs.bin'))).slice()
  const all = new ${array}(file.buffer)
  const answers = []
  for (let i = 0; i < all.length; i += length) {
    opened.give([all.subarray(i, i + length)])
    await opened.run()
    answers.push((await opened.outputs())[0])
  }
  return { run() {}, outputs: () => answers }
}`,
})

/** The size of a step of the output, where its numbers are integers or were just now. */
function stepOf({ nodes, outputs: [y] }) {
  if (y.type.dtype !== 'f32') return 1
  const last = nodes.find((n) => n.outputs.includes(y))
  return last?.op.name === 'dequantize' ? last.inputs[0].type.quant?.scale[0] : undefined
}

/** The same net rounded as ONNX Runtime and XNNPACK do; undefined where it has no sums of int8. */
function inFloat(graph) {
  const summed = (n) => n.inputs[0]?.type.dtype === 'i8' && n.op.quantize?.(n)?.scaling
  if (!graph.nodes.some(summed)) return undefined
  const nodes = graph.nodes.map((n) => {
    if (n.op.name === 'quantize') return { ...n, attrs: { ...n.attrs, ties: 'even' } }
    return summed(n) ? { ...n, attrs: { ...n.attrs, scaling: 'float' } } : n
  })
  return { ...graph, nodes }
}

const best = (scores) => scores.reduce((b, s, i) => (s > scores[b] ? i : b), 0)

async function answersOf(graph, inputs) {
  const model = await instantiate(compile(graph))
  return inputs.map((x) => Array.from(model.run([x])[0]))
}

function compared(ours, inFloat, theirs, truths, step) {
  const flat = ours.flat()
  const other = theirs.flat()
  if (flat.length !== other.length) throw new Error(`answers ${other.length} numbers, not ${flat.length}`)
  const most = flat.reduce((m, x, i) => Math.max(m, Math.abs(x - other[i])), 0)
  const right = (answers) => answers.filter((y, i) => best(y) === truths[i]).length
  return {
    inputs: ours.length,
    elements: flat.length,
    equal: flat.filter((x, i) => x === other[i]).length,
    ...(inFloat && { equalInFloat: inFloat.flat().filter((x, i) => x === other[i]).length }),
    ...(step ? { steps: Number((most / step).toFixed(2)) } : { difference: most }),
    agree: ours.filter((y, i) => best(y) === best(theirs[i])).length,
    right: right(theirs),
    motesRight: right(ours),
  }
}

const chromium = findChromium()
const ENGINES = {
  node: nodeEngine('node', process.execPath, process.version),
  ...(chromium && { page: await chromiumEngine(chromium) }),
}
const READERS = Object.entries(RIVALS).map(([name, rival]) => {
  const folder = packageFolder(rival.package)
  const version = folder && json(join(folder, 'package.json')).version
  return { name, ...rival, folder, version, engine: ENGINES[rival.engines[0]] }
})

async function readBy(reader, path, graph, inputs) {
  if (!reader.folder) throw new Error(`not installed: npm install --no-save ${reader.package}`)
  if (!reader.engine) throw new Error('no Chromium is installed')
  const { dtype, shape } = graph.inputs[0].type
  const given = [{ name: graph.inputs[0].name, dtype: DTYPES[dtype], shape, values: Array.from(inputs[0]) }]
  const [score] = await reader.engine.run(
    [
      {
        ...{ name: reader.name, open: throughAll(reader.open, ARRAYS[dtype]), model: path },
        ...{ packages: { [reader.package]: reader.folder }, inputs: given, outputs: [graph.outputs[0].name] },
      },
    ],
    { samples: 0, sampleMs: 1 },
  )
  if (score.error !== undefined) throw new Error(score.error)
  return score.outputs
}

async function checked(entry) {
  const { samples, truths } = judged(entry, { limit: values.inputs })
  const rows = []
  let scales
  for (const [form, format, args] of FORMS) {
    process.stderr.write(`${entry.name} ${form} ${format} …\n`)
    const path = fileOf(entry, format, args)
    const graph = readModel(readFileSync(path))
    // integers have no scale in .onnx: the inputs of both files that mote writes have the same
    const [{ type }] = graph.inputs
    if (args) scales ??= type.quant
    const scaled = type.dtype === 'i8' && !type.quant ? { ...type, quant: scales } : type
    const stored = samplesFor({ inputs: [{ type: scaled }] }, samples)
    const inputs = Array.from({ length: samples.count }, (_, i) => stored.inputs(i)[0])
    writeFileSync(join(dir, 'inputs.bin'), Buffer.concat(inputs.map((x) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength))))
    const ours = await answersOf(graph, inputs)
    const rounded = format === '.tflite' && inFloat(graph)
    const oursInFloat = rounded && (await answersOf(rounded, inputs))
    for (const reader of READERS.filter((r) => extname(path) === `.${r.format}`)) {
      const row = { form, format, reader: reader.name, version: reader.version }
      try {
        rows.push({ ...row, ...compared(ours, oursInFloat, await readBy(reader, path, graph, inputs), truths, stepOf(graph)) })
      } catch (error) {
        rows.push({ ...row, error: error.message.trim().split('\n')[0].slice(0, 200) })
      }
    }
  }
  return { name: entry.name, rows }
}

const results = join(root, 'bench/results')
const known = existsSync(join(results, 'foreign.json')) ? json(join(results, 'foreign.json')) : []
const models = []
for (const entry of quantizable()) {
  const before = known.find((m) => m.name === entry.name)
  if (entry.name.includes(values.only)) models.push(await checked(entry))
  else if (before) models.push(before)
}

const line = (cells) => `| ${cells.join(' | ')} |`
const share = (n, of) => (n === of ? 'all' : `${((100 * n) / of).toFixed(1)}%`)
const heads = ['file', 'reader', 'equal elements', 'rounded in float32', 'largest difference', 'same class', 'right', "mote's right"]
const inFloatOf = ({ equalInFloat, elements }) => (equalInFloat === undefined ? '' : share(equalInFloat, elements))
const most = ({ steps, difference }) =>
  steps === undefined ? difference.toExponential(1) : `${steps} step${steps === 1 ? '' : 's'}`
const md = [
  '# Quantised files in other readers',
  '',
  'Written by `node bench/foreign.mjs`: real inputs, none of which calibrated the model, through the reader and through mote.',
  '`rounded in float32`: equal elements where mote rounds sums of int8 in float32 and halves of inputs to even, as XNNPACK does',
  'in both readers of .tflite; mote itself rounds as TensorFlow Lite\'s own kernels.',
  'A step is the scale of the output where it ends in integers; other differences are of float32 numbers (softmax: 0 to 1).',
  '',
  ...models.flatMap(({ name, rows }) => [
    `## ${name}, ${rows.find((r) => r.inputs)?.inputs ?? 0} inputs`,
    '',
    line(heads),
    line(heads.map(() => '---')),
    ...rows.map((r) =>
      line([
        `${r.format} ${r.form}`,
        `${r.reader}${r.version ? ` ${r.version}` : ''}`,
        ...(r.error !== undefined
          ? [`refused: ${r.error.replaceAll('|', '/')}`, '', '', '', '', '']
          : [share(r.equal, r.elements), inFloatOf(r), most(r), `${r.agree}`, `${r.right}`, `${r.motesRight}`]),
      ]),
    ),
    '',
  ]),
].join('\n')
console.log(md)
mkdirSync(results, { recursive: true })
writeFileSync(join(results, 'foreign.json'), `${JSON.stringify(models, null, 1)}\n`)
writeFileSync(join(results, 'foreign.md'), md)
