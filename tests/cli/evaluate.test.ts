// `mote run` on sets of generated pictures, whose classes are what the reference says of them.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PNG } from 'pngjs'
import { describe, expect, test } from 'vitest'
import { mote } from '../../src/cli/mote.ts'
import { readNpy } from '../../src/io/npy.ts'
import { quantOf } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'
import { CaseBuilder, i8 } from '../../src/ops/case.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler } from '../../src/run/host_c.ts'
import { reference } from '../../src/run/reference.ts'
import { recurrent, separable, twoInputs } from '../support/nets.ts'
import { answered, folder, saved, typed } from './console.ts'

const dir = folder()
const model = saved(dir, separable())
const CLASSES = ['ant', 'bee', 'cat', 'dog', 'eel']
const COUNT = 12

const random = new Xorshift32(3)
const pictures = Array.from({ length: COUNT }, () => random.fill({ dtype: 'u8', shape: [8, 8, 3] }) as Uint8Array)
const outputs = pictures.map((p) => reference(separable()).run([Int8Array.from(p, (x) => x - 128)])[0] as Int8Array)
const answers = outputs.map((o) => o.indexOf(Math.max(...o)))
/** The first three are called wrong. */
const truth = answers.map((a, i) => (i < 3 ? (a + 1) % 5 : a))

function png(pixels: Uint8Array, height = 8): Uint8Array {
  const file = new PNG({ width: 8, height })
  for (let i = 0; i < 8 * height; i++) file.data.set([...pixels.subarray(3 * i, 3 * i + 3), 255], 4 * i)
  return new Uint8Array(PNG.sync.write(file))
}

function put(path: string, content: string | Uint8Array): string {
  mkdirSync(dirname(join(dir, path)), { recursive: true })
  writeFileSync(join(dir, path), content)
  return join(dir, path)
}

for (const [i, p] of pictures.entries()) {
  put(`zoo/${CLASSES[truth[i]]}/${i}.png`, png(p))
  put(`flat/${String(i).padStart(2, '0')}.png`, png(p))
}
const labels = put('labels.txt', `${CLASSES.join('\n')}\n`)
const table = put(
  'truth.csv',
  `file,label\n${truth.map((t, i) => `${String(i).padStart(2, '0')}.png,${t}`).join('\n')}`,
)
put('packed_00.png', png(Uint8Array.from(pictures.flatMap((p) => [...p])), 8 * COUNT))
const packed = put(
  'packed.json',
  JSON.stringify({
    shape: [8, 8, 3],
    files: [{ file: 'packed_00.png', images: COUNT }],
    labels: truth,
    classes: CLASSES,
  }),
)

const counted = { samples: COUNT, correct: COUNT - 3, accuracy: 0.75 }

