import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { instantiateLearner } from '../../src/run/learn.ts'
import { reference } from '../../src/run/reference.ts'
import { applyDelta, encodeDelta } from '../../src/train/delta.ts'
import { learnedModel } from '../../src/train/learned.ts'
import { type StepOptions, trainingStep } from '../../src/train/step.ts'
import { int8Net, net, sample } from './pictures.ts'

describe('what was learnt', () => {
  test.each<[string, boolean, StepOptions]>([
    ['float32, everything', false, { learn: 'full' }],
    ['int8, the last two layers', true, { learn: 'last-2' }],
    ['int8, a new classifier of four classes', true, { learn: 'bias-last-2', classes: 4 }],
  ])(
    '%s: becomes a model and a file that answer as the learner does, and a delta that leads there',
    async (_, int8, options) => {
      const step = trainingStep(int8 ? await int8Net() : net(), options)
      const learner = await instantiateLearner(compile(step.graph))
      const before = learner.learned()
      const random = new Xorshift32(2)
      const input = ({ image }: { image: Float32Array }) =>
        int8 ? Int8Array.from(image, (v) => Math.round(64 * v)) : image
      for (let i = 0; i < 30; i++) {
        const s = sample(random)
        learner.train([input(s)], s.label, 0.1)
      }
      const model = learnedModel(step, learner.learned())
      const file = readModel(writeTflite(model))
      const moved = learnedModel(step, applyDelta(before, encodeDelta(before, learner.learned())))
      for (let i = 0; i < 10; i++) {
        const x = [input(sample(random))]
        const expected = learner.predict(x)
        for (const graph of [model, file, moved]) expect(reference(graph).run(x)).toEqual(expected)
      }
      expect(reference(step.model).run([input(sample(random))])).not.toEqual(
        reference(model).run([input(sample(random))]),
      )
    },
  )

  test('needs a value for each param', () => {
    const step = trainingStep(net(), { learn: 'last' })
    expect(() => learnedModel(step, new Map())).toThrow(/has no elements/)
  })
})
