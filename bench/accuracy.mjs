// Accuracy on real data: every sample through the compiled WebAssembly, counted beside what TensorFlow Lite Micro's reference
// kernels answered on the same files. A count that is not the golden one (integer inputs) or not within the golden's
// tolerance (photos, whose JPEG decoder differs) ends the run with an error.
// Writes bench/results/accuracy.json and accuracy.md.
//
//   npm run build && node bench/accuracy.mjs [--shared DIR] [--only NAME]
//
// Needs the models, data and goldens (`--shared`, MOTE_SHARED or ../shared).

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compile, instantiate, readModel } from '../dist/index.js'
import { decodeImage } from '../dist/io/images.js'
import { centreCrop, resize, resizeShortSide, withChannels } from '../dist/web/resize.js'
import { readPacked } from '../dist/io/packed.js'
import { imageInput } from '../dist/io/pictures.js'
import { fingerprint, fnv1a, hex8 } from '../dist/ir/hash.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
  },
})
const at = (path) => join(values.shared, path)
const json = (path) => JSON.parse(readFileSync(at(path), 'utf8'))
if (!existsSync(at('golden/tflm_more'))) {
  console.error(`no goldens at ${at('golden/tflm_more')}; say where they are with --shared DIR`)
  process.exit(1)
}

const MOVED = 12 // top-1 may move by this much under another JPEG decoder,
const SAME = 155 // and this many of 203 classes stay

const rows = []
const faults = []
function check(name, what, ok) {
  if (!ok) faults.push(`${name}: ${what}`)
}

const open = (path) => instantiate(compile(readModel(new Uint8Array(readFileSync(at(path)))), { target: 'wasm' }))
const firstMaximum = (scores) => scores.indexOf(Math.max(...scores))
const rankOf = (scores, label) =>
  scores.reduce((above, s, i) => above + (s > scores[label] || (s === scores[label] && i < label) ? 1 : 0), 0)
const hashOfAll = (scores) => hex8(scores.reduce((h, s) => fnv1a(new Uint8Array(s.buffer), h), fnv1a(new Uint8Array(0))))

/** Integer inputs: every prediction and the hash of all outputs are the golden ones. */
async function exact(name, data, goldenFile, inputsOf) {
  if (!name.includes(values.only)) return
  process.stderr.write(`${name} …\n`)
  const golden = json(`golden/tflm_more/${goldenFile}`)
  const model = await open(golden.model)
  const { inputs, labels } = inputsOf(golden, model.inputs[0].type)
  const scores = inputs.map((input) => model.run([input])[0])
  const predicted = scores.map(firstMaximum)
  const right = predicted.filter((p, i) => p === labels[i]).length
  const same = predicted.filter((p, i) => p === Number(golden.predicted[i])).length
  const bytesEqual = hashOfAll(scores) === golden.all_outputs_fnv1a
  check(name, `${right} right, golden ${golden.right}`, right === golden.right)
  check(name, `${same} of ${inputs.length} classes equal`, same === inputs.length)
  check(name, 'the outputs have another hash than the golden ones', bytesEqual)
  rows.push({ name, data, samples: inputs.length, right, tflmRight: golden.right, same, outputs: bytesEqual ? 'equal' : 'differ' })
}

await exact('kws_dscnn_int8', 'mlperf_kws01', 'real_kws_dscnn_int8.json', (golden) => {
  const bytes = new Int8Array(readFileSync(at(golden.data)))
  const size = bytes.length / golden.samples
  const inputs = Array.from({ length: golden.samples }, (_, i) => bytes.slice(i * size, (i + 1) * size))
  return { inputs, labels: json('datasets/mlperf_kws01/kws01.json').labels }
})
await exact('ic_resnet8_int8', 'CIFAR-10 test_a', 'real_ic_resnet8_int8.json', (_, type) => {
  const { images, labels } = readPacked(at('datasets/cifar10/test_a.json'))
  return { inputs: images.map((image) => imageInput(image, type)), labels }
})

