import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { replaceFiles } from '../../src/cli/files.ts'
import { separable } from '../support/nets.ts'
import { folder, saved, typed } from './console.ts'

const dir = folder()
const model = saved(dir, separable())
const at = (name: string, data: string | Uint8Array) => {
  writeFileSync(join(dir, name), data)
  return join(dir, name)
}
const png = at('picture.tflite', new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13]))
const page = at('page.tflite', '<!DOCTYPE html><html><body>404</body></html>')
const wall = at('wall', 'a file')

const BAD: readonly (readonly [what: string, line: readonly string[], says: RegExp])[] = [
  ['a picture as model', ['inspect', png], /picture\.tflite: /],
  ['an error page as model', ['inspect', page], /page\.tflite: /],
  ['an input that is missing', ['run', model, join(dir, 'none.npy')], /none\.npy: /],
  ['a folder as input', ['run', model, dir], /mote-cli-\w+: /],
  ['an empty input', ['run', model, at('empty.bin', '')], /empty\.bin: .*0/],
  ['JSON that holds NaN', ['run', model, at('nan.json', '[NaN]')], /nan\.json: /],
  ['a cut .npy', ['run', model, at('cut.npy', '\x93NUMPY')], /cut\.npy: /],
  ['an input of a name that is not ASCII', ['run', model, at('größe 数.bin', 'x')], /größe 数\.bin: .*1/],
  ['labels that are missing', ['run', model, '--seed', '1', '--labels', join(dir, 'no.txt')], /no\.txt: no such file/],
  ['a folder of labels', ['run', model, '--seed', '1', '--labels', dir], /is a folder, not a file/],
  ['a top of nothing', ['run', model, '--seed', '1', '--top', '0'], /^--top: "0"/],
  ['an output folder that is a file', ['compile', model, '-o', wall], /wall: is in the way/],
  ['an output folder inside a file', ['compile', model, '-o', join(wall, 'x')], /x: leads through a file/],
  ['a conversion without an output', ['convert', model], /^--output: is ""/],
  ['a conversion to another format', ['convert', model, '-o', join(dir, 'x.h5')], /^--output: is ".*x\.h5"/],
  ['a conversion over the model itself', ['convert', png, '-o', png], /picture\.tflite: is the model itself/],
  ['a conversion over a file', ['convert', model, '-o', page], /page\.tflite: exists\n {2}hint: .*--force/],
  ['a conversion into no folder', ['convert', model, '-o', join(dir, 'no', 'x.tflite')], /x\.tflite: no such file/],
]

test.each(BAD)('%s is one error with exit code 1 and a JSON document', async (_, line, says) => {
  const { code, out, err } = await typed(...line, '--json')
  expect(err).toMatch(says)
  expect(err).not.toMatch(/internal error/)
  expect(JSON.parse(out).error.message).not.toBe('')
  expect(code).toBe(1)
})

test('a write that fails leaves what was there and no temporary file', async () => {
  const place = folder()
  const kept = join(place, 'kept.txt')
  writeFileSync(kept, 'before')
  const lost = join(place, 'missing', 'b.txt')
  await expect(
    replaceFiles([
      { path: kept, data: 'after' },
      { path: lost, data: 'x' },
    ]),
  ).rejects.toThrow(`${lost}: no such file`)
  expect(readFileSync(kept, 'utf8')).toBe('before')
  expect(readdirSync(place)).toEqual(['kept.txt'])
})

test('a folder in the place of a file is named and stays', async () => {
  const place = folder()
  mkdirSync(join(place, 'a'))
  await expect(replaceFiles([{ path: join(place, 'a'), data: 'x' }])).rejects.toThrow(/a: is a folder/)
  expect(statSync(join(place, 'a')).isDirectory()).toBe(true)
  expect(readdirSync(place)).toEqual(['a'])
})

test('Ctrl-C is listened to only while files are written', async () => {
  const before = process.listenerCount('SIGINT')
  const path = join(folder(), 'a')
  const writing = replaceFiles([{ path, data: 'x' }])
  expect(process.listenerCount('SIGINT')).toBe(before + 1)
  await writing
  expect(process.listenerCount('SIGINT')).toBe(before)
  expect(existsSync(path)).toBe(true)
})
