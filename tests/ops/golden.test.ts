// Small graphs and float models against TensorFlow Lite Micro's reference kernels, operator by operator: integers by
// hash, floats (which it sums with the host's own rounding) within the tolerance that the goldens state.

import { expect, test } from 'vitest'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { reference } from '../../src/run/reference.ts'
import { describeShared, sharedJson, sharedModel } from '../shared/shared.ts'

interface OpOutput {
  readonly tensor: number
  readonly fnv1a?: string
  readonly first4?: readonly number[]
  readonly sum_abs?: number
}

interface Record {
  readonly model: string
  readonly invokes: readonly { readonly op_outputs: readonly OpOutput[] }[]
}

const RECORDS: readonly (readonly [file: string, model?: string])[] = [
  ['ops_quantizer', 'fc.tflite'],
  ['ops_quantizer', 'fc_qat.tflite'],
  ['ops_quantizer', 'single_avg_pool_min_minus_5_max_plus_5.tflite'],
  ['ops_quantizer', 'single_conv_no_bias.tflite'],
  ['ops_quantizer', 'single_conv_weights_min_0_max_plus_10.tflite'],
  ['ops_quantizer', 'weight_shared_between_convs.tflite'],
  ['ops_litert', 'attn_vec_einsum.tflite'],
  ['ops_litert', 'k_einsum.tflite'],
  ['tflm__hello_world_float'],
  ['tflm__hello_world_int8'],
  ['tflm__magic_wand'],
  ['imu__magic_wand_5spells_quant'],
  ['imu__magic_wand_5spells_fp32'],
  ['mlperf_tiny__ad_autoenc_fp32'],
  ['mlperf_tiny__kws_dscnn_int8'],
]

describeShared("TensorFlow Lite Micro's reference kernels", () => {
  test.each(RECORDS)('%s %s', (file, model) => {
    const json = sharedJson(`golden/tflm_more/${file}.json`) as Record & { readonly models: readonly Record[] }
    const record = model ? json.models.find((m) => m.model.endsWith(`/${model}`))! : json
    const graph = sharedModel(record.model)
    const random = new Xorshift32(1)
    const { tensors } = reference(graph).trace(graph.inputs.map((v) => random.fill(v.type)))
    const byIndex = new Map(tensors.map(({ value, data }) => [value.index, data]))
    const wanted = record.invokes[0].op_outputs
    expect(wanted.length).toBeGreaterThan(0)
    for (const { tensor, fnv1a, first4, sum_abs } of wanted) {
      const data = byIndex.get(tensor)!
      const where = `tensor ${tensor}`
      if (fnv1a) {
        expect(fingerprint(data), where).toBe(fnv1a)
        continue
      }
      const floats = Array.from(data as Float32Array)
      const tolerance = 2e-5 * floats.reduce((max, x) => Math.max(max, Math.abs(x)), 0) + 1e-7
      first4!.forEach((x, i) => {
        expect(Math.abs(x - floats[i]), `${where}, element ${i}`).toBeLessThanOrEqual(tolerance)
      })
      const sum = floats.reduce((s, x) => s + Math.abs(x), 0)
      expect(Math.abs(sum - sum_abs!), where).toBeLessThanOrEqual(tolerance * floats.length)
    }
  })
})
