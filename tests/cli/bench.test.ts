import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { disagreement } from '../../src/cli/bench.ts'
import { measure } from '../../src/cli/measure.ts'
import { type BenchRow, benchPage } from '../../src/report/bench_page.ts'
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

test('rows whose outputs differ in one bit are told apart', () => {
  const row = (on: string, hash: string) => ({ on, arenaBytes: 1, weightBytes: 1, outputFnv1a: [hash] })
  expect(disagreement([row('wasm', '00000001'), row('host-c', '00000001')])).toBeUndefined()
  expect(disagreement([row('wasm', '00000001'), row('host-c', '00000001'), row('cortex-m4', '00000002')])).toBe(
    'wasm, host-c: 00000001; cortex-m4: 00000002',
  )
})
