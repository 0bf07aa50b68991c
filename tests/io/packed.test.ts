import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { describe, expect, it } from 'vitest'
import { InputError } from '../../src/errors.ts'
import { readPacked } from '../../src/io/packed.ts'

const folder = mkdtempSync(join(tmpdir(), 'packed-'))
let files = 0

function strip(width: number, height: number, first: number): string {
  const file = new PNG({ width, height })
  for (let i = 0; i < width * height; i++) file.data.set([first + i, 100 + i, 200, 255], 4 * i)
  const name = `${files++}.png`
  writeFileSync(join(folder, name), PNG.sync.write(file))
  return name
}

function described(json: unknown): string {
  const path = join(folder, `${files++}.json`)
  writeFileSync(path, typeof json === 'string' ? json : JSON.stringify(json))
  return path
}

const good = {
  shape: [2, 2, 3],
  classes: ['cat', 'dog'],
  labels: [1, 0, 1],
  files: [
    { file: strip(2, 4, 0), images: 2 },
    { file: strip(2, 2, 50), images: 1 },
  ],
}

describe('readPacked', () => {
  it('cuts the strips into images, in order', () => {
    const { classes, labels, images } = readPacked(described(good))
    expect([classes, labels]).toEqual([good.classes, good.labels])
    expect(images.map(({ width, height, channels }) => [width, height, channels])).toEqual(Array(3).fill([2, 2, 3]))
    expect(images.map((i) => [...i.data.subarray(0, 3)])).toEqual([
      [0, 100, 200],
      [4, 104, 200],
      [50, 100, 200],
    ])
  })

  it('a shape of two numbers is grey', () => {
    const { images } = readPacked(described({ ...good, shape: [2, 2] }))
    expect(images.map(({ channels, data }) => [channels, data.length])).toEqual(Array(3).fill([1, 4]))
  })

  it.each<[string, unknown, RegExp]>([
    ['text', '{', /is not valid JSON/],
    ['a list', [], /"shape" is not a list of whole numbers/],
    ['no files', { ...good, files: undefined }, /"files" is not a list of \{ file, images \}/],
    ['a strip that is missing', { ...good, files: [{ file: 'none.png', images: 1 }] }, /cannot be read/],
    ['a strip that is too short', { ...good, shape: [3, 2, 3] }, /has 2 x 4 pixels, 2 images of \[3,2,3\] have 2 x 6/],
    ['a label too few', { ...good, labels: [1, 0] }, /has 3 images and 2 labels/],
    ['an unknown label', { ...good, labels: [1, 0, 2] }, /has label 2, there are 2 classes/],
    ['two channels', { ...good, shape: [2, 2, 2] }, /supported are 1 and 3 channels/],
    ['a flat shape', { ...good, shape: [4] }, /expected \[height, width\]/],
  ])('refuses %s', (_, json, reason) => {
    expect(() => readPacked(described(json))).toThrow(InputError)
    expect(() => readPacked(described(json))).toThrow(reason)
  })
})
