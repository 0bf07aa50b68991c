import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { printGraph } from '../../src/ir/print.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { reference } from '../../src/run/reference.ts'

const SHARED = process.env.MOTE_SHARED ?? join(import.meta.dirname, '../../../shared')
const MODELS = join(SHARED, 'models')
const all = existsSync(MODELS) ? readdirSync(MODELS, { recursive: true, encoding: 'utf8' }) : []
const files = all.filter((f) => f.endsWith('.tflite'))
const ONNX = all.filter((f) => f.endsWith('.onnx'))

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

/** QuantizeLinear sends halves to the even number, QUANTIZE sends them away from zero. */
const NOT_EXPRESSIBLE: Readonly<Record<string, RegExp>> = {
  'onnx/mobilenet_v2_int8.onnx': /no operator for .* = quantize\(input\) .*ties: "even"/,
}

describe.skipIf(files.length === 0)('released models (skipped where there are none beside the checkout)', () => {
  it.each(files)('%s is a graph that comes back the same from its own export', (name) => {
    const graph = readModel(readFileSync(join(MODELS, name)))
    expect(printGraph(readModel(writeTflite(graph)))).toBe(printGraph(graph))
  })

  it.each(ONNX)('%s computes the same as a .tflite file, or is on a list', (name) => {
    const graph = readModel(readFileSync(join(MODELS, name)))
    if (NOT_EXPRESSIBLE[name]) {
      expect(() => writeTflite(graph)).toThrow(ModelError)
      expect(() => writeTflite(graph)).toThrow(NOT_EXPRESSIBLE[name])
      return
    }
    const stateful = graph.nodes.some((n) => n.op.writesState)
    const runs = (g: Graph) => {
      const random = new Xorshift32(7)
      const model = reference(g)
      return Array.from({ length: stateful ? 3 : 1 }, () => model.run(g.inputs.map((v) => random.fill(v.type))))
    }
    expect(runs(readModel(writeTflite(graph)))).toEqual(runs(graph))
  })

  it.each(GOLDEN)('%s is read', (name) => {
    const graph = readModel(readFileSync(join(MODELS, `${name}.tflite`)))
    expect(graph.nodes.length).toBeGreaterThan(5)
  })
})
