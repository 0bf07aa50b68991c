import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { reference } from '../../src/run/reference.ts'
import { trainingStep } from '../../src/train/step.ts'
import { describeShared, sharedModel } from '../shared/shared.ts'
import { hashOf } from '../support/bits.ts'
import { net, sample } from './pictures.ts'

const RATE = Float32Array.of(0.1)

function batchOf(n: number): { images: Float32Array; labels: Int32Array } {
  const random = new Xorshift32(6)
  const all = Array.from({ length: n }, () => sample(random))
  return {
    images: Float32Array.from(all.flatMap((s) => [...s.image])),
    labels: Int32Array.from(all, (s) => s.label),
  }
}

describe('a training step of several images', () => {
  test('of a net for one has the bits of the step of the same net for several', () => {
    const { images, labels } = batchOf(5)
    const [one, five] = [trainingStep(net(), { learn: 'full', batch: 5 }), trainingStep(net(5), { learn: 'full' })]
    const [a, b] = [one, five].map(({ graph }) => reference(graph).run([images, labels, RATE]).map(hashOf))
    expect(a).toEqual(b)
  })

  test('moves params by the mean of what each image alone moves them by', () => {
    const { images, labels } = batchOf(4)
    const all = trainingStep(net(), { learn: 'full', batch: 4 })
    const single = trainingStep(net(), { learn: 'full' })
    const after = reference(all.graph).run([images, labels, RATE]).slice(-all.params.length) as Float32Array[]
    const moved = Array.from(labels, (label, i) =>
      reference(single.graph)
        .run([images.slice(128 * i, 128 * (i + 1)), Int32Array.of(label), RATE])
        .slice(-all.params.length),
    ) as Float32Array[][]
    all.params.forEach(({ of }, p) => {
      const start = of.data as Float32Array
      after[p].forEach((x, i) => {
        const mean = moved.reduce((sum, params) => sum + params[p][i] - start[i], 0) / labels.length
        expect(x - start[i]).toBeCloseTo(mean, 6)
      })
    })
  })

  test('says what is no number of images', () => {
    expect(() => trainingStep(net(2), { learn: 'full', batch: 3 })).toThrow(/batch: is 3, "net" takes 2 images/)
  })
})

describeShared('float32 models that learn', () => {
  test.each([1, 3])(
    'DS-CNN, weights stored as int8 or float32, in full: bits of the reference, %i images',
    async (batch) => {
      const { graph, params } = trainingStep(sharedModel('models/mlperf_tiny/kws_dscnn_fp32.tflite'), {
        learn: 'full',
        batch,
      })
      expect(params.map((p) => p.param.type.dtype)).toEqual(params.map(() => 'f32'))
      const random = new Xorshift32(2)
      const inputs = [random.fill(graph.inputs[0].type), Int32Array.from({ length: batch }, (_, i) => i + 3), RATE]
      const model = await instantiate(compile(graph))
      expect(model.run(inputs).map(hashOf)).toEqual(reference(graph).run(inputs).map(hashOf))
    },
  )
})
