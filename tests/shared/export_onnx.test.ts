import { expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { ModelError } from '../../src/errors.ts'
import { writeOnnx } from '../../src/export/onnx.ts'
import { readOnnx } from '../../src/import/onnx.ts'
import type { Graph, Value } from '../../src/ir/graph.ts'
import { printGraph } from '../../src/ir/print.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import { dataSets, graphOf, onnxCases } from './onnx_cases.ts'
import { describeShared, sharedModel } from './shared.ts'

const MODELS = [
  'onnx/mnist_cnn.onnx',
  'onnx/mobilenet_v2_int8.onnx',
  'onnx/ultraface_rfb320_simplified.onnx',
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
  ['mlperf_tiny/kws_dscnn_int8.tflite', /integer arithmetic/],
  ['mlperf_tiny/kws_dscnn_fp32.tflite', /dynamic_quantize/],
  ['tflm/mnist_lstm_fp32.tflite', /state/],
] as const

async function outputsOf(graph: Graph) {
  const random = new Xorshift32(7)
  const program = compile(graph, { target: 'wasm' })
  const model = await instantiateWasm(program.wasm!, program.plan)
  return [1, 2, 3].map(() => model.run(graph.inputs.map((v) => random.fill(v.type))).map((data) => data.slice()))
}

/** The printed graph with values numbered: each reading derives names of its own from the file's. */
function withoutNames(graph: Graph): string {
  const known = new Map<Value, Value>()
  const numbered = (v: Value): Value => {
    if (!known.has(v)) known.set(v, { ...v, name: `v${known.size}` })
    return known.get(v)!
  }
  return printGraph({
    ...graph,
    inputs: graph.inputs.map(numbered),
    nodes: graph.nodes.map((n) => ({
      ...n,
      inputs: n.inputs.map((v) => v && numbered(v)),
      outputs: n.outputs.map(numbered),
    })),
    outputs: graph.outputs.map(numbered),
  })
}

/** Compared by bytes: element by element is slow for large outputs. */
function sameData(a: readonly (readonly Data[])[], b: readonly (readonly Data[])[]): boolean {
  const bytes = (runs: typeof a) => runs.flat().map((d) => Buffer.from(d.buffer, d.byteOffset, d.byteLength))
  const [left, right] = [bytes(a), bytes(b)]
  return left.length === right.length && left.every((l, i) => l.equals(right[i]))
}

describeShared('models written as .onnx', () => {
  test.each(MODELS)('%s gives the same bits, and is the same model when it is written again', async (name) => {
    const graph = sharedModel(`models/${name}`)
    const once = readOnnx(writeOnnx(graph))
    expect(sameData(await outputsOf(once), await outputsOf(graph))).toBe(true)
    expect(withoutNames(readOnnx(writeOnnx(once)))).toBe(withoutNames(once))
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
    expect(refused.size).toBe(0)
    expect(same).toBeGreaterThan(500)
  }, 300_000)
})
