import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { replaceFiles } from '../../src/cli/files.ts'
import { folder } from './console.ts'

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
  ).rejects.toThrow(`${lost}: is to be in a folder that does not exist`)
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
