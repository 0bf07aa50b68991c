// Keyword spotting on 500 real recordings: each prediction is TensorFlow Lite Micro's, and so is every output byte.

import { beforeAll, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { fnv1a, hex8 } from '../../src/ir/hash.ts'
import type { Data } from '../../src/loops/ir.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { describeShared, sharedBytes, sharedJson, sharedModel } from './shared.ts'

describeShared('kws_dscnn_int8 on 500 recordings', () => {
  const golden = sharedJson('golden/tflm_more/real_kws_dscnn_int8.json')
  const { labels } = sharedJson('datasets/mlperf_kws01/kws01.json')
  let graph: Graph
  beforeAll(() => {
    graph = sharedModel(golden.model)
  })
  const recordings = new Int8Array(sharedBytes(golden.data).buffer)
  const size = recordings.length / golden.samples
  const samples: readonly Data[][] = Array.from({ length: golden.samples }, (_, i) => [
    recordings.slice(i * size, (i + 1) * size),
  ])

  const expectGolden = (outputs: readonly Data[][]) => {
    const scores = outputs.map(([o]) => o as Int8Array)
    const predicted = scores.map((s) => s.indexOf(Math.max(...s)))
    expect(predicted).toEqual(golden.predicted)
    expect(predicted.filter((p, i) => p === labels[i])).toHaveLength(449)
    const all = scores.reduce((hash, s) => fnv1a(new Uint8Array(s.buffer), hash), fnv1a(new Uint8Array(0)))
    expect(hex8(all)).toBe(golden.all_outputs_fnv1a)
  }

  test('WebAssembly', async () => {
    const model = await instantiate(compile(graph, { target: 'wasm' }))
    expectGolden(samples.map((given) => model.run(given)))
  })

  test.skipIf(!hostCompiler())('C on this machine, in one process (needs a C compiler)', () => {
    expectGolden(runHostC(compile(graph, { target: 'c' }).plan).runMany(samples))
  })
})
