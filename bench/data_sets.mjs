// Data whose labels or numbers are of another kind than a model's, written anew in the packed form to a temporary folder that
// goes with the process; `shared` is the folder of models and data. And the float32 models that are quantised with such data.

import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calibrationInputs, evaluationInputs } from '../dist/cli/calibration.js'
import { readModel } from '../dist/index.js'
import { truthOf } from '../dist/report/evaluation.js'

export const json = (path) => JSON.parse(readFileSync(path, 'utf8'))

export function dataSets(shared) {
  const at = (path) => join(shared, path)
  if (!existsSync(at('datasets'))) {
    console.error(`no data sets at ${at('datasets')}; say where they are with --shared DIR`)
    process.exit(1)
  }
  const dir = mkdtempSync(join(tmpdir(), 'mote-quantize-'))
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }))

  /** CIFAR-100 as persons and no persons, as the models of Visual Wake Words tell them apart. */
  function persons(part) {
    const set = json(at(`datasets/cifar100/${part}.json`))
    const is = new Set(['baby', 'boy', 'girl', 'man', 'woman'])
    for (const { file } of set.files) symlinkSync(at(`datasets/cifar100/${file}`), join(dir, file))
    const labels = set.labels.map((l) => Number(is.has(set.classes[l])))
    writeFileSync(join(dir, `${part}.json`), JSON.stringify({ ...set, classes: ['no person', 'person'], labels }))
    return join(dir, part)
  }

  /** The keyword features as the float32 numbers that they were quantised from. */
  function keywords() {
    const set = json(at('datasets/mlperf_kws01/kws01.json'))
    const bytes = new Int8Array(readFileSync(at('datasets/mlperf_kws01/kws01.bin')))
    const { scale, zero } = readModel(readFileSync(at('models/mlperf_tiny/kws_dscnn_int8.tflite'))).inputs[0].type.quant
    const real = Float32Array.from(bytes, (q) => scale[0] * (q - zero[0]))
    writeFileSync(join(dir, 'kws.json'), JSON.stringify({ ...set, dtype: 'float32' }))
    writeFileSync(join(dir, 'kws.bin'), new Uint8Array(real.buffer))
    return join(dir, 'kws')
  }

  /** The ImageNet photos with their classes in the order of models that have a background at 0. */
  function photos() {
    const { files } = json(at('datasets/imagenet_samples/INFO.json'))
    const path = join(dir, 'photos.csv')
    writeFileSync(path, Object.entries(files).map(([file, { label }]) => `${file},${label + 1}\n`).join(''))
    return path
  }

  /** The models by the arguments of `mote quantize`: typical inputs, and others that judge. */
  const quantizable = () => [
    {
      name: 'ic_resnet8',
      model: 'mlperf_tiny/ic_resnet8_fp32.tflite',
      published: 'mlperf_tiny/ic_resnet8_int8.tflite',
      calibrate: ['--calibrate', at('datasets/cifar10/train'), '--range', '0..255'],
      evaluate: ['--evaluate', at('datasets/cifar10/test_a')],
      views: 'mirrored',
    },
    {
      name: 'vww_mbv1_025_96',
      model: 'mlperf_tiny/vww_mbv1_025_96_fp32.tflite',
      published: 'mlperf_tiny/vww_mbv1_025_96_int8.tflite',
      calibrate: ['--calibrate', persons('train'), '--range', '0..1'],
      evaluate: ['--evaluate', persons('test_a')],
      views: 'mirrored',
    },
    {
      name: 'kws_dscnn',
      model: 'mlperf_tiny/kws_dscnn_fp32.tflite',
      published: 'mlperf_tiny/kws_dscnn_int8.tflite',
      calibrate: ['--calibrate', keywords(), '--samples', '100'],
      evaluate: ['--evaluate', 'rest'],
      views: 'shifted',
    },
    {
      name: 'mobilenet_v1_0.25_224',
      model: 'tflite_support/mobilenet_v1_0.25_224_fp32.tflite',
      published: 'tflite_support/mobilenet_v1_0.25_224_quant.tflite',
      calibrate: ['--calibrate', at('datasets/flowers5/train'), '--range', '-1..1'],
      evaluate: ['--evaluate', at('datasets/imagenet_samples'), '--truth', photos()],
      views: 'corners',
      alike: [at('datasets/flowers5/val_a')],
    },
  ]

  const modelOf = ({ model }) => readModel(readFileSync(at(`models/${model}`)))

  /**
   * A model of `quantizable`, inputs that judge it and their classes: so many of them, or all, read for another input type
   * than the model's, or from another place, which has no classes of the model.
   */
  function judged(entry, { limit, type, evaluate: other } = {}) {
    const args = [...entry.calibrate, ...entry.evaluate]
    const flag = (name) => (args.includes(`--${name}`) ? args[args.indexOf(`--${name}`) + 1] : undefined)
    const io = { out() {}, err() {}, progress() {}, debug: false }
    const graph = modelOf(entry)
    const taking = { inputs: [{ type: type ?? graph.inputs[0].type }] }
    const range = flag('range')?.split('..').map(Number)
    const how = { crop: 'centre', resize: 'bilinear', ...(range && { range }) }
    const options = {
      samples: flag('samples') ?? '200',
      ...(other ? { evaluate: other } : { evaluate: flag('evaluate'), truth: flag('truth') }),
      ...(limit && { limit: String(limit) }),
    }
    const calibration = calibrationInputs(taking, flag('calibrate'), options, how, io)
    const samples = evaluationInputs(taking, calibration, options, how, io)
    const { classes, ordered } = samples.set
    const told = { truths: samples.read.samples.map((s) => s.truth), classes, ordered }
    return { graph, samples, ...(!other && { truths: truthOf(told, graph.outputs[0].type.shape.at(-1)).classes }) }
  }

  return { at, dir, persons, keywords, photos, quantizable, modelOf, judged }
}
