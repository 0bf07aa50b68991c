import { expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { runPasses } from '../../src/passes/index.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import { describeShared, sharedBytes, sharedJson, sharedModel } from './shared.ts'

interface Golden {
  readonly inputs: readonly unknown[]
  readonly outputs: readonly unknown[]
}

/** Largest difference to ONNX Runtime, of outputs up to about 6, and the most transpositions that may be left. */
const MODELS: readonly (readonly [path: string, tolerance: number, transposes: number])[] = [
  ['models/onnx/mnist_cnn', 2e-6, 1],
  ['models/imu/magic_wand_5spells', 1e-6, 2],
  ['models/onnx/esp_streaming', 1e-6, 2],
  ['models/onnx/ultraface_rfb320_simplified', 3e-5, 1],
  ['models/onnx/mobilenet_v2_int8', 0, 1],
]

function floatsOf(path: string): Float32Array {
  return new Float32Array(sharedBytes(path).slice().buffer)
}

/** The reference is slow on the large ones. */
const SMALL = 100_000
const activations = (g: Graph) => g.inputs.reduce((n, v) => n + v.type.shape.reduce((p, d) => p * d, 1), 0)

describeShared('ONNX models', () => {
  test.each(MODELS)('%s gives what ONNX Runtime gives', async (path, tolerance, transposes) => {
    const graph = sharedModel(`${path}.onnx`)
    const golden: Golden = sharedJson(`${path}.golden/golden.json`)
    const inputs = golden.inputs.map((_, i) => floatsOf(`${path}.golden/input_${i}.bin`))
    const program = compile(graph)
    const outputs = (await instantiateWasm(program.wasm!, program.plan)).run(inputs)
    golden.outputs.forEach((_, i) => {
      const expected = floatsOf(`${path}.golden/output_${i}.bin`)
      const worst = expected.reduce((most, v, k) => Math.max(most, Math.abs(v - Number(outputs[i][k]))), 0)
      expect(outputs[i].length).toBe(expected.length)
      expect(worst).toBeLessThanOrEqual(tolerance)
    })
    const optimised = runPasses(graph)
    expect(optimised.nodes.filter((node) => node.op.name === 'transpose').length).toBeLessThanOrEqual(transposes)
    if (activations(graph) < SMALL) expect(reference(optimised).run(inputs)).toEqual(reference(graph).run(inputs))
    if (activations(graph) < SMALL) expect(reference(graph).run(inputs)).toEqual(outputs)
  })
})
