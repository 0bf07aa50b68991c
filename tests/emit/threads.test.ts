// Threads that share the runs of a WebAssembly program, in Node: any number of them gives the reference's bits.

import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { afterAll, describe, expect, test } from 'vitest'
import { relaxedVariant, webFiles } from '../../src/emit/js/files.ts'
import { compile } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { reference } from '../../src/run/reference.ts'
import { imageNet } from '../support/image_net.ts'
import { separable } from '../support/nets.ts'
import { writeFiles } from '../support/site.ts'

const scratch = fileURLToPath(new URL(`../../.tmp/threads-${process.pid}`, import.meta.url))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const int8 = imageNet('int8')
const float32 = imageNet('float32')

function written(name: string, graph: Graph, weights: 'inside' | 'separate', relaxed = false): string {
  const folder = join(scratch, name)
  const options = { name, threads: 4 }
  const variants = relaxed ? relaxedVariant(graph, options) : {}
  writeFiles(folder, webFiles(compile(graph, options), { weights, variants }))
  return folder
}

describe('threads in Node', () => {
  test.each([
    ['int8', int8, 'inside', false],
    ['relaxed', int8, 'inside', true],
    ['separate', int8, 'separate', false],
    ['float32', float32, 'inside', false],
  ] as const)(
    '%s: one, two, three and four answer as the reference does, over runs and after reset',
    async (name, graph, weights, relaxed) => {
      const { load } = await import(/* @vite-ignore */ join(written(name, graph, weights, relaxed), `${name}.js`))
      const random = new Xorshift32(9)
      const pictures = Array.from({ length: 3 }, () => random.fill(graph.inputs[0].type))
      const expected = reference(graph)
      const right = pictures.map((x) => expected.run([x]))
      expected.reset()
      for (const threads of [1, 2, 3, 4]) {
        const model = await load({ threads })
        for (const _ of [1, 2]) {
          const answers = pictures.map((picture) => Object.values(model.run({ picture })))
          expect(answers, `${threads} threads`).toEqual(right)
          model.reset()
        }
        for (let i = 0; i < 100; i++) model.run({ picture: pictures[0] })
        model.reset()
        expect(Object.values(model.run({ picture: pictures[0] })), `${threads} threads, once more`).toEqual(right[0])
        model.dispose()
        expect(() => model.run({ picture: pictures[0] })).toThrow('the model was disposed')
      }
    },
  )

  test('a number of threads that the program does not have is refused', async () => {
    const { load } = await import(/* @vite-ignore */ join(written('number', int8, 'inside'), 'number.js'))
    for (const threads of [0, 5, Number.NaN])
      await expect(load({ threads })).rejects.toThrow(`threads go from 1 to 4, got ${threads}`)
  })

  test('a process ends with or without dispose, and its threads are gone after it', () => {
    const folder = written('ends', int8, 'inside')
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    const script = (last: string) => `
import { readdirSync } from 'node:fs'
import { inputs, load } from './ends.js'
const picture = new Int8Array(inputs.picture.length)
const threads = () => readdirSync('/proc/self/task').length
const before = threads()
for (let i = 0; i < 5; i++) {
  const one = await load({ threads: 3 })
  one.run({ picture })
  one.dispose()
}
for (let i = 0; i < 100 && threads() > before; i++) await new Promise((done) => setTimeout(done, 20))
console.log(threads() <= before ? 'gone' : threads() - before)
const model = await load({ threads: 3 })
model.run({ picture })
${last}
`
    for (const last of ['', 'model.dispose()']) {
      writeFileSync(join(folder, 'main.js'), script(last))
      const { status, stdout, stderr } = spawnSync(process.execPath, ['main.js'], { cwd: folder, timeout: 30_000 })
      expect([String(stdout), String(stderr), status]).toEqual(['gone\n', '', 0])
    }
  })

  test('a thread that cannot start is an error', async () => {
    const folder = written('broken', int8, 'inside')
    writeFileSync(join(folder, 'broken.member.js'), 'throw Error("out of threads")')
    const { load } = await import(/* @vite-ignore */ join(folder, 'broken.js'))
    await expect(load({ threads: 2 })).rejects.toThrow('broken.member.js: out of threads')
    const alone = await load({ threads: 1 })
    expect(Object.keys(alone.run({ picture: new Int8Array(5400) }))).toHaveLength(2)
  })

  test('types know the threads', () => {
    const folder = written('typed', int8, 'inside')
    const use = `
import { load } from './typed.js'
import { load as loadWorker } from './typed.worker.js'
export const model = await load({ threads: 2, fallback: true })
export const other = await loadWorker({ threads: 2, fallback: true })
// @ts-expect-error
await load({ threads: 'two' })
`
    writeFileSync(join(folder, 'use.ts'), use)
    const options: ts.CompilerOptions = {
      ...{ strict: true, noEmit: true, skipLibCheck: true, types: [] },
      ...{ target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
      ...{ moduleResolution: ts.ModuleResolutionKind.Bundler, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'] },
    }
    const found = ts.getPreEmitDiagnostics(ts.createProgram([join(folder, 'use.ts')], options))
    expect(found.map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'))).toEqual([])
  })

  test('a net without a layer to share is a plain program', () => {
    const names = (threads?: number) => webFiles(compile(separable(), { name: 'small', threads }))
    expect(names(4)).toEqual(names())
  })
})
