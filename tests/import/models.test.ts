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

describe.skipIf(files.length === 0)('released models (skipped where there are none beside the checkout)', () => {
  it.each(files)('%s is a graph that comes back the same from its own export, or is refused', (name) => {
    const graph = attempt(() => readModel(readFileSync(join(MODELS, name))))
    if (graph instanceof ModelError) {
      expect(graph.where).toBeTruthy()
      return
    }
    const exported = attempt(() => writeTflite(graph))
    if (exported instanceof ModelError) {
      expect(exported.message).toContain('TensorFlow Lite has no operator for')
      return
    }
    expect(printGraph(readModel(exported))).toBe(printGraph(graph))
  })

  it.each(GOLDEN)('%s is read', (name) => {
    const graph = readModel(readFileSync(join(MODELS, `${name}.tflite`)))
    expect(graph.nodes.length).toBeGreaterThan(5)
  })
})