const { files } = json('datasets/imagenet_samples/INFO.json')
const names = Object.keys(files).sort()
let photos
for (const net of ['mcunet_in4', 'mcunet_in2', 'mcunet-5fps', 'mbv2-w0.35']) {
  const name = `${net}_int8`
  if (!name.includes(values.only)) continue
  process.stderr.write(`${name} …\n`)
  photos ??= names.map((file) => decodeImage(new Uint8Array(readFileSync(at(`datasets/imagenet_samples/${file}`))), file))
  const golden = json(`golden/tflm_more/real_imagenet_${name}.json`)
  const model = await open(golden.model)
  const { resolution, short_side: side } = golden
  const scores = photos.map((photo) => {
    const picture = centreCrop(resizeShortSide(photo, side), resolution, resolution)
    return model.run([imageInput(picture, model.inputs[0].type)])[0]
  })
  const ranks = scores.map((s, i) => rankOf(s, files[names[i]].label))
  const within = (k) => ranks.filter((r) => r < k).length
  const same = scores.filter((s, i) => firstMaximum(s) === golden.predicted[i]).length
  check(name, `top-1 ${within(1)}, golden ${golden.top1_right}`, Math.abs(within(1) - golden.top1_right) <= MOVED)
  check(name, `${same} classes equal, at least ${SAME} asked for`, same >= SAME)
  rows.push({
    name,
    data: 'imagenet_samples',
    samples: photos.length,
    right: within(1),
    tflmRight: golden.top1_right,
    top5: within(5),
    tflmTop5: golden.top5_right,
    same,
    outputs: 'another JPEG decoder',
  })
}

const pictureIn = (path) => {
  const bytes = new Uint8Array(readFileSync(at(path)))
  return path.endsWith('.gray96') ? { width: 96, height: 96, channels: 1, data: bytes } : decodeImage(bytes, path)
}
for (const { model: path, results, output_order: order } of json('golden/tflm_more/real_person.json').models) {
  const name = path.replace(/.*\/|\.tflite/g, '')
  if (!name.includes(values.only)) continue
  process.stderr.write(`${name} …\n`)
  const model = await open(path)
  const [, height, width, channels] = model.inputs[0].type.shape
  const answers = results.map(({ file }) => {
    const picture = resize(withChannels(pictureIn(file), channels), width, height)
    const input = imageInput(picture, model.inputs[0].type)
    return { bytes: fingerprint(input), scores: model.run([input])[0] }
  })
  const labelled = results.flatMap(({ label }, i) => (label ? [{ i, label: order.indexOf(label) }] : []))
  const right = (scoresOf) => labelled.filter(({ i, label }) => firstMaximum(scoresOf(i)) === label).length
  const same = answers.filter(({ scores }, i) => firstMaximum(scores) === firstMaximum(results[i].int8)).length
  const equal = answers.filter(({ scores }, i) => scores.join() === results[i].int8.join()).length
  const unlike = answers.filter(
    ({ bytes, scores }, i) => bytes === results[i].input_fnv1a && scores.join() !== results[i].int8.join(),
  ).length
  check(name, `${unlike} outputs differ on equal inputs`, unlike === 0)
  check(name, `${same} of ${results.length} classes equal`, same === results.length)
  rows.push({
    name,
    data: 'sample_inputs',
    samples: results.length,
    labelled: labelled.length,
    right: right((i) => answers[i].scores),
    tflmRight: right((i) => results[i].int8),
    same,
    outputs: equal === results.length ? 'equal' : `${equal} of ${results.length} equal`,
  })
}

const share = (n, of) => `${n} (${((100 * n) / of).toFixed(1)}%)`
const table = [
  '| model | data | samples | right | TFLM | top 5 | TFLM | same class as TFLM | output bytes |',
  '|---|---|--:|--:|--:|--:|--:|--:|---|',
  ...rows.map(({ name, data, samples, labelled, right, tflmRight, top5, tflmTop5, same, outputs }) => {
    const of = labelled ?? samples
    const counts = labelled ? [`${right} of ${of}`, `${tflmRight} of ${of}`] : [share(right, of), share(tflmRight, of)]
    return `| ${name} | ${data} | ${samples} | ${counts.join(' | ')} | ${top5 ?? '–'} | ${tflmTop5 ?? '–'} | ${same} | ${outputs} |`
  }),
]
console.log(table.join('\n'))
if (faults.length > 0) {
  console.error(faults.join('\n'))
  process.exit(1)
}
if (!values.only) {
  mkdirSync(join(root, 'bench/results'), { recursive: true })
  writeFileSync(join(root, 'bench/results/accuracy.json'), `${JSON.stringify({ runner: 'wasm', rows }, null, 1)}\n`)
  writeFileSync(
    join(root, 'bench/results/accuracy.md'),
    [
      '# Accuracy on real data',
      '',
      'Made by `npm run build && node bench/accuracy.mjs`: the compiled WebAssembly beside TensorFlow Lite Micro (TFLM), reference',
      'kernels. Where the input is given as integers, or the picture as pixels, every output byte is the same. The 203 photos are',
      'JPEG: this decoder (jpeg-js) does not interpolate chroma as that of the goldens (libjpeg-turbo) does, so a few classes move;',
      `the run fails unless top-1 is within ${MOVED} of that of TFLM and at least ${SAME} classes are the same. Four of`,
      'the 14 sample inputs of the person models have a label.',
      '',
      ...table,
      '',
    ].join('\n'),
  )
}
