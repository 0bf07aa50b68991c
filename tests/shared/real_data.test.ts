// Real pictures through the nets in WebAssembly, beside what TensorFlow Lite Micro makes of them: equal bytes give equal
// bytes; a photo is decoded by another JPEG decoder than the golden's, so its class may move, within the golden's tolerance.

import { expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { decodeImage } from '../../src/io/images.ts'
import { readPacked } from '../../src/io/packed.ts'
import { imageInput } from '../../src/io/pictures.ts'
import { fingerprint, fnv1a, hex8 } from '../../src/ir/hash.ts'
import type { Data } from '../../src/loops/ir.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import type { RunningModel } from '../../src/run/model.ts'
import { centreCrop, type Image, resize, resizeShortSide, withChannels } from '../../src/web/resize.ts'
import { describeShared, sharedBytes, sharedJson, sharedModel, sharedPath } from './shared.ts'

function running(path: string): Promise<RunningModel> {
  return instantiate(compile(sharedModel(path), { target: 'wasm' }))
}

const firstMaximum = (scores: Int8Array) => scores.indexOf(Math.max(...scores))

/** How many classes score higher than `label`, those before it also where they score the same. */
const rankOf = (scores: Int8Array, label: number) =>
  scores.reduce((above, s, i) => above + Number(s > scores[label] || (s === scores[label] && i < label)), 0)

describeShared('ic_resnet8_int8 on 3,458 images of CIFAR-10', () => {
  test('every output byte is the golden one, and 3,050 are right', { timeout: 120_000 }, async () => {
    const golden = sharedJson('golden/tflm_more/real_ic_resnet8_int8.json')
    const { images, labels } = readPacked(sharedPath('datasets/cifar10/test_a.json'))
    expect(images).toHaveLength(3458)
    const model = await running(golden.model)
    const scores = images.map((image) => model.run([imageInput(image, model.inputs[0].type)])[0] as Int8Array)
    const predicted = scores.map(firstMaximum)
    expect(scores.slice(0, 8).map((s) => [...s])).toEqual(golden.first8_outputs)
    expect(predicted.join('')).toBe(golden.predicted)
    expect(predicted.filter((p, i) => p === labels[i])).toHaveLength(3050)
    const all = scores.reduce((hash, s) => fnv1a(new Uint8Array(s.buffer), hash), fnv1a(new Uint8Array(0)))
    expect(hex8(all)).toBe(golden.all_outputs_fnv1a)
  })
})

describeShared('person or no person', () => {
  const { models } = sharedJson('golden/tflm_more/real_person.json')

  /** `.gray96` files are 96 x 96 bytes. */
  const pictureIn = (path: string): Image =>
    path.endsWith('.gray96')
      ? { width: 96, height: 96, channels: 1, data: sharedBytes(path) }
      : decodeImage(sharedBytes(path))

  test.each<{ model: string; results: { file: string; input_fnv1a: string; int8: number[] }[] }>(models)(
    '$model answers the golden bytes, also where the picture is resized',
    { timeout: 30_000 },
    async ({ model: path, results }) => {
      expect(results).toHaveLength(14)
      const model = await running(path)
      const [, height, width, channels] = model.inputs[0].type.shape
      const answers = results.map(({ file }) => {
        const picture = resize(withChannels(pictureIn(file), channels === 1 ? 1 : 3), width, height)
        const input = imageInput(picture, model.inputs[0].type)
        return { file, input_fnv1a: fingerprint(input), int8: [...(model.run([input])[0] as Int8Array)] }
      })
      expect(answers).toEqual(results.map(({ file, input_fnv1a, int8 }) => ({ file, input_fnv1a, int8 })))
    },
  )
})

describeShared('203 photos of ImageNet', () => {
  const { files }: { files: Record<string, { label: number }> } = sharedJson('datasets/imagenet_samples/INFO.json')
  const names = Object.keys(files).sort()
  const photos = new Map<string, Image>()
  const photo = (name: string) => {
    const image = photos.get(name) ?? decodeImage(sharedBytes(`datasets/imagenet_samples/${name}`))
    photos.set(name, image)
    return image
  }
  const cut = new Map<number, Image[]>()
  const pictures = (resolution: number, side: number) => {
    const made =
      cut.get(resolution) ?? names.map((name) => centreCrop(resizeShortSide(photo(name), side), resolution, resolution))
    cut.set(resolution, made)
    return made
  }

  test.each([
    ['mcunet_in4', 159, 191],
    ['mcunet_in2', 140, 175],
    ['mcunet-5fps', 124, 173],
    ['mbv2-w0.35', 110, 145],
  ])(
    '%s: top-1 within 12 of %i, top-5 of %i, at least 155 equal classes',
    { timeout: 120_000 },
    async (name, top1, top5) => {
      const golden = sharedJson(`golden/tflm_more/real_imagenet_${name}_int8.json`)
      expect([golden.top1_right, golden.top5_right]).toEqual([top1, top5])
      const model = await running(golden.model)
      const inputs: Data[] = pictures(golden.resolution, golden.short_side).map((p) =>
        imageInput(p, model.inputs[0].type),
      )
      expect(inputs).toHaveLength(203)
      const scores = inputs.map((input) => model.run([input])[0] as Int8Array)
      const ranks = scores.map((s, i) => rankOf(s, files[names[i]].label))
      const within = (k: number) => ranks.filter((r) => r < k).length
      expect(Math.abs(within(1) - top1)).toBeLessThanOrEqual(12)
      expect(Math.abs(within(5) - top5)).toBeLessThanOrEqual(12)
      expect(scores.filter((s, i) => firstMaximum(s) === golden.predicted[i]).length).toBeGreaterThanOrEqual(155)
    },
  )
})
