// What a page pays for the modules around a model: each alone, as a bundler makes it.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build, type Rollup } from 'vite'
import { afterAll, expect, test } from 'vitest'
import { writeFiles } from '../support/site.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const scratch = `${root}.tmp/package-${process.pid}`
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Minified bytes of a page that uses only these names of a module, and what it still imports. */
async function bundled(module: string, names: string): Promise<{ bytes: number; imports: string[] }> {
  const entry = `${scratch}/${module}.ts`
  writeFiles(scratch, [{ name: `${module}.ts`, data: `export { ${names} } from '${root}src/web/${module}.ts'` }])
  const made = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    build: { write: false, target: 'es2022', minify: true, lib: { entry, formats: ['es'], fileName: 'page' } },
  })
  const [{ output }] = made as Rollup.RollupOutput[]
  return { bytes: Buffer.byteLength(output[0].code), imports: output[0].imports }
}

test.each([
  ['image', 'imageInput', 7],
  ['classes', 'topK', 1],
  ['boxes', 'detections', 2.5],
  ['audio', 'Spectrogram', 2],
  ['mel', 'mfcc', 4],
  ['wav', 'readWav', 3],
  ['resample', 'resample', 1],
  ['port', 'elements', 2.5],
])('%s: %s alone is small and imports nothing', async (module, names, kb) => {
  const { bytes, imports } = await bundled(module, names)
  expect(imports).toEqual([])
  expect(bytes).toBeLessThan(kb * 1024)
})

test('the guide names every module that the package exports for pages', () => {
  const { exports, files } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  expect(exports['./web/*']).toEqual({ types: './dist/web/*.d.ts', default: './dist/web/*.js' })
  expect(files).toContain('dist')
  const guide = readFileSync(`${root}docs/in-a-web-page.md`, 'utf8')
  const named = new Set([...guide.matchAll(/`mote-ml\/web\/(\w+)`/g)].map((m) => m[1]))
  for (const module of named) expect(existsSync(`${root}src/web/${module}.ts`), module).toBe(true)
  const inner = ['resize']
  expect([...named, ...inner].sort()).toEqual(
    readdirSync(`${root}src/web`)
      .map((f) => f.replace('.ts', ''))
      .sort(),
  )
})
