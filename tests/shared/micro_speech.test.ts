// From recorded sound to a word: TensorFlow Lite Micro's audio preprocessor on windows of 30 ms every 20 ms, and its
// micro_speech network on the features of a second. Features and scores are its own, byte for byte.

import { expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import type { Data } from '../../src/loops/ir.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import type { RunningModel } from '../../src/run/model.ts'
import { reference } from '../../src/run/reference.ts'
import { describeShared, sharedBytes, sharedJson, sharedModel } from './shared.ts'

interface Clip {
  readonly file: string
  readonly windows: number
  readonly features_fnv1a: string
  readonly feature_rows_fnv1a: readonly string[]
  readonly int8?: readonly number[]
  readonly result?: string
}

const [WINDOW, STRIDE, FEATURES, WAV_HEADER] = [480, 320, 40, 44]

function windowsOf({ file, windows }: Clip): Int16Array[] {
  const sound = new Int16Array(sharedBytes(file).slice(WAV_HEADER).buffer)
  return Array.from({ length: windows }, (_, i) => sound.slice(i * STRIDE, i * STRIDE + WINDOW))
}

describeShared('micro_speech on recorded words', () => {
  const { models, classes, clips }: { models: string[]; classes: string[]; clips: Clip[] } = sharedJson(
    'golden/tflm_more/real_micro_speech.json',
  )
  const [preprocessor, network] = models.map(sharedModel)

  const expectFeatures = (rows: readonly Data[], clip: Clip): Int8Array => {
    expect(rows.map(fingerprint)).toEqual(clip.feature_rows_fnv1a)
    const features = new Int8Array(rows.length * FEATURES)
    rows.forEach((row, i) => {
      features.set(row as Int8Array, i * FEATURES)
    })
    expect(fingerprint(features)).toBe(clip.features_fnv1a)
    return features
  }
  const expectWord = (scores: Int8Array, clip: Clip) => {
    expect([...scores]).toEqual(clip.int8)
    expect(classes[scores.indexOf(Math.max(...scores))]).toBe(clip.result)
  }
  const listen = (front: RunningModel, back: RunningModel, clip: Clip) => {
    front.reset()
    const features = expectFeatures(
      windowsOf(clip).map((w) => front.run([w])[0]),
      clip,
    )
    if (clip.result) expectWord(back.run([features])[0] as Int8Array, clip)
  }

  test.each(clips.map((c) => [c.file, c] as const))('%s, the reference', (_, clip) => {
    listen(reference(preprocessor), reference(network), clip)
  })

  test('the loop interpreter, single windows', () => {
    const [front, back] = [preprocessor, network].map((graph) => runPlan(compile(graph, { target: 'wasm' }).plan, 0xa5))
    for (const clip of clips.filter((c) => c.windows === 1)) listen(front, back, clip)
  })

  test('WebAssembly', async () => {
    const [front, back] = await Promise.all(
      [preprocessor, network].map((graph) => instantiate(compile(graph, { target: 'wasm' }))),
    )
    for (const clip of clips) listen(front, back, clip)
  })

  test.skipIf(!hostCompiler())('C on this machine (needs a C compiler)', () => {
    const [front, back] = [preprocessor, network].map((graph) => runHostC(compile(graph, { target: 'c' }).plan))
    for (const clip of clips) {
      front.reset()
      const rows = front.runMany(windowsOf(clip).map((w) => [w])).map(([row]) => row)
      const features = expectFeatures(rows, clip)
      if (clip.result) expectWord(back.run([features])[0] as Int8Array, clip)
    }
  })
})
