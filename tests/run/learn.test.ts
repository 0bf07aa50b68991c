import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { InputError } from '../../src/errors.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { instantiateLearner } from '../../src/run/learn.ts'
import { reference } from '../../src/run/reference.ts'
import { trainingStep } from '../../src/train/step.ts'
import { net, sample } from '../train/pictures.ts'

const step = trainingStep(net(), { learn: 'full', optimizer: { kind: 'momentum' } })
const program = compile(step.graph)

describe('a learning model', () => {
  test('predicts as the model, learns as the graph', async () => {
    const model = await instantiateLearner(program)
    const [oracle, plain] = [reference(step.graph), reference(net())]
    const random = new Xorshift32(4)
    expect(model.predict([sample(random).image])[0]).toHaveLength(3)
    const { image } = sample(random)
    expect(model.predict([image])).toEqual(plain.run([image]))
    for (let i = 0; i < 20; i++) {
      const s = sample(random)
      const [loss, ...outputs] = oracle.run([s.image, Int32Array.of(s.label), Float32Array.of(0.05)])
      if (i % 3 === 0) model.predict([s.image])
      expect(model.train([s.image], s.label, 0.05)).toBe(loss[0])
      expect([...model.learned().values()]).toEqual(outputs.slice(1))
    }
  })

  test('a state that was saved comes back, and another program refuses it', async () => {
    const random = new Xorshift32(5)
    const model = await instantiateLearner(program)
    const samples = Array.from({ length: 6 }, () => sample(random))
    for (const s of samples.slice(0, 3)) model.train([s.image], s.label, 0.1)
    const saved = model.save()
    const losses = samples.slice(3).map((s) => model.train([s.image], s.label, 0.1))
    model.reset()
    const fresh = model.train([samples[0].image], samples[0].label, 0.1)
    model.restore(saved)
    expect(samples.slice(3).map((s) => model.train([s.image], s.label, 0.1))).toEqual(losses)
    const again = await instantiateLearner(program)
    expect(again.train([samples[0].image], samples[0].label, 0.1)).toBe(fresh)
    for (const at of [0, 100, saved.length - 16, saved.length - 12, saved.length - 1]) {
      const damaged = saved.slice()
      damaged[at] ^= 1
      expect(() => again.restore(damaged)).toThrow(/damaged/)
    }
    expect(() => again.restore(saved.subarray(1))).toThrow(InputError)
    const other = await instantiateLearner(compile(trainingStep(net(), { learn: 'full' }).graph))
    expect(() => other.restore(saved)).toThrow(InputError)
  })

  test('what is no label, no number or no rate changes nothing', async () => {
    const model = await instantiateLearner(program)
    const { image } = sample(new Xorshift32(6))
    const before = model.save()
    const broken = image.slice()
    broken[7] = Number.NaN
    for (const label of [-1, 3, 1.5, Number.NaN]) expect(() => model.train([image], label, 0.1)).toThrow(/label/)
    for (const rate of [-1, Number.NaN, 1e60]) expect(() => model.train([image], 1, rate)).toThrow(/rate/)
    expect(() => model.train([broken], 1, 0.1)).toThrow(/input "image": holds/)
    expect(() => model.train([image.subarray(1)], 1, 0.1)).toThrow(/input "image"/)
    expect(model.save()).toEqual(before)
  })

  test('a step that explodes goes back to where the loss was finite', async () => {
    const model = await instantiateLearner(program)
    const random = new Xorshift32(7)
    let good = model.save()
    const explode = () => {
      for (let i = 0; i < 50; i++) {
        const { image, label } = sample(random)
        const before = model.save()
        const loss = model.train([image], label, 1e25)
        expect(loss).toBeLessThan(Infinity)
        good = before
      }
    }
    expect(explode).toThrow(/went back to before the last step/)
    expect(model.save()).toEqual(good)
    const { image, label } = sample(random)
    expect(model.train([image], label, 0.01)).toBeLessThan(Infinity)
  })
})
