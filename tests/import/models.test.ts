import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import { printGraph } from '../../src/ir/print.ts'

const SHARED = process.env.MOTE_SHARED ?? join(import.meta.dirname, '../../../shared')
const MODELS = join(SHARED, 'models')
const files = existsSync(MODELS)
  ? readdirSync(MODELS, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.tflite'))
  : []

/** The nine int8 models that have goldens. */
const GOLDEN = [
  'mlperf_tiny/ad_autoenc_int8',
  'mlperf_tiny/ic_resnet8_int8',
  'mlperf_tiny/kws_dscnn_int8',
  'mlperf_tiny/sww_1d_dscnn_int8',
  'mlperf_tiny/vww_mbv1_025_96_int8',
  'tflm/person_detect_int8',
  'tinyengine/mcunet_person_det_int8',
  'tinyengine/mcunet_vww1_int8',
  'tinyengine/mcunetv2_large_int8',
]

function attempt<T>(read: () => T): T | ModelError {
  try {
    return read()
  } catch (e) {
    if (e instanceof ModelError) return e
    throw e
  }
}

/** Files that are refused, and layers that have no way back into a .tflite file yet. Whatever is mended must leave the list. */
const REFUSED: Readonly<Record<string, string>> = {
  'tflm/audio_preprocessor_int8.tflite': 'operator custom "SignalWindow" is not supported',
}
const NOT_WRITTEN: Readonly<Record<string, string>> = {
  'coral/keras_lstm_mnist_ptq.tflite': 'lstm',
  'mlperf_tiny/ad_autoenc_dynrange.tflite': 'dynamic_quantize',
  'mlperf_tiny/kws_dscnn_fp32.tflite': 'dynamic_quantize',
  'tflm/micro_speech_lstm.tflite': 'lstm',
  'tflm/mnist_lstm_fp32.tflite': 'lstm',
  'tflm/mnist_lstm_int8.tflite': 'lstm',
}

describe.skipIf(files.length === 0)('released models (skipped where there are none beside the checkout)', () => {
  it.each(files)('%s is a graph that comes back the same from its own export, or is on a list', (name) => {
    const graph = attempt(() => readModel(readFileSync(join(MODELS, name))))
    if (graph instanceof ModelError || REFUSED[name]) {
      expect(graph).toBeInstanceOf(ModelError)
      expect((graph as ModelError).message).toContain(REFUSED[name] ?? 'nothing: this file was read before')
      return
    }
    const exported = attempt(() => writeTflite(graph))
    if (exported instanceof ModelError || NOT_WRITTEN[name]) {
      expect(exported).toBeInstanceOf(ModelError)
      expect((exported as ModelError).message).toMatch(
        new RegExp(`^${NOT_WRITTEN[name] ?? 'nothing'} ".*no operator for`),
      )
      return
    }
    expect(printGraph(readModel(exported))).toBe(printGraph(graph))
  })

  it.each(GOLDEN)('%s is read', (name) => {
    const graph = readModel(readFileSync(join(MODELS, `${name}.tflite`)))
    expect(graph.nodes.length).toBeGreaterThan(5)
  })
})
