import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { missingDeviceTools } from '../../src/run/device.ts'
import { parseScheme } from '../../src/train/scheme_file.ts'
import { separable } from '../support/nets.ts'
import { answered, folder, saved, typed } from './console.ts'

const dir = folder()
const model = saved(dir, separable())
const file = join(dir, 'mine.json')
writeFileSync(
  file,
  JSON.stringify({
    name: 'mine',
    biases: 2,
    layers: [
      { layer: 'block_2/depthwise', channels: [1, 4] },
      { layer: 4, ratio: 0.5 },
    ],
  }),
)

describe('train plan', () => {
  test('says what each scheme takes', async () => {
    const { schemes } = await answered('train', 'plan', model, '--scheme', `last,bias-last-3,full,${file}`)
    const named = Object.fromEntries(schemes.map((s: { scheme: string }) => [s.scheme, s]))
    expect(Object.keys(named)).toEqual(['last', 'bias-last-3', 'full', 'mine'])
    expect(named.last.learning).toBe(5 * 8 + 5)
    expect(named.mine.learning).toBe(5 * 8 + 5 + 8 + 8 + 2 * 9 + 4 * 8)
    expect(named.mine.extra).toEqual({
      weights: 2 * 9 + 4 * 8,
      biases: 2 * 8 * 4,
      inputs: 2 * 16 + 4 * 16 + 8,
      masks: (2 * 128) / 8,
      total: 50 + 64 + 104 + 32,
    })
    for (const s of schemes) {
      expect(s.smallBytes).toBeLessThanOrEqual(s.arenaBytes)
      expect(Math.max(...s.liveBytes)).toBeLessThanOrEqual(s.arenaBytes)
      expect(s.judged).toBeLessThan(s.liveBytes.length)
    }
    expect(named.full.arenaBytes).toBeGreaterThan(named.last.arenaBytes)
    expect(named.full.macs).toBeGreaterThan(named.last.macs)
  })

  test('shows people a table, what fits, and the memory over time', async () => {
    const { code, out } = await typed('train', 'plan', model, '--scheme', 'last,full', '--classes', '3', '--sram', '2K')
    expect(code).toBe(0)
    expect(out).toMatch(/scheme +learns +extra +arena +least +(streamed +)?MACs +instructions +fits/)
    expect(out).toMatch(/\nlast .* (yes|by pieces|streamed)\n/)
    expect(out).toMatch(/\nfull .* no\n/)
    expect(out).toMatch(/memory of one step of last over time.*#.*\^ loss; forward before, backward after/s)
  })

  test('writes a page with the memory of each', async () => {
    const html = join(dir, 'plan.html')
    await answered('train', 'plan', model, '--scheme', 'last,last-2', '--html', html)
    const page = readFileSync(html, 'utf8')
    expect(page.match(/<svg/g)?.length).toBe(2)
    expect(page).not.toContain('<script')
    expect(page.match(/<style>/g)?.length).toBe(1)
  })

  test('without a scheme, those that the model can learn by', async () => {
    const { schemes } = await answered('train', 'plan', model)
    const names = schemes.map((s: { scheme: string }) => s.scheme)
    expect(names).toEqual(['last', 'bias-last-2', 'bias-last-3', 'last-2', 'full'])
  })

  test('the scheme that docs/training.md shows is one', () => {
    const page = readFileSync(new URL('../../docs/training.md', import.meta.url), 'utf8')
    const [, json] = /```json\n([^`]*)```/.exec(page)!
    expect(parseScheme(json, 'docs').layers).toHaveLength(3)
  })

  test('the group lists its commands', async () => {
    const { out } = await typed('train')
    expect(out).toMatch(/plan \[options\] <model>/)
  })

  test.skipIf(missingDeviceTools().length > 0)('one step measured on a board has the same results', async () => {
    const { schemes } = await answered('train', 'plan', model, '--scheme', 'last-2', '--on', 'cortex-m7')
    const [{ measured, estimatedInstructions, arenaBytes }] = schemes
    expect(measured.same).toBe(true)
    expect(measured.arenaUsedBytes).toBeLessThanOrEqual(arenaBytes)
    expect(measured.ramBytes).toBe(measured.arenaUsedBytes + measured.stackBytes)
    expect(Math.abs(Math.log2(measured.instructions / estimatedInstructions))).toBeLessThan(1)
  })
})
