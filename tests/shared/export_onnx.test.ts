import { expect, test } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeOnnx } from '../../src/export/onnx.ts'
import { readOnnx } from '../../src/import/onnx.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { reference } from '../../src/run/reference.ts'
import { dataSets, graphOf, onnxCases } from './onnx_cases.ts'
import { describeShared, sharedModel } from './shared.ts'

const MODELS = [
  'onnx/mnist_cnn.onnx',
  'imu/magic_wand_5spells.onnx',
  'onnx/esp_streaming.onnx',
  'imu/magic_wand_5spells_fp32.tflite',
  'mlperf_tiny/ad_autoenc_fp32.tflite',
  'mlperf_tiny/ic_resnet8_fp32.tflite',
  'mlperf_tiny/vww_mbv1_025_96_fp32.tflite',
  'tflm/hello_world_float.tflite',
  'tflm/magic_wand.tflite',
]
const REFUSED = [
  ['onnx/mobilenet_v2_int8.onnx', /scales of/],
  ['mlperf_tiny/kws_dscnn_fp32.tflite', /dynamic_quantize/],
  ['tflm/mnist_lstm_fp32.tflite', /state/],
] as const

function outputsOf(graph: Graph) {
  const random = new Xorshift32(7)
  const model = reference(graph)
  return [1, 2, 3].map(() => model.run(graph.inputs.map((v) => random.fill(v.type))))
}

describeShared('models written as .onnx', () => {
  test.each(MODELS)('%s gives the same bits', (name) => {
    const graph = sharedModel(`models/${name}`)
    expect(outputsOf(readOnnx(writeOnnx(graph)))).toEqual(outputsOf(graph))
  })

  test.each(REFUSED)('%s is refused: %s', (name, why) => {
    const graph = sharedModel(`models/${name}`)
    expect(() => writeOnnx(graph)).toThrow(ModelError)
    expect(() => writeOnnx(graph)).toThrow(why)
  })

  test('conformance cases give the same bits, or are refused by an error that names the layer', () => {
    const wrong: string[] = []
    const refused = new Map<string, number>()
    let same = 0
    for (const c of onnxCases()) {
      let read: ReturnType<typeof graphOf>
      try {
        read = graphOf(c, dataSets(c)[0])
      } catch (error) {
        if (error instanceof ModelError) continue
        throw error
      }
      let bytes: Uint8Array
      try {
        bytes = writeOnnx(read.graph)
      } catch (error) {
        if (!(error instanceof ModelError)) throw error
        const what = /for .*?= (\w+)/.exec(error.message)?.[1] ?? error.message.slice(0, 60)
        refused.set(what, (refused.get(what) ?? 0) + 1)
        continue
      }
      try {
        expect(reference(readOnnx(bytes)).run(read.inputs)).toEqual(reference(read.graph).run(read.inputs))
        same++
      } catch (error) {
        wrong.push(`${c.test}: ${String(error).slice(0, 160)}`)
      }
    }
    console.log(
      `same ${same}, refused`,
      [...refused]
        .sort((a, b) => b[1] - a[1])
        .map(([k, n]) => `${k} ${n}`)
        .join(', '),
    )
    expect(wrong).toEqual([])
    expect(same).toBeGreaterThan(390)
  }, 300_000)
})
