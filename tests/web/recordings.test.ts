// From recorded sound, photographs and pixels to answers, with the artefacts that a page would load: what goes between them is
// src/web alone.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { webFiles } from '../../src/emit/js/files.ts'
import { compile } from '../../src/emit/program.ts'
import { decodeImage } from '../../src/io/images.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Spectrogram, toInt16 } from '../../src/web/audio.ts'
import { detections, priorBoxes, ULTRAFACE } from '../../src/web/boxes.ts'
import { topK } from '../../src/web/classes.ts'
import { imageInput } from '../../src/web/image.ts'
import { mfcc } from '../../src/web/mel.ts'
import { elements } from '../../src/web/port.ts'
import { readWav } from '../../src/web/wav.ts'
import { describeShared, sharedBytes, sharedJson, sharedModel } from '../shared/shared.ts'
import { writeFiles } from '../support/site.ts'

const scratch = fileURLToPath(new URL(`../../.tmp/recordings-${process.pid}`, import.meta.url))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

async function artefact(path: string, name: string) {
  writeFiles(scratch, webFiles(compile(sharedModel(path), { name })))
  return import(/* @vite-ignore */ join(scratch, `${name}.js`))
}
const sound = (file: string) => readWav(sharedBytes(`datasets/sample_inputs/tflm/${file}`), file).samples
const photograph = (file: string) => decodeImage(sharedBytes(`datasets/sample_inputs/${file}`), file)

describeShared('recordings', () => {
  test('micro_speech hears words in sound that arrives in pieces, with the features of TensorFlow Lite Micro', async () => {
    const golden = sharedJson('golden/tflm_more/real_micro_speech.json')
    const [front, back] = await Promise.all([
      artefact('models/tflm/audio_preprocessor_int8.tflite', 'front').then((a) => a.load()),
      artefact('models/tflm/micro_speech_int8.tflite', 'back').then((a) => a.load()),
    ])
    const heard = new Spectrogram({
      frontEnd: (window) => front.run({ audio_frame: window }).output,
      reset: front.reset,
    })
    for (const clip of golden.clips.filter((c: { windows: number }) => c.windows === 49)) {
      heard.reset()
      const samples = toInt16(sound(clip.file.split('/').at(-1)))
      for (let at = 0; at < samples.length; at += 128) heard.push(samples.subarray(at, at + 128))
      expect(fingerprint(heard.data)).toBe(clip.features_fnv1a)
      const { labels_softmax } = back.run({ Reshape_1: heard.data })
      expect([...labels_softmax]).toEqual(clip.int8)
      expect(topK(labels_softmax, 1, golden.classes)[0].label).toBe(clip.result)
    }
  })

  test('a keyword net of 49 x 10 cepstra understands yes', async () => {
    const { load, inputs } = await artefact('models/mlperf_tiny/kws_dscnn_int8.tflite', 'kws')
    const model = await load()
    const words = 'down go left no off on right stop up yes silence unknown'.split(' ')
    const best = (file: string, k: number) => {
      const options = { rate: 16000, window: 480, step: 320, bins: 40, low: 20, high: 4000, scale: 'htk' } as const
      const cepstra = mfcc(sound(file), { ...options, coefficients: 10 })
      const { output } = model.run({ input_1: elements(inputs.input_1, cepstra) })
      return topK(output as Int8Array, k, words)
    }
    expect(best('yes_1000ms.wav', 1)).toEqual([{ index: 9, label: 'yes', score: 127 }])
    // Said so that the net finds it close to "go".
    expect(best('no_1000ms.wav', 2).map((r) => r.label)).toContain('no')
  })

  test('person_detect sees what TensorFlow Lite Micro sees in the same pixels', async () => {
    const { load, inputs } = await artefact('models/tflm/person_detect_int8.tflite', 'person')
    const model = await load()
    const { models } = sharedJson('golden/tflm_more/real_person.json')
    const { results } = models.find((m: { model: string }) => m.model.endsWith('person_detect_int8.tflite'))
    for (const file of ['tflm/person.bmp', 'tflm/no_person.bmp']) {
      const wanted = results.find((r: { file: string }) => r.file.endsWith(file))
      const { output } = model.run({ input: imageInput(photograph(file), inputs.input) })
      expect([...output]).toEqual(wanted.int8)
    }
  })

  test('ultraface finds the faces, and none where there is none', async () => {
    const { load, inputs } = await artefact('models/onnx/ultraface_rfb320_simplified.onnx', 'faces')
    const model = await load()
    const priors = priorBoxes(ULTRAFACE)
    expect(priors.length).toBe(4 * 4420)
    const faces = (file: string) => {
      const picture = photograph(file)
      const input = imageInput(picture, inputs.input, { mean: [127], std: [128], crop: 'none' })
      const { scores, boxes } = model.run({ input })
      return detections(scores, boxes, priors, { score: 0.7 }).map((b) => [
        Math.round((b.left + b.right) * 0.5 * picture.width),
        Math.round((b.top + b.bottom) * 0.5 * picture.height),
      ])
    }
    const [[x, y], ...others] = faces('coral/grace_hopper.bmp')
    expect(others).toEqual([])
    expect([Math.abs(x - 266) < 15, Math.abs(y - 227) < 25]).toEqual([true, true])
    expect(faces('tinyengine/person_det.jpg')).toHaveLength(2)
    expect(faces('coral/cat.bmp')).toEqual([])
  })
})
