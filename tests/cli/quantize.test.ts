import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tap } from '../../src/compress/quantize/run.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import { writeNpy } from '../../src/io/npy.ts'
import { mobile, samplesOf } from '../compress/nets.ts'
import { answered, folder, typed } from './console.ts'

const dir = folder()
const net = mobile({ channels: 40 })
const model = join(dir, 'net.tflite')
writeFileSync(model, writeTflite(net))
const shape = [8, 8, 3]
const npy = (data: Float32Array, ...more: number[]) => writeNpy({ dtype: 'f32', shape: [...more, ...shape], data })
const dataOf = (n: number, seed: number) => {
  const { inputs } = samplesOf(net, n, seed)
  return Array.from({ length: n }, (_, i) => inputs(i)[0] as Float32Array)
}
const put = (name: string, bytes: Uint8Array) => {
  writeFileSync(join(dir, name), bytes)
  return join(dir, name)
}
const joined = (all: readonly Float32Array[]) => Float32Array.from(all.flatMap((d) => [...d]))

const loose = join(dir, 'loose')
mkdirSync(loose)
dataOf(20, 3).forEach((data, i) => {
  writeFileSync(join(loose, `${i}.npy`), npy(data))
})
const many = put('many.npy', npy(joined(dataOf(24, 4)), 24))
const test1 = join(dir, 'test')
/** A folder for each class, as the float32 model sees it. */
async function classes(): Promise<void> {
  const tapped = await tap(net, net.outputs)
  for (const [i, data] of dataOf(30, 5).entries()) {
    const scores = Array.from(tapped.run([data])[0] as Float32Array)
    const to = join(test1, String(scores.indexOf(Math.max(...scores))))
    mkdirSync(to, { recursive: true })
    writeFileSync(join(to, `${i}.npy`), npy(data))
  }
}

test('a folder of inputs makes an int8 model, and the model that was read stays', async () => {
  const before = readFileSync(model)
  const out = join(dir, 'int8.tflite')
  const answer = await answered('quantize', model, '--calibrate', loose, '-o', out)
  expect(readFileSync(model)).toEqual(before)
  const made = readModel(readFileSync(out))
  expect([made.inputs[0].type.dtype, made.outputs[0].type.dtype]).toEqual(['i8', 'i8'])
  expect(answer).toMatchObject({ file: out, to: 'int8', warnings: [], floats: [] })
  expect(answer.after.weightBytes).toBeLessThan(answer.before.weightBytes / 2)
  expect(answer.layers.length).toBe(9)
  expect(answer.layers[0]).toMatchObject({ name: 'stem', op: 'conv2d', weightBits: 8, outputBits: 8 })
})

