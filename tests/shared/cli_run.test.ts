// `mote run` on whole data sets gives the counts of the golden runs.

import { expect, test } from 'vitest'
import { hostCompiler } from '../../src/run/host_c.ts'
import { answered } from '../cli/console.ts'
import { describeShared, sharedJson, sharedPath } from './shared.ts'

const hosts = hostCompiler() ? ['host-c'] : []

describeShared('mote run on data sets', () => {
  test('ic_resnet8_int8 is as often right on 300 images of CIFAR-10 as the golden', async () => {
    const golden = sharedJson('golden/tflm_more/real_ic_resnet8_int8.json')
    const { labels } = sharedJson('datasets/cifar10/test_a.json')
    const chosen = Array.from({ length: 300 }, (_, i) => Math.floor((i * labels.length) / 300))
    const predicted = chosen.map((i) => Number(golden.predicted[i]))
    const answer = await answered(
      ...['run', sharedPath(golden.model), sharedPath('datasets/cifar10/test_a'), '--limit', '300'],
    )
    expect(answer.predicted).toEqual(predicted)
    expect(answer.correct).toBe(predicted.filter((p, i) => p === labels[chosen[i]]).length)
    expect(answer.prepared).toEqual([{ steps: '32×32 → x − 128 → int8 for 0 to 255', inputs: 300 }])
  })

  test.each(['wasm', ...hosts])('kws_dscnn_int8 is right on 449 of 500 recordings, on %s', async (on) => {
    const golden = sharedJson('golden/tflm_more/real_kws_dscnn_int8.json')
    const set = sharedPath('datasets/mlperf_kws01/kws01.json')
    const answer = await answered('run', sharedPath(golden.model), set, '--on', on)
    expect(answer.predicted).toEqual(golden.predicted)
    expect([answer.samples, answer.correct]).toEqual([500, 449])
    expect(answer.confusion[10]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 36, 0])
  })
})
