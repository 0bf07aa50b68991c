import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { writeNpy } from '../../src/io/npy.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
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

describe('train choose', () => {
  const random = new Xorshift32(7)
  const pictures = join(dir, 'pictures')
  for (const [c, name] of ['red', 'green', 'blue'].entries()) {
    mkdirSync(join(pictures, name), { recursive: true })
    for (let i = 0; i < 14; i++) {
      const data = Int8Array.from({ length: 192 }, (_, k) => random.between(-60, 60) + (k % 3 === c ? 60 : 0))
      writeFileSync(join(pictures, name, `${i}.npy`), writeNpy({ dtype: 'i8', shape: [8, 8, 3], data }))
    }
  }
  const few = ['--classes', '3', '--layers', '2', '--ratios', '0.5,1', '--rates', '0.03', '--epochs', '1']
  const choose = (out: string, sram: string, ...more: string[]) =>
    ['train', 'choose', model, '--data', pictures, '--sram', sram, ...few, '-o', join(dir, out), ...more] as const

  test('writes a scheme that fits, which train plan takes', async () => {
    const found = await answered(...choose('chosen.json', '4K'))
    expect([found.learnt, found.judged]).toEqual([21, 21])
    const written = join(dir, 'chosen.json')
    expect(parseScheme(readFileSync(written, 'utf8'), 'chosen.json')).toEqual(found.scheme)
    const { schemes } = await answered('train', 'plan', model, '--classes', '3', '--scheme', written)
    expect(schemes[0].smallBytes).toBe(found[found.best].arenaBytes)
    expect(schemes[0].smallBytes).toBeLessThanOrEqual(4096)
    expect(schemes[0].scheme).toBe('small-4k')
  })

  test('measures nothing again for another limit, and says the same of it', async () => {
    const kept = join(dir, 'chosen.measured.json')
    const before = readFileSync(kept, 'utf8')
    const { code, out } = await typed(...choose('wider.json', '64K', '--measured', kept))
    expect(code).toBe(0)
    expect(out).toMatch(/21 examples to learn from in 1 epochs, 21 others to judge/)
    expect(out).toMatch(/\d+ measurements were in .*chosen.measured.json/)
    expect(out).toMatch(/layer +biases from here +weights 0.5 +weights 1\n/)
    expect(out).toMatch(/\nknapsack .*none expects more/)
    const trials = (text: string) => Object.keys(JSON.parse(text).measured).filter((k) => k.includes(', run '))
    expect(trials(readFileSync(kept, 'utf8'))).toEqual(trials(before))
  })

  test('refuses measurements of other settings, and a file of something else', async () => {
    const kept = join(dir, 'chosen.measured.json')
    const other = await typed(...choose('other.json', '64K', '--measured', kept, '--seed', '2'))
    expect(other.err).toMatch(
      /chosen.measured.json: was measured of [0-9a-f]{16}, model, examples and settings are now /,
    )
    expect(other.err).toMatch(/hint: name another file with --measured, or --force to start anew/)
    const wrong = await typed(...choose('other.json', '64K', '--measured', file))
    expect(wrong.err).toMatch(/mine.json: exists and holds no measurements/)
  })
})