test('accuracy before and after, each layer alone, and a page without scripts', async () => {
  await classes()
  const [out, html] = [join(dir, 'judged.tflite'), join(dir, 'judged.html')]
  const argv = ['--calibrate', many, '--evaluate', test1, '--alone', '10', '-o', out, '--html', html]
  const { comparison, layers } = await answered('quantize', model, ...argv)
  expect(comparison).toMatchObject({ set: test1, samples: 30, before: { correct: 30, accuracy: 1 } })
  expect(comparison.after.correct).toBe(comparison.agree)
  expect(comparison.accuracy.difference).toBeCloseTo(comparison.after.accuracy - 1)
  expect(layers.filter((l: { alone?: object }) => l.alone).length).toBe(7)
  const page = readFileSync(html, 'utf8')
  expect(page).not.toContain('<script')
  expect(page).toContain('Signal to quantisation noise')
  const { out: text } = await typed('quantize', model, ...argv, '--force')
  expect(text).toMatch(/weights .*%/)
  expect(text).toMatch(/difference: [-+0-9.]+ points \(95%: /)
})

test('every form is written, int4 smaller than int8', async () => {
  const size = async (to: string, ending = 'tflite', ...more: string[]) => {
    const out = join(dir, `${to}.${ending}`)
    const calibrate = ['float16', 'dynamic'].includes(to) ? [] : ['--calibrate', many]
    const { file } = await answered('quantize', model, '--to', to, ...calibrate, ...more, '-o', out, '--force')
    readModel(readFileSync(file))
    return readFileSync(file).length
  }
  expect(await size('int4', 'tflite', '--rounding', 'adaround')).toBeLessThan(await size('int8'))
  for (const to of ['int16x8', 'float16', 'dynamic']) await size(to)
  await size('int8', 'onnx')
})

test('limits of RAM and flash are met with fewer bits, and the file is read by the other commands', async () => {
  const out = join(dir, 'small.mote')
  const limits = ['--sram', '3300', '--flash', '7000', '--target', 'cortex-m4', '--mixed', 'rules']
  const answer = await answered('quantize', model, '--calibrate', many, ...limits, '-o', out)
  expect(answer.after.arenaBytes).toBeLessThanOrEqual(3300)
  expect(answer.after.weightBytes).toBeLessThanOrEqual(7000)
  expect(answer.steps).toContainEqual(
    expect.stringMatching(/^fewer bits for 3.22 KB of RAM .*\(8 bits: .* on cortex-m4, largest first$/),
  )
  const bits = answer.layers.flatMap((l: { weightBits?: number; outputBits: number }) => [l.weightBits, l.outputBits])
  expect(bits).toContain(4)
  const compiled = await answered('compile', out, '--target', 'cortex-m4', '--sram', '3300', '-o', join(dir, 'small'))
  expect(compiled.plan.arenaBytes).toBe(answer.after.arenaBytes)
  expect((await answered('run', out, '--seed', '1')).outputs).toHaveLength(1)
})

test('few inputs are a warning, and the rest of a set judges', async () => {
  const one = await answered('quantize', model, '--calibrate', join(loose, '0.npy'), '-o', join(dir, 'one.tflite'))
  expect(one.warnings).toEqual([expect.stringMatching(/^1 input to calibrate: int8 would clip/)])
  const rest = ['--samples', '8', '--evaluate', 'rest', '-o', join(dir, 'rest.tflite')]
  const { comparison } = await answered('quantize', model, '--calibrate', many, ...rest)
  expect(comparison).toMatchObject({ set: many, samples: 16 })
})

const flat = put('flat.npy', npy(new Float32Array(192).fill(0.5)))
const broken = put('broken.npy', npy(new Float32Array(192).fill(Number.NaN)))
const wide = put('wide.npy', writeNpy({ dtype: 'f32', shape: [9, 9, 3], data: new Float32Array(243) }))
const empty = join(dir, 'empty')
mkdirSync(empty)

test.each([
  [
    'inputs that calibrated the model as those that judge it',
    ['--calibrate', many, '--evaluate', many],
    /24 of 24 inputs have calibrated the model/,
  ],
  ['nothing left to judge by', ['--calibrate', many, '--evaluate', 'rest'], /calibration uses all inputs/],
  ['inputs of one number', ['--calibrate', flat], /holds nothing but the number 0.5: every range would be a guess/],
  ['inputs of NaN', ['--calibrate', broken], /holds NaN, which no scale can hold/],
  ['inputs of another shape', ['--calibrate', wide], /has shape \[9,9,3\], the model takes \[1,8,8,3\]/],
  ['a folder of nothing', ['--calibrate', empty], /holds no files/],
  ['no inputs', [], /--calibrate: is missing: int8 needs typical inputs/],
])('refused: %s', async (_, argv, says) => {
  const { code, err } = await typed('quantize', model, ...argv, '-o', join(dir, 'never.tflite'))
  expect(code).toBe(1)
  expect(err).toMatch(says)
})

test('the model itself is never overwritten, another file only with --force', async () => {
  const argv = ['quantize', model, '--calibrate', many, '-o']
  expect((await typed(...argv, model, '--force')).err).toMatch(/net.tflite: is the model itself/)
  const there = put('there.tflite', new Uint8Array(1))
  expect((await typed(...argv, there)).err).toMatch(/there.tflite: exists/)
  expect((await typed(...argv, there, '--force')).code).toBe(0)
})
