import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { instantiateLearner } from '../../src/run/learn.ts'
import { reference } from '../../src/run/reference.ts'
import { importanceOf } from '../../src/train/importance.ts'
import { Replay } from '../../src/train/replay.ts'
import { splitModel } from '../../src/train/split.ts'
import { gradientStep, trainingStep } from '../../src/train/step.ts'
import { describeShared, sharedModel } from '../shared/shared.ts'
import { int8Net, net, sample } from './pictures.ts'

const stored = (image: Float32Array) => Int8Array.from(image, (v) => Math.round(64 * v))

describe('replay', () => {
  test('keeps every example of a class with the same chance', () => {
    const counts = new Array<number>(40).fill(0)
    for (let seed = 1; seed <= 2000; seed++) {
      const replay = new Replay<number>({ classes: 2, perClass: 10, seed })
      for (let i = 0; i < 40; i++) replay.add(i, 0)
      expect(replay.size).toBe(10)
      for (let k = 0; k < 4; k++) counts[replay.draw()!.example]++
    }
    // 8,000 draws over 40 examples: 200 each, standard deviation about 14.
    for (const n of counts) expect(Math.abs(n - 200)).toBeLessThan(70)
  })

  test('draws classes evenly, and says what is no class', () => {
    const replay = new Replay<string>({ classes: 3, perClass: 2 })
    expect(replay.draw()).toBeUndefined()
    for (let i = 0; i < 50; i++) replay.add(`a${i}`, 0)
    replay.add('b', 2)
    const labels = Array.from({ length: 400 }, () => replay.draw()!.label)
    expect(labels.filter((l) => l === 2).length).toBeGreaterThan(150)
    expect(labels).not.toContain(1)
    expect(() => replay.add('c', 3)).toThrow(/classes are 0 to 2/)
    expect(() => new Replay({ classes: 0, perClass: 1 })).toThrow(/classes/)
  })
})

describe('a model in two', () => {
  test('is the model, and its back learns what the whole learns', async () => {
    const model = await int8Net()
    const { front, back } = splitModel(model, 2)
    const whole = trainingStep(model, { learn: 'last-2' })
    const half = trainingStep(back, { learn: 'last-2' })
    const [wholeStep, halfStep] = [reference(whole.graph), reference(half.graph)]
    const random = new Xorshift32(3)
    for (let i = 0; i < 5; i++) {
      const { image, label } = sample(random)
      const [latent] = reference(front).run([stored(image)])
      expect(reference(back).run([latent])).toEqual(reference(model).run([stored(image)]))
      const rest = [Int32Array.of(label), Float32Array.of(0.1)]
      expect(halfStep.run([latent, ...rest])).toEqual(wholeStep.run([stored(image), ...rest]))
    }
  })

  test('needs one tensor between them', () => {
    expect(() => splitModel(net(), 9)).toThrow(/before the last 9 layers/)
    expect(splitModel(net(), 1).back.inputs[0].type.dtype).toBe('f32')
  })

  describeShared('shared models', () => {
    test('the latent of mcunet-5fps is int8 and small', () => {
      const { front, back } = splitModel(sharedModel('models/tiny_training/mcunet-5fps_int8.tflite'), 4)
      expect(front.outputs[0]).toBe(back.inputs[0])
      expect(front.outputs[0].type.dtype).toBe('i8')
    })
  })
})

describe('distillation', () => {
  test('with the shares that a class means, the loss and the gradients are those of the class', async () => {
    const random = new Xorshift32(2)
    const hard = await instantiate(compile(gradientStep(net(), { learn: 'full' }).graph))
    const soft = await instantiate(compile(gradientStep(net(), { learn: 'full', loss: 'shares' }).graph))
    for (let i = 0; i < 5; i++) {
      const { image, label } = sample(random)
      const [lossHard, ...ofHard] = hard.run([image, Int32Array.of(label)])
      const [lossSoft, ...ofSoft] = soft.run([image, Float32Array.from([0, 1, 2], (c) => (c === label ? 1 : 0))])
      expect(Number(lossSoft[0])).toBeCloseTo(Number(lossHard[0]), 5)
      for (const [k, g] of ofHard.entries())
        for (const [j, x] of g.entries()) expect(Number(ofSoft[k][j])).toBeCloseTo(Number(x), 5)
    }
  })

  test("towards the model's own answers nothing is left to learn", async () => {
    const step = trainingStep(net(), { learn: 'last', loss: 'shares' })
    const learner = await instantiateLearner(compile(step.graph))
    const { image } = sample(new Xorshift32(4))
    const before = learner.predict([image])[0] as Float32Array
    for (let i = 0; i < 20; i++) learner.train([image], before, 0.5)
    const after = learner.predict([image])[0] as Float32Array
    for (const [c, p] of after.entries()) expect(p).toBeCloseTo(before[c], 4)
  })
})

describe('an anchor', () => {
  type Moved = ReadonlyMap<string, ArrayLike<number | bigint>>
  /** Squares of how far params moved, times how important they are. */
  const distance = (a: Moved, b: Moved, importance: ReadonlyMap<string, Float32Array>) =>
    [...a].reduce((sum, [name, x]) => {
      const [y, weight] = [b.get(name)!, importance.get(name)!]
      return sum + weight.reduce((s, w, i) => s + w * (Number(x[i]) - Number(y[i])) ** 2, 0)
    }, 0)

  test.each([
    ['float32', false, 20, 0.05],
    ['int8', true, 2, 0.02],
  ] as const)('%s: what was important moves less', async (_, int8, strength, rate) => {
    const model = int8 ? await int8Net() : net()
    const random = new Xorshift32(6)
    const given = ({ image, label }: ReturnType<typeof sample>) => ({
      inputs: [int8 ? stored(image) : image],
      label: Int32Array.of(label),
    })
    const options = { learn: 'last-2' } as const
    const importance = await importanceOf(
      model,
      options,
      Array.from({ length: 50 }, () => given(sample(random))),
    )
    const moved = async (anchor: { strength: number; importance: typeof importance } | undefined) => {
      const learner = await instantiateLearner(
        compile(trainingStep(model, { ...options, ...(anchor && { anchor }) }).graph),
      )
      const before = learner.learned()
      const same = new Xorshift32(7)
      for (let i = 0; i < 60; i++) {
        const { inputs } = given(sample(same))
        learner.train(inputs, 0, rate)
      }
      return distance(before, learner.learned(), importance)
    }
    const free = await moved(undefined)
    const held = await moved({ strength, importance })
    const weightless = await moved({
      strength,
      importance: new Map([...importance].map(([k, v]) => [k, v.map(() => 0)])),
    })
    expect(held).toBeLessThan(0.8 * free)
    expect(weightless).toBe(free)
  })

  test('importance needs examples', async () => {
    await expect(importanceOf(net(), { learn: 'last' }, [])).rejects.toThrow(/examples/)
  })
})
