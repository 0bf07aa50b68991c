// The JavaScript around a program that learns does what the library's learner does.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { webFiles } from '../../src/emit/js/files.ts'
import { compile } from '../../src/emit/program.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { instantiateLearner } from '../../src/run/learn.ts'
import { type StepOptions, trainingStep } from '../../src/train/step.ts'
import { int8Net, net, sample } from '../train/pictures.ts'

const folder = `${fileURLToPath(new URL('../../', import.meta.url))}.tmp/learn-js-${process.pid}`
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function loaded(name: string, int8: boolean, options: StepOptions) {
  const program = compile(trainingStep(int8 ? await int8Net() : net(), options).graph, { name })
  mkdirSync(folder, { recursive: true })
  for (const file of webFiles(program)) writeFileSync(`${folder}/${file.name}`, file.data)
  const module = await import(/* @vite-ignore */ pathToFileURL(`${folder}/${name}.js`).href)
  return { module, model: await module.load(), learner: await instantiateLearner(program) }
}

describe('a loader of a program that learns', () => {
  test.each<[string, boolean, StepOptions]>([
    ['reals', false, { learn: 'full', optimizer: { kind: 'momentum' } }],
    ['bytes', true, { learn: 'last-2' }],
  ])('%s: predicts, learns, saves and restores', async (name, int8, options) => {
    const { module, model, learner } = await loaded(name, int8, options)
    const [key] = Object.keys(module.inputs)
    expect(Object.keys(module.inputs)).toHaveLength(1)
    const random = new Xorshift32(5)
    const input = ({ image }: { image: Float32Array }) =>
      int8 ? Int8Array.from(image, (v) => Math.round(64 * v)) : image
    const both = (x: Float32Array | Int8Array, label: number) => {
      const loss = learner.train([x], label, 0.05)
      expect(model.train({ [key]: x }, label, 0.05)).toBe(loss)
      expect(Object.values(model.run({ [key]: x }))).toEqual(learner.predict([x]))
    }
    for (let i = 0; i < 10; i++) {
      const s = sample(random)
      both(input(s), s.label)
    }
    const [saved, kept] = [model.save(), learner.save()]
    const s = sample(random)
    const after = model.train({ [key]: input(s) }, s.label, 0.05)
    model.restore(saved)
    learner.restore(kept)
    expect(model.train({ [key]: input(s) }, [s.label], 0.05)).toBe(after)
    learner.train([input(s)], s.label, 0.05)
    expect(Object.values(model.run({ [key]: input(s) }))).toEqual(learner.predict([input(s)]))
    model.reset()
    learner.reset()
    both(input(s), s.label)

    const state = model.save()
    for (const label of [-1, 3, 0.5, [0, 1]])
      expect(() => model.train({ [key]: input(s) }, label, 0.1)).toThrow(/label/)
    expect(() => model.train({ [key]: input(s) }, 0, Number.NaN)).toThrow(/rate/)
    expect(() => model.train({}, 0, 0.1)).toThrow(TypeError)
    expect(() => model.restore(saved.subarray(0, 9))).toThrow(/cut/)
    expect(() => model.restore(saved.map((b: number, i: number) => (i === 0 ? b ^ 1 : b)))).toThrow(/another program/)
    if (!int8) expect(() => model.train({ [key]: input(s).map(() => Number.NaN) }, 0, 0.1)).toThrow(/no number/)
    expect(model.save()).toEqual(state)
    model.dispose()
    expect(() => model.train({ [key]: input(s) }, 0, 0.1)).toThrow(/disposed/)
  })
})