describe('a set of inputs', () => {
  test.each<[string, string[]]>([
    ['a folder for each class, and labels', [join(dir, 'zoo'), '--labels', labels]],
    ['a table', [join(dir, 'flat'), '--truth', table]],
    ['a packed set', [packed]],
    ['a packed set without its ending', [packed.slice(0, -5), '--labels', labels]],
  ])('%s gives the counts of the reference', async (_, given) => {
    const answer = await answered('run', model, ...given)
    expect(answer).toMatchObject({ kind: 'classes', ...counted, unread: [] })
    expect(answer.prepared).toEqual([{ steps: expect.stringMatching(/^8×8 → x − 128 → int8/), inputs: COUNT }])
    const right = (predicted: number[], of: number[]) => predicted.filter((p, i) => p === of[i]).length
    expect(right(answer.predicted, answer.truth)).toBe(COUNT - 3)
    expect([...answer.predicted].sort()).toEqual([...answers].sort())
    expect(answer.confusion.flat().reduce((a: number, b: number) => a + b)).toBe(COUNT)
  })

  const runners = ['reference', 'interpreter', ...(hostCompiler() ? ['host-c'] : [])]
  test.each(runners)('%s answers as wasm does', async (on) => {
    const { predicted } = await answered('run', model, packed, '--on', on)
    expect(predicted).toEqual(answers)
  })

  test.skipIf(missingDeviceTools().length > 0)(
    'an emulated core answers as wasm does (needs gcc-arm-none-eabi and qemu-system-arm)',
    { timeout: 60_000 },
    async () => {
      const { predicted } = await answered('run', model, packed, '--on', 'cortex-m4', '--limit', '2')
      expect(predicted).toEqual([answers[0], answers[6]])
      const one = await answered('run', model, join(dir, 'flat/00.png'), '--on', 'portable')
      expect(one.outputs[0].data).toEqual([...outputs[0]])
      expect((await typed('run', model, '--seed', '1', '--on', 'portable', '--trace')).err).toMatch(/cannot show/)
    },
  )

  test('people see the share, its interval, each class and the matrix', async () => {
    const { out } = await typed('run', model, packed, '--top', '2')
    expect(out).toMatch(/9 of 12 right: 75\.0% \(95%: 46\.8% to 91\.1%\)/)
    expect(out).toMatch(/in the 2 highest scores \d+ of 12 right/)
    expect(out).toMatch(/ # +class|# +class/)
    expect(out).toMatch(/predicted:/)
  })

  test('as many inputs are run as are asked for, from the whole set', async () => {
    expect(await answered('run', model, packed, '--limit', '4')).toMatchObject({ samples: 4, correct: 3 })
    const { runs } = await answered('run', model, join(dir, 'flat'), '--limit', '2')
    expect(runs.map((r: { outputs: { data: number[] }[] }) => r.outputs[0].data)).toEqual(
      [outputs[0], outputs[6]].map((o) => [...o]),
    )
  })

  test('an input that cannot be read is named and not counted, and the exit code says so', async () => {
    const place = folder()
    for (const [i, p] of pictures.slice(3).entries()) {
      mkdirSync(join(place, CLASSES[truth[i + 3]]), { recursive: true })
      writeFileSync(join(place, CLASSES[truth[i + 3]], `${i}.png`), png(p))
    }
    writeFileSync(join(place, CLASSES[truth[3]], 'cut.png'), png(pictures[3]).subarray(0, 50))
    const { code, out } = await typed('run', model, place, '--labels', labels, '--json')
    expect(code).toBe(1)
    const { samples, accuracy, unread } = JSON.parse(out)
    expect([samples, accuracy, unread.length]).toEqual([COUNT - 3, 1, 1])
    expect(unread[0].message).toMatch(/cut\.png: is not a valid PNG/)
    expect((await typed('run', model, place, '--labels', labels)).out).toMatch(
      /not counted, since they cannot be read: 1\n/,
    )
  })

  test('a set in which nothing can be read is one error', async () => {
    const place = folder()
    mkdirSync(join(place, 'ant'))
    writeFileSync(join(place, 'ant', 'a.txt'), 'x')
    const { code, err } = await typed('run', model, place, '--labels', labels)
    expect(code).not.toBe(0)
    expect(err).toMatch(/^input ant\/a\.txt: the model takes/)
  })

  test('state starts anew for each input', async () => {
    const graph = recurrent()
    const path = saved(dir, graph)
    const [{ name, type }] = graph.inputs
    expect(name).toBeDefined()
    const data = new Xorshift32(9).fill(type)
    const bytes = new Uint8Array(data.buffer)
    const rows = [0, 1, 2].map((i) => `${i}.bin,0`)
    for (const i of [0, 1, 2]) put(`same/${i}.bin`, bytes)
    const out = join(dir, 'same.json')
    await answered('run', path, join(dir, 'same'), '--truth', put('same.csv', rows.join('\n')), '--out', out)
    const runs: { outputs: { data: number[] }[] }[] = JSON.parse(readFileSync(out, 'utf8'))
    const [first] = reference(recurrent()).run([data])
    for (const run of runs) expect(run.outputs[0].data).toEqual([...(first as Int8Array)])
    const kept = await answered('run', path, ...[0, 1].map((i) => join(dir, `same/${i}.bin`)))
    expect(kept.runs[1].outputs[0].data).not.toEqual(kept.runs[0].outputs[0].data)
  })

  test('one output is a score of two classes, which is said', async () => {
    const b = new CaseBuilder('score', 5)
    const x = b.input('x', i8([1, 4], 0.1, 0))
    const w = b.weights('w', [1, 4], 0.01)
    const graph = b.graph([
      b.one(
        fullyConnected,
        [x, w, b.bias('b', 1, 100)],
        { keepDims: false, clamp: {} },
        { from: 's', quant: quantOf(0.01, -50) },
      ),
    ])
    const path = saved(dir, graph)
    const given: Data[] = Array.from({ length: 6 }, () => random.fill(x.type))
    const says = given.map((d) => Number((reference(graph).run([d])[0][0] as number) + 50 >= 50))
    for (const [i, d] of given.entries()) put(`score/${says[i] ? 'yes' : 'no'}/${i}.bin`, new Uint8Array(d.buffer))
    expect(new Set(says).size).toBe(2)
    const answer = await answered('run', path, join(dir, 'score'))
    expect(answer).toMatchObject({ accuracy: 1, assumed: ['0.5 and more means "yes" (the later in the alphabet)'] })
  })

  test('progress comes at most ten times a second and is cleared', async () => {
    const told: { at: number; text: string }[] = []
    const io = { out: () => {}, err: () => {}, debug: false }
    await mote(['run', model, packed, '--on', 'reference'], {
      ...io,
      progress: (text) => told.push({ at: performance.now(), text }),
    })
    expect(told[0].text).toBe('0 of 12')
    expect(told.at(-1)!.text).toBe('')
    const shown = told.filter((t) => t.text !== '')
    for (let i = 1; i < shown.length; i++) expect(shown[i].at - shown[i - 1].at).toBeGreaterThanOrEqual(99)
  })
})

describe('--out', () => {
  test('writes what a set gave, as one array or as JSON', async () => {
    const npy = join(dir, 'scores.npy')
    await answered('run', model, packed, '--out', npy)
    const { dtype, shape, data } = readNpy(readFileSync(npy))
    expect([dtype, shape, [...(data as Int8Array)]]).toEqual(['i8', [COUNT, 5], outputs.flatMap((o) => [...o])])
    await answered('run', model, join(dir, 'flat/00.png'), '--out', npy, '--force')
    expect(readNpy(readFileSync(npy)).shape).toEqual([1, 5])
    const json = join(dir, 'scores.json')
    await answered('run', model, packed, '--out', json)
    const runs = JSON.parse(readFileSync(json, 'utf8'))
    expect(runs).toHaveLength(COUNT)
    expect(runs[1]).toMatchObject({ inputs: ['packed.json[1]'], outputs: [{ name: 'scores', data: [...outputs[1]] }] })
  })

  test.each<[string, string[], RegExp]>([
    ['another format', [model, packed, '--out', join(dir, 'x.txt')], /^--out: is ".*x\.txt"/],
    [
      'a file that is there',
      [model, packed, '--out', put('kept.npy', 'mine')],
      /kept\.npy: exists\n {2}hint: .*--force/,
    ],
    ['an input, even if forced', [model, packed, '--out', packed, '--force'], /packed\.json: is an input of this run/],
    [
      'no folder',
      [model, packed, '--out', join(dir, 'no', 'x.npy')],
      /x\.npy: is to be in a folder that does not exist/,
    ],
    [
      'two outputs as one array',
      [saved(dir, twoInputs()), '--seed', '1', '--out', join(dir, 'y.npy')],
      /y\.npy: holds one array, the model has 2/,
    ],
  ])('%s is refused', async (_, line, says) => {
    const { code, err } = await typed('run', ...line)
    expect(err).toMatch(says)
    expect(code).not.toBe(0)
    expect(readFileSync(join(dir, 'kept.npy'), 'utf8')).toBe('mine')
  })
})

test.each<[string, string[], RegExp]>([
  ['an unknown crop', ['--crop', 'left'], /^--crop: "left" is not known\n {2}hint: choose from centre, none/],
  ['an unknown resize', ['--resize', 'cubic'], /^--resize: "cubic" is not known/],
  ['a mean of letters', ['--mean', '1,b'], /^--mean: "1,b" is not a list of numbers/],
  ['two means', ['--mean', '1,2'], /mean has 2 numbers, the model takes 3 channels/],
  ['a negative deviation', ['--std', '-1'], /std is -1, it must be above 0/],
  ['a rate of nothing', ['--rate', '0'], /^--rate: "0" is not a whole number/],
  ['a limit of nothing', ['--limit', '0'], /^--limit: "0" is not a whole number/],
  ['a trace of a set', ['--trace'], /^--trace: is for single inputs/],
  ['a seed and a set', ['--seed', '1'], /^--seed: generates the inputs, 1 input files/],
])('%s is one error', async (_, flags, says) => {
  const { code, err } = await typed('run', model, packed, ...flags)
  expect(err).toMatch(says)
  expect(err).not.toMatch(/internal error/)
  expect(code).not.toBe(0)
})

test('a set is refused by a model of two inputs, and one whose classes do not fit before anything is run', async () => {
  expect((await typed('run', saved(dir, twoInputs()), packed)).err).toMatch(/is a set of inputs, the model has 2/)
  expect((await typed('run', model, join(dir, 'score'))).err).toMatch(/^classes: of the inputs are 2, among them "no"/)
})
