import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { describeShared, sharedJson, sharedModel, sharedPath } from './shared.ts'

function bytesOf(path: string): ArrayBuffer {
  const file = readFileSync(sharedPath(path))
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer
}

describeShared('models with dynamic-range weights', () => {
  const running = (path: string) => instantiate(compile(sharedModel(path), { target: 'wasm' }))

  test.each([
    ['ad_autoenc_fp32', 'tflite_anomaly_score_ToyCar_id_01.csv'],
    ['ad_autoenc_dynrange', 'tflite_quant_anomaly_score_ToyCar_id_01.csv'],
  ])('%s gives the anomaly score that was published for a real recording', async (name, scores) => {
    const folder = 'datasets/mlperf_ad_scores'
    const [, published] = /normal_id_01_00000000\.wav,([\d.]+)/.exec(
      readFileSync(sharedPath(`${folder}/${scores}`), 'utf8'),
    )!
    const frames = new Float32Array(bytesOf(`${folder}/normal_id_01_00000000_hist_librosa.bin`))
    const model = await running(`models/mlperf_tiny/${name}.tflite`)
    let error = 0
    let windows = 0
    for (let at = 0; at + 640 <= frames.length; at += 128, windows++) {
      const x = frames.slice(at, at + 640)
      const [y] = model.run([x]) as Float32Array[]
      error += y.reduce((sum, v, i) => sum + (v - x[i]) ** 2, 0) / 640
    }
    expect(Math.abs(error / windows / Number(published) - 1)).toBeLessThan(5e-6)
  })

  test('kws_dscnn_fp32, dynamic-range in spite of its name, hears at least as well as the int8 net (449 of 500)', async () => {
    const samples = new Int8Array(bytesOf('datasets/mlperf_kws01/kws01.bin'))
    const { labels } = sharedJson('datasets/mlperf_kws01/kws01.json')
    const model = await running('models/mlperf_tiny/kws_dscnn_fp32.tflite')
    let right = 0
    labels.forEach((label: number, i: number) => {
      const x = Float32Array.from(samples.subarray(i * 490, (i + 1) * 490), (q) => 0.584702909 * (q - 83))
      const [y] = model.run([x]) as Float32Array[]
      if (y.indexOf(Math.max(...y)) === label) right++
    })
    expect(right).toBeGreaterThanOrEqual(449)
  })
})
