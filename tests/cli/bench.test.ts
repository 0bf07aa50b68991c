import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { disagreement } from '../../src/cli/bench.ts'
import { benchText } from '../../src/cli/bench_text.ts'
import { measure } from '../../src/cli/measure.ts'
import { type BenchRow, benchPage } from '../../src/report/bench_page.ts'
import { imageNet } from '../support/image_net.ts'
import { separable, twoInputs } from '../support/nets.ts'
import { answered, folder, saved, typed } from './console.ts'

const dir = folder()
const model = saved(dir, separable())
const pair = saved(dir, twoInputs())

test('works are timed in turns, each as often as it asks for, after a warm-up', () => {
  const order: string[] = []
  const work = (name: string, runs: number) => ({ run: () => void order.push(name), runs, fill: false })
  const [a, b] = measure([work('a', 5), work('b', 2)])
  expect(order.join('')).toBe('aaabbb' + 'ababaaa')
  expect([a.runs, b.runs]).toEqual([5, 2])
  expect(a.minUs).toBeLessThanOrEqual(a.quartilesUs![0])
  expect(a.quartilesUs![0]).toBeLessThanOrEqual(a.medianUs)
  expect(a.medianUs).toBeLessThanOrEqual(a.quartilesUs![1])
  expect(b).not.toHaveProperty('spreadUs')
})

test('several models in one call are a list, one is the answer itself', async () => {
  const { models } = await answered('bench', model, pair, '--runs', '5')
  expect(models.map((m: { model: string }) => m.model)).toEqual([model, pair])
  for (const { runs } of models) {
    expect(runs[0].timedRuns).toBeGreaterThanOrEqual(5)
    expect(runs[0].spreadUs).toBeGreaterThanOrEqual(0)
  }
  const one = await answered('bench', model, '--runs', '5')
  expect(one).toMatchObject({ model, seed: 1 })
  expect(one.runs[0].outputFnv1a).toEqual(models[0].runs[0].outputFnv1a)
})

test('threads are a row of their own beside one thread, with the same bits', async () => {
  const image = saved(dir, imageNet('int8'))
  const { runs } = await answered('bench', image, '--runs', '5', '--threads', '2')
  expect(runs.map(({ on }: BenchRow) => on)).toEqual(['wasm', 'wasm, threads: 2'])
  expect(runs[1].outputFnv1a).toEqual(runs[0].outputFnv1a)
  expect(runs[1].minUs).toBeGreaterThan(0)
  const { runs: alone } = await answered('bench', model, '--runs', '5', '--threads', '2')
  expect(alone[1].on).toBe('wasm, threads: 1')
})

test('the page has every row, and a file that is none of ours stays', async () => {
  const page = join(dir, 'bench.html')
  const { code, out } = await typed('bench', model, '--on', 'wasm,reference', '--runs', '5', '--html', page)
  expect(code).toBe(0)
  expect(out).toContain(`wrote ${page}`)
  const text = readFileSync(page, 'utf8')
  expect(text.match(/<rect /g)).toHaveLength(2)
  for (const on of ['wasm', 'reference']) expect(text).toContain(`<td>${on}</td>`)
  const refused = await typed('bench', model, '--runs', '1', '--html', model)
  expect(refused.err).toMatch(/is no page that mote wrote\n {2}hint: /)
})

test('the page runs and loads nothing, whatever the names say', async () => {
  const bad = '</section><script>window.hit=1</script><img src=x onerror="hit=1">'
  const row: BenchRow = {
    ...{ on: bad, arenaBytes: 1, weightBytes: 1, outputFnv1a: [bad] },
    ...{ medianUs: 2, minUs: 1, quartilesUs: [1, 3], instructions: 7 },
  }
  const page = await benchPage([{ model: bad, runs: [row] }], bad)
  expect(page).not.toMatch(/<script|<img|script-src|https?:/)
  expect(page.match(/<\/section>/g)).toHaveLength(1)
  expect(page).not.toMatch(/NaN|undefined|Infinity/)
})

const layer = (name: string, us: number) => ({ name, us })
const timed = (layers: BenchRow['layers']): BenchRow => ({
  ...{ on: 'wasm', arenaBytes: 1, weightBytes: 1, outputFnv1a: ['0'], minUs: 1, medianUs: 1 },
  layers,
})

test('what each layer took stands below the table, steps of one layer added up', () => {
  const text = benchText([timed([layer('a', 30), layer('b', 60), layer('a', 10)])], false).join('\n')
  expect(text).toMatch(/^on +min +median +arena +weights +output\n/)
  expect(text).toMatch(/\na +█+\S* +40\.0% +40 µs\n/)
  expect(text).toMatch(/\nb +█+\S* +60\.0% +60 µs$/)
})

test('of a long model the layers that take most are shown, or all that are asked for', () => {
  const many = timed(Array.from({ length: 30 }, (_, i) => layer(`layer_${i}`, i + 1)))
  const some = benchText([many], false).join('\n')
  expect(some).toContain('the 12 of 30 that take most (--all shows all)')
  expect(some.match(/layer_\d+/g)).toEqual(Array.from({ length: 12 }, (_, i) => `layer_${18 + i}`))
  expect(
    benchText([many], true)
      .join('\n')
      .match(/layer_\d+/g),
  ).toHaveLength(30)
  const equal = timed(Array.from({ length: 30 }, (_, i) => layer(`layer_${i}`, 0)))
  expect(benchText([equal], false).join('\n')).not.toMatch(/NaN|Infinity/)
})

test('a tool that is missing is named, with what installs it', async () => {
  const path = process.env.PATH
  try {
    process.env.PATH = dir
    const { code, err } = await typed('bench', model, '--on', 'cortex-m4')
    expect(code).toBe(1)
    expect(err).toBe(
      'arm-none-eabi-gcc: is not installed\n  hint: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm\n',
    )
    const host = await typed('bench', model, '--on', 'host-c')
    expect(host.err).toMatch(/^host-c: no C compiler found; .*\n {2}hint: apt-get install gcc\n$/)
  } finally {
    process.env.PATH = path
  }
})

test('rows whose outputs differ in one bit are told apart', () => {
  const row = (on: string, hash: string) => ({ on, arenaBytes: 1, weightBytes: 1, outputFnv1a: [hash] })
  expect(disagreement([row('wasm', '00000001'), row('host-c', '00000001')])).toBeUndefined()
  expect(disagreement([row('wasm', '00000001'), row('host-c', '00000001'), row('cortex-m4', '00000002')])).toBe(
    'wasm, host-c: 00000001; cortex-m4: 00000002',
  )
})
