// Small TFLite graphs of one or two operators against TensorFlow Lite Micro: integers by hash, floats within a tolerance.

import { expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { describeShared, sharedJson, sharedModel } from './shared.ts'

interface Record {
  readonly model: string
  readonly invokes: readonly {
    readonly outputs: readonly { readonly fnv1a?: string; readonly values?: number[]; readonly first64?: number[] }[]
    readonly op_outputs: readonly { readonly tensor: number; readonly fnv1a?: string }[]
  }[]
}

describeShared('small TFLite graphs', () => {
  test.each(['matmul_quant', 'simple_log_softmax_op', 'sqrt_mean_mul_ops'])(
    '%s gives what TensorFlow Lite Micro gives',
    async (name) => {
      const { models } = sharedJson('golden/tflm_more/ops_litert.json') as { models: readonly Record[] }
      const golden = models.find((m) => m.model.endsWith(`/${name}.tflite`))!
      const graph = sharedModel(golden.model)
      const random = new Xorshift32(1)
      const inputs = graph.inputs.map((v) => random.fill(v.type))
      const { outputs, tensors } = (await instantiate(compile(graph, { target: 'wasm' }))).trace(inputs)
      const [invoke] = golden.invokes
      const wanted = invoke.op_outputs.filter((o) => o.fnv1a !== undefined)
      const hashes = new Map(tensors.map(({ value, data }) => [value.index, fingerprint(data)]))
      expect(wanted.map((o) => [o.tensor, hashes.get(o.tensor)])).toEqual(wanted.map((o) => [o.tensor, o.fnv1a]))
      let compared = wanted.length
      invoke.outputs.forEach((o, i) => {
        if (o.fnv1a !== undefined) return
        const values = o.values ?? o.first64!
        const limit = 2e-5 * Math.max(...values.map(Math.abs)) + 1e-7
        values.forEach((v, j) => {
          expect(Math.abs(Number(outputs[i][j]) - v)).toBeLessThanOrEqual(limit)
        })
        compared += values.length
      })
      expect(compared).toBeGreaterThan(0)
    },
  )
})
