import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { InputError } from '../../src/errors.ts'
import { readInput } from '../../src/io/samples.ts'
import { readSet } from '../../src/io/sets.ts'
import { Xorshift32 } from '../../src/ir/random.ts'

const root = mkdtempSync(join(tmpdir(), 'mote-sets-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const file = (path: string, content: string | Uint8Array = '') => {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), content)
  return join(root, path)
}

test('a folder has a folder for each class, both in the order of the alphabet; dot files do not count', () => {
  for (const path of [
    'zoo/dog/2.png',
    'zoo/dog/1.png',
    'zoo/cat/x.bin',
    'zoo/.git/config',
    'zoo/cat/.DS_Store',
    'zoo/notes',
  ])
    file(path)
  expect(readSet([join(root, 'zoo')])).toEqual({
    classes: ['cat', 'dog'],
    ordered: false,
    samples: [
      { name: 'cat/x.bin', source: join(root, 'zoo/cat/x.bin'), truth: 'cat' },
      { name: 'dog/1.png', source: join(root, 'zoo/dog/1.png'), truth: 'dog' },
      { name: 'dog/2.png', source: join(root, 'zoo/dog/2.png'), truth: 'dog' },
    ],
  })
})

test('a folder of files has no truth, and a link that leads nowhere is a file that cannot be read', () => {
  file('flat/b.bin')
  symlinkSync(join(root, 'nowhere'), join(root, 'flat/a.bin'))
  const { samples } = readSet([join(root, 'flat')])!
  expect(samples.map(({ name, truth }) => [name, truth])).toEqual([
    [join(root, 'flat/a.bin'), undefined],
    [join(root, 'flat/b.bin'), undefined],
  ])
})

test.skipIf(spawnSync('mkfifo', [join(root, 'pipe')]).status !== 0)(
  'a pipe in a folder is left alone (skipped without mkfifo)',
  () => {
    file('piped/a.bin')
    renameSync(join(root, 'pipe'), join(root, 'piped/pipe'))
    expect(readSet([join(root, 'piped')])!.samples.map((s) => s.name)).toEqual([join(root, 'piped/a.bin')])
  },
)

test('a table has a heading or none, quotes where a name needs them, and its truth last', () => {
  const rows = (text: string) =>
    readSet([], file('t.csv', text))!.samples.map(({ source, truth }) => [(source as string).slice(root.length), truth])
  expect(rows('file,label\na.png,cat\r\n"b, ""2"".png", dog \n\n')).toEqual([
    ['/a.png', 'cat'],
    ['/b, "2".png', 'dog'],
  ])
  expect(rows('a.bin,12,7')).toEqual([['/a.bin', '7']])
  expect(readSet([join(root, 'flat')], join(root, 't.csv'))!.samples[0].source).toBe(join(root, 'flat/a.bin'))
})

test('a packed set of elements is read like .npy, its ending left out or not', () => {
  const json = { shape: [2, 1], dtype: 'int8', classes: ['up', 'down'], labels: [1, 0] }
  const path = file('packed.json', JSON.stringify(json))
  file('packed.bin', Uint8Array.of(1, 2, 3, 255))
  for (const named of [path, path.slice(0, -5)]) {
    const { samples, classes, ordered } = readSet([named])!
    expect([classes, ordered, samples.map((s) => s.truth)]).toEqual([['up', 'down'], true, ['down', 'up']])
    expect(samples.map((s) => readInput(s.source, { dtype: 'i8', shape: [1, 2, 1] }))).toEqual([
      Int8Array.of(1, 2),
      Int8Array.of(3, -1),
    ])
  }
})

test('files that are no sets are left to others: numbers in JSON among them', () => {
  expect(readSet([file('numbers.json', ' [1, 2]'), file('a.bin')])).toBeUndefined()
  expect(readSet([join(root, 'missing.npy')])).toBeUndefined()
  expect(readSet([])).toBeUndefined()
})

const packed = (name: string, json: object) => {
  file(`${name}.bin`, new Uint8Array(3))
  return file(`${name}.json`, JSON.stringify({ shape: [1], dtype: 'int8', classes: ['a'], labels: [0, 0, 0], ...json }))
}

test.each<[string, () => [string[], string?], RegExp]>([
  ['an empty folder', () => [[mkdtempSync(join(root, 'e'))]], /holds no files/],
  ['folders without files', () => [[dirname(dirname(file('hollow/a/.x')))]], /has 1 folders, none of them with files/],
  ['two sets', () => [[join(root, 'zoo'), join(root, 'flat')]], /is a set of inputs, 1 more/],
  ['a table with a list of files', () => [[file('a.bin')], join(root, 't.csv')], /^--truth: lists the inputs/],
  ['no table', () => [[], join(root, 'none.csv')], /none\.csv: cannot be read/],
  ['an empty table', () => [[], file('empty.csv', '\n')], /lists no files/],
  ['a table of names alone', () => [[], file('bare.csv', 'a.png,cat\nb.png\n')], /line 2 is "b\.png"/],
  ['a table of bytes', () => [[], file('raw.csv', new Uint8Array([0, 255, 10, 1]))], /line 1 is/],
  ['a packed set of more', () => [[packed('more', { shape: [2] })]], /more\.bin has 3 bytes, 3 samples .* have 6/],
  ['a packed set of unknown elements', () => [[packed('odd', { dtype: 'quux' })]], /has dtype quux/],
  ['a packed set of no elements', () => [[packed('none', { shape: [0] })]], /have 0/],
  ['a packed set of unknown classes', () => [[packed('wild', { labels: [0, 1, 0] })]], /label 1, there are 1/],
  ['JSON that is no set', () => [[file('other.json', '{"a": 1}')]], /"shape" is not a list/],
  ['JSON that is none', () => [[file('half.json', '{"a"')]], /not valid JSON/],
])('%s is an InputError', (_, given, says) => {
  const [paths, truth] = given()
  expect(() => readSet(paths, truth)).toThrow(InputError)
  expect(() => readSet(paths, truth)).toThrow(says)
})

test('a table of anything is read or refused, in time that grows with its length alone', () => {
  const random = new Xorshift32(5)
  const letters = [',', '"', ' ', 'a', '\n', '\r', '""', '\t']
  for (let i = 0; i < 200; i++) {
    const text = Array.from({ length: 1 + (random.next() % 40) }, () => letters[random.next() % letters.length]).join(
      '',
    )
    try {
      for (const { name, truth } of readSet([], file('fuzz.csv', text))!.samples) expect(name && truth).toBeTruthy()
    } catch (e) {
      expect(e).toBeInstanceOf(InputError)
    }
  }
  const start = performance.now()
  for (const one of [' ', '"', '" ', ',"'])
    expect(() => readSet([], file('long.csv', `${one.repeat(200_000)}x"`))).toThrow(InputError)
  expect(performance.now() - start).toBeLessThan(3000)
})
